"""The height of the writing on a page."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, compress

import numpy as np

from zipocr.preprocess.components import ComponentBox, Components
from zipocr.preprocess.gaps import bridge_gaps, has_gaps
from zipocr.preprocess.specks import MAX_COMPONENTS

MIN_HEIGHT, MIN_AREA = 5, 6  # pixels
# Share of the ink in components that are no higher than the writing.
TWO_THIRDS = 0.66
# A box encloses something of at least this share of its height, and ink covers less than this share
# of its area.
ENCLOSED_HEIGHT = 0.4
HOLLOW_SHARE = 0.4
FALLBACK_HEIGHT = 0.5  # of the page
# Minimum height of the edge of a shadow and maximum height of the writing beside it, as shares of
# the page, and the minimum number of such components.
MIN_EDGE, MAX_BESIDE, MIN_BESIDE = 0.95, 0.6, 3
# Minimum height of a digit, as a share of the height of the line.
LINE_SHARE = 0.7
# A page with more components is noise or a pattern; a newspaper page has fewer letters.
_MAX_COMPONENTS = 40_000


def estimate_text_height(parts: Components) -> float:
    """Estimate the height of the writing in pixels; 0 if there is none.

    Two thirds of the ink belong to components of at most this height. Flat components, frames and
    those that fill the page from side to side are left out, since they are rules and boxes; so are
    the edges of shadows. Digits split by a dead scan line are measured whole.
    """
    if len(parts.boxes) > _MAX_COMPONENTS:
        return 0.0
    height, counted = _find_writing(parts)
    # The gaps that may be closed grow with the height, and closing them makes the writing higher.
    while any(counted):
        boxes = list(compress(parts.listed, counted))
        whole = LINE_SHARE * (max(box.bottom for box in boxes) - min(box.top for box in boxes))
        if not has_gaps(boxes, max(height, whole)):
            break
        writing = parts.take(np.array(counted))
        parts = bridge_gaps(writing, max(height, whole))
        if parts is writing:
            break
        taller, counted = _find_writing(parts)
        if taller <= height:
            break
        height = taller
    return height


def _find_writing(parts: Components) -> tuple[float, list[bool]]:
    """Return the height of the writing, and which components it was measured on.

    No component is marked if the height is a guess.
    """
    height, width = parts.ink.shape
    boxes = parts.listed
    largest = (
        boxes
        if len(boxes) <= MAX_COMPONENTS
        else sorted(boxes, key=lambda box: -box.area)[:MAX_COMPONENTS]
    )
    frames = [_is_frame(box, width, largest) for box in boxes]
    writing = [
        not frame and _is_writing(box, height) for box, frame in zip(boxes, frames, strict=True)
    ]
    writing = _without_edges(boxes, writing, height)
    if not any(writing):
        # All digits touch each other or a frame, or there is no ink.
        others = [
            box.tall
            for box, frame in zip(boxes, frames, strict=True)
            if not frame and box.tall >= MIN_HEIGHT
        ]
        return float(max(others, default=FALLBACK_HEIGHT * height * any(frames))), writing
    by_height = sorted((box.tall, box.area) for box in compress(boxes, writing))
    below = list(accumulate(area for _, area in by_height))
    return float(by_height[bisect_left(below, TWO_THIRDS * below[-1])][0]), writing


def _without_edges(
    boxes: Sequence[ComponentBox], writing: Sequence[bool], height: int
) -> list[bool]:
    """Leave out components that span the page from top to bottom beside several far lower ones."""
    low = sum(one.tall <= MAX_BESIDE * height for one in compress(boxes, writing))
    highest = MIN_EDGE * height if low >= MIN_BESIDE else height
    return [is_one and box.tall <= highest for box, is_one in zip(boxes, writing, strict=True)]


def _is_writing(box: ComponentBox, height: int) -> bool:
    """Return whether a component is writing, not a flat stroke, a bar or a speck.

    ``height`` is that of the page, in pixels.
    """
    _, _, wide, tall, area = box
    if tall < MIN_HEIGHT or area < MIN_AREA or wide > 4 * tall:
        return False
    return tall <= 0.9 * height or wide >= 0.1 * height


def _is_frame(box: ComponentBox, width: int, largest: Sequence[ComponentBox]) -> bool:
    """Return whether a component is a wide frame, or a box around another component."""
    left, top, wide, tall, area = box
    around = wide * tall
    if tall < MIN_HEIGHT or area >= HOLLOW_SHARE * around:
        return False
    if area < 0.12 * around and wide > 0.5 * width:
        return True
    right, bottom, least = left + wide, top + tall, ENCLOSED_HEIGHT * tall
    return any(
        left < x and x + w < right and top < y and y + h < bottom and h > least
        for x, y, w, h, _ in largest
    )
