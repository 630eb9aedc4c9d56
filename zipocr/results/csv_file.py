"""Rows as lines of CSV."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zipocr.errors import InputError, printable
from zipocr.results.cells import from_cell, to_cell
from zipocr.results.row import COLUMNS, FEWEST_COLUMNS, Row, check_row, corners, to_box
from zipocr.results.sinks import LineWriter, Sink
from zipocr.storage.untrusted import open_plain
from zipocr.types import Reason, Status

_UNDECODABLE = re.compile("[\udc80-\udcff]")
_CURE = "Recreate the results with zipocr scan."


def format_rows(rows: Iterable[Row]) -> str:
    """Format rows as lines of CSV, without the header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(to_cells(row) for row in rows)
    return text.getvalue()


def to_cells(row: Row) -> list[str]:
    """Return one cell per column; text from readers and directories is escaped, too."""
    return [
        to_cell(row.file),
        str(row.page),
        to_cell(row.zip),
        to_cell(row.plus4),
        _probability(row.confidence),
        row.status,
        ";".join(row.reason),
        ";".join(map(_probability, row.digit_confidences)),
        to_cell(row.runner_up),
        _probability(row.runner_up_confidence),
        to_cell(row.city),
        to_cell(row.state),
        "" if row.box is None else ";".join(map(str, corners(row.box))),
    ]


def _probability(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


HEADER = ",".join(COLUMNS) + "\n"


class CsvWriter:
    """Writer of rows as CSV, verbatim."""

    def __init__(self, sink: Sink, header: str) -> None:
        self._sink = sink
        self._sink.write(header.encode())

    def write_lines(self, text: str, /) -> None:
        """Append rows that `format_rows` wrote."""
        self._sink.write(text.encode())

    def flush(self) -> None:
        """Flush what was appended."""
        self._sink.flush()


@contextmanager
def open_writer(sink: Sink, *, header: str, facts: Mapping[str, Any]) -> Iterator[LineWriter]:  # noqa: ARG001
    """Write the header, and yield a writer of rows."""
    yield CsvWriter(sink, header)


def read_lines(path: Path) -> Iterator[tuple[str, Row | None]]:
    """Read rows with their lines, verbatim; columns that an older file lacks are empty.

    Parameters
    ----------
    path : Path
        A CSV file that zipocr wrote.

    Yields
    ------
    str and Row or None
        The line of a row with its line end, and the row; first the header and None.

    Raises
    ------
    InputError
        If the file cannot be opened or is not a results file; the message names the line.
    """
    try:
        with io.TextIOWrapper(
            open_plain(path), encoding="utf-8", errors="surrogateescape", newline=""
        ) as file:
            yield from _read_lines(file, shown=printable(path))
    except OSError as error:
        message = f"Cannot read {path}: {error.strerror}."
        raise InputError(message) from error


def _read_lines(file: Iterable[str], *, shown: str) -> Iterator[tuple[str, Row | None]]:
    texts = _Texts(file)
    lines = csv.reader(texts, strict=True)
    try:
        missing = _missing_columns(next(lines, []), shown=shown)
        yield _extend(texts.take(), [f",{name}" for name in missing]), None
        commas = [","] * len(missing)
        for cells in lines:
            where = f"{shown}, line {lines.line_num}"
            if len(cells) + len(missing) != len(COLUMNS):
                raise InputError(_other_columns(cells, where))
            yield _extend(texts.take(), commas), from_cells(cells, where=where)
    except csv.Error as error:
        message = f"{shown}, line {texts.count}: {error}. {_CURE}"
        raise InputError(message) from error


def _missing_columns(header: list[str], *, shown: str) -> tuple[str, ...]:
    """Return the columns that the results of an earlier version lack."""
    count = len(header)
    if count < FEWEST_COLUMNS or header != list(COLUMNS[:count]):
        message = f"{shown} is not a results file: its first line is not {','.join(COLUMNS)}."
        raise InputError(message)
    return COLUMNS[count:]


def _extend(line: str, cells: Iterable[str]) -> str:
    """Append cells to a line, keeping its line end."""
    text = line.rstrip("\r\n")
    return "".join([text, *cells, line[len(text) :]])


class _Texts:
    """Iterator over lines that keeps what was read since the last `take`."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.count = 0
        self._lines = iter(lines)
        self._taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.count += 1
        if not line.isascii() and _UNDECODABLE.search(
            line
        ):  # accepted so far, so that the line can be named
            raise csv.Error("this is not UTF-8")
        self._taken.append(line)
        return line

    def take(self) -> str:
        text = "".join(self._taken)
        self._taken.clear()
        return text


def parse_rows(text: str) -> Iterator[Row]:
    """Parse rows that `format_rows` wrote.

    Raises
    ------
    InputError
        If the text is anything else.
    """
    try:
        for cells in csv.reader(io.StringIO(text, newline=""), strict=True):
            yield from_cells(cells, where="rows")
    except csv.Error as error:
        message = f"These are not rows: {error}."
        raise InputError(message) from error


def from_cells(cells: list[str], *, where: str) -> Row:
    """Parse a row from its cells; the last ones may be missing.

    Raises
    ------
    InputError
        If they are not a row; the message begins with ``where``.
    """
    if not FEWEST_COLUMNS <= len(cells) <= len(COLUMNS):
        raise InputError(_other_columns(cells, where))
    cell = dict(zip(COLUMNS, [*cells, *[""] * (len(COLUMNS) - len(cells))], strict=True))
    try:
        row = Row(
            file=from_cell(cell["file"]),
            page=int(cell["page"]),
            zip=from_cell(cell["zip"]),
            plus4=from_cell(cell["plus4"]),
            confidence=_optional_float(cell["confidence"]),
            status=Status(cell["status"]),
            reason=tuple(Reason(word) for word in cell["reason"].split(";") if word),
            digit_confidences=tuple(map(float, filter(None, cell["digit_confidences"].split(";")))),
            runner_up=from_cell(cell["runner_up"]),
            runner_up_confidence=_optional_float(cell["runner_up_confidence"]),
            city=from_cell(cell["city"]),
            state=from_cell(cell["state"]),
            box=to_box([int(side) for side in cell["box"].split(";")]) if cell["box"] else None,
        )
        check_row(row)
    except ValueError as error:
        message = f"{where}: {str(error).rstrip('.')}. {_CURE}"
        raise InputError(message) from error
    return row


def _optional_float(cell: str) -> float | None:
    return float(cell) if cell else None


def _other_columns(cells: Sequence[str], where: str) -> str:
    return f"{where}: {len(cells)} cells where there are {len(COLUMNS)} columns. {_CURE}"
