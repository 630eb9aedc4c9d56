"""The options --directory and --no-directory of the reading commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from zipocr.types import Place


def own_directory(file: Path | None, *, no_directory: bool) -> Mapping[str, Place] | None:
    """Read the user's own list of ZIP codes.

    Return None if none was given. Giving both options is a usage error.
    """
    if file is None:
        return None
    if no_directory:
        raise click.UsageError(
            "--directory and --no-directory contradict each other; give one of them."
        )
    from zipocr.models.directory_file import read_directory

    return read_directory(file)
