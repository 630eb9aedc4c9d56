"""Claims on pages, for several people reviewing one results file.

A file beside the results has a line of JSON for each claim. A claim holds for some minutes; then
the page goes to the next reviewer. Decided pages are held as long as the corrections with the
decision exist. Claims only avoid duplicate work: decisions are in the corrections, and applying
those of several people reports where they differ.
"""

import json
import math
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

from zipocr.errors import OutputError
from zipocr.results.cells import from_cell, to_cell
from zipocr.storage.locks import take
from zipocr.storage.untrusted import parse_json

CLAIM_SECONDS = 600.0
PATIENCE_SECONDS = 2.0
"""Seconds to wait for the file, which other reviews only hold for a moment."""
FREE = 0.0
DECIDED = math.inf
Key = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A claim on a page until a time, in seconds since 1970, or for good."""

    host: str
    labels: str
    until: float


@dataclass(slots=True, kw_only=True, eq=False)
class Claims:
    """The claims of all reviewers of the same results.

    Attributes
    ----------
    path : Path
        The file, created if it does not exist.
    labels : Path
        The corrections of this review, which identify it.
    clock : callable
        Seconds since 1970.
    trouble : str
        Why claims do not work; empty if they do.
    """

    path: Path
    labels: Path
    clock: Callable[[], float] = time.time
    trouble: str = ""
    _known: dict[Key, Claim] = field(default_factory=dict)
    _read: int = 0
    _own: tuple[str, str] = ("", "")
    _there: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Determine the identity of this review."""
        self._own = socket.gethostname(), to_cell(os.path.realpath(self.labels))

    def take(self, wanted: Iterable[Key], most: int) -> list[Key]:
        """Claim the first pages that no other review holds, at most `most`."""
        granted: list[Key] = []
        with self._open() as file:
            for key in wanted:
                if len(granted) == most:
                    break
                if not self.is_held(key):
                    granted.append(key)
            self._note(file, filter(self._is_short, granted), self.clock() + CLAIM_SECONDS)
        return granted

    def is_held(self, key: Key) -> bool:
        """Return whether another review is known to have decided or claimed a page."""
        claim = self._known.get(key)
        if claim is None or (claim.host, claim.labels) == self._own:
            return False
        if claim.until == DECIDED and claim.host == self._own[0]:
            return self._is_there(claim.labels)
        return claim.until > self.clock()

    def _is_there(self, labels: str) -> bool:
        """Return whether corrections exist, checked once per reading of the file."""
        if labels not in self._there:
            self._there[labels] = Path(from_cell(labels)).exists()
        return self._there[labels]

    def is_decided(self, key: Key) -> bool:
        """Return whether another review has decided a page."""
        return self.is_held(key) and self._known[key].until == DECIDED

    def decide(self, keys: Iterable[Key]) -> None:
        """Claim pages for good."""
        with self._open() as file:
            own = (key for key in keys if self._until(key) != DECIDED)
            self._note(file, own, DECIDED)

    def release(self, keys: Iterable[Key]) -> None:
        """Release the claims of this review on pages."""
        with self._open() as file:
            self._note(file, [key for key in keys if not self.is_held(key)], FREE)

    def _until(self, key: Key) -> float:
        """Return until when this review holds a page."""
        claim = self._known.get(key)
        is_own = claim is not None and (claim.host, claim.labels) == self._own
        return claim.until if claim is not None and is_own else FREE

    def _is_short(self, key: Key) -> bool:
        """Return whether a page is not claimed yet, or its claim expires soon."""
        return self._until(key) < self.clock() + CLAIM_SECONDS / 2

    @contextmanager
    def _open(self) -> Iterator[FileIO | None]:
        """Lock the file and read the claims of others; None if it cannot be locked."""
        try:
            file = self._taken()
        except OutputError as error:
            self.trouble = str(error)
            yield None
            return
        with file:
            self._there.clear()
            self._learn(file)
            yield file

    def _taken(self) -> FileIO:
        until = time.monotonic() + PATIENCE_SECONDS
        busy = f"Another review keeps {self.path}."
        while True:
            try:
                return take(self.path, busy=busy)
            except OutputError as error:
                if str(error) != busy or time.monotonic() > until:
                    raise
            time.sleep(0.01)

    def _learn(self, file: FileIO) -> None:
        """Read the lines that others have appended; damaged ones are ignored."""
        file.seek(self._read)
        for line in file.read().splitlines(keepends=True):
            self._read += len(line)
            try:
                told = parse_json(line)
                key = from_cell(told["file"]), int(told["page"])
                until = float(told["until"])
                claim = Claim(host=str(told["host"]), labels=str(told["labels"]), until=until)
            except (ValueError, KeyError, TypeError, OverflowError):
                continue
            self._known[key] = claim

    def _note(self, file: FileIO | None, keys: Iterable[Key], until: float) -> None:
        if file is None:
            return
        host, labels = self._own
        told = (
            {"file": to_cell(name), "page": page, "host": host, "labels": labels, "until": until}
            for name, page in keys
        )
        lines = "".join(json.dumps(each) + "\n" for each in told).encode()
        try:
            file.write(lines)
        except OSError as error:
            self.trouble = f"Cannot write {self.path}: {error.strerror}."
        self._learn(file)
