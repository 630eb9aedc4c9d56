"""Proposes where a line of writing can be cut: between components, and through those wide enough to hold two digits.

A cut divides all ink into what is left of it and what is right of it. A region is what lies between two cuts, so broken digits are put
together by leaving out the cut between their parts, and touching digits are parted by a cut through their component. Which cuts hold is
for the decoder to say: here too many are proposed.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.components import Components, label_components
from zipocr.segment.seams import find_seams
from zipocr.types import CutSet, InkMask

# Lengths in digit heights, areas in their squares.
CUTTABLE_WIDTH = 0.5
CUTTABLE_HEIGHT = 0.4
# Beyond this a component is no string of five digits, and parting it would cost without bounds.
WIDEST_STRING = 10.0
TALLEST_STRING = 4.0
DEAREST_CUT = 1.0
SMALLEST_PIECE = 0.03
TWIN_AREA = 0.015
CRUMB_AREA = 0.03
CUTS_PER_WIDTH = 12
UNCUT_WIDTH = 0.3
MOST_CUTS = 40
# Where cuts are wanted near some columns, so many for each of them, and none for columns nearer than this to a component's edge.
CUTS_PER_WISH = 3
WISH_EDGE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Parts:
    """Components from left to right: the component of each ink pixel, and boxes and centres of all."""

    of_pixel: NDArray[np.intp]
    boxes: NDArray[np.intp]
    centres: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Piece:
    """A component to be cut: its number, its ink's places among all ink and in its box, and its mask."""

    part: int
    own: NDArray[np.intp]
    y: NDArray[np.intp]
    x: NDArray[np.intp]
    ink: InkMask


def propose_cuts(components: Components, height: float, *, through: bool = True, near: NDArray[np.float64] | None = None) -> CutSet:
    """Proposes cuts for a line of digits.

    Parameters
    ----------
    components : Components
        Of the cleaned ink.
    height : float
        Digit height in pixels.
    through : bool
        Whether to cut through components as well as between them.
    near : (n,) float64, optional
        Columns near which alone components are cut through; everywhere, if none are given.

    Returns
    -------
    CutSet
        At least the two cuts that enclose everything.
    """
    rows, columns, owners = components.pixels
    parts = _from_left_to_right(components.boxes, owners)
    count = len(parts.boxes)
    left = [parts.of_pixel < order for order in range(count + 1)]
    costs = [0.0] * (count + 1)
    wide = _cuttable(parts, rows, columns, height) if through else []
    wanted = None
    if near is not None:
        wanted = [_within(near - parts.boxes[piece.part, 1], piece.ink.shape[1], height) for piece in wide]
        wide, wanted = [piece for piece, some in zip(wide, wanted, strict=True) if len(some)], [some for some in wanted if len(some)]
    found = find_seams([piece.ink for piece in wide], height, wanted) if wide else []
    for place, (piece, (paths, prices)) in enumerate(zip(wide, found, strict=True)):
        most = _most_cuts(piece.ink.shape[1] / height) if wanted is None else CUTS_PER_WISH * len(wanted[place])
        for side, cost in _cuts_through(piece, paths, prices, parts, height, most):
            left.append(side)
            costs.append(cost)
    sides = np.array(left)
    order = np.argsort(sides.sum(axis=1), kind="stable")
    return CutSet(rows=rows, columns=columns, left=sides[order], costs=np.array(costs, np.float32)[order])


def _from_left_to_right(boxes: NDArray[np.int32], owners: NDArray[np.intp]) -> _Parts:
    """Components by their boxes, (N, 5) as `Components` has them, and the one of each pixel, (P,)."""
    left, top, wide, tall = boxes[:, :4].T.astype(np.intp)
    corners = np.stack([top, left, top + tall, left + wide], axis=1)
    centres = np.stack([top + tall / 2, left + wide / 2], axis=1)
    order = np.argsort(centres[:, 1], kind="stable")
    place = np.empty(len(boxes), np.intp)
    place[order] = np.arange(len(boxes))
    return _Parts(of_pixel=place[owners], boxes=corners[order], centres=centres[order])


