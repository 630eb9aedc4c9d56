import drawings
import numpy as np
import pytest
from drawings import write
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from zipocr.classify.normalize import to_bitmap, to_grids
from zipocr.types import InkMask

masks = arrays(np.bool_, st.tuples(st.integers(1, 60), st.integers(1, 60))).filter(np.any)
DIGITS = "0123456789"


def glyph(letter: str, **options: float) -> InkMask:
    ink = write(letter, **options).ink
    box = drawings.box_of(ink)
    return ink[box.top : box.bottom, box.left : box.right]


def dissimilarity(one: np.ndarray, other: np.ndarray) -> float:
    """Total difference between two bitmaps as a share of their ink."""
    return float(np.abs(one.astype(float) - other).sum() / (one.astype(float) + other).sum())


@given(ink=masks)
def test_any_ink_gives_a_bitmap_with_ink_and_a_grid_of_counts(ink):
    bitmap = to_bitmap(ink)
    assert (bitmap.shape, bitmap.dtype) == ((32, 32), np.uint8)
    assert bitmap.any()
    grid = to_grids(bitmap[None])[0]
    assert (grid.shape, grid.dtype) == ((8, 8), np.uint8)
    assert grid.max() <= 16


@given(ink=masks, margin=st.tuples(*[st.integers(0, 9)] * 4))
def test_the_margin_does_not_matter(ink, margin):
    top, left, bottom, right = margin
    moved = to_bitmap(np.pad(ink, ((top, bottom), (left, right))))
    assert np.abs(moved.astype(int) - to_bitmap(ink)).max() <= 2


@given(ink=masks)
def test_the_ink_is_not_changed(ink):
    before = ink.copy()
    to_bitmap(ink)
    assert np.array_equal(ink, before)


@given(ink=masks)
def test_the_memory_layout_of_the_mask_does_not_matter(ink):
    wide = np.ones((ink.shape[0] + 2, ink.shape[1] + 4), bool)
    wide[1:-1, 2:-2] = ink
    assert np.array_equal(to_bitmap(wide[1:-1, 2:-2]), to_bitmap(ink))
    assert np.array_equal(to_bitmap(np.asfortranarray(ink)), to_bitmap(ink))


@pytest.mark.parametrize("letter", DIGITS)
def test_a_digit_spans_its_grid_from_the_top_row_to_the_bottom_row(letter):
    grid = to_grids(to_bitmap(glyph(letter))[None])[0]
    assert grid[0].any()
    assert grid[7].any()


@pytest.mark.parametrize("letter", DIGITS)
def test_a_digit_is_centred_with_empty_columns_on_both_sides(letter):
    bitmap = to_bitmap(glyph(letter)) > 127
    occupied = np.flatnonzero(bitmap.any(axis=0))
    assert not bitmap[:, :5].any()
    assert not bitmap[:, -5:].any()
    assert abs(occupied[0] + occupied[-1] - 31) <= 2


@pytest.mark.parametrize("letter", DIGITS.replace("1", ""))
def test_narrow_and_wide_writing_gives_nearly_the_same_bitmap(letter):
    assert (
        dissimilarity(to_bitmap(glyph(letter, width=26)), to_bitmap(glyph(letter, width=36))) < 0.2
    )


@pytest.mark.parametrize("letter", DIGITS)
def test_size_does_not_matter(letter):
    small, large = glyph(letter), glyph(letter, height=132, width=78, stroke=15)
    assert dissimilarity(to_bitmap(small), to_bitmap(large)) < 0.15


@pytest.mark.parametrize("slant", [-0.3, 0.15, 0.4])
@pytest.mark.parametrize("letter", DIGITS)
def test_slant_hardly_matters(letter, slant):
    large = {"height": 88, "width": 52, "stroke": 10}
    upright, leaning = (
        to_bitmap(glyph(letter, **large)),
        to_bitmap(glyph(letter, **large, slant=slant)),
    )
    assert dissimilarity(upright, leaning) < 0.25


@pytest.mark.parametrize("slant", [0.0, 0.3])
@pytest.mark.parametrize("width", [3, 5, 7])
def test_a_one_is_not_stretched_into_a_wide_bar(width, slant):
    bitmap = to_bitmap(glyph("1", stroke=width, slant=slant))
    assert (bitmap > 127).any(axis=0).sum() <= 12
    assert (bitmap > 127).any(axis=1).sum() >= 30


