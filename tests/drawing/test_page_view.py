"""The picture of a page in the review: its enlarged ZIP, and the page with the ZIP framed."""

import numpy as np
import pytest

from zipocr.drawing.page_view import NUMBER_HEIGHT, WIDTH, draw_page_view
from zipocr.types import Box

BOX = Box(top=600, left=1200, bottom=640, right=1400)


def page() -> np.ndarray:
    drawn = np.full((900, 1800), 230, np.uint8)
    drawn[600:640, 1200:1400] = 90
    return drawn


def test_the_zip_is_enlarged_with_the_page_below_it() -> None:
    picture = draw_page_view(page(), BOX)
    assert picture.shape[1] == WIDTH
    number, whole = picture[:NUMBER_HEIGHT], picture[NUMBER_HEIGHT:]
    assert (number == 90).mean() > 0.2
    assert 0 < (whole < 120).mean() < 0.05


def test_a_frame_surrounds_the_zip_on_the_page() -> None:
    whole = draw_page_view(page(), BOX)[NUMBER_HEIGHT:]
    rows, columns = np.nonzero(whole == 0)
    grown = np.argwhere(np.abs(whole.astype(int) - 90) < 4)
    assert rows.min() < grown[:, 0].min()
    assert rows.max() > grown[:, 0].max()
    assert columns.min() < grown[:, 1].min()
    assert columns.max() > grown[:, 1].max()


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_rotated_page_is_shown_upright(rotation: int) -> None:
    upright = draw_page_view(page(), BOX)
    rotated = np.ascontiguousarray(np.rot90(page(), rotation // 90))
    rows, columns = np.nonzero(rotated == 90)
    box = Box(
        top=int(rows.min()), left=int(columns.min()),
        bottom=int(rows.max()) + 1, right=int(columns.max()) + 1,
    )  # fmt: skip
    shown = draw_page_view(rotated, box, rotation=rotation)
    assert shown.shape == upright.shape
    assert np.abs(shown.astype(int) - upright).mean() < 3


@pytest.mark.parametrize("box", [Box(top=0, left=0, bottom=8, right=40), BOX])
def test_tiny_and_large_pages_can_be_drawn(box: Box) -> None:
    small = np.full((max(box.bottom, 10), max(box.right, 45)), 200, np.uint8)
    assert draw_page_view(small, box).shape[1] == WIDTH
