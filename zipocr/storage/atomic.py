"""Atomic files: written under a temporary name, synced, then moved into place."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedWriter, BytesIO
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from zipocr.errors import OutputError, printable
from zipocr.storage.locks import create

Version = tuple[int, int, int, int]
"""The identity of a file's version: device, inode, size and modification time."""


def version_of(path: Path) -> Version | None:
    """Return the identity of a file; None if it does not exist."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def refuse_existing(path: Path, *, force: bool) -> None:
    """Refuse to replace an existing file; anything but a regular file, like ``/dev/null``, is fine.

    Raises
    ------
    OutputError
        If there is a file, or a broken link, without ``force``.
    """
    if not force and (path.is_file() or (path.is_symlink() and not path.exists())):
        message = f"{path} exists already. Replace it with --force, or write to another file."
        raise OutputError(message)


class WholeFile:
    """A file that appears only when its ``with`` block ends without an error.

    If the block fails, nothing is left behind, and an older file stays as it was. A symbolic link
    is kept and its target replaced; the permissions of an existing file are kept. Anything but a
    regular file (``/dev/null``, a named pipe) is written directly, since replacing it would destroy
    it. The leftovers of a killed process are removed.

    Parameters
    ----------
    path : Path
        The file to write. Its folder must exist.
    force : bool
        Replace any file that exists at the end. Otherwise only ``known`` ones are replaced.
    known : set of Version, optional
        Files that may be replaced without ``force``. The new file is added before it appears, in
        case of an interruption just then.

    Raises
    ------
    OutputError
        If the file cannot be created, written or moved into place, or another process is writing
        it. Other errors of the block pass through untouched.
    """

    def __init__(
        self, path: Path, *, force: bool = True, known: set[Version] | None = None
    ) -> None:
        self._shown = printable(path)
        self._target = Path(os.path.realpath(path))
        self._direct = self._target.exists() and not self._target.is_file()
        self._beside = self._target.with_name(_part_name(self._target.name))
        self._force, self._known = force, set() if known is None else known
        self._file: BinaryIO

    def __enter__(self) -> Self:
        """Create the file under a temporary name."""
        with self._translated():
            self._file = self._target.open("wb") if self._direct else self._create()
        return self

    def _create(self) -> BinaryIO:
        file = create(self._beside)
        if file is None:
            message = f"Another process is writing {self._shown}. Wait for its end."
            raise OutputError(message)
        return BufferedWriter(file)

    def write(self, data: bytes) -> None:
        """Append bytes."""
        with self._translated():
            self._file.write(data)

    def flush(self) -> None:
        """Flush what is written to the operating system."""
        with self._translated():
            self._file.flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Move the file into its place, or remove it."""
        if self._direct:
            with self._translated():
                self._file.close()
            return
        try:
            with self._translated():
                self._finish(keep=error is None)
        finally:
            self._beside.unlink(missing_ok=True)
            with suppress(OSError):
                self._file.close()
        if error is None:
            self._know(self._target)  # again, since some network folders change it on closing

    def _finish(self, *, keep: bool) -> None:
        """Move the file into place while it is locked, if an open file can be moved."""
        if not keep:
            return
        self._file.flush()
        os.fsync(self._file.fileno())
        if os.name == "nt":
            self._file.close()
        if self._target.exists():
            self._beside.chmod(stat.S_IMODE(self._target.stat().st_mode))
        self._take_place()
        sync_folder(self._target.parent)

    def _take_place(self) -> None:
        may_replace = self._force or version_of(self._target) in self._known
        self._know(self._beside)
        if may_replace:
            self._beside.replace(self._target)
        elif not _appear(self._beside, self._target):
            what = f"{self._shown} was created or changed in the meantime"
            raise OutputError(f"{what}, and is not replaced. Move it away.")

    def _know(self, path: Path) -> None:
        if version := version_of(path):
            self._known.add(version)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            message = f"Cannot write {self._shown}: {error.strerror}. Choose another place for it."
            raise OutputError(message) from error


def _part_name(name: str) -> str:
    """Return the temporary name of a file.

    It is always the same, so that the leftovers of a killed process are found.
    """
    return f".zipocr-{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}.part"


def _appear(part: Path, target: Path) -> bool:
    """Give a file its final name, unless that is taken."""
    try:
        os.link(part, target)
    except OSError:
        if os.path.lexists(target):
            return False
        part.rename(target)  # on file systems without links
    return True


def write_whole(
    path: Path, data: bytes, *, force: bool = True, known: set[Version] | None = None
) -> None:
    """Write a file atomically; all but ``data`` are parameters of `WholeFile`.

    Raises
    ------
    OutputError
        If the file cannot be written; an older one stays as it was.
    """
    with WholeFile(path, force=force, known=known) as file:
        file.write(data)


@contextmanager
def written_whole(path: Path, *, force: bool = True) -> Iterator[BytesIO]:
    """Collect what a library writes to a stream; write the file when the block ends without error.

    Yields
    ------
    BytesIO
        The stream, which may be written in any order.

    Raises
    ------
    OutputError
        If the file cannot be written; an older one stays as it was.
    """
    stream = BytesIO()
    yield stream
    write_whole(path, stream.getvalue(), force=force)


def sync_folder(folder: Path) -> None:
    """Sync a folder so that new names in it survive; ignored if folders cannot be opened."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
