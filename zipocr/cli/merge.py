"""``zipocr merge``: one file out of many parts."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from zipocr.cli.formats import check_format
from zipocr.cli.interrupts import graceful_shutdown
from zipocr.cli.options import FOLDER
from zipocr.cli.terminal import say
from zipocr.config import RESULT_FORMATS


@click.command()
@click.argument("parts", metavar="PARTS", type=FOLDER)
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    help="File to write, whose name ends in .csv, .jsonl, .parquet, .sqlite or .db; or -, which is "
    "standard output.",
)
@click.option(
    "--format",
    "name",
    type=click.Choice(RESULT_FORMATS),
    metavar="NAME",
    help="What to write to standard output: csv, jsonl, parquet or sqlite; the default is csv.",
)
@click.option("--force", is_flag=True, help="Replace an output that is there.")
def merge(parts: Path, *, output: str, name: str | None, force: bool) -> None:
    """Put the parts of a large scan together.

    PARTS is the folder that 'zipocr scan --manifest FILE --out-dir PARTS' filled. All parts of one
    run must be there, and no others; the CSV is then, byte for byte, that of a scan in one go.
    """
    if find_spec("pyarrow") is None:
        raise click.UsageError(
            "Parts are Parquet, which takes another package: pip install 'zipocr[parquet]'."
        )
    from zipocr.output.shards import find_parts
    from zipocr.results.sinks import STDOUT
    from zipocr.storage.atomic import refuse_existing

    target = Path(output)
    if target.resolve().parent == parts.resolve():
        raise click.UsageError(
            "--output would stand among the parts; name a file in another folder."
        )
    check_format(output, name)
    if output != STDOUT:
        refuse_existing(target, force=force)
    with graceful_shutdown():
        merger = find_parts(parts)
        rows = merger.write(output, name=name, force=force)
        say(f"{rows} rows of {len(merger.parts)} parts")
