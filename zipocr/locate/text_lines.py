"""Text lines: components linked into lines and divided into words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zipocr.types import Box

# Minimum height of letters in pixels.
MIN_LETTER = 6
# Neighbouring letters of a line: minimum shared part of the lower one's rows, maximum gap in
# heights of the higher one, and maximum ratio of their heights.
SHARED_ROWS, MAX_GAP, MAX_RATIO = 0.4, 2.2, 2.6
# Quantile of the letter heights that is the height of a line.
HEIGHT_RANK = 0.7
# Components lower than this, in line heights, are marks: dots, commas, dashes.
MARK = 0.45
# Pieces of broken letters: maximum height, distance from the middle of the line, and distance
# beside its first or last letter, and minimum height of letters of longer lines, in line heights.
MAX_PIECE, MAX_OFFSET, MAX_ASIDE, MIN_PIECE = 1.3, 0.45, 1.0, 0.4
# Number of letters whose neighbours are sought at once, which bounds the memory.
BLOCK = 128
# Minimum gap between words, in line heights.
WORD_GAP = 0.25
# Maximum number of lines: a page with more has texture, and only its longest lines are kept.
MAX_LINES = 120


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Word:
    """Neighbouring components: their indices ``places``, and the ``box`` around them."""

    places: tuple[int, ...]
    box: Box


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextLine:
    """A line of text: its words from left to right.

    ``height`` is that of capitals and digits in pixels; its middle is at row ``level + slope * x``.
    """

    words: tuple[Word, ...]
    box: Box
    height: float
    slope: float
    level: float

    @property
    def length(self) -> float:
        """Its length in line heights."""
        return self.box.width / self.height


def find_lines(boxes: NDArray[np.int32]) -> list[TextLine]:
    """Link components into lines of text, at most `MAX_LINES`, from top to bottom.

    Parameters
    ----------
    boxes : (N, 5) int32
        Left, top, width, height and area of each component.
    """
    letters = np.flatnonzero(boxes[:, 3] >= MIN_LETTER)
    if not len(letters):
        return []
    groups = _linked(boxes[letters])
    linked = [letters[groups == group] for group in range(int(groups.max()) + 1)]
    found = [_to_line(boxes, places) for places in _gathered(boxes, linked)]
    if len(found) > MAX_LINES:
        found = sorted(found, key=lambda line: -line.length)[:MAX_LINES]
    return sorted(found, key=lambda line: (line.box.top + line.box.bottom, line.box.left))


def _gathered(
    boxes: NDArray[np.int32], linked: Sequence[NDArray[np.intp]]
) -> list[NDArray[np.intp]]:
    """Add the pieces of broken letters to their lines, lines with the most ink first.

    Pieces lie between a line's letters or beside the outermost ones, and are no higher. A few large
    components, such as the side of a frame, do not take the letters of longer lines.
    """
    owner = np.full(len(boxes), -1)
    sizes = np.zeros(len(boxes), np.intp)
    for places in linked:
        sizes[places] = len(places)
    order = sorted(range(len(linked)), key=lambda place: -int(boxes[linked[place], 4].sum()))
    for number in order:
        places = linked[number][owner[linked[number]] < 0]
        while len(places):
            owner[places] = number
            own = boxes[owner == number]
            small = boxes[:, 3] < MIN_PIECE * typical_height(own[:, 3])
            free = (owner < 0) & ~(small & (sizes > len(linked[number])))
            places = np.flatnonzero(free & _belongs(boxes, own))
    return [np.flatnonzero(owner == number) for number in order if (owner == number).any()]


def _belongs(boxes: NDArray[np.int32], own: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which components lie on the line of some letters and near enough to these: (N,)."""
    height = typical_height(own[:, 3])
    slope, level = _middle(own, height)
    x, y = boxes[:, 0] + boxes[:, 2] / 2, boxes[:, 1] + boxes[:, 3] / 2
    aside = MAX_ASIDE * height
    return np.asarray(
        (boxes[:, 3] <= MAX_PIECE * height)
        & (np.abs(y - level - slope * x) <= MAX_OFFSET * height)
        & (boxes[:, 0] + boxes[:, 2] > own[:, 0].min() - aside)
        & (boxes[:, 0] < (own[:, 0] + own[:, 2]).max() + aside)
    )


def count_neighbours(boxes: NDArray[np.int32]) -> int:
    """Count the letters with a neighbour nearby on the right: (N, 5) boxes."""
    letters = boxes[boxes[:, 3] >= MIN_LETTER]
    return len(_links(letters)[0]) if len(letters) else 0


def transposed(boxes: NDArray[np.int32]) -> NDArray[np.int32]:
    """Swap the axes of boxes: (N, 5)."""
    return boxes[:, [1, 0, 3, 2, 4]]


def _linked(boxes: NDArray[np.int32]) -> NDArray[np.intp]:
    """Return the line number of each letter: (N,)."""
    first, following = _links(boxes)
    lines = list(range(len(boxes)))
    # From right to left: a letter belongs to the line of the letter that it is linked to.
    order = np.argsort(-(2 * boxes[first, 0] + boxes[first, 2]))
    for one, other in zip(first[order].tolist(), following[order].tolist(), strict=True):
        lines[one] = lines[other]
    return np.unique(lines, return_inverse=True)[1]


