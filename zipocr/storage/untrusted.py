"""Reading of untrusted files.

Only regular files are opened, since a pipe or device could block forever. JSON parsing raises one
kind of error, including for nesting too deep for recursive functions.
"""

import errno
import json
import os
import stat
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any

from zipocr.errors import InputError, printable

MAX_DEPTH = 64
"""Maximum nesting of JSON; zipocr writes fewer than ten levels."""


def check_plain(status: os.stat_result) -> None:
    """Refuse anything but a regular file.

    Raises
    ------
    OSError
        If it is a folder, a pipe, a socket or a device; its ``strerror`` says so.
    """
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "a folder, not a file")
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "a pipe, socket or device, not a file")


def open_plain(path: Path) -> BufferedReader:
    """Open a regular file for reading; anything else is refused before opening it.

    Raises
    ------
    OSError
        If it cannot be opened, or is not a regular file.
    """
    check_plain(path.stat())
    # Some files in /proc count as regular and would block.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    return BufferedReader(FileIO(os.open(path, flags)))


def read_plain(path: Path) -> bytes:
    """Read a regular file completely.

    Raises
    ------
    OSError
        If it cannot be read, or is not a regular file.
    """
    with open_plain(path) as file:
        return file.read()


def read_text(path: Path, save_as: str) -> str:
    """Read a regular file of UTF-8 text completely, without its byte order mark.

    Raises
    ------
    InputError
        If it cannot be read, or has a line that is not UTF-8: "Save the list as CSV in UTF-8" if
        ``save_as`` is "the list as CSV".
    """
    shown = printable(path)
    try:
        return read_plain(path).decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"Cannot read {shown}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        message = f"{shown}, line {line}: this is not UTF-8. Save {save_as} in UTF-8."
        raise InputError(message) from error


def parse_json(text: str | bytes) -> dict[str, Any]:
    """Parse a JSON object.

    Raises
    ------
    ValueError
        If it is not one, or is nested more than `MAX_DEPTH` levels deep.
    """
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(found, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - one kind of failure for callers
    if _is_deep(found):
        raise ValueError("nested too deep")
    return found


def _is_deep(found: dict[str, Any]) -> bool:
    level: list[Any] = [found]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return False
    return True


def _children(parent: Any) -> list[Any]:
    """Return the lists and objects in a list or an object."""
    values = parent.values() if isinstance(parent, dict) else parent
    return [value for value in values if isinstance(value, dict | list)]
