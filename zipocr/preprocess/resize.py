"""Pages at half their size: a quarter of the work, for whatever sees enough there."""

import cv2
import numpy as np
from numpy.typing import NDArray

# Pages of more pixels are read from a reduced image: a usual envelope at 300 dpi has fewer, and
# whatever a larger page holds, reading it stays within bounds of time and memory.
MAX_PIXELS = 4_000_000


def downsample_by_two(page: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Halve a page by means of two by two pixels: (H, W) -> (H / 2, W / 2) uint8.

    What has no two rows or columns stays as it is.
    """
    rows, columns = (size // 2 for size in page.shape)
    if not (rows and columns):
        return page
    return np.asarray(
        cv2.resize(page[: 2 * rows, : 2 * columns], (columns, rows), interpolation=cv2.INTER_AREA),
        np.uint8,
    )


def reduced(page: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Halve a page until it has at most `MAX_PIXELS`.

    (H, W) -> (h, w) uint8, mostly the very page.
    """
    while page.size > MAX_PIXELS and min(page.shape) > 1:
        page = downsample_by_two(page)
    return page
