"""Manifests: lists of files to read, by path or URL, streamed.

A manifest is a Parquet file with a column ``path`` or ``file`` (needs the extra ``parquet``), CSV
with such a column, or text with one path per line. Relative paths are relative to the manifest's
folder. Names in a column ``file`` are escaped as in results.
"""

import csv
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from zipocr.errors import InputError, ZipocrError
from zipocr.images.listing import ImageFile
from zipocr.images.s3 import is_url
from zipocr.results.cells import from_cell
from zipocr.storage.untrusted import open_plain

PATH, FILE = "path", "file"
_PARQUET = b"PAR1"
_BATCH = 10_000
_SHOWN = 400  # characters of names shown in an error


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest, the SHA-256 of its contents, and its number of files."""

    path: Path
    sha256: str
    count: int

    def files(self) -> Iterator[ImageFile]:
        """Read the manifest from the beginning.

        Yields
        ------
        ImageFile
            Named by the path or URL as written.

        Raises
        ------
        InputError
            If it cannot be read, or has an invalid path.
        """
        folder = self.path.resolve().parent
        for entry in _entries(self.path):
            yield ImageFile(place=entry if is_url(entry) else str(folder / entry), name=entry)


def open_manifest(path: Path) -> Manifest:
    """Read a manifest once, for its digest and count.

    Raises
    ------
    InputError
        If it cannot be read, has neither column, or has an invalid path; the message says where.
    """
    with _translated(path):
        with open_plain(path) as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return Manifest(path=path, sha256=sha256, count=sum(1 for _ in _entries(path)))


def _entries(path: Path) -> Iterator[str]:
    with _translated(path):
        with open_plain(path) as file:
            is_parquet = file.read(len(_PARQUET)) == _PARQUET
        for place, entry in _from_parquet(path) if is_parquet else _from_text(path):
            if not entry or "\0" in entry:
                message = f"{place} of the manifest {path} is not a path."
                raise InputError(message)
            yield entry


def _from_text(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the positions and texts of lines or CSV cells, without empty lines.

    File names may contain any bytes.
    """
    plain = open_plain(path)
    with TextIOWrapper(plain, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        line = file.readline().rstrip("\r\n")
        header = next(csv.reader([line]), [])
        file.seek(0)
        if (column := _column(header)) is not None:
            yield from _from_csv(file, header, column)
            return
        _refuse_header(line, path)
        for number, entry in enumerate(file, start=1):
            if found := entry.rstrip("\r\n"):
                yield f"Line {number}", found


def _column(names: Sequence[str]) -> int | None:
    """Return the index of the column of file names; None if there is none."""
    lowered = [name.strip().lower() for name in names]
    return next((lowered.index(name) for name in (PATH, FILE) if name in lowered), None)


def _refuse_header(line: str, path: Path) -> None:
    """Refuse a first line with other column names, which would count as a missing file."""
    if not line or any(mark in line for mark in "./\\") or "\0" in line:
        return
    if not os.path.lexists(path.resolve().parent / line):
        message = f"The manifest {path} begins with {line[:_SHOWN]!r}, which is not a file."
        cure = f"If it is a header, name the column of the files {PATH} or {FILE}."
        raise InputError(f"{message} {cure}")


def _from_csv(file: TextIO, header: Sequence[str], column: int) -> Iterator[tuple[str, str]]:
    lines, read = csv.reader(file, strict=True), _reader_of(header[column])
    next(lines)
    for cells in lines:
        if cells:
            yield f"Line {lines.line_num}", read(cells[column]) if column < len(cells) else ""


def _reader_of(column: str) -> Callable[[str], str]:
    """Return the function that restores a name from a cell of a column."""
    return from_cell if column.strip().lower() == FILE else str


def _from_parquet(path: Path) -> Iterator[tuple[str, str]]:
    from pyarrow import parquet

    with open_plain(path) as plain, parquet.ParquetFile(plain) as file:
        names = file.schema_arrow.names
        if (column := _column(names)) is None:
            there = ", ".join(names)[:_SHOWN]
            message = f"The manifest {path} has no column {PATH!r} or {FILE!r}, but {there}."
            raise InputError(message)
        number, read = 0, _reader_of(names[column])
        for batch in file.iter_batches(columns=[names[column]], batch_size=_BATCH):
            for value in batch.column(0).to_pylist():
                number += 1
                yield f"Row {number}", read(value) if isinstance(value, str) else ""


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"Cannot read the manifest {path}: {error.strerror or error}."
        raise InputError(message) from error
    except ImportError as error:
        message = "A Parquet manifest needs an extra: pip install 'zipocr[parquet]'"
        raise InputError(message) from error
    except ZipocrError:
        raise
    except Exception as error:  # untrusted bytes: pyarrow raises undocumented errors
        message = f"The manifest {path} is damaged: {error}."
        raise InputError(message) from error
