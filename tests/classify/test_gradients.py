import numpy as np
import pytest
from drawings import write
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from zipocr.classify.gradients import _BLUR, _COLUMNS, _ROWS, _SLOPE, BITMAP, directions, enlarge
from zipocr.classify.normalize import to_bitmap, to_grids

bitmaps = arrays(np.uint8, st.tuples(st.integers(1, 4), st.just(32), st.just(32)))
grids = arrays(
    np.uint8, st.tuples(st.integers(1, 4), st.just(8), st.just(8)), elements=st.integers(0, 16)
)
DIGITS = np.stack([to_bitmap(write(letter).ink) for letter in "0123456789"])


@given(bitmaps)
@settings(max_examples=30)
def test_features_are_336_finite_non_negative_values(images):
    found = directions(images)
    assert (found.shape, found.dtype) == ((len(images), 336), np.float32)
    assert np.isfinite(found).all()
    assert (found >= 0).all()


@pytest.mark.parametrize("level", [0, 100, 255])
def test_a_uniform_image_has_no_gradients(level):
    assert directions(np.full((2, 32, 32), level, np.uint8)) == pytest.approx(0, abs=2e-3)


def test_blank_paper_gives_exact_zeros():
    assert not directions(np.zeros((3, 32, 32), np.uint8)).any()


def test_features_of_a_bitmap_do_not_depend_on_the_others():
    together = directions(DIGITS)
    order = np.random.default_rng(0).permutation(len(DIGITS))
    assert np.array_equal(directions(DIGITS[order]), together[order])
    for place, one in enumerate(DIGITS):
        assert np.array_equal(directions(one[None])[0], together[place])


def test_rotating_a_bitmap_by_180_degrees_rotates_its_directions():
    upright = directions(DIGITS).reshape(-1, 8, 7, 6)
    rotated = directions(DIGITS[:, ::-1, ::-1]).reshape(-1, 8, 7, 6)
    assert rotated == pytest.approx(np.roll(upright, 4, axis=1)[:, :, ::-1, ::-1], abs=2e-3)


def test_mirroring_a_bitmap_mirrors_its_directions():
    upright = directions(DIGITS).reshape(-1, 8, 7, 6)
    mirrored = directions(DIGITS[:, :, ::-1]).reshape(-1, 8, 7, 6)
    assert mirrored == pytest.approx(upright[:, (4 - np.arange(8)) % 8][:, :, :, ::-1], abs=2e-3)


def test_an_edge_has_the_direction_of_its_gradient():
    image = np.zeros((1, 32, 32), np.uint8)
    image[:, :, 16:] = 255
    planes = directions(image).reshape(8, 7, 6)
    assert planes[0].max() > 0.1
    assert planes[1:].max() < 0.05 * planes[0].max()


def test_doubling_the_contrast_doubles_the_squared_features():
    faint, dark = DIGITS // 4, DIGITS // 4 * 2
    assert directions(dark) ** 2 == pytest.approx(2 * directions(faint) ** 2, abs=1e-4)


def test_different_digits_have_different_features():
    found = directions(DIGITS)
    apart = np.linalg.norm(found[:, None] - found[None], axis=2)
    assert apart[~np.eye(10, dtype=bool)].min() > 0.2 * np.linalg.norm(found, axis=1).mean()


@given(bitmaps)
@settings(max_examples=10)
def test_bitmaps_are_not_changed(images):
    before = images.copy()
    directions(images)
    assert np.array_equal(images, before)


@given(grids)
def test_enlarged_grids_are_bitmaps_with_nearly_the_same_ink(counts):
    before = counts.copy()
    drawn = enlarge(counts)
    assert (drawn.shape, drawn.dtype) == ((len(counts), 32, 32), np.uint8)
    assert np.array_equal(counts, before)
    assert np.abs(to_grids(drawn).astype(int) - counts).max() <= 6


def test_full_and_empty_grids_are_enlarged_to_ink_and_paper():
    assert (enlarge(np.full((1, 8, 8), 16, np.uint8)) == 255).all()
    assert not enlarge(np.zeros((1, 8, 8), np.uint8)).any()


def test_an_enlarged_grid_does_not_depend_on_the_others():
    counts = to_grids(DIGITS)
    assert np.array_equal(enlarge(counts)[3], enlarge(counts[3:4])[0])


def test_a_digit_has_similar_features_as_a_bitmap_and_as_an_enlarged_grid():
    one, other = directions(DIGITS), directions(enlarge(to_grids(DIGITS)))
    apart = np.linalg.norm(one[:, None] - other[None], axis=2)
    assert apart.argmin(axis=1).tolist() == list(range(10))


def test_no_filter_weight_is_small_enough_to_give_subnormal_numbers():
    for weights in (_BLUR, _SLOPE, _ROWS, _COLUMNS):
        assert (
            np.abs(weights[weights != 0]).min() > 1e-20
        )  # products of two weights are normal numbers too
        assert weights.shape[1] == BITMAP
