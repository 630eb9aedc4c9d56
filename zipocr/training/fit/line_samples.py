"""Straightened lines to train a network on.

Composed strings, other numbers, words and what is no writing, each with what it spells.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zipocr.line.line_image import rectify
from zipocr.line.network import FIRST_DIGIT, OTHER
from zipocr.preprocess.page import InkPage, prepare
from zipocr.storage.atomic import written_whole
from zipocr.training.data.datasets import DigitSet
from zipocr.training.fit.region_samples import map_strings
from zipocr.training.synthesis.compose import HANDWRITTEN_QUOTAS, LIGATURE, Composed, Composer
from zipocr.training.synthesis.foreign_hands import AmountComposer, ForeignComposer
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
# Shares of the lines of a network that has learnt from those above: hands of US mail, amounts, and
# type as cheap and worn machines print it.
OF_MAIL, AMOUNTS, MACHINES = 0.15, 0.20, 0.22
OF_MAIL_EUROPEAN = 0.1
# The share of amounts for a network that has learnt from all of these: they are misread most often.
MORE_AMOUNTS = 0.32
# Touching digits are where lines are misread most often.
WIDE_KINDS: Mapping[str, float] = {
    **KINDS, "touching": 40.0, "close": 10.0, "far_cells": 5.0, "hard_shadow": 4.0,
    "vignette": 3.0, "crowded": 6.0, "tailed": 6.0, "small_hand": 5.0,
}  # fmt: skip
MACHINE_KINDS: Mapping[str, float] = {
    "machine": 3, "thermal": 4, "ink_jet": 2, "worn": 3, "tiny": 4, "printed": 2, "bold": 2,
    "printed_shadow": 2, "printed_tail": 2,
}  # fmt: skip
OTHER_WIDE_KINDS: Mapping[str, float] = {**OTHER_KINDS, "town_line": 18.0}
# Numbers of lines that share a file.
PIECE = 8000
# A line teaches nothing if its height was misjudged by more than this factor.
MAX_MISJUDGED = 2.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """A strip, ``(2, 32, W) uint8``, and the classes that it spells, ``(N,) uint8``."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LineComposer:
    """Makes lines by number; the n-th is the same in every process.

    ``nth`` gives None where a page showed no ink.

    Where there are no ``extra`` digits the lines know ``digits`` alone: none in type, and none
    drawn. With ``is_wide`` fewer are composed of NIST digits: more are machines' type, amounts
    (``amounts`` is their share), and written by the hands of ``mail``, where there are some.
    ``scale`` enlarges the digits of all lines, for a network that sees them so.
    """

    digits: DigitSet
    extra: DigitSet | None
    seed: int
    mail: DigitSet | None = None
    is_wide: bool = False
    scale: float = 1.0
    amounts: float = AMOUNTS
    _sources: tuple[tuple[float, Composer | Negatives], ...] = field(init=False)

    def __post_init__(self) -> None:
        """Set up what lines are drawn from."""
        object.__setattr__(self, "_sources", self._all_sources())

    def _all_sources(self) -> tuple[tuple[float, Composer | Negatives], ...]:
        if self.extra is None:
            return self._few()
        return self._wide(self.extra) if self.is_wide else self._many(self.extra)

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

    def _wide(self, extra: DigitSet) -> tuple[tuple[float, Composer | Negatives], ...]:
        faces = typefaces("train")
        hands = (
            (self.digits, 0, EUROPEAN), (extra, 4, 0.0),
            (self.mail or self.digits, 7, OF_MAIL_EUROPEAN),
        )  # fmt: skip
        own, other, of_mail = (
            Composer(
                digits,
                seed=self.seed + more,
                kinds=WIDE_KINDS,
                european=european,
                each_once=True,
                faces=faces,
            )
            for digits, more, european in hands
        )
        rest = Negatives(
            self.digits,
            seed=self.seed + 5,
            part="train",
            faces=faces,
            kinds=OTHER_WIDE_KINDS,
            strength=STRENGTH,
            european=EUROPEAN,
        )
        amounts = AmountComposer(self.digits, seed=self.seed + 6)
        machines = Composer(self.digits, seed=self.seed + 8, kinds=MACHINE_KINDS, faces=faces)
        return (
            (WITHOUT_ZIP, rest), (OF_DIGITS, other), (self.amounts, amounts), (OF_MAIL, of_mail),
            (MACHINES, machines), (1.0, own),
        )  # fmt: skip

    def holds_zip(self, number: int) -> bool:
        """Whether the line of a number shows a ZIP."""
        return self._chance(number) >= WITHOUT_ZIP

    def nth(self, number: int) -> Line | None:
        """The line of a number."""
        composed = self._source(self._chance(number)).nth(number)
        page = prepare(composed.image).ink
        if page is None or is_misjudged(composed, page):
            return None
        strip = rectify(page, page.text_height / self.scale)
        return Line(pixels=strip.pixels, labels=to_labels(composed.text or composed.letters))

    def _source(self, chance: float) -> Composer | Negatives:
        for share, source in self._sources:
            if chance < share:
                return source
            chance -= share
        return self._sources[-1][1]

    def _chance(self, number: int) -> float:
        return float(np.random.default_rng((_DEAL, number, 0)).random())


