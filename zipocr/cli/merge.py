"""``zipocr merge``: join parts into one file."""

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
    help="Format on standard output: csv, jsonl, parquet or sqlite; default: csv.",
)
@click.option("--force", is_flag=True, help="Replace an existing output.")
def merge(parts: Path, *, output: str, name: str | None, force: bool) -> None:
    """Merge the parts of a large scan into one file.

    PARTS is the folder that 'zipocr scan --manifest FILE --out-dir PARTS' has filled. It must
    contain all parts of one run and no others. The CSV is byte for byte that of a single scan.
    """
    if find_spec("pyarrow") is None:
        raise click.UsageError(
            "Parts are Parquet files, which need an extra: pip install 'zipocr[parquet]'."
        )
    from zipocr.evaluation.report.text import counted
    from zipocr.output.shards import find_parts
    from zipocr.results.sinks import STDOUT
    from zipocr.storage.atomic import refuse_existing

    target = Path(output)
    if target.resolve().parent == parts.resolve():
        raise click.UsageError("--output would be among the parts; name a file in another folder.")
    check_format(output, name)
    if output != STDOUT:
        refuse_existing(target, force=force)
    with graceful_shutdown():
        merger = find_parts(parts)
        rows = merger.write(output, name=name, force=force)
        say(f"{counted(rows, 'row')} of {counted(len(merger.parts), 'part')}")
