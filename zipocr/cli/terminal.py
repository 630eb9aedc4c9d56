"""Standard output and standard error; all text for a terminal passes through here.

Text is made printable, since names and cells may contain terminal control sequences.
"""

from __future__ import annotations

import logging
from contextlib import suppress

import click

from zipocr.errors import printable


def printable_lines(text: str) -> str:
    """Make each line printable."""
    return "\n".join(map(printable, text.split("\n")))


def show(text: str) -> None:
    """Write requested output to standard output.

    Raises
    ------
    OutputError
        If it is closed, or cannot be written.
    BrokenPipeError
        If its reader has gone away.
    """
    show_as_it_is(printable_lines(text) + "\n")


def show_as_it_is(text: str) -> None:
    """Write text formatted for a terminal; its words must be printable already."""
    from zipocr.results.sinks import standard_output

    with standard_output():
        click.echo(text, nl=False)


def say(text: str) -> None:
    """Print a message for people on standard error; failure to print is ignored."""
    with suppress(OSError):
        click.echo(printable_lines(text), err=True)


class PlainLines(logging.Formatter):
    """Formatter that writes log records as printable lines."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        return printable_lines(super().format(record))
