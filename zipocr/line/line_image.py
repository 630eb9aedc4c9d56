"""Rectification of a line of writing to the network's input."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.line.network import PIXELS_PER_STEP
from zipocr.preprocess.page import InkPage

LINE_HEIGHT = 32
# Approximate digit height in pixels after scaling; leaves room for ascenders and a misjudged slope.
DIGIT_HEIGHT = 18
# Paper before and after the ink, in digit heights.
MARGIN = 0.5
MIN_LENGTH, MAX_LENGTH = 16, 448
MAX_SLOPE = 0.25
# Standard deviation of the smoothing before resampling, in pixels of the line image.
SMOOTHING_SIGMA = 0.5
# Mean darkness to which ink is normalized, 0 to 255.
INK_DARKNESS = 200
_GRAYS = np.arange(256, dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LineImage:
    """A rectified line of writing.

    ``pixels`` is ``(2, 32, W) uint8``, W a multiple of 4: the darkness of the page, 0 paper to 255,
    and its cleaned ink. ``to_page`` is ``(2, 3)``, the affine map from (x, y) in the line image to
    the page.
    """

    pixels: NDArray[np.uint8]
    to_page: NDArray[np.float64]


def rectify(page: InkPage, height: float) -> LineImage:
    """Normalize the line of writing on a page in height, slope and darkness.

    Parameters
    ----------
    page : InkPage
    height : float
        Digit height in pixels.

    Returns
    -------
    LineImage
    """
    normalized, coverage = page.scaled.normalized, page.coverage
    first, _, wide, _ = cv2.boundingRect(page.ink.view(np.uint8))
    step = height / DIGIT_HEIGHT
    length = min(max(round((wide + 2 * MARGIN * height) / step), MIN_LENGTH), MAX_LENGTH)
    slope, middle = _line(coverage)
    # Coordinates are those of pixel centres.
    left = first - MARGIN * height + (step - 1) / 2
    top = slope * left + middle - step * (LINE_HEIGHT - 1) / 2
    to_page = np.array([[step, 0, left], [slope * step, step, top]])
    darkness = (page.paper - _GRAYS) * INK_DARKNESS / page.contrast
    planes = cv2.LUT(normalized, darkness.clip(0, 255).astype(np.uint8)), coverage
    shape = (LINE_HEIGHT, length + -length % PIXELS_PER_STEP)
    pixels = np.empty((len(planes), *shape), np.uint8)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for plane, straight in zip(planes, pixels, strict=True):
        soft = cv2.GaussianBlur(plane, (0, 0), SMOOTHING_SIGMA * step)
        cv2.warpAffine(soft, to_page, shape[::-1], straight, flags)
    return LineImage(pixels=pixels, to_page=to_page)


def _line(inked: NDArray[np.uint8]) -> tuple[float, float]:
    """Return the slope and level of the straight line through the middle of the ink."""
    moments = cv2.moments(inked)
    spread, total = moments["mu20"], moments["m00"] or 1.0
    slope = min(max(moments["mu11"] / spread, -MAX_SLOPE), MAX_SLOPE) if spread else 0.0
    return slope, (moments["m01"] - slope * moments["m10"]) / total
