"""The door to Parquet: rows as parts of a large run, and as results. Needs the extra ``parquet``.

The columns are those of the CSV. Text is written as the CSV writes it, so that a ZIP is text with its leading zeros and a file's name can
be got back; lists are lists, and what is not there is null.
"""

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
from pyarrow import parquet

from zipocr.atomic import WholeFile, written_whole
from zipocr.errors import InputError
from zipocr.results import COLUMNS, Row, from_cell, to_cell
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
_KEY = b"zipocr"
_COMPRESSION = "zstd"

Facts = Mapping[str, Any]


class RowWriter(Protocol):
    """What takes rows."""

    def write(self, rows: Iterable[Row]) -> None:
        """Take rows."""


def write_part(path: Path, rows: Iterable[Row], facts: Facts) -> None:
    """Write rows, whole or not at all, and JSON facts about them. The same rows and facts give the same bytes.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    table = _to_table(rows).replace_schema_metadata({_KEY: json.dumps(facts)})
    with written_whole(path) as stream:
        parquet.write_table(table, stream, compression=_COMPRESSION)


@contextmanager
def open_parquet(path: Path, facts: Facts) -> Iterator[RowWriter]:
    """Write very many rows, some at a time, to a file that appears when the block ends without an error.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    schema = SCHEMA.with_metadata({_KEY: json.dumps(facts)})
    with WholeFile(path) as file, parquet.ParquetWriter(_Stream(file), schema, compression=_COMPRESSION) as writer:
        yield _Rows(writer)


class _Rows:
    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def write(self, rows: Iterable[Row]) -> None:
        self._writer.write_table(_to_table(rows).cast(self._writer.schema))


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
    """Read the facts about the rows of a file; None if zipocr did not write it, or it is damaged."""
    try:
        facts = json.loads((parquet.read_schema(path).metadata or {})[_KEY])
    except (OSError, KeyError, ValueError):
        return None
    return facts if isinstance(facts, dict) else None


def read_rows(path: Path) -> Iterator[Row]:
    """Read rows back as they were written.

    Raises
    ------
    InputError
        If the file cannot be read or holds other rows.
    """
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches():
                yield from map(_from_values, batch.to_pylist())
    except (OSError, ValueError, TypeError, KeyError) as error:
        message = f"{to_cell(str(path))} cannot be read ({error}). Remove it, and scan again."
        raise InputError(message) from error


def _to_table(rows: Iterable[Row]) -> Any:
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for row in rows:
        for name, values in columns.items():
            value = getattr(row, name)
            values.append(value if name in _AS_IT_IS else to_cell(value))
    return pa.table(columns, schema=SCHEMA)


def _from_values(values: dict[str, Any]) -> Row:
    plain: dict[str, Any] = {name: value if name in _AS_IT_IS else from_cell(value) for name, value in values.items()}
    plain["status"] = Status(plain["status"])
    plain["reason"] = tuple(map(Reason, plain["reason"]))
    plain["digit_confidences"] = tuple(plain["digit_confidences"])
    return Row(**plain)
