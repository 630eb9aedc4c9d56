"""Seams: minimum-cost paths from top to bottom of a component, to separate touching digits."""

import numpy as np
from numpy.typing import NDArray

from zipocr.types import Floats, InkMask

# Maximum distance of a seam from the wanted column, in digit heights.
REACH = 0.4
# Cost of a sideways step, and of a whole seam per column of mean distance from where it is wanted;
# crossing a pixel of ink costs 1.
STEP_ASIDE = 0.35
DISTANCE = 2.4
# Further seams pay for each row in which they are within this distance of a previous one, in digit
# heights; and the cost of all rows.
BESIDE = 0.12
SURCHARGE = 6.0
# Minimum ink on either side of a cut, in squared digit heights.
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
        Column near which to find seams.
    most : int
        Maximum number of seams.

    Returns
    -------
    list of (h,) int
        One or more seams, cheapest first: in each row, the first column to the right of the seam. A
        straight vertical one if no seam leaves enough ink on both sides.

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
    """Return the cost of each pixel in a window of columns: (h, columns)."""
    rows, columns = ink.shape
    beside = np.abs(window - near) * (DISTANCE / rows)
    prices = np.tile(beside.astype(np.float32), (rows, 1))
    inside = (window >= 0) & (window < columns)
    prices[:, inside] += ink[:, window[inside]]
    return prices


def _cheapest(prices: Floats) -> NDArray[np.intp]:
    """Return the cheapest path from the top row to the bottom row: the column in each, (h,)."""
    rows, width = prices.shape
    # Infinite cost on both sides.
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
    """Follow the cheapest path upwards from its end."""
    column = int(totals[-1].argmin())
    columns = [column]
    for before in totals[-2::-1].tolist():
        straight, left, right = before[column], before[column - 1], before[column + 1]
        if min(left, right) + STEP_ASIDE < straight:
            column += -1 if left <= right else 1
        columns.append(column)
    return np.array(columns[::-1], np.intp) - 1
