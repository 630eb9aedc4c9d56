"""The layout of a page: its lines, grouped into blocks of writing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zipocr.locate.text_lines import TextLine

# Maximum spacing of the lines of a block, in line heights, and maximum ratio of their heights.
MAX_SPACING, MAX_RATIO = 2.6, 1.8
# Minimum number of letters in a line of writing.
MIN_LETTERS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A line's block, and the number of lines of the block above and below it.

    ``previous`` and ``following`` are the nearest of these lines, if there are any.
    """

    block: int
    above: int
    below: int
    previous: int | None
    following: int | None


def lay_out(lines: Sequence[TextLine]) -> list[Position]:
    """Group lines into blocks by their spacing; lines are sorted from top to bottom."""
    written = [place for place, line in enumerate(lines) if _letters(line) >= MIN_LETTERS]
    following: dict[int, int] = {}
    for place in written:
        below = [other for other in written if _is_below(lines[place], lines[other])]
        if below:
            nearest = min(below, key=lambda other: _drop(lines[place], lines[other]))
            if nearest not in following.values():
                following[place] = nearest
    preceding = {below: above for above, below in following.items()}
    positions = []
    for place in range(len(lines)):
        block, above = _last(place, preceding)
        _, below_it = _last(place, following)
        positions.append(
            Position(
                block=block,
                above=above,
                below=below_it,
                previous=preceding.get(place),
                following=following.get(place),
            )
        )
    return positions


def _last(place: int, links: Mapping[int, int]) -> tuple[int, int]:
    """Follow links to the end, and count the steps, at most as many as there are links."""
    for steps in range(len(links) + 1):
        if place not in links:
            return place, steps
        place = links[place]
    return place, len(links)


def _letters(line: TextLine) -> int:
    return sum(len(word.places) for word in line.words)


def _drop(line: TextLine, other: TextLine) -> float:
    """Return how far below another line is, at the middle of their common columns."""
    left = max(line.box.left, other.box.left)
    right = min(line.box.right, other.box.right)
    middle = (left + right) / 2
    return other.level + other.slope * middle - line.level - line.slope * middle


def _is_below(line: TextLine, other: TextLine) -> bool:
    height = max(line.height, other.height)
    if height > MAX_RATIO * min(line.height, other.height):
        return False
    shared = min(line.box.right, other.box.right) - max(line.box.left, other.box.left)
    if shared < height:
        return False
    return 0.6 * height < _drop(line, other) < MAX_SPACING * height
