"""The queue of pages.

The order of the pages, including the audit's sample, and which are settled. Pure: no files, no
clock.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from random import Random

from zipocr.results.corrections import SampledAs, Verdict
from zipocr.results.row import Row
from zipocr.types import Status, dashed


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A page to review, and why it is shown."""

    row: Row
    drawn: SampledAs

    @property
    def key(self) -> tuple[str, int]:
        """File and page, as in corrections."""
        return self.row.file, self.row.page

    @property
    def read_zip(self) -> str:
        """The ZIP as read, with a dash if it has nine digits."""
        return dashed(self.row.zip + self.row.plus4)


def line_up(rows: Iterable[Row], *, audit: int = 0, seed: int = 0) -> list[Item]:
    """Order the doubtful pages, least confident first, and mix in a sample of the others.

    Parameters
    ----------
    rows : iterable of Row
        All results. Of several rows about the same page, as a watch writes them, the last counts.
    audit : int
        Number of pages with the status `read` to draw at random; all if there are fewer.
    seed : int
        Random seed; equal arguments give the same order.

    Returns
    -------
    list of Item
        The sample is spread evenly in random order, so that a page's position does not give it
        away.
    """
    latest = {(row.file, row.page): row for row in rows}
    doubtful = [
        Item(row=row, drawn=SampledAs.DOUBT)
        for row in latest.values()
        if row.status is not Status.READ
    ]
    doubtful.sort(key=lambda item: item.row.confidence or 0.0)
    read = [row for row in latest.values() if row.status is Status.READ]
    chance = Random(seed)
    sample = [
        Item(row=row, drawn=SampledAs.AUDIT) for row in chance.sample(read, min(audit, len(read)))
    ]
    return list(_spread(doubtful, sample, chance))


def _spread(doubtful: Sequence[Item], sample: Sequence[Item], chance: Random) -> Iterator[Item]:
    """Insert one page of the sample at a random position in each of equal sections."""
    total = len(doubtful) + len(sample)
    bounds = [total * number // len(sample) for number in range(len(sample) + 1)] if sample else []
    places = {chance.randrange(first, end) for first, end in pairwise(bounds)}
    chosen, others = iter(sample), iter(doubtful)
    for place in range(total):
        yield next(chosen if place in places else others)


class Queue:
    """The queue: which pages are settled and which come next, by their index in the order.

    Parameters
    ----------
    count : int
        Number of pages.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._settled: dict[int, Verdict] = {}
        self._reopened: set[int] = set()

    def settle(self, number: int, verdict: Verdict) -> None:
        """Settle a page, or bring it back if the verdict is `UNDONE`."""
        self._settled.pop(number, None)
        self._reopened.discard(number)
        if verdict is not Verdict.UNDONE:
            self._settled[number] = verdict

    def reopen_skipped(self) -> None:
        """Bring back skipped pages."""
        self._reopened = {
            number for number, verdict in self._settled.items() if verdict is Verdict.SKIPPED
        }

    def verdict(self, number: int) -> Verdict | None:
        """Return the verdict on a settled page; None if it is still to come."""
        return None if number in self._reopened else self._settled.get(number)

    @property
    def latest(self) -> int | None:
        """The page that was settled last, which can be undone."""
        return next(reversed(self._settled), None)

    def coming(self, most: int) -> list[int]:
        """Return the next pages, at most `most`."""
        return list(
            islice((number for number in range(self._count) if self.verdict(number) is None), most)
        )

    @property
    def counts(self) -> Counter[Verdict]:
        """Count the pages by verdict."""
        return Counter(self._settled.values())
