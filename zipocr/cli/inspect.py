"""``zipocr inspect``: look at how pages are read."""

import shutil
from pathlib import Path

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
    text: bool,
) -> None:
    """Draw one sheet per page that shows how it was read.

    A sheet shows the crop, its ink, the regions of the digits, the 8x8 grids of the digits and the
    ZIP. Sheets are PNG files named after image and page; the path of each is printed.
    """
    from zipocr.cli.directories import own_directory
    from zipocr.drawing.debug_sheet import TEXT_COLUMNS, draw_sheet, grids_as_text
    from zipocr.images.decode import read_pages, silence_decoders
    from zipocr.images.encode import write_png
    from zipocr.mail_reader import MailReader
    from zipocr.models.model_file import load_model
    from zipocr.results.cells import to_cell
    from zipocr.types import Unread

    click.get_current_context().with_resource(graceful_shutdown())
    places = own_directory(directory, no_directory=no_directory)
    silence_decoders()
    reader = MailReader(load_model(model), use_directory=not no_directory, directory=places)
    taken = {path.resolve() for path in images}
    failed = False
    for path in dict.fromkeys(images):
        for number, page in enumerate(read_pages(path, max_pixels=max_pixels), start=1):
            if isinstance(page, Unread):
                failed = True
                say(f"{to_cell(str(path))}, page {number}: {page.reason}, {page.detail}")
                continue
            trace, title = reader.trace(page), f"{to_cell(path.name)}  page {number}"
            if text:
                columns = shutil.get_terminal_size((TEXT_COLUMNS, 0)).columns
                show(f"{title}\n\n{grids_as_text(trace, columns=columns)}\n")
            else:
                sheet = _free_path(_made(output), f"{path.stem}-p{number}", taken)
                write_png(sheet, draw_sheet(trace, title=title))
                show(to_cell(str(sheet)))
    if failed:
        click.get_current_context().exit(ExitCode.SOME_INPUTS_FAILED)


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
    """Return a path for a sheet that is neither an input nor a sheet of this run, and take it.

    ``a/x.png`` and ``b/x.tif`` share a stem.
    """
    sheet, count = folder / f"{stem}.zipocr.png", 1
    while sheet.resolve() in taken:
        count += 1
        sheet = folder / f"{stem}-{count}.zipocr.png"
    taken.add(sheet.resolve())
    return sheet
