import cv2
import numpy as np
import pytest
from drawings import Written, lay, likeness, write

from zipocr.preprocess.components import Components
from zipocr.preprocess.page import (
    MAX_TEXT_HEIGHT,
    MIN_TEXT_HEIGHT,
    TEXT_HEIGHT,
    InkPage,
    ScaledPage,
    prepare,
    to_ink_page,
    to_line_size,
)
from zipocr.types import GrayImage, Reason

SMALL = {"height": 22, "width": 14, "gap": 8, "margin": 12, "stroke": 3}
WRITTEN: dict[str, Written] = {
    "upright": write("02346", **SMALL),
    "leaning": write("71417", **SMALL, slant=0.3),
}


def of_height(height: int) -> GrayImage:
    written = write(
        "60614",
        height=height,
        width=height * 5 // 8,
        gap=height // 3,
        margin=height // 2,
        stroke=max(2, height // 9),
    )
    return lay(written.cover, 235)


def ink_of(page: GrayImage) -> InkPage:
    found = prepare(page).ink
    assert found is not None
    return found


def upside_down(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[::-1, ::-1])


@pytest.mark.parametrize("height", [10, 14, 22, 44, 80, 130])
def test_pages_are_scaled_to_one_digit_size(height):
    page = of_height(height)
    found = ink_of(page)
    assert MIN_TEXT_HEIGHT * 0.9 <= found.text_height <= MAX_TEXT_HEIGHT * 1.1
    shape = found.scaled.page.shape
    assert found.scaled.page.dtype == np.uint8
    assert shape[1] / shape[0] == pytest.approx(page.shape[1] / page.shape[0], rel=0.06)
    assert found.ink.shape == found.coverage.shape == found.scaled.normalized.shape == shape
    assert len(found.components.boxes) == 5


def test_enlarged_small_digits_have_about_the_target_height():
    assert ink_of(of_height(10)).text_height == pytest.approx(TEXT_HEIGHT, rel=0.2)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 2), (3, 500)])
def test_pages_too_small_to_halve_are_handled(shape):
    page = np.full(shape, 230, np.uint8)
    assert to_line_size(page).text_height == 0
    page[0, 0] = 0
    assert prepare(page).ink is None


@pytest.mark.parametrize("gray", [90, 170, 255])
def test_uniform_paper_has_no_ink(gray):
    found = prepare(np.full((80, 200), gray, np.uint8))
    assert found.ink is None
    assert found.reason is Reason.NO_INK


@pytest.mark.parametrize("paper", [245, 165])
@pytest.mark.parametrize("name", WRITTEN)
def test_all_writing_is_found_and_nothing_else(name, paper):
    written = WRITTEN[name]
    # Twice as large, so that halving the page gives these digits.
    cover = written.cover.repeat(2, axis=0).repeat(2, axis=1)
    found = ink_of(lay(cover, paper))
    assert found.ink.shape == written.ink.shape
    assert likeness(found.ink, written.ink) > 0.75
    assert found.text_height == pytest.approx(22, rel=0.15)


@pytest.mark.parametrize("paper", [245, 165])
def test_paper_and_contrast_are_measured_on_the_page(paper):
    cover = WRITTEN["upright"].cover.repeat(2, axis=0).repeat(2, axis=1)
    dark, faint = (ink_of(lay(cover, paper, ink=gray)) for gray in (30, paper * 0.6))
    for found in (dark, faint):
        assert found.paper == pytest.approx(np.median(found.scaled.normalized), abs=3)
        drawn = found.scaled.normalized[found.ink]
        assert found.contrast == pytest.approx(found.paper - drawn.mean(), abs=1e-3)
    assert dark.contrast > 1.5 * faint.contrast > 0


