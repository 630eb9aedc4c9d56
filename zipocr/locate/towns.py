"""The town beside a number, read letter by letter and compared with the towns of ZIPs.

Words are not recognized: the towns of a few ZIPs are aligned with the frames of a network of
letters, so that a name counts even if some of its letters are illegible.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from zipocr.line.ctc import collapse_blanks
from zipocr.line.network import ALPHABET, BLANK, LETTERS, Network
from zipocr.locate.candidates import Span
from zipocr.locate.choice import PageLayout
from zipocr.locate.choice_model import TOWN_FEATURES
from zipocr.locate.find import Located
from zipocr.locate.line_frames import word_image
from zipocr.locate.text_lines import TextLine, Word
from zipocr.types import Box, Floats, Model, Place

# Words of a row: maximum distance of their middles, maximum ratio of their heights, and maximum gap
# and length of the words beside a number, all in line heights.
MAX_SHIFT, MAX_RATIO, MAX_GAP, MAX_LENGTH = 0.5, 1.8, 6.0, 30.0
# If the words before a number are shorter than this, in line heights, the row above is read, too.
MIN_BEFORE = 4.0
# Distance of the row above, in line heights.
MIN_PITCH, MAX_PITCH = 0.8, 2.8
# Log probability at which frames are clipped, and information of a letter of an unknown town.
MIN_LOG_PROBABILITY, NATS_PER_LETTER = -6.0, 2.0
# Features: limits of the mean loss of a letter, and of the gain, in nats.
MAX_LOSS, MIN_GAIN, MAX_GAIN = 4.0, -10.0, 20.0
# Index of the gain among the features.
GAIN = 2
# Minimum gain of the town of a ZIP that neither reader proposes, in nats.
MIN_TOWN_GAIN = 8.0
# Maximum number of letters of a name.
MAX_LETTERS = 40
_SHORT = {
    "SAINT": "ST", "FORT": "FT", "MOUNT": "MT", "NORTH": "N", "SOUTH": "S", "EAST": "E",
    "WEST": "W",
}  # fmt: skip
STATES: Mapping[str, str] = {
    "AL": "Alabama", "AK": "Alaska", "AZ": "Arizona", "AR": "Arkansas", "CA": "California",
    "CO": "Colorado", "CT": "Connecticut", "DE": "Delaware", "DC": "District of Columbia",
    "FL": "Florida", "GA": "Georgia", "HI": "Hawaii", "ID": "Idaho", "IL": "Illinois",
    "IN": "Indiana", "IA": "Iowa", "KS": "Kansas", "KY": "Kentucky", "LA": "Louisiana",
    "ME": "Maine", "MD": "Maryland", "MA": "Massachusetts", "MI": "Michigan", "MN": "Minnesota",
    "MS": "Mississippi", "MO": "Missouri", "MT": "Montana", "NE": "Nebraska", "NV": "Nevada",
    "NH": "New Hampshire", "NJ": "New Jersey", "NM": "New Mexico", "NY": "New York",
    "NC": "North Carolina", "ND": "North Dakota", "OH": "Ohio", "OK": "Oklahoma", "OR": "Oregon",
    "PA": "Pennsylvania", "PR": "Puerto Rico", "RI": "Rhode Island", "SC": "South Carolina",
    "SD": "South Dakota", "TN": "Tennessee", "TX": "Texas", "UT": "Utah", "VT": "Vermont",
    "VA": "Virginia", "WA": "Washington", "WV": "West Virginia", "WI": "Wisconsin",
    "WY": "Wyoming",
}  # fmt: skip
"""Names of the states by their abbreviations."""

PlacedWord: TypeAlias = tuple[TextLine, Word]
Sides: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How well a spelling agrees with the letters on a page.

    ``loss`` is the mean over its letters of how much less probable they are than what the network
    reads there, in nats; ``gain`` is the log likelihood ratio of this and of any other spelling.
    They are infinite if the words are too short for it.
    """

    loss: float
    gain: float


