"""Reading every page of every file through a backend, in order.

Errors of one file are part of its result; only errors of the model, the workers or the output end a
batch.
"""

import re
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from itertools import count
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from zipocr.batch.backends import Backend, Loss, LossKind
from zipocr.errors import ModelError, ZipocrError
from zipocr.images.decode import read_pages, silence_decoders
from zipocr.images.encode import write_png
from zipocr.images.listing import ImageFile, stamped
from zipocr.images.s3 import PATIENCE, Url
from zipocr.results.csv_file import format_rows, parse_rows
from zipocr.results.row import Row, to_row, unread_row
from zipocr.types import GrayImage, Model, Place, Reason, Trace, Unread, ZipReading

if TYPE_CHECKING:
    from zipocr.mail_reader import MailReader

T = TypeVar("T")

FAILURES = frozenset(
    {
        Reason.TOO_LARGE,
        Reason.UNREADABLE_FILE,
        Reason.NEEDS_PDF_EXTRA,
        Reason.NEEDS_HEIF_EXTRA,
        Reason.TIMEOUT,
        Reason.OUT_OF_MEMORY,
        Reason.WORKER_DIED,
        Reason.PROGRAM_ERROR,
    }
)
FAILED = "failed"
"""Counter key for pages that could not be opened; other pages are counted by their status."""

LOSSES = {
    LossKind.TIMEOUT: Reason.TIMEOUT,
    LossKind.OUT_OF_MEMORY: Reason.OUT_OF_MEMORY,
    LossKind.DIED: Reason.WORKER_DIED,
}
_SHEET_NAME_LENGTH = 80
# Maximum number, total pixels and decoding seconds of pages read together. The scheduler gets no
# message in the meantime, and would mistake slow files for one that hangs.
AT_ONCE, PIXELS_AT_ONCE, SECONDS_AT_ONCE = 16, 2_000_000, 0.25


