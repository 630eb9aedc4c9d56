"""Removal of specks, rules, boxes and cut-off neighbours, and bridging of gaps."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, compress, islice
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.preprocess.components import ComponentBox, Components, label_components
from zipocr.types import InkMask

# All lengths in digit heights.
SPECK = 0.07
MAX_COMPONENTS = 40  # components
MIN_HEIGHT, MIN_AREA = 5, 6  # pixels
# The share of the ink that lies below the height of the writing.
TWO_THIRDS = 0.66
# A box holds something this high, as a share of its own height, and has this little ink, as a share
# of its area.
ENCLOSED_HEIGHT = 0.4
HOLLOW_SHARE = 0.4
FALLBACK_HEIGHT = 0.5  # of the page
RULE_RUN = 0.3
RULE_LENGTH = 2.0
BAR_LENGTH = 1.3
BORDER_LENGTH = 1.6
MAX_STROKE = 2.2
RULE_THICKNESS = 0.16
STRAIGHTNESS = 0.04
MIN_SUPPORT = 0.7
FITS = 5
TANGENT = 0.3
# Strokes parted one above the other by less than this belong together.
MENDED_GAP = 0.14
# No gap of more rows is closed, whatever the height: it would cost as much for every pixel.
_MAX_BRIDGED = 128
# A digit is at least this high, as a share of the whole line of writing.
LINE_SHARE = 0.7
# A page with more components is noise or a pattern: a page of a newspaper has fewer letters.
_MAX_COMPONENTS = 40_000
# Where there are more components, it is not worked out which of them lie above others.
_MAX_COMPARED = 500


def estimate_text_height(parts: Components) -> float:
    """Height of the writing in pixels, 0 when there is none.

    The height below which lies two thirds of the ink, counted by components; flat ones, frames and
    those that fill the page from side to side are left out, since they are rules and boxes. Digits
    that a dead scan line parted count whole.
    """
    if len(parts.boxes) > _MAX_COMPONENTS:
        return 0.0
    height, counted = _find_writing(parts)
    # The gaps that may be closed grow with the height, and closing them makes the writing higher.
    while any(counted):
        boxes = list(compress(parts.listed, counted))
        whole = LINE_SHARE * (max(box.bottom for box in boxes) - min(box.top for box in boxes))
        if not _some_above_others(boxes, _reach(max(height, whole))):
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
        The same object where nothing is closed. Only gaps between different components are, so that
        the loops of an 8 stay open.
    """
    reach = _reach(height)
    if not _some_above_others(parts.listed, reach):
        return parts
    # All gaps lie between ink: only its box is looked at.
    drawn = np.ascontiguousarray(parts.ink[parts.window]).view(np.uint8)
    column = np.ones((reach + 1, 1), np.uint8)
    closed = cv2.morphologyEx(
        cv2.copyMakeBorder(drawn, reach, reach, 0, 0, cv2.BORDER_CONSTANT), cv2.MORPH_CLOSE, column
    )[reach:-reach]
    if len(label_components(np.asarray(closed, np.uint8))[1]) > len(parts.boxes):
        return parts  # there are as many components as before, and the paper
    parting = _parting(np.asarray(cv2.subtract(closed, drawn), np.uint8), parts.labels)
    mended = parts.ink.copy()
    mended[parts.window] |= parting
    return Components(mended)


def _reach(height: float) -> int:
    """The widest gap that is closed, in rows."""
    return min(round(MENDED_GAP * height), _MAX_BRIDGED)


def _some_above_others(boxes: Sequence[ComponentBox], reach: int) -> bool:
    """Whether a gap of so many rows could part two components."""
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
    """The gaps that part two components.

    A mask of gaps, 0 or 1, and the labels of the ink -> (H, W) bool.
    """
    count, gaps = cv2.connectedComponents(gap, connectivity=8)
    around = np.ones((3, 3), np.uint8)
    # The lowest and the highest number of the components that each gap touches: where they differ,
    # it parts two.
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


