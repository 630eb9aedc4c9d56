import numpy as np
import pytest
from drawings import Written, lay, write

from zipocr.classify.svc import NON_DIGIT
from zipocr.preprocess.page import InkPage, prepare
from zipocr.segment.regions import divide
from zipocr.training.fit.region_labels import NO_DIGIT, label_regions
from zipocr.training.fit.region_samples import (
    Samples,
    gather,
    join,
    map_strings,
    non_digit_regions,
    owners_of,
    true_centres,
    wrong_centres,
)
from zipocr.training.synthesis.compose import Composer

KINDS = {"white": 1.0, "touching": 1.0}


@pytest.fixture(scope="module")
def composer(all_digits) -> Composer:
    return Composer(all_digits, seed=4, kinds=KINDS, each_once=True)


@pytest.fixture(scope="module")
def gathered(composer) -> Samples:
    return gather(composer, 12, jobs=1)


def same(one: Samples, other: Samples) -> bool:
    pairs = ((one.bitmaps, other.bitmaps), (one.labels, other.labels))
    return all(left.dtype == right.dtype and np.array_equal(left, right) for left, right in pairs)


def negated(number: int) -> int:
    return -number


def test_samples_are_digits_and_non_digits_with_their_bitmaps(gathered):
    count = len(gathered)
    assert (gathered.bitmaps.shape, gathered.bitmaps.dtype) == ((count, 32, 32), np.uint8)
    assert (gathered.labels.shape, gathered.labels.dtype) == ((count,), np.uint8)
    assert gathered.bitmaps.any(axis=(1, 2)).all()
    assert gathered.labels.max() == NON_DIGIT


def test_every_digit_of_clean_strings_is_gathered(all_digits):
    composer = Composer(all_digits, seed=4, kinds={"white": 1})
    written = "".join(composer.nth(number).text for number in range(5))
    found = gather(composer, 5, jobs=1).labels.tolist()
    assert set(found) == {*map(int, written), NON_DIGIT}
    assert sum(label != NON_DIGIT for label in found) >= 0.9 * len(written)
    assert all(found.count(int(digit)) <= written.count(digit) for digit in written)


def test_every_digit_of_a_zip_plus_four_is_gathered(all_digits):
    composer = Composer(all_digits, seed=4, kinds={"plus4": 1})
    written = "".join(composer.nth(number).text for number in range(4))
    found = gather(composer, 4, jobs=1).labels.tolist()
    assert len(written) == 36
    assert sum(label != NON_DIGIT for label in found) > 0.8 * len(written)


def test_the_same_strings_give_the_same_samples(composer, gathered):
    assert same(gather(composer, 12, jobs=1), gathered)


def test_more_strings_only_add_samples(composer, gathered):
    few = gather(composer, 5, jobs=1)
    count = len(few)
    assert 0 < count < len(gathered)
    first = Samples(bitmaps=gathered.bitmaps[:count], labels=gathered.labels[:count])
    assert same(few, first)


def test_the_number_of_processes_does_not_matter(composer):
    assert same(gather(composer, 4, jobs=2), gather(composer, 4, jobs=1))


def test_other_seeds_give_other_samples(all_digits, gathered):
    assert not same(
        gather(Composer(all_digits, seed=5, kinds=KINDS, each_once=True), 12, jobs=1), gathered
    )


@pytest.mark.parametrize("most", [0, 2])
def test_no_more_non_digits_are_taken_than_asked_for(composer, most):
    found = gather(composer, 4, jobs=1, non_digits=most)
    assert (found.labels == NON_DIGIT).sum() <= 4 * most
    assert (found.labels != NON_DIGIT).any()


def test_joined_samples_are_all_in_order(gathered):
    both = join([gathered, gathered])
    assert len(both) == 2 * len(gathered)
    second = np.arange(len(both)) >= len(gathered)
    assert same(both.take(second), gathered)


def test_work_is_done_in_order():
    assert map_strings(negated, range(5), jobs=1) == [0, -1, -2, -3, -4]


def test_what_two_digits_share_is_neither_ones(all_digits):
    composer = Composer(all_digits, seed=4, kinds={"touching": 1})
    composed = next(one for one in map(composer.nth, range(9)) if one.shared.any())
    owned = owners_of(composed)
    assert not np.isin(owned[composed.shared], range(1, 6)).any()
    assert np.array_equal(owned[~composed.shared], composed.owners[~composed.shared])


@pytest.fixture(scope="module")
def written() -> Written:
    return write("02346")


@pytest.fixture(scope="module")
def inked(written) -> InkPage:
    page = prepare(lay(written.cover, 235)).ink
    assert page is not None
    return page


def owners(written: Written) -> np.ndarray:
    owned = np.zeros(written.ink.shape, np.uint8)
    for place, digit in enumerate(written.digits, start=1):
        owned[digit] = place
    return owned


def test_a_centre_is_the_middle_column_of_a_digit_at_the_size_of_the_page(written, inked):
    found = true_centres(inked, owners(written), 5)
    scale = inked.ink.shape[1] / written.ink.shape[1]
    expected = [(box.left + box.right) / 2 * scale - 0.5 for box in written.boxes]
    assert scale < 1
    assert found == pytest.approx(expected, abs=0.51)


def test_a_digit_without_ink_has_no_centre_and_neither_have_the_others(written, inked):
    owned = owners(written)
    owned[written.digits[4]] = 0
    assert true_centres(inked, owned, 5) is None
    found = true_centres(inked, owned, 4)
    assert found is not None
    assert len(found) == 4


def test_wrong_strings_lack_a_digit_have_one_too_many_or_are_half_a_digit_astray():
    found = [centres.tolist() for centres in wrong_centres(np.array([10.0, 20.0, 40.0]))]
    assert found == [[20, 40], [10, 40], [10, 20], [10, 15, 20, 40], [10, 20, 30, 40], [15, 30]]


def test_the_regions_of_wrong_strings_are_parts_of_digits_or_several(written, inked):
    owned = owners(written)
    centres = true_centres(inked, owned, 5)
    assert centres is not None
    found = non_digit_regions(inked, centres, owned)
    assert len(found) >= 5
    assert set(label_regions(found, inked.ink, owned).tolist()) == {NO_DIGIT}


def test_ink_divided_at_the_true_centres_are_the_digits_that_were_composed(all_digits):
    composer, found = Composer(all_digits, seed=9, kinds={"white": 1}), 0
    for number in range(4):
        composed = composer.nth(number)
        page = prepare(composed.image).ink
        assert page is not None
        centres = true_centres(page, owners_of(composed), len(composed.text))
        assert centres is not None
        regions = divide(page.components, page.text_height, centres, cuts=1).regions
        labels = label_regions(regions, page.ink, owners_of(composed)).tolist()
        found += sum(label == place for place, label in enumerate(labels))
    assert found >= 18
