"""Previews of pages.

A preview has the crop, its digits cut out, and alternative readings. Heavy imports happen on first
use.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from functools import cached_property
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from zipocr.errors import ZipocrError
from zipocr.results.cells import to_cell
from zipocr.results.row import Row
from zipocr.review.words import NOT_OPENED, NOT_READ_AGAIN, WHY
from zipocr.types import ZIP_LENGTH, Box, GrayImage, Place, Region, Trace, Unread

if TYPE_CHECKING:
    from zipocr.images.lookup import Origin, Sources
    from zipocr.mail_reader import MailReader

LOG = logging.getLogger("zipocr.review")
MAX_SIDE = 2400
"""Maximum number of pixels shown; larger pages are reduced."""
TILE = 128
PADDING = 6
FAINT = 0.25
"""Darkness of the ink around a digit, relative to its own."""
BLACK = 225
MIN_CONTRAST = 32
"""Minimum contrast that is stretched; with less, the paper's grain would show."""
KEPT = 24
PATIENCE = 20.0
"""Seconds to wait for the digits of a page before showing it without them."""
LAST_TASK_SECONDS = 2.0
"""Seconds to wait for the task being done when the review ends."""

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The box of a digit, as fractions of the page's width and height."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The details of reading a page again.

    Attributes
    ----------
    zip : str
        All digits read, without a dash; may be empty.
    shapes : tuple of Shape
        Their boxes.
    tiles : bytes
        A PNG of squares side by side, one per digit; may be empty.
    strings : tuple of (str, float)
        The best strings with their probabilities.
    trouble : str
        Why there are no details.
    """

    zip: str = ""
    shapes: tuple[Shape, ...] = ()
    tiles: bytes = b""
    strings: tuple[tuple[str, float], ...] = ()
    trouble: str = ""


class LruCache(Generic[Key, Value]):
    """A cache of the most recent values, each computed once by the first thread that asks."""

    def __init__(self, make: Callable[[Key], Value], *, most: int) -> None:
        self._make = make
        self._most = most
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Key) -> Value:
        """Return a value, computing it if it is missing."""
        with self._lock:
            if key not in self._values:
                self._values[key] = self._make(key)
                while len(self._values) > self._most:
                    self._values.popitem(last=False)
            self._values.move_to_end(key)
            return self._values[key]


class BackgroundThread:
    """A thread that does tasks in order.

    The program can exit during a task, for which Python's executors would wait.
    """

    def __init__(self) -> None:
        self._tasks: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._closed = False
        self._thread = Thread(target=self._work, name="zipocr-look", daemon=True)
        self._thread.start()

    def submit(self, task: Callable[[], Value]) -> Future[Value]:
        """Queue a task."""
        future: Future[Value] = Future()
        self._tasks.put((future, task))
        return future

    def close(self) -> None:
        """Start no further task, and wait a little for the one being done."""
        self._closed = True
        self._tasks.put(None)
        self._thread.join(LAST_TASK_SECONDS)

    def _work(self) -> None:
        while (waiting := self._tasks.get()) is not None and not self._closed:
            future, task = waiting
            try:
                future.set_result(task())
            except Exception as error:  # noqa: BLE001 - raised by the future
                future.set_exception(error)


class PreviewLoader:
    """Loader that opens pages and reads them again, the next ones ahead in a thread.

    Parameters
    ----------
    rows : sequence of Row
        The pages, by number.
    finder : Sources
        Lookup of their files.
    origin : Origin
        The settings they were read with.
    model : str
        The model to read them with.
    """

    def __init__(self, rows: Sequence[Row], finder: Sources, origin: Origin, model: str) -> None:
        self._rows = rows
        self._finder = finder
        self._origin = origin
        self._model = model
        # One page at a time, since decoding silences standard error, and two at once would leave it
        # silent.
        self._pages: LruCache[int, GrayImage | str] = LruCache(self._open, most=KEPT)
        self._crops: LruCache[int, bytes | str] = LruCache(self._draw, most=KEPT)
        self._looks: LruCache[int, Future[Preview]] = LruCache(self._begin, most=KEPT)
        self._worker = BackgroundThread()

    def warm_up(self) -> None:
        """Load the model and the directory in the thread."""
        self._worker.submit(lambda: (self._reader, self._places))

    def close(self) -> None:
        """Drop pending tasks, and wait a little for the one being done."""
        self._worker.close()

    def crop(self, number: int) -> bytes | str:
        """Return a page as PNG, or why it cannot be shown."""
        return self._crops.get(number)

    def look(self, number: int) -> Preview:
        """Return the details of a page; wait for them, with a timeout."""
        try:
            return self._looks.get(number).result(timeout=PATIENCE)
        except FutureTimeoutError:
            return Preview(trouble="Reading it again takes too long.")

    def prefetch(self, numbers: Sequence[int]) -> None:
        """Start loading pages that will be needed soon."""
        for number in numbers:
            self._looks.get(number)

    def place(self, zip_: str) -> Place | None:
        """Return the city and state of a ZIP; None if it is not listed."""
        return self._places.get(zip_[:ZIP_LENGTH])

    @cached_property
    def _places(self) -> Mapping[str, Place]:
        from zipocr.decode.directory import places
        from zipocr.models.directory_file import read_directory

        if self._origin.directory is not None:
            try:
                return read_directory(self._origin.directory)
            except ZipocrError as error:
                LOG.warning("%s The packaged directory stands in.", error)
        return places()

    @cached_property
    def _reader(self) -> MailReader:
        from zipocr.mail_reader import MailReader
        from zipocr.models.model_file import load_model

        own = (
            self._places
            if self._origin.directory is not None and self._origin.use_directory
            else None
        )
        return MailReader(
            load_model(self._model), use_directory=self._origin.use_directory, directory=own
        )

    def _open(self, number: int) -> GrayImage | str:
        row = self._rows[number]
        if barred := NOT_OPENED.intersection(row.reason):
            return f"It is not opened here. {' '.join(WHY[reason] for reason in barred)}"
        path = self._finder.find(row.file)
        if path is None:
            return (
                "There is no such file in the folder of the images. Another one can be given with "
                "--images."
            )
        from zipocr.images.decode import read_pages, silence_decoders

        silence_decoders()
        page = next(
            iter(read_pages(path, max_pixels=self._origin.max_pixels, first=row.page)), None
        )
        if page is None:
            return "The file does not have this page."
        return _told(page) if isinstance(page, Unread) else page

    def _draw(self, number: int) -> bytes | str:
        page = self._pages.get(number)
        if isinstance(page, str):
            return page
        row = self._rows[number]
        if row.box is None or not _holds(page, row.box):
            return _png(_shrunk(page))
        from zipocr.drawing.page_view import draw_page_view

        return _png(draw_page_view(page, row.box, rotation=_rotation(row)))

    def _begin(self, number: int) -> Future[Preview]:
        return self._worker.submit(lambda: self._look(number))

    def _look(self, number: int) -> Preview:
        if NOT_READ_AGAIN.intersection(self._rows[number].reason):
            return Preview(trouble="It is not read again, because of what happened the first time.")
        page = self._pages.get(number)
        if isinstance(page, str):
            return Preview(trouble=page)
        self._crops.get(number)
        try:
            return _to_preview(self._reader.trace(page))
        except ZipocrError as error:
            return Preview(trouble=str(error))
        except Exception:
            LOG.exception(
                "%s, page %d could not be read again",
                to_cell(self._rows[number].file),
                self._rows[number].page,
            )
            return Preview(
                trouble="A bug in zipocr kept it from being read again; the terminal says more."
            )


def _holds(page: GrayImage, box: Box) -> bool:
    rows, columns = page.shape
    return bool(0 <= box.top < box.bottom <= rows and 0 <= box.left < box.right <= columns)


def _rotation(row: Row) -> int:
    """Return by how many degrees a page was turned to be read."""
    return next((degrees for degrees in (90, 180, 270) if f"turned_{degrees}" in row.reason), 0)


def _told(page: Unread) -> str:
    return f"{WHY[page.reason]} ({page.detail})" if page.detail else WHY[page.reason]


def _to_preview(trace: Trace) -> Preview:
    if isinstance(trace.reading, Unread):
        return Preview()
    height, width = trace.page.shape
    # A searched page is shown whole, but its regions are those of the ZIP's crop.
    boxes = [] if trace.overview else [region.box for region in trace.regions]
    return Preview(
        zip=trace.reading.zip + trace.reading.plus4,
        shapes=tuple(
            Shape(
                left=box.left / width,
                top=box.top / height,
                width=box.width / width,
                height=box.height / height,
            )
            for box in boxes
        ),
        tiles=_png(draw_tiles(trace.page, trace.regions)) if trace.regions else b"",
        strings=trace.strings,
    )


def draw_tiles(page: GrayImage, regions: Sequence[Region]) -> GrayImage:
    """Cut the digits out of a page, at one scale, on white squares: ``(TILE, TILE * n)`` uint8.

    Contrast is stretched to white paper and black ink, so that digits have clean edges and faint
    writing is visible.
    """
    import cv2
    import numpy as np

    largest = max(max(region.box.height, region.box.width) for region in regions)
    scale = (TILE - 2 * PADDING) / largest
    paper = float(np.median(page))
    gain = BLACK / max(paper - float(np.percentile(page, 2)), MIN_CONTRAST)
    strip = np.full((TILE, TILE * len(regions)), 255, np.uint8)
    for number, region in enumerate(regions):
        own = cv2.dilate(region.ink.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        box = region.box
        darker = (paper - page[box.top : box.bottom, box.left : box.right].astype(np.float32)).clip(
            0
        )
        shown = (
            (255 - gain * np.where(own, darker, FAINT * darker))
            .clip(0, 255)
            .round()
            .astype(np.uint8)
        )
        size = max(1, round(box.width * scale)), max(1, round(box.height * scale))
        digit = cv2.resize(shown, size, interpolation=cv2.INTER_CUBIC)
        top, left = (TILE - size[1]) // 2, number * TILE + (TILE - size[0]) // 2
        strip[top : top + size[1], left : left + size[0]] = digit
    return strip


def _shrunk(page: GrayImage) -> GrayImage:
    from zipocr.preprocess.resize import resized

    scale = MAX_SIDE / max(page.shape)
    return page if scale >= 1 else resized(page, scale)


def _png(image: GrayImage) -> bytes:
    import cv2

    done, encoded = cv2.imencode(".png", image)
    if not done:
        message = f"cannot encode a picture of shape {image.shape} as PNG"
        raise ValueError(message)
    data: Any = encoded.tobytes()
    return bytes(data)
