import numpy as np
import pytest

from zipocr.classify.svc import NON_DIGIT
from zipocr.segment.lattice import GEOMETRY
from zipocr.training.compose import Composer
from zipocr.training.gather import Samples, gather, join, map_strings, owners_of

KINDS = {"white": 1.0, "touching": 1.0}


@pytest.fixture(scope="module")
def composer(all_digits) -> Composer:
    return Composer(all_digits, seed=4, kinds=KINDS, each_once=True)


@pytest.fixture(scope="module")
def gathered(composer) -> Samples:
    return gather(composer, 12, jobs=1)


def same(one: Samples, other: Samples) -> bool:
    pairs = ((one.bitmaps, other.bitmaps), (one.labels, other.labels), (one.geometry, other.geometry))
    return all(left.dtype == right.dtype and np.array_equal(left, right) for left, right in pairs)


def negated(number: int) -> int:
    return -number


def test_samples_are_digits_and_non_digits_with_their_bitmaps_and_geometry(gathered):
    count = len(gathered)
    assert (gathered.bitmaps.shape, gathered.bitmaps.dtype) == ((count, 32, 32), np.uint8)
    assert (gathered.labels.shape, gathered.labels.dtype) == ((count,), np.uint8)
    assert (gathered.geometry.shape, gathered.geometry.dtype) == ((count, GEOMETRY), np.float32)
    assert gathered.bitmaps.any(axis=(1, 2)).all()
    assert np.isfinite(gathered.geometry).all()
    assert gathered.labels.max() == NON_DIGIT


def test_every_digit_of_clean_strings_is_gathered(all_digits):
    composer = Composer(all_digits, seed=4, kinds={"white": 1})
    written = "".join(composer.nth(number).text for number in range(5))
    found = gather(composer, 5, jobs=1).labels.tolist()
    assert set(found) == {*map(int, written), NON_DIGIT}
    assert all(found.count(int(digit)) >= written.count(digit) for digit in written)


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
    first = Samples(bitmaps=gathered.bitmaps[:count], labels=gathered.labels[:count], geometry=gathered.geometry[:count])
    assert same(few, first)


def test_the_number_of_processes_does_not_matter(composer):
    assert same(gather(composer, 4, jobs=2), gather(composer, 4, jobs=1))


def test_other_seeds_give_other_samples(all_digits, gathered):
    assert not same(gather(Composer(all_digits, seed=5, kinds=KINDS, each_once=True), 12, jobs=1), gathered)


@pytest.mark.parametrize("most", [0, 2])
def test_no_more_non_digits_are_taken_than_asked_for(composer, most):
    found = gather(composer, 4, jobs=1, non_digits=most)
    assert (found.labels == NON_DIGIT).sum() <= 4 * most
    assert (found.labels != NON_DIGIT).any()


def test_joined_samples_are_all_in_order(gathered):
    both = join([gathered, gathered])
    assert len(both) == 2 * len(gathered)
    assert same(
        Samples(bitmaps=both.bitmaps[len(gathered) :], labels=both.labels[len(gathered) :], geometry=both.geometry[len(gathered) :]),
        gathered,
    )


def test_work_is_done_in_order():
    assert map_strings(negated, range(5), jobs=1) == [0, -1, -2, -3, -4]


def test_what_two_digits_share_is_neither_ones(all_digits):
    composer = Composer(all_digits, seed=4, kinds={"touching": 1})
    composed = next(one for one in map(composer.nth, range(9)) if one.shared.any())
    owned = owners_of(composed)
    assert not np.isin(owned[composed.shared], range(1, 6)).any()
    assert np.array_equal(owned[~composed.shared], composed.owners[~composed.shared])
