import cv2
import numpy as np
import pytest
from disturbed import share_read_alike
from drawings import lay, write

from zipocr.preprocess.borders import BLUR, remove_borders
from zipocr.preprocess.page import to_line_size
from zipocr.types import GrayImage

SIDES = {
    "top": (14, 0, 0, 0),
    "bottom": (0, 14, 0, 0),
    "left": (0, 0, 22, 0),
    "right": (0, 0, 0, 22),
    "all": (9, 12, 14, 30),
}
PAPER = 180


def framed(page: GrayImage, widths: tuple[int, int, int, int], gray: int) -> GrayImage:
    """Surround a page with a border of these widths: top, bottom, left, right."""
    return np.asarray(cv2.copyMakeBorder(page, *widths, cv2.BORDER_CONSTANT, value=gray), np.uint8)


def written(**options: int) -> GrayImage:
    return lay(write("02346", **options).cover, PAPER, noise=3)


@pytest.mark.parametrize("gray", [0, 60, 110, 255])
@pytest.mark.parametrize("side", SIDES)
def test_borders_around_the_paper_become_paper(side: str, gray: int) -> None:
    page, (top, bottom, left, right) = written(), SIDES[side]
    seen = framed(page, SIDES[side], gray)
    before = seen.copy()
    bare, shortest = remove_borders(seen)
    np.testing.assert_array_equal(seen, before)
    assert shortest >= min(page.shape)
    # Except for a few pixels along its edges, the paper is unchanged, and all else is paper too.
    inside = np.s_[
        top + BLUR : len(seen) - bottom - BLUR, left + BLUR : seen.shape[1] - right - BLUR
    ]
    np.testing.assert_array_equal(bare[inside], seen[inside])
    outside = np.ones(seen.shape, bool)
    outside[top : len(seen) - bottom, left : seen.shape[1] - right] = False
    assert np.abs(bare[outside].astype(int) - PAPER).max() < 12


@pytest.mark.parametrize("lean", [0.05, 0.12])
def test_the_wedge_beside_a_skewed_sheet_is_removed(lean: float) -> None:
    page = written()
    tall = len(page)
    seen = page.copy()
    cv2.fillPoly(seen, [np.array([[0, 0], [6, 0], [6 + round(lean * tall), tall], [0, tall]])], 15)
    bare, _ = remove_borders(seen)
    assert np.count_nonzero(bare < PAPER / 2) < 1.05 * np.count_nonzero(page < PAPER / 2)


def test_a_digit_reaching_into_a_border_keeps_its_ink_on_the_paper() -> None:
    seen = framed(written(), SIDES["left"], 10)
    seen[60:64, 20:50] = 30
    bare, _ = remove_borders(seen)
    assert (bare[60:64, 22 + BLUR + 1 : 50] == 30).all()


def test_a_digit_in_a_sharp_shadow_is_kept() -> None:
    seen = written()
    shade = 0.6
    seen[:, 180:] = seen[:, 180:] * shade
    bare, _ = remove_borders(seen)
    assert bare is not seen
    np.testing.assert_allclose(
        bare[:, 186:].astype(int), np.minimum(seen[:, 186:] / shade, 255), atol=12
    )


@pytest.mark.parametrize("name", ["aligned", "plain", "close", "shaded", "shadow", "bold", "even"])
def test_a_page_without_borders_is_returned_as_is(name: str) -> None:
    cover = write("02346", margin=60).cover
    # A hand or a fold casts a soft shadow.
    shadow = cv2.GaussianBlur(
        np.where(np.arange(cover.shape[1]) < 70, 90.0, 230.0)[None], (0, 0), 15
    )
    page = {
        # The paper between thick digits and the page edge has a straight edge as well.
        "aligned": lay(write("03689", stroke=18, gap=2, margin=12).cover, 220, ink=110),
        "plain": written(),
        "close": written(margin=0),
        "shaded": lay(cover, np.broadcast_to(np.linspace(250, 90, cover.shape[1]), cover.shape)),
        "shadow": lay(cover, np.broadcast_to(shadow, cover.shape)),
        "bold": written(margin=1, stroke=16, gap=0),
        "even": np.full((50, 90), 200, np.uint8),
    }[name]
    bare, shortest = remove_borders(page)
    assert bare is page
    assert shortest == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 2), (3, 500), (7, 7)])
@pytest.mark.parametrize("seed", range(3))
def test_pages_too_small_for_a_border_are_handled(shape: tuple[int, int], seed: int) -> None:
    page = np.random.default_rng(seed).choice(np.array([0, 255], np.uint8), shape)
    assert remove_borders(page)[0].shape == shape


def test_a_1_along_the_edge_of_a_tight_crop_is_not_a_border() -> None:
    seen = framed(written()[20:-20], (0, 0, 5, 0), 20)
    assert remove_borders(seen)[0] is not seen
    assert min(box.left for box in to_line_size(seen).components.listed) == 0


def test_a_page_whose_ink_would_all_be_removed_keeps_it() -> None:
    # The scanner lid covers the middle of the page and so is taken for the paper.
    seen = framed(lay(write("02346").cover, 70, ink=5), (0, 170, 0, 0), 255)
    assert remove_borders(seen)[0].min() > PAPER
    assert to_line_size(seen).text_height > 0


@pytest.mark.real
@pytest.mark.parametrize("gray", [15, 255])
@pytest.mark.parametrize("side", SIDES)
def test_crops_with_any_border_are_still_read(side: str, gray: int) -> None:
    assert share_read_alike("kraft", lambda page: framed(page, SIDES[side], gray)) >= 0.85
