"""Labels: the true ZIPs of pages, from CSV or corrections, matched with rows of results."""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import zip_longest
from pathlib import Path

import numpy as np

from zipocr.errors import InputError, printable
from zipocr.evaluation.metrics import Case, Population
from zipocr.results.cells import from_cell, to_cell
from zipocr.results.corrections import COLUMNS as CORRECTIONS
from zipocr.results.corrections import SampledAs, read_corrections
from zipocr.results.row import Row
from zipocr.storage.untrusted import read_text
from zipocr.types import Status, dashed, missing_zeros_hint

NEEDED = ("file", "zip")
_ZIP = re.compile("([0-9]{5})(?:-([0-9]{4}))?")
_SHOWN = 40  # characters of a bad cell shown in an error
_NAMED = 3  # files listed in an error


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """The true ZIP of a page: five or nine digits, or none.

    ``is_whole`` is False if the +4 of a nine-digit ZIP is unknown. ``drawn`` is why the page was
    labelled, or empty; ``read`` the digits that the labeller saw, or None. ``columns`` has all
    further cells, and ``where`` the position for messages.
    """

    file: str
    page: int
    truth: str
    is_whole: bool
    drawn: str
    read: str | None = None
    columns: Mapping[str, str]
    where: str


def read_labels(path: Path) -> list[Label]:
    """Read labels.

    Parameters
    ----------
    path : Path
        CSV in UTF-8 with the columns file and zip, and optionally page (default 1). A ZIP+4 is
        written in zip with a dash, or with its last four digits in the column plus4. Or the
        corrections of ``zipocr review``.

    Returns
    -------
    list of Label
        At least one, in the order of the lines, without duplicate pages.

    Raises
    ------
    InputError
        If the file cannot be read or has an invalid label; the message names the line and the
        remedy.
    """
    shown = printable(path)
    text = read_text(path, "the labels as CSV")
    lines = _lines(text, shown)
    header = next(lines, ("", []))[1]
    labels = (
        _decisions(path, shown)
        if set(CORRECTIONS[:5]) <= set(header)
        else _labels(header, lines, shown)
    )
    if not labels:
        raise InputError(
            f"{shown} labels no page. Give one page a line, under the header file,zip or "
            "file,page,zip."
        )
    return _once(labels)


def _lines(text: str, shown: str) -> Iterator[tuple[str, list[str]]]:
    """Yield nonempty lines with their positions, the header first."""
    lines = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        for cells in lines:
            if any(cell.strip() for cell in cells):
                yield f"{shown}, line {lines.line_num}", [cell.strip() for cell in cells]
    except csv.Error as error:
        raise InputError(f"{shown}, line {lines.line_num}: this is not CSV ({error}).") from error


def _labels(
    header: Sequence[str], lines: Iterator[tuple[str, list[str]]], shown: str
) -> list[Label]:
    names = [
        name.lower() if name.lower() in {*NEEDED, "page", "plus4", "drawn"} else name
        for name in header
    ]
    missing = [name for name in NEEDED if name not in names]
    if missing:
        cure = "Its first line must name the columns, at least file,zip."
        if any(";" in name for name in header):
            cure = "Its cells are separated by semicolons; save it as CSV with commas."
        raise InputError(f"{shown} has no column {' and no column '.join(missing)}. {cure}")
    twice = [name for name, count in Counter(names).items() if count > 1 and name]
    if twice:
        raise InputError(f"{shown} has two columns {twice[0][:_SHOWN]!r}. Rename one of them.")
    return [_label(names, cells, where) for where, cells in lines]


def _label(names: Sequence[str], cells: Sequence[str], where: str) -> Label:
    if any(cells[len(names) :]):
        raise InputError(
            f"{where}: {len(cells)} cells under a header of {len(names)}. Quote names "
            "that contain a comma."
        )
    found = dict(zip_longest(names, cells[: len(names)], fillvalue=""))
    if not found["file"]:
        raise InputError(f"{where}: the file has no name. Fill the column file.")
    truth, has_four = _truth(found["zip"], found.get("plus4"), where)
    return Label(
        file=from_cell(found["file"]),
        page=_page(found.get("page", ""), where),
        truth=truth,
        is_whole=has_four,
        drawn=_drawn(found.get("drawn", ""), where),
        columns={
            name: cell for name, cell in found.items() if name not in {*NEEDED, "page", "plus4"}
        },
        where=where,
    )


