"""Debug sheets of the pages of files, drawn through a backend.

With worker processes, a page that hangs or needs too much memory costs only its own sheet.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from zipocr.batch.backends import Backend, Loss
from zipocr.batch.read_files import LOSSES, PageReader, make_reader, use_one_thread
from zipocr.images.decode import read_pages
from zipocr.images.encode import encode_png
from zipocr.images.listing import ImageFile
from zipocr.types import GrayImage, Place, Unread

Sheet = bytes | str | Unread
"""A PNG, a text, or the reason why there is neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetSettings:
    """The settings of the drawing processes; plain values, so that they can be sent to them.

    ``columns`` is the width of the text in characters, or None to draw pictures; the other fields
    are those of `zipocr.batch.read_files.BatchSettings`.
    """

    model: str
    use_directory: bool
    directory: Mapping[str, Place] | None
    max_pixels: int
    columns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetDrawer:
    """Drawer of a sheet for each page of a file; each process makes its own."""

    at_once: ClassVar[int] = 1
    reader: PageReader
    max_pixels: int
    columns: int | None

    def steps(
        self, task: ImageFile, *, first: int = 1, begin: Callable[[], None] = lambda: None
    ) -> Iterator[Sheet]:
        """Yield a sheet per page of a file, from page ``first`` on."""
        pages = read_pages(task.path, max_pixels=self.max_pixels, first=first, begin=begin)
        for number, page in enumerate(pages, start=first):
            title = f"{task.name}  page {number}"
            yield page if isinstance(page, Unread) else self._draw(page, title)

    def together(self, tasks: Sequence[ImageFile]) -> Iterator[list[tuple[int, Sheet]]]:
        """Yield the sheets of several files, each with its file's index."""
        for place, task in enumerate(tasks):
            yield from ([(place, sheet)] for sheet in self.steps(task))

    def _draw(self, page: GrayImage, title: str) -> Sheet:
        from zipocr.drawing.debug_sheet import draw_sheet, grids_as_text

        trace = self.reader.trace(page)
        if self.columns is not None:
            return f"{title}\n\n{grids_as_text(trace, columns=self.columns)}\n"
        return encode_png(draw_sheet(trace, title=title))


def start_drawing(settings: SheetSettings) -> SheetDrawer:
    """Load the model and prepare this process for drawing.

    Raises
    ------
    ModelError
        If the model cannot be used.
    """
    from zipocr.models.model_file import load_model

    reader = make_reader(
        load_model(settings.model),
        settings.model,
        use_directory=settings.use_directory,
        directory=settings.directory,
    )
    use_one_thread()
    return SheetDrawer(reader=reader, max_pixels=settings.max_pixels, columns=settings.columns)


def draw_files(
    files: Sequence[ImageFile], settings: SheetSettings, *, backend: Backend
) -> Generator[tuple[ImageFile, list[Sheet]], None, None]:
    """Yield each file with the sheets of its pages, in order.

    Raises
    ------
    ModelError
        If the model cannot be used.
    BackendError
        If workers cannot be started.
    """
    start: Callable[[], SheetDrawer] = partial(start_drawing, settings)
    yield from zip(files, backend.map(start, files, lost=_lost_sheet), strict=True)


def _lost_sheet(_file: ImageFile, _number: int, loss: Loss) -> Sheet:
    return Unread(reason=LOSSES[loss.kind], detail=loss.detail)
