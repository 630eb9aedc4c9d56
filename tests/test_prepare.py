import time

import numpy as np
import pytest
from drawings import HEIGHT, Written, lay, likeness, write

from zipocr.prepare import (
    GLANCE,
    WORKING,
    Binarization,
    clear_for_glance,
    find_ink,
    half_turned,
    segment,
    settings_hash,
    to_glance_size,
    to_working_size,
)
from zipocr.shrink import MOST_PIXELS, reduced

WRITTEN: dict[str, Written] = {"upright": write("02346"), "leaning": write("71417", slant=0.3)}


@pytest.mark.parametrize("height", [14, 22, 80, 130])
def test_pages_are_brought_to_one_size_of_digits(height):
    page = lay(
        write("60614", height=height, width=height * 5 // 8, gap=height // 3, margin=height // 2, stroke=max(2, height // 9)).cover, 235
    )
    sized = to_working_size(page).page
    inked = find_ink(to_working_size(page), Binarization.OTSU)
    assert inked is not None
    assert inked.height == pytest.approx(HEIGHT, rel=0.3)
    assert sized.dtype == np.uint8
    assert sized.shape[1] / sized.shape[0] == pytest.approx(page.shape[1] / page.shape[0], rel=0.03)


@pytest.mark.parametrize("height", [10, 14, 22, 44, 80, 130])
def test_for_a_glance_pages_are_brought_to_half_of_that(height):
    page = lay(
        write("60614", height=height, width=height * 5 // 8, gap=height // 3, margin=height // 2, stroke=max(2, height // 9)).cover, 235
    )
    sheet = to_glance_size(page)
    inked = find_ink(sheet, Binarization.OTSU)
    assert inked.level == sheet.level
    assert inked.height == pytest.approx(HEIGHT / 2, rel=0.3)
    assert sheet.page.shape[1] / sheet.page.shape[0] == pytest.approx(page.shape[1] / page.shape[0], rel=0.05)
    assert len(inked.parts.boxes) == len(find_ink(to_working_size(page), Binarization.OTSU).parts.boxes)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 2), (3, 500)])
def test_pages_too_small_to_halve_are_looked_at_as_well(shape):
    page = np.full(shape, 230, np.uint8)
    assert to_glance_size(page).height == 0
    page[0, 0] = 0
    assert find_ink(to_glance_size(page), Binarization.OTSU) is None


@pytest.mark.parametrize("page", [lay(WRITTEN["upright"].cover, 235), np.full((50, 90), 255, np.uint8)], ids=["the right size", "blank"])
def test_a_page_of_the_right_size_and_a_blank_one_stay_as_they_are(page):
    assert np.array_equal(to_working_size(page).page, page)


@pytest.mark.parametrize("binarization", Binarization)
@pytest.mark.parametrize("paper", [245, 165])
@pytest.mark.parametrize("name", WRITTEN)
def test_writing_is_found_by_every_binarization(name, paper, binarization):
    inked = find_ink(to_working_size(lay(WRITTEN[name].cover, paper)), binarization)
    assert likeness(inked.ink, WRITTEN[name].ink) > 0.8
    assert inked.height == pytest.approx(HEIGHT, rel=0.15)


@pytest.mark.parametrize("binarization", Binarization)
@pytest.mark.parametrize("gray", [90, 170, 255])
def test_even_paper_holds_no_ink(gray, binarization):
    assert find_ink(to_working_size(np.full((80, 200), gray, np.uint8)), binarization) is None


def test_the_page_is_not_changed():
    page = lay(WRITTEN["upright"].cover, 200, noise=8)
    before = page.copy()
    segment(find_ink(to_working_size(page), Binarization.WOLF))
    assert np.array_equal(page, before)


def test_only_whole_components_are_regions_unless_cutting_is_allowed():
    inked = find_ink(to_working_size(lay(WRITTEN["upright"].cover, 235)), Binarization.OTSU)
    whole, cut = segment(inked, through=False), segment(inked)
    assert 5 <= len(whole.lattice.regions) < len(cut.lattice.regions)
    assert not whole.cuts.costs.any()
    assert np.array_equal(whole.ink, cut.ink)


def test_the_hash_of_the_settings_is_short_and_tells_of_a_changed_setting(monkeypatch: pytest.MonkeyPatch):
    before = settings_hash()
    assert len(before) == 16
    assert int(before, 16) >= 0
    assert settings_hash() == before
    monkeypatch.setattr("zipocr.prepare.WORKING", WORKING._replace(height=45))
    changed = settings_hash()
    monkeypatch.setattr("zipocr.prepare.GLANCE", GLANCE._replace(softening=0.6))
    assert len({before, changed, settings_hash()}) == 3


@pytest.mark.parametrize("name", WRITTEN)
def test_a_page_upside_down_shows_what_it_shows_when_it_is_laid_so(name):
    page = lay(WRITTEN[name].cover, 235)
    turned = half_turned(find_ink(to_working_size(page), Binarization.OTSU))
    again = find_ink(to_working_size(np.ascontiguousarray(page[::-1, ::-1])), Binarization.OTSU)
    assert np.array_equal(turned.sheet.page, again.sheet.page)
    assert likeness(turned.ink, again.ink) > 0.99
    assert turned.height == pytest.approx(again.height, abs=1)


def test_dust_on_a_large_sheet_is_not_enlarged_into_writing():
    page = np.full((1000, 3000), 230, np.uint8)
    page[np.random.default_rng(0).random(page.shape) < 0.001] = 20
    for sized in (to_glance_size(page), to_working_size(page)):
        assert sized.height == 0
        assert sized.page.size <= page.size
        assert find_ink(sized, Binarization.OTSU) is None


def checkerboard(side, field):
    rows = np.arange(side) // field % 2
    return np.where(rows[:, None] ^ rows, 255, 0).astype(np.uint8)


@pytest.mark.parametrize(
    "page",
    [np.full((5_000, 7_000), 255, np.uint8), checkerboard(7_000, 16), checkerboard(2_000, 8)],
    ids=["blank", "large checkerboard", "checkerboard"],
)
def test_a_large_page_without_writing_is_told_at_once(page):
    began = time.process_time()
    _, sheet = clear_for_glance(page)
    assert sheet.height == 0
    assert time.process_time() - began < 3


def test_a_large_page_is_told_from_its_reduced_image_and_others_as_they_are():
    written = write("60614", height=300, width=190, gap=100, margin=900, stroke=33)
    large = lay(written.cover, 235)
    assert large.size > MOST_PIXELS
    page, sheet = clear_for_glance(large)
    assert page.size <= MOST_PIXELS
    assert sheet.height > 0
    small = lay(WRITTEN["upright"].cover, 235)
    assert clear_for_glance(small)[0] is small


def test_a_page_of_one_row_is_reduced_no_further():
    page = np.zeros((1, MOST_PIXELS + 1), np.uint8)
    assert reduced(page) is page
