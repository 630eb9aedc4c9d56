"""Finds where a known string stands in a lattice: the way that decoding takes when it is told the digits."""

import numpy as np
from numpy.typing import NDArray

from zipocr.decode.strings import DASH_PRICE, Candidate
from zipocr.types import ZIP_LENGTH, Floats, Lattice


def align(lattice: Lattice, gains: Floats, text: str) -> Candidate | None:
    """Finds the best segmentation of a known string.

    Parameters
    ----------
    lattice : Lattice
    gains : (E, 10) float32
        Log probability that a region is one whole digit, and this one.
    text : str
        Five digits or nine, without a dash.

    Returns
    -------
    Candidate or None
        The string and the regions it is written in, with the sum of their gains less the price of the ink left out; None when no regions
        follow each other in that number.

    Notes
    -----
    Dynamic programming from the left over (cut, digits behind it). What lies behind the fifth of nine digits may be the dash, for nothing.
    """
    digits = np.array([int(letter) for letter in text])
    best = np.full((lattice.cut_count, len(digits) + 1), -np.inf)
    best[0, 0] = 0
    # For each (cut, digits behind it): the cut that the best way comes from, and its last edge, -1 where that left ink out.
    back = np.full((*best.shape, 2), -1)
    for start, end, edge, price in _ways(lattice):
        reached = best[start] - price
        if edge >= 0:
            reached[1:] = best[start, :-1] + gains[edge, digits]
            reached[0] = -np.inf
        elif len(digits) > ZIP_LENGTH and price <= DASH_PRICE:
            reached[ZIP_LENGTH] = best[start, ZIP_LENGTH]
        better = reached > best[end]
        best[end, better] = reached[better]
        back[end, better] = start, edge
    if not np.isfinite(best[-1, -1]):
        return None
    return Candidate(text=text, edges=_trail(back, len(digits)), score=float(best[-1, -1]))


def _ways(lattice: Lattice) -> list[tuple[int, int, int, float]]:
    """All ways between cuts, (from cut, to cut, edge or -1, price); what leads to a cut stands before what leaves it."""
    edges = enumerate(zip(lattice.starts.tolist(), lattice.ends.tolist(), strict=True))
    ways = [(start, end, edge, 0.0) for edge, (start, end) in edges]
    ways += [(int(start), int(end), -1, price) for start, end, price in lattice.skips.tolist()]
    return sorted(ways)


def _trail(back: NDArray[np.int_], count: int) -> tuple[int, ...]:
    """The edges of the best way to the last cut with so many digits behind it."""
    cut, edges = len(back) - 1, []
    while cut > 0:
        start, edge = back[cut, count]
        if edge >= 0:
            edges.append(int(edge))
            count -= 1
        cut = start
    return tuple(reversed(edges))
