"""One page of HTML that tells an evaluation, with everything in it.

It can be sent, kept and opened anywhere, and asks no network.
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

    The crop and the sheet that shows it, as WebP; ``note`` where there is something to be said
    about it.
    """

    crop: bytes
    sheet: bytes
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A picture in light and in dark, as SVG, and what is to be seen on it."""

    light: str
    dark: str
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One of the worst errors, ready to be shown."""

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
    """Tell an evaluation on a page.

    Parameters
    ----------
    evaluation : Evaluation
    title : str
        What was evaluated.
    by : str or None
        The column of the labels that the groups come from.
    about : mapping of str to str
        What else is worth knowing years later, for the end of the page.
    sheets : mapping
        By file and page, how the worst errors come about; those that could not be had are left out.

    Returns
    -------
    bytes
        HTML in UTF-8.

    Raises
    ------
    InputError
        When Jinja2 or matplotlib is not installed.
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
        "The share of wrong ZIPs among the accepted over the share of pages that is accepted, "
        "with its upper bound",
    ),
    (
        reliability_figure,
        "The share of ZIPs that is right over the confidence, and how many pages there are of each",
    ),
    (confusion_figure, "Counts of the digits that stand there by what they were read as"),
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
    """Keep a per cent sign with its number."""
    return line.replace(" %", "\N{NO-BREAK SPACE}%")


def most_confused(evaluation: Evaluation) -> list[tuple[int, int, int]]:
    """Name the digits that are most often taken for others.

    What stands there, what was read, and how often.
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
        note=sheet.note
        if sheet
        else "The image was not found, so it is not shown how this came about.",
    )


def _compared(case: Case) -> list[tuple[str, bool]]:
    """The characters that were read, and whether each is wrong."""
    truth = dashed(case.truth)
    return [
        (letter, letter != truth[place : place + 1])
        for place, letter in enumerate(dashed(case.read))
    ]


def _inlined(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{b64encode(data).decode()}"
