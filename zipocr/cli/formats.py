"""What the options --output and --format ask for."""

from __future__ import annotations

import sys

import click


def check_format(target: str, name: str | None = None) -> None:
    """Refuse before any work what cannot be written: unknown endings, missing packages."""
    from zipocr.errors import OutputError
    from zipocr.results.csv_file import STDOUT
    from zipocr.results.formats import usable_format

    try:
        chosen = usable_format(target, name=name)
    except OutputError as error:
        raise click.UsageError(str(error)) from error
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    if target == STDOUT and is_terminal and not chosen.is_text:
        raise click.UsageError(f"{chosen.name} is no text. Write it to a file with --output.")
