import numpy as np
import pytest
from drawings import HEIGHT, lay, write

from zipocr.prepare import Binarization, find_ink, to_glance_size, to_working_size
from zipocr.sequence.strip import DIGIT_HEIGHT, INK_LEVEL, LEAST_LENGTH, MOST_LENGTH, STRIP_HEIGHT, Strip, straighten


def strip_of(page: np.ndarray) -> Strip:
    inked = find_ink(to_working_size(page), Binarization.OTSU)
    assert inked is not None
    return straighten(inked.sheet.flat, inked.ink, inked.height)


@pytest.mark.parametrize("text", ["1", "02346", "123456789"])
def test_strips_are_of_one_height_and_of_even_length(text):
    strip = strip_of(lay(write(text).cover, 235))
    assert strip.pixels.shape[:2] == (2, STRIP_HEIGHT)
    assert strip.pixels.shape[2] % 2 == 0
    assert LEAST_LENGTH <= strip.pixels.shape[2] <= MOST_LENGTH


def test_digits_stand_in_the_middle_at_their_height():
    strip = strip_of(lay(write("02346").cover, 235))
    rows = np.flatnonzero((strip.pixels[1] > 100).any(axis=1))
    assert rows[-1] - rows[0] + 1 == pytest.approx(DIGIT_HEIGHT, abs=2.5)
    assert (rows[0] + rows[-1]) / 2 == pytest.approx((STRIP_HEIGHT - 1) / 2, abs=2)


@pytest.mark.parametrize("slope", [-0.12, 0.12])
def test_a_line_that_climbs_or_falls_is_levelled(slope):
    cover = write("02346", margin=HEIGHT).cover
    shift = np.rint((np.arange(cover.shape[1]) - cover.shape[1] / 2) * slope).astype(int)
    skewed = np.stack([np.roll(column, move) for column, move in zip(cover.T, shift, strict=True)], axis=1)
    strip = strip_of(lay(skewed, 235))
    ink = strip.pixels[1] > 100
    middles = [np.flatnonzero(part.any(axis=1)).mean() for part in np.array_split(ink, 5, axis=1)]
    assert np.ptp(middles) < 3


@pytest.mark.parametrize("paper", [250, 200, 150])
def test_ink_is_as_dark_on_any_paper(paper):
    strip = strip_of(lay(write("02346").cover, paper))
    assert strip.pixels[0][strip.pixels[1] > 250].mean() == pytest.approx(INK_LEVEL, abs=25)
    assert np.median(strip.pixels[0]) < 12


def test_a_strip_knows_where_it_lay_on_the_page():
    page = lay(write("02346").cover, 235)
    inked = find_ink(to_working_size(page), Binarization.OTSU)
    strip = straighten(inked.sheet.flat, inked.ink, inked.height)
    rows, columns = np.nonzero(strip.pixels[1] > 200)
    x, y = strip.to_page @ np.stack([columns, rows, np.ones(len(rows))])
    inside = inked.ink[
        np.clip(np.rint(y), 0, inked.ink.shape[0] - 1).astype(int), np.clip(np.rint(x), 0, inked.ink.shape[1] - 1).astype(int)
    ]
    assert inside.mean() > 0.97


@pytest.mark.parametrize("paper", [250, 160])
def test_of_small_digits_pixels_that_are_ink_in_part_count_in_part(paper):
    page = lay(write("02346").cover, paper)
    inked = find_ink(to_glance_size(page), Binarization.OTSU)
    hard, soft = (straighten(inked.sheet.flat, inked.ink, inked.height, level).pixels[1].astype(float) for level in (None, inked.level))
    large = strip_of(page).pixels[1].astype(float)
    # As the same page looks where every pixel is four.
    length = min(hard.shape[1], large.shape[1])
    far = [np.abs(one[:, :length] - large[:, :length]).mean() for one in (hard, soft)]
    assert far[1] < far[0]
    assert not (soft[hard == 0] > 200).any()


def test_nothing_given_is_changed():
    inked = find_ink(to_working_size(lay(write("02346").cover, 200, noise=6)), Binarization.OTSU)
    flat, ink = inked.sheet.flat.copy(), inked.ink.copy()
    straighten(inked.sheet.flat, inked.ink, inked.height)
    assert np.array_equal(inked.sheet.flat, flat)
    assert np.array_equal(inked.ink, ink)


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (3, 7), (90, 1000)])
@pytest.mark.parametrize("height", [4.0, 20.0, 44.0, 300.0])
def test_any_ink_on_any_page_is_a_strip(shape, height):
    ink = np.zeros(shape, np.bool_)
    ink[shape[0] // 2, [0, -1]] = True
    flat = np.where(ink, 30, 230).astype(np.uint8)
    strip = straighten(flat, ink, height)
    assert strip.pixels.dtype == np.uint8
    assert strip.pixels.shape[:2] == (2, STRIP_HEIGHT)
    assert strip.pixels.shape[2] % 2 == 0
    assert LEAST_LENGTH <= strip.pixels.shape[2] <= MOST_LENGTH
    assert np.isfinite(strip.to_page).all()


def test_a_page_of_nothing_but_ink_is_a_strip_without_darkness():
    strip = straighten(np.full((60, 90), 40, np.uint8), np.ones((60, 90), np.bool_), 44.0)
    assert not strip.pixels[0].any()
    assert strip.pixels[1].any()


@pytest.mark.parametrize("slope", [-0.15, 0.0, 0.2])
def test_the_map_brings_a_mark_of_the_strip_back_to_its_place_on_a_sloping_page(slope):
    ink = np.zeros((220, 420), np.bool_)
    spots = [(int(110 + slope * (column - 210)), column) for column in (40, 125, 210, 295, 380)]
    for row, column in spots:
        ink[row - 4 : row + 5, column - 4 : column + 5] = True
    strip = straighten(np.where(ink, 30, 230).astype(np.uint8), ink, 44.0)
    columns = np.flatnonzero((strip.pixels[1] > 127).any(axis=0))
    parts = np.split(columns, np.flatnonzero(np.diff(columns) > 3) + 1)
    assert len(parts) == len(spots)
    for part, (row, column) in zip(parts, spots, strict=True):
        rows, inside = np.nonzero(strip.pixels[1][:, part] > 127)
        x, y = strip.to_page @ [part[0] + inside.mean(), rows.mean(), 1]
        assert (x, y) == (pytest.approx(column, abs=1.6), pytest.approx(row, abs=1.6))
        assert rows.mean() == pytest.approx((STRIP_HEIGHT - 1) / 2, abs=1)
