"""All regions that could be digits: the pairs of cuts that lie in order, with what their shape and place say about them."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.components import label_components
from zipocr.types import Box, CutSet, Lattice, Region

# Lengths in digit heights, areas in their squares.
WIDEST = 1.6
LEAST_AREA = 0.03
MOST_AREA = 1.1
LEAST_HEIGHT = 0.35
LEAK_AREA = 0.01
MOST_SLOPE = 0.25
# A centre lies under a region if so much of its ink, at least, lies on either side; but centres may be so far astray. Without that leeway
# a 1 that is a thin stroke is missed: of 296 strings of which the network was in doubt 47 could not be read from regions, and with it 19.
INNER = 0.08
ASTRAY = 0.1
# What dropping a region as dirt costs: a full stop little, a digit's worth of ink more than any doubt.
SKIP_PRICE = 3.3
SKIP_UNIT = 0.1
SKIP_LIMIT = 3.0
# Parts of a region smaller than this share of its largest one may be dirt.
DIRT_SHARE = 0.25
# Dirt beside a digit is likelier than a whole dirty region: its price is this share.
DIRT_DISCOUNT = 0.4

_PAIRS_AT_ONCE = 1024
GEOMETRY = 10


def build_lattice(cuts: CutSet, height: float, *, centres: Sequence[NDArray[np.float64]] = ()) -> Lattice:
    """Lists the regions between cuts.

    Parameters
    ----------
    cuts : CutSet
    height : float
        Digit height in pixels.
    centres : sequence of (N,) float64
        Columns in which the digits of strings stand; a region has to hold one of one string, if any are given.

    Returns
    -------
    Lattice
        May have no edge when nothing on the page has the size of a digit.
    """
    area = height * height
    left = cuts.left.astype(np.float32)
    amount = left.sum(axis=1)
    shared = left @ left.T
    leak = amount[:, None] - shared
    inked = amount[None, :] - shared
    ordered = (leak <= LEAK_AREA * area) & (inked > leak)
    starts, ends = np.nonzero(ordered & (inked >= LEAST_AREA * area) & (inked <= MOST_AREA * area))
    by_column, by_row = _profile(cuts.columns, cuts.left), _profile(cuts.rows, cuts.left)
    fit = _extents(by_column, starts, ends) <= WIDEST * height
    if centres:
        fit &= _hold_one(by_column, starts, ends, centres, ASTRAY * height)
    fit &= _extents(by_row, starts, ends) >= LEAST_HEIGHT * height
    starts, ends = starts[fit], ends[fit]
    slope, level = _line(cuts)
    kept, regions, geometry, prices = [], [], [], []
    for edge, (start, end) in enumerate(zip(starts, ends, strict=True)):
        chosen = np.flatnonzero(cuts.left[end] & ~cuts.left[start])
        whole = _region(cuts.rows[chosen], cuts.columns[chosen])
        for region, dropped in _with_and_without_dirt(whole):
            if region.box.height < LEAST_HEIGHT * height:
                continue
            kept.append(edge)
            regions.append(region)
            geometry.append(_measure(region, height, (slope, level), (cuts.costs[start], cuts.costs[end])))
            prices.append(DIRT_DISCOUNT * _dirt_price(dropped / area))
    return Lattice(
        cut_count=len(left),
        starts=starts[kept],
        ends=ends[kept],
        regions=tuple(regions),
        geometry=np.array(geometry, np.float32).reshape(-1, GEOMETRY),
        prices=np.array(prices, np.float64),
        skips=_skips(cuts, ordered, inked / area),
    )


def _with_and_without_dirt(region: Region) -> list[tuple[Region, int]]:
    """A region as it is, and without its small parts where it has such, each with the number of ink pixels left out."""
    labels, stats = label_components(region.ink)
    if len(stats) <= 2:
        return [(region, 0)]
    area = stats[1:, cv2.CC_STAT_AREA]
    large = np.append(False, area >= DIRT_SHARE * area.max())
    if large[1:].all():
        return [(region, 0)]
    rows, columns = np.nonzero(large[labels])
    clean = _region(rows + region.box.top, columns + region.box.left)
    return [(region, 0), (clean, int(area.sum() - len(rows)))]


def _dirt_price(area: float) -> float:
    """What it costs, in nats, to leave out so much ink (in squared digit heights)."""
    return SKIP_PRICE * min(area / SKIP_UNIT, SKIP_LIMIT)


def _profile(places: NDArray[np.intp], left: NDArray[np.bool_]) -> NDArray[np.int32]:
    """How many of the pixels left of each cut have each place: (P,) rows or columns of the ink, (C, P) -> (C, places)."""
    counts = np.bincount(places)
    occupied = np.flatnonzero(counts)
    # Pixels stand row by row; what is sorted in 16 bits is sorted quickly.
    order = places.astype(np.uint16 if len(counts) < 1 << 16 else np.intp).argsort(kind="stable")
    profile = np.zeros((len(left), len(counts)), np.int32)
    firsts = np.cumsum(counts[occupied]) - counts[occupied]
    profile[:, occupied] = np.add.reduceat(left[:, order].view(np.uint8), firsts, axis=1, dtype=np.int32)
    return profile


def _extents(profile: NDArray[np.int32], starts: NDArray[np.intp], ends: NDArray[np.intp]) -> NDArray[np.intp]:
    """How far apart the first and the last occupied places of each region are: widths by columns, heights by rows."""
    size = profile.shape[1]
    extents = np.empty(len(starts), np.intp)
    # In slices: a page of scribbles has tens of thousands of pairs.
    for first in range(0, len(starts), _PAIRS_AT_ONCE):
        some = slice(first, first + _PAIRS_AT_ONCE)
        occupied = profile[ends[some]] > profile[starts[some]]
        extents[some] = size - occupied.argmax(axis=1) - occupied[:, ::-1].argmax(axis=1)
    return extents


def _hold_one(
    profile: NDArray[np.int32], starts: NDArray[np.intp], ends: NDArray[np.intp], centres: Sequence[NDArray[np.float64]], slack: float
) -> NDArray[np.bool_]:
    """Which regions have one of a string's centres, and no other, under the middle part of their ink, or up to `slack` columns beside."""
    size, below = profile.shape[1], np.cumsum(profile, axis=1)
    fit = np.zeros(len(starts), np.bool_)
    for first in range(0, len(starts), _PAIRS_AT_ONCE):
        some = slice(first, first + _PAIRS_AT_ONCE)
        filled = below[ends[some]] - below[starts[some]]
        share = filled / filled[:, -1:]
        for one in centres:
            before, after = (share[:, np.clip(np.rint(one + aside).astype(np.intp), 0, size - 1)] for aside in (-slack, slack))
            fit[some] |= ((after > INNER) & (before < 1 - INNER)).sum(axis=1) == 1
    return fit


