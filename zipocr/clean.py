"""Takes away ink that is no handwriting, specks, ruled lines, boxes and the borders of the crop, and closes the gaps of dead scan lines."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.components import label_components
from zipocr.types import InkMask

# All lengths in digit heights.
SPECK = 0.07
MOST_PARTS = 40  # components
# A box holds something this high, as a share of its own height, and has this little ink, as a share of its area.
ENCLOSED_HEIGHT = 0.4
HOLLOW_SHARE = 0.4
FALLBACK_HEIGHT = 0.5  # of the page
RULE_RUN = 0.3
RULE_LENGTH = 2.0
BAR_LENGTH = 1.3
BORDER_LENGTH = 1.6
LONGEST_STROKE = 2.2
RULE_THICKNESS = 0.16
STRAIGHTNESS = 0.04
LEAST_SUPPORT = 0.7
FITS = 5
TANGENT = 0.3
# Strokes parted one above the other by less than this belong together.
MENDED_GAP = 0.14
# A digit is at least this high, as a share of the whole line of writing.
LINE_SHARE = 0.7


def digit_height(ink: InkMask) -> float:
    """Height of the writing in pixels, 0 when there is none.

    The height below which lies two thirds of the ink, counted by components; flat ones, frames and those that fill the page from side
    to side are left out, since they are rules and boxes. Digits that a dead scan line parted count whole.
    """
    height, writing = _find_writing(ink)
    # The gaps that may be closed grow with the height, and closing them makes the writing higher.
    while writing.any():
        rows = np.flatnonzero(writing.any(axis=1))
        whole = LINE_SHARE * (rows[-1] - rows[0] + 1)
        mended = mend_gaps(writing, max(height, whole))
        if np.array_equal(mended, writing):
            break
        taller, writing = _find_writing(mended)
        if taller <= height:
            break
        height = taller
    return height


def mend_gaps(ink: InkMask, height: float) -> InkMask:
    """Closes narrow gaps between strokes that lie one above the other, as dead scan lines, folds and erased rules leave them.

    Parameters
    ----------
    ink : (H, W) bool
    height : float
        Digit height in pixels.

    Returns
    -------
    (H, W) bool
        A new mask. Only gaps between different components are closed, so that the loops of an 8 stay open.
    """
    mended = ink.copy()
    reach = round(MENDED_GAP * height)
    if reach < 1 or not ink.any():
        return mended
    # All gaps lie between ink: only its box is looked at.
    window = _window(ink)
    drawn = np.ascontiguousarray(ink[window]).view(np.uint8)
    column = np.ones((reach + 1, 1), np.uint8)
    closed = cv2.morphologyEx(cv2.copyMakeBorder(drawn, reach, reach, 0, 0, cv2.BORDER_CONSTANT), cv2.MORPH_CLOSE, column)[reach:-reach]
    gap = np.asarray(cv2.subtract(closed, drawn), np.uint8)
    if cv2.countNonZero(gap):
        parts, boxes = label_components(drawn)
        if _some_above_others(boxes[1:], reach):
            mended[window] |= _parting(gap, parts)
    return mended


def _some_above_others(boxes: NDArray[np.int32], reach: int) -> bool:
    """Whether a gap of so many rows could part two components, by their boxes: (N, 5) as `label_components` gives them."""
    left, top, wide, tall = (boxes[:, column] for column in range(4))
    share_columns = (left[:, None] <= left + wide) & (left <= (left + wide)[:, None])
    in_reach = (top[:, None] <= top + tall + reach) & (top <= (top + tall)[:, None] + reach)
    return bool(np.count_nonzero(share_columns & in_reach) > len(boxes))


def _window(ink: InkMask) -> tuple[slice, slice]:
    """Rows and columns of the box around all ink."""
    left, top, wide, tall = cv2.boundingRect(ink.view(np.uint8))
    return slice(top, top + tall), slice(left, left + wide)


def _parting(gap: NDArray[np.uint8], parts: NDArray[Any]) -> InkMask:
    """The gaps that part two components: a mask of gaps, 0 or 1, and the labels of the ink -> (H, W) bool."""
    count, gaps = cv2.connectedComponents(gap, connectivity=8)
    around = np.ones((3, 3), np.uint8)
    # The lowest and the highest number of the components that each gap touches: where they differ, it parts two.
    highest = cv2.dilate(parts.astype(np.float32), around)
    lowest = cv2.erode(np.where(parts > 0, parts, parts.size).astype(np.float32), around)
    places = np.flatnonzero(gaps)
    of = gaps.ravel()[places].astype(np.intp)
    first, last = np.full(count, float(parts.size)), np.zeros(count)
    np.minimum.at(first, of, lowest.ravel()[places])
    np.maximum.at(last, of, highest.ravel()[places])
    parting = first < last
    parting[0] = False
    return np.asarray(parting[gaps])


def _find_writing(ink: InkMask) -> tuple[float, InkMask]:
    """Height of the writing as its components have it, and the components that count; none where the height is a guess."""
    height, width = ink.shape
    counted = np.zeros_like(ink)
    window = _window(ink)
    labels, stats = label_components(np.ascontiguousarray(ink[window]))
    left, top, wide, tall, area = (stats[1:, column].astype(np.float64) for column in range(5))
    flat = wide > 4 * tall
    frame = ((area < 0.12 * wide * tall) & (wide > 0.5 * width)) | _encloses(left, top, wide, tall, area)
    bar = (tall > 0.9 * height) & (wide < 0.1 * height)
    writing = ~(flat | frame | bar) & (area >= 6) & (tall >= 5)
    counted[window] = np.append(False, writing)[labels]
    if not writing.any():
        # All digits hang together, or with a frame; or there is no ink.
        guess = float(tall[~frame].max()) if (~frame & (tall >= 5)).any() else FALLBACK_HEIGHT * height * bool(frame.any())
        return guess, counted
    tall, area = tall[writing], area[writing]
    order = np.argsort(tall, kind="stable")
    share = np.cumsum(area[order]) / area.sum()
    return float(tall[order][np.searchsorted(share, 0.66)]), counted


def _encloses(
    left: NDArray[np.float64], top: NDArray[np.float64], wide: NDArray[np.float64], tall: NDArray[np.float64], area: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which components are boxes around others of some height: (N,) each."""
    largest = np.argsort(-area, kind="stable")[:MOST_PARTS]
    x, y, w, h = left[largest], top[largest], wide[largest], tall[largest]
    inside = (x > x[:, None]) & (y > y[:, None]) & (x + w < (x + w)[:, None]) & (y + h < (y + h)[:, None])
    holds = (inside & (h > ENCLOSED_HEIGHT * h[:, None])).any(axis=1)
    found = np.zeros(len(left), bool)
    found[largest] = holds & (area[largest] < HOLLOW_SHARE * w * h)
    return found


