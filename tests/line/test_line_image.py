import numpy as np
import pytest
from drawings import HEIGHT, lay, write

from zipocr.line.line_image import (
    DIGIT_HEIGHT,
    INK_DARKNESS,
    LINE_HEIGHT,
    MARGIN,
    MAX_LENGTH,
    MIN_LENGTH,
    LineImage,
    rectify,
)
from zipocr.line.network import PIXELS_PER_STEP
from zipocr.preprocess.components import Components
from zipocr.preprocess.page import InkPage, ScaledPage, prepare, to_ink_page


def ink_page(page: np.ndarray) -> InkPage:
    found = prepare(page).ink
    assert found is not None
    return found


def strip_of(page: np.ndarray) -> LineImage:
    found = ink_page(page)
    return rectify(found, found.text_height)


def page_of(ink: np.ndarray, *, paper: int = 230) -> InkPage:
    """A page at line size that contains only this ink."""
    normalized = np.where(ink, 30, paper).astype(np.uint8)
    components = Components(ink)
    scaled = ScaledPage(
        page=normalized,
        normalized=normalized,
        threshold=130.0,
        components=components,
        text_height=20.0,
    )
    return to_ink_page(scaled, components, 20.0)


@pytest.mark.parametrize("text", ["1", "02346", "123456789"])
def test_strips_have_a_fixed_height_and_a_whole_number_of_steps(text):
    strip = strip_of(lay(write(text).cover, 235))
    assert strip.pixels.shape[:2] == (2, LINE_HEIGHT)
    assert strip.pixels.shape[2] % PIXELS_PER_STEP == 0
    assert MIN_LENGTH <= strip.pixels.shape[2] <= MAX_LENGTH


def test_digits_are_centred_at_the_target_height():
    strip = strip_of(lay(write("02346").cover, 235))
    rows = np.flatnonzero((strip.pixels[1] > 100).any(axis=1))
    assert rows[-1] - rows[0] + 1 == pytest.approx(DIGIT_HEIGHT, abs=2.5)
    assert (rows[0] + rows[-1]) / 2 == pytest.approx((LINE_HEIGHT - 1) / 2, abs=2)


@pytest.mark.parametrize("slope", [-0.12, 0.12])
def test_a_sloping_line_is_levelled(slope):
    cover = write("02346", margin=HEIGHT).cover
    shift = np.rint((np.arange(cover.shape[1]) - cover.shape[1] / 2) * slope).astype(int)
    skewed = np.stack(
        [np.roll(column, move) for column, move in zip(cover.T, shift, strict=True)], axis=1
    )
    strip = strip_of(lay(skewed, 235))
    ink = strip.pixels[1] > 100
    middles = [np.flatnonzero(part.any(axis=1)).mean() for part in np.array_split(ink, 5, axis=1)]
    assert np.ptp(middles) < 3


@pytest.mark.parametrize("paper", [250, 200, 150])
def test_ink_is_equally_dark_on_any_paper(paper):
    strip = strip_of(lay(write("02346").cover, paper))
    assert strip.pixels[0][strip.pixels[1] > 250].mean() == pytest.approx(INK_DARKNESS, abs=25)
    assert np.median(strip.pixels[0]) < 12


def test_a_strip_maps_back_to_its_place_on_the_page():
    page = ink_page(lay(write("02346").cover, 235))
    strip = rectify(page, page.text_height)
    rows, columns = np.nonzero(strip.pixels[1] > 200)
    x, y = np.rint(strip.to_page @ np.stack([columns, rows, np.ones(len(rows))])).astype(int)
    height, width = page.ink.shape
    inside = page.ink[y.clip(0, height - 1), x.clip(0, width - 1)]
    assert inside.mean() > 0.97


