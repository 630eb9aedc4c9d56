"""Evaluations and results as tables on standard output."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from zipocr.cli.terminal import show, show_as_it_is
from zipocr.evaluation.report.text import advice, basis
from zipocr.results.cells import to_cell
from zipocr.types import dashed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from zipocr.evaluation.metrics import Evaluation, Figures

MIN_WIDTH = 100
"""Minimum width of a table."""
SHOWN_ROWS = 12
"""Number of rows of results to show."""
HEADS = ("labelled", "exact", "95 %", "read", "wrong|read", "@1%", "@0.1%", "ece", "unread")


def print_evaluation(evaluation: Evaluation, *, by: str | None) -> None:
    """Print the figures, what they describe, and a suggestion."""
    # Names are not markup.
    console = Console(
        markup=False,
        highlight=False,
        emoji=False,
    )
    # Figures are never cut: on a narrow terminal, lines wrap.
    console.width = max(console.width if sys.stdout and sys.stdout.isatty() else 0, MIN_WIDTH)
    tables = [_figures(evaluation, by=by), _places(evaluation), _confusion(evaluation)]
    with console.capture() as drawn:
        console.print(*tables, *([_worst(evaluation)] if evaluation.worst else []), sep="\n")
    # Not printed by rich itself, which treats a broken pipe differently.
    show_as_it_is(drawn.get())
    for line in (*basis(evaluation), *advice(evaluation.suggestion)):
        show(line)


def print_rows(path: Path) -> None:
    """Print the first rows of results."""
    from itertools import islice

    from zipocr.results.formats import read_results

    table = _table("", ("file", "page", "ZIP", "confidence", "status", "reason"))
    for row in islice(read_results(path), SHOWN_ROWS):
        table.add_row(
            to_cell(row.file),
            str(row.page),
            dashed(row.zip + row.plus4),
            "" if row.confidence is None else f"{row.confidence:.4f}",
            row.status.value,
            " ".join(row.reason),
        )
    console = Console(markup=False, highlight=False, emoji=False)
    with console.capture() as drawn:
        console.print(table)
    show_as_it_is(drawn.get())


def _table(title: str, heads: Iterable[str]) -> Table:
    """Return a table whose first column is text and whose other columns are figures."""
    table = Table(
        box=SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False
    )
    for place, head in enumerate(heads):
        table.add_column(
            head,
            justify="right" if place else "left",
            overflow="fold",
            no_wrap=bool(place),
            min_width=0 if place else 3,
        )
    return table


def _figures(evaluation: Evaluation, *, by: str | None) -> Table:
    table = _table("Accuracy", (to_cell(by or ""), *HEADS))
    for name, figures in evaluation.groups.items():
        table.add_row(to_cell(name) or "(empty)", *_cells(figures))
    if evaluation.groups:
        table.add_section()
    table.add_row("all", *_cells(evaluation.figures))
    return table


def _cells(figures: Figures) -> list[str]:
    interval = f"{figures.exact_interval.low:.3f}-{figures.exact_interval.high:.3f}"
    shares = (figures.accepted, figures.wrong, *figures.at_risk, figures.ece, figures.unread)
    return [
        str(figures.count),
        f"{figures.exact:.3f}",
        interval,
        *(f"{share:.3f}" for share in shares),
    ]


def _places(evaluation: Evaluation) -> Table:
    table = _table(
        "Accuracy by digit position", ("", *(str(one.place) for one in evaluation.places))
    )
    table.add_row("right", *(f"{one.right:.3f}" for one in evaluation.places))
    table.add_row("compared", *(str(one.count) for one in evaluation.places))
    return table


def _confusion(evaluation: Evaluation) -> Table:
    table = _table(
        "Confusion matrix: true digits by row, read digits by column", ("", *map(str, range(10)))
    )
    for true, row in enumerate(evaluation.confusion):
        table.add_row(str(true), *(f"{count:.0f}" if count >= 0.5 else "" for count in row))
    return table


def _worst(evaluation: Evaluation) -> Table:
    title = f"Most confident of {evaluation.errors} errors"
    table = _table(title, ("file", "page", "read", "true", "confidence", "status"))
    for case in evaluation.worst:
        truth = dashed(case.truth) or "no ZIP"
        table.add_row(
            to_cell(case.file),
            str(case.page),
            dashed(case.read),
            truth,
            f"{case.confidence or 0:.4f}",
            case.status.value,
        )
    return table
