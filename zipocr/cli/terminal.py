"""Standard output and standard error: the only way by which text reaches a terminal.

None reaches it raw: names and cells of files may hold what a terminal obeys.
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
    """Write what was asked for to standard output.

    Raises
    ------
    OutputError
        If it is closed, or cannot be written.
    BrokenPipeError
        If whoever read it has left.
    """
    show_as_it_is(printable_lines(text) + "\n")


def show_as_it_is(text: str) -> None:
    """Write what is drawn for a terminal; its words have to be printable already."""
    from zipocr.results.sinks import standard_output

    with standard_output():
        click.echo(text, nl=False)


def say(text: str) -> None:
    """Tell people something on standard error. That it cannot be heard ends nothing."""
    with suppress(OSError):
        click.echo(printable_lines(text), err=True)


class PlainLines(logging.Formatter):
    """Log records as lines that are printable."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        return printable_lines(super().format(record))
