"""``zipocr evaluate``: compare results with labels or corrections."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zipocr.cli.options import (
    DEFAULTS,
    FILE,
    FOLDER,
    NEW_FOLDER,
    directory_option,
    max_pixels_option,
    model_option,
    no_directory_option,
    results_argument,
)
from zipocr.cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from zipocr.evaluation.labels import Label
    from zipocr.evaluation.metrics import Case, Evaluation
    from zipocr.evaluation.report.error_sheets import Tracer
    from zipocr.evaluation.report.html import Sheet
    from zipocr.images.lookup import Sources
    from zipocr.results.row import Row
    from zipocr.types import Place


@click.command()
@results_argument
@click.argument("labels", metavar="LABELS.csv", type=FILE)
@click.option("-o", "--output", metavar="DIR", type=NEW_FOLDER, help="Folder for a report.")
@click.option("--by", metavar="COLUMN", help="Column of the labels to group by.")
@click.option(
    "--max-error",
    default=DEFAULTS.max_error,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True),
    metavar="E",
    help="Error rate among accepted pages to suggest a --min-confidence for.",
)
@click.option(
    "--images",
    metavar="DIR",
    type=FOLDER,
    help="Folder of the images; default: the folder of the labels.",
)
@click.option(
    "--worst",
    metavar="N",
    default=12,
    show_default=True,
    type=click.IntRange(0),
    help="Number of errors to show.",
)
@model_option
@directory_option
@no_directory_option
@max_pixels_option
@click.option("--force", is_flag=True, help="Replace an existing report.")
def evaluate(
    *,
    results: Path,
    labels: Path,
    output: Path | None,
    by: str | None,
    max_error: float,
    images: Path | None,
    worst: int,
    model: str,
    directory: Path | None,
    no_directory: bool,
    max_pixels: int,
    force: bool,
) -> None:
    """Compare results with labels: accuracy, coverage at an error rate, the worst errors.

    LABELS is a CSV file with the columns file and zip, and optionally page, plus4 and others. Files
    are matched by name, and by path if names repeat. It may also be the corrections.csv of zipocr
    review; if pages were audited in it, the figures are an estimate for the whole batch.

    Prints the figures. With --output, also writes report.html (one self-contained page),
    report.json and report.png into a folder. The report shows how the worst errors came about: if
    their images are found, they are read again with --model and the directory.

    Exit status: 0; 2 for wrong usage; 3 for errors in the results or labels, 4 in the model; 5 for
    errors writing the report.
    """
    from zipocr.cli.directories import own_directory
    from zipocr.cli.formats import check_extra
    from zipocr.cli.tables import print_evaluation
    from zipocr.evaluation.report.folder import check_folder

    if isnan(max_error):
        raise click.UsageError("--max-error needs a number above 0 and up to 1.")
    places = own_directory(directory, no_directory=no_directory)
    if output:
        check_extra("report", "jinja2", "matplotlib", need="Writing a report")
        check_folder(output, force=force)
    pairs, evaluation = _evaluated(results, labels, by=by, max_error=max_error, worst=worst)
    print_evaluation(evaluation, by=by)
    if not output:
        return
    from zipocr.evaluation.report.folder import PAGE, write_report

    find = _finder(pairs, results, labels, images)
    sheets = _sheets(
        evaluation.worst, find, model, places, use_directory=not no_directory, max_pixels=max_pixels
    )
    write_report(
        output, evaluation, by=by, about=_about(results, labels), sheets=sheets, force=force
    )
    say(f"wrote {output / PAGE}")


def _evaluated(
    results: Path, labels: Path, *, by: str | None, max_error: float, worst: int
) -> tuple[Sequence[tuple[Label, Row]], Evaluation]:
    """Read results and labels, match and evaluate them."""
    from zipocr.evaluation import metrics as craft
    from zipocr.evaluation.labels import group_by, match, read_labels, to_batch, to_cases
    from zipocr.results.formats import read_results

    found = read_labels(labels)
    if by:
        group_by(found, by)
    rows = list(read_results(results))
    pairs = match(found, rows)
    return pairs, craft.evaluate(
        to_cases(pairs, by=by), max_error=max_error, batch=to_batch(rows), worst=worst
    )


def _sheets(
    worst: Sequence[Case],
    find: Callable[[Case], Path | None],
    model: str,
    places: Mapping[str, Place] | None,
    *,
    use_directory: bool,
    max_pixels: int,
) -> dict[tuple[str, int], Sheet]:
    """Read the worst errors again; the model is loaded only if one of their images is found."""
    from zipocr.evaluation.report.error_sheets import draw_sheets
    from zipocr.images.decode import silence_decoders
    from zipocr.mail_reader import MailReader
    from zipocr.models.model_file import load_model

    silence_decoders()
    if not any(find(case) for case in worst):
        return {}
    reader: Tracer = MailReader(load_model(model), use_directory=use_directory, directory=places)
    return draw_sheets(worst, find, reader, max_pixels=max_pixels)


def _finder(
    pairs: Sequence[tuple[Label, Row]], results: Path, labels: Path, images: Path | None
) -> Callable[[Case], Path | None]:
    """Return the lookup of images by their names in the labels and in the results.

    Looks in the folder given, else beside the labels first.
    """
    from zipocr.images.lookup import SearchRoot, Sources, sources_of

    labelled = {(row.file, row.page): label.file for label, row in pairs}
    near = Sources(roots=(SearchRoot(path=images or labels.parent),))
    told = near if images else sources_of(results, None)
    return partial(_find, labelled=labelled, near=near, told=told)


def _find(
    case: Case, *, labelled: Mapping[tuple[str, int], str], near: Sources, told: Sources
) -> Path | None:
    name = labelled[case.file, case.page]
    return (
        near.find(name)
        or near.find(case.file)
        or near.find(Path(case.file).name)
        or told.find(case.file)
    )


def _about(results: Path, labels: Path) -> dict[str, Any]:
    """Describe what was evaluated, for the report."""
    from zipocr import __version__
    from zipocr.images.lookup import named, read_provenance

    made = read_provenance(results)
    return {
        "results": named(results),
        "labels": named(labels),
        "read_with_model": made.get("model_name"),
        "read_with_zipocr": made.get("zipocr"),
        "evaluated_with_zipocr": __version__,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
