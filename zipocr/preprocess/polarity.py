"""Polarity of a page: light writing on dark paper becomes dark writing on light paper."""

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.preprocess.components import label_components
from zipocr.types import GrayImage

# Paper covers most of a page, of its border and of the bounding rectangle of the writing. A sheet
# on a black scanner lid fills its rectangle, so it is not writing.
MIN_PAPER = 0.55
MIN_BORDER = 0.7
MAX_FILLED = 0.5
# Minimum height and width of a label, as a share of the page's shorter side, minimum filling of its
# rectangle, and minimum number of letters on it.
MIN_LABEL, MIN_SOLID, MIN_LETTERS = 0.2, 0.65, 12
# Minimum share of dark pixels if these are the paper.
MIN_DARK = 0.35
# Percentile of grey levels taken as the lightest writing, and its minimum contrast with the paper.
LIGHTEST_PERCENTILE, MIN_LIGHTER = 99, 50.0


def normalize_polarity(page: GrayImage) -> GrayImage:
    """Invert a page of light writing on dark paper.

    Parameters
    ----------
    page : (H, W) uint8
        0 black to 255 white.

    Returns
    -------
    (H, W) uint8
        The same object, or its negative.
    """
    return negative(page) if is_light_on_dark(page) else page


def negative(page: GrayImage) -> GrayImage:
    """Swap black and white: (H, W) uint8."""
    return cv2.bitwise_not(page).astype(np.uint8, copy=False)


def is_light_on_dark(page: GrayImage) -> bool:
    """Return whether the dark part of a page is its paper and the light part its writing.

    (H, W) uint8 -> bool.
    """
    light = _light(page)
    if not 0 < cv2.countNonZero(light) / light.size < 1 - MIN_PAPER:
        return False
    border = np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]])
    rectangle = _extent(light.sum(axis=0)) * _extent(light.sum(axis=1))
    if border.mean() >= 1 - MIN_BORDER or light.sum() >= MAX_FILLED * rectangle:
        return False
    return not _holds_label(light)


def _holds_label(light: NDArray[np.uint8]) -> bool:
    """Return whether a light component is solid except for writing, like a label on brown paper."""
    boxes = label_components(light)[1][1:]
    wide, tall, area = boxes[:, 2], boxes[:, 3], boxes[:, 4]
    large = np.minimum(wide, tall) >= MIN_LABEL * min(light.shape)
    solid = boxes[large & (area >= MIN_SOLID * wide * tall)]
    return any(
        len(label_components(1 - np.ascontiguousarray(light[y : y + high, x : x + across]))[1])
        > MIN_LETTERS
        for x, y, across, high, _ in solid.tolist()
    )


def may_be_light_on_dark(page: GrayImage) -> bool:
    """Return whether the dark part of a page could be its paper: (H, W) uint8 -> bool."""
    light = _light(page)
    return bool(light.size - cv2.countNonZero(light) > MIN_DARK * light.size)


def may_be_light_on_gray(page: GrayImage) -> bool:
    """Return whether the lightest part of a page could be writing on grey: (H, W) uint8 -> bool.

    Dark paper that is lit on one side looks like this.
    """
    some = page[::2, ::2]
    return bool(np.percentile(some, LIGHTEST_PERCENTILE) - np.median(some) >= MIN_LIGHTER)


def _light(page: GrayImage) -> NDArray[np.uint8]:
    """Mark light pixels by Otsu's threshold: 0 or 1."""
    # Every other pixel suffices; smoothing would make strokes fill more of their rectangle.
    some = page[::2, ::2]
    light = cv2.threshold(some, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1]
    return light.astype(np.uint8, copy=False)


def _extent(counts: NDArray[np.integer]) -> int:
    """Return the length between the first and last percentile.

    This ignores specks.
    """
    first, last = np.searchsorted(counts.cumsum() / counts.sum(), (0.01, 0.99))
    return int(last - first)
