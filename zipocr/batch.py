"""Files in, outcomes out: reads every page of every file through a backend, in order.

It knows no command line and no terminal. Trouble with one file is part of its outcome; only trouble with the model, the workers or the
output ends a batch.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

from zipocr.backends import Backend
from zipocr.images import ImageFile, read_pages, silence_decoders, write_png
from zipocr.results import Row, to_row
from zipocr.types import GrayImage, Model, Place, Reason, Trace, Unread, ZipReading

FAILURES = frozenset({Reason.TOO_LARGE, Reason.UNREADABLE_FILE, Reason.NEEDS_PDF_EXTRA, Reason.NEEDS_HEIF_EXTRA})
_SHEET_NAME_LENGTH = 80


class PageReader(Protocol):
    """What a batch asks of a reader."""

    def read(self, page: GrayImage) -> ZipReading | Unread:
        """Read a page."""

    def trace(self, page: GrayImage) -> Trace:
        """Read a page and keep every step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """What the reading processes need to know; plain values, so that it can be sent to them.

    ``min_confidence`` None takes the model's threshold for ``max_error``; ``directory`` is the user's own list of ZIPs, None the packaged
    one; ``debug`` is the folder for the debug pictures.
    """

    model: str
    max_error: float
    min_confidence: float | None
    use_directory: bool
    directory: Mapping[str, Place] | None
    max_pixels: int
    debug: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one file: a row for each page, and a sentence for each page that could not be opened."""

    rows: tuple[Row, ...]
    failures: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReader:
    """Reads all pages of one file after the other; a process makes one and keeps it."""

    reader: PageReader
    min_confidence: float
    max_pixels: int
    debug: Path | None = None

    def __call__(self, file: ImageFile) -> Outcome:
        """Read a file.

        Parameters
        ----------
        file : ImageFile
            Where it lies, and its name in the rows.

        Returns
        -------
        Outcome
            With at least one row.
        """
        rows: list[Row] = []
        failures: list[str] = []
        for number, page in enumerate(read_pages(file.path, max_pixels=self.max_pixels), start=1):
            reading = page if isinstance(page, Unread) else self._read(page, file.name, number)
            if isinstance(reading, Unread) and reading.reason in FAILURES:
                failures.append(reading.detail or reading.reason)
            rows.append(to_row(file.name, number, reading, min_confidence=self.min_confidence))
        return Outcome(rows=tuple(rows), failures=tuple(failures))

    def _read(self, page: GrayImage, name: str, number: int) -> ZipReading | Unread:
        """Read, and draw from the very trace that gave the answer."""
        if self.debug is None:
            return self.reader.read(page)
        from zipocr.draw import draw_sheet

        trace = self.reader.trace(page)
        write_png(self.debug / sheet_name(name, number), draw_sheet(trace, title=f"{name}  page {number}"))
        return trace.reading


def sheet_name(name: str, page: int) -> str:
    """Name the debug picture of a page.

    Parameters
    ----------
    name : str
        Name of the file in the rows.
    page : int
        Number of the page, from 1.

    Returns
    -------
    str
        A plain ASCII file name, readable at its front, told apart at its end by a hash of the whole name: also where long names are cut or
        a file system does not distinguish upper and lower case.
    """
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", name.replace("/", "__")).lstrip(".-")[:_SHEET_NAME_LENGTH]
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    return f"{readable}-p{page}-{digest}.png"


def start_reading(settings: BatchSettings) -> FileReader:
    """Load the model and make this process ready to read: the way every process of a batch begins.

    Parameters
    ----------
    settings : BatchSettings
        What to read with.

    Returns
    -------
    FileReader
        The function that reads a file.

    Raises
    ------
    ModelError
        If the model cannot be used or cannot promise so few errors.
    """
    from zipocr.model_file import load_model
    from zipocr.reader import Reader

    model = load_model(settings.model)
    use_one_thread()
    return FileReader(
        reader=Reader(model, use_directory=settings.use_directory, directory=settings.directory),
        min_confidence=least_confidence(model, settings),
        max_pixels=settings.max_pixels,
        debug=settings.debug,
    )


def least_confidence(model: Model, settings: BatchSettings) -> float:
    """Confidence from which a ZIP counts as read: the one given, or the model's own for the error that is allowed.

    Raises
    ------
    ModelError
        If the model cannot promise so few errors.
    """
    from zipocr.decode.acceptance import acceptance_threshold

    if settings.min_confidence is not None:
        return settings.min_confidence
    return acceptance_threshold(model, settings.max_error, use_directory=settings.use_directory)


def use_one_thread() -> None:
    """Bind this process's numerical libraries to one thread each, and keep the decoders quiet.

    The processes of a batch share the cores already; and sums that are split over threads may differ in their last digits, so that
    rows would depend on the machine. Only libraries already loaded can be bound: import first.
    """
    import cv2
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    cv2.setNumThreads(1)
    silence_decoders()


def read_files(files: Iterable[ImageFile], settings: BatchSettings, *, backend: Backend) -> Iterator[Outcome]:
    """Read files through a backend.

    Parameters
    ----------
    files : iterable of ImageFile
        What to read.
    settings : BatchSettings
        What to read with.
    backend : Backend
        What distributes the work.

    Yields
    ------
    Outcome
        One for each file, in their order, whatever the backend.

    Raises
    ------
    ModelError
        If the model cannot be used.
    OutputError
        If a debug picture cannot be written.
    BackendError
        If the workers fail.
    """
    start: Callable[[], FileReader] = partial(start_reading, settings)
    yield from backend.map(start, files)
