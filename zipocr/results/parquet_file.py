"""Rows in Parquet files: parts of a large run, and results. Needs the extra ``parquet``.

The columns are those of the CSV. Text is escaped as in the CSV, so that a ZIP keeps its leading
zeros and any file name can be restored; lists are lists, and missing values are null.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from zipocr.errors import InputError
from zipocr.results.csv_file import HEADER, format_rows, from_cells
from zipocr.results.csv_file import to_cells as row_to_cells
from zipocr.results.row import COLUMNS, FEWEST_COLUMNS, Row
from zipocr.results.sinks import LineWriter, Sink
from zipocr.results.values import to_cells, to_values
from zipocr.storage.atomic import written_whole
from zipocr.storage.untrusted import open_plain, parse_json

_TYPES = {
    "page": pa.int32(),
    "confidence": pa.float64(),
    "reason": pa.list_(pa.string()),
    "digit_confidences": pa.list_(pa.float64()),
    "runner_up_confidence": pa.float64(),
    "box": pa.list_(pa.int32()),
}
SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in COLUMNS])
_KEY, _CHECK = b"zipocr", b"zipocr_sha256"
ROWS = "rows"
"""Key of the number of rows and their checksum."""
GROUP = 10_000
"""Rows per row group."""
_COMPRESSION = "zstd"

Metadata = Mapping[str, Any]


def write_part(path: Path, rows: Iterable[Row], facts: Metadata) -> None:
    """Write rows and JSON facts about them, atomically.

    Equal rows and facts give equal bytes.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    table = _to_table(map(row_to_cells, rows))
    digest = RowDigest()
    digest.update(table.to_pylist())
    with written_whole(path) as stream:
        parquet.write_table(
            table.replace_schema_metadata(_metadata(facts, digest)),
            stream,
            compression=_COMPRESSION,
        )


class RowDigest:
    """The number of rows and a checksum of their contents."""

    def __init__(self) -> None:
        self.count = 0
        self._sha256 = hashlib.sha256()

    def update(self, rows: list[dict[str, Any]]) -> None:
        """Add rows as pyarrow yields them."""
        self.count += len(rows)
        for row in rows:
            self._sha256.update(json.dumps(row).encode() + b"\n")

    def check(self, facts: object) -> None:
        """Compare with the facts of a file.

        Raises
        ------
        ValueError
            If they differ.
        """
        if facts != self.facts():
            raise ValueError("its rows were changed")

    def facts(self) -> dict[str, object]:
        """Return the number and the checksum as facts."""
        return {"count": self.count, "sha256": self._sha256.hexdigest()}


def _metadata(facts: Metadata, digest: RowDigest) -> dict[bytes, bytes]:
    text = json.dumps({**facts, ROWS: digest.facts()}).encode()
    return {_KEY: text, _CHECK: hashlib.sha256(text).hexdigest().encode()}


@contextmanager
def open_writer(sink: Sink, *, header: str, facts: Metadata) -> Iterator[LineWriter]:  # noqa: ARG001
    """Write rows in groups; the facts and a checksum of the rows come last."""
    stream = _Stream(sink)
    with parquet.ParquetWriter(stream, SCHEMA, compression=_COMPRESSION) as writer:
        rows = _Rows(writer)
        yield rows
        rows.write_pending()
        writer.add_key_value_metadata(_metadata(facts, rows.digest))


class _Rows:
    """Writer that collects rows into large row groups, since small ones are slow to read."""

    def __init__(self, writer: Any) -> None:
        self.digest = RowDigest()
        self._writer = writer
        self._pending: list[list[str]] = []

    def write_lines(self, text: str, /) -> None:
        self._pending.extend(csv.reader(io.StringIO(text, newline=""), strict=True))
        if len(self._pending) >= GROUP:
            self.write_pending()

    def flush(self) -> None:
        """Do nothing: the file appears when it is complete."""

    def write_pending(self) -> None:
        table = _to_table(self._pending)
        self._pending.clear()
        self.digest.update(table.to_pylist())
        self._writer.write_table(table)


class _Stream(io.RawIOBase):
    """An output file with the interface that pyarrow expects."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        written = bytes(data)
        self._sink.write(written)
        self._written += len(written)
        return len(written)

    def tell(self) -> int:
        return self._written


def read_facts(path: Path) -> dict[str, Any] | None:
    """Read the facts about a file's rows; None if zipocr did not write it or it is damaged.

    ``rows`` has their number and checksum.
    """
    try:
        with open_plain(path) as plain, parquet.ParquetFile(plain) as file:
            return _checked_facts(file)
    except Exception:  # noqa: BLE001 - untrusted bytes: pyarrow raises undocumented errors
        return None


def _checked_facts(file: Any) -> dict[str, Any]:
    """Return the facts of an open file, whose columns must be those of some version."""
    count = len(file.schema_arrow)
    if count < FEWEST_COLUMNS or not file.schema_arrow.equals(pa.schema(list(SCHEMA)[:count])):
        raise ValueError("it has other columns")
    metadata = file.metadata.metadata or {}
    if _KEY not in metadata:
        raise ValueError("zipocr did not write it")
    text = metadata[_KEY]
    if hashlib.sha256(text).hexdigest().encode() != metadata.get(_CHECK):
        raise ValueError("what it says of its rows was changed")
    return parse_json(text)


def read_rows(path: Path) -> Iterator[Row]:
    """Read rows as they were written.

    Raises
    ------
    InputError
        If the file cannot be read, or its rows were changed; the rows yielded before are then
        invalid.
    """
    try:
        with open_plain(path) as plain, parquet.ParquetFile(plain) as file:
            facts, digest = _checked_facts(file), RowDigest()
            for batch in file.iter_batches():
                values = batch.to_pylist()
                digest.update(values)
                yield from map(_to_row, values)
        digest.check(facts[ROWS])
    except Exception as error:  # as above
        message = f"{path} cannot be read ({error}). Remove it, and scan again."
        raise InputError(message) from error


def read_lines(path: Path) -> Iterator[tuple[str, Row | None]]:
    """Read rows, each with its line of CSV; first the CSV's header and None.

    Raises
    ------
    InputError
        As `read_rows`.
    """
    yield HEADER, None
    for row in read_rows(path):
        yield format_rows([row]), row


def _to_row(values: dict[str, Any]) -> Row:
    return from_cells(to_cells(values), where="a row")


def _to_table(rows: Iterable[Sequence[str]]) -> Any:
    """Make a table of rows given as cells."""
    return pa.Table.from_pylist(list(map(to_values, rows)), schema=SCHEMA)
