"""Intermediate results of the search for a page's ZIP, and its reading."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from zipocr.attempt import Attempt, Fused, judged_with
from zipocr.locate.candidates import Span
from zipocr.locate.choice import overlap
from zipocr.locate.find import Located
from zipocr.locate.towns import GAIN
from zipocr.preprocess.rotate import turn_back
from zipocr.trace import to_trace
from zipocr.types import (
    Box,
    GrayImage,
    Overview,
    Reason,
    Sighting,
    Trace,
    Unread,
    ZipReading,
    dashed,
)

# Minimum confidence of a reading, and of a runner-up elsewhere on the page that is reported.
MIN_CONFIDENCE, MIN_RIVAL = 0.2, 0.05
# A page with this many lines may be a form or text, so a reading must be likelier right than not.
TEXT_LINES, MIN_TEXT_CONFIDENCE = 20, 0.5
# Minimum length of a town beside a number, in line heights.
MIN_BESIDE = 2.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A candidate of a page, its probability among all, and one reading of it.

    ``town`` are features of the town beside it (`zipocr.locate.towns`). An ``is_alternative``
    reading is not the one that is most probable without the town.
    """

    span: Span
    choice: float
    attempt: Attempt
    town: tuple[float, ...]
    is_alternative: bool = False

    @property
    def zip(self) -> str:
        """The five digits of the reading; empty if there is none."""
        reading = self.attempt.reading
        return "" if isinstance(reading, Unread) else reading.zip

    @property
    def digits(self) -> str:
        """All digits of the reading; empty if there is none."""
        reading = self.attempt.reading
        return "" if isinstance(reading, Unread) else reading.zip + reading.plus4

    @property
    def text(self) -> str:
        """All digits of the reading, in the format of `dashed`."""
        return dashed(self.digits)

    @property
    def town_gain(self) -> float:
        """How well the town beside it agrees with the reading's, 0 if nothing is known."""
        return self.town[GAIN]

    @property
    def has_town(self) -> bool:
        """Whether the reading's town is beside it."""
        return self.town_gain > 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Search:
    """The readings of a page's candidates, and the probability that each is the right ZIP."""

    located: Located
    candidates: tuple[Candidate, ...]
    probabilities: tuple[float, ...]

    @property
    def confidence(self) -> float:
        """Probability of the best candidate, 0 if there is none."""
        return self.ranked[0][1] if self.candidates else 0.0

    @property
    def min_confidence(self) -> float:
        """Minimum confidence of a reading."""
        is_text = len(self.located.layout.lines) >= TEXT_LINES
        return MIN_TEXT_CONFIDENCE if is_text else MIN_CONFIDENCE

    @property
    def is_alone(self) -> bool:
        """Whether there is next to nothing, and no letter, besides the best candidate."""
        best = self.ranked[0][0].span if self.candidates else None
        length = letters = 0.0
        for number, line in enumerate(self.located.layout.lines):
            for place, word in enumerate(line.words):
                if best and number == best.line and best.first <= place <= best.last:
                    continue
                length += word.box.width / line.height
                letters += self.located.layout.counts[number][place][1]
        return length < MIN_BESIDE and not letters

    @property
    def ranked(self) -> list[tuple[Candidate, float]]:
        """Return candidates and the probability that their ZIP is right, best first.

        Two that share words and a ZIP are right together: one may include the ZIP+4 add-on.
        """
        pairs = list(zip(self.candidates, self.probabilities, strict=True))
        found = [
            (
                one,
                sum(
                    share
                    for other, share in pairs
                    if other.zip == one.zip and overlap(other.span, one.span)
                ),
                own,
            )
            for one, own in pairs
        ]
        ordered = sorted(found, key=lambda each: (-each[1], -each[2]))
        return [(one, total) for one, total, _ in ordered]

    @property
    def distinct(self) -> list[tuple[Candidate, float]]:
        """Return `ranked` with only the best reading of each number."""
        found: dict[Span, tuple[Candidate, float]] = {}
        for one, probability in self.ranked:
            found.setdefault(one.span, (one, probability))
        return list(found.values())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PageAttempt:
    """Intermediate results of a page, read as one ``line`` or by a ``search``, and its reading."""

    page: GrayImage
    line: Attempt | None
    search: Search | None
    reading: ZipReading | Unread

    @property
    def fused(self) -> Fused | None:
        """The strings of the line or number that was read; None if there are none."""
        if isinstance(self.reading, Unread):
            return None
        best = self.search.ranked[0][0].attempt if self.search else self.line
        return best.fused if best else None


def to_reading(search: Search, shape: tuple[int, ...]) -> ZipReading | None:
    """Return the reading of the best candidate on a page of (rows, columns); None if unlikely."""
    if search.confidence < search.min_confidence:
        return None
    (best, probability), *others = search.distinct
    reading = best.attempt.reading
    if isinstance(reading, Unread):
        return None
    reasons = list(reading.reasons)
    if _was_chosen_by_town(best, search):
        remaining = (one for one in reasons if one is not Reason.DIRECTORY_CHOICE)
        reasons = [Reason.TOWN_CHOICE, *remaining]
    if any(share >= MIN_RIVAL and other.zip != reading.zip for other, share in others):
        reasons.append(Reason.SEVERAL_CANDIDATES)
    rotation = search.located.rotation
    if rotation:
        reasons.append(Reason(f"turned_{rotation}"))
    box = turn_back(search.located.to_page(best.span.box), rotation, shape)
    # Only the town tells more about the digits than they do themselves.
    most = 1.0 if best.has_town else reading.confidence
    rivals = [
        (one.digits, share)
        for one, share in search.ranked
        if one.span is best.span and one is not best and one.digits
    ]
    return replace(
        judged_with(reading, min(probability, most), rivals),
        reasons=tuple(reasons),
        rotation=rotation,
        box=box,
    )


def _was_chosen_by_town(best: Candidate, search: Search) -> bool:
    """Return whether the digits alone, without any directory, would be read as another ZIP."""
    fused = best.attempt.fused
    first = next(one for one in search.candidates if one.span is best.span)
    return bool(
        best.is_alternative
        and best.town_gain > first.town_gain
        and fused
        and fused.best.text != fused.without_prior[0].text
    )


def to_page_trace(attempt: PageAttempt, sightings: Sequence[Sighting]) -> Trace:
    """Return the trace of a page: of its line, or of the number chosen on it."""
    search, shape = attempt.search, attempt.page.shape
    best = attempt.line
    lines: list[Box] = []
    if search:
        best = search.ranked[0][0].attempt if search.ranked else best
        located = search.located
        boxes = [located.to_page(line.box) for line in located.layout.lines]
        lines = [turn_back(box, located.rotation, shape) for box in boxes]
    overview = Overview(page=attempt.page, lines=tuple(lines), sightings=tuple(sightings))
    return replace(
        to_trace(best) if best else _bare_trace(attempt),
        reading=attempt.reading,
        overview=overview if search or (best and best.rotation) else None,
        size=(shape[0], shape[1]),
    )


def _bare_trace(attempt: PageAttempt) -> Trace:
    """Return the trace of a page on which nothing was found."""
    return Trace(
        page=attempt.page,
        ink=np.zeros(attempt.page.shape, np.bool_),
        candidates=(),
        regions=(),
        grids=(),
        reading=attempt.reading,
    )
