"""A review session: decisions on disk, the queue of pages, and the pace."""

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
"""Seconds; longer intervals are breaks and do not count for the pace."""
PACED_BY = 40
MIN_FOR_PACE = 3


class Answer(StrEnum):
    """The possible answers to a page."""

    ACCEPT = "accept"
    NOT_A_ZIP = "not_a_zip"
    SKIP = "skip"


class Conflict(Exception):  # noqa: N818 - not an error: two tabs of one review
    """Raised if another browser page was quicker; the message says what it did."""


class Refused(Exception):  # noqa: N818 - shown to the person; nothing failed
    """Raised for an invalid answer; the message says why."""


@dataclass(slots=True)
class Pace:
    """The pace: seconds from one decision to the next."""

    clock: Callable[[], float] = time.monotonic
    decided: int = 0
    _latest: float | None = None
    _taken: deque[float] = field(default_factory=lambda: deque(maxlen=PACED_BY))

    def look(self) -> None:
        """Start the clock at the first page."""
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
        """Median of the latest decisions; None if there are few."""
        return median(self._taken) if len(self._taken) >= MIN_FOR_PACE else None


class Session:
    """A review session; thread-safe.

    Parameters
    ----------
    items : sequence of Item
        The pages to review, in order.
    corrections : CorrectionsFile
        Where decisions are written, with earlier ones.
    pace : Pace, optional
        For tests with a fake clock.
    claims : Claims, optional
        The claims of other reviewers of the same results.
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
        """Record a decision; it is on disk when this returns.

        Parameters
        ----------
        number : int
            Index of the page.
        answer : Answer
            The answer.
        zip_ : str
            The right ZIP if the answer is `ACCEPT`.

        Raises
        ------
        Refused
            If there is no such page, or the ZIP is invalid.
        Conflict
            If the page is decided already.
        OutputError
            If it cannot be written; nothing is decided then.
        """
        if not 0 <= number < len(self.items):
            raise Refused("There is no such page.")
        if answer is Answer.ACCEPT and not is_zip(zip_):
            raise Refused("That is not a ZIP: it needs five or nine digits.")
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
        """Undo the latest decision.

        Raises
        ------
        Refused
            If there is none.
        Conflict
            If something was decided since ``revision``, so that another decision may be meant.
        OutputError
            If it cannot be written; the decision stands then.
        """
        with self._lock:
            latest = self._queue.latest
            if latest is None:
                raise Refused("There is nothing to undo.")
            if revision != self.revision:
                raise Conflict(
                    f"Another window has continued meanwhile. {self._already(latest)} Press u "
                    "again to undo that."
                )
            self.pace.decided -= self._queue.verdict(latest) is not Verdict.SKIPPED
            self._write(latest, Verdict.UNDONE, "")

    def reopen_skipped(self) -> None:
        """Bring back skipped pages."""
        with self._lock:
            self._queue.reopen_skipped()
            self.revision += 1

    def coming(self, most: int) -> list[int]:
        """Return the next pages, at most `most`."""
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
        """Number of pages that other reviewers have claimed or decided."""
        claims = self._claims
        if claims is None:
            return {"claimed": 0, "decided": 0}
        with self._lock:
            held = [key for n in self._waiting() if claims.is_held(key := self.items[n].key)]
            decided = sum(map(claims.is_decided, held))
            return {"claimed": len(held) - decided, "decided": decided}

    def close(self) -> None:
        """Release the claims on undecided pages."""
        if self._claims is not None:
            with self._lock:
                self._claims.release(self.items[number].key for number in self._waiting())

    @property
    def counts(self) -> dict[str, int]:
        """Count the pages by verdict, including verdicts without pages."""
        with self._lock:
            counts = self._queue.counts
            return {
                verdict.value: counts[verdict]
                for verdict in Verdict
                if verdict is not Verdict.UNDONE
            }

    @property
    def can_undo(self) -> bool:
        """Whether there is a decision to undo."""
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
        """Describe the conflict for a page that another reviewer has decided."""
        row = self.items[number].row
        return f"{row.file}, page {row.page}, went to another reviewer meanwhile."

    def _already(self, number: int) -> str:
        """Describe the conflict for a page that is decided already."""
        item = self.items[number]
        decided = self._corrections.last[item.key]
        said = {Verdict.NOT_A_ZIP: "not a ZIP", Verdict.SKIPPED: "skipped"}.get(
            decided.decision, decided.zip
        )
        return f"{item.row.file}, page {item.row.page}, is already decided: {said}."
