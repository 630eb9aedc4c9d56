"""Rotation of pages by multiples of 90 degrees, and the inverse for boxes."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from zipocr.types import Box

Pixel = TypeVar("Pixel", bound=np.generic)


def rotate(page: NDArray[Pixel], degrees: int) -> NDArray[Pixel]:
    """Rotate a page clockwise by a multiple of 90 degrees: (H, W) -> (H, W) or (W, H)."""
    return np.ascontiguousarray(np.rot90(page, -degrees // 90))


def turn_back(box: Box, rotation: int, shape: tuple[int, ...]) -> Box:
    """Map a box of a rotated page back to the original page.

    ``rotation`` is the page's rotation in degrees clockwise, ``shape`` its rows and columns before
    that.
    """
    rows, columns = shape
    if rotation == 180:
        top, left, bottom, right = (
            rows - box.bottom, columns - box.right, rows - box.top, columns - box.left,
        )  # fmt: skip
    elif rotation == 90:
        top, left, bottom, right = rows - box.right, box.top, rows - box.left, box.bottom
    elif rotation == 270:
        top, left, bottom, right = box.left, columns - box.bottom, box.right, columns - box.top
    else:
        return box
    return Box(top=top, left=left, bottom=bottom, right=right)
