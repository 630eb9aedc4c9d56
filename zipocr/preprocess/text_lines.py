"""Detection of pages with more than one text line: an address, a whole envelope.

Where letters stand above others and beside others, both several times over, writing has two
dimensions. That holds of a page turned by a quarter as well, and neither of the digits of one line,
however skewed, nor of a single line that stands upright.
"""

import numpy as np
from numpy.typing import NDArray

from zipocr.preprocess.components import Components

# Letters, in digit heights, on a page whose digits are of some size; and how many have to stand
# above others, and how many beside.
MIN_LETTER_HEIGHT, MAX_LETTER_HEIGHT = 0.45, 2.5
MIN_STACKED = 2
# How far the letters reach either way, in digit heights: the halves of broken digits stand above
# each other, too, but on one line.
MIN_REACH = 2.1
# The same where the height is not known: letters are then at least so many pixels high, no flatter,
# and in heights of the middle one.
MIN_PIXELS = 7
FLATTEST = 4
MIN_SHARE, MAX_SHARE = 0.5, 2.0
MIN_LETTERS, MIN_LETTERS_ON_SHEET = 16, 8
MAX_BOXES = 200
# What two letters have to share of the smaller one's width to stand above each other; how far they
# may overlap, or lie apart, in heights.
SHARED, OVERLAP, FARTHEST = 0.5, 0.1, 1.8


def has_several_lines(parts: Components, height: float) -> bool:
    """Whether writing stands on several lines.

    Parameters
    ----------
    parts : Components
        Of the cleaned ink of a page.
    height : float
        Digit height in pixels.
    """
    # Most pages hold one line, and letters reach no farther than all ink.
    rows, columns = parts.window
    if min(rows.stop - rows.start, columns.stop - columns.start) < MIN_REACH * height:
        return False
    tall = parts.boxes[:, 3]
    letters = parts.boxes[
        (tall >= MIN_LETTER_HEIGHT * height) & (tall <= MAX_LETTER_HEIGHT * height)
    ]
    return _has_two_dimensions(letters, height, MIN_STACKED)


def is_sheet(parts: Components, least: float = MIN_PIXELS) -> bool:
    """Tell whether a page is a sheet with lines of small writing, as a whole envelope is.

    Letters are `least` pixels high or more. To be asked before the page is brought to working size:
    a stamp on it would be taken for the digits, and the writing for dirt.
    """
    if len(parts.boxes) < MIN_LETTERS:
        return False  # as most pages end, before anything is reckoned
    wide, tall = parts.boxes[:, 2], parts.boxes[:, 3]
    boxes = parts.boxes[(tall >= least) & (wide <= FLATTEST * tall) & (wide > least / MIN_PIXELS)]
    if len(boxes) < MIN_LETTERS:
        return False
    tall = boxes[:, 3]
    height = float(np.median(tall))
    letters = boxes[(tall >= MIN_SHARE * height) & (tall <= MAX_SHARE * height)]
    if len(letters) > MAX_BOXES:
        letters = letters[np.argsort(-letters[:, 4], kind="stable")[:MAX_BOXES]]
    return len(letters) >= MIN_LETTERS and _has_two_dimensions(
        letters, height, MIN_LETTERS_ON_SHEET
    )


def _has_two_dimensions(letters: NDArray[np.int32], height: float, fewest: int) -> bool:
    """Tell whether letters stand above and beside others over a distance; (N, 5) boxes."""
    if len(letters) < 2 * fewest:
        return False
    left, top = letters[:, 0], letters[:, 1]
    right, bottom = left + letters[:, 2], top + letters[:, 3]
    reach = min(int(right.max() - left.min()), int(bottom.max() - top.min()))
    if reach < MIN_REACH * height:
        return False
    above = _follow(top, bottom, left, right, height)
    beside = _follow(left, right, top, bottom, height)
    return min(above, beside) >= fewest


def _follow(
    start: NDArray[np.int32],
    end: NDArray[np.int32],
    low: NDArray[np.int32],
    high: NDArray[np.int32],
    height: float,
) -> int:
    """Count neighbours behind and before on one axis that overlap on the other; the less."""
    shared = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    size = high - low
    gap = start - end[:, None]
    pairs = (
        (shared > SHARED * np.minimum(size[:, None], size))
        & (gap >= -OVERLAP * height)
        & (gap < FARTHEST * height)
    )
    return int(min(pairs.any(axis=0).sum(), pairs.any(axis=1).sum()))
