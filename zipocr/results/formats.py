"""The formats of results, and how to write and read any of them.

Each format is a module with the functions of `Codec`. Rows are passed as lines of CSV, as journals
keep them and workers return them. A file's format is detected from its first bytes.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, cast

from zipocr.errors import InputError, OutputError
from zipocr.results.csv_file import HEADER, format_rows
from zipocr.results.row import Row
from zipocr.results.sinks import STDOUT, LineWriter, Sink, Stdout, sidecar_path
from zipocr.storage.atomic import Version, WholeFile
from zipocr.storage.untrusted import open_plain

_MAX_MAGIC = 16


class Codec(Protocol):
    """The functions of a format's module."""

    def open_writer(
        self, sink: Sink, *, header: str, facts: Mapping[str, Any]
    ) -> AbstractContextManager[LineWriter]:
        """Start a file, which is complete when the block ends without an error."""

    def read_lines(self, path: Path) -> Iterator[tuple[str, Row | None]]:
        """Read rows, each with its line of CSV; first the header and None."""


class UpdatingCodec(Codec, Protocol):
    """The functions of a format whose files can be updated in place."""

    def update(self, path: Path, lines: Iterable[str]) -> bool:
        """Replace the rows of a file; return False if it is not of this format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format of results.

    Attributes
    ----------
    name : str
        Name of the format.
    endings : tuple of str
        Endings of file names.
    module : str
        Name of its `Codec`.
    magic : bytes
        First bytes of its files; empty if they are not distinctive.
    is_text : bool
        Whether it is readable on a terminal.
    package : str
        Module that has to be installed for it; empty if none.
    updates : bool
        Whether its codec is an `UpdatingCodec`.
    companions : tuple of str
        Endings of the files that exist beside it while a program is writing it.
    """

    name: str
    endings: tuple[str, ...]
    module: str
    magic: bytes = b""
    is_text: bool = True
    package: str = ""
    updates: bool = False
    companions: tuple[str, ...] = ()

    @property
    def codec(self) -> Codec:
        """The module that writes and reads it."""
        return cast(Codec, import_module(f"zipocr.results.{self.module}"))

    @property
    def missing_extra(self) -> str:
        """The extra that has to be installed first; empty if none."""
        return self.name if self.package and find_spec(self.package) is None else ""


CSV = Format(name="csv", endings=(".csv",), module="csv_file")
FORMATS = (
    CSV,
    Format(name="jsonl", endings=(".jsonl",), module="jsonl_file", magic=b"{"),
    Format(
        name="parquet",
        endings=(".parquet",),
        module="parquet_file",
        magic=b"PAR1",
        is_text=False,
        package="pyarrow",
    ),
    Format(
        name="sqlite",
        endings=(".sqlite", ".db"),
        module="sqlite_file",
        magic=b"SQLite format 3\0",
        is_text=False,
        updates=True,
        companions=("-journal", "-wal", "-shm"),
    ),
)
NAMES = tuple(each.name for each in FORMATS)
ENDINGS = ", ".join(ending for each in FORMATS for ending in each.endings)


def format_of(target: str, *, name: str | None = None) -> Format:
    """Choose the format of an output: the one named, or by the ending of the file name.

    Standard output, devices and pipes get CSV unless another format is named.

    Raises
    ------
    OutputError
        If the ending is unknown, or contradicts the format named.
    """
    named = next((each for each in FORMATS if each.name == name), None)
    path = Path(target)
    if target == STDOUT or (path.exists() and not path.is_file()):
        return named or CSV
    told = _by_ending(path)
    if told is None:
        raise OutputError(f"{target} has no known ending. Use one of {ENDINGS}.")
    if named not in {None, told}:
        message = f"{target} is {told.name} by its name, and {name} is asked for. Change either."
        raise OutputError(message)
    return told


def usable_format(target: str, *, name: str | None = None) -> Format:
    """Choose the format of an output as `format_of` does, and check that it can be written.

    Raises
    ------
    OutputError
        As `format_of`, and if a package is missing.
    """
    chosen = format_of(target, name=name)
    if extra := chosen.missing_extra:
        needed = f"pip install 'zipocr[{extra}]'"
        raise OutputError(f"Writing {chosen.name} needs an extra: {needed}.")
    return chosen


