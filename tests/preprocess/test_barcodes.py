from functools import partial

import cv2
import numpy as np
import pytest
from disturbed import share_read_alike
from drawings import lay, likeness, write

from zipocr.models.model_file import load_model
from zipocr.preprocess.barcodes import MAX_BOXES, MIN_BARS, find_bars, without_barcodes
from zipocr.preprocess.binarize import normalize_background, otsu
from zipocr.preprocess.components import Components
from zipocr.preprocess.page import prepare
from zipocr.reader import Reader
from zipocr.types import GrayImage, InkMask, Reason, Unread

KINDS = ("postnet", "intelligent mail")


def with_barcode(
    page: GrayImage,
    *,
    kind: str,
    above: bool = False,
    skew: float = 0.0,
    size: float = 1.0,
    bars: int = 62,
) -> GrayImage:
    """Print a barcode below or above a page, sized relative to its digits as on mail."""
    height, width = page.shape
    tall, short, pitch, wide = (size * height * share for share in (0.30, 0.12, 0.11, 0.045))
    room = round(1.2 * tall + abs(skew) * width)
    rng = np.random.default_rng(5)
    fine = np.zeros((4 * room, 4 * width), np.uint8)
    for number in range(min(bars, int((width - 4) / pitch))):
        left, full, half = 2 + number * pitch, room / 2 + tall / 2, room / 2
        top, bottom = {
            "postnet": (full - rng.choice([tall, short]), full),
            "intelligent mail": (
                half - rng.choice([tall, short]) / 2,
                half + rng.choice([tall, short]) / 2,
            ),
        }[kind]
        lower = skew * (left - width / 2)
        fine[
            round(4 * (top + lower)) : round(4 * (bottom + lower)),
            round(4 * left) : round(4 * (left + wide)),
        ] = 255
    cover = cv2.resize(fine, (width, room), interpolation=cv2.INTER_AREA) / 255
    strip = lay(cover.astype(np.float32), float(np.median(page)))
    return np.vstack([strip, page] if above else [page, strip])


def ink_of(page: GrayImage) -> InkMask:
    return otsu(normalize_background(page))[1]


@pytest.mark.parametrize("size", [0.7, 1.0])
@pytest.mark.parametrize("skew", [0.0, 0.03, -0.03])
@pytest.mark.parametrize("above", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_barcode_is_removed_and_the_writing_is_kept(
    kind: str, above: bool, skew: float, size: float
) -> None:
    page = lay(write("91171").cover, 220, noise=3)
    seen = with_barcode(page, kind=kind, above=above, skew=skew, size=size)
    before = seen.copy()
    bare = without_barcodes(seen, Components(ink_of(seen)))
    np.testing.assert_array_equal(seen, before)
    strip = np.full((len(seen) - len(page), page.shape[1]), 220)
    # Equal except for paper noise.
    np.testing.assert_allclose(
        bare.astype(int), np.vstack([strip, page] if above else [page, strip]), atol=14
    )


@pytest.mark.parametrize("text", ["11111", "111111111", "71117"])
def test_ones_are_not_a_barcode(text: str) -> None:
    page = lay(write(text, width=8, gap=10).cover, 220)
    assert without_barcodes(page, Components(ink_of(page))) is page


def test_a_short_or_irregular_row_of_bars_is_not_a_barcode() -> None:
    page = lay(write("02346").cover, 220)
    few = with_barcode(page, kind="postnet", bars=MIN_BARS - 1)
    assert without_barcodes(few, Components(ink_of(few))) is few
    ink = np.zeros((20, 300), bool)
    places = np.cumsum(np.random.default_rng(1).choice([5, 9, 14], 20))
    for place in places:
        ink[4:14, place : place + 3] = True
    assert not find_bars(Components(ink)).any()


def test_bars_are_not_searched_for_among_too_many_components() -> None:
    ink = np.zeros((400, 400), bool)
    for row in range(0, 400, 8):
        ink[row : row + 5, ::8] = True
    parts = Components(ink)
    assert len(parts.boxes) > MAX_BOXES
    assert not find_bars(parts).any()
    few = Components(ink[:80])
    assert find_bars(few).all()


def test_a_page_without_a_barcode_is_returned_as_is() -> None:
    page = lay(write("02346").cover, 220, noise=3)
    assert prepare(page).page is page


@pytest.mark.real
@pytest.mark.parametrize("above", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_crops_with_any_barcode_are_still_read(kind: str, above: bool) -> None:
    assert share_read_alike("white", partial(with_barcode, kind=kind, above=above)) >= 0.85


@pytest.mark.real
@pytest.mark.parametrize("kind", KINDS)
def test_a_page_with_only_a_barcode_has_no_ink(kind: str) -> None:
    reading = Reader(load_model("mail")).read(
        with_barcode(np.full((80, 500), 230, np.uint8), kind=kind)
    )
    assert isinstance(reading, Unread)
    assert reading.reason is Reason.NO_INK


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_writing_is_left_of_a_page_with_a_barcode(kind: str) -> None:
    page = lay(write("02346").cover, 220)
    found, alone = prepare(with_barcode(page, kind=kind)), prepare(page)
    assert likeness(ink_of(found.page)[: len(page)], ink_of(page)) > 0.97
    assert found.ink is not None
    assert alone.ink is not None
    assert found.ink.text_height == alone.ink.text_height
    assert len(found.ink.components.boxes) == len(alone.ink.components.boxes)
