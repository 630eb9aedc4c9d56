"""Keeps what a reading saw, for people to look at."""

from collections.abc import Sequence

import numpy as np

from zipocr.prepare import Segmentation
from zipocr.types import Cut, CutSet, DigitGrid, GrayImage, InkMask, Trace, Unread, ZipReading


def to_blank_trace(page: GrayImage, reading: ZipReading | Unread, *, ink: InkMask | None = None) -> Trace:
    """The trace of a page without ink, or at whose ink nobody looked any closer."""
    ink = np.zeros(page.shape, bool) if ink is None else ink
    return Trace(page=page, ink=ink, cuts=(), candidates=(), regions=(), grids=(), reading=reading)


def to_trace(
    seen: Segmentation,
    reading: ZipReading | Unread,
    *,
    edges: Sequence[int] = (),
    grids: Sequence[DigitGrid] = (),
    strings: Sequence[tuple[str, float]] = (),
) -> Trace:
    """The trace of a reading; ``edges`` are the chosen regions of the lattice, ``grids`` their 8x8 grids, ``strings`` the best few."""
    return Trace(
        page=seen.page,
        ink=seen.ink,
        cuts=tuple(_cut_lines(seen.cuts, seen.ink.shape)),
        candidates=tuple(region.box for region in seen.lattice.regions),
        regions=tuple(seen.lattice.regions[edge] for edge in edges),
        grids=tuple(grids),
        reading=reading,
        strings=tuple(strings),
    )


def _cut_lines(cuts: CutSet, shape: tuple[int, ...]) -> list[Cut]:
    """Draws each cut as a line: in every row midway between the ink at its left and the ink at its right, bridged where a row has none."""
    lines = []
    for left, cost in zip(cuts.left[1:-1], cuts.costs[1:-1], strict=True):
        last = np.full(shape[0], -1)
        np.maximum.at(last, cuts.rows[left], cuts.columns[left])
        first = np.full(shape[0], shape[1])
        np.minimum.at(first, cuts.rows[~left], cuts.columns[~left])
        known = np.flatnonzero((last >= 0) & (first < shape[1]))
        if not len(known):
            known = np.flatnonzero((last >= 0) | (first < shape[1]))
        middle = np.clip((last[known] + 1 + first[known]) / 2, last[known] + 1, None)
        columns = np.interp(np.arange(shape[0]), known, middle)
        lines.append(Cut(columns=np.rint(columns).astype(np.int32), cost=float(cost)))
    return lines
