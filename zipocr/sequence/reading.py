"""Reads a straightened line with the network: the strings it spells, and where their digits stand on the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import log

import numpy as np
from numpy.typing import NDArray

from zipocr.sequence.network import FIRST_DIGIT, OTHER, PIXELS_PER_FRAME, Network
from zipocr.sequence.strings import FLOOR, best_labels, log_probabilities, place_digits
from zipocr.sequence.strip import STRIP_HEIGHT, Strip
from zipocr.types import MOST_DIGITS, ZIP_LENGTH, Floats

LENGTHS = (ZIP_LENGTH, MOST_DIGITS)
MOST_STRINGS = 6
# What all other strings have at least when two readings of a line are put together.
LEAST_REST = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LineReading:
    """What the network makes of a line.

    ``features`` is (T, 96), what the network's last layer saw; ``frames`` is (T, 12), ``strings`` the most probable strings of five or
    nine digits with their probabilities, best first, perhaps none; ``shaped`` is the probability that the line is one of such strings at
    all, and not of four or six digits or a word. ``again`` is (T', 12), the frames of the line seen a second time, None where it was seen
    once, and ``total`` the logarithm of what all strings have together then. ``known`` are the log probabilities of other strings that
    were asked for.
    """

    strip: Strip
    features: Floats
    frames: Floats
    strings: Mapping[str, float]
    shaped: float
    again: Floats | None = None
    total: float = 0.0
    known: dict[str, float] = field(default_factory=dict)

    @property
    def is_twice(self) -> bool:
        """Whether the line was seen a second time."""
        return self.again is not None

    def centres(self, texts: Sequence[str]) -> tuple[NDArray[np.float64], ...]:
        """Where the digits of strings stand: columns of the page, half-way up the line, (N,) for each string that fits into the line."""
        found = [frames for length in LENGTHS for frames in self._frames_of([text for text in texts if len(text) == length])]
        across, down, shift = self.strip.to_page[0]
        middle = down * (STRIP_HEIGHT - 1) / 2 + shift
        return tuple(across * ((frames + 0.5) * PIXELS_PER_FRAME - 0.5) + middle for frames in found if np.isfinite(frames).all())

    def on(self, scale: float) -> "LineReading":
        """The same line on a page that was enlarged `scale` times."""
        # Places are the middles of pixels.
        enlarged = scale * self.strip.to_page + np.array([[0, 0, (scale - 1) / 2]])
        return replace(self, strip=replace(self.strip, to_page=enlarged))

    def log_probabilities(self, texts: Sequence[str]) -> list[float]:
        """Log probability of each of some strings, however improbable."""
        if all(text in self.strings for text in texts):
            return [log(max(self.strings[text], FLOOR)) for text in texts]
        if unknown := [text for text in texts if text not in self.known]:
            readings = [self.frames] if self.again is None else [self.frames, self.again]
            found = log_probabilities(readings, unknown).mean(axis=0) - self.total
            self.known.update(zip(unknown, found.tolist(), strict=True))
        return [self.known[text] for text in texts]

    def _frames_of(self, texts: Sequence[str]) -> NDArray[np.float64]:
        return place_digits(self.frames, texts) if texts else np.empty((0, 0))


def seen_again(line: LineReading, again: LineReading) -> LineReading:
    """A line that was read twice, each time otherwise straightened: the geometric means of what either says."""
    texts = sorted({*line.strings, *again.strings})
    scores = log_probabilities([line.frames, again.frames], texts).mean(axis=0)
    others = np.mean([np.log(max(1 - sum(one.strings.values()), LEAST_REST)) for one in (line, again)])
    total = float(np.logaddexp.reduce([*scores, others]))
    strings = dict(zip(texts, np.exp(scores - total).tolist(), strict=True))
    shaped = (line.shaped + again.shaped) / 2
    return replace(line, strings=_likeliest(strings), shaped=shaped, again=again.frames, total=total, known={})


def _likeliest(strings: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(strings.items(), key=lambda item: (-item[1], item[0]))[:MOST_STRINGS])


def read_lines(network: Network, strips: Sequence[Strip]) -> list[LineReading]:
    """Reads straightened lines, step by step for all of them: each step finds its own in the processor's caches."""
    features = [network.features(strip.pixels) for strip in strips]
    frames = [network.frames(seen) for seen in features]
    return list(map(_to_reading, strips, features, frames))


def _to_reading(strip: Strip, features: Floats, frames: Floats) -> LineReading:
    spelt = best_labels(frames)
    total = max(sum(spelt.values()), 1e-30)
    strings = {_to_text(labels): share / total for labels, share in spelt.items() if len(labels) in LENGTHS and OTHER not in labels}
    return LineReading(strip=strip, features=features, frames=frames, strings=_likeliest(strings), shaped=sum(strings.values()))


def _to_text(labels: tuple[int, ...]) -> str:
    return "".join(str(label - FIRST_DIGIT) for label in labels)