def _line(cuts: CutSet) -> tuple[float, float]:
    """Slope and level of the straight line through the middle of all ink: y = level + slope x."""
    x, y = cuts.columns.astype(float), cuts.rows.astype(float)
    dx = x - x.mean()
    spread = float(dx @ dx)
    slope = float(np.clip(dx @ (y - y.mean()) / spread, -MOST_SLOPE, MOST_SLOPE)) if spread else 0.0
    return slope, float(y.mean() - slope * x.mean())


def _region(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Region:
    # Pixels stand row by row.
    top, left = int(rows[0]), int(columns.min())
    box = Box(top=top, left=left, bottom=int(rows[-1]) + 1, right=int(columns.max()) + 1)
    ink = np.zeros((box.height, box.width), bool)
    ink[rows - top, columns - left] = True
    return Region(box=box, ink=ink)


def _measure(region: Region, height: float, line: tuple[float, float], cost: tuple[float, float]) -> list[float]:
    """Size, place above the line of writing, density, cut costs, and the widest empty runs of columns and rows of one region."""
    box = region.box
    wide, tall = box.width / height, box.height / height
    filled = int(np.count_nonzero(region.ink))
    above = (line[1] + line[0] * (box.left + box.right) / 2 - (box.top + box.bottom) / 2) / height
    density = filled / (box.width * box.height)
    gaps = [_widest_gap(np.asarray(region.ink.any(axis=axis))) / height for axis in (0, 1)]
    return [wide, tall, wide / tall, filled / height**2, density, above, *cost, *gaps]


def _widest_gap(occupied: NDArray[np.bool_]) -> int:
    """Length of the longest run of empty places between the first and the last, which are occupied."""
    places = occupied.nonzero()[0]
    return 0 if len(places) == len(occupied) else int((places[1:] - places[:-1]).max()) - 1


def _skips(cuts: CutSet, ordered: NDArray[np.bool_], inked: NDArray[np.float32]) -> NDArray[np.float64]:
    """Prices of leaving out what lies between two cuts: whole components, and small pieces that a cut parted."""
    whole = cuts.costs == 0
    gaps = np.flatnonzero(whole)
    pairs = set(zip(gaps[:-1].tolist(), gaps[1:].tolist(), strict=True))
    small = np.argwhere(ordered & (inked < SKIP_UNIT))
    pairs.update((int(start), int(end)) for start, end in small)
    rows = [(start, end, _dirt_price(float(inked[start, end]))) for start, end in sorted(pairs)]
    return np.array(rows, np.float64).reshape(-1, 3)
