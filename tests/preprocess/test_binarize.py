import cv2
import drawings
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from zipocr.preprocess.binarize import (
    BACKGROUND_SHRINK,
    BACKGROUND_SIDE,
    MAX_GAP,
    close_gaps,
    darken_pale,
    normalize_background,
    otsu,
)

TEXT = "02346"
WRITTEN = drawings.write(TEXT)
SHAPE = WRITTEN.cover.shape
BRIGHTENING = np.linspace(120, 250, SHAPE[1]) * np.ones(SHAPE)
FOLD = 235 - 90 * np.exp(-(((np.arange(SHAPE[1]) - SHAPE[1] / 2) / 30) ** 2)) * np.ones(SHAPE)
PAGES = {
    "white": drawings.lay(WRITTEN.cover, 255),
    "black ink": drawings.lay(WRITTEN.cover, 255, ink=0),
    "kraft": drawings.lay(WRITTEN.cover, 165),
    "faint on kraft": drawings.lay(WRITTEN.cover, 165, ink=110),
    "shaded": drawings.lay(WRITTEN.cover, BRIGHTENING),
    "shaded from above": drawings.lay(
        WRITTEN.cover, np.linspace(240, 130, SHAPE[0])[:, None] * np.ones(SHAPE)
    ),
    "folded": drawings.lay(WRITTEN.cover, FOLD),
    "noisy": drawings.lay(WRITTEN.cover, 225, noise=12),
}
shapes = st.tuples(st.integers(1, 40), st.integers(1, 40))


def threshold(flat):
    return otsu(flat)[1]


@pytest.mark.parametrize("paper", PAGES)
def test_ink_is_found_on_every_kind_of_paper(paper):
    assert drawings.likeness(threshold(normalize_background(PAGES[paper])), WRITTEN.ink) > 0.93


@pytest.mark.parametrize("paper", ["kraft", "shaded", "shaded from above", "folded"])
def test_ink_on_tinted_or_uneven_paper_matches_that_on_white(paper):
    assert (
        drawings.likeness(
            threshold(normalize_background(PAGES[paper])),
            threshold(normalize_background(PAGES["white"])),
        )
        > 0.9
    )


@pytest.mark.parametrize("paper", PAGES)
def test_normalized_background_is_white_and_the_ink_stays_dark(paper):
    flat = normalize_background(PAGES[paper])
    bare = flat[WRITTEN.cover == 0]
    assert np.median(bare) > 235
    assert np.median(flat[WRITTEN.ink]) < np.median(bare) - 60


def test_background_normalization_removes_shading():
    bare = WRITTEN.cover == 0
    assert np.ptp(PAGES["shaded"][bare].astype(int)) > 120
    assert (
        np.percentile(normalize_background(PAGES["shaded"])[bare], 98)
        - np.percentile(normalize_background(PAGES["shaded"])[bare], 2)
        < 30
    )


def test_a_large_page_is_normalized_as_a_small_one_is():
    page = PAGES["shaded"]
    large = cv2.resize(page, None, fx=20, fy=20, interpolation=cv2.INTER_LINEAR)
    assert min(large.shape) > 2 * BACKGROUND_SHRINK * BACKGROUND_SIDE
    small = cv2.resize(normalize_background(large), page.shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - normalize_background(page)).mean() < 4


def test_the_page_is_not_changed():
    page = PAGES["shaded"].copy()
    flat = normalize_background(page)
    assert np.array_equal(page, PAGES["shaded"])
    before = flat.copy()
    threshold(flat)
    assert np.array_equal(flat, before)


def test_a_view_into_a_larger_array_gives_the_same_ink_as_a_contiguous_page():
    page = PAGES["shaded"]
    wide = np.full((SHAPE[0] + 8, SHAPE[1] + 10), 77, np.uint8)
    wide[3:-5, 4:-6] = page
    assert np.array_equal(
        threshold(normalize_background(wide[3:-5, 4:-6])), threshold(normalize_background(page))
    )


@given(shape=shapes, seed=st.integers(0, 99))
def test_ink_has_the_shape_of_the_page(shape, seed):
    page = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    flat = normalize_background(page)
    assert (flat.shape, flat.dtype) == (shape, np.uint8)
    ink = threshold(flat)
    assert (ink.shape, ink.dtype) == (shape, np.bool_)


@given(shape=shapes, gray=st.integers(0, 255))
def test_a_uniform_page_is_all_ink_or_all_paper(shape, gray):
    page = np.full(shape, gray, np.uint8)
    assert len(np.unique(threshold(normalize_background(page)))) == 1


@pytest.mark.parametrize("paper", PAGES)
def test_pixels_up_to_the_threshold_are_ink(paper):
    flat = normalize_background(PAGES[paper])
    level, ink = otsu(flat)
    assert np.array_equal(ink, flat <= level)


@pytest.mark.parametrize("gray", [60, 165, 255])
def test_an_empty_page_has_no_ink_by_the_global_threshold(gray):
    assert not otsu(normalize_background(np.full((60, 200), gray, np.uint8)))[1].any()


def test_pale_strokes_next_to_dark_ones_are_darkened_but_paper_is_not():
    """The left half of the writing is printed at a third of full strength."""
    strength = np.where(np.arange(SHAPE[1]) < SHAPE[1] // 2, 0.33, 1.0)
    page = drawings.lay(WRITTEN.cover * strength, 235, noise=3)
    pale, ink = np.s_[:, : SHAPE[1] // 2], WRITTEN.ink
    assert drawings.likeness(threshold(normalize_background(page))[pale], ink[pale]) < 0.5
    darkened = threshold(darken_pale(page))
    assert drawings.likeness(darkened[pale], ink[pale]) > 0.8
    assert drawings.likeness(darkened, ink) > 0.8


@given(arrays(np.uint8, shapes))
def test_darkening_keeps_the_shape_of_any_page(page):
    darkened = darken_pale(page)
    assert (darkened.shape, darkened.dtype) == (page.shape, page.dtype)


@pytest.mark.parametrize(("scale", "shrunk"), [(1, 1), (4, 2)])
def test_gaps_between_dots_are_closed_on_a_reduced_page_if_they_are_wide(scale, shrunk):
    dots = np.full((40, 120), 255, np.uint8)
    for row in range(5):
        dots[16:21, 10 + row : 110 : 7] = 0
    page = np.kron(dots, np.ones((scale, scale), np.uint8))
    closed = close_gaps(page, 8.0 * scale)
    assert closed.shape == (page.shape[0] // shrunk, page.shape[1] // shrunk)
    assert 8.0 * scale / shrunk <= MAX_GAP
    middle = closed[closed.shape[0] * 18 // 40, closed.shape[1] // 6 : closed.shape[1] * 5 // 6]
    assert middle.max() < 128