@pytest.mark.parametrize("scale", [1.0, 1 / 0.85, 0.5])
def test_a_smaller_digit_height_gives_a_larger_strip_of_the_same_area(scale):
    page = ink_page(lay(write("02346").cover, 235))
    strip = rectify(page, page.text_height / scale)
    rows, columns = np.nonzero(strip.pixels[1] > 127)
    assert np.ptp(rows) + 1 == pytest.approx(DIGIT_HEIGHT * scale, abs=2.5)
    ink = np.flatnonzero(page.ink.any(axis=0))
    places = [strip.to_page[0] @ [column, 15.5, 1] for column in (columns.min(), columns.max())]
    assert places == pytest.approx([ink[0], ink[-1]], abs=1.5 / scale)


def test_margins_before_and_after_the_ink_are_equal():
    ink = np.zeros((60, 200), np.bool_)
    ink[20:40, 60:140] = True
    strip = rectify(page_of(ink), 20.0)
    columns = np.flatnonzero(strip.pixels[1].max(axis=0) > 127)
    before, after = columns[0], strip.pixels.shape[2] - 1 - columns[-1]
    assert before == pytest.approx(MARGIN * DIGIT_HEIGHT, abs=1)
    assert 0 <= after - before < PIXELS_PER_STEP + 1


def test_partial_ink_coverage_is_kept():
    page = ink_page(lay(write("02346").cover, 235))
    shares = np.unique(page.coverage[page.coverage > 0])
    assert len(shares) > 10
    assert not np.array_equal(
        rectify(page, 22.0).pixels[1] > 0, rectify(page, 22.0).pixels[1] == 255
    )


def test_inputs_are_not_changed():
    page = ink_page(lay(write("02346").cover, 200, noise=6))
    before = [one.copy() for one in (page.scaled.normalized, page.coverage, page.ink)]
    rectify(page, page.text_height)
    now = (page.scaled.normalized, page.coverage, page.ink)
    assert all(map(np.array_equal, now, before))


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (3, 7), (90, 1000)])
@pytest.mark.parametrize("height", [4.0, 20.0, 44.0, 300.0])
def test_any_ink_on_any_page_gives_a_valid_strip(shape, height):
    ink = np.zeros(shape, np.bool_)
    ink[shape[0] // 2, [0, -1]] = True
    strip = rectify(page_of(ink), height)
    assert strip.pixels.dtype == np.uint8
    assert strip.pixels.shape[:2] == (2, LINE_HEIGHT)
    assert strip.pixels.shape[2] % PIXELS_PER_STEP == 0
    assert MIN_LENGTH <= strip.pixels.shape[2] <= MAX_LENGTH
    assert np.isfinite(strip.to_page).all()


def test_a_page_full_of_ink_gives_a_strip_without_darkness():
    strip = rectify(page_of(np.ones((60, 90), np.bool_)), 44.0)
    assert not strip.pixels[0].any()
    assert strip.pixels[1].any()


@pytest.mark.parametrize("slope", [-0.15, 0.0, 0.2])
def test_marks_on_a_strip_map_back_to_their_places_on_a_sloping_page(slope):
    ink = np.zeros((220, 420), np.bool_)
    spots = [(int(110 + slope * (column - 210)), column) for column in (40, 125, 210, 295, 380)]
    for row, column in spots:
        ink[row - 4 : row + 5, column - 4 : column + 5] = True
    strip = rectify(page_of(ink), 44.0)
    columns = np.flatnonzero((strip.pixels[1] > 127).any(axis=0))
    parts = np.split(columns, np.flatnonzero(np.diff(columns) > 3) + 1)
    assert len(parts) == len(spots)
    for part, (row, column) in zip(parts, spots, strict=True):
        rows, inside = np.nonzero(strip.pixels[1][:, part] > 127)
        x, y = strip.to_page @ [part[0] + inside.mean(), rows.mean(), 1]
        assert (x, y) == (pytest.approx(column, abs=1.6), pytest.approx(row, abs=1.6))
        assert rows.mean() == pytest.approx((LINE_HEIGHT - 1) / 2, abs=1)
