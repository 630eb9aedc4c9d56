"""Sorting of crops into folders by their readings, as links or copies.

Nothing is ever overwritten, and nothing is written outside the target folder: names of folders are
made from checked words, digits and letters, and names of files are those of the crops.
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
"""Folder for ZIPs without a state."""
_NAMED = 3  # files listed in an error
_NO_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOSYS, errno.EOPNOTSUPP})


class GroupBy(StrEnum):
    """Criteria for folders."""

    STATUS = "status"
    ZIP3 = "zip3"
    ZIP5 = "zip5"
    STATE = "state"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A crop and its target.

    The target is a folder and a name in it; ``is_renamed`` if another crop had that name first.
    """

    source: Path
    folder: str
    name: str
    is_renamed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The targets of all crops, in the order of the rows.

    ``missing`` are the names of crops that were not found.
    """

    entries: tuple[Entry, ...]
    missing: tuple[str, ...]


def folder_of(row: Row, by: GroupBy) -> str:
    """Return the folder of a page.

    Only pages with the status read are sorted by ZIP; the others by status.
    """
    if by is GroupBy.STATUS or row.status is not Status.READ:
        return row.status.value
    if by is GroupBy.STATE:
        return row.state if re.fullmatch("[A-Z]{2}", row.state) else UNLISTED
    digits = row.zip[: 3 if by is GroupBy.ZIP3 else 5]
    return digits if re.fullmatch("[0-9]+", digits) else Status.UNREAD.value


def plan(rows: Sequence[Row], sources: Sources, *, by: GroupBy) -> Plan:
    """Decide the target of each page's file.

    A file with several pages is put into the folder of each page, with the page number in its name.
    Of files with the same name in one folder the first keeps it, and the others get -2, -3, etc.;
    names that differ only in case count as equal.

    Parameters
    ----------
    rows : sequence of Row
    sources : Sources
        Where to find the files.
    by : GroupBy
        The criterion of the folders.
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
    """Check that no target is occupied.

    Raises
    ------
    OutputError
        If a target is another file, or a folder is a link that leads elsewhere.
    """
    for folder in dict.fromkeys(entry.folder for entry in plan.entries):
        place = into / folder
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            raise OutputError(
                f"{to_cell(str(place))} is not a folder, or a link to one. Remove it, or sort "
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
    """Return whether a crop is at its target already."""
    target = into / entry.folder / entry.name
    if target.is_symlink() or not target.is_file():
        return False
    return target.samefile(entry.source) or (
        copy and filecmp.cmp(target, entry.source, shallow=False)
    )


def link_or_copy(entry: Entry, into: Path, *, copy: bool) -> bool:
    """Link or copy a crop to its target.

    Parameters
    ----------
    entry : Entry
    into : Path
        The parent of all folders; created if needed.
    copy : bool
        Copy the file instead of linking it.

    Returns
    -------
    bool
        False if it was there already.

    Raises
    ------
    OutputError
        If that fails; an existing file stays as it was.
    """
    target = into / entry.folder / entry.name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(target) and _is_there(entry, into, copy=copy):
            return False
        if copy:
            _copy(entry.source, target)
        else:
            # Resolved, since some systems would link to a symbolic link itself.
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
    """Copy a file atomically, unless the name has been taken in the meantime."""
    with open_plain(source) as found, WholeFile(target, force=False) as file:
        shutil.copyfileobj(found, file)
    shutil.copystat(source, target)
