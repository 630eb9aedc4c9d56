"""Alignment of labelled pages: assignment of regions to digits."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zipocr.attempt import Attempt
from zipocr.classify.normalize import draw_regions
from zipocr.classify.svc import NON_DIGIT
from zipocr.errors import InputError
from zipocr.evaluation.labels import Label
from zipocr.images.decode import read_pages
from zipocr.images.lookup import safe_join
from zipocr.preprocess.page import InkPage
from zipocr.reader import Reader
from zipocr.segment.regions import divide
from zipocr.training.benchmark.measure import MAX_PIXELS, Crop, Judge, Judges, Truth
from zipocr.training.benchmark.metrics import Answer
from zipocr.training.fit.region_samples import (
    Samples,
    join,
    map_strings,
    non_digit_regions,
    to_samples,
)
from zipocr.types import ZIP_LENGTH, Floats, Region, Unread

FOREIGN = 255
# Maximum cost of a digit in nats when aligning the known ZIP, however confident the model is of
# another digit.
MAX_DISBELIEF = 4.0
# Maximum mean cost per digit in nats; pages above it were segmented wrongly or mislabelled, and are
# skipped.
PLAUSIBLE = 3.0
# Maximum number of non-digits per page, the most digit-like first.
NON_DIGITS = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AlignedPage:
    """Training data from a labelled page: both answers, and its regions, None if uncertain.

    ``features`` is the input of the network's last layer for the line, (T, F), or None. ``text`` is
    the true text.
    """

    answers: tuple[Answer, Answer]
    samples: Samples | None
    features: Floats | None
    text: str


def to_crops(labels: Iterable[Label], folder: Path) -> list[Crop]:
    """Return the pages with a ZIP, by file and page.

    ``kind`` is the file, since its pages are probably by one writer.

    Raises
    ------
    InputError
        If a name, or a link in its path, leads out of the folder.
    """
    return [
        Crop(
            path=_within(folder, label.file),
            page=label.page,
            truth=Truth(
                zip=label.truth[:ZIP_LENGTH],
                plus4=label.truth[ZIP_LENGTH:] if label.is_whole else None,
                kind=label.file,
            ),
        )
        for label in sorted(labels, key=lambda label: (label.file, label.page))
        if label.truth
    ]


def _within(folder: Path, file: str) -> Path:
    path = safe_join(folder, file)
    if path is None:
        cure = "Give the folder that was scanned, with the files themselves and no links to others."
        raise InputError(f"{file} leads out of {folder}. {cure}")
    return path


def align_pages(
    judging: Judges, crops: Sequence[Crop], *, jobs: int, advance: Callable[[], None] = lambda: None
) -> list[AlignedPage | None]:
    """Read pages in order, and align their texts with their regions.

    Yields None for a page that cannot be opened; ``advance`` is called after each.
    """
    work = _Study(judging=judging, crops=crops)
    return map_strings(work, range(len(crops)), jobs=jobs, advance=advance)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Study:
    """Task that reads and aligns a crop."""

    judging: Judges
    crops: Sequence[Crop]

    def __call__(self, number: int) -> AlignedPage | None:
        crop = self.crops[number]
        pages = read_pages(crop.path, max_pixels=MAX_PIXELS, first=crop.page)
        page = next(pages, None)
        if page is None or isinstance(page, Unread):
            return None
        text = crop.truth.zip + (crop.truth.plus4 or "")
        attempts = [judge.line_reader.attempt(page) for judge in self.judging]
        listed, unlisted = map(Judge.judge, self.judging, attempts, (crop.truth, crop.truth))
        line = attempts[0].line
        return AlignedPage(
            answers=(listed, unlisted),
            samples=align(self.judging[0].line_reader, attempts[0], text),
            features=line.features if line else None,
            text=text,
        )


def align(reader: Reader, attempt: Attempt, text: str) -> Samples | None:
    """Return the digits of a known ZIP, and non-digits; None if it is not plausible.

    Parameters
    ----------
    reader : Reader
    attempt : Attempt
        The reading of the page.
    text : str
        Five digits or nine.

    Returns
    -------
    Samples or None
        A region for each digit, and at most `NON_DIGITS` non-digits.
    """
    page, line = attempt.prepared.ink, attempt.line
    (centres,) = line.centres([text]) if line else (np.empty(0),)
    regions = divide(page.components, page.text_height, centres, cuts=1).regions if page else ()
    if page is None or not regions:
        return None
    likelihoods = reader.classify(draw_regions(page, regions))
    best = likelihoods.max(axis=1)
    own = likelihoods[np.arange(len(text)), [int(digit) for digit in text]]
    # The model separates digits from non-digits well, but may confuse digits with each other.
    if np.maximum(own, best - MAX_DISBELIEF).sum() < -PLAUSIBLE * len(text):
        return None
    digits = to_samples(page, regions, [int(digit) for digit in text])
    return join([digits, _non_digits(reader, page, regions, centres)])


def _non_digits(
    reader: Reader, page: InkPage, digits: Sequence[Region], centres: NDArray[np.float64]
) -> Samples:
    """Return parts of digits and merged digits, the most digit-like first."""
    owners = np.where(page.ink, np.uint8(FOREIGN), np.uint8(0))
    for place, region in enumerate(digits, start=1):
        box = region.box
        owners[box.top : box.bottom, box.left : box.right][region.ink] = place
    others = non_digit_regions(page, centres, owners)
    likely = np.logaddexp.reduce(reader.classify(draw_regions(page, others)), axis=1)
    chosen = np.argsort(-likely, kind="stable")[:NON_DIGITS]
    return to_samples(page, [others[number] for number in chosen], [NON_DIGIT] * len(chosen))
