"""Files that only one process may write at a time."""

import errno
import os
from contextlib import suppress
from io import FileIO
from pathlib import Path

from zipocr.errors import OutputError

_CANNOT_LOCK = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})
# Windows keeps others from reading what is locked: lock a byte that no file reaches.
_FAR_AWAY = 1 << 40


def shown(path: Path) -> str:
    """Write a path so that it can be printed, whatever its bytes."""
    return os.fsencode(path).decode(errors="backslashreplace")


def take(path: Path, *, busy: str) -> FileIO:
    """Open or create a file for appending, and lock it. A lock ends with its process, however that ends.

    Parameters
    ----------
    path : Path
        The file.
    busy : str
        The message where another process has it.

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
            file = FileIO(path, "a+")
        except OSError as error:
            message = f"Cannot write {shown(path)}: {error.strerror}. Choose another place for it."
            raise OutputError(message) from error
        if not _lock(file):
            file.close()
            raise OutputError(busy)
        # Between opening and locking the process that had it may have ended and removed it.
        with suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(file.fileno())):
                return file
        file.close()


def _lock(file: FileIO) -> bool:
    """Lock a file, unless another process has; a file system that knows no locks goes without."""
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
