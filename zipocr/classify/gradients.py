"""Gradient direction features of a bitmap or grid.

Gradient direction histograms after Liu, Nakashima, Sako and Fujisawa, "Handwritten digit
recognition: benchmarking of state-of-the-art techniques", Pattern Recognition 36 (2003): the
gradient of the smoothed image is divided linearly among eight directions, each direction plane is
smoothed and sampled on a coarse grid, and a square root makes the values nearly normal.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.types import Floats

BITMAP = 32
DIRECTIONS = 8
SAMPLED_ROWS, SAMPLED_COLUMNS = 7, 6
FEATURES = DIRECTIONS * SAMPLED_ROWS * SAMPLED_COLUMNS
PLANE_SIGMA = 2.2
IMAGE_SIGMA = 0.8
# Threshold that truncates the tails of the Gaussian, since denormal numbers are slow.
_NOTHING = 1e-12
# Number of bitmaps whose direction planes fit into the cache.
_IN_CACHE = 24


def _smoothing(centres: NDArray[np.float64], sigma: float) -> Floats:
    """Return the Gaussian weights of 32 pixels around each centre, one row per centre."""
    weights = np.exp(-((np.arange(BITMAP) - centres[:, None]) ** 2) / (2 * sigma**2))
    weights[weights < _NOTHING] = 0
    shares: Floats = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def _samples(count: int) -> NDArray[np.float64]:
    return (np.arange(count) + 0.5) * BITMAP / count - 0.5


_BLUR = _smoothing(np.arange(BITMAP, dtype=np.float64), IMAGE_SIGMA)
_SLOPE = (np.roll(_BLUR, -1, axis=0) - np.roll(_BLUR, 1, axis=0)) * np.float32(0.5)
_SLOPE[0], _SLOPE[-1] = _BLUR[1] - _BLUR[0], _BLUR[-1] - _BLUR[-2]
_ROWS = _smoothing(_samples(SAMPLED_ROWS), PLANE_SIGMA)
_COLUMNS = _smoothing(_samples(SAMPLED_COLUMNS), PLANE_SIGMA)


def directions(bitmaps: NDArray[np.uint8]) -> Floats:
    """Return the gradient direction features of bitmaps.

    Parameters
    ----------
    bitmaps : (N, 32, 32) uint8
        0 paper to 255 ink.

    Returns
    -------
    (N, 336) float32
        Square roots of the direction planes, eight planes of 7 rows and 6 columns.
    """
    found = np.empty((len(bitmaps), FEATURES), np.float32)
    for first in range(0, len(bitmaps), _IN_CACHE):
        some = slice(first, first + _IN_CACHE)
        found[some] = _directions(bitmaps[some])
    return found


def _directions(bitmaps: NDArray[np.uint8]) -> Floats:
    image = bitmaps * np.float32(1 / 255)
    along_x = _BLUR @ image @ _SLOPE.T
    along_y = _SLOPE @ image @ _BLUR.T
    magnitude, angle = cv2.cartToPolar(along_x, along_y)
    turn = np.asarray(angle, np.float32) * np.float32(DIRECTIONS / (2 * np.pi))
    planes = np.empty((DIRECTIONS, *bitmaps.shape), np.float32)
    for direction, plane in enumerate(planes):
        # Angle between the gradient and this direction, in units of the spacing of directions.
        np.subtract(turn, np.float32(direction), out=plane)
        np.abs(plane, out=plane)
        if direction == 0:
            np.minimum(plane, DIRECTIONS - plane, out=plane)
        np.subtract(np.float32(1), plane, out=plane)
        np.maximum(plane, 0, out=plane)
        np.multiply(plane, magnitude, out=plane)
    sampled = _ROWS @ planes @ _COLUMNS.T
    np.sqrt(sampled, out=sampled)
    return sampled.swapaxes(0, 1).reshape(len(bitmaps), FEATURES)


def enlarge(grids: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Enlarge (N, 8, 8) grids, 0 to 16, to smooth (N, 32, 32) bitmaps, 0 to 255."""
    out = np.empty((len(grids), BITMAP, BITMAP), np.uint8)
    for place, grid in enumerate(grids):
        large = cv2.resize(
            grid.astype(np.float32) * (255 / 16), (BITMAP, BITMAP), interpolation=cv2.INTER_CUBIC
        )
        out[place] = np.clip(np.rint(large), 0, 255)
    return out
