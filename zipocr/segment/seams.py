"""Finds the cheapest way from the top of a component to its bottom: where touching digits part."""

import numpy as np
from numpy.typing import NDArray

from zipocr.types import Floats, InkMask

# Columns a seam may stray from its middle line, and how far apart middle lines lie, in digit
# heights.
STRAY = 0.16
STEP = 0.05
# Columns the middle lines move left per row downwards.
SLANTS = (-0.35, 0.0, 0.35)
# Distance of a middle line from the column near which a cut is wanted, in digit heights.
NEAR = 0.25
# Price of a column between a seam and where it is wanted, where crossing a pixel of ink costs 1.
DISTANCE = 0.9
# Price of a step aside.
STEP_ASIDE = 0.35
# Ink on either side of a cut, in squared digit heights.
MIN_PIECE = 0.03


def find_seam(ink: InkMask, height: float, near: float) -> NDArray[np.intp]:
    """Find the cheapest seam through a component near a column.

    Parameters
    ----------
    ink : (h, w) bool
        The component, cropped to its box or not.
    height : float
        Digit height in pixels.
    near : float
        Column near which the seam is wanted, half-way down.

    Returns
    -------
    (h,) int
        In each row the first column to the right of the seam. It is straight down where no seam
        leaves enough ink on both sides.

    Notes
    -----
    Dynamic programming over rows, at once for bands around parallel middle lines of several slants.
    """
    reach = max(2, round(STRAY * height))
    middles = _middle_lines(len(ink), height, near)
    margin = reach + 1 + max(0, -int(middles.min()), int(middles.max()) + 1 - ink.shape[1])
    sheet = np.pad(ink, ((0, 0), (margin, margin))).astype(np.float32)
    columns, costs = _cheapest(sheet, middles + margin, reach)
    columns -= margin
    left = (np.arange(ink.shape[1]) < columns[:, :, None]) & ink
    amount, least = left.sum(axis=(1, 2)), MIN_PIECE * height * height
    costs += np.float32(DISTANCE) * np.abs(columns.mean(axis=1) - near).astype(np.float32)
    costs[(amount < least) | (amount > np.count_nonzero(ink) - least)] = np.inf
    best = int(costs.argmin())
    if np.isinf(costs[best]):
        return np.full(len(ink), round(near))
    return np.asarray(columns[best], np.intp)


def _middle_lines(rows: int, height: float, near: float) -> NDArray[np.intp]:
    """Return the columns of all middle lines: (n, rows)."""
    across = np.arange(near - NEAR * height, near + NEAR * height, max(1, round(STEP * height)))
    down = np.arange(rows) - (rows - 1) / 2
    lines = [across[:, None] - slant * down for slant in SLANTS]
    return np.asarray(np.rint(np.concatenate(lines)), np.intp)


def _cheapest(
    sheet: Floats, middles: NDArray[np.intp], reach: int
) -> tuple[NDArray[np.intp], Floats]:
    """Find the cheapest way down each band: (h, w) prices, (n, h) -> (n, h) columns, (n,) costs."""
    count, rows = middles.shape
    band = np.arange(-reach, reach + 1)
    prices = sheet[np.arange(rows)[:, None, None], middles.T[:, :, None] + band]
    # Cells beside the band can never be on a seam.
    totals = np.full((rows, count, len(band) + 2), 1e9, np.float32)
    totals[0, :, 1:-1] = prices[0]
    aside = np.empty_like(totals[0])
    for row in range(1, rows):
        before, here = totals[row - 1], totals[row, :, 1:-1]
        np.add(before, np.float32(STEP_ASIDE), out=aside)
        np.minimum(before[:, 1:-1], aside[:, :-2], out=here)
        np.minimum(here, aside[:, 2:], out=here)
        here += prices[row]
    return _trace_back(totals) + middles - reach, totals[-1, :, 1:-1].min(axis=1)


def _trace_back(totals: Floats) -> NDArray[np.intp]:
    """Return the places in its band of each cheapest way: (h, n, band + 2) -> (n, h)."""
    rows, count, _ = totals.shape
    straight = totals[:-1, :, 1:-1]
    left = totals[:-1, :, :-2] + np.float32(STEP_ASIDE)
    right = totals[:-1, :, 2:] + np.float32(STEP_ASIDE)
    came = np.where(straight <= np.minimum(left, right), 0, np.where(left <= right, -1, 1))
    place = totals[-1, :, 1:-1].argmin(axis=1)
    every = np.arange(count)
    columns = np.empty((count, rows), np.intp)
    columns[:, -1] = place
    for row in range(rows - 2, -1, -1):
        place = place + came[row, every, place]
        columns[:, row] = place
    return columns
