"""Resizing of pages, by any factor or by factors of two."""

import cv2
import numpy as np
from numpy.typing import NDArray

# Pages with more pixels are reduced to bound time and memory; an ordinary envelope at 300 dpi has
# fewer.
MAX_PIXELS = 4_000_000


def downsample_by_two(page: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Halve a page by averaging blocks of 2x2 pixels: (H, W) -> (H / 2, W / 2) uint8.

    A page with less than two rows or columns is unchanged.
    """
    rows, columns = (size // 2 for size in page.shape)
    if not (rows and columns):
        return page
    return np.asarray(
        cv2.resize(page[: 2 * rows, : 2 * columns], (columns, rows), interpolation=cv2.INTER_AREA),
        np.uint8,
    )


def reduced(page: NDArray[np.uint8], max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Halve a page until it has at most ``max_pixels``.

    (H, W) -> (h, w) uint8, usually the same object.
    """
    while page.size > max_pixels and min(page.shape) > 1:
        page = downsample_by_two(page)
    return page


def resized(page: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """Resize a page by a factor, with area averaging or, to enlarge it, bicubic interpolation.

    (H, W) uint8 -> (h, w) uint8, at least one pixel each way.
    """
    size = max(1, round(page.shape[1] * scale)), max(1, round(page.shape[0] * scale))
    interpolation = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    return np.asarray(cv2.resize(page, size, interpolation=interpolation), np.uint8)
