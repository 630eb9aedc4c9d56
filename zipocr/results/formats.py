"""The formats that results can have, and the one way to write and to read them.

Each is a module with the functions of `Codec`. Rows pass through them as lines of CSV, as journals
keep them and workers hand them over; what a file holds is known by how it begins.
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
    """What the module of a format can do."""

    def open_writer(
        self, sink: Sink, *, header: str, facts: Mapping[str, Any]
    ) -> AbstractContextManager[LineWriter]:
        """Begin a file; it is whole when the block ends without an error."""

    def read_lines(self, path: Path) -> Iterator[tuple[str, Row | None]]:
        """Read rows, each with its line of CSV; first the header, and None."""


class UpdatingCodec(Codec, Protocol):
    """What the module of a format can do whose files can be changed in their place."""

    def update(self, path: Path, lines: Iterable[str]) -> bool:
        """Make a file hold these rows; False where it is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format of results.

    Attributes
    ----------
    name : str
        What it is called.
    endings : tuple of str
        How names of its files end.
    module : str
        Name of its `Codec`.
    magic : bytes
        How its files begin; none where that tells nothing.
    is_text : bool
        Whether a terminal can show it.
    package : str
        What has to be installed for it, by its module; nothing where that is empty.
    updates : bool
        Whether its codec is an `UpdatingCodec`.
    companions : tuple of str
        Endings of files that belong to one of its files while a program is writing it.
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
        """What writes and reads it."""
        return cast(Codec, import_module(f"zipocr.results.{self.module}"))

    @property
    def missing_extra(self) -> str:
        """The extra that has to be installed first; nothing where all is there."""
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
    """Choose the format of an output: by the ending of its name, or the one that is named.

    Standard output, devices and pipes are CSV unless another format is named.

    Raises
    ------
    OutputError
        If the ending says nothing, or another format than the one that is named.
    """
    named = next((each for each in FORMATS if each.name == name), None)
    path = Path(target)
    if target == STDOUT or (path.exists() and not path.is_file()):
        return named or CSV
    told = _by_ending(path)
    if told is None:
        raise OutputError(f"{target} tells no format. Let its name end with one of {ENDINGS}.")
    if named not in {None, told}:
        message = f"{target} is {told.name} by its name, and {name} is asked for. Change either."
        raise OutputError(message)
    return told


def usable_format(target: str, *, name: str | None = None) -> Format:
    """Choose the format of an output as `format_of`, and see that it can be written.

    Raises
    ------
    OutputError
        As `format_of`, and if a package is missing.
    """
    chosen = format_of(target, name=name)
    if extra := chosen.missing_extra:
        needed = f"pip install 'zipocr[{extra}]'"
        raise OutputError(f"To write {chosen.name} takes another package: {needed}.")
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
        A file, which appears (or is replaced) whole when the block ends without an error; or ``-``
        for standard output.
    name : str, optional
        Name of the format, where that of the target does not tell it.
    force, known
        What of files that are there may be replaced; see `zipocr.storage.atomic.WholeFile`.
    header : str
        First line of CSV.
    facts : mapping, optional
        What made the rows, for formats that have a place for it.

    Yields
    ------
    ResultsWriter
        What takes the rows.

    Raises
    ------
    OutputError
        If the rows cannot be written.
    BrokenPipeError
        If whoever reads standard output has left.
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
    """Refuse to replace a file under the hands of a program that is writing it, or was killed."""
    for ending in chosen.companions:
        if os.path.lexists(companion := sidecar_path(path, ending)):
            told = f"{companion} is there: another program writes {path}, or was killed."
            raise OutputError(f"{told} End that program, or remove both files.")


class ResultsWriter:
    """Takes rows, or lines of rows; `open_results` makes one."""

    def __init__(self, lines: LineWriter) -> None:
        self.write_lines = lines.write_lines
        self.flush = lines.flush

    def write(self, rows: Iterable[Row]) -> None:
        """Append rows and hand them on at once, so that who reads from a pipe need not wait."""
        self.write_lines(format_rows(rows))
        self.flush()


def update_results(path: Path, lines: Iterable[str]) -> bool:
    """Make a file hold these rows without replacing it; False where its format cannot do that.

    Raises
    ------
    OutputError
        If that fails.
    """
    chosen = format_of(str(path))
    return chosen.updates and cast(UpdatingCodec, chosen.codec).update(path, lines)


def read_results(path: Path) -> Iterator[Row]:
    """Read rows back from results of any format.

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
        If the file cannot be opened or is no such file; the message says where.
    """
    return (row for _, row in read_lines(path) if row is not None)


def read_lines(path: Path) -> Iterator[tuple[str, Row | None]]:
    """Read rows, and each as a line of CSV; of CSV to the letter.

    Yields
    ------
    str and Row or None
        The text of a row with its line end, and the row; first that of the header, and None.

    Raises
    ------
    InputError
        As `read_results`.
    """
    found = _detect(path)
    if extra := found.missing_extra:
        message = f"{path} is read after: pip install 'zipocr[{extra}]'"
        raise InputError(message)
    return found.codec.read_lines(path)


def _detect(path: Path) -> Format:
    """Tell the format of a file by its first bytes, or by its name if it is empty.

    What is none of the others may be CSV.
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