def test_coverage_is_the_share_of_ink_and_ends_one_pixel_outside_it():
    found = ink_of(lay(write("02346").cover, 235))
    coverage, ink = found.coverage, found.ink
    assert coverage[ink].min() >= 100
    assert coverage[~ink].max() <= 155
    around = np.zeros_like(ink)
    for row, column in np.argwhere(ink):
        around[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = True
    assert not coverage[~around].any()
    rims = coverage[around & ~ink]
    assert rims.any()
    assert len(np.unique(coverage)) > 20


def test_darker_ink_pixels_have_higher_coverage():
    found = ink_of(lay(WRITTEN["upright"].cover.repeat(2, axis=0).repeat(2, axis=1), 220))
    shown = found.coverage[found.ink]
    order = np.argsort(found.scaled.normalized[found.ink], kind="stable")
    assert (np.diff(shown[order].astype(int)) <= 0).all()


def test_rules_and_specks_are_not_ink():
    cover = write("02346").cover.copy()
    cover[70:73] = 1
    cover[4:6, 4:6] = 1
    bare = ink_of(lay(write("02346").cover, 235))
    found = ink_of(lay(cover, 235))
    assert likeness(found.ink, bare.ink) > 0.9


def test_digits_that_a_line_joins_to_a_frame_are_still_scaled_to_line_size():
    digits = write("02346", margin=60)
    cover, (tall, wide) = digits.cover.copy(), digits.cover.shape
    cv2.rectangle(cover, (2, 2), (wide - 3, tall - 3), 1, 3)
    cover[80:83] = 1
    found = ink_of(lay(cover, 235))
    assert MIN_TEXT_HEIGHT <= found.text_height <= MAX_TEXT_HEIGHT
    small = cv2.resize(
        digits.ink.view(np.uint8), found.ink.shape[::-1], interpolation=cv2.INTER_AREA
    )
    assert likeness(found.ink, small.view(bool)) > 0.75


def test_the_page_is_not_changed():
    page = lay(WRITTEN["upright"].cover, 200, noise=8)
    before = page.copy()
    prepare(page)
    assert np.array_equal(page, before)


@pytest.mark.parametrize("name", WRITTEN)
def test_rotating_a_prepared_page_matches_preparing_the_rotated_page(name):
    # With even sides, so that halving starts at the same pixel.
    cover = WRITTEN[name].cover.repeat(2, axis=0).repeat(2, axis=1)
    page = lay(cover, 235)
    rotated, again = prepare(page).rotated_180(), prepare(upside_down(page))
    assert rotated.ink is not None
    assert again.ink is not None
    assert np.array_equal(rotated.page, again.page)
    assert np.array_equal(rotated.ink.scaled.page, again.ink.scaled.page)
    assert rotated.reason is again.reason is None
    assert likeness(rotated.ink.ink, again.ink.ink) > 0.98
    assert rotated.ink.text_height == pytest.approx(again.ink.text_height, abs=1)
    difference = np.abs(rotated.ink.coverage.astype(int) - again.ink.coverage)
    assert difference.mean() < 1


def test_rotating_a_page_twice_restores_it():
    found = prepare(lay(WRITTEN["leaning"].cover, 235))
    again = found.rotated_180().rotated_180()
    assert found.ink is not None
    assert again.ink is not None
    for one, other in (
        (found.page, again.page),
        (found.ink.ink, again.ink.ink),
        (found.ink.coverage, again.ink.coverage),
        (found.ink.scaled.normalized, again.ink.scaled.normalized),
        (found.ink.components.boxes, again.ink.components.boxes),
    ):
        assert np.array_equal(one, other)


def test_a_blank_page_can_be_rotated():
    rotated = prepare(np.full((50, 90), 255, np.uint8)).rotated_180()
    assert (rotated.ink, rotated.reason) == (None, Reason.NO_INK)


@pytest.mark.parametrize(("count", "reason"), [(1, None), (3, Reason.SEVERAL_LINES)])
def test_several_lines_are_reported_either_way_up(count, reason):
    page = lay(np.vstack([write("02346").cover] * count), 235)
    found = prepare(page)
    assert found.reason is reason
    assert found.rotated_180().reason is reason


def test_dust_on_a_large_sheet_is_not_enlarged_into_writing():
    page = np.full((1000, 3000), 230, np.uint8)
    page[np.random.default_rng(0).random(page.shape) < 0.001] = 20
    scaled, found = to_line_size(page), prepare(page)
    assert scaled.text_height == 0
    assert scaled.page.size <= page.size
    assert (found.ink, found.reason) == (None, Reason.NO_INK)


def test_coverage_at_the_threshold_is_one_half():
    ink = np.zeros((30, 60), np.bool_)
    ink[10:20, 20:40] = True
    normalized = np.where(ink, 100, 200).astype(np.uint8)
    normalized[9, 20:40], normalized[20, 20:40] = 151, 176
    scaled = ScaledPage(
        page=normalized,
        normalized=normalized,
        threshold=150.0,
        components=Components(ink),
        text_height=10.0,
    )
    coverage = to_ink_page(scaled, Components(ink), 10.0).coverage
    assert coverage[15, 30] == 255
    assert coverage[9, 30] == pytest.approx(127.5, abs=2)
    assert coverage[20, 30] == pytest.approx(127.5 - 255 * 0.25, abs=3)
    assert not coverage[5].any()
