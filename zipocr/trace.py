"""Keeps what a reading saw, for people to look at."""

from collections.abc import Sequence

import numpy as np

from zipocr.prepare import InkPage
from zipocr.types import DigitGrid, GrayImage, InkMask, Region, Trace, Unread, ZipReading


def to_blank_trace(page: GrayImage, reading: ZipReading | Unread, *, ink: InkMask | None = None) -> Trace:
    """Make the trace of a page on which no string was found."""
    ink = np.zeros(page.shape, bool) if ink is None else ink
    return Trace(page=page, ink=ink, candidates=(), regions=(), grids=(), reading=reading)


def to_trace(
    page: InkPage,
    reading: ZipReading,
    *,
    regions: Sequence[Region],
    chosen: Sequence[int],
    grids: Sequence[DigitGrid],
    strings: Sequence[tuple[str, float]],
) -> Trace:
    """Make the trace of a reading.

    ``chosen`` are the regions of its digits, ``grids`` their 8x8 grids, ``strings`` the best few.
    """
    return Trace(
        page=page.scaled.page,
        ink=page.ink,
        candidates=tuple(region.box for region in regions),
        regions=tuple(regions[number] for number in chosen),
        grids=tuple(grids),
        reading=reading,
        strings=tuple(strings),
    )
