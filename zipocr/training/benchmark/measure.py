"""Reading of labelled crops and composed strings, with and without a directory."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from zipocr.attempt import Attempt
from zipocr.config import ScanConfig
from zipocr.decode.acceptance import acceptance_threshold
from zipocr.errors import ModelError
from zipocr.images.decode import read_pages
from zipocr.mail_reader import MailReader
from zipocr.page_attempt import PageAttempt
from zipocr.reader import Reader
from zipocr.segment.regions import divide
from zipocr.training.benchmark.metrics import Answer, Pair
from zipocr.training.fit.region_labels import label_regions
from zipocr.training.fit.region_samples import map_strings, owners_of, true_centres
from zipocr.training.synthesis.compose import Composed, Composer
from zipocr.training.synthesis.pages.compose import PageComposer
from zipocr.types import ZIP_LENGTH, GrayImage, Model, Unread

MAX_PIXELS = 100_000_000
GROUPS = ("stratum", "kind")
"""Columns of the labels to group by; the first existing one is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """The true text of a page.

    ``zip`` may be empty; ``plus4`` is None if unknown; ``kind`` groups pages.
    """

    zip: str
    plus4: str | None
    kind: str

    def is_spelt_by(self, text: str) -> bool:
        """Return whether digits are the true ones.

        All nine count if they are known, else the first five.
        """
        return text[:ZIP_LENGTH] == self.zip and self.plus4 in {None, text[ZIP_LENGTH:]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """A labelled page."""

    path: Path
    page: int
    truth: Truth


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judge:
    """A reader and its confidence threshold."""

    reader: MailReader | Reader
    least: float

    @property
    def line_reader(self) -> Reader:
        """Reader of a page as one line."""
        return self.reader.reader if isinstance(self.reader, MailReader) else self.reader

    def read(self, page: GrayImage, truth: Truth) -> Answer:
        """Read a page with a ZIP as in production.

        The reader may rotate or search it.
        """
        return self.judge(self.reader.attempt(page), truth)

    def judge(self, attempt: Attempt | PageAttempt, truth: Truth) -> Answer:
        """Compare a reading with the true text."""
        reading, fused = attempt.reading, attempt.fused
        if isinstance(reading, Unread) or fused is None:
            return Answer(
                kind=truth.kind, is_right=False, confidence=None, accepted=False, place=None
            )
        confidence = round(reading.confidence, 4)
        places = (place for place, one in enumerate(fused.ranked) if truth.is_spelt_by(one.text))
        place = next(places, None)
        return Answer(
            kind=truth.kind,
            is_right=place == 0,
            confidence=confidence,
            accepted=confidence >= self.least,
            place=place,
        )


Judges: TypeAlias = tuple[Judge, Judge]
"""With and without the directory."""


def judges(model: Model) -> Judges:
    """Return a model's readers with and without the directory, at default thresholds."""
    with_it, without = (
        Judge(
            reader=MailReader(model, use_directory=used),
            least=default_threshold(model, use_directory=used),
        )
        for used in (True, False)
    )
    return with_it, without


def default_threshold(model: Model, *, use_directory: bool) -> float:
    """Return the threshold for the default error rate.

    Above 1 if the model cannot promise that.
    """
    try:
        return acceptance_threshold(model, ScanConfig().max_error, use_directory=use_directory)
    except ModelError:
        return np.inf


def load_labels(path: Path) -> list[Crop]:
    """Load the labelled pages of a CSV; their files are beside it."""
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


def read_crops(
    judging: Judges,
    crops: Sequence[Crop],
    *,
    jobs: int,
    advance: Callable[[], None] = lambda: None,
) -> Pair:
    """Read the crops with a ZIP, in order; ``advance`` is called after each."""
    crops = [crop for crop in crops if crop.truth.zip]
    work = _ReadCrop(judging=judging, crops=crops)
    return _unzipped(map_strings(work, range(len(crops)), jobs=jobs, advance=advance))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _ReadCrop:
    """Task that reads a crop."""

    judging: Judges
    crops: Sequence[Crop]

    def __call__(self, number: int) -> tuple[Answer, Answer]:
        crop = self.crops[number]
        page = next(
            page
            for place, page in enumerate(read_pages(crop.path, max_pixels=MAX_PIXELS), start=1)
            if place == crop.page
        )
        if isinstance(page, Unread):
            unread = Answer(
                kind=crop.truth.kind, is_right=False, confidence=None, accepted=False, place=None
            )
            return unread, unread
        with_it, without = self.judging
        return with_it.read(page, crop.truth), without.read(page, crop.truth)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """Whether each digit of a string has a region of its own.

    ``at_centres``: when the ink is divided at the true centres; ``as_read``: among the regions that
    the reader classified.
    """

    kind: str
    at_centres: bool
    as_read: bool


def read_strings(
    judging: Judges, composer: Composer, count: int, *, jobs: int
) -> tuple[Pair, tuple[Recall, ...]]:
    """Read the first strings of a composer, and check whether their digits have whole regions."""
    work = _ReadString(judging=judging, composer=composer)
    found = map_strings(work, range(count), jobs=jobs)
    return _unzipped([answers for answers, _ in found]), tuple(recall for _, recall in found)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _ReadString:
    """Task that reads a composed string."""

    judging: Judges
    composer: Composer

    def __call__(self, number: int) -> tuple[tuple[Answer, Answer], Recall]:
        composed = self.composer.nth(number)
        with_it, without = self.judging
        attempt = with_it.line_reader.attempt(composed.image)
        truth = Truth(
            zip=composed.text[:ZIP_LENGTH], plus4=composed.text[ZIP_LENGTH:], kind=composed.kind
        )
        answers = with_it.judge(attempt, truth), without.read(composed.image, truth)
        return answers, recall(attempt, composed)


def read_composed_pages(judging: Judges, composer: PageComposer, count: int, *, jobs: int) -> Pair:
    """Read the first pages of a composer; only the five digits of a ZIP count."""
    return _unzipped(
        map_strings(_ReadPage(judging=judging, composer=composer), range(count), jobs=jobs)
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _ReadPage:
    """Task that reads one composed page."""

    judging: Judges
    composer: PageComposer

    def __call__(self, number: int) -> tuple[Answer, Answer]:
        page = self.composer.nth(number)
        truth = Truth(zip=page.zip, plus4=None, kind=page.kind.replace("_", " "))
        with_it, without = self.judging
        return with_it.read(page.image, truth), without.read(page.image, truth)


def _unzipped(answers: Sequence[tuple[Answer, Answer]]) -> Pair:
    return [one for one, _ in answers], [other for _, other in answers]


def recall(attempt: Attempt, composed: Composed) -> Recall:
    """Check whether all digits of a string have whole regions."""
    page, owners, fused = attempt.prepared.ink, owners_of(composed), attempt.fused
    count = len(composed.text)
    centres = true_centres(page, owners, count) if page else None
    if page is None or centres is None:
        return Recall(kind=composed.kind, at_centres=False, as_read=False)
    divided = divide(page.components, page.text_height, centres, cuts=1).regions
    seen = fused.classified.segmentation.regions if fused and not attempt.rotation else ()
    found = [
        len(_whole(label_regions(some, page.ink, owners))) == count for some in (divided, seen)
    ]
    return Recall(kind=composed.kind, at_centres=found[0], as_read=found[1])


def _whole(labels: NDArray[np.int8]) -> set[int]:
    """Return the positions of the digits with a whole region."""
    return set(labels[labels >= 0].tolist())
