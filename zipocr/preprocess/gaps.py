"""Bridging of narrow gaps between strokes."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.preprocess.components import ComponentBox, Components, label_components
from zipocr.types import InkMask

# Maximum gap between strokes one above the other, in digit heights.
MENDED_GAP = 0.14
# Maximum gap in pixels, since the cost of closing grows with it.
_MAX_BRIDGED = 128
# With more components, any of them may have others above.
_MAX_COMPARED = 500


def bridge_gaps(parts: Components, height: float) -> Components:
    """Bridge narrow gaps between strokes one above the other: dead scan lines, folds, erased rules.

    Parameters
    ----------
    parts : Components
    height : float
        Digit height in pixels.

    Returns
    -------
    Components
        The same object if there is nothing to bridge. Only gaps between different components are
        bridged, so that the loops of an 8 stay open.
    """
    reach = _max_gap(height)
    if not has_gaps(parts.listed, height):
        return parts
    # All gaps are inside the bounding box of the ink.
    drawn = np.ascontiguousarray(parts.ink[parts.window]).view(np.uint8)
    column = np.ones((reach + 1, 1), np.uint8)
    closed = cv2.morphologyEx(
        cv2.copyMakeBorder(drawn, reach, reach, 0, 0, cv2.BORDER_CONSTANT), cv2.MORPH_CLOSE, column
    )[reach:-reach]
    if len(label_components(np.asarray(closed, np.uint8))[1]) > len(parts.boxes):
        return parts  # as many components as before, plus the background
    parting = _parting(np.asarray(cv2.subtract(closed, drawn), np.uint8), parts.labels)
    mended = parts.ink.copy()
    mended[parts.window] |= parting
    return Components(mended)


def _max_gap(height: float) -> int:
    """Return the height of the largest gap that is bridged, in pixels."""
    return min(round(MENDED_GAP * height), _MAX_BRIDGED)


def has_gaps(boxes: Sequence[ComponentBox], height: float) -> bool:
    """Return whether a gap that would be bridged could separate two components."""
    reach = _max_gap(height)
    if reach < 1 or len(boxes) > _MAX_COMPARED:
        return reach >= 1
    ordered = sorted(boxes)
    for place, one in enumerate(ordered, start=1):
        for other in islice(ordered, place, None):
            if other.left > one.right:
                break
            if other.top <= one.bottom + reach and one.top <= other.bottom + reach:
                return True
    return False


def _parting(gap: NDArray[np.uint8], parts: NDArray[Any]) -> InkMask:
    """Mark the gaps that separate two components.

    A mask of gaps, 0 or 1, and the labels of the ink -> (H, W) bool.
    """
    count, gaps = cv2.connectedComponents(gap, connectivity=8)
    around = np.ones((3, 3), np.uint8)
    # A gap separates two components if the lowest and highest label that it touches differ.
    most = int(np.iinfo(np.uint16).max) if parts.dtype == np.uint16 else parts.size
    numbers = parts if parts.dtype == np.uint16 else parts.astype(np.float32)
    highest = np.asarray(cv2.dilate(numbers, around))
    lowest = np.asarray(cv2.erode(np.where(numbers > 0, numbers, numbers.dtype.type(most)), around))
    places = np.flatnonzero(gaps)
    of = gaps.ravel()[places].astype(np.intp)
    first, last = np.full(count, most, numbers.dtype), np.zeros(count, numbers.dtype)
    np.minimum.at(first, of, lowest.ravel()[places])
    np.maximum.at(last, of, highest.ravel()[places])
    parting = first < last
    parting[0] = False
    return np.asarray(parting[gaps])