def remove_rules(ink: InkMask, height: float) -> InkMask:
    """Erases straight lines longer than characters: underlines, table rulings, the sides of boxes.

    Parameters
    ----------
    ink : (H, W) bool
    height : float
        Digit height in pixels.

    Returns
    -------
    (H, W) bool
        A new mask; where a stroke crosses a line, the crossing is kept.
    """
    across = _without_lines(ink, ink, height, RULE_LENGTH)
    # An upright line may be a 1: it has to end at the border or at a line, or be far too long.
    ends = np.ascontiguousarray((ink & ~across).T)
    upright = _without_lines(np.ascontiguousarray(across.T), ends, height, BAR_LENGTH, anchored=True)
    return np.ascontiguousarray(upright.T)


def _without_lines(ink: InkMask, ends: InkMask, height: float, length: float, *, anchored: bool = False) -> InkMask:
    """Erases near-horizontal lines at least `length` digit heights long.

    When `anchored`, only those whose ends meet the border or `ends`.
    """
    run = max(5, round(RULE_RUN * height))
    if run > ink.shape[1]:
        return ink
    runs = cv2.morphologyEx(ink.view(np.uint8), cv2.MORPH_OPEN, np.ones((1, run), np.uint8))
    if not runs.any():
        return ink
    # Runs of one skewed line lie a row apart and end to end: bridging them makes the line one component.
    bridge = cv2.getStructuringElement(cv2.MORPH_RECT, (max(3, run // 2) | 1, 3))
    joined = cv2.morphologyEx(runs, cv2.MORPH_CLOSE, bridge)
    labels, stats = label_components(np.asarray(joined, np.uint8))
    out = ink.copy()
    for label in range(1, len(stats)):
        wide = stats[label, cv2.CC_STAT_WIDTH]
        if wide < (length * height if anchored else min(length * height, 0.85 * ink.shape[1])):
            continue
        if anchored and wide < LONGEST_STROKE * height and not _anchored(stats[label], ends, height):
            continue
        _erase_line(out, (labels == label) & (runs > 0), height)
    return out


def _anchored(stats: NDArray[np.int32], ends: InkMask, height: float) -> bool:
    """Whether a line runs from border to border, or to other lines."""
    left, top, wide, tall, _ = (int(value) for value in stats)
    near = max(2, round(0.06 * height))
    rows = slice(max(0, top - near), top + tall + near)
    far = wide > BORDER_LENGTH * height
    starts = (far and left <= near) or bool(ends[rows, max(0, left - near) : left + near].any())
    stops = (far and left + wide >= ends.shape[1] - near) or bool(ends[rows, left + wide - near : left + wide + near].any())
    return starts and stops


def _erase_line(ink: InkMask, line: InkMask, height: float) -> None:
    """Erases one straight line from `ink`, in place; leaves it alone when it is bent or thick, for then it is writing."""
    rows, columns = np.nonzero(line)
    reach = np.arange(columns.min(), columns.max() + 1)
    degree = 2 if len(reach) > 8 * height else 1
    away = np.zeros(len(rows))
    for _ in range(FITS):
        # Strokes that run along the line pull the curve off it, so it is fitted anew to the nearer half.
        near = away <= max(float(np.median(away)), 0.5)
        curve = np.polynomial.Polynomial.fit(columns[near], rows[near], degree)
        away = np.abs(curve(columns) - rows)
    on_line = away <= max(1.5, STRAIGHTNESS * height)
    thickness = np.bincount(columns[away <= RULE_THICKNESS * height] - reach[0], minlength=len(reach))
    thick = float(np.median(thickness[thickness > 0])) if thickness.any() else 0.0
    support = len(np.unique(columns[on_line])) / len(reach)
    if support < LEAST_SUPPORT or thick > max(3.0, RULE_THICKNESS * height):
        return
    top = np.floor(curve(reach) - thick / 2 - 0.5).astype(int)
    bottom = np.ceil(curve(reach) + thick / 2 + 0.5).astype(int)
    every = np.arange(len(ink))[:, None]
    ink[:, reach] &= ~((every >= top) & (every <= bottom) & ~_crossed(ink[:, reach], top, bottom, height))


def _crossed(ink: InkMask, top: NDArray[np.int_], bottom: NDArray[np.int_], height: float) -> NDArray[np.bool_]:
    """Columns in which a stroke enters the band from above or below, and short ways between such: the foot of an 0 on its line."""
    last, columns = len(ink) - 1, np.arange(ink.shape[1])
    above = ink[np.clip(top - 1, 0, last), columns] & ink[np.clip(top - 2, 0, last), columns] & (top > 1)
    below = ink[np.clip(bottom + 1, 0, last), columns] & ink[np.clip(bottom + 2, 0, last), columns] & (bottom < last - 1)
    entered = (above | below).astype(np.uint8)[None]
    bridged = cv2.morphologyEx(entered, cv2.MORPH_CLOSE, np.ones((1, max(3, round(TANGENT * height)) | 1), np.uint8))
    return np.asarray(bridged[0] > 0)


def remove_specks(ink: InkMask, height: float) -> InkMask:
    """Drops components smaller than a full stop, and what the border of the crop cut off of a neighbour: thin pieces along an edge.

    Parameters
    ----------
    ink : (H, W) bool
    height : float
        Digit height in pixels.

    Returns
    -------
    (H, W) bool
    """
    page_height, page_width = ink.shape
    kept = np.zeros_like(ink)
    if not ink.any():
        return kept
    window = _window(ink)
    labels, stats = label_components(np.ascontiguousarray(ink[window]))
    left, top, wide, tall, area = (stats[:, column] for column in range(5))
    left, top = left + window[1].start, top + window[0].start
    keep = (area >= (SPECK * height) ** 2) & (np.maximum(wide, tall) >= SPECK * 1.5 * height)
    right, bottom = left + wide, top + tall
    # What lies along an edge and is thin or short is no digit.
    edge_rows = (top == 0) | (bottom == page_height)
    edge_columns = (left == 0) | (right == page_width)
    keep &= ~(edge_rows & (tall < 0.35 * height))
    keep &= ~(edge_columns & (wide < 0.12 * height) & ~((tall > 0.5 * height) & (tall < 1.3 * height)))
    keep[0] = False
    if keep.sum() > MOST_PARTS:
        # Noise or a photograph: what a ZIP consists of is among the largest, and the cost of the rest would know no bounds.
        keep &= area >= np.sort(area[keep])[-MOST_PARTS]
    kept[window] = keep[labels]
    return kept
