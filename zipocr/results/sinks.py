"""Sinks of results: standard output and files."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TextIO

from zipocr.errors import OutputError

STDOUT = "-"


class Sink(Protocol):
    """A sink of bytes."""

    def write(self, data: bytes, /) -> object:
        """Write bytes."""

    def flush(self) -> None:
        """Flush what is buffered."""


class LineWriter(Protocol):
    """A writer of rows as lines of CSV, whatever format it stores them in."""

    def write_lines(self, text: str, /) -> None:
        """Append rows."""

    def flush(self) -> None:
        """Flush what was appended, if the format allows that."""


class Stdout:
    """Standard output as a sink of bytes, independent of the locale."""

    def write(self, data: bytes, /) -> None:
        """Write bytes."""
        with standard_output() as stream:
            stream.buffer.write(data)

    def flush(self) -> None:
        """Flush what is buffered."""
        with standard_output() as stream:
            stream.buffer.flush()


@contextmanager
def standard_output() -> Iterator[TextIO]:
    """Yield standard output.

    Raises
    ------
    OutputError
        If it was closed when the program started, or cannot be written.
    BrokenPipeError
        If its reader has gone away.
    """
    if sys.stdout is None:
        raise OutputError(
            "Standard output is closed. Redirect it, or write to a file with --output."
        )
    try:
        yield sys.stdout
    except BrokenPipeError:
        abandon_stdout()
        raise
    except OSError as error:
        abandon_stdout()
        message = (
            f"Cannot write to standard output: {error.strerror}. Write to a file with --output."
        )
        raise OutputError(message) from error


def sidecar_path(path: Path, suffix: str) -> Path:
    """Return the path of a companion of the results, such as its JSON."""
    return path.with_name(path.name + suffix)


def abandon_stdout() -> None:
    """Redirect standard output to the null device.

    Otherwise flushing its buffer would fail again when Python exits.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
