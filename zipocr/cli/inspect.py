"""``zipocr inspect``: show how pages are read."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zipocr.cli.interrupts import graceful_shutdown
from zipocr.cli.options import (
    FILE,
    NEW_FOLDER,
    directory_option,
    max_pixels_option,
    model_option,
    no_directory_option,
)
from zipocr.cli.terminal import say, show
from zipocr.errors import ExitCode, OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zipocr.batch.draw_pages import Sheet


@click.command()
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=FILE)
@click.option(
    "-o", "--output", metavar="DIR", default=".", type=NEW_FOLDER, help="Folder for the sheets."
)
@model_option
@directory_option
@no_directory_option
@max_pixels_option
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Time limit per page; default: 60.",
)
@click.option(
    "--text", is_flag=True, help="Print the 8x8 grids and readings instead of drawing sheets."
)
def inspect(
    images: tuple[Path, ...],
    *,
    output: Path,
    model: str,
    directory: Path | None,
    no_directory: bool,
    max_pixels: int,
    timeout: float | None,
    text: bool,
) -> None:
    """Draw one sheet per page that shows how it was read.

    A sheet shows the crop, its ink, the regions of the digits, the 8x8 grids of the digits and the
    ZIP. Sheets are PNG files named after image and page; the path of each is printed.
    """
    from zipocr.batch.backend_choice import choose_local
    from zipocr.batch.draw_pages import SheetSettings, draw_files
    from zipocr.cli.directories import own_directory
    from zipocr.drawing.debug_sheet import TEXT_COLUMNS
    from zipocr.images.decode import silence_decoders
    from zipocr.images.listing import ImageFile
    from zipocr.results.cells import to_cell

    click.get_current_context().with_resource(graceful_shutdown())
    silence_decoders()
    settings = SheetSettings(
        model=model,
        use_directory=not no_directory,
        directory=own_directory(directory, no_directory=no_directory),
        max_pixels=max_pixels,
        columns=shutil.get_terminal_size((TEXT_COLUMNS, 0)).columns if text else None,
    )
    files = [ImageFile(place=str(path), name=to_cell(path.name)) for path in dict.fromkeys(images)]
    backend = choose_local(files, len(files), timeout=timeout)
    taken = {path.resolve() for path in images}
    failed = False
    with closing(draw_files(files, settings, backend=backend)) as drawn:
        for file, sheets in drawn:
            failed |= _deliver(Path(file.place), sheets, output, taken)
    if failed:
        click.get_current_context().exit(ExitCode.SOME_INPUTS_FAILED)


def _deliver(path: Path, sheets: Sequence[Sheet], output: Path, taken: set[Path]) -> bool:
    """Write the sheets of a file or print its texts; return whether a page failed."""
    from zipocr.results.cells import to_cell
    from zipocr.storage.atomic import write_whole

    for number, sheet in enumerate(sheets, start=1):
        if isinstance(sheet, bytes):
            place = _free_path(_made(output), f"{path.stem}-p{number}", taken)
            write_whole(place, sheet)
            show(to_cell(str(place)))
        elif isinstance(sheet, str):
            show(sheet)
        else:
            say(f"{to_cell(str(path))}, page {number}: {sheet.reason}, {sheet.detail}")
    return not all(isinstance(sheet, bytes | str) for sheet in sheets)


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = (
            f"Cannot make the folder {folder}: {error.strerror}. Choose another place with -o."
        )
        raise OutputError(message) from error
    return folder


def _free_path(folder: Path, stem: str, taken: set[Path]) -> Path:
    """Reserve a path for a sheet that is neither an input nor a sheet of this run.

    ``a/x.png`` and ``b/x.tif`` share a stem.
    """
    sheet, count = folder / f"{stem}.zipocr.png", 1
    while sheet.resolve() in taken:
        count += 1
        sheet = folder / f"{stem}-{count}.zipocr.png"
    taken.add(sheet.resolve())
    return sheet
