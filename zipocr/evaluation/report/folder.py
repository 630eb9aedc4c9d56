"""The folder of a report.

A page for people, the figures for programs, and a picture of both curves.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zipocr.errors import OutputError
from zipocr.evaluation.metrics import Evaluation
from zipocr.evaluation.report.as_json import to_facts
from zipocr.evaluation.report.figures import overview_figure
from zipocr.evaluation.report.html import Sheet, to_html
from zipocr.results.cells import to_cell
from zipocr.storage.atomic import write_whole, written_whole

PAGE, FACTS, PICTURE = "report.html", "report.json", "report.png"


def check_folder(folder: Path, *, force: bool) -> None:
    """Check that a report can be written to a folder.

    Raises
    ------
    OutputError
        If the folder cannot be created, or has a report that may not be replaced.
    """
    shown = to_cell(str(folder))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"Cannot make the folder {shown}: {error.strerror}. Choose another place with -o."
        ) from error
    if not force and any(os.path.lexists(folder / name) for name in (PAGE, FACTS, PICTURE)):
        raise OutputError(
            f"There is a report in {shown} already. Replace it with --force, or choose another "
            "folder."
        )


def write_report(
    folder: Path,
    evaluation: Evaluation,
    *,
    by: str | None,
    about: Mapping[str, Any],
    sheets: Mapping[tuple[str, int], Sheet],
    force: bool = False,
) -> None:
    """Write all files of a report.

    Parameters
    ----------
    folder : Path
        An existing folder.
    evaluation : Evaluation
    by : str or None
        The column of the groups.
    about : mapping
        Description of what was evaluated, as JSON values; ``results`` and ``labels`` have the
        ``file`` and its ``sha256``.
    sheets : mapping
        See `zipocr.evaluation.report.html.to_html`.
    force : bool
        Replace existing files.

    Raises
    ------
    InputError
        If Jinja2 or matplotlib is not installed.
    OutputError
        If a file cannot be written.
    """
    page = to_html(
        evaluation, title=about["results"]["file"], by=by, about=dict(_told(about)), sheets=sheets
    )
    with written_whole(folder / PICTURE, force=force) as file:
        overview_figure(evaluation).savefig(file, format="png")
    facts = json.dumps({**about, "by": by, **to_facts(evaluation)}, indent=1).encode() + b"\n"
    write_whole(folder / FACTS, facts, force=force)
    write_whole(folder / PAGE, page, force=force)


def _told(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the entries of the footer."""
    lines = []
    for name, value in about.items():
        told = (
            f"{value['file']}, SHA-256 {value['sha256']}" if isinstance(value, Mapping) else value
        )
        if told is not None:
            lines.append((name.replace("_", " "), str(told)))
    return lines