def _page(cell: str, where: str) -> int:
    if not cell:
        return 1
    if not re.fullmatch("[0-9]{1,9}", cell) or not int(cell):
        raise InputError(
            f"{where}: {cell[:_SHOWN]!r} is not a page. Pages count from 1; the column page may "
            "also be left out."
        )
    return int(cell)


def _drawn(cell: str, where: str) -> str:
    if cell and cell not in set(SampledAs):
        raise InputError(
            f"{where}: {cell[:_SHOWN]!r} in the column drawn; it must be doubt, audit or empty."
        )
    return cell


def _truth(cell: str, plus4: str | None, where: str) -> tuple[str, bool]:
    """Return all known digits of a page, and whether they are complete."""
    if not cell and not plus4:
        return "", True
    found = _ZIP.fullmatch(cell)
    if found is None:
        raise InputError(f"{where}: {_no_zip(cell)}")
    if plus4 and not re.fullmatch("[0-9]{4}", plus4):
        eaten = (
            f" A spreadsheet has removed leading zeros: write {plus4:0>4}."
            if re.fullmatch("[0-9]{1,3}", plus4)
            else ""
        )
        raise InputError(
            f"{where}: {plus4[:_SHOWN]!r} in the column plus4 is not four digits.{eaten}"
        )
    if found[2] and plus4 and found[2] != plus4:
        raise InputError(
            f"{where}: {cell} and {plus4} in the column plus4 contradict each other. Keep one "
            "of them."
        )
    four = found[2] or plus4 or ""
    return found[1] + four, plus4 is not None or bool(four)


def _no_zip(cell: str) -> str:
    """Describe why a cell is not a ZIP, and what to do."""
    cure = "Write five digits, or nine as 12345-6789; leave it empty if the page has no ZIP."
    return missing_zeros_hint(cell) or f"{cell[:_SHOWN]!r} is not a ZIP. {cure}"


def _decisions(path: Path, shown: str) -> list[Label]:
    return [
        Label(
            file=one.file,
            page=one.page,
            truth=one.zip.replace("-", ""),
            is_whole=True,
            drawn=one.drawn,
            read=one.read_zip.replace("-", ""),
            columns={"decision": one.decision, "drawn": one.drawn},
            where=f"{shown}, the decision about {to_cell(one.file)}, page {one.page}",
        )
        for one in read_corrections(path).values()
    ]


def _once(labels: list[Label]) -> list[Label]:
    first: dict[tuple[str, int], Label] = {}
    for label in labels:
        earlier = first.setdefault((label.file, label.page), label)
        if earlier is not label:
            cure = "Keep one of the lines; to label several pages of a file, add a column page."
            raise InputError(
                f"{label.where}: page {label.page} of {to_cell(label.file)} is labelled above, "
                f"{earlier.where}. {cure}"
            )
    return labels


def group_by(labels: Sequence[Label], column: str) -> None:
    """Check that labels can be grouped by a column.

    Raises
    ------
    InputError
        If there is no such column; the message lists the columns.
    """
    if column not in labels[0].columns:
        there = ", ".join(to_cell(name) for name in labels[0].columns if name) or "none"
        raise InputError(
            f"The labels have no column {to_cell(column)} to group by. Further columns: {there}."
        )


def match(labels: Sequence[Label], rows: Sequence[Row]) -> list[tuple[Label, Row]]:
    """Find the row of each label.

    Files match by base name. If several files share one, their paths must be equal, or one must be
    a suffix of the other.

    Parameters
    ----------
    labels : sequence of Label
    rows : sequence of Row
        All of the results.

    Returns
    -------
    list of pairs
        In the order of the labels.

    Raises
    ------
    InputError
        If a label matches no row, or several.
    """
    index = _by_page(rows)
    names = defaultdict(list)
    for name in dict.fromkeys(row.file for row in rows):
        names[_parts(name)[-1]].append(name)
    shared = Counter(_parts(name)[-1] for name in {label.file for label in labels})
    files = {
        label.file: _same_file(label, names, is_shared=shared[_parts(label.file)[-1]] > 1)
        for label in labels
    }
    lost = [label for label in labels if (files[label.file], label.page) not in index]
    if lost:
        raise InputError(_unknown(lost, len(labels)))
    pairs = [(label, index[str(files[label.file]), label.page]) for label in labels]
    _check_one_to_one(pairs)
    return pairs


def _by_page(rows: Sequence[Row]) -> dict[tuple[str, int], Row]:
    index: dict[tuple[str, int], Row] = {}
    for row in rows:
        if index.setdefault((row.file, row.page), row) is not row:
            raise InputError(
                f"The results have page {row.page} of {to_cell(row.file)} twice. Recreate them "
                "with zipocr scan."
            )
    return index


