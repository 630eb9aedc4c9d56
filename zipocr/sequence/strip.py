"""Straightens a line of writing: what the network sees of a page."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.sequence.network import PIXELS_PER_STEP
from zipocr.types import GrayImage, InkMask

STRIP_HEIGHT = 32
# Digits are brought to about this height in pixels; ascenders, and what a slope that was misjudged moves, still find room.
DIGIT_HEIGHT = 18
# Paper before and after the ink, in digit heights.
MARGIN = 0.5
LEAST_LENGTH, MOST_LENGTH = 16, 448
MOST_SLOPE = 0.25
# Darkness of the page's ink on average, of 255.
INK_LEVEL = 200
_GRAYS = np.arange(256, dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Strip:
    """A straightened line.

    ``pixels`` is ``(2, 32, W) uint8``, W a multiple of 4: the darkness of the page, 0 paper to 255, and its cleaned ink. ``to_page`` is
    ``(2, 3)``, the affine map of a strip's (x, y) to the page's.
    """

    pixels: NDArray[np.uint8]
    to_page: NDArray[np.float64]


def straighten(flat: GrayImage, ink: InkMask, height: float, level: float | None = None) -> Strip:
    """Brings a line of writing to one height, level and darkness.

    Parameters
    ----------
    flat : (H, W) uint8
        Flattened page.
    ink : (H, W) bool
        Its cleaned ink, not empty.
    height : float
        Digit height in pixels.
    level : float, optional
        The threshold up to which grey is ink. If it is given, pixels that are ink in part count in part.

    Returns
    -------
    Strip
    """
    scale = DIGIT_HEIGHT / height
    drawn = ink.view(np.uint8)
    paper, written = _paper_and_ink(flat, drawn)
    contrast = max(paper - written, 1.0)
    size = max(1, round(flat.shape[1] * scale)), max(1, round(flat.shape[0] * scale))
    inked = drawn * np.uint8(255) if level is None else _inked(flat, drawn, level, contrast)
    small = [np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8) for plane in (flat, inked)]
    across, down = size[0] / flat.shape[1], size[1] / flat.shape[0]
    first, _, wide, _ = cv2.boundingRect(drawn)
    left = (first - MARGIN * height) * across
    length = int(np.clip(round((wide + 2 * MARGIN * height) * across), LEAST_LENGTH, MOST_LENGTH))
    lean, middle = _line(small[1], across, down)
    to_small = np.array([[1, 0, left], [lean, 1, middle - (STRIP_HEIGHT - 1) / 2 + lean * left]])
    planes = cv2.LUT(small[0], _table((paper - _GRAYS) * INK_LEVEL / contrast)), small[1]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    pixels = [cv2.warpAffine(plane, to_small, (length + -length % PIXELS_PER_STEP, STRIP_HEIGHT), flags=flags) for plane in planes]
    return Strip(pixels=np.stack(pixels), to_page=to_small / np.array([[across], [down]]))


def _paper_and_ink(flat: GrayImage, drawn: NDArray[np.uint8]) -> tuple[float, float]:
    """The grey of a page's paper, the middle one, and of its ink, the mean."""
    sample = flat[::3, ::3].ravel()
    return float(np.partition(sample, len(sample) // 2)[len(sample) // 2]), cv2.mean(flat, mask=drawn)[0]


def _inked(flat: GrayImage, drawn: NDArray[np.uint8], level: float, contrast: float) -> NDArray[np.uint8]:
    """How much of each pixel is ink, 0 to 255, by how dark it is: half of those at the threshold.

    Where digits are small their edges tell more than which side of the threshold they lie on: of 1,620 crops of `dev` the network reads
    94.9 in 100 instead of 94.1.
    """
    shares = np.asarray(cv2.LUT(flat, _table((level + 0.5 - _GRAYS) * 255 / contrast + 127.5)), np.uint8)
    return np.asarray(cv2.bitwise_and(shares, cv2.dilate(drawn * np.uint8(255), np.ones((3, 3), np.uint8))), np.uint8)


def _table(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.clip(values, 0, 255).astype(np.uint8)


def _line(small: NDArray[np.uint8], across: float, down: float) -> tuple[float, float]:
    """Slope and level of the straight line through the middle of ink on a page that was shrunk by (across, down)."""
    moments = cv2.moments(small)
    spread, total = moments["mu20"], moments["m00"] or 1.0
    steepest = MOST_SLOPE * down / across
    slope = float(np.clip(moments["mu11"] / spread, -steepest, steepest)) if spread else 0.0
    # Places on the shrunk page are those on the page times its shrinkage, and not the middles of its larger pixels.
    x, y = moments["m10"] / total + (1 - across) / 2, moments["m01"] / total + (1 - down) / 2
    return slope, y - slope * x
