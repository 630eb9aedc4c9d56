import cv2
import numpy as np
import pytest

from zipocr.training.fit.region_labels import NO_DIGIT, UNCLEAR, label_regions
from zipocr.training.synthesis.compose import FOREIGN, LIGATURE
from zipocr.types import MAX_DIGITS, Box, Region

HEIGHT, SIDE, PITCH = 20, 10, 12


def page(count: int = 5) -> np.ndarray:
    """Square digits side by side, 100 pixels each: the owner of each pixel."""
    owners = np.zeros((HEIGHT, count * PITCH), np.uint8)
    for place in range(count):
        owners[5:15, place * PITCH : place * PITCH + SIDE] = place + 1
    return owners


def region(owners: np.ndarray, left: int, right: int) -> Region:
    """All ink between two columns."""
    box = Box(top=0, left=left, bottom=HEIGHT, right=right)
    return Region(box=box, ink=owners[:, left:right] > 0)


def label(owners: np.ndarray, left: int, right: int) -> int:
    found = label_regions([region(owners, left, right)], owners > 0, owners)
    return int(found[0])


@pytest.mark.parametrize("count", [5, MAX_DIGITS])
def test_whole_digits_are_named_by_their_place_in_the_order_of_the_regions(count):
    owners = page(count)
    places = [*reversed(range(count))]
    regions = [region(owners, place * PITCH, place * PITCH + SIDE) for place in places]
    found = label_regions(regions, owners > 0, owners)
    assert found.dtype == np.int8
    assert found.tolist() == places


def test_no_regions_have_no_labels():
    assert label_regions([], page() > 0, page()).shape == (0,)


LESS = [(10, 0), (9, 0), (8, UNCLEAR), (7, UNCLEAR), (6, NO_DIGIT), (5, NO_DIGIT)]


@pytest.mark.parametrize(("right", "expected"), LESS)
def test_what_is_clearly_less_than_a_digit_is_none_and_the_rest_teaches_nothing(right, expected):
    assert label(page(), 0, right) == expected


MORE = [(13, 0), (14, UNCLEAR), (15, UNCLEAR), (16, NO_DIGIT), (22, NO_DIGIT)]


@pytest.mark.parametrize(("right", "expected"), MORE)
def test_what_is_clearly_more_than_a_digit_is_none_and_the_rest_teaches_nothing(right, expected):
    assert label(page(), 0, right) == expected


def test_foreign_ink_is_no_digit():
    owners = page()
    owners[owners == 3] = FOREIGN
    assert label(owners, 2 * PITCH, 2 * PITCH + SIDE) == NO_DIGIT
    assert label(owners, PITCH, PITCH + SIDE) == 1


@pytest.mark.parametrize(("owner", "expected"), [(FOREIGN, NO_DIGIT), (LIGATURE, 0)])
def test_foreign_ink_spoils_a_digit_and_a_ligature_does_not(owner, expected):
    owners = page()
    owners[:5, :SIDE] = owner
    assert label(owners, 0, SIDE) == expected


def test_the_owners_are_brought_to_the_size_of_the_regions():
    owners = page()
    large = cv2.resize(owners, None, fx=2, fy=3, interpolation=cv2.INTER_NEAREST)
    regions = [region(owners, place * PITCH, place * PITCH + SIDE) for place in range(5)]
    assert label_regions(regions, owners > 0, large).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("kept", "expected"), [(7, 0), (4, NO_DIGIT)])
def test_thin_ink_is_no_loss_but_a_digit_of_which_little_is_inked_is_none(kept, expected):
    owners = page()
    ink = owners > 0
    ink[5 + kept :, :SIDE] = False
    seen = Region(box=Box(top=0, left=0, bottom=HEIGHT, right=SIDE), ink=ink[:, :SIDE])
    assert label_regions([seen], ink, owners).tolist() == [expected]
