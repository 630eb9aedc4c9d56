"""Rows of results, one per page."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath

from zipocr.types import Box, Reason, Status, Unread, ZipReading, missing_zeros_hint

_ZIP, _PLUS4, _RUNNER_UP = (
    re.compile("[0-9]{5}"),
    re.compile("[0-9]{4}"),
    re.compile("[0-9]{5}(-[0-9]{4})?"),
)
_SHOWN = 40  # characters of a bad cell shown in an error


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One page in the results; the fields are the columns, in their order.

    Missing probabilities are None. ``file`` is the name itself, not its cell.
    """

    file: str
    page: int
    zip: str
    plus4: str = ""
    confidence: float | None
    status: Status
    reason: tuple[Reason, ...]
    digit_confidences: tuple[float, ...]
    runner_up: str
    runner_up_confidence: float | None
    city: str
    state: str
    box: Box | None = None


COLUMNS = tuple(field.name for field in fields(Row))
# Results of earlier versions lack the last columns.
FEWEST_COLUMNS = COLUMNS.index("box")


def to_row(
    file: str,
    page: int,
    reading: ZipReading | Unread,
    *,
    min_confidence: float,
    require_listed: bool = False,
) -> Row:
    """Make the row of a reading, and decide its status.

    Parameters
    ----------
    file : str
        Name of the file.
    page : int
        Number of the page, from 1.
    reading : ZipReading or Unread
        The result of reading the page.
    min_confidence : float
        Minimum confidence for a ZIP to count as read, compared with the confidence rounded to four
        decimals.
    require_listed : bool
        Whether a ZIP that is not in the directory never counts as read.

    Returns
    -------
    Row
        With `Reason.LOW_CONFIDENCE` if it is below the threshold, and the reasons in the order of
        `Reason`.
    """
    if isinstance(reading, Unread):
        return unread_row(file, page, reading.reason)
    confidence = round(reading.confidence, 4)
    low = confidence < min_confidence
    reasons = {*reading.reasons, Reason.LOW_CONFIDENCE} if low else {*reading.reasons}
    unlisted = require_listed and Reason.NOT_IN_DIRECTORY in reasons
    return Row(
        file=file,
        page=page,
        zip=reading.zip,
        plus4=reading.plus4,
        confidence=confidence,
        status=Status.REVIEW if low or unlisted else Status.READ,
        reason=tuple(reason for reason in Reason if reason in reasons),
        digit_confidences=tuple(round(digit.probability, 4) for digit in reading.digits),
        runner_up=reading.runner_up,
        runner_up_confidence=round(reading.runner_up_confidence, 4) if reading.runner_up else None,
        city=reading.city,
        state=reading.state,
        box=reading.box,
    )


def row_names(paths: Sequence[Path], *, folder: Path = Path()) -> list[str]:
    """Return the name of each PATH in rows: its last component, or the PATH as given if ambiguous.

    No name equals that of another PATH, or is a prefix of the names of its files. Only PATHs inside
    each other may clash, where equal names mean the same file. Relative PATHs are relative to
    ``folder``.
    """
    named = (path if path.name not in {"", ".."} else (folder / path).resolve() for path in paths)
    names = [path.name for path in named]
    given = ["" if path == Path() else path.as_posix() for path in paths]
    while mistaken := {number for number in clashing(names) if names[number] != given[number]}:
        names = [given[number] if number in mistaken else name for number, name in enumerate(names)]
    return names


def clashing(names: Sequence[str]) -> set[int]:
    """Return the indices of names that equal another name, contain it or are inside it."""
    parts = [PurePosixPath(name).parts for name in names]
    counts = Counter(parts)
    found = {own for own, times in counts.items() if times > 1}
    for own in counts:
        around = [own[:length] for length in range(len(own)) if own[:length] in counts]
        found.update([own, *around] if around else [])
    return {number for number, own in enumerate(parts) if own in found}


def unread_row(file: str, page: int, reason: Reason) -> Row:
    """Make the row of a page without a ZIP."""
    return Row(
        file=file,
        page=page,
        zip="",
        confidence=None,
        status=Status.UNREAD,
        reason=(reason,),
        digit_confidences=(),
        runner_up="",
        runner_up_confidence=None,
        city="",
        state="",
    )


def corners(box: Box) -> tuple[int, int, int, int]:
    """List the sides of a box in the order of the column ``box``."""
    return box.top, box.left, box.bottom, box.right


def to_box(sides: Sequence[int]) -> Box:
    """Make a box from its sides: top, left, bottom and right, in pixels.

    Raises
    ------
    ValueError
        If they enclose no pixels.
    """
    if len(sides) != 4 or min(sides) < 0 or sides[0] >= sides[2] or sides[1] >= sides[3]:
        raise ValueError(
            f"{';'.join(map(str, sides))[:_SHOWN]!r} is not a box: top;left;bottom;right"
        )
    return Box(top=sides[0], left=sides[1], bottom=sides[2], right=sides[3])


def check_row(row: Row) -> None:
    """Check that a row is valid, whatever file it was read from.

    Raises
    ------
    ValueError
        If it is not; the message says why.
    """
    probabilities = (row.confidence, *row.digit_confidences, row.runner_up_confidence)
    for value in probabilities:
        if value is not None and not 0 <= value <= 1:
            raise ValueError(_no_probability(value))
    if trouble := _trouble(row):
        raise ValueError(trouble)


def _trouble(row: Row) -> str:
    """Describe what is wrong with a row; empty if nothing is."""
    if row.page < 1:
        return "pages count from 1"
    if row.zip and not _ZIP.fullmatch(row.zip):
        return missing_zeros_hint(row.zip) or f"{row.zip[:_SHOWN]!r} is not a ZIP of five digits"
    if row.plus4 and not (row.zip and _PLUS4.fullmatch(row.plus4)):
        return f"{row.plus4[:_SHOWN]!r} in the column plus4 is not the four digits after a ZIP"
    if row.runner_up and not _RUNNER_UP.fullmatch(row.runner_up):
        return missing_zeros_hint(row.runner_up) or f"{row.runner_up[:_SHOWN]!r} is not a ZIP"
    if bool(row.zip) == (row.status is Status.UNREAD) or bool(row.zip) == (row.confidence is None):
        return "a ZIP goes with a confidence and the status read or review, and none with unread"
    return ""


def _no_probability(value: object) -> str:
    return f"{value!r:.40} is not a probability"
