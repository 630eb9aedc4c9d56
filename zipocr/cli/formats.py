"""The options --output and --format."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import click


def check_extra(extra: str, *packages: str, need: str) -> None:
    """Fail before any work if a package of an extra is missing."""
    if any(find_spec(package) is None for package in packages):
        raise click.UsageError(f"{need} needs an extra: pip install 'zipocr[{extra}]'.")


def check_format(target: str, name: str | None = None) -> None:
    """Refuse an output before any work if its ending is unknown or a package is missing."""
    from zipocr.errors import OutputError
    from zipocr.results.formats import usable_format
    from zipocr.results.sinks import STDOUT

    try:
        chosen = usable_format(target, name=name)
    except OutputError as error:
        raise click.UsageError(str(error)) from error
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    if target == STDOUT and is_terminal and not chosen.is_text:
        raise click.UsageError(f"{chosen.name} is not text. Write it to a file with --output.")
