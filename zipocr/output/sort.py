"""Puts crops into folders by what was read on them, as links or copies.

Nothing is ever overwritten, and nothing is written outside the one folder: names of folders are
made from words, digits and letters that are checked, and names of files are those of the crops
themselves.
"""

import errno
import filecmp
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from zipocr.errors import OutputError
from zipocr.images.lookup import Sources
from zipocr.results.cells import to_cell
from zipocr.results.row import Row
from zipocr.storage.atomic import WholeFile
from zipocr.storage.untrusted import open_plain
from zipocr.types import Status

UNLISTED = "unlisted"
"""The folder of ZIPs without a state."""
_NAMED = 3  # files that an error names
_NO_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOSYS, errno.EOPNOTSUPP})


class GroupBy(StrEnum):
    """What folders are made by."""

    STATUS = "status"
    ZIP3 = "zip3"
    ZIP5 = "zip5"
    STATE = "state"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A crop and where it belongs.

    A folder and a name in it. ``is_renamed`` where another crop had that name first.
    """

    source: Path
    folder: str
    name: str
    is_renamed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Where all crops belong, in the order of the rows.

    ``missing`` are the names of those that were not found.
    """

    entries: tuple[Entry, ...]
    missing: tuple[str, ...]


def folder_of(row: Row, by: GroupBy) -> str:
    """Name the folder of a page.

    Only what counts as read is sorted by its ZIP; the rest goes by its status.
    """
    if by is GroupBy.STATUS or row.status is not Status.READ:
        return row.status.value
    if by is GroupBy.STATE:
        return row.state if re.fullmatch("[A-Z]{2}", row.state) else UNLISTED
    digits = row.zip[: 3 if by is GroupBy.ZIP3 else 5]
    return digits if re.fullmatch("[0-9]+", digits) else Status.UNREAD.value


def plan(rows: Sequence[Row], sources: Sources, *, by: GroupBy) -> Plan:
    """Decide where each page's file belongs.

    A file of several pages belongs to the folders of all of them, once for each page, whose number
    is put to its name. Of files with the same name in one folder the first keeps it, the next ones
    get -2, -3 and so on; names that differ only in case count as the same.

    Parameters
    ----------
    rows : sequence of Row
    sources : Sources
        Where the files lie.
    by : By
        What folders are made by.
    """
    pages = Counter(row.file for row in rows)
    taken: set[tuple[str, str]] = set()
    entries: list[Entry] = []
    missing: dict[str, None] = {}
    for row in rows:
        source = sources.find(row.file)
        if source is None:
            missing[row.file] = None
            continue
        wanted = (
            source.name if pages[row.file] == 1 else f"{source.stem}-p{row.page}{source.suffix}"
        )
        folder = folder_of(row, by)
        name = _free(wanted, lambda name, folder=folder: (folder, name.casefold()) in taken)  # type: ignore[misc]
        taken.add((folder, name.casefold()))
        entries.append(Entry(source=source, folder=folder, name=name, is_renamed=name != wanted))
    return Plan(entries=tuple(entries), missing=tuple(missing))


def _free(name: str, is_taken: Callable[[str], bool]) -> str:
    path, count, free = Path(name), 1, name
    while is_taken(free):
        count += 1
        free = f"{path.stem}-{count}{path.suffix}"
    return free


def check(plan: Plan, into: Path, *, copy: bool) -> None:
    """See that nothing stands in the way.

    Raises
    ------
    OutputError
        If there is another file where a crop belongs, or a folder is a link that leads elsewhere.
    """
    for folder in dict.fromkeys(entry.folder for entry in plan.entries):
        place = into / folder
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            raise OutputError(
                f"{to_cell(str(place))} is no folder, or a link to one. Remove it, or sort "
                "into another folder."
            )
    others = [
        to_cell(str(into / entry.folder / entry.name))
        for entry in plan.entries
        if os.path.lexists(into / entry.folder / entry.name)
        and not _is_there(entry, into, copy=copy)
    ]
    if others:
        named = ", ".join(others[:_NAMED]) + (" and others" if len(others) > _NAMED else "")
        raise OutputError(
            f"{len(others)} of the names are taken by other files: {named}. Nothing was "
            "sorted; sort into another folder."
        )


def _is_there(entry: Entry, into: Path, *, copy: bool) -> bool:
    """Whether a crop is where it belongs already."""
    target = into / entry.folder / entry.name
    if target.is_symlink() or not target.is_file():
        return False
    return target.samefile(entry.source) or (
        copy and filecmp.cmp(target, entry.source, shallow=False)
    )


def link_or_copy(entry: Entry, into: Path, *, copy: bool) -> bool:
    """Put a crop where it belongs.

    Parameters
    ----------
    entry : Entry
    into : Path
        The folder of all folders; it is made if need be.
    copy : bool
        Copy the file instead of linking it.

    Returns
    -------
    bool
        False where it was there already.

    Raises
    ------
    OutputError
        If that cannot be done; an older file stays as it was.
    """
    target = into / entry.folder / entry.name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(target) and _is_there(entry, into, copy=copy):
            return False
        if copy:
            _copy(entry.source, target)
        else:
            # The file itself, where the name is a link: some systems would link the link.
            os.link(entry.source.resolve(), target)
    except OSError as error:
        cure = "Sort into another folder."
        if not copy and error.errno in _NO_LINK:
            cure = (
                "Links need a folder on the same disk as the images, and leave to link them: sort "
                "into another folder, or give --copy."
            )
        raise OutputError(
            f"Cannot write {to_cell(str(target))}: {error.strerror}. {cure}"
        ) from error
    return True


def _copy(source: Path, target: Path) -> None:
    """Copy a file, which appears whole, unless something has come there meanwhile."""
    with open_plain(source) as found, WholeFile(target, force=False) as file:
        shutil.copyfileobj(found, file)
    shutil.copystat(source, target)