def _links(boxes: NDArray[np.int32]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Link letters that are each other's nearest neighbours, left and right."""
    count = len(boxes)
    following, before = np.zeros(count, np.intp), np.zeros(count, np.intp)
    nearest = np.full(count, np.inf, np.float32)
    linked = np.zeros(count, np.bool_)
    for first in range(0, count, BLOCK):
        rows = slice(first, min(first + BLOCK, count))
        columns = np.flatnonzero(_may_follow(boxes[rows], boxes))
        if not len(columns):
            continue
        distance = _distances(boxes[rows], boxes[columns])
        following[rows] = columns[distance.argmin(axis=1)]
        linked[rows] = np.isfinite(distance.min(axis=1))
        least = distance.min(axis=0)
        nearer = least < nearest[columns]
        before[columns[nearer]] = first + distance.argmin(axis=0)[nearer]
        nearest[columns[nearer]] = least[nearer]
    places = np.arange(count)
    mutual = linked & (before[following] == places)
    return places[mutual], following[mutual]


def _may_follow(some: NDArray[np.int32], boxes: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which letters may link to any of some others that are close together: (N,)."""
    left, top, wide, tall = some[:, :4].T
    x, y, width, height = boxes[:, :4].T
    end = (left + wide).max() + MAX_GAP * MAX_RATIO * tall.max()
    return np.asarray(
        (y <= (top + tall).max())
        & (y + height >= top.min())
        & (2 * x + width >= (2 * left + wide).min())
        & (x <= end + 1)
    )


def _distances(some: NDArray[np.int32], boxes: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return the distances of some letters to those right of them, infinite if they do not link.

    The vertical offset adds to the distance.
    """
    left, top, wide, tall = some[:, :4, None].transpose(1, 0, 2).astype(np.float32)
    x, y, width, height = boxes[:, :4].T.astype(np.float32)
    low, high = np.minimum(tall, height), np.maximum(tall, height)
    shared = np.minimum(top + tall, y + height) - np.maximum(top, y)
    gap = x - (left + wide)
    fits = (
        (x + width / 2 > left + wide / 2)
        & (shared >= SHARED_ROWS * low)
        & (gap <= MAX_GAP * high)
        & (high <= MAX_RATIO * low)
    )
    apart = np.abs((2 * y + height) - (2 * top + tall)) / 2
    return np.where(fits, np.maximum(gap, 0) + apart, np.float32(np.inf))


def _to_line(boxes: NDArray[np.int32], places: NDArray[np.intp]) -> TextLine:
    places = places[np.argsort(boxes[places, 0], kind="stable")]
    own = boxes[places]
    height = typical_height(own[:, 3])
    slope, level = _middle(own, height)
    return TextLine(
        words=tuple(_words(boxes, places, height)),
        box=around(own),
        height=height,
        slope=slope,
        level=level,
    )


def typical_height(heights: NDArray[np.int32]) -> float:
    """Return the height of capitals and digits, given the heights of letters and marks."""
    # As np.quantile, whose overhead would dominate for a few letters.
    ordered: list[float] = sorted(heights[heights >= MARK * heights.max()].tolist())
    place = HEIGHT_RANK * (len(ordered) - 1)
    low = int(place)
    step, share = ordered[min(low + 1, len(ordered) - 1)] - ordered[low], place - low
    return ordered[low] + step - step * (1 - share) if share >= 0.5 else ordered[low] + step * share


def _middle(boxes: NDArray[np.int32], height: float) -> tuple[float, float]:
    """Return the slope and level of the line through the middles of letters of about a height."""
    letters = boxes[boxes[:, 3] >= MARK * height]
    x = letters[:, 0] + letters[:, 2] / 2
    y = letters[:, 1] + letters[:, 3] / 2
    spread = float(((x - x.mean()) ** 2).sum())
    slope = 0.0
    if np.ptp(x) > 2 * height:
        slope = float(((x - x.mean()) * (y - y.mean())).sum() / spread)
    return slope, float(np.median(y - slope * x))


def _words(boxes: NDArray[np.int32], places: NDArray[np.intp], height: float) -> list[Word]:
    """Split a line into words at its gaps."""
    words: list[list[int]] = []
    reached = -np.inf
    for place in places.tolist():
        left, _, wide, _, _ = boxes[place].tolist()
        if left - reached > WORD_GAP * height or not words:
            words.append([])
        words[-1].append(place)
        reached = max(reached, left + wide)
    return [Word(places=tuple(word), box=around(boxes[word])) for word in words]


def around(boxes: NDArray[np.int32]) -> Box:
    """Return the box around some boxes: (N, 5)."""
    low = boxes[:, :2].min(axis=0)
    high = (boxes[:, :2] + boxes[:, 2:4]).max(axis=0)
    return Box(top=int(low[1]), left=int(low[0]), bottom=int(high[1]), right=int(high[0]))
