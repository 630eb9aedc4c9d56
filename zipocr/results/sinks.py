"""Where rows go: standard output or a file, in any format."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TextIO

from zipocr.errors import OutputError

STDOUT = "-"


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> object:
        """Take bytes."""

    def flush(self) -> None:
        """Hand them on."""


class LineWriter(Protocol):
    """What takes rows as `format_rows` writes them, in whatever format it keeps them."""

    def write_lines(self, text: str, /) -> None:
        """Append rows."""

    def flush(self) -> None:
        """Hand on what was appended, if the format can be handed on in pieces."""


class Stdout:
    """Standard output as bytes, whatever the locale."""

    def write(self, data: bytes, /) -> None:
        """Hand on bytes."""
        with standard_output() as stream:
            stream.buffer.write(data)

    def flush(self) -> None:
        """Hand on what is buffered."""
        with standard_output() as stream:
            stream.buffer.flush()


@contextmanager
def standard_output() -> Iterator[TextIO]:
    """Give standard output for a moment.

    Raises
    ------
    OutputError
        If it was closed when the program began, or cannot be written in the block.
    BrokenPipeError
        If whoever read it has left.
    """
    if sys.stdout is None:
        raise OutputError(
            "Standard output is closed. Lead it somewhere, or write to a file with --output."
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
    """Name a companion of the results."""
    return path.with_name(path.name + suffix)


def abandon_stdout() -> None:
    """Let standard output lead nowhere.

    What is still buffered would fail once more when Python exits.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
