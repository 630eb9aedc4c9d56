"""Results as an SQLite database: a table ``pages`` with the columns of the CSV.

Lists are JSON. An existing database can be updated in one transaction, so that a concurrent reader
sees all of the change or nothing; other tables and views are kept.
"""

import csv
import io
import json
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from zipocr.errors import InputError, OutputError, printable
from zipocr.results.csv_file import HEADER, format_rows, from_cells
from zipocr.results.row import COLUMNS, FEWEST_COLUMNS, Row
from zipocr.results.sinks import LineWriter, Sink
from zipocr.results.values import Value, to_cells, to_values
from zipocr.storage.untrusted import open_plain

TABLE = "pages"
MAX_WAIT = 10.0
"""Seconds to wait for a database that another program has locked."""
_TYPES = {"page": "INTEGER", "confidence": "REAL", "runner_up_confidence": "REAL"}
_LISTS = frozenset({"reason", "digit_confidences", "box"})
_NAMES = ", ".join(COLUMNS)
_COLUMNS = ", ".join(f"{name} {_TYPES.get(name, 'TEXT')}" for name in COLUMNS)
_INSERT = f"INSERT INTO {{}} ({_NAMES}) VALUES ({', '.join('?' * len(COLUMNS))})"
_CHANGED = f"""
CREATE TEMP TABLE changed AS
SELECT file FROM (SELECT {_NAMES} FROM wanted EXCEPT SELECT {_NAMES} FROM {TABLE})
UNION
SELECT file FROM (SELECT {_NAMES} FROM {TABLE} EXCEPT SELECT {_NAMES} FROM wanted)
"""
_REMOVE = f"DELETE FROM {TABLE} WHERE file IN (SELECT file FROM changed)"
_ADD = f"""
INSERT INTO {TABLE} ({_NAMES})
SELECT {_NAMES} FROM wanted WHERE file IN (SELECT file FROM changed) ORDER BY rowid
"""


class SqliteWriter:
    """Writer of rows into a database."""

    def __init__(self, database: sqlite3.Connection, table: str = TABLE) -> None:
        self._database = database
        self._insert = _INSERT.format(table)

    def write_lines(self, text: str, /) -> None:
        """Append rows that `format_rows` wrote."""
        rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        self._database.executemany(self._insert, map(_to_record, rows))

    def flush(self) -> None:
        """Do nothing: the database appears when it is complete."""


def _to_record(cells: Sequence[str]) -> list[Value]:
    return [
        json.dumps(value) if isinstance(value, list) else value
        for value in to_values(cells).values()
    ]


@contextmanager
def open_writer(sink: Sink, *, header: str, facts: Mapping[str, Any]) -> Iterator[LineWriter]:  # noqa: ARG001
    """Collect rows in a database, and write it out when the block ends without an error."""
    with _scratch() as folder, _translated("a database"):
        path = folder / "results.sqlite"
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("PRAGMA synchronous = OFF")
            database.execute("BEGIN")
            database.execute(f"CREATE TABLE {TABLE} ({_COLUMNS})")
            yield SqliteWriter(database)
            database.execute(f"CREATE INDEX {TABLE}_file ON {TABLE} (file, page)")
            database.execute("COMMIT")
        with path.open("rb") as written:
            shutil.copyfileobj(written, sink)


@contextmanager
def _scratch() -> Iterator[Path]:
    """Create a temporary folder."""
    try:
        folder = TemporaryDirectory(prefix="zipocr-")
    except OSError as error:
        message = f"Cannot write a database: {error.strerror}. Set TMPDIR to a folder with room."
        raise OutputError(message) from error
    with folder as name:
        yield Path(name)


def update(path: Path, lines: Iterable[str]) -> bool:
    """Replace the rows of a database in one transaction.

    Unchanged rows are not touched.

    Parameters
    ----------
    path : Path
        The database.
    lines : iterable of str
        The rows of one file per item, as `format_rows` writes them.

    Returns
    -------
    bool
        False if there is no database with such a table.

    Raises
    ------
    OutputError
        If it cannot be written; it is then unchanged.
    """
    if not path.is_file():
        return False
    with _translated(printable(path)), closing(_connect(path, mode="rw")) as database:
        if not _has_table(database):
            return False
        database.execute(f"CREATE TEMP TABLE wanted ({_COLUMNS})")
        database.execute("BEGIN")
        wanted = SqliteWriter(database, "wanted")
        for text in lines:
            wanted.write_lines(text)
        for step in ("COMMIT", "BEGIN IMMEDIATE", _CHANGED, _REMOVE, _ADD, "COMMIT"):
            database.execute(step)
    return True


def _connect(path: Path, *, mode: str) -> sqlite3.Connection:
    """Open an existing database as untrusted."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    database = sqlite3.connect(uri, uri=True, timeout=MAX_WAIT, isolation_level=None)
    database.execute("PRAGMA trusted_schema = OFF")
    return database


def _has_table(database: sqlite3.Connection) -> bool:
    try:
        return set(COLUMNS) <= set(_columns_of(database))
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            return False
        raise


def _columns_of(database: sqlite3.Connection) -> list[str]:
    """Return the plain columns of the table; none if it is a view, which may run anything."""
    kinds = database.execute("SELECT type FROM sqlite_master WHERE name = ?", [TABLE]).fetchall()
    if kinds != [("table",)]:
        return []
    told = database.execute(f"PRAGMA table_xinfo({TABLE})").fetchall()
    return [name for _, name, *_, hidden in told if not hidden]


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        message = f"Cannot write {what}: {error}. End what uses it, or write to another file."
        raise OutputError(message) from error


def read_lines(path: Path) -> Iterator[tuple[str, Row | None]]:
    """Read rows, each with its line of CSV; first the CSV's header and None.

    Raises
    ------
    InputError
        If the file cannot be read, or has other rows; the message names the row.
    """
    yield HEADER, None
    try:
        open_plain(path).close()
        with closing(_connect(path, mode="ro")) as database:
            for row in _read_rows(database, shown=printable(path)):
                yield format_rows([row]), row
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    except sqlite3.Error as error:
        raise InputError(f"Cannot read {path}: {error}. Recreate it with zipocr scan.") from error


def _read_rows(database: sqlite3.Connection, *, shown: str) -> Iterator[Row]:
    names = [name for name in _columns_of(database) if name in COLUMNS]
    if len(names) < FEWEST_COLUMNS:
        message = (
            f"{shown} is not a results file: it has no table {TABLE} with the columns {_NAMES}."
        )
        raise InputError(message)
    for record in database.execute(f"SELECT {', '.join(names)} FROM {TABLE} ORDER BY rowid"):
        yield _to_row(dict(zip(names, record, strict=True)), shown=shown)


def _to_row(record: dict[str, Any], *, shown: str) -> Row:
    where = f"{shown}, page {record['page']!s:.20} of {record['file']!s:.200}"
    try:
        lists = {name: _parse(record[name]) for name in _LISTS & record.keys()}
        cells = to_cells({**record, **lists})
    except ValueError as error:
        raise InputError(f"{where}: {error}. Recreate the results with zipocr scan.") from error
    return from_cells(cells, where=where)


def _parse(text: object) -> object:
    """Parse a list; raise ValueError if it is nested too deeply."""
    try:
        return json.loads(text) if isinstance(text, str) else text
    except RecursionError:
        raise ValueError("nested too deep") from None
