"""The door to Parquet: rows as parts of a large run, and as results. Needs the extra ``parquet``.

The columns are those of the CSV. Text is written as the CSV writes it, so that a ZIP is text with
its leading zeros and a file's name can be got back; lists are lists, and what is not there is null.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
from pyarrow import parquet

from zipocr.errors import InputError
from zipocr.results.csv_file import COLUMNS, Row, check_row, from_cell, to_cell
from zipocr.storage.atomic import WholeFile, written_whole
from zipocr.storage.untrusted import open_plain, parse_json
from zipocr.types import Reason, Status

_TYPES = {
    "page": pa.int32(),
    "confidence": pa.float64(),
    "reason": pa.list_(pa.string()),
    "digit_confidences": pa.list_(pa.float64()),
    "runner_up_confidence": pa.float64(),
}
_AS_IT_IS = frozenset(_TYPES) | {"status"}
SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in COLUMNS])
_MAY_BE_NULL = frozenset({"confidence", "runner_up_confidence"})
_KEY, _CHECK = b"zipocr", b"zipocr_sha256"
ROWS = "rows"
"""The fact that holds the number of rows and their checksum."""
_COMPRESSION = "zstd"

Metadata = Mapping[str, Any]


class RowWriter(Protocol):
    """What takes rows."""

    def write(self, rows: Iterable[Row]) -> None:
        """Take rows."""


def write_part(path: Path, rows: Iterable[Row], facts: Metadata) -> None:
    """Write rows, whole or not at all, and JSON facts about them. The same rows and facts give the same bytes.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    table = _to_table(rows)
    digest = RowDigest()
    digest.update(table.to_pylist())
    with written_whole(path) as stream:
        parquet.write_table(
            table.replace_schema_metadata(_metadata(facts, digest)),
            stream,
            compression=_COMPRESSION,
        )


class RowDigest:
    """Number of rows, and a checksum of their contents."""

    def __init__(self) -> None:
        self.count = 0
        self._sha256 = hashlib.sha256()

    def update(self, rows: list[dict[str, Any]]) -> None:
        """Add rows as pyarrow gives them."""
        self.count += len(rows)
        for row in rows:
            self._sha256.update(json.dumps(row).encode() + b"\n")

    def check(self, facts: object) -> None:
        """Compare with what was told.

        Raises
        ------
        ValueError
            If it is not the same.
        """
        if facts != self.facts():
            raise ValueError("its rows were changed")

    def facts(self) -> dict[str, object]:
        """Tell both."""
        return {"count": self.count, "sha256": self._sha256.hexdigest()}


def _metadata(facts: Metadata, digest: RowDigest) -> dict[bytes, bytes]:
    text = json.dumps({**facts, ROWS: digest.facts()}).encode()
    return {_KEY: text, _CHECK: hashlib.sha256(text).hexdigest().encode()}


@contextmanager
def open_parquet(path: Path, facts: Metadata, *, force: bool = True) -> Iterator[RowWriter]:
    """Write very many rows, some at a time, to a file that appears when the block ends without an error.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    with (
        WholeFile(path, force=force) as file,
        parquet.ParquetWriter(_Stream(file), SCHEMA, compression=_COMPRESSION) as writer,
    ):
        rows = _Rows(writer)
        yield rows
        writer.add_key_value_metadata(_metadata(facts, rows.digest))


class _Rows:
    def __init__(self, writer: Any) -> None:
        self.digest = RowDigest()
        self._writer = writer

    def write(self, rows: Iterable[Row]) -> None:
        table = _to_table(rows)
        self.digest.update(table.to_pylist())
        self._writer.write_table(table)


class _Stream(io.RawIOBase):
    """A file to write as pyarrow wants to see it."""

    def __init__(self, file: WholeFile) -> None:
        self._file = file
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        written = bytes(data)
        self._file.write(written)
        self._written += len(written)
        return len(written)

    def tell(self) -> int:
        return self._written


def read_facts(path: Path) -> dict[str, Any] | None:
    """Read the facts about the rows of a file; None if zipocr did not write it, or it is damaged.

    ``rows`` says how many there are, and their checksum.
    """
    try:
        with open_plain(path) as plain, parquet.ParquetFile(plain) as file:
            return _checked_facts(file)
    except Exception:  # noqa: BLE001 - foreign bytes: pyarrow raises more than it says
        return None


def _checked_facts(file: Any) -> dict[str, Any]:
    """Take the facts out of an open file, whose columns must be those of rows."""
    if not file.schema_arrow.equals(SCHEMA):
        raise ValueError("it has other columns")
    metadata = file.metadata.metadata or {}
    if _KEY not in metadata:
        raise ValueError("zipocr did not write it")
    text = metadata[_KEY]
    if hashlib.sha256(text).hexdigest().encode() != metadata.get(_CHECK):
        raise ValueError("what it says of its rows was changed")
    return parse_json(text)


def read_rows(path: Path) -> Iterator[Row]:
    """Read rows back as they were written.

    Raises
    ------
    InputError
        If the file cannot be read, holds other rows, or rows that were changed; what came before
        that is not to be used.
    """
    try:
        with open_plain(path) as plain, parquet.ParquetFile(plain) as file:
            facts, digest = _checked_facts(file), RowDigest()
            for batch in file.iter_batches():
                values = batch.to_pylist()
                digest.update(values)
                yield from map(_from_values, values)
        digest.check(facts[ROWS])
    except Exception as error:  # as above
        message = f"{path} cannot be read ({error}). Remove it, and scan again."
        raise InputError(message) from error


def _to_table(rows: Iterable[Row]) -> Any:
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for row in rows:
        for name, values in columns.items():
            value = getattr(row, name)
            values.append(value if name in _AS_IT_IS else to_cell(value))
    return pa.table(columns, schema=SCHEMA)


def _from_values(values: dict[str, Any]) -> Row:
    empty = [name for name, value in values.items() if value is None and name not in _MAY_BE_NULL]
    if empty or None in values["reason"] or None in values["digit_confidences"]:
        message = f"nothing where {empty[0] if empty else 'a value of a list'} should be"
        raise ValueError(message)
    plain: dict[str, Any] = {
        name: value if name in _AS_IT_IS else from_cell(value) for name, value in values.items()
    }
    plain["status"] = Status(plain["status"])
    plain["reason"] = tuple(map(Reason, plain["reason"]))
    plain["digit_confidences"] = tuple(plain["digit_confidences"])
    row = Row(**plain)
    check_row(row)
    return row
