"""``zipocr apply``: put the decisions of a review into results."""

from __future__ import annotations

from pathlib import Path

import click

from zipocr.cli.formats import check_format
from zipocr.cli.options import FILE, NEW_FILE, directory_option, results_argument
from zipocr.cli.terminal import say


@click.command()
@results_argument
@click.argument("corrections", metavar="CORRECTIONS.csv...", nargs=-1, required=True, type=FILE)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    required=True,
    type=NEW_FILE,
    help="Output file; the ending .csv, .jsonl, .parquet, .sqlite or .db chooses the format.",
)
@directory_option
@click.option("--no-directory", is_flag=True, help="Leave city and state empty.")
@click.option("--force", is_flag=True, help="Replace an existing output.")
def apply(
    *,
    results: Path,
    corrections: tuple[Path, ...],
    output: Path,
    directory: Path | None,
    no_directory: bool,
    force: bool,
) -> None:
    """Put the decisions of a review into the results, as a new file.

    A row that was decided gets the right ZIP, the status read, the confidence 1, and city and state
    from the directory; a page without a ZIP becomes unread. The reason says that a person decided.
    All other rows stay as they are; from CSV to CSV they are copied byte for byte.

    Give the corrections of everyone who reviewed these results. Nothing is written if two reviewers
    disagree about a page, if a page is not in the results, or if the results have another ZIP for
    it.

    Exit status: 0; 2 for wrong usage; 3 for errors in the results, the corrections or the list of
    ZIP codes; 5 for errors writing the output.
    """
    from zipocr.cli.directories import own_directory
    from zipocr.decode.directory import places
    from zipocr.images.lookup import read_provenance
    from zipocr.output.apply_corrections import apply as put_in
    from zipocr.output.apply_corrections import refuse_inputs, write_provenance
    from zipocr.results.corrections import merge_corrections

    inputs = [*corrections, *([] if directory is None else [directory])]
    refuse_inputs(output, [results, *inputs])
    check_format(str(output))
    own = own_directory(directory, no_directory=no_directory)
    listed = {} if no_directory else places() if own is None else own
    made = read_provenance(results)
    decisions = merge_corrections(corrections)
    counts = put_in(results, decisions, output, places=listed, inputs=inputs, force=force)
    write_provenance(
        output, results=results, made=made, corrections=corrections, counts=counts, force=force
    )
    told = ", ".join(f"{word.replace('_', ' ')} {count}" for word, count in sorted(counts.items()))
    say(f"wrote {output}: {told or 'no rows'}")
