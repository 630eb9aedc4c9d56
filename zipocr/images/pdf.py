"""Pages of PDF files as gray pictures, rendered by PDFium.

Needs the extra ``pdf``; called by `zipocr.images.decode`.
"""

import logging
import math
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing

import numpy as np
import pypdfium2
from pypdfium2 import raw

from zipocr.types import GrayImage, Reason, Unread

DPI = 300
POINTS_PER_INCH = 72
# PDFium has sizes in single precision and rounds up; without this, 260 pixels may become 261.
SCALE = DPI / POINTS_PER_INCH * (1 - 1e-6)
# A damaged file may claim a million pages, so give up after this many consecutive failures.
MAX_LOST_PAGES = 20
# Its hints are for programmers and do not name the file; the rows do.
logging.getLogger("pypdfium2").setLevel(logging.CRITICAL)
# A picture's width and height are adjacent and never compressed.
_WIDTH, _HEIGHT = (re.compile(rb"/%s\s+(\d{1,9})\b" % name) for name in (b"Width", b"Height"))
_NEAR = 2_000


def draw_pages(
    data: bytes, *, max_pixels: int, first: int, begin: Callable[[], None]
) -> Iterator[GrayImage | Unread]:
    """Render the pages of a PDF at `DPI`, with annotations and filled forms, one at a time.

    Parameters
    ----------
    data : bytes
        The file.
    max_pixels : int
        Pages with more pixels, or with a picture that has more, are not rendered.
    first : int
        The first page to render. Nothing is yielded if there are fewer pages.
    begin : callable
        Called before each page is loaded.

    Yields
    ------
    GrayImage or Unread
        ``(H, W) uint8``, upright; or why the page cannot be rendered. A file that cannot be opened
        yields one `Unread`.
    """
    try:
        pdf = pypdfium2.PdfDocument(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pdf.init_forms()
    except pypdfium2.PdfiumError as error:
        locked = error.err_code in {raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY}
        yield _unreadable("encrypted; save it without its password" if locked else "a damaged PDF")
        return
    with pdf:
        hidden = _hidden_pictures(pdf, data, max_pixels)
        yield from _draw_all(pdf, hidden, max_pixels=max_pixels, first=first, begin=begin)


def _hidden_pictures(
    pdf: pypdfium2.PdfDocument, data: bytes, max_pixels: int
) -> set[tuple[int, int]]:
    """Return the sizes of large pictures that no page lists.

    They are masks, or belong to annotations, patterns and fonts; PDFium does not say on which page.
    """
    large = {size for size in _all_sizes(data) if math.prod(size) > max_pixels}
    return large and large.difference(*(_page_sizes(pdf, number) for number in range(len(pdf))))


def _all_sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """Return the sizes of all pictures in a file."""
    for width in _WIDTH.finditer(data):
        begin = data.rfind(b"obj", max(0, width.start() - _NEAR), width.start())
        end = data.find(b"stream", width.end(), width.end() + _NEAR)
        near = slice(max(begin, width.start() - _NEAR, 0), end if end >= 0 else width.end() + _NEAR)
        if height := _HEIGHT.search(data[near]):
            yield int(width[1]), int(height[1])


def _page_sizes(pdf: pypdfium2.PdfDocument, number: int) -> set[tuple[int, int]]:
    """Return the sizes of the pictures on a page; none if it cannot be loaded."""
    try:
        with closing(pdf[number]) as page:
            return set(_picture_sizes(page))
    except pypdfium2.PdfiumError:
        return set()


def _picture_sizes(page: pypdfium2.PdfPage) -> Iterator[tuple[int, int]]:
    pictures = page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE])
    return (tuple(picture.get_px_size()) for picture in pictures)


def _draw_all(
    pdf: pypdfium2.PdfDocument,
    hidden: set[tuple[int, int]],
    *,
    max_pixels: int,
    first: int,
    begin: Callable[[], None],
) -> Iterator[GrayImage | Unread]:
    if len(pdf) == 0:
        yield _unreadable("no pages")
    lost = 0
    for number in range(first - 1, len(pdf)):
        begin()
        try:
            page = pdf[number]
        except pypdfium2.PdfiumError:
            lost += 1
            yield _unreadable(
                f"page {number + 1}{' and what follows' if lost == MAX_LOST_PAGES else ''} is "
                "damaged"
            )
            if lost == MAX_LOST_PAGES:
                return
            continue
        lost = 0
        with closing(page):
            yield _draw(page, hidden, max_pixels=max_pixels)


def _draw(
    page: pypdfium2.PdfPage, hidden: set[tuple[int, int]], *, max_pixels: int
) -> GrayImage | Unread:
    """Render a page, unless it or a picture on it is too large.

    A small file can contain a picture that exhausts the memory.
    """
    try:
        sizes = [tuple(math.ceil(side * SCALE) for side in page.get_size())]
        width, height = max([*sizes, *_picture_sizes(page), *hidden], key=math.prod)
        if width * height > max_pixels:
            return Unread(
                reason=Reason.TOO_LARGE,
                detail=(
                    f"{width} x {height} at {DPI} dpi is more than {max_pixels} pixels "
                    "(--max-pixels)"
                ),
            )
        return np.array(page.render(scale=SCALE, grayscale=True).to_numpy(), dtype=np.uint8)
    except MemoryError:
        return Unread(reason=Reason.OUT_OF_MEMORY, detail="not enough memory to draw it")
    except Exception:  # noqa: BLE001 - PDFium's errors are not documented
        return _unreadable("a damaged page of a PDF")


def _unreadable(detail: str) -> Unread:
    return Unread(reason=Reason.UNREADABLE_FILE, detail=detail)
