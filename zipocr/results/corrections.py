"""Corrections: decisions of people about pages, one line of CSV each; the last one counts.

The columns are the fields of `Decision`. Lines are only ever appended: undoing a decision appends a
line, too. A last line that was cut off, as by a power failure, is ignored.
"""

import csv
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from io import FileIO, StringIO
from pathlib import Path

from zipocr.errors import InputError, OutputError, printable
from zipocr.results.cells import from_cell, to_cell
from zipocr.storage.atomic import sync_folder
from zipocr.storage.locks import is_in_place, take
from zipocr.storage.untrusted import read_plain
from zipocr.types import missing_zeros_hint

_ZIP = re.compile("[0-9]{5}(-[0-9]{4})?")
_TIME = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+]00:00)")
_MARK = b"\xef\xbb\xbf"  # byte order mark, which some spreadsheets write
_SHOWN = 40
_NAMED = 5  # conflicts listed in an error


class Verdict(StrEnum):
    """A person's verdict on a page; `SKIPPED` and `UNDONE` leave it undecided."""

    CONFIRMED = "confirmed"
    CORRECTED = "corrected"
    NOT_A_ZIP = "not_a_zip"
    SKIPPED = "skipped"
    UNDONE = "undone"


class SampledAs(StrEnum):
    """Why a page was shown: it was in doubt, or drawn at random from the accepted pages."""

    DOUBT = "doubt"
    AUDIT = "audit"


