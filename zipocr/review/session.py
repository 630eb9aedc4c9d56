"""A review session: decisions go to disk, pages come from the queue, and the pace is kept."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from statistics import median
from threading import Lock

from zipocr.results.corrections import CorrectionsFile, Decision, Verdict, is_zip
from zipocr.review.queue import Item, Queue

PAUSE = 60.0
"""Seconds; who takes longer was away, and that says nothing about the pace."""
PACED_BY = 40
MIN_FOR_PACE = 3


class Answer(StrEnum):
    """What a person can say of a page."""

    ACCEPT = "accept"
    NOT_A_ZIP = "not_a_zip"
    SKIP = "skip"


class Conflict(Exception):  # noqa: N818 - no error: two pages of one review
    """Another page of the same review was quicker; the message says what it did."""


class Refused(Exception):  # noqa: N818 - the person is told, nothing broke
    """What was said makes no decision; the message says why."""


@dataclass(slots=True)
class Pace:
    """Seconds from one decision to the next."""

    clock: Callable[[], float] = time.monotonic
    decided: int = 0
    _latest: float | None = None
    _taken: deque[float] = field(default_factory=lambda: deque(maxlen=PACED_BY))

    def look(self) -> None:
        """Begin with the first page."""
        if self._latest is None:
            self._latest = self.clock()

    def tick(self) -> None:
        """Count a decision."""
        now = self.clock()
        if self._latest is not None and now - self._latest <= PAUSE:
            self._taken.append(now - self._latest)
        self._latest = now
        self.decided += 1

    @property
    def seconds(self) -> float | None:
        """The median of the latest decisions; None while there are few."""
        return median(self._taken) if len(self._taken) >= MIN_FOR_PACE else None


class Session:
    """One review; safe to be used from several threads.

    Parameters
    ----------
    items : sequence of Item
        What to look at, in order.
    corrections : CorrectionsFile
        Where decisions go, and what was decided before.
    pace : Pace, optional
        For tests that know the time.
    """

    def __init__(
        self, items: Sequence[Item], corrections: CorrectionsFile, pace: Pace | None = None
    ) -> None:
        self.items = items
        self.pace = pace or Pace()
        self.revision = 0
        self._corrections = corrections
        self._queue = Queue(len(items))
        self._lock = Lock()
        numbers = {item.key: number for number, item in enumerate(items)}
        for key, decision in corrections.last.items():
            if key in numbers:
                self._queue.settle(numbers[key], decision.decision)

    def decide(self, number: int, answer: Answer, zip_: str) -> None:
        """Write a decision; when this returns it is on the disk.

        Parameters
        ----------
        number : int
            Which page.
        answer : Answer
            What was said.
        zip_ : str
            The right ZIP where the answer is `ACCEPT`.

        Raises
        ------
        Refused
            If there is no such page, or that is no ZIP.
        Conflict
            If the page is decided already.
        OutputError
            If it cannot be written; then nothing was decided.
        """
        if not 0 <= number < len(self.items):
            raise Refused("There is no such page.")
        if answer is Answer.ACCEPT and not is_zip(zip_):
            raise Refused("That is no ZIP: it takes five digits, or nine.")
        with self._lock:
            if self._queue.verdict(number) is not None:
                raise Conflict(self._already(number))
            self._write(
                number, self._judge(number, answer, zip_), zip_ if answer is Answer.ACCEPT else ""
            )
            self.pace.tick()

    def undo(self, revision: int) -> None:
        """Take the latest decision back.

        Raises
        ------
        Refused
            If there is none.
        Conflict
            If something was decided since ``revision``: it might be another one that is meant.
        OutputError
            If it cannot be written; then the decision stands.
        """
        with self._lock:
            latest = self._queue.latest
            if latest is None:
                raise Refused("There is nothing to take back.")
            if revision != self.revision:
                raise Conflict(
                    f"Another window went on meanwhile. {self._already(latest)} Press u again "
                    "to take that back."
                )
            self._write(latest, Verdict.UNDONE, "")

    def reopen_skipped(self) -> None:
        """Bring back what was skipped."""
        with self._lock:
            self._queue.reopen_skipped()
            self.revision += 1

    def coming(self, most: int) -> list[int]:
        """Name the next pages, at most so many."""
        with self._lock:
            self.pace.look()
            return self._queue.coming(most)

    @property
    def counts(self) -> dict[str, int]:
        """How many pages got which verdict, each verdict named."""
        with self._lock:
            counts = self._queue.counts
            return {
                verdict.value: counts[verdict]
                for verdict in Verdict
                if verdict is not Verdict.UNDONE
            }

    @property
    def can_undo(self) -> bool:
        """Whether anything was decided."""
        with self._lock:
            return self._queue.latest is not None

    def _judge(self, number: int, answer: Answer, zip_: str) -> Verdict:
        if answer is Answer.ACCEPT:
            return Verdict.CONFIRMED if zip_ == self.items[number].read_zip else Verdict.CORRECTED
        return Verdict.NOT_A_ZIP if answer is Answer.NOT_A_ZIP else Verdict.SKIPPED

    def _write(self, number: int, verdict: Verdict, zip_: str) -> None:
        item = self.items[number]
        file, page = item.key
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._corrections.append(
            Decision(
                file=file,
                page=page,
                read_zip=item.read_zip,
                zip=zip_,
                decision=verdict,
                drawn=item.drawn,
                time=now,
            )
        )
        self._queue.settle(number, verdict)
        self.revision += 1

    def _already(self, number: int) -> str:
        """Say what was decided about a page."""
        item = self.items[number]
        decided = self._corrections.last[item.key]
        said = {Verdict.NOT_A_ZIP: "not a ZIP", Verdict.SKIPPED: "skipped"}.get(
            decided.decision, decided.zip
        )
        return f"{item.row.file}, page {item.row.page}, is already decided: {said}."
