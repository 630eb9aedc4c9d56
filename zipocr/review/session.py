"""A review session: decisions go to disk, pages come from the queue, and the pace is kept."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from statistics import median
from threading import Lock

from zipocr.results.corrections import UNDECIDED, CorrectionsFile, Decision, Verdict, is_zip
from zipocr.review.claims import Claims
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

    def tick(self, *, is_decision: bool = True) -> None:
        """Count an answer: a decision, or a page skipped."""
        now = self.clock()
        if self._latest is not None and now - self._latest <= PAUSE:
            self._taken.append(now - self._latest)
        self._latest = now
        self.decided += is_decision

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
    claims : Claims, optional
        What others look at, who review the same results.
    """

    def __init__(
        self,
        items: Sequence[Item],
        corrections: CorrectionsFile,
        pace: Pace | None = None,
        claims: Claims | None = None,
    ) -> None:
        self.items = items
        self.pace = pace or Pace()
        self.revision = 0
        self._corrections = corrections
        self._claims = claims
        self._queue = Queue(len(items))
        self._lock = Lock()
        numbers = {item.key: number for number, item in enumerate(items)}
        for key, decision in corrections.last.items():
            if key in numbers:
                self._queue.settle(numbers[key], decision.decision)
        if claims:
            last = corrections.last.items()
            claims.decide(key for key, one in last if one.decision not in UNDECIDED)

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
            if self._claims and not self._claims.take([self.items[number].key], 1):
                raise Conflict(self._elsewhere(number))
            self._write(
                number, self._judge(number, answer, zip_), zip_ if answer is Answer.ACCEPT else ""
            )
            self.pace.tick(is_decision=answer is not Answer.SKIP)

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
            self.pace.decided -= self._queue.verdict(latest) is not Verdict.SKIPPED
            self._write(latest, Verdict.UNDONE, "")

    def reopen_skipped(self) -> None:
        """Bring back what was skipped."""
        with self._lock:
            self._queue.reopen_skipped()
            self.revision += 1

    def coming(self, most: int) -> list[int]:
        """Name the next pages, at most `most`."""
        with self._lock:
            self.pace.look()
            if self._claims is None:
                return self._queue.coming(most)
            waiting = {self.items[number].key: number for number in self._waiting()}
            return [waiting[key] for key in self._claims.take(waiting, most)]

    def _waiting(self) -> list[int]:
        return self._queue.coming(len(self.items))

    @property
    def elsewhere(self) -> dict[str, int]:
        """How many pages others look at or have decided, who review the same results."""
        claims = self._claims
        if claims is None:
            return {"claimed": 0, "decided": 0}
        with self._lock:
            held = [key for n in self._waiting() if claims.is_held(key := self.items[n].key)]
            decided = sum(map(claims.is_decided, held))
            return {"claimed": len(held) - decided, "decided": decided}

    def close(self) -> None:
        """Leave to others what was not decided."""
        if self._claims is not None:
            with self._lock:
                self._claims.release(self.items[number].key for number in self._waiting())

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
        if self._claims and verdict not in UNDECIDED:
            self._claims.decide([item.key])
        elif self._claims:
            self._claims.release([item.key])

    def _elsewhere(self, number: int) -> str:
        """Say that another review was quicker."""
        row = self.items[number].row
        return f"{row.file}, page {row.page}, went to another reviewer meanwhile."

    def _already(self, number: int) -> str:
        """Say what was decided about a page."""
        item = self.items[number]
        decided = self._corrections.last[item.key]
        said = {Verdict.NOT_A_ZIP: "not a ZIP", Verdict.SKIPPED: "skipped"}.get(
            decided.decision, decided.zip
        )
        return f"{item.row.file}, page {item.row.page}, is already decided: {said}."
