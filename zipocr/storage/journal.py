r"""Journals of finished work, from which another run can resume.

A journal is a text file. Each line is JSON, a tab, and a CRC of the JSON and the line's position in
bytes. The first line has the identity of the run, each other line a record. If a line is cut off,
damaged or moved, it is detected, and everything from there on is discarded.
"""

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import BufferedReader, FileIO, RawIOBase
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

from zipocr.errors import OutputError, printable
from zipocr.storage.atomic import sync_folder
from zipocr.storage.locks import is_in_place, take
from zipocr.storage.untrusted import parse_json

Json = Any
SYNC_SECONDS = 1.0
"""Maximum age of unsynced records when another one is appended."""

MAX_SHOWN = 40
FORMAT = 2
_MAGIC = b'{"zipocr_journal": %d, ' % FORMAT
_ANY_FORMAT = b'{"zipocr_journal": '


class Journal:
    """An open journal, locked against other runs; `open_journal` makes one.

    Attributes
    ----------
    finished : int
        Number of records.
    begun : str
        Time of its creation, ISO 8601 in UTC.
    """

    def __init__(self, path: Path, file: FileIO) -> None:
        self.finished = 0
        self.begun = ""
        self._path = path
        self._file = file
        self._end = 0
        self._synced = time.monotonic()

    def begin(self, identity: Mapping[str, Json], *, resume: bool, force: bool) -> None:
        """Write the first line, or continue after the last record; see `open_journal`."""
        head = None if force else self._survey()
        if head is None or not self.finished:
            self._write_head(identity)
            return
        if not resume:
            whose = "belongs to a run that did not end, or to a watch"
            cure = "Continue with --resume, or start over with --force."
            message = f"{printable(self._path)} {whose}. {cure}"
            raise OutputError(message)
        if changes := differences(head.get("identity"), identity):
            message = (
                f"{printable(self._path)} was started differently: {'; '.join(changes)}. Give "
                "the same again, or start over with --force."
            )
            raise OutputError(message)
        self.begun = str(head.get("begun"))
        with self._translated():
            self._file.truncate(self._end)

    def _survey(self) -> dict[str, Json] | None:
        """Find the valid records, and return the first line.

        None if the file is empty.
        """
        with self._translated(), self._lines() as lines:
            first = next(lines, b"")
            head = _unpack(first, 0)
            if head is None or not first.startswith(_MAGIC):
                if first.endswith(b"\n") or not _is_cut_head(first):
                    raise OutputError(_no_journal(self._path, first))
                return None
            self._end = len(first)
            for line in lines:
                if _unpack(line, self._end) is None:
                    break
                self.finished, self._end = self.finished + 1, self._end + len(line)
        return head

    def _write_head(self, identity: Mapping[str, Json]) -> None:
        self.begun = datetime.now(UTC).isoformat(timespec="seconds")
        self.finished, self._end = 0, 0
        with self._translated():
            self._file.truncate(0)
            head = {"zipocr_journal": FORMAT, "begun": self.begun, "identity": identity}
            self._write(_pack(head, 0), records=0)
            self._sync()
            # Without syncing the folder, the file might have no name after a power failure.
            sync_folder(self._path.resolve().parent)

    def _lines(self) -> BinaryIO:
        """Open the journal for reading, even if another program has removed its name."""
        if hasattr(os, "pread"):
            return BufferedReader(_FromStart(self._file))
        return self._path.open("rb")

    def append(self, record: Mapping[str, Json]) -> int:
        """Append a record.

        It is passed to the operating system at once, so it survives this process. Against power
        failures, the file is synced at most every `SYNC_SECONDS`.

        Returns
        -------
        int
            Its position, for `read`.

        Raises
        ------
        OutputError
            If it cannot be written completely; the file is then unchanged.
        """
        position = self._end
        with self._translated():
            self._write(_pack(record, position), records=self.finished + 1)
            if time.monotonic() - self._synced >= SYNC_SECONDS:
                self._sync()
        return position

    def sync(self) -> None:
        """Sync all records to disk.

        Raises
        ------
        OutputError
            If that fails.
        """
        with self._translated():
            self._sync()

    def records(self) -> Iterator[tuple[int, dict[str, Json]]]:
        """Read all records with their positions, in the order of appending."""
        with self._translated(), self._lines() as lines:
            position = len(next(lines, b""))
            for _ in range(self.finished):
                line = next(lines, b"")
                yield position, self._believed(line, position)
                position += len(line)

    def read(self, positions: Iterable[int]) -> Iterator[dict[str, Json]]:
        """Read the records at these positions, in this order."""
        with self._translated(), self._lines() as lines:
            for position in positions:
                lines.seek(position)
                yield self._believed(lines.readline(), position)

    def _believed(self, line: bytes, position: int) -> dict[str, Json]:
        record = _unpack(line, position)
        if record is None:
            fault = f"{printable(self._path)} was changed by another program."
            message = f"{fault} Start over with --force."
            raise OutputError(message)
        return record

    def remove(self) -> None:
        """Remove the file at the end of a run."""
        if os.name == "nt":  # where an open file cannot be removed
            self._file.close()
            self._path.unlink(missing_ok=True)
        elif is_in_place(self._file, self._path):
            self._path.unlink()
        self._file.close()

    def close(self) -> None:
        """Close the file.

        A new one without records is removed, since there is nothing to resume.
        """
        if self._file.closed:
            return
        with suppress(OSError):
            self._sync()
        if not self.finished and os.fstat(self._file.fileno()).st_size == self._end:
            self.remove()
        self._file.close()

    def _write(self, line: bytes, *, records: int) -> None:
        """Append and count a line, or leave everything unchanged, even if interrupted."""
        before = self.finished, self._end
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
            self.finished, self._end = records, self._end + len(line)
        except BaseException:
            self.finished, self._end = before
            with suppress(OSError):
                self._file.truncate(self._end)
            raise

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            message = f"Cannot write {printable(self._path)}: {error.strerror}."
            raise OutputError(f"{message}{self._cure()}") from error

    def _cure(self) -> str:
        if not self.finished:
            return ""
        if not is_in_place(self._file, self._path):
            return (
                " It was removed while the run went on, and what was finished with it: start over."
            )
        return " What was finished is safe: run the same again to continue, a scan with --resume."


