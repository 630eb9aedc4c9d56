"""Debug sheets of the worst errors, whose pages are read again."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from zipocr.drawing.debug_sheet import draw_sheet
from zipocr.evaluation.metrics import Case
from zipocr.evaluation.report.html import Sheet
from zipocr.images.decode import read_pages
from zipocr.images.encode import encode_webp
from zipocr.results.cells import to_cell
from zipocr.types import GrayImage, Trace, Unread, dashed


class Tracer(Protocol):
    """The interface of a reader."""

    def trace(self, page: GrayImage) -> Trace:
        """Read a page and return every step."""


def draw_sheets(
    cases: Iterable[Case], find: Callable[[Case], Path | None], reader: Tracer, *, max_pixels: int
) -> dict[tuple[str, int], Sheet]:
    """Draw a sheet for each page whose image is found.

    Parameters
    ----------
    cases : iterable of Case
    find : callable
        Returns the path of a page's image, or None.
    reader : Tracer
    max_pixels : int
        Larger pages are not decoded.

    Returns
    -------
    dict
        Sheets by file and page.
    """
    sheets = {}
    for case in cases:
        path = find(case)
        page = (
            None
            if path is None
            else next(read_pages(path, max_pixels=max_pixels, first=case.page), None)
        )
        if page is None or isinstance(page, Unread):
            continue
        trace = reader.trace(page)
        sheets[case.file, case.page] = Sheet(
            crop=encode_webp(trace.page),
            sheet=encode_webp(
                draw_sheet(trace, title=f"{to_cell(Path(case.file).name)}  page {case.page}")
            ),
            note=_note(case, trace),
        )
    return sheets


def _note(case: Case, trace: Trace) -> str:
    """Return a note if a page is now read differently than in the results."""
    now = "" if isinstance(trace.reading, Unread) else trace.reading.zip + trace.reading.plus4
    if now == case.read:
        return ""
    return (
        f"Reading again gives {dashed(now) or 'no ZIP'}: the results were made with another model, "
        "directory or version."
    )
