"""Polarity of a page: light writing on dark paper becomes dark writing on light paper."""

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.types import GrayImage

# Paper covers most of a page and of its border, and most of the rectangle that holds the writing as
# well: a sheet on the black lid of a scanner, which fills its rectangle, is no writing.
MIN_PAPER = 0.55
MIN_BORDER = 0.7
MAX_FILLED = 0.5
# A page with less dark than this, of all its pixels, cannot be paper.
MIN_DARK = 0.35


def normalize_polarity(page: GrayImage) -> GrayImage:
    """Invert a page of light writing on dark paper; any other stays as it is.

    Parameters
    ----------
    page : (H, W) uint8
        0 black to 255 white.

    Returns
    -------
    (H, W) uint8
        The very page, or its negative.
    """
    return negative(page) if is_light_on_dark(page) else page


def negative(page: GrayImage) -> GrayImage:
    """Swap black and white: (H, W) uint8."""
    return cv2.bitwise_not(page).astype(np.uint8, copy=False)


def is_light_on_dark(page: GrayImage) -> bool:
    """Tell whether the dark part of a page is its paper and the light part its writing.

    (H, W) uint8 -> bool.
    """
    light = _light(page)
    if not 0 < cv2.countNonZero(light) / light.size < 1 - MIN_PAPER:
        return False
    border = np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]])
    rectangle = _extent(light.sum(axis=0)) * _extent(light.sum(axis=1))
    return bool(border.mean() < 1 - MIN_BORDER and light.sum() < MAX_FILLED * rectangle)


def may_be_light_on_dark(page: GrayImage) -> bool:
    """Tell whether the dark part of a page could be its paper: (H, W) uint8 -> bool."""
    light = _light(page)
    return bool(light.size - cv2.countNonZero(light) > MIN_DARK * light.size)


def _light(page: GrayImage) -> NDArray[np.uint8]:
    """Mark what is light, by Otsu's threshold: 0 or 1."""
    # Every other pixel tells; smoothed, strokes would fill more of their rectangle.
    some = page[::2, ::2]
    light = cv2.threshold(some, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1]
    return light.astype(np.uint8, copy=False)


def _extent(counts: NDArray[np.integer]) -> int:
    """Return the length of the stretch that holds all but the first and last hundredth.

    Specks must not lengthen it.
    """
    first, last = np.searchsorted(counts.cumsum() / counts.sum(), (0.01, 0.99))
    return int(last - first)
