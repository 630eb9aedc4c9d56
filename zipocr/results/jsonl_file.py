"""Results as JSON lines: one object per page, with the columns of the CSV."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zipocr.errors import InputError, printable
from zipocr.results.csv_file import HEADER, format_rows, from_cells
from zipocr.results.row import Row
from zipocr.results.sinks import LineWriter, Sink
from zipocr.results.values import to_cells, to_values
from zipocr.storage.untrusted import open_plain, parse_json


def to_json_lines(text: str) -> str:
    """Convert rows that `format_rows` wrote to JSON lines."""
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    return "".join(json.dumps(to_values(cells), ensure_ascii=False) + "\n" for cells in rows)


class JsonLinesWriter:
    """Writer of rows as JSON lines."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write_lines(self, text: str, /) -> None:
        """Append rows that `format_rows` wrote."""
        self._sink.write(to_json_lines(text).encode())

    def flush(self) -> None:
        """Flush what was appended."""
        self._sink.flush()


@contextmanager
def open_writer(sink: Sink, *, header: str, facts: Mapping[str, Any]) -> Iterator[LineWriter]:  # noqa: ARG001
    """Yield a writer of rows as JSON lines."""
    yield JsonLinesWriter(sink)


def read_lines(path: Path) -> Iterator[tuple[str, Row | None]]:
    """Read rows, each with its line of CSV; first the CSV's header and None.

    Raises
    ------
    InputError
        If the file cannot be read, or a line is not a row; the message names the line.
    """
    yield HEADER, None
    try:
        with open_plain(path) as file:
            for number, line in enumerate(file, start=1):
                row = _to_row(line, where=f"{printable(path)}, line {number}")
                yield format_rows([row]), row
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error


def _to_row(line: bytes, *, where: str) -> Row:
    try:
        cells = to_cells(parse_json(line))
    except ValueError as error:
        raise InputError(f"{where}: {error}. Recreate the results with zipocr scan.") from error
    return from_cells(cells, where=where)
