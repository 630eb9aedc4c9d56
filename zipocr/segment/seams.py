"""Seams, the cheapest ways from the top of a component to its bottom, at which digits part."""

import numpy as np
from numpy.typing import NDArray

from zipocr.types import Floats, InkMask

# How far from the wanted column a seam may stray, in digit heights.
REACH = 0.4
# Cost of a step aside, and of a whole seam for each column that it is away from where it is wanted
# on average; to cross a pixel of ink costs 1.
STEP_ASIDE = 0.35
DISTANCE = 2.4
# Another seam pays for each row in which it is as near as this to one that was found, in digit
# heights, and this much for all rows.
BESIDE = 0.12
SURCHARGE = 6.0
# Ink on either side of a cut, in squared digit heights.
MIN_PIECE = 0.03


def find_seams(ink: InkMask, height: float, near: float, *, most: int) -> list[NDArray[np.intp]]:
    """Find the cheapest seams through a component near a column.

    Parameters
    ----------
    ink : (h, w) bool
        The component, cropped to its box or not.
    height : float
        Digit height in pixels.
    near : float
        Column near which the seams are wanted.
    most : int
        How many seams to find at most.

    Returns
    -------
    list of (h,) int
        In each row the first column to the right of the seam, the cheapest seam first, one or more.
        It is straight down where no seam leaves enough ink on both sides.

    Notes
    -----
    Dynamic programming over rows, as in seam carving (Avidan and Shamir, 2007).
    """
    reach = max(3, round(REACH * height))
    window = np.arange(round(near) - reach, round(near) + reach + 1)
    prices = _prices(ink, window, near)
    least = MIN_PIECE * height * height
    amount = np.count_nonzero(ink)
    found: list[NDArray[np.intp]] = []
    for _ in range(most):
        seam = window[_cheapest(prices)]
        left = np.count_nonzero(ink & (np.arange(ink.shape[1]) < seam[:, None]))
        if not least <= left <= amount - least:
            break
        found.append(seam)
        beside = np.abs(window - seam[:, None]) <= BESIDE * height
        prices += np.float32(SURCHARGE / len(ink)) * beside
    return found or [np.full(len(ink), round(near))]


def _prices(ink: InkMask, window: NDArray[np.intp], near: float) -> Floats:
    """Return the cost of each pixel in some columns of a component: (h, columns)."""
    rows, columns = ink.shape
    beside = np.abs(window - near) * (DISTANCE / rows)
    prices = np.tile(beside.astype(np.float32), (rows, 1))
    inside = (window >= 0) & (window < columns)
    prices[:, inside] += ink[:, window[inside]]
    return prices


def _cheapest(prices: Floats) -> NDArray[np.intp]:
    """Find the cheapest way from the top row to the bottom row: the column in each, (h,)."""
    rows, width = prices.shape
    # A wall on both sides.
    totals = np.full((rows, width + 2), 1e9, np.float32)
    totals[0, 1:-1] = prices[0]
    aside = np.empty(width + 2, np.float32)
    for row in range(1, rows):
        before, here = totals[row - 1], totals[row, 1:-1]
        np.add(before, np.float32(STEP_ASIDE), out=aside)
        np.minimum(aside[:-2], aside[2:], out=here)
        np.minimum(before[1:-1], here, out=here)
        here += prices[row]
    return _trace_back(totals)


def _trace_back(totals: Floats) -> NDArray[np.intp]:
    """Follow the cheapest way upwards from its cheapest end."""
    column = int(totals[-1].argmin())
    columns = [column]
    for before in totals[-2::-1].tolist():
        straight, left, right = before[column], before[column - 1], before[column + 1]
        if min(left, right) + STEP_ASIDE < straight:
            column += -1 if left <= right else 1
        columns.append(column)
    return np.array(columns[::-1], np.intp) - 1
