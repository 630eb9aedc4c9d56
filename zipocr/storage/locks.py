"""Locked files, which only one process may write at a time."""

import errno
import os
from contextlib import suppress
from io import FileIO
from pathlib import Path

from zipocr.errors import OutputError, printable
from zipocr.storage.untrusted import check_plain

_CANNOT_LOCK = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})
# On Windows others cannot read locked bytes, so lock one beyond the end of any file.
_FAR_AWAY = 1 << 40


def take(path: Path, *, busy: str) -> FileIO:
    """Open or create a file for appending, and lock it until the process ends.

    Parameters
    ----------
    path : Path
        The file.
    busy : str
        The message if another process has it.

    Returns
    -------
    FileIO
        Closing it unlocks the file.

    Raises
    ------
    OutputError
        If the file cannot be opened, or another process has it.
    """
    while True:
        try:
            file = _open(path)
        except OSError as error:
            message = (
                f"Cannot write {printable(path)}: {error.strerror}. Choose another place for it."
            )
            raise OutputError(message) from error
        if not _lock(file):
            file.close()
            raise OutputError(busy)
        # The process that had it may have removed it between opening and locking.
        if is_in_place(file, path):
            return file
        file.close()


def create(path: Path) -> FileIO | None:
    """Create a file and lock it, after removing what a killed process left under its name.

    Returns
    -------
    FileIO or None
        Closing it unlocks the file. None if another process is writing it.

    Raises
    ------
    OSError
        If it cannot be created.
    """
    while True:
        try:
            file = FileIO(path, "x")
        except FileExistsError:
            if not _remove_left(path):
                return None
            continue
        # Before it was locked, another process may have taken it for a leftover.
        if _lock(file) and is_in_place(file, path):
            return file
        file.close()


def _remove_left(path: Path) -> bool:
    """Remove a file that no process has locked; False if one has."""
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        left = FileIO(os.open(path, flags), "r+")
    except FileNotFoundError:
        return True
    with left:
        if not _lock(left):
            return False
        if os.name == "nt":  # where an open file cannot be removed
            left.close()
            path.unlink(missing_ok=True)
        elif is_in_place(left, path):
            path.unlink()
    return True


def is_in_place(file: FileIO, path: Path) -> bool:
    """Return whether an open file still has its name, and was not removed or replaced."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _open(path: Path) -> FileIO:
    with suppress(FileNotFoundError):
        check_plain(path.stat())
    return FileIO(path, "a+")


def _lock(file: FileIO) -> bool:
    """Lock a file unless another process has it; do nothing on file systems without locks."""
    try:
        import fcntl
    except ImportError:
        return _lock_on_windows(file)
    for lock in (fcntl.flock, fcntl.lockf):
        try:
            lock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        except OSError as error:
            if error.errno not in _CANNOT_LOCK:
                raise
        else:
            return True
    return True


def _lock_on_windows(file: FileIO) -> bool:
    import msvcrt

    file.seek(_FAR_AWAY)
    try:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError:
        return False
    return True
