"""Options that several commands share."""

from pathlib import Path

import click

from zipocr.config import MAX_PIXELS_LIMIT, ScanConfig

DEFAULTS = ScanConfig()
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, path_type=Path)
NEW_FOLDER = click.Path(file_okay=False, path_type=Path)

model_option = click.option(
    "--model",
    metavar="digits|mail|PATH",
    default=DEFAULTS.model,
    show_default=True,
    help="Model to read with.",
)
directory_option = click.option(
    "--directory",
    metavar="FILE",
    default=DEFAULTS.directory,
    type=FILE,
    help="Your own list of ZIP codes, used instead of the packaged directory.",
)
no_directory_option = click.option(
    "--no-directory",
    default=DEFAULTS.no_directory,
    is_flag=True,
    help="Read without a directory of ZIP codes.",
)
max_pixels_option = click.option(
    "--max-pixels",
    default=DEFAULTS.max_pixels,
    show_default=True,
    type=click.IntRange(1, MAX_PIXELS_LIMIT),
    help="Maximum number of pixels of a page.",
)
results_argument = click.argument("results", metavar="RESULTS", type=FILE)