def _cuttable(parts: _Parts, rows: NDArray[np.intp], columns: NDArray[np.intp], height: float) -> list[_Piece]:
    """Components that could be more than one digit."""
    found = []
    for part, (top, first, bottom, last) in enumerate(parts.boxes.tolist()):
        if not CUTTABLE_WIDTH * height <= last - first <= WIDEST_STRING * height:
            continue
        if not CUTTABLE_HEIGHT * height <= bottom - top <= TALLEST_STRING * height:
            continue
        own = np.flatnonzero(parts.of_pixel == part)
        y, x = rows[own] - top, columns[own] - first
        ink = np.zeros((bottom - top, last - first), bool)
        ink[y, x] = True
        found.append(_Piece(part=part, own=own, y=y, x=x, ink=ink))
    return found


def _cuts_through(
    piece: _Piece, paths: NDArray[np.int32], costs: NDArray[np.float32], parts: _Parts, height: float, most: int
) -> list[tuple[NDArray[np.bool_], float]]:
    """Cuts through one component: for each the ink of the page left of it, and its cost in digit heights."""
    inside = piece.x < paths[:, piece.y]
    found = []
    for chosen in _choose(inside, costs, height, most):
        left = _neighbours_left_of(paths[chosen], piece.part, parts)[parts.of_pixel]
        left[piece.own] = _settle_crumbs(piece, inside[chosen], height)
        found.append((left, float(costs[chosen]) / height))
    return found


def _most_cuts(width: float) -> int:
    """How many cuts through a component are worth a look, by its width in digit heights."""
    return min(MOST_CUTS, round(CUTS_PER_WIDTH * (width - UNCUT_WIDTH)))


def _within(near: NDArray[np.float64], width: int, height: float) -> NDArray[np.float64]:
    """Which wanted columns lie within a component, those that differ by little counted once."""
    edge = WISH_EDGE * height
    inner = np.sort(near[(near > edge) & (near < width - edge)])
    return inner[np.append(True, np.diff(inner) > edge)] if len(inner) else inner


def _choose(inside: NDArray[np.bool_], costs: NDArray[np.float32], height: float, most: int) -> list[int]:
    """The cheapest cuts that part the ink in clearly different ways: indices into `costs`."""
    area = height * height
    amount = inside.sum(axis=1)
    fit = (amount > SMALLEST_PIECE * area) & (amount < inside.shape[1] - SMALLEST_PIECE * area) & (costs < DEAREST_CUT * height)
    waiting = np.flatnonzero(fit)[np.argsort(costs[fit], kind="stable")]
    chosen: list[int] = []
    while len(waiting) and len(chosen) < most:
        best = waiting[0]
        chosen.append(int(best))
        unlike = np.logical_xor(inside[waiting], inside[best]).sum(axis=1) > TWIN_AREA * area
        waiting = waiting[unlike]
    return chosen


def _neighbours_left_of(path: NDArray[np.int32], part: int, parts: _Parts) -> NDArray[np.bool_]:
    """Which components lie left of a cut through `part`: by order, or by the path where they overlap it in columns."""
    left = np.arange(len(parts.boxes)) < part
    top, first, _, last = parts.boxes[part]
    overlapping = (parts.boxes[:, 3] > first) & (parts.boxes[:, 1] < last)
    row = np.clip(parts.centres[:, 0].astype(int) - top, 0, len(path) - 1)
    left[overlapping] = (parts.centres[:, 1] - first < path[row])[overlapping]
    return left


def _settle_crumbs(piece: _Piece, side: NDArray[np.bool_], height: float) -> NDArray[np.bool_]:
    """Gives bits that a cut chipped off one digit, and that touch nothing else on their side, back to the other side."""
    settled = side.copy()
    for here in (True, False):
        half = np.zeros(piece.ink.shape, np.uint8)
        half[piece.y, piece.x] = side == here
        labels, stats = label_components(half)
        if len(stats) > 2:
            area = stats[:, cv2.CC_STAT_AREA].copy()
            area[0] = 0
            crumb = area < CRUMB_AREA * height * height
            crumb[0] = False
            crumb[area.argmax()] = False
            settled[crumb[labels[piece.y, piece.x]]] = not here
    return settled
