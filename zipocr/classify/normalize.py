"""Normalization of a character to the form of scikit-learn's Digits.

Digits were preprocessed by NIST: slant removed, the character stretched to a box 20 wide and 32
high, centred in 32x32, and the ink pixels counted in blocks of 4x4 (0 to 16). Regions need the same
form, so training and reading share this function.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.preprocess.page import InkPage
from zipocr.types import InkMask, Region

BITMAP = 32
BLOCK = 4
BOX_WIDTH = 20
BOX_HEIGHT = 32
# Limits that keep a 1 from becoming a bar: maximum widening of a character, and maximum shear.
MAX_WIDENING = 1.5
MAX_SHEAR = 1.0


def to_bitmap(ink: InkMask, coverage: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """Draw a character, deslanted and stretched, into the 32x32 frame of Digits.

    Parameters
    ----------
    ink : (h, w) bool
        Pixels of one character, cropped or not; at least one is True.
    coverage : (h + 2, w + 2) uint8, optional
        Ink coverage of each pixel and of a margin of one pixel, 0 to 255.

    Returns
    -------
    (32, 32) uint8
        Share of ink in each cell, 0 paper to 255 ink.

    Notes
    -----
    Slant is removed by the shear mu11/mu02 of the ink's second moments, as in the preprocessing of
    MNIST by LeCun et al. (1998).
    """
    moments = cv2.moments(ink.view(np.uint8), binaryImage=True)
    spread = moments["mu02"]
    shear = min(max(moments["mu11"] / spread, -MAX_SHEAR), MAX_SHEAR) if spread else 0.0
    pivot = moments["m01"] / moments["m00"]
    rows, columns = np.nonzero(ink)
    sheared = columns - shear * (rows - pivot)
    left, right = float(sheared.min()) - 0.5, float(sheared.max()) + 0.5
    top, bottom = float(rows[0]) - 0.5, float(rows[-1]) + 0.5
    scale_y = BOX_HEIGHT / (bottom - top)
    scale_x = min(BOX_WIDTH / (right - left), MAX_WIDENING * scale_y)
    centre = (left + right) / 2, (top + bottom) / 2
    if coverage is None:
        return _draw(
            ink.view(np.uint8) * np.uint8(255), scale_x, scale_y, shear, centre=centre, pivot=pivot
        )
    centre = centre[0] + 1, centre[1] + 1
    return _draw(coverage, scale_x, scale_y, shear, centre=centre, pivot=pivot + 1)


def _draw(
    ink: NDArray[np.uint8],
    scale_x: float,
    scale_y: float,
    shear: float,
    *,
    centre: tuple[float, float],
    pivot: float,
) -> NDArray[np.uint8]:
    """Warp ink so that the sheared point `centre` (x, y) falls on the middle of the frame."""
    step_x, step_y = 1 / scale_x, 1 / scale_y
    middle = (BITMAP - 1) / 2
    # Frame pixel (u, v) shows page pixel y = centre_y + (v - middle) step_y, x = centre_x + (u -
    # middle) step_x + shear (y - pivot).
    y0 = centre[1] - middle * step_y
    x0 = centre[0] - middle * step_x + shear * (y0 - pivot)
    to_page = np.array([[step_x, shear * step_y, x0], [0, step_y, y0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(ink, to_page, (BITMAP, BITMAP), flags=flags), np.uint8)


def to_grids(bitmaps: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Count the ink in each 4x4 block.

    (N, 32, 32) bitmaps, 0 to 255 -> (N, 8, 8) grids, 0 paper to 16 ink.
    """
    blocks = bitmaps.reshape(-1, 8, BLOCK, 8, BLOCK).sum(axis=(2, 4), dtype=np.uint32)
    grids: NDArray[np.uint8] = ((blocks * 2 + 255) // 510).astype(np.uint8)
    return grids


NO_BITMAPS = np.zeros((0, BITMAP, BITMAP), np.uint8)
_AROUND = np.ones((3, 3), np.uint8)


def draw_regions(page: InkPage, regions: Sequence[Region]) -> NDArray[np.uint8]:
    """Normalize the regions of a page: E regions -> (E, 32, 32) uint8."""
    if not regions:
        return NO_BITMAPS
    ink, coverage = (_with_margin(plane) for plane in (page.ink.view(np.uint8), page.coverage))
    return np.stack([_draw_region(one, ink, coverage) for one in regions])


def _draw_region(
    region: Region, ink: NDArray[np.uint8], coverage: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Normalize a region with the soft edges of its strokes, but not those of its neighbours."""
    box = region.box
    rows, columns = slice(box.top, box.bottom + 2), slice(box.left, box.right + 2)
    own = _with_margin(region.ink.view(np.uint8))
    around = np.asarray(cv2.dilate(own, _AROUND), np.uint8)
    shown = around & (own | (1 - ink[rows, columns]))
    return to_bitmap(region.ink, coverage[rows, columns] * shown)


def _with_margin(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Add a margin of one blank pixel."""
    return np.asarray(cv2.copyMakeBorder(plane, 1, 1, 1, 1, cv2.BORDER_CONSTANT), np.uint8)
