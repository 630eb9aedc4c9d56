"""Straightened lines to train a network on.

Composed strings, other numbers, words and what is no writing, each with what it spells.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from zipocr.line.line_image import rectify
from zipocr.line.network import FIRST_DIGIT, OTHER
from zipocr.preprocess.page import prepare
from zipocr.training.data.datasets import DigitSet
from zipocr.training.fit.region_samples import map_strings
from zipocr.training.synthesis.compose import HANDWRITTEN_QUOTAS, Composer
from zipocr.training.synthesis.foreign_hands import ForeignComposer
from zipocr.training.synthesis.negatives import COUNTS, QUOTAS, WORDLESS, Negatives
from zipocr.training.synthesis.typefaces import typefaces

# Seed of the chance that deals numbers to the sources.
_DEAL = 99
# Shares of lines that hold no ZIP, that are written in the hands of Digits, and in those of other
# countries.
WITHOUT_ZIP = 0.12
OF_DIGITS = 0.06
FOREIGN = 0.15
EUROPEAN = 0.35
STRENGTH = 0.5
FEW_KINDS: Mapping[str, float] = {**HANDWRITTEN_QUOTAS, "plus4": 6.0}
KINDS: Mapping[str, float] = {**FEW_KINDS, "printed": 9.0}
# Of pages without a ZIP those of one line, or none, of which it is known what they spell.
_UNKNOWN = ("rows", "lines", "address", "envelope", "crossed_out")
OTHER_KINDS: Mapping[str, float] = {
    kind: weight for kind, weight in QUOTAS.items() if kind not in _UNKNOWN
}
# Where digits are few, none of them in type, and each written more differently from time to time.
OTHER_FEW_KINDS: Mapping[str, float] = {
    kind: QUOTAS[kind] for kind in (*COUNTS, *WORDLESS, "blank") if kind not in _UNKNOWN
}
FEW_STRENGTH = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """A strip, ``(2, 32, W) uint8``, and the classes that it spells, ``(N,) uint8``."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LineComposer:
    """Makes lines by number; the n-th is the same in every process. ``nth`` gives None where a page showed no ink.

    Where there are no ``extra`` digits the lines know ``digits`` alone: none in type, and none
    drawn.
    """

    digits: DigitSet
    extra: DigitSet | None
    seed: int
    _sources: tuple[tuple[float, Composer | Negatives], ...] = field(init=False)

    def __post_init__(self) -> None:
        """Set up what lines are drawn from."""
        sources = self._few() if self.extra is None else self._many(self.extra)
        object.__setattr__(self, "_sources", sources)

    def _few(self) -> tuple[tuple[float, Composer | Negatives], ...]:
        own = Composer(
            self.digits,
            seed=self.seed,
            kinds=FEW_KINDS,
            european=EUROPEAN,
            strength=FEW_STRENGTH,
            each_once=True,
        )
        rest = Negatives(
            self.digits,
            seed=self.seed + 5,
            part="train",
            kinds=OTHER_FEW_KINDS,
            strength=FEW_STRENGTH,
            european=EUROPEAN,
        )
        return (WITHOUT_ZIP, rest), (1.0, own)

    def _many(self, extra: DigitSet) -> tuple[tuple[float, Composer | Negatives], ...]:
        faces = typefaces("train")
        own, other = (
            Composer(
                digits,
                seed=self.seed + more,
                kinds=KINDS,
                european=european,
                each_once=True,
                faces=faces,
            )
            for digits, more, european in ((self.digits, 0, EUROPEAN), (extra, 4, 0.0))
        )
        rest = Negatives(
            self.digits,
            seed=self.seed + 5,
            part="train",
            faces=faces,
            kinds=OTHER_KINDS,
            strength=STRENGTH,
            european=EUROPEAN,
        )
        foreign = ForeignComposer(self.digits, seed=self.seed + 6)
        return (WITHOUT_ZIP, rest), (OF_DIGITS, other), (FOREIGN, foreign), (1.0, own)

    def holds_zip(self, number: int) -> bool:
        """Whether the line of a number shows a ZIP."""
        return self._chance(number) >= WITHOUT_ZIP

    def nth(self, number: int) -> Line | None:
        """The line of a number."""
        composed = self._source(self._chance(number)).nth(number)
        page = prepare(composed.image).ink
        if page is None:
            return None
        strip = rectify(page, page.text_height)
        return Line(pixels=strip.pixels, labels=to_labels(composed.text or composed.letters))

    def _source(self, chance: float) -> Composer | Negatives:
        for share, source in self._sources:
            if chance < share:
                return source
            chance -= share
        return self._sources[-1][1]

    def _chance(self, number: int) -> float:
        return float(np.random.default_rng((_DEAL, number, 0)).random())


def to_labels(text: str) -> NDArray[np.uint8]:
    """The classes of a text.

    Its digits, and one and the same for all letters; other signs count as paper.
    """
    return np.array(
        [FIRST_DIGIT + int(one) if one.isdigit() else OTHER for one in text if one.isalnum()],
        np.uint8,
    )


def gather_lines(composer: LineComposer, numbers: Iterable[int], *, jobs: int) -> list[Line]:
    """Lines of a composer.

    Those with a ZIP, then the others; the same for any number of processes.
    """
    numbers = sorted(numbers, key=lambda number: not composer.holds_zip(number))
    return [line for line in map_strings(composer.nth, numbers, jobs=jobs) if line is not None]