def _find_writing(parts: Components) -> tuple[float, list[bool]]:
    """Height of the writing as its components have it, and which of them count.

    None where the height is a guess.
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
    if not any(writing):
        # All digits hang together, or with a frame; or there is no ink.
        others = [
            box.tall
            for box, frame in zip(boxes, frames, strict=True)
            if not frame and box.tall >= MIN_HEIGHT
        ]
        return float(max(others, default=FALLBACK_HEIGHT * height * any(frames))), writing
    by_height = sorted((box.tall, box.area) for box in compress(boxes, writing))
    below = list(accumulate(area for _, area in by_height))
    return float(by_height[bisect_left(below, TWO_THIRDS * below[-1])][0]), writing


def _is_writing(box: ComponentBox, height: int) -> bool:
    """Whether a component counts as writing on a page so many rows high.

    No flat one, no bar, no speck.
    """
    _, _, wide, tall, area = box
    if tall < MIN_HEIGHT or area < MIN_AREA or wide > 4 * tall:
        return False
    return tall <= 0.9 * height or wide >= 0.1 * height


def _is_frame(box: ComponentBox, width: int, largest: Sequence[ComponentBox]) -> bool:
    """Tell whether a component is a wide frame, or a box around another component."""
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


def remove_rules(parts: Components, height: float) -> Components:
    """Erases straight lines longer than characters: underlines, table rulings, the sides of boxes.

    Parameters
    ----------
    parts : Components
    height : float
        Digit height in pixels.

    Returns
    -------
    Components
        The same object where there is no line; where a stroke crosses one, the crossing is kept.
    """
    ink = parts.ink
    left, top, wide, tall, _ = parts.boxes.T
    least, least_upright = (
        float(min(RULE_LENGTH * height, 0.85 * ink.shape[1])),
        BAR_LENGTH * height,
    )
    across = (
        _without_lines(ink, ink, height, least)
        if _could_hold_line(left, wide, height, least)
        else ink
    )
    # An upright line may be a 1: it has to end at the border or at a line, or be far too long.
    upright = across
    if _could_hold_line(top, tall, height, least_upright):
        turned = _transposed(across)
        cleaned = _without_lines(
            turned, _transposed(ink & ~across), height, least_upright, anchored=True
        )
        upright = across if cleaned is turned else _transposed(cleaned)
    return parts if upright is ink else Components(upright)


def _run(height: float) -> int:
    """Lines consist of straight runs of at least so many pixels."""
    return max(5, round(RULE_RUN * height))


def _could_hold_line(
    starts: NDArray[np.int32], sizes: NDArray[np.int32], height: float, least: float
) -> bool:
    """Tell whether components reach far enough along an axis to hold a line `least` pixels long.

    (N,) first places and sizes of their boxes. Runs of a line are bridged over less than a run.
    """
    run = _run(height)
    held = sizes >= run
    begin, reached = -np.inf, -np.inf
    # They are few, and plain numbers then take a fifth of what arrays take.
    for start, size in sorted(zip(starts[held].tolist(), sizes[held].tolist(), strict=True)):
        if start > reached + run:
            begin = start
        reached = max(reached, start + size)
        if reached - begin >= least:
            return True
    return False


def _transposed(ink: InkMask) -> InkMask:
    return np.asarray(cv2.transpose(ink.view(np.uint8)), np.uint8).view(np.bool_)


def _without_lines(
    ink: InkMask, ends: InkMask, height: float, least: float, *, anchored: bool = False
) -> InkMask:
    """Erases near-horizontal lines at least `least` pixels long; the same mask where there is none.

    When `anchored`, only those whose ends meet the border or `ends`.
    """
    run = _run(height)
    if run > ink.shape[1]:
        return ink
    runs = cv2.morphologyEx(ink.view(np.uint8), cv2.MORPH_OPEN, np.ones((1, run), np.uint8))
    # Runs of one skewed line lie a row apart and end to end: bridging them makes the line one
    # component.
    bridge = cv2.getStructuringElement(cv2.MORPH_RECT, (max(3, run // 2) | 1, 3))
    if (
        _longest_run(
            np.asarray(
                cv2.morphologyEx(cv2.reduce(runs, 0, cv2.REDUCE_MAX), cv2.MORPH_CLOSE, bridge[:1]),
                np.uint8,
            )
        )
        < least
    ):
        return ink
    joined = cv2.morphologyEx(runs, cv2.MORPH_CLOSE, bridge)
    labels, stats = label_components(np.asarray(joined, np.uint8))
    out = ink.copy()
    for label in range(1, len(stats)):
        wide = stats[label, cv2.CC_STAT_WIDTH]
        if wide < least:
            continue
        if anchored and wide < MAX_STROKE * height and not _anchored(stats[label], ends, height):
            continue
        left, top, tall = (
            int(stats[label, column])
            for column in (cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP, cv2.CC_STAT_HEIGHT)
        )
        box = slice(top, top + tall), slice(left, left + int(wide))
        line = np.zeros_like(ink)
        line[box] = (labels[box] == label) & (runs[box] > 0)
        _erase_line(out, line, height)
    return out


def _longest_run(occupied: NDArray[np.uint8]) -> int:
    """Length of the longest stretch of a row without a 0: (1, N) -> 0 to N."""
    return max(map(len, occupied.tobytes().split(b"\0")))


def _anchored(stats: NDArray[np.int32], ends: InkMask, height: float) -> bool:
    """Whether a line runs from border to border, or to other lines."""
    left, top, wide, tall, _ = (int(value) for value in stats)
    near = max(2, round(0.06 * height))
    rows = slice(max(0, top - near), top + tall + near)
    far = wide > BORDER_LENGTH * height
    starts = (far and left <= near) or bool(ends[rows, max(0, left - near) : left + near].any())
    stops = (far and left + wide >= ends.shape[1] - near) or bool(
        ends[rows, left + wide - near : left + wide + near].any()
    )
    return starts and stops


def _erase_line(ink: InkMask, line: InkMask, height: float) -> None:
    """Erases one straight line from `ink`, in place.

    Leaves it alone when it is bent or thick, for then it is writing.
    """
    rows, columns = np.nonzero(line)
    first, last = int(columns.min()), int(columns.max())
    columns -= first
    length = last - first + 1
    level = _level(columns, rows, length, 2 if length > 8 * height else 1)
    away = np.abs(level[columns] - rows)
    on_line = away <= max(1.5, STRAIGHTNESS * height)
    thickness = np.bincount(columns[away <= RULE_THICKNESS * height], minlength=length)
    thick = float(np.median(thickness[thickness > 0])) if thickness.any() else 0.0
    support = np.count_nonzero(np.bincount(columns[on_line])) / length
    if support < MIN_SUPPORT or thick > max(3.0, RULE_THICKNESS * height):
        return
    top = np.floor(level - thick / 2 - 0.5).astype(int)
    bottom = np.ceil(level + thick / 2 + 0.5).astype(int)
    rows_near = slice(max(0, int(top.min())), max(0, int(bottom.max()) + 1))
    every = np.arange(len(ink))[rows_near, None]
    crossed = _crossed(ink[:, first : last + 1], top, bottom, height)
    ink[rows_near, first : last + 1] &= (every < top) | (every > bottom) | crossed


def _level(
    x: NDArray[np.intp], y: NDArray[np.intp], length: int, degree: int
) -> NDArray[np.float64]:
    """Return the row of a line of pixels in each column: (N,) columns, (N,) rows -> (length,).

    The polynomial nearest to them in the least squares. Strokes that run along the line pull it
    off, so it is fitted anew to the nearer half. By the normal equations: `Polynomial.fit` takes
    ten times as long, which would be half of what cleaning a ruled page takes.
    """
    powers = np.linspace(-1, 1, length) ** np.arange(degree + 1)[:, None]
    of_each = powers[:, x]
    away, near, level = np.zeros(len(x)), np.zeros(0, bool), np.zeros(length)
    for _ in range(FITS):
        before, near = (
            near,
            away <= max(float(np.partition(away, len(away) // 2)[len(away) // 2]), 0.5),
        )
        if np.array_equal(near, before):
            break
        own = of_each * near
        level = (
            cv2.solve(own @ of_each.T, (own @ y)[:, None], flags=cv2.DECOMP_SVD)[1][:, 0] @ powers
        )
        away = np.abs(level[x] - y)
    return level


def _crossed(
    ink: InkMask, top: NDArray[np.int_], bottom: NDArray[np.int_], height: float
) -> NDArray[np.bool_]:
    """Mark columns where a stroke enters the band, and short ways between: the foot of a 0."""
    last, columns = len(ink) - 1, np.arange(ink.shape[1])
    above = (
        ink[np.clip(top - 1, 0, last), columns]
        & ink[np.clip(top - 2, 0, last), columns]
        & (top > 1)
    )
    below = (
        ink[np.clip(bottom + 1, 0, last), columns]
        & ink[np.clip(bottom + 2, 0, last), columns]
        & (bottom < last - 1)
    )
    entered = (above | below).astype(np.uint8)[None]
    bridged = cv2.morphologyEx(
        entered, cv2.MORPH_CLOSE, np.ones((1, max(3, round(TANGENT * height)) | 1), np.uint8)
    )
    return np.asarray(bridged[0] > 0)


def remove_specks(parts: Components, height: float) -> Components:
    """Drop components smaller than a full stop, and thin pieces of neighbours along an edge.

    Parameters
    ----------
    parts : Components
    height : float
        Digit height in pixels.

    Returns
    -------
    Components
    """
    keep = [not _is_speck(box, parts.ink.shape, height) for box in parts.listed]
    if sum(keep) > MAX_COMPONENTS:
        # Noise or a photograph: what a ZIP consists of is among the largest, and the cost of the
        # rest would know no bounds.
        least = sorted(box.area for box in compress(parts.listed, keep))[-MAX_COMPONENTS]
        keep = [kept and box.area >= least for box, kept in zip(parts.listed, keep, strict=True)]
    return parts.take(np.array(keep, bool))


def _is_speck(box: ComponentBox, page: tuple[int, ...], height: float) -> bool:
    """Tell whether a component is too small for writing, or a thin piece along an edge."""
    left, top, wide, tall, area = box
    if area < (SPECK * height) ** 2 or max(wide, tall) < SPECK * 1.5 * height:
        return True
    if tall < 0.35 * height and (top == 0 or box.bottom == page[0]):
        return True
    return (
        wide < 0.12 * height
        and (left == 0 or box.right == page[1])
        and not 0.5 * height < tall < 1.3 * height
    )
