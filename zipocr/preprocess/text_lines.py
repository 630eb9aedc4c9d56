"""Detection of pages with more than one text line: an address, a whole envelope.

Text is two-dimensional if several letters have others above them and others beside them. That also
holds for rotated pages, but not for the digits of a single line, however skewed, or a vertical
line.
"""

import numpy as np
from numpy.typing import NDArray

from zipocr.preprocess.components import Components

# Range of letter heights in digit heights; minimum number of letters above others and beside
# others.
MIN_LETTER_HEIGHT, MAX_LETTER_HEIGHT = 0.45, 2.5
MIN_STACKED = 2
# Minimum extent of the letters in both directions, in digit heights, since halves of broken digits
# are above each other, too.
MIN_REACH = 2.1
# When the text height is unknown: minimum letter height in pixels, maximum aspect ratio, range
# around the median height.
MIN_PIXELS = 7
FLATTEST = 4
MIN_SHARE, MAX_SHARE = 0.5, 2.0
MIN_LETTERS, MIN_LETTERS_ON_SHEET = 16, 8
MAX_BOXES = 200
# Letters above each other: minimum shared part of the smaller width; maximum overlap and gap in
# heights.
SHARED, OVERLAP, FARTHEST = 0.5, 0.1, 1.8


def has_several_lines(parts: Components, height: float) -> bool:
    """Return whether a page has several text lines.

    Parameters
    ----------
    parts : Components
        The cleaned ink of a page.
    height : float
        Digit height in pixels.
    """
    # Most pages have one line, and letters extend no further than all ink.
    rows, columns = parts.window
    if min(rows.stop - rows.start, columns.stop - columns.start) < MIN_REACH * height:
        return False
    tall = parts.boxes[:, 3]
    letters = parts.boxes[
        (tall >= MIN_LETTER_HEIGHT * height) & (tall <= MAX_LETTER_HEIGHT * height)
    ]
    return _has_two_dimensions(letters, height, MIN_STACKED)


def is_sheet(parts: Components, least: float = MIN_PIXELS) -> bool:
    """Return whether a page has lines of small text, as a whole envelope has.

    Letters are at least `least` pixels high. Call this before scaling the page, since a stamp on it
    would count as digits and the text as dirt.
    """
    if len(parts.boxes) < MIN_LETTERS:
        return False  # most pages end here, before the computation
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
    """Return whether letters are above and beside others over a distance; (N, 5) boxes."""
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
    """Count neighbours before and after on one axis that overlap on the other; the minimum."""
    shared = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    size = high - low
    gap = start - end[:, None]
    pairs = (
        (shared > SHARED * np.minimum(size[:, None], size))
        & (gap >= -OVERLAP * height)
        & (gap < FARTHEST * height)
    )
    return int(min(pairs.any(axis=0).sum(), pairs.any(axis=1).sum()))