class PageReader(Protocol):
    """The interface of a reader in a batch."""

    def read(self, page: GrayImage) -> ZipReading | Unread:
        """Read a page."""

    def read_each(self, pages: Sequence[GrayImage]) -> Sequence[ZipReading | Unread]:
        """Read several pages as `read` does, but faster."""

    def trace(self, page: GrayImage) -> Trace:
        """Read a page and return every step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """The settings of the reading processes; plain values, so that they can be sent to them.

    If ``min_confidence`` is None, the model's threshold for ``max_error`` applies. ``directory`` is
    the user's own list of ZIP codes, or None for the packaged one. ``debug`` is the folder for
    debug pictures. ``patience`` is the time limit for fetching a file from S3, in seconds. With
    ``require_listed``, a ZIP that is not in the directory never counts as read.
    """

    model: str
    max_error: float
    min_confidence: float | None
    use_directory: bool
    directory: Mapping[str, Place] | None
    max_pixels: int
    debug: Path | None
    patience: float = PATIENCE
    require_listed: bool = False


@dataclass(frozen=True, kw_only=True)
class FileResult:
    """The result of a file or some of its pages: a status per page, a message per failure.

    ``lines`` are its rows as CSV, formatted in the worker to relieve the one process that collects
    all results. Without slots, unpickling takes less than half the time.
    """

    lines: str
    counts: tuple[str, ...]
    failures: tuple[str, ...]

    @classmethod
    def of(cls, rows: Iterable[Row], failures: Iterable[str] = ()) -> Self:
        """Make a result from rows."""
        rows = tuple(rows)
        counts = tuple(
            FAILED if FAILURES.intersection(row.reason) else row.status.value for row in rows
        )
        return cls(lines=format_rows(rows), counts=counts, failures=tuple(failures))

    @property
    def rows(self) -> tuple[Row, ...]:
        """One row per page, parsed from the lines."""
        return tuple(parse_rows(self.lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReader:
    """Reader of all pages of a file; each process makes its own."""

    reader: PageReader
    min_confidence: float
    max_pixels: int
    debug: Path | None = None
    patience: float = PATIENCE
    require_listed: bool = False

    def __call__(self, file: ImageFile) -> FileResult:
        """Read a file.

        Parameters
        ----------
        file : ImageFile
            Its path, and its name in the rows.

        Returns
        -------
        FileResult
            With at least one row.
        """
        return join_results(self.steps(file))

    def steps(
        self, task: ImageFile, *, first: int = 1, begin: Callable[[], None] = lambda: None
    ) -> Iterator[FileResult]:
        """Read a file page by page.

        Parameters
        ----------
        task : ImageFile
            Its path, and its name in the rows.
        first : int
            First page to read.
        begin : callable
            Called before each page, once the page is known to exist.

        Yields
        ------
        FileResult
            One per page.
        """
        for number, page in self._pages(task, first=first, begin=begin):
            reading = page if isinstance(page, Unread) else self._reading(task, number, page)
            yield self._to_result(task, number, reading)

    @property
    def at_once(self) -> int:
        """Number of files to read together; pages to be drawn are read one by one."""
        return AT_ONCE if self.debug is None else 1

    def together(self, tasks: Sequence[ImageFile]) -> Iterator[list[tuple[int, FileResult]]]:
        """Read files as `steps` does, several pages at once.

        Parameters
        ----------
        tasks : sequence of ImageFile

        Yields
        ------
        list of (int, FileResult)
            For all pages read at once, the index of the file among the tasks and the result of the
            page.
        """
        for some in _batches(self._pages_of(tasks)):
            known = self._read_each([page for *_, page in some if not isinstance(page, Unread)])
            outcomes = self._outcomes(tasks, some, known)
            yield from [list(outcomes)] if known else ([one] for one in outcomes)
            # Free the memory of these pages for the next ones.
            some.clear()

    def _outcomes(
        self,
        tasks: Sequence[ImageFile],
        some: Sequence[tuple[int, int, GrayImage | Unread]],
        known: Iterator[ZipReading | Unread] | None,
    ) -> Iterator[tuple[int, FileResult]]:
        """Yield the results of pages; those not known yet are read one by one."""
        for place, number, page in some:
            reading = (
                page
                if isinstance(page, Unread)
                else next(known)
                if known
                else self._reading(tasks[place], number, page)
            )
            yield place, self._to_result(tasks[place], number, reading)

    def _pages_of(
        self, tasks: Sequence[ImageFile]
    ) -> Iterator[tuple[int, int, GrayImage | Unread]]:
        for place, task in enumerate(tasks):
            yield from ((place, number, page) for number, page in self._pages(task))

    def _pages(
        self, task: ImageFile, *, first: int = 1, begin: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[int, GrayImage | Unread]]:
        """Decode the pages of a file one at a time, with their numbers."""
        path = task.path
        if isinstance(path, Url):
            path = replace(path, patience=self.patience)
        pages = read_pages(path, max_pixels=self.max_pixels, first=first, begin=begin)
        for number in count(first):
            page = _attempt(partial(next, pages, None))
            if page is None:
                return
            yield number, page

    def _read_each(self, pages: Sequence[GrayImage]) -> Iterator[ZipReading | Unread] | None:
        """Read several pages at once.

        Return None if each must be read alone: to be drawn, or to attribute an error to one page.
        """
        found = None if self.debug else _attempt(partial(self.reader.read_each, pages))
        return None if found is None or isinstance(found, Unread) else iter(found)

    def _reading(self, file: ImageFile, number: int, page: GrayImage) -> ZipReading | Unread:
        return _attempt(partial(self._read, page, file.name, number))

    def _to_result(self, file: ImageFile, number: int, reading: ZipReading | Unread) -> FileResult:
        failures = (
            (reading.detail or reading.reason,)
            if isinstance(reading, Unread) and reading.reason in FAILURES
            else ()
        )
        row = to_row(
            file.name,
            number,
            reading,
            min_confidence=self.min_confidence,
            require_listed=self.require_listed,
        )
        return FileResult.of([row], failures)

    def _read(self, page: GrayImage, name: str, number: int) -> ZipReading | Unread:
        """Read a page, and draw it from the same trace."""
        if self.debug is None:
            return self.reader.read(page)
        from zipocr.drawing.debug_sheet import draw_sheet

        trace = self.reader.trace(page)
        write_png(
            self.debug / sheet_name(name, number), draw_sheet(trace, title=f"{name}  page {number}")
        )
        return trace.reading


def _batches(
    pages: Iterable[tuple[int, int, GrayImage | Unread]],
) -> Iterator[list[tuple[int, int, GrayImage | Unread]]]:
    """Group pages to read at once."""
    some, size, began = [], 0, monotonic()
    for one in pages:
        some.append(one)
        size += 0 if isinstance(one[2], Unread) else one[2].size
        del one
        if len(some) == AT_ONCE or size >= PIXELS_AT_ONCE or monotonic() - began >= SECONDS_AT_ONCE:
            yield some
            some, size, began = [], 0, monotonic()
    if some:
        yield some


def _attempt(work: Callable[[], T]) -> T | Unread:
    """Contain the failure of a page; only errors that a user can fix end the batch."""
    try:
        return work()
    except ZipocrError:
        raise
    except MemoryError:
        return Unread(reason=Reason.OUT_OF_MEMORY, detail="not enough memory to read it")
    except Exception as error:  # noqa: BLE001 - a bug costs one page, not the batch
        place = traceback.extract_tb(error.__traceback__)[-1]
        return Unread(
            reason=Reason.PROGRAM_ERROR,
            detail=f"{error!r} at {Path(place.filename).name}:{place.lineno}; please report it",
        )


def _lost_page(file: ImageFile, number: int, loss: Loss) -> FileResult:
    """Make the result of a page whose process hung or died."""
    return FileResult.of([unread_row(file.name, number, LOSSES[loss.kind])], [loss.detail])


def join_results(outcomes: Iterable[FileResult]) -> FileResult:
    """Join the results of pages."""
    parts = tuple(outcomes)
    if len(parts) == 1:
        return parts[0]
    return FileResult(
        lines="".join(part.lines for part in parts),
        counts=tuple(count for part in parts for count in part.counts),
        failures=tuple(text for part in parts for text in part.failures),
    )


def sheet_name(name: str, page: int) -> str:
    """Return the file name of the debug picture of a page.

    Parameters
    ----------
    name : str
        Name of the file in the rows.
    page : int
        Number of the page, from 1.

    Returns
    -------
    str
        An ASCII file name: a readable start, and a hash of the full name at the end. It is unique
        even if long names are cut or the file system ignores case.
    """
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", name.replace("/", "__")).lstrip(".-")[
        :_SHEET_NAME_LENGTH
    ]
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    return f"{readable}-p{page}-{digest}.png"


def start_reading(settings: BatchSettings) -> FileReader:
    """Load the model and prepare this process for reading, as every process of a batch does.

    Parameters
    ----------
    settings : BatchSettings
        Settings of the reading processes.

    Returns
    -------
    FileReader
        The function that reads a file.

    Raises
    ------
    ModelError
        If the model cannot be used or cannot promise the error rate.
    """
    from zipocr.models.model_file import load_model

    model = load_model(settings.model)
    threshold = confidence_threshold(model, settings)
    use_one_thread()
    reader = make_reader(
        model, settings.model, use_directory=settings.use_directory, directory=settings.directory
    )
    return FileReader(
        reader=reader,
        min_confidence=threshold,
        max_pixels=settings.max_pixels,
        debug=settings.debug,
        patience=settings.patience,
        require_listed=settings.require_listed,
    )


def make_reader(
    model: Model, name: str, *, use_directory: bool, directory: Mapping[str, Place] | None
) -> "MailReader":
    """Make the reader for a model, given the name it was loaded by.

    Raises
    ------
    ModelError
        If the parts of the model do not fit together.
    """
    from zipocr.mail_reader import MailReader

    try:
        return MailReader(model, use_directory=use_directory, directory=directory)
    except (ValueError, IndexError, TypeError) as error:
        message = (
            f"The parts of the model {name} do not fit together ({error}); remake it with 'zipocr "
            "train'"
        )
        raise ModelError(message) from error


def confidence_threshold(model: Model, settings: BatchSettings) -> float:
    """Return the confidence threshold: the one given, or the model's for the error rate.

    Raises
    ------
    ModelError
        If the model cannot promise the error rate.
    """
    from zipocr.decode.acceptance import acceptance_threshold

    if settings.min_confidence is not None:
        return settings.min_confidence
    return acceptance_threshold(model, settings.max_error, use_directory=settings.use_directory)


def use_one_thread() -> None:
    """Limit this process's numerical libraries to one thread, and silence the decoders.

    The processes of a batch share the cores already, and sums split over threads may differ in the
    last digits, so that rows would depend on the machine. Only libraries already loaded can be
    limited, so import them first.
    """
    import cv2
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    cv2.setNumThreads(1)
    silence_decoders()


def read_files(
    files: Iterable[ImageFile], settings: BatchSettings, *, backend: Backend
) -> Generator[FileResult, None, None]:
    """Read files through a backend.

    Parameters
    ----------
    files : iterable of ImageFile
        The files to read.
    settings : BatchSettings
        Settings of the reading processes.
    backend : Backend
        The backend that distributes the work.

    Yields
    ------
    FileResult
        One for each file, in order, on every backend.

    Raises
    ------
    ModelError
        If the model cannot be used.
    OutputError
        If a debug picture cannot be written.
    BackendError
        If workers cannot be started.
    """
    start: Callable[[], FileReader] = partial(start_reading, settings)
    yield from map(join_results, backend.map(start, files, lost=_lost_page))


def read_stamped(
    files: Iterable[ImageFile],
    settings: BatchSettings,
    *,
    backend: Backend,
) -> Generator[tuple[str, FileResult], None, None]:
    """Read files as `read_files` does.

    Yields
    ------
    str and FileResult
        The stamp that the file had before it was read, which differs if the file is replaced during
        or after reading; and its result.
    """
    stamps: deque[str] = deque()

    def noted() -> Iterator[ImageFile]:
        for file, stamp in stamped(files, patience=settings.patience):
            stamps.append(stamp)
            yield file

    with closing(read_files(noted(), settings, backend=backend)) as outcomes:
        for outcome in outcomes:
            yield stamps.popleft(), outcome
