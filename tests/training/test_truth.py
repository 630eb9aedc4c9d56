import cv2
import numpy as np
import pytest
from drawings import HEIGHT, Written, lay, write

from zipocr.prepare import Binarization, Segmentation, find_ink, segment, to_working_size
from zipocr.training.compose import FOREIGN, LIGATURE, Composer
from zipocr.training.gather import owners_of
from zipocr.training.truth import NO_DIGIT, UNCLEAR, label_regions
from zipocr.types import InkMask


def segmented(ink: InkMask) -> Segmentation:
    return segment(find_ink(to_working_size(lay(ink.astype(np.float32), 235)), Binarization.OTSU))


def owners(written: Written) -> np.ndarray:
    owned = np.zeros(written.ink.shape, np.uint8)
    for place, digit in enumerate(written.digits, start=1):
        owned[digit] = place
    return owned


def covered(seen: Segmentation, edge: int, ink: InkMask) -> float:
    """Share of some ink that a region holds."""
    box = seen.lattice.regions[edge].box
    return float((ink[box.top : box.bottom, box.left : box.right] & seen.lattice.regions[edge].ink).sum() / ink.sum())


@pytest.fixture(scope="module")
def written() -> Written:
    return write("02346")


def test_each_of_five_digits_is_found_and_named_by_its_place(written):
    seen = segmented(written.ink)
    labels = label_regions(seen, owners(written))
    assert labels.shape == (len(seen.lattice.regions),)
    assert set(labels.tolist()) >= {0, 1, 2, 3, 4, NO_DIGIT}
    for edge in np.flatnonzero(labels >= 0):
        assert covered(seen, edge, written.digits[labels[edge]]) > 0.8
        others = np.any([digit for place, digit in enumerate(written.digits) if place != labels[edge]], axis=0)
        assert covered(seen, edge, others) < 0.1


def test_each_of_nine_digits_is_found_and_the_dash_is_none():
    page = write("023467890", gap=[14, 14, 14, 14, 50, 14, 14, 14])
    dash = np.zeros_like(page.ink)
    box = page.boxes[4]
    dash[box.top + 20 : box.top + 25, box.right + 16 : box.right + 34] = True
    seen = segmented(page.ink | dash)
    labels = label_regions(seen, np.where(dash, np.uint8(FOREIGN), owners(page)))
    assert set(labels.tolist()) >= {*range(9), NO_DIGIT}
    for edge in np.flatnonzero(labels >= 0):
        assert covered(seen, edge, page.digits[labels[edge]]) > 0.8
        assert covered(seen, edge, dash) == 0 or (labels[edge] in {4, 5} and covered(seen, edge, page.digits[labels[edge]]) > 0.95)


def test_halves_and_pairs_are_no_digits(written):
    seen = segmented(written.ink)
    labels = label_regions(seen, owners(written))
    wrong = 0
    for edge, label in enumerate(labels):
        shares = [covered(seen, edge, digit) for digit in written.digits]
        if max(shares) < 0.6 or sorted(shares)[-2] > 0.6:
            wrong += 1
            assert label == NO_DIGIT
    assert wrong > 5


def test_what_is_neither_whole_nor_clearly_less_teaches_nothing(written):
    seen = segmented(written.ink)
    labels = label_regions(seen, owners(written))
    assert set(labels.tolist()) <= {*range(5), NO_DIGIT, UNCLEAR}
    for edge in np.flatnonzero(labels == UNCLEAR):
        assert 0.5 < max(covered(seen, edge, digit) for digit in written.digits) <= 1


def test_foreign_ink_is_no_digit(written):
    owned = owners(written)
    owned[written.digits[2]] = FOREIGN
    seen = segmented(written.ink)
    labels = label_regions(seen, owned)
    assert set(labels.tolist()) >= {0, 1, 3, 4}
    assert 2 not in labels
    whole = [edge for edge in range(len(labels)) if covered(seen, edge, written.digits[2]) > 0.95]
    assert whole
    assert (labels[whole] == NO_DIGIT).all()


def test_a_digit_with_much_foreign_ink_is_not_whole_but_a_ligature_does_not_spoil_it():
    page = write("1", margin=30)
    stroke = np.zeros_like(page.ink)
    box = page.boxes[0]
    stroke[box.top + 15 : box.top + 22, box.right - 2 : box.right + 22] = True
    stroke &= ~page.ink
    seen = segmented(page.ink | stroke)
    for owner, expected in ((FOREIGN, False), (LIGATURE, True)):
        labels = label_regions(seen, np.where(stroke, np.uint8(owner), owners(page)))
        together = [edge for edge in range(len(labels)) if covered(seen, edge, page.ink | stroke) > 0.95]
        assert together
        assert (labels[together] == 0).any() == expected


def test_the_map_follows_a_page_that_was_scaled(written):
    seen = segmented(written.ink)
    large = cv2.resize(owners(written), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    assert np.array_equal(label_regions(seen, large), label_regions(seen, owners(written)))


def test_a_digit_of_which_the_threshold_saw_little_is_not_whole(written):
    owned = owners(written)
    ink = written.ink.copy()
    box = written.boxes[0]
    ink[box.top + HEIGHT * 2 // 5 : box.bottom, box.left : box.right] = False
    labels = label_regions(segmented(ink), owned)
    assert 0 not in labels
    assert set(labels.tolist()) >= {1, 2, 3, 4}


def test_composed_strings_hold_their_five_digits(all_digits):
    composer = Composer(all_digits, seed=9, kinds={"white": 1})
    found = 0
    for number in range(6):
        composed = composer.nth(number)
        seen = segment(find_ink(to_working_size(composed.image), Binarization.OTSU))
        labels = label_regions(seen, owners_of(composed))
        scaled = cv2.resize(composed.owners, seen.ink.shape[::-1], interpolation=cv2.INTER_NEAREST)
        found += len({label for label in labels.tolist() if label >= 0})
        for edge in np.flatnonzero(labels >= 0):
            box = seen.lattice.regions[edge].box
            own = scaled[box.top : box.bottom, box.left : box.right][seen.lattice.regions[edge].ink]
            assert np.bincount(own, minlength=256)[1:6].argmax() == labels[edge]
    assert found >= 27
