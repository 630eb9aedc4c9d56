"""Line images to train a network on.

Composed strings, other numbers, words and non-text, each with its transcription.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from zipocr.line.line_image import MAX_LENGTH, rectify
from zipocr.line.network import FIRST_DIGIT, OTHER
from zipocr.preprocess.page import InkPage, prepare
from zipocr.storage.atomic import written_whole
from zipocr.training.data.datasets import DigitSet
from zipocr.training.fit.region_samples import map_strings
from zipocr.training.synthesis.compose import HANDWRITTEN_QUOTAS, LIGATURE, Composed, Composer
from zipocr.training.synthesis.foreign_hands import AmountComposer, ForeignComposer
from zipocr.training.synthesis.negatives import COUNTS, QUOTAS, WORDLESS, Negatives
from zipocr.training.synthesis.pages.letter_lines import LetterLines
from zipocr.training.synthesis.typeface_hands import typeface_hands
from zipocr.training.synthesis.typefaces import typefaces

# Seed of the random assignment of line numbers to sources.
_DEAL = 99
# Shares of lines without a ZIP, in the hands of Digits, and in the hands of other countries.
WITHOUT_ZIP = 0.12
OF_DIGITS = 0.06
FOREIGN = 0.15
EUROPEAN = 0.35
STRENGTH = 0.5
FEW_KINDS: Mapping[str, float] = {**HANDWRITTEN_QUOTAS, "plus4": 6.0}
KINDS: Mapping[str, float] = {**FEW_KINDS, "printed": 9.0}
# Kinds of pages without a ZIP that have several lines or no known transcription, and are left out.
_UNKNOWN = ("rows", "lines", "address", "envelope", "crossed_out")
OTHER_KINDS: Mapping[str, float] = {
    kind: weight for kind, weight in QUOTAS.items() if kind not in _UNKNOWN
}
# With few digits: no printed ones, and stronger augmentation of glyphs.
OTHER_FEW_KINDS: Mapping[str, float] = {
    kind: QUOTAS[kind] for kind in (*COUNTS, *WORDLESS, "blank") if kind not in _UNKNOWN
}
FEW_STRENGTH = 1.0
# Shares of lines for a network already trained on those above: hands of US mail, amounts, and type
# of cheap and worn printers.
OF_MAIL, AMOUNTS, MACHINES = 0.15, 0.20, 0.22
OF_MAIL_EUROPEAN = 0.1
# Share of amounts for a network trained on all of these, since amounts are misread most often.
MORE_AMOUNTS = 0.32
# Shares of lines for the last phase of the first network: digits of handwriting typefaces, and
# addresses; and shares of these by hand and with a ZIP.
OF_TYPEFACES, ADDRESSES = 0.14, 0.10
BY_HAND, WITH_ZIP = 0.8, 0.4
# Width of the sheet of an address, in widths of its line.
ADDRESS_SHEET = 1.1
# Minimum width of a character of an address, in pixels; if lines are shorter, words are missing.
MIN_WIDTH = 5.5
# More touching digits, since they cause most misread lines.
WIDE_KINDS: Mapping[str, float] = {
    **KINDS, "touching": 40.0, "close": 10.0, "far_cells": 5.0, "hard_shadow": 4.0,
    "vignette": 3.0, "crowded": 6.0, "tailed": 6.0, "small_hand": 5.0,
}  # fmt: skip
MACHINE_KINDS: Mapping[str, float] = {
    "machine": 3, "thermal": 4, "ink_jet": 2, "worn": 3, "tiny": 4, "printed": 2, "bold": 2,
    "printed_shadow": 2, "printed_tail": 2,
}  # fmt: skip
OTHER_WIDE_KINDS: Mapping[str, float] = {**OTHER_KINDS, "town_line": 18.0}
# Number of lines per file.
PIECE = 8000
# Lines whose height was misjudged by more than this factor are left out.
MAX_MISJUDGED = 2.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """A line image, ``(2, 32, W) uint8``, and its labels, ``(N,) uint8``."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]


class Source(Protocol):
    """A composer of crops by number."""

    def nth(self, number: int, /) -> Composed:
        """Return the crop with this number."""