def is_misjudged(composed: Composed, page: InkPage) -> bool:
    """Whether the digits of a line were taken for much higher or lower than they are."""
    owners = composed.owners
    places = [place for place in np.unique(owners).tolist() if 0 < place < LIGATURE]
    if not places:
        return False
    rows = [np.flatnonzero((owners == place).any(axis=1)) for place in places]
    scaled_by = page.scaled.page.shape[0] / owners.shape[0]
    height = float(np.median([row[-1] - row[0] + 1 for row in rows])) * scaled_by
    return not 1 / MAX_MISJUDGED < page.text_height / max(height, 1.0) < MAX_MISJUDGED


def to_labels(text: str) -> NDArray[np.uint8]:
    """The classes of a text.

    Its digits, and one and the same for all letters; other signs count as paper.
    """
    return np.array(
        [FIRST_DIGIT + int(one) if one.isdigit() else OTHER for one in text if one.isalnum()],
        np.uint8,
    )


def gather_lines(
    composer: LineComposer, numbers: Iterable[int], *, jobs: int, folder: Path | None = None
) -> list[Line]:
    """Lines of a composer.

    Those with a ZIP, then the others; the same for any number of processes. A ``folder`` keeps
    them, `PIECE` numbers in a file; those that it has already are not made again.
    """
    if folder is None:
        numbers = sorted(numbers, key=lambda number: not composer.holds_zip(number))
        return [line for line in map_strings(composer.nth, numbers, jobs=jobs) if line is not None]
    folder.mkdir(parents=True, exist_ok=True)
    everything = list(numbers)
    pieces = [everything[first : first + PIECE] for first in range(0, len(everything), PIECE)]
    stored = (_stored(folder, composer, piece, jobs) for piece in pieces)
    return [line for lines in stored for line in lines]


def _stored(folder: Path, composer: LineComposer, piece: Sequence[int], jobs: int) -> list[Line]:
    path = folder / f"lines-{piece[0]:07}-{piece[-1]:07}.npz"
    if not path.exists():
        _save_lines(path, gather_lines(composer, piece, jobs=jobs))
    return _load_lines(path)


def _save_lines(path: Path, lines: Sequence[Line]) -> None:
    with written_whole(path) as file:
        np.savez_compressed(
            file,
            pixels=np.concatenate([line.pixels for line in lines], axis=2),
            widths=np.array([line.pixels.shape[2] for line in lines]),
            labels=np.concatenate([line.labels for line in lines]),
            counts=np.array([len(line.labels) for line in lines]),
        )


def _load_lines(path: Path) -> list[Line]:
    with np.load(path, allow_pickle=False) as found:
        pixels = np.split(found["pixels"], np.cumsum(found["widths"])[:-1], axis=2)
        labels = np.split(found["labels"], np.cumsum(found["counts"])[:-1])
    pairs = zip(pixels, labels, strict=True)
    return [Line(pixels=np.ascontiguousarray(one), labels=spelt) for one, spelt in pairs]
