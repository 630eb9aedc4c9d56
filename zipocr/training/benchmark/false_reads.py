"""False reads: pages without a ZIP that count as ``read``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from zipocr.mail_reader import MailReader
from zipocr.reader import Reader
from zipocr.training.benchmark.figures import markdown
from zipocr.training.benchmark.measure import Judge
from zipocr.training.data.datasets import DigitSet
from zipocr.training.fit.region_samples import map_strings
from zipocr.training.synthesis.negatives import QUOTAS, Negatives
from zipocr.training.synthesis.pages.compose import PAGE_QUOTAS, PageComposer
from zipocr.types import Status, Unread

EACH = 40
"""Default number of pages of each kind."""
GROUPS: Mapping[str, tuple[str, ...]] = {
    "one to four digits by hand": ("one", "two", "three", "four"),
    "six digits by hand": ("six",),
    "seven, eight and more by hand": ("seven", "eight", "many"),
    "one to four digits in type": ("printed_one", "printed_two", "printed_three", "printed_four"),
    "six digits in type": ("printed_six",),
    "seven, eight and more in type": ("printed_seven", "printed_eight", "printed_many"),
    "words": ("word", "words", "capitals"),
    "text and numbers on a line": (
        "street",
        "box",
        "date",
        "phone",
        "price",
        "postcode",
        "numbered_word",
    ),
    "crossed-out digits": ("crossed_out",),
    "several lines": ("rows", "lines", "address"),
    "whole envelopes": ("envelope",),
    "doodles and signatures": ("doodle", "signature"),
    "textures, noise, gradients": ("texture", "noise", "gradient"),
    "photographs": ("photo",),
    "bare paper": ("blank", "specks"),
}
"""Groups of kinds in the manual's table."""
Source: TypeAlias = Negatives | PageComposer
FLOOR_EACH = 4
FLOOR_KINDS = ("one", "two", "three", "four", "six", "seven")
"""Number and kinds of pages in the test of the floor, few to keep it fast."""
_SEED = 8128


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Counts of pages by status, for one or more kinds."""

    kind: str
    read: int
    review: int
    unread: int

    @property
    def count(self) -> int:
        """Number of pages."""
        return self.read + self.review + self.unread

    @property
    def false_share(self) -> float:
        """Share of pages that counted as read."""
        return self.read / self.count


def count_false_reads(
    judge: Judge,
    test: DigitSet,
    *,
    each: int = EACH,
    jobs: int,
    kinds: Sequence[str] = tuple(QUOTAS),
) -> list[Tally]:
    """Read pages of each kind from the test part, at the judge's threshold."""
    sources = [
        Negatives(test, seed=_SEED + list(QUOTAS).index(kind), part="test", kinds={kind: 1})
        for kind in kinds
    ]
    return _count(judge, dict(zip(kinds, sources, strict=True)), each=each, jobs=jobs)


def count_false_pages(judge: Judge, test: DigitSet, *, each: int = EACH, jobs: int) -> list[Tally]:
    """Read pages of mail of each kind without a destination ZIP, as above."""
    sources = {
        kind: PageComposer(test, seed=_SEED + place, part="test", kinds={kind: 1}, without_zip=1.0)
        for place, kind in enumerate(PAGE_QUOTAS)
    }
    return _count(judge, sources, each=each, jobs=jobs)


def _count(judge: Judge, sources: Mapping[str, Source], *, each: int, jobs: int) -> list[Tally]:
    work = _ReadNegative(
        reader=judge.reader, least=judge.least, sources=list(sources.values()), each=each
    )
    found = map_strings(work, range(each * len(sources)), jobs=jobs)
    return [
        _tally(kind, found[place * each : (place + 1) * each]) for place, kind in enumerate(sources)
    ]


def floor(judge: Judge, digits: DigitSet, *, jobs: int) -> float:
    """Return the floor of a model for the test.

    It is the share of false reads on a few pages, with digits that need no download (Digits).
    """
    return round(
        together(
            "all", count_false_reads(judge, digits, each=FLOOR_EACH, jobs=jobs, kinds=FLOOR_KINDS)
        ).false_share,
        4,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _ReadNegative:
    """Task that reads one page: ``each`` pages from every source in turn."""

    reader: MailReader | Reader
    least: float
    sources: Sequence[Source]
    each: int

    def __call__(self, number: int) -> Status:
        source, place = divmod(number, self.each)
        reading = self.reader.read(self.sources[source].nth(place).image)
        if isinstance(reading, Unread):
            return Status.UNREAD
        return Status.READ if round(reading.confidence, 4) >= self.least else Status.REVIEW


def _tally(kind: str, found: Sequence[Status]) -> Tally:
    return Tally(
        kind=kind,
        read=found.count(Status.READ),
        review=found.count(Status.REVIEW),
        unread=found.count(Status.UNREAD),
    )


def together(kind: str, tallies: Sequence[Tally]) -> Tally:
    """Sum the counts of several kinds."""
    return Tally(
        kind=kind,
        read=sum(one.read for one in tallies),
        review=sum(one.review for one in tallies),
        unread=sum(one.unread for one in tallies),
    )


def full_table(tallies: Sequence[Tally]) -> list[str]:
    """Format all kinds and their sum as aligned text."""
    rows = [*tallies, together("all", tallies)]
    lines = [f"{'':16}{'n':>6}{'read':>7}{'review':>8}{'unread':>8}{'false':>8}"]
    return [
        *lines,
        *(
            f"{one.kind:16}{one.count:6}{one.read:7}{one.review:8}{one.unread:8}"
            f"{one.false_share:8.3f}"
            for one in rows
        ),
    ]


def compact_table(tallies: Sequence[Tally]) -> list[str]:
    """Format `GROUPS` of kinds and their sum as Markdown."""
    by_kind = {one.kind: one for one in tallies}
    groups = [
        together(name, [by_kind[kind] for kind in kinds if kind in by_kind])
        for name, kinds in GROUPS.items()
    ]
    pages = [one for one in tallies if one.kind in PAGE_QUOTAS]
    mail = [replace(one, kind=f"mail: {one.kind.replace('_', ' ')}") for one in pages]
    rows = [one for one in (*groups, *mail, together("all", tallies)) if one.count]
    heads = ("pages without a ZIP", "n", "`read`", "`review`", "`unread`", "share `read`")
    return markdown(
        heads,
        [
            (one.kind, str(one.count), str(one.read), str(one.review), str(one.unread), _share(one))
            for one in rows
        ],
    )


def _share(one: Tally) -> str:
    return f"{one.false_share:.3f}"
