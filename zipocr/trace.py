"""Traces of readings for inspection."""

import numpy as np

from zipocr.attempt import Attempt, Fused
from zipocr.classify.normalize import to_grids
from zipocr.decode.confidence import distribute_probability
from zipocr.types import Trace, Unread, ZipReading, dashed

# Maximum number of strings in a trace.
MAX_STRINGS = 5


def to_trace(attempt: Attempt) -> Trace:
    """Return the trace of a page."""
    if attempt.fused and not isinstance(attempt.reading, Unread):
        return _to_trace(attempt.fused, attempt.reading)
    prepared, ink = attempt.prepared, attempt.prepared.ink
    page = ink.scaled.page if ink else prepared.page
    return Trace(
        page=page,
        ink=ink.ink if ink else np.zeros(page.shape, bool),
        candidates=(),
        regions=(),
        grids=(),
        reading=attempt.reading,
    )


def _to_trace(fused: Fused, reading: ZipReading) -> Trace:
    seen, chosen = fused.classified, list(fused.best.regions)
    regions = seen.segmentation.regions
    shares = distribute_probability(fused.ranked, reading.confidence)[:MAX_STRINGS]
    return Trace(
        page=seen.ink.scaled.page,
        ink=seen.ink.ink,
        candidates=tuple(region.box for region in regions),
        regions=tuple(regions[number] for number in chosen),
        grids=tuple(to_grids(seen.bitmaps[chosen])),
        reading=reading,
        strings=tuple(
            (dashed(one.text), min(share, reading.confidence))
            for one, share in zip(fused.ranked, shares, strict=False)
        ),
    )