@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (1, 2), (1, 90), (31, 1), (3, 200)])
def test_dots_and_lines_are_centred_in_the_bitmap(shape):
    bitmap = to_bitmap(np.ones(shape, bool))
    assert (bitmap[8:-8, 15:17] > 60).all()


@pytest.mark.parametrize("letter", DIGITS)
def test_the_amount_of_ink_is_kept_up_to_the_resolution_of_the_grid(letter):
    bitmap = to_bitmap(glyph(letter))
    assert to_grids(bitmap[None]).sum() == pytest.approx(bitmap.sum() / 255, rel=0.03)


@given(st.integers(0, 9999))
def test_grids_count_the_ink_in_their_blocks(seed):
    bitmaps = np.random.default_rng(seed).integers(0, 2, (3, 32, 32)).astype(np.uint8) * 255
    counts = [
        [[(one[y : y + 4, x : x + 4] > 0).sum() for x in range(0, 32, 4)] for y in range(0, 32, 4)]
        for one in bitmaps
    ]
    assert np.array_equal(to_grids(bitmaps), counts)


@given(arrays(np.uint8, (2, 8, 8), elements=st.integers(0, 16)))
def test_grids_survive_a_round_trip_through_bitmaps(grids):
    blocks = np.rint(grids * (255 / 16)).astype(np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    assert np.array_equal(to_grids(blocks), grids)


def test_no_bitmaps_give_no_grids():
    assert to_grids(np.zeros((0, 32, 32), np.uint8)).shape == (0, 8, 8)


def test_full_and_empty_bitmaps_give_counts_of_16_and_0():
    assert np.unique(
        to_grids(np.stack([np.full((32, 32), 255, np.uint8), np.zeros((32, 32), np.uint8)]))
    ).tolist() == [0, 16]


def test_a_slanted_digit_is_most_similar_to_the_same_digit_upright():
    bitmaps = {letter: to_bitmap(glyph(letter)) for letter in DIGITS}
    for letter in DIGITS:
        leaning = to_bitmap(glyph(letter, slant=0.2))
        assert min(DIGITS, key=lambda other: dissimilarity(leaning, bitmaps[other])) == letter


def binary_coverage(ink: InkMask) -> np.ndarray:
    """Coverage of pixels that are all ink or none, padded by one pixel."""
    return np.pad(ink, 1).astype(np.uint8) * np.uint8(255)


@given(ink=masks)
def test_full_coverage_gives_the_same_bitmap_as_ink_alone(ink):
    drawn, alone = to_bitmap(ink, binary_coverage(ink)), to_bitmap(ink)
    assert np.abs(drawn.astype(int) - alone).max() <= 2


@pytest.mark.parametrize("letter", DIGITS)
def test_partial_coverage_beside_the_ink_thickens_strokes_on_that_side(letter):
    ink = glyph(letter)
    coverage = binary_coverage(ink)
    beside = np.zeros_like(coverage, bool)
    beside[:, 1:] = (coverage[:, :-1] > 0) & (coverage[:, 1:] == 0)
    right = np.where(beside, 120, coverage).astype(np.uint8)
    drawn, alone = to_bitmap(ink, right).astype(int), to_bitmap(ink).astype(int)
    assert drawn.sum() > alone.sum()
    columns = np.arange(32)
    moved = (drawn.sum(axis=0) @ columns) / drawn.sum() - (
        alone.sum(axis=0) @ columns
    ) / alone.sum()
    assert 0 < moved < 1


def test_coverage_sets_how_dark_ink_is_and_the_mask_where_it_is():
    ink = glyph("8")
    half = to_bitmap(ink, binary_coverage(ink) // 2).astype(int)
    assert half == pytest.approx(to_bitmap(ink, binary_coverage(ink)) / 2, abs=2)


def test_coverage_is_not_changed():
    ink = glyph("3")
    coverage = binary_coverage(ink)
    before = coverage.copy()
    to_bitmap(ink, coverage)
    assert np.array_equal(coverage, before)
