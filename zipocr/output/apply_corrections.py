"""Applying decisions to results.

Decided rows are rewritten; all others stay as they are, byte for byte.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from zipocr import __version__
from zipocr.errors import InputError, OutputError
from zipocr.images.lookup import named
from zipocr.output.run import own_version, refuse_foreign_facts
from zipocr.results.cells import to_cell
from zipocr.results.corrections import Decision, Verdict
from zipocr.results.csv_file import format_rows
from zipocr.results.formats import open_results, read_lines
from zipocr.results.row import Row, unread_row
from zipocr.results.sinks import sidecar_path
from zipocr.storage.atomic import refuse_existing, write_whole
from zipocr.types import ZIP_LENGTH, Place, Reason, Status, dashed

Decisions: TypeAlias = Mapping[tuple[str, int], Decision]

_NAMED = 3  # files listed in an error
_REASONS = {
    Verdict.CONFIRMED: Reason.CONFIRMED_BY_PERSON,
    Verdict.CORRECTED: Reason.CORRECTED_BY_PERSON,
}


def decided(row: Row, decision: Decision, places: Mapping[str, Place]) -> Row:
    """Return a row with a person's decision applied.

    Its probabilities are 1; those of the reader are in the old results. The reason for a ZIP that
    is not in the directory is kept.

    Parameters
    ----------
    row : Row
    decision : Decision
        The decision about this page, neither skipped nor undone.
    places : mapping of str to Place
        The directory; may be empty.
    """
    if decision.decision is Verdict.NOT_A_ZIP:
        return unread_row(row.file, row.page, Reason.NOT_A_ZIP)
    digits = decision.zip.replace("-", "")
    listed = digits[:ZIP_LENGTH]
    place = places.get(listed, Place(city="", state=""))
    unlisted = [Reason.NOT_IN_DIRECTORY] if places and listed not in places else []
    return replace(
        row,
        zip=listed,
        plus4=digits[ZIP_LENGTH:],
        confidence=1.0,
        status=Status.READ,
        reason=(*unlisted, _REASONS[decision.decision]),
        digit_confidences=(1.0,) * len(digits),
        runner_up="",
        runner_up_confidence=None,
        city=place.city,
        state=place.state,
    )


def check(results: Path, decisions: Decisions) -> None:
    """Check that decisions are about these results.

    Raises
    ------
    InputError
        If the results cannot be read, lack a decided page or contain it twice, or have a different
        ZIP for it than the decision.
    """
    seen: Counter[tuple[str, int]] = Counter()
    for _, row in read_lines(results):
        if row is None or (row.file, row.page) not in decisions:
            continue
        decision, read = decisions[row.file, row.page], dashed(row.zip + row.plus4)
        seen[row.file, row.page] += 1
        where = f"{to_cell(row.file)}, page {row.page}"
        if seen[row.file, row.page] > 1:
            raise InputError(f"{where}, is in the results twice. Recreate them with zipocr scan.")
        if decision.read_zip != read:
            told = (
                f"{decision.read_zip or 'nothing'} was read when it was decided about, and these "
                f"results have {read or 'nothing'}"
            )
            cure = "Apply the corrections to the results they were made of, or review these."
            raise InputError(f"{where}: {told}. {cure}")
    lost = [f"{to_cell(file)} page {page}" for file, page in decisions if not seen[file, page]]
    if lost:
        named = ", ".join(lost[:_NAMED]) + (" and others" if len(lost) > _NAMED else "")
        cure = "Apply the corrections to the results they were made of."
        raise InputError(
            f"{len(lost)} of {len(decisions)} decisions are about pages that are not in the "
            f"results: {named}. {cure}"
        )


def apply(
    results: Path,
    decisions: Decisions,
    target: Path,
    *,
    places: Mapping[str, Place],
    inputs: Sequence[Path] = (),
    force: bool = False,
) -> Counter[str]:
    """Write results with decisions applied, atomically.

    Parameters
    ----------
    results : Path
        A file that zipocr wrote.
    decisions : mapping
        As `zipocr.results.corrections.read_corrections` returns them.
    target : Path
        The file to write.
    places : mapping of str to Place
        The directory for city and state; may be empty.
    inputs : sequence of Path
        The files of decisions and directory; like the results, they are never overwritten.
    force : bool
        Replace an existing file.

    Returns
    -------
    Counter
        Number of rows by verdict; the others count as ``untouched``.

    Raises
    ------
    InputError
        If the decisions are not about these results.
    OutputError
        If the target exists, it or its JSON is an input, or it cannot be written.
    """
    refuse_inputs(target, (results, *inputs))
    refuse_existing(target, force=force)
    refuse_foreign_facts(target, force=force)
    check(results, decisions)
    counts: Counter[str] = Counter()
    lines = read_lines(results)
    header, _ = next(lines)
    with open_results(str(target), force=force, header=header) as written:
        for text, row in lines:
            decision = None if row is None else decisions.get((row.file, row.page))
            if row is None or decision is None:
                written.write_lines(text)
                counts["untouched"] += 1
                continue
            ending = text[len(text.rstrip("\r\n")) :]
            line = format_rows([decided(row, decision, places)]).rstrip("\n") + ending
            written.write_lines(line)
            counts[decision.decision.value] += 1
    return counts


def refuse_inputs(target: Path, inputs: Sequence[Path]) -> None:
    """Check that neither the target nor its JSON is an input of the new results.

    Raises
    ------
    OutputError
        If one of them is.
    """
    for written in filter(Path.exists, (target, sidecar_path(target, ".json"))):
        for path in filter(written.samefile, inputs):
            told = f"{written} would replace {path}, which is read."
            raise OutputError(f"{told} Write to another file.")


def write_provenance(
    target: Path,
    *,
    results: Path,
    made: Mapping[str, Any],
    corrections: Sequence[Path],
    counts: Mapping[str, int],
    force: bool = False,
) -> None:
    """Write the provenance of the new results beside them.

    It has the provenance of the old ones, ``made``, and what was applied.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    found = made or {"zipocr": __version__, "command": "apply"}
    applied = {
        "zipocr": __version__,
        "results": named(results),
        "corrections": [named(path) for path in corrections],
        "rows": dict(counts),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    written = {**found, "applied": applied, "results": named(target)}
    text = json.dumps(written, indent=1).encode() + b"\n"
    known = {version} if (version := own_version(target)) else None
    write_whole(sidecar_path(target, ".json"), text, force=force, known=known)
