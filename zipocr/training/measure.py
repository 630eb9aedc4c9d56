"""Reads labelled crops and composed strings, with every reader that is asked for, and keeps what became of each."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from zipocr.config import ScanConfig
from zipocr.decode.acceptance import acceptance_threshold
from zipocr.errors import ModelError
from zipocr.images import read_pages
from zipocr.looking import Opened
from zipocr.pooling import View
from zipocr.reader import Decoded, Reader, see_each
from zipocr.training.compose import Composed, Composer
from zipocr.training.gather import map_strings, owners_of
from zipocr.training.metrics import Answer, Pair
from zipocr.training.truth import label_regions
from zipocr.types import ZIP_LENGTH, GrayImage, Model, Unread, ZipReading

MAX_PIXELS = 100_000_000
GROUPS = ("stratum", "kind")
"""Columns of the labels that group crops, the first that is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What stands on a page. ``zip`` is empty where there is none; ``plus4`` is None where nobody said; ``kind`` groups pages."""

    zip: str
    plus4: str | None
    kind: str

    def is_spelt_by(self, text: str) -> bool:
        """Whether five or nine digits are the ones that stand there; all nine count where they are known, else the first five."""
        return text[:ZIP_LENGTH] == self.zip and self.plus4 in {None, text[ZIP_LENGTH:]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """A labelled page."""

    path: Path
    page: int
    truth: Truth


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judge:
    """A reader, and the confidence from which what it reads counts as ``read``."""

    reader: Reader
    least: float

    def answer(self, views: Sequence[View], truth: Truth) -> Answer:
        """What the reader makes of the views of a page that bears a ZIP."""
        return self._judge(*self.reader.answer(views), truth)

    def read(self, page: GrayImage, truth: Truth) -> Answer:
        """What the reader makes of a page that bears a ZIP, as it does in use: it may turn it, or find several lines on it."""
        attempt = self.reader.attempt(page)
        return self._judge(attempt.reading, attempt.found, truth)

    def _judge(self, reading: ZipReading | Unread, found: Decoded | None, truth: Truth) -> Answer:
        if isinstance(reading, Unread) or found is None:
            return Answer(kind=truth.kind, is_right=False, confidence=None, accepted=False, place=None)
        confidence = round(reading.confidence, 4)
        place = next((place for place, one in enumerate(found.ranked) if truth.is_spelt_by(one.text)), None)
        return Answer(kind=truth.kind, is_right=place == 0, confidence=confidence, accepted=confidence >= self.least, place=place)


Judges: TypeAlias = tuple[Judge, Judge]
"""With the directory and without; they share a look at a page, and differ in when a glance is enough."""


def judges(model: Model, kind: type[Reader] = Reader) -> Judges:
    """A model's readers with and without the directory, at their default thresholds."""
    with_it, without = (
        Judge(reader=kind(model, use_directory=used), least=default_threshold(model, use_directory=used)) for used in (True, False)
    )
    return with_it, without


def default_threshold(model: Model, *, use_directory: bool) -> float:
    """The confidence that keeps the default share of errors; one that nothing reaches where the model cannot promise that."""
    try:
        return acceptance_threshold(model, ScanConfig().max_error, use_directory=use_directory)
    except ModelError:
        return np.inf


def load_labels(path: Path) -> list[Crop]:
    """Labelled pages of a CSV; files lie beside it."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    group = next((name for name in GROUPS if rows and name in rows[0]), "")
    return [
        Crop(
            path=path.parent / row["file"],
            page=int(row.get("page") or 1),
            truth=Truth(zip=row["zip"], plus4=row.get("plus4"), kind=row.get(group, "")),
        )
        for row in rows
    ]


def read_crops(judging: Judges, crops: Sequence[Crop], *, jobs: int) -> Pair:
    """Reads the crops that hold a ZIP, in their order."""
    crops = [crop for crop in crops if crop.truth.zip]
    found = map_strings(_ReadCrop(judging=judging, crops=crops), range(len(crops)), jobs=jobs)
    return _unzipped(found)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _ReadCrop:
    """Reads one of the crops."""

    judging: Judges
    crops: Sequence[Crop]

    def __call__(self, number: int) -> tuple[Answer, Answer]:
        crop = self.crops[number]
        page = next(page for place, page in enumerate(read_pages(crop.path, max_pixels=MAX_PIXELS), start=1) if place == crop.page)
        if isinstance(page, Unread):
            return _answers(self.judging, ([], []), crop.truth)
        with_it, without = self.judging
        return with_it.read(page, crop.truth), without.read(page, crop.truth)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """Whether there is a whole region of each of a string's digits.

    ``first``: in the lattice of the first threshold, with all its cuts. ``any``: in that or in one of the lattices the reader looked at;
    it looks no further where it has no doubt.
    """

    kind: str
    first: bool
    any: bool


def read_strings(judging: Judges, composer: Composer, count: int, *, jobs: int) -> tuple[Pair, tuple[Recall, ...]]:
    """Reads the first strings of a composer, and says what their lattices held."""
    found = map_strings(_ReadString(judging=judging, composer=composer), range(count), jobs=jobs)
    return _unzipped([answers for answers, _ in found]), tuple(recall for _, recall in found)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _ReadString:
    """Reads one composed string."""

    judging: Judges
    composer: Composer

    def __call__(self, number: int) -> tuple[tuple[Answer, Answer], Recall]:
        composed = self.composer.nth(number)
        reader = self.judging[0].reader
        opened = reader.open(composed.image)
        seen = see_each([judge.reader for judge in self.judging], opened)
        truth = Truth(zip=composed.text[:ZIP_LENGTH], plus4=composed.text[ZIP_LENGTH:], kind=composed.kind)
        return _answers(self.judging, seen, truth), recall(reader, opened, seen[0], composed)


def _answers(judging: Judges, seen: Sequence[Sequence[View]], truth: Truth) -> tuple[Answer, Answer]:
    with_it, without = judging
    return with_it.answer(seen[0], truth), without.answer(seen[1], truth)


def _unzipped(answers: Sequence[tuple[Answer, Answer]]) -> Pair:
    return [one for one, _ in answers], [other for _, other in answers]


def recall(reader: Reader, opened: Opened, views: Sequence[View], composed: Composed) -> Recall:
    """Looks for all digits in the lattices of a string."""
    owners = owners_of(composed)
    inked, _ = next(reader.closer(opened), (None, None))
    first = set() if inked is None else _whole(label_regions(reader.segment(inked, through=True), owners))
    seen = first.union(*(_whole(label_regions(view.seen, owners)) for view in views))
    count = len(composed.text)
    return Recall(kind=composed.kind, first=len(first) == count, any=len(seen) == count)


def _whole(labels: NDArray[np.int8]) -> set[int]:
    """Places of the digits of which there is a whole region."""
    return set(labels[labels >= 0].tolist())