class AddressLines:
    """Single lines of addresses as crops."""

    kind = "address line"

    def __init__(self, lines: LetterLines) -> None:
        self.lines = lines

    def nth(self, number: int) -> Composed:
        """Return the crop with this number."""
        line = self.lines.nth(number)
        unknown = np.zeros(line.image.shape, np.uint8)
        return Composed(
            image=line.image,
            owners=unknown,
            shared=unknown.astype(np.bool_),
            text="",
            writer=-1,
            kind=self.kind,
            letters=line.text,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LineComposer:
    """Composer of lines by number; the n-th is the same in every process.

    ``nth`` returns None if a page showed no ink.

    Without ``extra`` digits, lines are composed of ``digits`` alone: no type, and no drawn digits.
    With ``is_wide``, fewer lines are of NIST digits, and more are machine type, amounts
    (``amounts`` is their share), and digits of ``mail`` if given; ``has_typefaces`` adds digits of
    handwriting typefaces, and addresses. ``scale`` enlarges the digits of all lines, for a network
    with that input scale.
    """

    digits: DigitSet
    extra: DigitSet | None
    seed: int
    mail: DigitSet | None = None
    is_wide: bool = False
    has_typefaces: bool = False
    scale: float = 1.0
    amounts: float = AMOUNTS
    _sources: tuple[tuple[float, Source], ...] = field(init=False)

    def __post_init__(self) -> None:
        """Set up the sources of lines."""
        object.__setattr__(self, "_sources", self._all_sources())

    def _all_sources(self) -> tuple[tuple[float, Source], ...]:
        if self.extra is None:
            return self._few()
        if not self.is_wide:
            return self._many(self.extra)
        wide = self._wide(self.extra)
        return self._with_typefaces(wide) if self.has_typefaces else wide

    def _few(self) -> tuple[tuple[float, Source], ...]:
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

    def _many(self, extra: DigitSet) -> tuple[tuple[float, Source], ...]:
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

    def _wide(self, extra: DigitSet) -> tuple[tuple[float, Source], ...]:
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

    def _with_typefaces(
        self, wide: tuple[tuple[float, Source], ...]
    ) -> tuple[tuple[float, Source], ...]:
        """Return the sources of wide lines, and those of handwriting typefaces and addresses."""
        rest = 1 - OF_TYPEFACES - ADDRESSES
        typed = Composer(
            typeface_hands(), seed=self.seed + 9, kinds=WIDE_KINDS, strength=FEW_STRENGTH,
            european=OF_MAIL_EUROPEAN, faces=typefaces("train"),
        )  # fmt: skip
        addresses = AddressLines(LetterLines(
            self.digits, seed=self.seed + 10, by_hand=BY_HAND, with_zip=WITH_ZIP,
            sheet=ADDRESS_SHEET,
        ))  # fmt: skip
        *others, own = ((share * rest, source) for share, source in wide)
        return (*others, (OF_TYPEFACES, typed), (ADDRESSES, addresses), own)

    def holds_zip(self, number: int) -> bool:
        """Return whether the line with this number has a ZIP, or may have one in an address."""
        return self._chance(number) >= self._sources[0][0]

    def nth(self, number: int) -> Line | None:
        """Return the line with this number."""
        composed = self._source(self._chance(number)).nth(number)
        page = prepare(composed.image).ink
        if page is None or is_misjudged(composed, page):
            return None
        strip = rectify(page, page.text_height / self.scale)
        line = Line(pixels=strip.pixels, labels=to_labels(composed.text or composed.letters))
        return line if composed.kind != AddressLines.kind or _is_whole(line) else None

    def _source(self, chance: float) -> Source:
        for share, source in self._sources:
            if chance < share:
                return source
            chance -= share
        return self._sources[-1][1]

    def _chance(self, number: int) -> float:
        return float(np.random.default_rng((_DEAL, number, 0)).random())


def _is_whole(line: Line) -> bool:
    """Return whether a line image probably shows all characters of a line."""
    width: int = line.pixels.shape[2]
    return MIN_WIDTH * len(line.labels) <= width < MAX_LENGTH


def is_misjudged(composed: Composed, page: InkPage) -> bool:
    """Return whether the digit height of a line was badly misjudged."""
    owners = composed.owners
    places = [place for place in np.unique(owners).tolist() if 0 < place < LIGATURE]
    if not places:
        return False
    rows = [np.flatnonzero((owners == place).any(axis=1)) for place in places]
    scaled_by = page.scaled.page.shape[0] / owners.shape[0]
    height = float(np.median([row[-1] - row[0] + 1 for row in rows])) * scaled_by
    return not 1 / MAX_MISJUDGED < page.text_height / max(height, 1.0) < MAX_MISJUDGED


def to_labels(text: str) -> NDArray[np.uint8]:
    """Return the labels of a text.

    One class per digit, and the same one for all letters; other characters count as background.
    """
    return np.array(
        [FIRST_DIGIT + int(one) if one.isdigit() else OTHER for one in text if one.isalnum()],
        np.uint8,
    )


class NumberedLines(Protocol):
    """Lines by number, with or without a ZIP."""

    def nth(self, number: int, /) -> Line | None:
        """Return the line with this number."""

    def holds_zip(self, number: int, /) -> bool:
        """Return whether the line with this number has a ZIP."""


def gather_lines(
    composer: NumberedLines, numbers: Iterable[int], *, jobs: int, folder: Path | None = None
) -> list[Line]:
    """Compose lines, or load those already stored.

    Lines with a ZIP come first; the result does not depend on the number of processes. A ``folder``
    caches them, `PIECE` numbers per file.
    """
    if folder is None:
        numbers = sorted(numbers, key=lambda number: not composer.holds_zip(number))
        return [line for line in map_strings(composer.nth, numbers, jobs=jobs) if line is not None]
    folder.mkdir(parents=True, exist_ok=True)
    everything = list(numbers)
    pieces = [everything[first : first + PIECE] for first in range(0, len(everything), PIECE)]
    stored = (_stored(folder, composer, piece, jobs) for piece in pieces)
    return [line for lines in stored for line in lines]


def _stored(folder: Path, composer: NumberedLines, piece: Sequence[int], jobs: int) -> list[Line]:
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