@contextmanager
def open_results(
    target: str,
    *,
    name: str | None = None,
    force: bool = True,
    known: set[Version] | None = None,
    header: str = HEADER,
    facts: Mapping[str, Any] | None = None,
) -> Iterator["ResultsWriter"]:
    """Open results for writing.

    Parameters
    ----------
    target : str
        A file, which appears or is replaced when the block ends without an error; or ``-`` for
        standard output.
    name : str, optional
        Name of the format, if the target's name does not determine it.
    force, known
        Which existing files may be replaced; see `zipocr.storage.atomic.WholeFile`.
    header : str
        First line of CSV.
    facts : mapping, optional
        How the rows were made, for formats that can store it.

    Yields
    ------
    ResultsWriter
        The writer of the rows.

    Raises
    ------
    OutputError
        If the rows cannot be written.
    BrokenPipeError
        If the reader of standard output has gone away.
    """
    chosen = usable_format(target, name=name)
    with _open_sink(target, chosen, force=force, known=known) as sink:
        with chosen.codec.open_writer(sink, header=header, facts=facts or {}) as lines:
            yield ResultsWriter(lines)
        sink.flush()


@contextmanager
def _open_sink(
    target: str, chosen: Format, *, force: bool, known: set[Version] | None
) -> Iterator[Sink]:
    if target == STDOUT:
        yield Stdout()
        return
    path = Path(target)
    _refuse_companions(path, chosen)
    with WholeFile(path, force=force, known=known) as file:
        yield file


def _refuse_companions(path: Path, chosen: Format) -> None:
    """Refuse to replace a file that a program is writing, or was writing when it was killed."""
    for ending in chosen.companions:
        if os.path.lexists(companion := sidecar_path(path, ending)):
            told = f"{companion} exists: another program is writing {path}, or was killed."
            raise OutputError(f"{told} End that program, or remove both files.")


class ResultsWriter:
    """Writer of rows, or of lines of rows, as `open_results` yields it."""

    def __init__(self, lines: LineWriter) -> None:
        self.write_lines = lines.write_lines
        self.flush = lines.flush

    def write(self, rows: Iterable[Row]) -> None:
        """Append rows and flush, so that the reader of a pipe need not wait."""
        self.write_lines(format_rows(rows))
        self.flush()


def update_results(path: Path, lines: Iterable[str]) -> bool:
    """Replace the rows of a file in place; return False if its format cannot do that.

    Raises
    ------
    OutputError
        If the update fails.
    """
    chosen = format_of(str(path))
    return chosen.updates and cast(UpdatingCodec, chosen.codec).update(path, lines)


def read_results(path: Path) -> Iterator[Row]:
    """Read rows from results of any format.

    Parameters
    ----------
    path : Path
        A file that `open_results` wrote.

    Yields
    ------
    Row
        As they were written.

    Raises
    ------
    InputError
        If the file cannot be opened or is not a results file; the message says where.
    """
    return (row for _, row in read_lines(path) if row is not None)


def read_lines(path: Path) -> Iterator[tuple[str, Row | None]]:
    """Read rows, each with its line of CSV; from CSV verbatim.

    Yields
    ------
    str and Row or None
        The line of a row with its line end, and the row; first the header and None.

    Raises
    ------
    InputError
        As `read_results`.
    """
    found = _detect(path)
    if extra := found.missing_extra:
        message = f"Reading {path} needs an extra: pip install 'zipocr[{extra}]'"
        raise InputError(message)
    return found.codec.read_lines(path)


def _detect(path: Path) -> Format:
    """Detect the format of a file from its first bytes, or from its name if it is empty.

    Anything else may be CSV.
    """
    try:
        with open_plain(path) as file:
            start = file.read(_MAX_MAGIC)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    if not start:
        return _by_ending(path) or CSV
    return next((each for each in FORMATS if each.magic and start.startswith(each.magic)), CSV)


def _by_ending(path: Path) -> Format | None:
    return next((each for each in FORMATS if path.suffix.lower() in each.endings), None)
