"""Files in, outcomes out: reads every page of every file through a backend, in order.

It knows no command line and no terminal. Trouble with one file is part of its outcome; only trouble
with the model, the workers or the output ends a batch.
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
from typing import Protocol, Self, TypeVar

from zipocr.batch.backends import Backend, Loss, LossKind
from zipocr.errors import ModelError, ZipocrError
from zipocr.images.decode import read_pages, silence_decoders
from zipocr.images.encode import write_png
from zipocr.images.listing import ImageFile, stamped
from zipocr.images.s3 import PATIENCE, Url
from zipocr.results.csv_file import format_rows, parse_rows
from zipocr.results.row import Row, to_row, unread_row
from zipocr.types import GrayImage, Model, Place, Reason, Trace, Unread, ZipReading

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
"""What a page counts as that could not be had for one of these reasons.

Others count as the status of their row.
"""

_LOSSES = {
    LossKind.TIMEOUT: Reason.TIMEOUT,
    LossKind.OUT_OF_MEMORY: Reason.OUT_OF_MEMORY,
    LossKind.DIED: Reason.WORKER_DIED,
}
_SHEET_NAME_LENGTH = 80
# So many pages are read at once at most, and no more where they have so many pixels or it took so
# many seconds to decode them: who waits hears nothing meanwhile, and would take slow files for one
# that hangs.
AT_ONCE, PIXELS_AT_ONCE, SECONDS_AT_ONCE = 16, 2_000_000, 0.25


class PageReader(Protocol):
    """What a batch asks of a reader."""

    def read(self, page: GrayImage) -> ZipReading | Unread:
        """Read a page."""

    def read_each(self, pages: Sequence[GrayImage]) -> Sequence[ZipReading | Unread]:
        """Read several pages as `read` does, and sooner."""

    def trace(self, page: GrayImage) -> Trace:
        """Read a page and keep every step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """What the reading processes need to know; plain values, so that it can be sent to them.

    ``min_confidence`` None takes the model's threshold for ``max_error``; ``directory`` is the
    user's own list of ZIPs, None the packaged one; ``debug`` is the folder for the debug pictures.
    ``patience`` is how many seconds a file on S3 may take to come. With ``require_listed`` no ZIP
    counts as read that the directory does not list.
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
    """Outcome of a file or some of its pages: a status for each page, a message for each failure.

    ``lines`` are its rows as they are written: made where the page is read, they leave little to do
    for the one process that gathers all outcomes. Without slots, it comes from there in less than
    half the time.
    """

    lines: str
    counts: tuple[str, ...]
    failures: tuple[str, ...]

    @classmethod
    def of(cls, rows: Iterable[Row], failures: Iterable[str] = ()) -> Self:
        """Make ready what is to be written."""
        rows = tuple(rows)
        counts = tuple(
            FAILED if FAILURES.intersection(row.reason) else row.status.value for row in rows
        )
        return cls(lines=format_rows(rows), counts=counts, failures=tuple(failures))

    @property
    def rows(self) -> tuple[Row, ...]:
        """A row for each page, as they are read back."""
        return tuple(parse_rows(self.lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReader:
    """Reads all pages of files; a process makes one and keeps it."""

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
            Where it lies, and its name in the rows.

        Returns
        -------
        Outcome
            With at least one row.
        """
        return joined(self.steps(file))

    def steps(
        self, task: ImageFile, *, first: int = 1, begin: Callable[[], None] = lambda: None
    ) -> Iterator[FileResult]:
        """Read a file page by page.

        Parameters
        ----------
        task : ImageFile
            Where it lies, and its name in the rows.
        first : int
            The page to begin with.
        begin : callable
            Called before each page, when it is known that there is one.

        Yields
        ------
        Outcome
            Of one page each.
        """
        for number, page in self._pages(task, first=first, begin=begin):
            reading = page if isinstance(page, Unread) else self._reading(task, number, page)
            yield self._outcome(task, number, reading)

    @property
    def at_once(self) -> int:
        """As many files are best read together; pages that are drawn are read one by one."""
        return AT_ONCE if self.debug is None else 1

    def together(self, tasks: Sequence[ImageFile]) -> Iterator[list[tuple[int, FileResult]]]:
        """Read files as `steps` does, several pages at once.

        Parameters
        ----------
        tasks : sequence of ImageFile

        Yields
        ------
        list of int and Outcome
            The place of a file among the tasks, and the outcome of one of its pages; of all pages
            that were read at once.
        """
        for some in _few(self._pages_of(tasks)):
            known = self._read_each([page for *_, page in some if not isinstance(page, Unread)])
            outcomes = self._outcomes(tasks, some, known)
            yield from [list(outcomes)] if known else ([one] for one in outcomes)
            # The next pages are to find the memory that these took.
            some.clear()

    def _outcomes(
        self,
        tasks: Sequence[ImageFile],
        some: Sequence[tuple[int, int, GrayImage | Unread]],
        known: Iterator[ZipReading | Unread] | None,
    ) -> Iterator[tuple[int, FileResult]]:
        """What became of some pages; those of which it is not known yet are read, one by one."""
        for place, number, page in some:
            reading = (
                page
                if isinstance(page, Unread)
                else next(known)
                if known
                else self._reading(tasks[place], number, page)
            )
            yield place, self._outcome(tasks[place], number, reading)

    def _pages_of(
        self, tasks: Sequence[ImageFile]
    ) -> Iterator[tuple[int, int, GrayImage | Unread]]:
        for place, task in enumerate(tasks):
            yield from ((place, number, page) for number, page in self._pages(task))

    def _pages(
        self, task: ImageFile, *, first: int = 1, begin: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[int, GrayImage | Unread]]:
        """Decode the pages of a file, one at a time, each with its number."""
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

        None where each is to be read by itself, to be drawn, or so that a fault is that of one
        page.
        """
        found = None if self.debug else _attempt(partial(self.reader.read_each, pages))
        return None if found is None or isinstance(found, Unread) else iter(found)

    def _reading(self, file: ImageFile, number: int, page: GrayImage) -> ZipReading | Unread:
        return _attempt(partial(self._read, page, file.name, number))

    def _outcome(self, file: ImageFile, number: int, reading: ZipReading | Unread) -> FileResult:
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
        """Read, and draw from the very trace that gave the answer."""
        if self.debug is None:
            return self.reader.read(page)
        from zipocr.drawing.debug_sheet import draw_sheet

        trace = self.reader.trace(page)
        write_png(
            self.debug / sheet_name(name, number), draw_sheet(trace, title=f"{name}  page {number}")
        )
        return trace.reading


def _few(
    pages: Iterable[tuple[int, int, GrayImage | Unread]],
) -> Iterator[list[tuple[int, int, GrayImage | Unread]]]:
    """Group pages that are read at once."""
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
    """Do what no page may stop. Only what a user can cure for all pages ends the batch."""
    try:
        return work()
    except ZipocrError:
        raise
    except MemoryError:
        return Unread(reason=Reason.OUT_OF_MEMORY, detail="not enough memory to read it")
    except Exception as error:  # noqa: BLE001 - a fault of ours, and of one page: its row says so, the others are read
        place = traceback.extract_tb(error.__traceback__)[-1]
        return Unread(
            reason=Reason.PROGRAM_ERROR,
            detail=f"{error!r} at {Path(place.filename).name}:{place.lineno}; please report it",
        )


def _lost_page(file: ImageFile, number: int, loss: Loss) -> FileResult:
    """Stand in for a page whose process hung or died."""
    return FileResult.of([unread_row(file.name, number, _LOSSES[loss.kind])], [loss.detail])


def joined(outcomes: Iterable[FileResult]) -> FileResult:
    """Put outcomes of pages together."""
    parts = tuple(outcomes)
    if len(parts) == 1:
        return parts[0]
    return FileResult(
        lines="".join(part.lines for part in parts),
        counts=tuple(count for part in parts for count in part.counts),
        failures=tuple(text for part in parts for text in part.failures),
    )


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
        A plain ASCII file name, readable at its front, told apart at its end by a hash of the whole
        name: also where long names are cut or a file system does not distinguish upper and lower
        case.
    """
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", name.replace("/", "__")).lstrip(".-")[
        :_SHEET_NAME_LENGTH
    ]
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
    from zipocr.models.model_file import load_model
    from zipocr.reader import Reader

    model = load_model(settings.model)
    threshold = least_confidence(model, settings)
    use_one_thread()
    try:
        reader = Reader(model, use_directory=settings.use_directory, directory=settings.directory)
    except (ValueError, IndexError, TypeError) as error:
        message = (
            f"The parts of the model {settings.model} do not fit together ({error}); make it anew "
            "with 'zipocr train'"
        )
        raise ModelError(message) from error
    return FileReader(
        reader=reader,
        min_confidence=threshold,
        max_pixels=settings.max_pixels,
        debug=settings.debug,
        patience=settings.patience,
        require_listed=settings.require_listed,
    )


def least_confidence(model: Model, settings: BatchSettings) -> float:
    """Return the confidence from which a ZIP counts as read: given, or the model's for an error.

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

    The processes of a batch share the cores already; and sums that are split over threads may
    differ in their last digits, so that rows would depend on the machine. Only libraries already
    loaded can be bound: import first.
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
        If workers cannot be started.
    """
    start: Callable[[], FileReader] = partial(start_reading, settings)
    yield from map(joined, backend.map(start, files, lost=_lost_page))


def read_stamped(
    files: Iterable[ImageFile],
    settings: BatchSettings,
    *,
    backend: Backend,
) -> Generator[tuple[str, FileResult], None, None]:
    """Read files as `read_files` does.

    Yields
    ------
    str and Outcome
        The stamp that the file had before it was read: whoever replaces it meanwhile or later
        gives it another one.
    """
    stamps: deque[str] = deque()

    def noted() -> Iterator[ImageFile]:
        for file, stamp in stamped(files, patience=settings.patience):
            stamps.append(stamp)
            yield file

    with closing(read_files(noted(), settings, backend=backend)) as outcomes:
        for outcome in outcomes:
            yield stamps.popleft(), outcome