UNKNOWN = Agreement(loss=0.0, gain=0.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TownReader:
    """Compares the writing beside numbers on one page with the towns of ZIPs."""

    network: Network
    located: Located
    _seen: dict[Span, Sides] = field(init=False, default_factory=dict)

    def features(self, span: Span, places: Sequence[Place | None]) -> list[list[float]]:
        """Return TOWN_FEATURES numbers for each place: the evidence that a number's ZIP is its ZIP.

        All are 0 if the place is unknown or there are no words.
        """
        if not any(places):
            return [[0.0] * TOWN_FEATURES for _ in places]
        towns = [spell_town(one) if one else () for one in places]
        states = [spell_state(one.state) if one else () for one in places]
        found = best_agreements(self._losses(span), [*towns, *states])
        pairs = zip(found[: len(places)], found[len(places) :], strict=True)
        return [
            [float(town is not UNKNOWN), *_clipped(town), *_clipped(state)] for town, state in pairs
        ]

    def gains(self, span: Span, places: Sequence[Place | None]) -> list[float]:
        """Return the gain, in nats, of each place's town beside a number.

        It is 0 if there are no words, and minus infinity if they are too short for the town.
        """
        spelt = [spell_town(place) if place else () for place in places]
        return [one.gain for one in best_agreements(self._losses(span), spelt)]

    def _losses(self, span: Span) -> Sides:
        """Return what each letter loses against the best one in each frame: (T, C), at most 0.

        That is of the words before a number, and of those behind it in reverse, so that both end
        next to the number.
        """
        if span not in self._seen:
            before, behind = words_beside(self.located.layout, span)
            self._seen[span] = self._read(before), self._read(behind)[::-1]
        return self._seen[span]

    def _read(self, words: Sequence[PlacedWord]) -> NDArray[np.float64]:
        if not words:
            return _NOTHING
        images = [word_image(self.located.ink, *one) for one in words]
        frames = self.network.frames(self.network.features(np.concatenate(images, axis=2)))
        return to_losses(frames)


_NOTHING = np.zeros((0, 1))


def load_letter_network(model: Model) -> Network:
    """Load the network of letters of a model file."""
    return Network.from_arrays(model.arrays, LETTERS)


def words_beside(layout: PageLayout, span: Span) -> tuple[list[PlacedWord], list[PlacedWord]]:
    """Return the words of the row before and behind a number, from left to right.

    If there are few before it, those of the row above come first.
    """
    line, box = layout.lines[span.line], span.box
    words = _words_of(layout, line)
    row = [(shift, one) for shift, one in words if abs(shift) <= MAX_SHIFT]
    left = [one for _, one in row if one[1].box.left < box.left]
    right = [one for _, one in row if one[1].box.right > box.right]
    before = _chained(left, box.left, line.height, to_left=True)
    behind = _chained(right, box.right, line.height, to_left=False)
    if sum(word.box.width for _, word in before) < MIN_BEFORE * line.height:
        before = _row_above(words, box, line.height) + before
    return before, behind


def _words_of(layout: PageLayout, line: TextLine) -> list[tuple[float, PlacedWord]]:
    """Return all words of about a line's height, and how far below it they are in its heights."""
    found = []
    for other in layout.lines:
        if max(line.height, other.height) > MAX_RATIO * min(line.height, other.height):
            continue
        for word in other.words:
            middle = (word.box.left + word.box.right) / 2
            drop = other.level + other.slope * middle - line.level - line.slope * middle
            found.append((drop / line.height, (other, word)))
    return found


def _row_above(
    words: Sequence[tuple[float, PlacedWord]], box: Box, height: float
) -> list[PlacedWord]:
    """Return the words of the nearest row above a number; those of other columns do not count."""
    first, last = box.left - MAX_GAP * height, box.right + MAX_GAP * height
    upper = [(shift, one) for shift, one in words if MIN_PITCH <= -shift <= MAX_PITCH]
    above = [shift for shift, one in upper if _right(one) > first and _left(one) < last]
    nearest = max(above, default=0.0)
    row = [one for shift, one in upper if abs(nearest - shift) <= MAX_SHIFT and _left(one) < last]
    edge = max(map(_right, row), default=0)
    return _chained(row, edge, height, to_left=True) if above else []


def _chained(
    words: Sequence[PlacedWord], edge: int, height: float, *, to_left: bool
) -> list[PlacedWord]:
    """Return the words that follow each other from an edge without wide gaps, left to right."""
    sign = -1 if to_left else 1
    near, far = (_right, _left) if to_left else (_left, _right)
    start, found = edge, list[PlacedWord]()
    for one in sorted(words, key=lambda one: sign * near(one)):
        gap, length = sign * (near(one) - edge), sign * (far(one) - start)
        if gap > MAX_GAP * height or length > MAX_LENGTH * height:
            break
        found.append(one)
        edge = far(one)
    return found[::sign]


def _left(one: PlacedWord) -> int:
    return one[1].box.left


def _right(one: PlacedWord) -> int:
    return one[1].box.right


def best_agreements(sides: Sides, groups: Sequence[Sequence[str]]) -> list[Agreement]:
    """Return the best agreement of each group's spellings with the words on either side.

    It is UNKNOWN for a group without spellings, and if there are no words.
    """
    spelt = [(number, one) for number, group in enumerate(groups) for one in group]
    best = [UNKNOWN] * len(groups)
    for losses, step in zip(sides, (1, -1), strict=True):
        if not len(losses) or not spelt:
            continue
        for (number, _), one in zip(
            spelt, align(losses, [s[::step] for _, s in spelt]), strict=True
        ):
            if best[number] is UNKNOWN or one.gain > best[number].gain:
                best[number] = one
    return best


def to_losses(frames: Floats) -> NDArray[np.float64]:
    """Return the log probabilities of all classes relative to the best one: (T, C) -> (T', C)."""
    condensed, _ = collapse_blanks(frames)
    logs = np.log(np.maximum(condensed.astype(np.float64), np.exp(MIN_LOG_PROBABILITY)))
    return np.asarray(logs - logs.max(axis=1, keepdims=True))


@lru_cache(maxsize=4096)
def spell_town(place: Place) -> tuple[str, ...]:
    """Return the spellings of a town, without and with its state, in capitals without gaps.

    The first word of its name may be abbreviated. There are none if it has no Latin letters.
    """
    first, _, rest = place.city.upper()[: 2 * MAX_LETTERS].partition(" ")
    cities = (f"{first} {rest}", f"{_SHORT.get(first, first)} {rest}")
    names = dict.fromkeys(filter(None, map(_letters, cities)))
    states = dict.fromkeys(("", *spell_state(place.state)))
    return tuple(name + state for name in names for state in states)


def spell_state(state: str) -> list[str]:
    """Return the spellings of a state, in capitals without gaps."""
    name = STATES.get(state.upper(), "")
    return list(filter(None, map(_letters, (state[:MAX_LETTERS], name))))


def _letters(text: str) -> str:
    """Return the first Latin letters of a name in capitals, without accents."""
    plain = normalize("NFKD", text).upper()
    return re.sub("[^A-Z]", "", plain)[:MAX_LETTERS]


def _clipped(one: Agreement) -> Iterator[float]:
    yield min(one.loss, MAX_LOSS) / MAX_LOSS
    yield min(max(one.gain, MIN_GAIN), MAX_GAIN) / MAX_GAIN


def align(losses: NDArray[np.float64], spellings: Sequence[str]) -> list[Agreement]:
    """Align spellings with the end of some frames by the Viterbi algorithm.

    Parameters
    ----------
    losses : (T, C) float64
        Result of `to_losses`; the frames before a spelling may show anything.
    spellings : sequence of str
        One or more of one or more capitals.

    Returns
    -------
    list of Agreement
    """
    states, barred, entries = _to_states(spellings)
    best = np.full((len(spellings), states.shape[1] + 2), -np.inf)
    here = best[:, 2:]
    for frame in losses:
        step = np.maximum(best[:, :-2] + barred, best[:, 1:-1])
        np.maximum(step, here, out=step)
        np.maximum(step, entries, out=step)
        np.add(step, frame[states], out=here)
    totals = here[:, -2:].max(axis=1).tolist()
    return [
        Agreement(loss=-total / len(one), gain=total + NATS_PER_LETTER * len(one))
        for one, total in zip(spellings, totals, strict=True)
    ]


def _to_states(
    spellings: Sequence[str],
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Return the classes of all states, and the costs of skipping a blank and of beginning.

    Each is (K, S); spellings end in the last two columns.
    """
    count = 2 * max(map(len, spellings)) + 1
    states = np.full((len(spellings), count), BLANK, np.intp)
    barred = np.full(states.shape, -np.inf)
    entries = np.full(states.shape, -np.inf)
    for row, spelling in enumerate(spellings):
        labels = [ALPHABET.index(letter) + 1 for letter in spelling]
        first = count - 2 * len(labels) - 1
        states[row, first + 1 :: 2] = labels
        entries[row, first : first + 2] = 0.0
        for place in range(1, len(labels)):
            if labels[place] != labels[place - 1]:
                barred[row, first + 1 + 2 * place] = 0.0
    return states, barred, entries
