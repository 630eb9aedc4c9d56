"""Straightens a line of writing: what the network sees of a page."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.types import Floats, GrayImage, InkMask

STRIP_HEIGHT = 32
# Digits are brought to about this height in pixels; ascenders, and what a slope that was misjudged moves, still find room.
DIGIT_HEIGHT = 18
# Paper before and after the ink, in digit heights.
MARGIN = 0.5
LEAST_LENGTH, MOST_LENGTH = 16, 448
MOST_SLOPE = 0.25
# Darkness of the page's ink on average, of 255.
INK_LEVEL = 200


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Strip:
    """A straightened line.

    ``pixels`` is ``(2, 32, W) uint8``, W even: the darkness of the page, 0 paper to 255, and its cleaned ink. ``to_page`` is ``(2, 3)``,
    the affine map of a strip's (x, y) to the page's.
    """

    pixels: NDArray[np.uint8]
    to_page: NDArray[np.float64]


def straighten(flat: GrayImage, ink: InkMask, height: float) -> Strip:
    """Brings a line of writing to one height, level and darkness.

    Parameters
    ----------
    flat : (H, W) uint8
        Flattened page at working size.
    ink : (H, W) bool
        Its cleaned ink, not empty.
    height : float
        Digit height in pixels.

    Returns
    -------
    Strip
    """
    scale = DIGIT_HEIGHT / height
    size = max(1, round(flat.shape[1] * scale)), max(1, round(flat.shape[0] * scale))
    across, down = size[0] / flat.shape[1], size[1] / flat.shape[0]
    first, last, slope, level = _line(ink)
    left = (first - MARGIN * height) * across
    length = int(np.clip(round((last - first + 1 + 2 * MARGIN * height) * across), LEAST_LENGTH, MOST_LENGTH))
    lean = slope * down / across
    to_small = np.array([[1, 0, left], [lean, 1, level * down - (STRIP_HEIGHT - 1) / 2 + lean * left]])
    planes = (_darkness(cv2.resize(flat, size, interpolation=cv2.INTER_AREA), flat, ink), _resized(ink, size))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    pixels = [cv2.warpAffine(plane, to_small, (length + length % 2, STRIP_HEIGHT), flags=flags) for plane in planes]
    return Strip(pixels=np.stack(pixels), to_page=to_small / np.array([[across], [down]]))


def _line(ink: InkMask) -> tuple[float, float, float, float]:
    """First and last column of the ink, and slope and level of the straight line through its middle: y = level + slope x."""
    rows, columns = np.nonzero(ink)
    x, y = columns.astype(np.float32), rows.astype(np.float32)
    away = x - x.mean()
    spread = float(away @ away)
    slope = float(np.clip(away @ (y - y.mean()) / spread, -MOST_SLOPE, MOST_SLOPE)) if spread else 0.0
    return float(x.min()), float(x.max()), slope, float(y.mean() - slope * x.mean())


def _darkness(small: NDArray[Any], flat: GrayImage, ink: InkMask) -> NDArray[np.uint8]:
    """How dark a page is, in units of its own ink; `small` is the page that is looked at, `flat` the one that `ink` was found on."""
    paper, written = float(np.median(flat[::3, ::3])), float(flat[ink].mean())
    darkness: Floats = (paper - small.astype(np.float32)) * np.float32(INK_LEVEL / max(paper - written, 1))
    return np.clip(darkness, 0, 255).astype(np.uint8)


def _resized(ink: InkMask, size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(ink.view(np.uint8) * np.uint8(255), size, interpolation=cv2.INTER_AREA), np.uint8)