class _FromStart(RawIOBase):
    """A reader of an open file with its own position, independent of appends."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Seek to a position; not relative to the end."""
        self._at = offset + (self._at if whence == os.SEEK_CUR else 0)
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        found = os.pread(self._file.fileno(), len(buffer), self._at)
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)


@contextmanager
def open_journal(
    path: Path, identity: Mapping[str, Json], *, resume: bool = False, force: bool = False
) -> Iterator[Journal]:
    """Create a journal or continue one.

    Parameters
    ----------
    path : Path
        The file.
    identity : mapping
        The identity of the run, as JSON values. Only a journal with the same identity is continued.
    resume : bool
        Continue a journal that has records.
    force : bool
        Start over, whatever exists.

    Yields
    ------
    Journal
        After the block the file stays, unless it was removed or has no record.

    Raises
    ------
    OutputError
        If another run has it open; if it has records, but neither ``resume`` nor ``force`` is
        given; if its identity differs (the message says how); if it is not a journal or cannot be
        written.
    """
    journal = Journal(path, _take(path))
    try:
        journal.begin(identity, resume=resume, force=force)
        yield journal
    finally:
        journal.close()


class _Absent:
    """Placeholder for what is only in one of two mappings; equal to itself alone."""

    def __str__(self) -> str:
        return "absent"


_ABSENT = _Absent()


def differences(then: Json, now: Json, *, where: str = "") -> list[str]:
    """List the differences between two nested mappings.

    Examples
    --------
    >>> differences({"model": {"sha256": "a1"}, "jobs": 1}, {"model": {"sha256": "b2"}, "jobs": 1})
    ['model sha256 was a1 and is b2']
    >>> differences({}, {"timeout": None})
    ['timeout was absent and is None']
    """
    if not (isinstance(then, Mapping) and isinstance(now, Mapping)):
        return [] if then == now else [f"{where} was {_brief(then)} and is {_brief(now)}"]
    keys = dict.fromkeys([*then, *now])
    return [
        line
        for key in keys
        for line in differences(
            then.get(key, _ABSENT), now.get(key, _ABSENT), where=f"{where} {key}".strip()
        )
    ]


def _brief(value: Json) -> str:
    text = str(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _take(path: Path) -> FileIO:
    return take(
        path,
        busy=(
            f"Another run is writing beside {printable(path)}. Wait for its end, or choose another "
            "output."
        ),
    )


def _pack(record: Mapping[str, Json], position: int) -> bytes:
    text = json.dumps(record).encode()
    return b"%s\t%08x\n" % (text, _check(text, position))


def _check(text: bytes, position: int) -> int:
    return crc32(text, position & 0xFFFFFFFF)


def _unpack(line: bytes, position: int) -> dict[str, Json] | None:
    """Return the record of a line, or None if it is invalid."""
    text, _, check = line.rpartition(b"\t")
    if check != b"%08x\n" % _check(text, position):
        return None
    try:
        return parse_json(text)
    except ValueError:
        return None


def _no_journal(path: Path, first: bytes) -> str:
    """Describe why a file cannot be continued, from its first line."""
    head = _unpack(first, 0) if first.startswith(_ANY_FORMAT) else None
    if head is None:
        return f"{printable(path)} is not a zipocr journal, or damaged. Replace it with --force."
    return (
        f"{printable(path)} is a journal of format {head['zipocr_journal']}, and this version "
        "of zipocr"
        f" writes format {FORMAT}. End that run with the version that began it,"
        " or start over with --force."
    )


def _is_cut_head(line: bytes) -> bool:
    """Return whether an incomplete line may be the start of a journal's first line."""
    return line.startswith(_MAGIC) or _MAGIC.startswith(line)
