"""Files with a user's own list of ZIP codes.

Text with one ZIP per line, or CSV with the header zip, zip,city or zip,city,state.
"""

import csv
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from zipocr.errors import InputError, printable
from zipocr.storage.untrusted import read_text
from zipocr.types import Place, missing_zeros_hint

HEADER = ("zip", "city", "state")
_SHOWN = 20  # characters of a bad cell shown in an error


def read_directory(path: Path) -> dict[str, Place]:
    """Read a list of ZIP codes.

    Parameters
    ----------
    path : Path
        UTF-8, with or without a byte order mark. Empty lines are ignored; of repeated ZIPs the
        first counts.

    Returns
    -------
    dict of str to Place
        At least one ZIP, sorted; city and state may be empty.

    Raises
    ------
    InputError
        If the file cannot be read, lists nothing, or has an invalid line, which the message names.
    """
    shown = printable(path)
    text = read_text(path, "the list as text or CSV")
    places: dict[str, Place] = {}
    for listed, place in _entries(text, shown):
        places.setdefault(listed, place)
    if not places:
        raise InputError(f"{shown} lists no ZIP. Give one ZIP a line, or read without a list.")
    return dict(sorted(places.items()))


def _entries(text: str, shown: str) -> Iterator[tuple[str, Place]]:
    """Parse the ZIPs in the order of the lines."""
    lines = csv.reader(StringIO(text, newline=""), strict=True)
    columns: int | None = None
    try:
        for cells in map(_tidied, lines):
            where = f"{shown}, line {lines.line_num}"
            if not cells:
                continue
            if columns is None:
                columns = _header_length(cells, where)
                if columns:
                    continue
            yield _entry(cells, columns or 1, where)
    except csv.Error as error:
        raise InputError(f"{shown}, line {lines.line_num}: this is not CSV ({error}).") from error


def _tidied(cells: list[str]) -> list[str]:
    """Strip cells, and drop empty ones at the end, as spreadsheets write them."""
    tidy = [" ".join(cell.split()) for cell in cells]
    while tidy and not tidy[-1]:
        tidy.pop()
    return tidy


def _header_length(cells: list[str], where: str) -> int:
    """Return the number of columns in the header; 0 if the first line is a ZIP."""
    names = tuple(cell.lower() for cell in cells)
    if names[0] != HEADER[0]:
        return 0
    if names != HEADER[: len(names)]:
        raise InputError(
            f"{where}: the columns are {','.join(names)[:60]!r}. They must be zip, or "
            "zip,city, or zip,city,state."
        )
    return len(names)


def _entry(cells: list[str], columns: int, where: str) -> tuple[str, Place]:
    if len(cells) > columns:
        message = (
            f"{where}: more columns than the header names."
            if columns > 1
            else f"{where}: more than a ZIP."
        )
        raise InputError(f"{message} Columns need the header zip,city,state on the first line.")
    listed, city, state = (*cells, "", "")[: len(HEADER)]
    if re.fullmatch("[0-9]{1,4}", listed):
        raise InputError(f"{where}: {missing_zeros_hint(listed)}")
    if not re.fullmatch("[0-9]{5}", listed):
        cure = "Give one ZIP a line, or columns under the header zip,city,state."
        raise InputError(f"{where}: {listed[:_SHOWN]!r} is not a ZIP of five digits. {cure}")
    return listed, Place(city=city, state=state)
