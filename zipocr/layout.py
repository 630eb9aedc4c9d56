"""Tells whether a page holds more than the one line of a ZIP: lines one below the other, an address, a whole envelope.

Where letters stand above others and beside others, both several times over, writing has two dimensions. That holds of a page turned by a
quarter as well, and neither of the digits of one line, however skewed, nor of a single line that stands upright.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zipocr.components import Components

# Letters, in digit heights, on a page whose digits are of some size; and how many have to stand above others, and how many beside.
LEAST_LETTER, MOST_LETTER = 0.45, 2.5
FEWEST_STACKED = 2
# How far the letters reach either way, in digit heights: the halves of broken digits stand above each other, too, but on one line.
LEAST_REACH = 2.1
# The same where the height is not known: letters are then at least so many pixels high, no flatter, and in heights of the middle one.
LEAST_PIXELS = 7
FLATTEST = 4
LEAST_SHARE, MOST_SHARE = 0.5, 2.0
FEWEST_LETTERS, FEWEST_IN_SHEET = 16, 8
MOST_BOXES = 200
# What two letters have to share of the smaller one's width to stand above each other; how far they may overlap, or lie apart, in heights.
SHARED, OVERLAP, FARTHEST = 0.5, 0.1, 1.8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Boxes:
    """The boxes of components: (N,) each, in pixels."""

    left: NDArray[np.int32]
    top: NDArray[np.int32]
    wide: NDArray[np.int32]
    tall: NDArray[np.int32]
    area: NDArray[np.int32]

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> "_Boxes":
        return _Boxes(left=self.left[chosen], top=self.top[chosen], wide=self.wide[chosen], tall=self.tall[chosen], area=self.area[chosen])


def has_several_lines(parts: Components, height: float) -> bool:
    """Whether writing stands on several lines.

    Parameters
    ----------
    parts : Components
        Of the cleaned ink of a page.
    height : float
        Digit height in pixels.
    """
    boxes = _boxes(parts)
    letters = boxes.take((boxes.tall >= LEAST_LETTER * height) & (boxes.tall <= MOST_LETTER * height))
    return _has_two_dimensions(letters, height, FEWEST_STACKED)


def is_sheet(parts: Components, least: float = LEAST_PIXELS) -> bool:
    """Whether a page is a sheet with lines of small writing, as a whole envelope is, by its ink as the first threshold has it.

    Letters are `least` pixels high or more. To be asked before the page is brought to working size: a stamp on it would be taken for the
    digits, and the writing for dirt.
    """
    boxes = _boxes(parts)
    boxes = boxes.take((boxes.tall >= least) & (boxes.wide <= FLATTEST * boxes.tall) & (boxes.wide > least / LEAST_PIXELS))
    if len(boxes.tall) < FEWEST_LETTERS:
        return False
    height = float(np.median(boxes.tall))
    letters = boxes.take((boxes.tall >= LEAST_SHARE * height) & (boxes.tall <= MOST_SHARE * height))
    if len(letters.tall) > MOST_BOXES:
        letters = letters.take(np.argsort(-letters.area, kind="stable")[:MOST_BOXES])
    return len(letters.tall) >= FEWEST_LETTERS and _has_two_dimensions(letters, height, FEWEST_IN_SHEET)


def _boxes(parts: Components) -> _Boxes:
    left, top, wide, tall, area = parts.boxes.T
    return _Boxes(left=left, top=top, wide=wide, tall=tall, area=area)


def _has_two_dimensions(letters: _Boxes, height: float, fewest: int) -> bool:
    """Whether enough letters stand above others and enough beside others, and they reach far enough either way."""
    if len(letters.tall) < 2 * fewest:
        return False
    right, bottom = letters.left + letters.wide, letters.top + letters.tall
    reach = min(int(right.max() - letters.left.min()), int(bottom.max() - letters.top.min()))
    if reach < LEAST_REACH * height:
        return False
    above = _follow(letters.top, bottom, letters.left, right, height)
    beside = _follow(letters.left, right, letters.top, bottom, height)
    return min(above, beside) >= fewest


def _follow(start: NDArray[np.int32], end: NDArray[np.int32], low: NDArray[np.int32], high: NDArray[np.int32], height: float) -> int:
    """How many have another behind them on one axis, and how many before, whichever is less, where they share enough of the other axis."""
    shared = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    size = high - low
    gap = start - end[:, None]
    pairs = (shared > SHARED * np.minimum(size[:, None], size)) & (gap >= -OVERLAP * height) & (gap < FARTHEST * height)
    return int(min(pairs.any(axis=0).sum(), pairs.any(axis=1).sum()))
