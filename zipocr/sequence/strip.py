"""Straightens a line of writing: what the network sees of a page."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.sequence.network import PIXELS_PER_STEP
from zipocr.types import Floats, GrayImage, InkMask

STRIP_HEIGHT = 32
# Digits are brought to about this height in pixels; ascenders, and what a slope that was misjudged moves, still find room.
DIGIT_HEIGHT = 18
# Paper before and after the ink, in digit heights.
MARGIN = 0.5
LEAST_LENGTH, MOST_LENGTH = 16, 448
MOST_SLOPE = 0.25
HALF = 0.5
# Darkness of the page's ink on average, of 255.
INK_LEVEL = 200


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Strip:
    """A straightened line.

    ``pixels`` is ``(2, 32, W) uint8``, W a multiple of 4: the darkness of the page, 0 paper to 255, and its cleaned ink. ``to_page`` is
    ``(2, 3)``, the affine map of a strip's (x, y) to the page's.
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
    drawn = ink.view(np.uint8)
    halve = scale <= HALF and min(flat.shape) > 1
    small = [_shrunk(plane, scale, halve=halve) for plane in (flat, drawn * np.uint8(255))]
    # What is halved first loses an odd row or column.
    rows, columns = (size - size % 2 * halve for size in flat.shape)
    across, down = small[0].shape[1] / columns, small[0].shape[0] / rows
    first, _, wide, _ = cv2.boundingRect(drawn)
    left = (first - MARGIN * height) * across
    length = int(np.clip(round((wide + 2 * MARGIN * height) * across), LEAST_LENGTH, MOST_LENGTH))
    lean, level = _line(small[1], across, down)
    to_small = np.array([[1, 0, left], [lean, 1, level - (STRIP_HEIGHT - 1) / 2 + lean * left]])
    planes = _darkness(small[0], flat, ink), small[1]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    pixels = [cv2.warpAffine(plane, to_small, (length + -length % PIXELS_PER_STEP, STRIP_HEIGHT), flags=flags) for plane in planes]
    return Strip(pixels=np.stack(pixels), to_page=to_small / np.array([[across], [down]]))


def _shrunk(plane: NDArray[np.uint8], scale: float, *, halve: bool) -> NDArray[np.uint8]:
    """A plane brought to `scale` times its size; first to half of it, if told so.

    Halves are quick, and the network reads what was smoothed a little more no worse: 0.949 instead of 0.944 of `dev`, 0.905 instead of
    0.903 of 1,000 composed strings.
    """
    if halve:
        rows, columns = (size // 2 for size in plane.shape)
        plane = np.asarray(cv2.resize(plane[: 2 * rows, : 2 * columns], (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
        scale *= 2
    size = max(1, round(plane.shape[1] * scale)), max(1, round(plane.shape[0] * scale))
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)


def _line(small: NDArray[np.uint8], across: float, down: float) -> tuple[float, float]:
    """Slope and level of the straight line through the middle of ink on a page that was shrunk by (across, down)."""
    moments = cv2.moments(small)
    spread, total = moments["mu20"], moments["m00"] or 1.0
    steepest = MOST_SLOPE * down / across
    slope = float(np.clip(moments["mu11"] / spread, -steepest, steepest)) if spread else 0.0
    # Places on the shrunk page are those on the page times its shrinkage, and not the middles of its larger pixels.
    x, y = moments["m10"] / total + (1 - across) / 2, moments["m01"] / total + (1 - down) / 2
    return slope, y - slope * x


def _darkness(small: NDArray[Any], flat: GrayImage, ink: InkMask) -> NDArray[np.uint8]:
    """How dark a page is, in units of its own ink; `small` is the page that is looked at, `flat` the one that `ink` was found on."""
    sample = flat[::3, ::3].ravel()
    paper, written = float(np.partition(sample, len(sample) // 2)[len(sample) // 2]), cv2.mean(flat, mask=ink.view(np.uint8))[0]
    darkness: Floats = (paper - small.astype(np.float32)) * np.float32(INK_LEVEL / max(paper - written, 1))
    return np.clip(darkness, 0, 255).astype(np.uint8)
