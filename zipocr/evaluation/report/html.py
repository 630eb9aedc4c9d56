"""The report as one self-contained HTML page.

It can be sent, archived and opened anywhere without a network.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from zipocr.errors import InputError
from zipocr.evaluation.metrics import Case, Evaluation
from zipocr.evaluation.report import text as words
from zipocr.evaluation.report.figures import (
    DARK,
    LIGHT,
    Theme,
    confusion_figure,
    curve_figure,
    reliability_figure,
    to_svg,
)
from zipocr.results.cells import to_cell
from zipocr.types import dashed

if TYPE_CHECKING:
    from jinja2 import Environment
    from matplotlib.figure import Figure

TEMPLATE = "page.html"
MAX_CONFUSED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """How a page is read now.

    The crop and its debug sheet as WebP, and an optional ``note``.
    """

    crop: bytes
    sheet: bytes
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A figure in light and dark as SVG, and its text alternative."""

    light: str
    dark: str
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One of the worst errors, formatted for the page."""

    file: str
    page: int
    read: tuple[tuple[str, bool], ...]
    truth: str
    confidence: str
    status: str
    crop: str
    sheet: str
    note: str


def to_html(
    evaluation: Evaluation,
    *,
    title: str,
    by: str | None,
    about: Mapping[str, str],
    sheets: Mapping[tuple[str, int], Sheet],
) -> bytes:
    """Render an evaluation as a page.

    Parameters
    ----------
    evaluation : Evaluation
    title : str
        Name of what was evaluated.
    by : str or None
        The column of the labels to group by.
    about : mapping of str to str
        Entries of the footer.
    sheets : mapping
        Debug sheets of the worst errors, by file and page; may be incomplete.

    Returns
    -------
    bytes
        HTML in UTF-8.

    Raises
    ------
    InputError
        If Jinja2 or matplotlib is not installed.
    """
    page = _environment().from_string(
        files("zipocr.evaluation.report").joinpath(TEMPLATE).read_text(encoding="utf-8")
    )
    curve, reliability, confusion = (
        _drawing(evaluation, figure, told) for figure, told in _FIGURES
    )
    return page.render(
        title=to_cell(title),
        by=None if by is None else to_cell(by),
        about=about,
        all=evaluation.figures,
        shown=words.shown_figures(evaluation.figures),
        basis=list(words.basis(evaluation)),
        is_limited=evaluation.estimate is not None or evaluation.is_of_doubt,
        advice=list(words.advice(evaluation.suggestion)),
        suggestion=evaluation.suggestion,
        groups={to_cell(name) or "(empty)": figures for name, figures in evaluation.groups.items()},
        places=evaluation.places,
        drawings={"curve": curve, "reliability": reliability, "confusion": confusion},
        confused=most_confused(evaluation),
        errors=evaluation.errors,
        mistakes=[_mistake(case, sheets.get((case.file, case.page))) for case in evaluation.worst],
    ).encode()


_FIGURES: Sequence[tuple[Callable[[Evaluation, Theme], "Figure"], str]] = (
    (
        curve_figure,
        "Risk-coverage curve: error rate among accepted pages over the share accepted, "
        "with its upper bound",
    ),
    (
        reliability_figure,
        "Reliability diagram: accuracy over confidence, and the number of pages at each",
    ),
    (confusion_figure, "Confusion matrix: counts of true digits by read digit"),
)


def _environment() -> "Environment":
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        message = (
            "A report needs Jinja2, which is not installed. Install it with: pip install "
            "'zipocr[report]'"
        )
        raise InputError(message) from error
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(percent=words.percent, span=words.span, tied=_tied)
    return environment


def _tied(line: str) -> str:
    """Join a per cent sign to its number by a no-break space."""
    return line.replace(" %", "\N{NO-BREAK SPACE}%")


def most_confused(evaluation: Evaluation) -> list[tuple[int, int, int]]:
    """Return the most frequent confusions of digits.

    True digit, read digit, and count.
    """
    counts = np.where(np.eye(10, dtype=bool), 0, np.rint(evaluation.confusion)).astype(int)
    pairs = sorted(
        ((int(counts[true, seen]), int(true), int(seen)) for true, seen in np.argwhere(counts)),
        key=lambda pair: (-pair[0], pair),
    )
    return [(true, seen, count) for count, true, seen in pairs[:MAX_CONFUSED]]


def _drawing(
    evaluation: Evaluation, figure: Callable[[Evaluation, Theme], "Figure"], told: str
) -> Drawing:
    light, dark = (
        _inlined(to_svg(figure(evaluation, theme)), "svg+xml") for theme in (LIGHT, DARK)
    )
    return Drawing(light=light, dark=dark, told=told)


def _mistake(case: Case, sheet: Sheet | None) -> Mistake:
    return Mistake(
        file=to_cell(case.file),
        page=case.page,
        read=tuple(_compared(case)),
        truth=dashed(case.truth) or "no ZIP",
        confidence=f"{case.confidence or 0:.4f}",
        status=case.status.value,
        crop=_inlined(sheet.crop, "webp") if sheet else "",
        sheet=_inlined(sheet.sheet, "webp") if sheet else "",
        note=sheet.note if sheet else "The image was not found, so how it was read is not shown.",
    )


def _compared(case: Case) -> list[tuple[str, bool]]:
    """Return the characters that were read, and whether each is wrong."""
    truth = dashed(case.truth)
    return [
        (letter, letter != truth[place : place + 1])
        for place, letter in enumerate(dashed(case.read))
    ]


def _inlined(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{b64encode(data).decode()}"
