"""Removal of postal barcodes: rows of upright bars (POSTNET, PLANET, Intelligent Mail).

Barcodes would otherwise count as a line of writing.
"""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.preprocess.components import ComponentBox, Components
from zipocr.types import GrayImage

# Minimum bar height in pixels, maximum width / height, minimum number of bars (a ZIP+4 has at most
# nine 1s).
MIN_HEIGHT, MAX_ASPECT, MIN_BARS = 3, 0.7, 12
# Neighbouring bars: tolerance of the width (at least one pixel), maximum distance in widths,
# minimum shared part of the lower one's rows.
UNLIKE, FARTHEST, SHARED = 0.5, 6.0, 0.4
# Minimum share of distances equal to the median, and their tolerance (at least one pixel).
REGULAR, UNEVEN = 0.7, 0.3
# Maximum number of components for the detection of barcodes.
MAX_BOXES = 1_000
# Margin around a bar in pixels that is not paper either.
BLUR = 3


def without_barcodes(page: GrayImage, parts: Components) -> GrayImage:
    """Remove barcodes from a page.

    Parameters
    ----------
    page : (H, W) uint8
        0 black to 255 white.
    parts : Components
        The ink of the page.

    Returns
    -------
    (H, W) uint8
        The same object if there is no barcode.
    """
    bars = find_bars(parts)
    if not bars.any():
        return page
    reach = 2 * BLUR + 1
    around = cv2.dilate(
        parts.take(bars).ink.view(np.uint8), np.ones((reach, reach), np.uint8)
    ).view(np.bool_)
    bare = page.copy()
    bare[around] = np.median(page[~parts.ink])
    return bare


def find_bars(parts: Components) -> NDArray[np.bool_]:
    """Return which components belong to barcodes: (N,) bool."""
    return bars_among(parts.boxes)


def bars_among(boxes: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which of some boxes are bars of barcodes: (N, 5) -> (N,) bool."""
    found = np.zeros(len(boxes), bool)
    if MIN_BARS <= len(found) <= MAX_BOXES:
        for row in _rows([ComponentBox(*box) for box in boxes.tolist()]):
            found |= _within(boxes, boxes[row])
    return found


def _rows(boxes: Sequence[ComponentBox]) -> Iterator[list[int]]:
    """Return the indices of bars, row by row."""
    ended: list[list[int]] = []
    growing: list[list[int]] = []
    for place in sorted(range(len(boxes)), key=boxes.__getitem__):
        bar = boxes[place]
        if bar.tall < MIN_HEIGHT or bar.wide > MAX_ASPECT * bar.tall:
            continue
        ended += [row for row in growing if not _is_near(boxes[row[-1]], bar)]
        growing = [row for row in growing if _is_near(boxes[row[-1]], bar)]
        row = next((row for row in growing if _follows(boxes[row[-1]], bar)), None)
        if row:
            row.append(place)
        else:
            growing.append([place])
    return (
        row
        for row in (*ended, *growing)
        if len(row) >= MIN_BARS and _is_regular([boxes[place].left for place in row])
    )


def _is_near(bar: ComponentBox, other: ComponentBox) -> bool:
    """Return whether a bar further right is near enough to be the next one."""
    return other.left - bar.left <= FARTHEST * max(bar.wide, 2)


def _follows(bar: ComponentBox, other: ComponentBox) -> bool:
    """Return whether a near bar is beside this one and of similar size."""
    shared = min(bar.bottom, other.bottom) - max(bar.top, other.top)
    return abs(bar.wide - other.wide) <= max(1, UNLIKE * bar.wide) and shared >= SHARED * min(
        bar.tall, other.tall
    )


def _is_regular(places: Sequence[int]) -> bool:
    """Return whether most of the distances are equal."""
    steps = np.diff(places)
    usual = np.median(steps)
    return bool(np.mean(np.abs(steps - usual) <= max(1, UNEVEN * usual)) >= REGULAR)


def _within(boxes: NDArray[np.int32], bars: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which components are inside the box around bars, such as two merged bars."""
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:4]
    lowest, highest = bars[:, :2].min(axis=0), (bars[:, :2] + bars[:, 2:4]).max(axis=0)
    return np.asarray(((low >= lowest - 1) & (high <= highest + 1)).all(axis=1))
