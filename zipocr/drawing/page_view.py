"""A whole page with its ZIP marked, below the enlarged ZIP."""

import cv2
import numpy as np

from zipocr.preprocess.resize import resized
from zipocr.preprocess.rotate import rotate
from zipocr.types import Box, GrayImage

# Width of the picture, maximum height of its two parts, and the space between them, in pixels.
WIDTH, NUMBER_HEIGHT, PAGE_HEIGHT, SPACE = 1200, 260, 700, 12
# Paper shown around the ZIP, in multiples of the height of its box.
MARGIN = 0.6
PAPER, MARK, MARK_WIDTH = 255, 0, 4


def draw_page_view(page: GrayImage, box: Box, *, rotation: int = 0) -> GrayImage:
    """Draw the ZIP of a page enlarged, and the page below it with a frame around the ZIP.

    Parameters
    ----------
    page : (H, W) uint8
        0 black to 255 white.
    box : Box
        Position of the ZIP on the page.
    rotation : int
        Clockwise rotation that turns the page upright, in degrees: 0, 90, 180 or 270.

    Returns
    -------
    (h, 1200) uint8
    """
    number = _fitted(rotate(_cut_out(page, box), rotation), NUMBER_HEIGHT)
    scale = min(WIDTH / max(page.shape), 1.0)
    small = resized(page, scale)
    corners = [round(side * scale) for side in (box.left, box.top, box.right, box.bottom)]
    for grown, gray in ((MARK_WIDTH, PAPER), (2 * MARK_WIDTH, MARK)):
        top_left = corners[0] - grown, corners[1] - grown
        cv2.rectangle(small, top_left, (corners[2] + grown, corners[3] + grown), gray, MARK_WIDTH)
    whole = _fitted(rotate(small, rotation), PAGE_HEIGHT)
    picture = np.full((len(number) + SPACE + len(whole), WIDTH), PAPER, np.uint8)
    for top, part in ((0, number), (len(number) + SPACE, whole)):
        left = (WIDTH - part.shape[1]) // 2
        picture[top : top + len(part), left : left + part.shape[1]] = part
    return picture


def _cut_out(page: GrayImage, box: Box) -> GrayImage:
    margin = round(MARGIN * min(box.height, box.width))
    return page[
        max(box.top - margin, 0) : box.bottom + margin,
        max(box.left - margin, 0) : box.right + margin,
    ]


def _fitted(page: GrayImage, height: int) -> GrayImage:
    return resized(page, min(WIDTH / page.shape[1], height / page.shape[0]))