def _parts(name: str) -> tuple[str, ...]:
    """Split a name into folders and base name at slashes of either kind."""
    return tuple(part for part in name.replace("\\", "/").split("/") if part not in {"", "."}) or (
        "",
    )


def _same_file(label: Label, names: Mapping[str, list[str]], *, is_shared: bool) -> str | None:
    own = _parts(label.file)
    candidates = names.get(own[-1], [])
    if is_shared or len(candidates) > 1:
        same = [name for name in candidates if _parts(name) == own]
        candidates = same or [
            name for name in candidates if _is_end(_parts(name), own) or _is_end(own, _parts(name))
        ]
    if len(candidates) > 1:
        these = ", ".join(to_cell(name) for name in candidates[:_NAMED])
        cure = "Write its path in the column file as the results have it."
        raise InputError(f"{label.where}: {to_cell(label.file)} may be any of {these}. {cure}")
    return candidates[0] if candidates else None


def _is_end(end: tuple[str, ...], of: tuple[str, ...]) -> bool:
    return of[-len(end) :] == end


def _unknown(lost: Sequence[Label], count: int) -> str:
    these = ", ".join(f"{to_cell(label.file)} page {label.page}" for label in lost[:_NAMED])
    more = " and others" if len(lost) > _NAMED else ""
    cure = (
        "Scan them too, leave them out of the labels, or give the results that these labels are of."
    )
    return (
        f"{len(lost)} of {count} labelled pages have no row in the results: {these}{more}. {cure}"
    )


def _check_one_to_one(pairs: Sequence[tuple[Label, Row]]) -> None:
    first: dict[tuple[str, int], Label] = {}
    for label, row in pairs:
        earlier = first.setdefault((row.file, row.page), label)
        if earlier is not label:
            both = f"{to_cell(earlier.file)} and {to_cell(label.file)}"
            cure = (
                "Scan the folder that the labels' names begin in, so that the results tell them "
                "apart."
            )
            raise InputError(
                f"{label.where}: {both} would both be {to_cell(row.file)} in the results. {cure}"
            )


def to_cases(pairs: Sequence[tuple[Label, Row]], *, by: str | None) -> list[Case]:
    """Combine labels and rows into cases.

    Raises
    ------
    InputError
        If pages were drawn for an audit of other results, so that they are not a sample of these.
    """
    is_audited = any(label.drawn == SampledAs.AUDIT for label, _ in pairs)
    if is_audited:
        _check_drawn(pairs)
    return [
        Case(
            file=row.file,
            page=row.page,
            read=row.zip + row.plus4,
            truth=label.truth,
            is_whole=label.is_whole,
            confidence=row.confidence,
            status=row.status,
            group=label.columns[by] if by else "",
            is_audit=label.drawn == SampledAs.AUDIT,
            is_doubt=label.drawn == SampledAs.DOUBT,
        )
        for label, row in pairs
    ]


def _check_drawn(pairs: Sequence[tuple[Label, Row]]) -> None:
    cure = (
        "Evaluate the results they were drawn from, or leave the column drawn out to evaluate the "
        "labelled pages alone."
    )
    for label, row in pairs:
        if not label.drawn:
            raise InputError(
                f"{label.where}: the column drawn is empty, and others say audit. Write doubt "
                "or audit into it."
            )
        if trouble := _drawn_otherwise(label, row):
            raise InputError(
                f"These labels were drawn from other results: {to_cell(row.file)}, page "
                f"{row.page}, {trouble}. {cure}"
            )


def _drawn_otherwise(label: Label, row: Row) -> str:
    """Describe why a page must have been drawn from other results; empty if it need not."""
    if (row.status is Status.READ) != (label.drawn == SampledAs.AUDIT):
        return f"was drawn as {label.drawn}, and its status is {row.status}"
    now = row.zip + row.plus4
    if label.read not in {None, now}:
        return (
            f"was read as {dashed(label.read or '') or 'nothing'} then, and as "
            f"{dashed(now) or 'nothing'} now"
        )
    return ""


def to_batch(rows: Sequence[Row]) -> Population:
    """Collect the confidences of all pages, read and doubtful."""
    read = [_confidence(row) for row in rows if row.status is Status.READ]
    doubtful = [_confidence(row) for row in rows if row.status is not Status.READ]
    return Population(read=np.array(read, np.float64), doubtful=np.array(doubtful, np.float64))


def _confidence(row: Row) -> float:
    if not row.zip:
        return np.nan
    return row.confidence or 0.0