UNDECIDED = frozenset({Verdict.SKIPPED, Verdict.UNDONE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A decision about a page; the fields are the columns, in their order.

    ``file`` is the name itself, not its cell. ``read_zip`` is the ZIP as read, with a dash if it
    has nine digits, or empty; ``zip`` is the right one, empty unless the page was confirmed or
    corrected. ``time`` is ISO 8601 in UTC, to the second.
    """

    file: str
    page: int
    read_zip: str
    zip: str
    decision: Verdict
    drawn: SampledAs
    time: str


COLUMNS = tuple(each.name for each in fields(Decision))
_HEADER = ",".join(COLUMNS)


def is_zip(text: str) -> bool:
    """Return whether a text is five digits, or nine with a dash.

    Examples
    --------
    >>> is_zip("02108"), is_zip("02108-1234"), is_zip("021081234")
    (True, True, False)
    """
    return _ZIP.fullmatch(text) is not None


def read_corrections(path: Path) -> dict[tuple[str, int], Decision]:
    """Read the last decision about each page.

    Parameters
    ----------
    path : Path
        A file that `open_corrections` wrote, perhaps edited by hand since.

    Returns
    -------
    dict
        The last decision on each file and page, without pages that were skipped or undone.

    Raises
    ------
    InputError
        If the file cannot be read, is not a corrections file, or has a bad line, which the message
        names.
    """
    last = _survey(path).last
    return {key: decision for key, decision in last.items() if decision.decision not in UNDECIDED}


def merge_corrections(paths: Sequence[Path]) -> dict[tuple[str, int], Decision]:
    """Read the decisions of several people about the pages of one results file.

    Raises
    ------
    InputError
        If a file cannot be read, or two people disagree about a page; the message names the pages
        and both decisions.
    """
    merged: dict[tuple[str, int], tuple[Decision, Path]] = {}
    conflicts: list[str] = []
    for path in dict.fromkeys(paths):
        for key, decision in read_corrections(path).items():
            earlier, whose = merged.setdefault(key, (decision, path))
            if earlier.zip != decision.zip:
                both = f"{_said(earlier)} in {whose} and {_said(decision)} in {path}"
                conflicts.append(f"{to_cell(key[0])} page {key[1]}, {both}")
    if conflicts:
        named = "; ".join(conflicts[:_NAMED]) + ("; and others" if conflicts[_NAMED:] else "")
        pages = "1 page is" if len(conflicts) == 1 else f"{len(conflicts)} pages are"
        message = f"{pages} decided differently: {named}."
        raise InputError(f"{message} Remove the line that is wrong.")
    return {key: decision for key, (decision, _) in merged.items()}


def _said(decision: Decision) -> str:
    return decision.zip or "no ZIP"


@dataclass(slots=True, kw_only=True)
class _Survey:
    """The contents of a file.

    The last decision about each page, and the number of bytes in complete lines; ``ended`` if the
    last line is complete.
    """

    last: dict[tuple[str, int], Decision] = field(default_factory=dict)
    whole: int = 0
    ended: bool = True


def _survey(path: Path) -> _Survey:
    try:
        data = read_plain(path)
    except OSError as error:
        message = f"Cannot read {printable(path)}: {error.strerror}."
        raise InputError(message) from error
    found = _Survey()
    for number, line in enumerate(data.splitlines(keepends=True), start=1):
        ended = line.endswith((b"\n", b"\r"))
        where = f"{printable(path)}, line {number}"
        if number == 1:
            if not ended and _HEADER.encode().startswith(line) and line != _HEADER.encode():
                break
            _check_header(line.removeprefix(_MARK), printable(path))
        elif (cells := _to_cells(line, where, ended=ended)) is None:
            break
        elif cells:
            _keep(found.last, _from_cells(cells, where))
        found.whole, found.ended = found.whole + len(line), ended
    return found


def _keep(last: dict[tuple[str, int], Decision], decision: Decision) -> None:
    """Record a decision as the latest one."""
    last.pop((decision.file, decision.page), None)
    last[decision.file, decision.page] = decision


def _check_header(line: bytes, name: str) -> None:
    names = line.decode(errors="backslashreplace").strip().split(",")
    if names == list(COLUMNS):
        return
    unknown, missing = (
        [each for each in names if each not in COLUMNS],
        [each for each in COLUMNS if each not in names],
    )
    if len(missing) == len(COLUMNS):
        message = (
            f"{name} is not a file of corrections: its first line is not {_HEADER}. Give one that "
            "zipocr review wrote."
        )
        raise InputError(message)
    told = [
        f"{what} {', '.join(those)[:_SHOWN]}"
        for what, those in (("unknown:", unknown), ("missing:", missing))
        if those
    ]
    message = (
        f"{name} has other columns than corrections ({'; '.join(told) or 'in another order'}). "
        f"They must be {_HEADER}."
    )
    raise InputError(message)


def _to_cells(line: bytes, where: str, *, ended: bool) -> list[str] | None:
    """Split a line into cells: none if it is empty, None if it was cut off."""
    try:
        cells = next(csv.reader([line.decode()], strict=True), [])
    except (UnicodeDecodeError, csv.Error) as error:
        if not ended:
            return None
        message = f"{where}: this is not CSV in UTF-8 ({error})."
        raise InputError(message) from error
    is_cut = not ended and (len(cells) < len(COLUMNS) or not _TIME.fullmatch(cells[-1]))
    return None if is_cut else cells


def _from_cells(cells: list[str], where: str) -> Decision:
    if len(cells) != len(COLUMNS):
        message = f"{where}: {len(cells)} cells where there are {len(COLUMNS)} columns, {_HEADER}."
        raise InputError(message)
    file, page, read_zip, right, verdict, drawn, time = cells
    try:
        decision = Decision(
            file=from_cell(file),
            page=int(page),
            read_zip=read_zip,
            zip=right,
            decision=Verdict(verdict),
            drawn=SampledAs(drawn),
            time=time,
        )
    except ValueError as error:
        message = f"{where}: {error}."
        raise InputError(message) from error
    if trouble := _trouble(decision):
        message = f"{where}: {trouble}"
        raise InputError(message)
    return decision


def _trouble(decision: Decision) -> str:
    """Describe what is wrong with a decision; empty if nothing is."""
    for text in (decision.read_zip, decision.zip):
        if text and not is_zip(text):
            return (
                missing_zeros_hint(text)
                or f"{text[:_SHOWN]!r} is not a ZIP: write five digits, or nine as 12345-6789."
            )
    if decision.page < 1 or not _TIME.fullmatch(decision.time):
        return "pages count from 1, and times look like 2026-01-31T12:00:00+00:00."
    decided = decision.decision in {Verdict.CONFIRMED, Verdict.CORRECTED}
    if decided != bool(decision.zip):
        return (
            f"{decision.decision} goes {'with' if decided else 'without'} a ZIP in the column zip."
        )
    if decided and (decision.zip == decision.read_zip) != (decision.decision is Verdict.CONFIRMED):
        right = Verdict.CORRECTED if decision.decision is Verdict.CONFIRMED else Verdict.CONFIRMED
        return (
            f"{decision.zip} where {decision.read_zip or 'nothing'} was read is not "
            f"{decision.decision}; write {right}."
        )
    return ""


class CorrectionsFile:
    """An open file of corrections, locked against other reviews; `open_corrections` makes one.

    Attributes
    ----------
    last : dict
        The last decision on each file and page, including skipped and undone, latest last. Updated
        with every decision written.
    """

    def __init__(self, path: Path, file: FileIO) -> None:
        self.last: dict[tuple[str, int], Decision] = {}
        self._path = path
        self._file = file
        self._end = 0

    def begin(self) -> None:
        """Read the file, drop an incomplete last line, and write the header of a new file."""
        found = _survey(self._path)
        self.last, self._end = found.last, found.whole
        with self._translated():
            self._file.truncate(self._end)
            self._write(b"" if found.ended else b"\n")
            if not self._end:
                self._write(f"{_HEADER}\n".encode())
                sync_folder(self._path.resolve().parent)

    def append(self, decision: Decision) -> None:
        """Write a decision to disk; it is synced when this returns.

        Raises
        ------
        ValueError
            If the decision could not be read back: a bug.
        OutputError
            If it cannot be written completely (the file is then unchanged), or if the file was
            replaced or written to by another program.
        """
        if trouble := _trouble(decision):
            raise ValueError(trouble)
        line = StringIO()
        cells = replace(decision, file=to_cell(decision.file))
        csv.writer(line, lineterminator="\n").writerow(getattr(cells, name) for name in COLUMNS)
        with self._translated():
            self._refuse_another_file()
            self._write(line.getvalue().encode())
        _keep(self.last, decision)

    def _refuse_another_file(self) -> None:
        """Raise if the file was replaced, as many editors do when they save.

        Anything appended to the old file would be lost.
        """
        is_own = is_in_place(self._file, self._path)
        if not is_own or os.fstat(self._file.fileno()).st_size != self._end:
            message = (
                f"Another program has replaced, changed or removed {self._path} meanwhile. "
                "End the review and start it again: it continues with the contents of the file."
            )
            raise OutputError(message)

    def _write(self, line: bytes) -> None:
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError:
            with suppress(OSError):
                self._file.truncate(self._end)
            raise
        self._end += len(line)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            message = (
                f"Cannot write {printable(self._path)}: {error.strerror}. What was decided before "
                "is safe in it."
            )
            raise OutputError(message) from error


@contextmanager
def open_corrections(path: Path) -> Iterator[CorrectionsFile]:
    """Open corrections for appending.

    Parameters
    ----------
    path : Path
        The file, created if it does not exist.

    Yields
    ------
    CorrectionsFile
        The open file.

    Raises
    ------
    InputError
        If the file exists and is not a corrections file.
    OutputError
        If another review has it open, or it cannot be written.
    """
    busy = (
        f"Another review is writing to {printable(path)}. Continue in its page, end it, or choose "
        "another file with --labels-out."
    )
    with take(path, busy=busy) as file:
        corrections = CorrectionsFile(path, file)
        corrections.begin()
        yield corrections
