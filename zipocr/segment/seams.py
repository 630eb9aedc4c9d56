"""Cheapest ways from the top of a component to its bottom: where digits that touch may be cut apart."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zipocr.types import InkMask

# Columns a seam may stray from its middle line, and how far apart middle lines lie, in digit heights.
STRAY = 0.16
STEP = 0.05
# Columns the middle lines move left per row downwards.
SLANTS = (-0.35, 0.0, 0.35)
# How far from where a cut is expected its middle line may lie, in digit heights.
NEAR = 0.25
# Price of a step aside, where crossing a pixel of ink costs 1.
ASIDE = 0.35


def find_seams(
    components: Sequence[InkMask], height: float, near: Sequence[NDArray[np.float64]] | None = None
) -> list[tuple[NDArray[np.int32], NDArray[np.float32]]]:
    """Seams through each component along parallel middle lines of several slants, each the cheapest within its band.

    Parameters
    ----------
    components : sequence of (h, w) bool
        The ink of each component, cropped to its box.
    height : float
        Digit height in pixels.
    near : sequence of (n,) float64, optional
        For each component the columns near which alone seams are wanted; everywhere, if none are given.

    Returns
    -------
    list of (columns, costs), one for each component
        ``columns`` is (n, h) int32, for each seam and row the first column to its right, which may lie outside the component; ``costs``
        is (n,) float32, ink crossed and steps aside, in pixels.

    Notes
    -----
    Dynamic programming over rows, at once for all bands of all components: they are laid side by side on one sheet with clear space
    between.
    """
    reach = max(2, round(STRAY * height))
    tallest = max(len(ink) for ink in components)
    leans = [int(np.ceil(max(SLANTS) * len(ink) / 2)) for ink in components]
    margin = 2 * max(leans) + reach + 1
    offsets = np.cumsum([margin] + [ink.shape[1] + margin for ink in components])
    sheet = np.zeros((tallest, offsets[-1]), np.float32)
    lines, shifts, owners = [], [], []
    for owner, (ink, left, lean) in enumerate(zip(components, offsets[:-1], leans, strict=True)):
        rows, width = ink.shape
        sheet[:rows, left : left + width] = ink
        for slant in SLANTS:
            middles = np.arange(left - lean, left + width + lean, max(1, round(STEP * height)))
            if near is not None:
                middles = middles[(np.abs(middles[:, None] - left - near[owner]) <= NEAR * height).any(axis=1)]
            lines.append(middles)
            shift = np.clip(np.rint(-slant * (np.arange(tallest) - (rows - 1) / 2)), -lean, lean)
            shifts.append(np.broadcast_to(shift, (len(middles), tallest)))
            owners.append(np.full(len(middles), owner))
    middles = np.concatenate(lines)[:, None] + np.concatenate(shifts).astype(np.int64)
    columns, costs = _cheapest(sheet, middles, reach)
    owner_of = np.concatenate(owners)
    return [
        ((columns[owner_of == owner, : len(ink)] - offsets[owner]).astype(np.int32), costs[owner_of == owner])
        for owner, ink in enumerate(components)
    ]


def _cheapest(sheet: NDArray[np.float32], middles: NDArray[np.int64], reach: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The cheapest way down each band: (h, w) prices, (n, h) middle columns -> (n, h) columns and (n,) costs."""
    count, rows = middles.shape
    band = np.arange(-reach, reach + 1)
    prices = sheet[np.arange(rows)[:, None, None], middles.T[:, :, None] + band]
    # Cells beside the band can never be on a seam.
    totals = np.full((rows, count, len(band) + 2), 1e9, np.float32)
    totals[0, :, 1:-1] = prices[0]
    aside = np.empty_like(totals[0])
    for row in range(1, rows):
        before, here = totals[row - 1], totals[row, :, 1:-1]
        np.add(before, np.float32(ASIDE), out=aside)
        np.minimum(before[:, 1:-1], aside[:, :-2], out=here)
        np.minimum(here, aside[:, 2:], out=here)
        here += prices[row]
    straight, left, right = totals[:-1, :, 1:-1], totals[:-1, :, :-2] + np.float32(ASIDE), totals[:-1, :, 2:] + np.float32(ASIDE)
    came = np.where(straight <= np.minimum(left, right), 0, np.where(left <= right, -1, 1))
    place = totals[-1, :, 1:-1].argmin(axis=1)
    every = np.arange(count)
    columns = np.empty((count, rows), np.int64)
    columns[:, -1] = place
    for row in range(rows - 2, -1, -1):
        place = place + came[row, every, place]
        columns[:, row] = place
    return columns + middles - reach, totals[-1, :, 1:-1].min(axis=1)
