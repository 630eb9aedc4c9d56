"""Removal of circles drawn around a number."""

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.preprocess.components import Components
from zipocr.types import InkMask

# Lengths are in digit heights.
MIN_WIDTH, MIN_HEIGHT = 2.0, 1.15
# Maximum ink of a circle, and the range of the area that it encloses, as shares of its box.
MAX_INK, ENCLOSED = 0.35, (0.55, 0.9)
# Minimum number of components inside a circle, and their minimum height.
MIN_INSIDE, MIN_INSIDE_HEIGHT = 3, 0.4
# Maximum gap of a circle that does not close, and maximum width of its line.
MAX_GAP, MAX_LINE = 0.3, 0.3


def remove_circles(parts: Components, height: float) -> Components:
    """Erase circles around digits; digits that touch one from the inside are kept.

    Parameters
    ----------
    parts : Components
    height : float
        Digit height in pixels.

    Returns
    -------
    Components
        The same object if there is no circle.
    """
    ink = parts.ink
    for place in _large(parts.boxes, height):
        line = _line(parts.mask(place), height)
        if line is not None:
            box = parts.listed[place]
            ink = ink.copy() if ink is parts.ink else ink
            ink[box.top : box.bottom, box.left : box.right] &= ~line
    return parts if ink is parts.ink else Components(ink)


def _large(boxes: NDArray[np.int32], height: float) -> list[int]:
    """Return the large, thin components with digits inside their boxes, of (N, 5) boxes."""
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:4]
    _, _, wide, tall, area = boxes.T
    large = (wide >= MIN_WIDTH * height) & (tall >= MIN_HEIGHT * height)
    large &= area <= MAX_INK * wide * tall
    digits = tall >= MIN_INSIDE_HEIGHT * height
    found = []
    for place in np.flatnonzero(large).tolist():
        inside = ((low > low[place]) & (high < high[place])).all(axis=1)
        if np.count_nonzero(inside & digits) >= MIN_INSIDE:
            found.append(place)
    return found


def _line(ink: InkMask, height: float) -> InkMask | None:
    """Return the pixels of a component along its outside; None if it does not enclose an area."""
    gap = max(3, round(MAX_GAP * height))
    drawn = np.pad(ink.view(np.uint8), gap)
    closed = cv2.morphologyEx(drawn, cv2.MORPH_CLOSE, np.ones((gap, gap), np.uint8))
    cv2.floodFill(closed, None, (0, 0), 2)
    outside = np.asarray(closed == 2, np.uint8)
    inner = slice(gap, -gap), slice(gap, -gap)
    enclosed = 1 - outside[inner].mean()
    if not ENCLOSED[0] <= enclosed <= ENCLOSED[1]:
        return None
    width = min(_line_width(ink), MAX_LINE * height)
    reach = 2 * int(np.ceil(width) + 1) + 1
    around = cv2.dilate(outside, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    return np.asarray(ink & (around[inner] > 0))


def _line_width(ink: InkMask) -> float:
    """Return the median length of the first run of ink from above and from below."""
    lengths = []
    for way in (ink, ink[::-1]):
        first = way.argmax(axis=0)
        below = np.arange(len(way))[:, None] >= first
        ends = (below & ~way).argmax(axis=0)
        lengths.append(np.where(ends > first, ends, len(way)) - first)
    return float(np.median(lengths))
