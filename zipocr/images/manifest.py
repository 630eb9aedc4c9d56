"""The door to manifests: lists of the files to read, by path or URL, of any length. They are never in memory as a whole.

A manifest is a Parquet file with a column ``path`` (with the extra ``parquet``), CSV with such a
column, or a text of one path a line. Relative paths are meant from the manifest's own folder.
"""

import csv
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from zipocr.errors import InputError, ZipocrError
from zipocr.images.decode import ImageFile
from zipocr.images.s3 import is_url
from zipocr.storage.untrusted import open_plain

COLUMN = "path"
_PARQUET = b"PAR1"
_BATCH = 10_000
_SHOWN = 400  # letters of names that an error repeats


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest, what is in it, by its SHA-256, and how many files it names."""

    path: Path
    sha256: str
    count: int

    def files(self) -> Iterator[ImageFile]:
        """Read it from the beginning.

        Yields
        ------
        ImageFile
            Its name is the path or URL as it stands there.

        Raises
        ------
        InputError
            If it cannot be read, or a path is none.
        """
        folder = self.path.resolve().parent
        for entry in _entries(self.path):
            yield ImageFile(place=entry if is_url(entry) else str(folder / entry), name=entry)


def open_manifest(path: Path) -> Manifest:
    """Look through a manifest once, to know it again and to count.

    Raises
    ------
    InputError
        If it cannot be read, has no column ``path``, or a path is none; the message says where.
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
                message = f"{place} of the manifest {path} is no path."
                raise InputError(message)
            yield entry


def _from_text(path: Path) -> Iterator[tuple[str, str]]:
    """Lines, or cells of CSV, and where they stand.

    Empty lines do not count. Names of files may be any bytes.
    """
    with TextIOWrapper(
        open_plain(path), encoding="utf-8-sig", errors="surrogateescape", newline=""
    ) as file:
        first = next(csv.reader([file.readline()]), [])
        file.seek(0)
        if COLUMN in first:
            yield from _from_csv(file, first.index(COLUMN))
            return
        for number, line in enumerate(file, start=1):
            if entry := line.rstrip("\r\n"):
                yield f"Line {number}", entry


def _from_csv(file: TextIO, column: int) -> Iterator[tuple[str, str]]:
    lines = csv.reader(file, strict=True)
    next(lines)
    for cells in lines:
        if cells:
            yield f"Line {lines.line_num}", cells[column] if column < len(cells) else ""


def _from_parquet(path: Path) -> Iterator[tuple[str, str]]:
    from pyarrow import parquet

    with open_plain(path) as plain, parquet.ParquetFile(plain) as file:
        if COLUMN not in file.schema_arrow.names:
            there = ", ".join(file.schema_arrow.names)[:_SHOWN]
            message = f"The manifest {path} has no column {COLUMN!r}, but {there}."
            raise InputError(message)
        number = 0
        for batch in file.iter_batches(columns=[COLUMN], batch_size=_BATCH):
            for value in batch.column(0).to_pylist():
                number += 1
                yield f"Row {number}", value if isinstance(value, str) else ""


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"Cannot read the manifest {path}: {error.strerror or error}."
        raise InputError(message) from error
    except ImportError as error:
        message = "A manifest of Parquet is read after: pip install 'zipocr[parquet]'"
        raise InputError(message) from error
    except ZipocrError:
        raise
    except Exception as error:  # foreign bytes: pyarrow raises more than it says
        message = f"The manifest {path} is damaged: {error}."
        raise InputError(message) from error
