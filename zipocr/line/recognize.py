"""Recognition of line images with the network.

Yields the n-best strings and the positions of their digits on the page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import log

import numpy as np
from numpy.typing import NDArray

from zipocr.line.ctc import FLOOR, align_digits, log_probabilities, prefix_beam_search
from zipocr.line.line_image import LINE_HEIGHT, LineImage
from zipocr.line.network import BLANK, FIRST_DIGIT, OTHER, PIXELS_PER_FRAME, Network
from zipocr.types import MAX_DIGITS, ZIP_LENGTH, Floats

LENGTHS = (ZIP_LENGTH, MAX_DIGITS)
MAX_STRINGS = 6
# Strings less probable than the best by this factor are ignored.
FAR_BEHIND = 0.01
# Minimum probability of all other strings together when two readings of a line are merged.
MIN_REST = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LineReading:
    """The network's reading of a line.

    ``features`` is (T, F), the input of the network's output layer; ``frames`` is (T, 12),
    ``strings`` the most probable strings of five or nine digits with their probabilities, best
    first, possibly empty; ``shaped`` is the probability that the line is such a string at all,
    rather than four or six digits or a word. ``again`` are the frames of later passes over the
    line, each (T', 12), ``weight`` is the share of the first one, and ``total`` the log of the
    total probability of all strings. ``known`` caches the log probabilities of other strings, and
    ``aligned`` the columns of strings in these frames, which merged readings share.
    """

    strip: LineImage
    features: Floats
    frames: Floats
    strings: Mapping[str, float]
    shaped: float
    again: tuple[Floats, ...] = ()
    weight: float = 1.0
    total: float = 0.0
    known: dict[str, float] = field(default_factory=dict)
    aligned: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    @property
    def is_twice(self) -> bool:
        """Whether the line was read in more than one pass."""
        return bool(self.again)

    @property
    def best_probability(self) -> float:
        """Probability of the best string, 0 if there is none."""
        return next(iter(self.strings.values()), 0.0)

    def centres(self, texts: Sequence[str]) -> list[NDArray[np.float64]]:
        """Align strings with the line, and return the columns of their digits at mid-height.

        (N,) for each string, in pixels of the page; empty if it does not fit the line.
        """
        across, down, shift = self.strip.to_page[0]
        middle = down * (LINE_HEIGHT - 1) / 2 + shift
        for length in LENGTHS:
            new = [text for text in texts if len(text) == length and text not in self.aligned]
            found = align_digits(self.frames, new) if new else []
            for text, frames in zip(new, found, strict=True):
                columns = across * ((frames + 0.5) * PIXELS_PER_FRAME - 0.5) + middle
                self.aligned[text] = columns if np.isfinite(columns).all() else _NOWHERE
        return [self.aligned[text] for text in texts]

    def likeliest(self, count: int) -> list[str]:
        """Return the most probable strings, but none far less probable than the best."""
        texts = list(self.strings)[:count]
        return [text for text in texts if self.strings[text] > FAR_BEHIND * self.strings[texts[0]]]

    @property
    def class_features(self) -> Floats:
        """Features of each class but blank, and its number of frames, in turn: (1067,).

        Features are summed over all frames, weighted by the probability of the class.
        """
        counted = np.hstack([self.features, np.ones_like(self.features[:, :1])])
        summed: Floats = self.frames[:, BLANK + 1 :].T @ counted
        return summed.ravel()

    @property
    def characters(self) -> int:
        """Number of characters of any kind in the greedy decoding."""
        classes = self.frames.argmax(axis=1)
        begins = np.diff(classes, prepend=BLANK) != 0
        return int(np.count_nonzero(begins & (classes != BLANK)))

    def log_probabilities(self, texts: Sequence[str]) -> list[float]:
        """Return the log probability of each string, however improbable."""
        if all(text in self.strings for text in texts):
            return [log(max(self.strings[text], FLOOR)) for text in texts]
        if unknown := [text for text in texts if text not in self.known]:
            found = self.mean_log_probabilities(unknown) - self.total
            self.known.update(zip(unknown, found.tolist(), strict=True))
        return [self.known[text] for text in texts]

    def mean_log_probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the weighted mean over all passes of each string's log probability."""
        return self.mean(log_probabilities([self.frames, *self.again], texts))

    def mean(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the weighted mean of a value of each pass: (P, ...) -> (...)."""
        if not self.again:
            return np.asarray(values[0])
        return np.asarray(self.weight * values[0] + (1 - self.weight) * values[1:].mean(axis=0))


_NOWHERE = np.empty(0)


def merge_passes(
    first: LineReading, others: Sequence[LineReading], *, weight: float
) -> LineReading:
    """Merge passes over a line at several sizes, possibly by two networks.

    Probabilities are weighted geometric means, ``weight`` being the share of the first pass, 0 to
    1; the others share the rest. The frames are those of the first pass.
    """
    both = replace(first, again=tuple(one.frames for one in others), weight=weight, known={})
    passes = (first, *others)
    texts = sorted({text for one in passes for text in one.strings})
    scores = both.mean_log_probabilities(texts)
    rests = [log(max(1 - sum(one.strings.values()), MIN_REST)) for one in passes]
    total = float(np.logaddexp.reduce([*scores, both.mean(np.array(rests))]))
    strings = dict(zip(texts, np.exp(scores - total).tolist(), strict=True))
    return replace(
        both,
        strings=_likeliest(strings),
        shaped=float(both.mean(np.array([one.shaped for one in passes]))),
        total=total,
    )


def _likeliest(strings: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(strings.items(), key=lambda item: (-item[1], item[0]))[:MAX_STRINGS])


def read_lines(network: Network, strips: Sequence[LineImage]) -> list[LineReading]:
    """Read line images, one step for all of them at a time.

    This keeps the data of each step in the processor's caches.
    """
    features = [network.features(strip.pixels) for strip in strips]
    frames = [network.frames(seen) for seen in features]
    return list(map(_to_reading, strips, features, frames))


def _to_reading(strip: LineImage, features: Floats, frames: Floats) -> LineReading:
    strings = string_probabilities(frames)
    return LineReading(
        strip=strip,
        features=features,
        frames=frames,
        strings=_likeliest(strings),
        shaped=sum(strings.values()),
    )


def string_probabilities(frames: Floats) -> dict[str, float]:
    """Return the probabilities of strings of five or nine digits among all labellings of frames.

    (T, 12) -> most probable strings first, possibly none.
    """
    spelt = prefix_beam_search(frames)
    total = max(sum(spelt.values()), 1e-30)
    return {
        _to_text(labels): share / total
        for labels, share in spelt.items()
        if len(labels) in LENGTHS and OTHER not in labels
    }


def _to_text(labels: tuple[int, ...]) -> str:
    return "".join(str(label - FIRST_DIGIT) for label in labels)
