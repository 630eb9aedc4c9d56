"""Files that appear whole or not at all: written beside their place, synced, then moved into it."""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from zipocr.errors import OutputError


class WholeFile:
    """A file to write that takes its place only when its ``with`` block ends without an error.

    Where the block fails nothing is left behind, and an older file stays as it was. A symbolic link stays a link and its target is
    replaced; an existing file's permissions are kept. What is not a regular file (``/dev/null``, a named pipe) is written directly,
    since replacing it would destroy it.

    Parameters
    ----------
    path : Path
        Where the file shall stand. Its folder must exist.

    Raises
    ------
    OutputError
        If the file cannot be created, written or moved into place. Other errors of the block pass through untouched.
    """

    def __init__(self, path: Path) -> None:
        self._shown = os.fsencode(path).decode(errors="backslashreplace")
        self._target = Path(os.path.realpath(path))
        self._direct = self._target.exists() and not self._target.is_file()
        self._beside = self._target if self._direct else self._target.with_name(f".zipocr-{secrets.token_hex(8)}.part")
        self._file: BinaryIO

    def __enter__(self) -> Self:
        """Create the file beside its place."""
        with self._translated():
            self._file = self._beside.open("wb" if self._direct else "xb")
        return self

    def write(self, data: bytes) -> None:
        """Append bytes."""
        with self._translated():
            self._file.write(data)

    def flush(self) -> None:
        """Hand what is written on to the system."""
        with self._translated():
            self._file.flush()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
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

    def _finish(self, *, keep: bool) -> None:
        with self._file as file:
            if not keep:
                return
            file.flush()
            os.fsync(file.fileno())
        if self._target.exists():
            self._beside.chmod(stat.S_IMODE(self._target.stat().st_mode))
        self._beside.replace(self._target)
        sync_folder(self._target.parent)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            message = f"Cannot write {self._shown}: {error.strerror}. Choose another place for it."
            raise OutputError(message) from error


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Parameters
    ----------
    path : Path
        Where the file shall stand. Its folder must exist.
    data : bytes
        All of its contents.

    Raises
    ------
    OutputError
        If the file cannot be written; an older one stays as it was.
    """
    with WholeFile(path) as file:
        file.write(data)


@contextmanager
def written_whole(path: Path) -> Iterator[BytesIO]:
    """Collect what a library writes to a stream, and write the file whole when the block ends without an error.

    Parameters
    ----------
    path : Path
        Where the file shall stand. Its folder must exist.

    Yields
    ------
    BytesIO
        The stream; it may be written in any order.

    Raises
    ------
    OutputError
        If the file cannot be written; an older one stays as it was.
    """
    stream = BytesIO()
    yield stream
    write_whole(path, stream.getvalue())


def sync_folder(folder: Path) -> None:
    """Make the new name durable; systems that cannot open a folder do without."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
