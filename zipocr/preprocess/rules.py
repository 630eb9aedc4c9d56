"""Removal of straight lines longer than characters."""

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.preprocess.components import Components, label_components
from zipocr.types import InkMask

# All lengths are in digit heights.
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
# A line at least this long may be a bar up to this thick, such as two underlines that have run
# together, unless strokes enter a larger share of its columns.
BAR_RUN, BAR_THICKNESS, MAX_CROSSED = 3.0, 0.5, 0.4


def remove_rules(parts: Components, height: float) -> Components:
    """Erase straight lines longer than characters: underlines, table rulings, the sides of boxes.

    Parameters
    ----------
    parts : Components
    height : float
        Digit height in pixels.

    Returns
    -------
    Components
        The same object if there is no line. Where a stroke crosses a line, the crossing is kept.
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
    # A vertical line may be a 1, so it must end at the border or another line, or be far too long.
    upright = across
    if _could_hold_line(top, tall, height, least_upright):
        turned = _transposed(across)
        cleaned = _without_lines(
            turned, _transposed(ink & ~across), height, least_upright, anchored=True
        )
        upright = across if cleaned is turned else _transposed(cleaned)
    return parts if upright is ink else Components(upright)


def _run(height: float) -> int:
    """Return the minimum length of the straight runs that make up a line, in pixels."""
    return max(5, round(RULE_RUN * height))


def _could_hold_line(
    starts: NDArray[np.int32], sizes: NDArray[np.int32], height: float, least: float
) -> bool:
    """Return whether components extend far enough along an axis for a line `least` pixels long.

    Takes (N,) starts and sizes of their boxes. Gaps shorter than a run are bridged.
    """
    run = _run(height)
    held = sizes >= run
    begin, reached = -np.inf, -np.inf
    # For a few numbers a plain loop is faster than arrays.
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
    """Erase near-horizontal lines at least `least` pixels long; the same mask if there are none.

    With `anchored`, erase only lines whose ends meet the border or `ends`.
    """
    run = _run(height)
    if run > ink.shape[1]:
        return ink
    runs = cv2.morphologyEx(ink.view(np.uint8), cv2.MORPH_OPEN, np.ones((1, run), np.uint8))
    # The runs of a skewed line are a row apart, end to end: closing joins them to one component.
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
    """Return the length of the longest run of nonzero values: (1, N) -> 0 to N."""
    return max(map(len, occupied.tobytes().split(b"\0")))


def _anchored(stats: NDArray[np.int32], ends: InkMask, height: float) -> bool:
    """Return whether both ends of a line meet the border or another line."""
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
    """Erase one straight line from `ink`, in place; a bent or thick one is writing and stays."""
    rows, columns = np.nonzero(line)
    first, last = int(columns.min()), int(columns.max())
    columns -= first
    length = last - first + 1
    is_long = length >= BAR_RUN * height
    level = _level(columns, rows, length, 2 if length > 8 * height else 1)
    away = np.abs(level[columns] - rows)
    on_line = away <= max(1.5, STRAIGHTNESS * height)
    reach = BAR_THICKNESS / 2 if is_long else RULE_THICKNESS
    thickness = np.bincount(columns[away <= reach * height], minlength=length)
    thick = float(np.median(thickness[thickness > 0])) if thickness.any() else 0.0
    support = np.count_nonzero(np.bincount(columns[on_line])) / length
    is_thick = thick > max(3.0, RULE_THICKNESS * height)
    if support < MIN_SUPPORT or (is_thick and not is_long):
        return
    top = np.floor(level - thick / 2 - 0.5).astype(int)
    bottom = np.ceil(level + thick / 2 + 0.5).astype(int)
    rows_near = slice(max(0, int(top.min())), max(0, int(bottom.max()) + 1))
    every = np.arange(len(ink))[rows_near, None]
    crossed = _crossed(ink[:, first : last + 1], top, bottom, thick, height)
    if is_thick and crossed.mean() > MAX_CROSSED:
        return
    ink[rows_near, first : last + 1] &= (every < top) | (every > bottom) | crossed


def _level(
    x: NDArray[np.intp], y: NDArray[np.intp], length: int, degree: int
) -> NDArray[np.float64]:
    """Fit a polynomial to the pixels of a line: (N,) columns, (N,) rows -> (length,) rows.

    Strokes along the line bias a least-squares fit, so it is repeated on the nearer half. Solves
    the normal equations, since `Polynomial.fit` is much slower.
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
    ink: InkMask, top: NDArray[np.int_], bottom: NDArray[np.int_], thick: float, height: float
) -> NDArray[np.bool_]:
    """Mark columns where a stroke enters the band of a line `thick` pixels high, and short gaps.

    Longer gaps are closed between strokes that end in the band, such as the two ends of the foot of
    a 0, than between those that run through it.
    """
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
    strokes = _closed(above | below, thick)
    stroke = np.cumsum(np.diff(strokes, prepend=False) & strokes)
    through = np.bincount(stroke, above) * np.bincount(stroke, below) > 0
    return strokes | _closed(strokes & ~through[stroke], TANGENT * height)


def _closed(columns: NDArray[np.bool_], width: float) -> NDArray[np.bool_]:
    """Close gaps in a row of marks that are shorter than `width`, or than 3: (N,) -> (N,)."""
    marks, kernel = columns[None].view(np.uint8), np.ones((1, max(3, round(width)) | 1), np.uint8)
    return np.asarray(cv2.morphologyEx(marks, cv2.MORPH_CLOSE, kernel)[0].view(np.bool_))
