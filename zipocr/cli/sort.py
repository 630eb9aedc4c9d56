"""``zipocr sort``: put crops into folders by their ZIP or status."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zipocr.cli.options import FOLDER, NEW_FOLDER, results_argument
from zipocr.cli.terminal import say, show
from zipocr.errors import ExitCode

if TYPE_CHECKING:
    from zipocr.output.sort import Plan

BY = ("status", "zip3", "zip5", "state")
NAMED = 20


@click.command()
@results_argument
@click.option(
    "--into", metavar="DIR", required=True, type=NEW_FOLDER, help="Folder to create the folders in."
)
@click.option(
    "--by",
    type=click.Choice(BY),
    default=BY[0],
    show_default=True,
    help="What to group by.",
)
@click.option(
    "--images",
    metavar="DIR",
    type=FOLDER,
    help="Folder that the names in the results are relative to.",
)
@click.option("--copy", is_flag=True, help="Copy the files instead of linking them.")
@click.option(
    "--dry-run", is_flag=True, help="Print where each file would go, without doing anything."
)
@click.pass_context
def sort(
    ctx: click.Context,
    *,
    results: Path,
    into: Path,
    by: str,
    images: Path | None,
    copy: bool,
    dry_run: bool,
) -> None:
    """Put the images of results into folders, by status or by ZIP.

    Only pages with the status read go into the folder of their ZIP or state; the others go to
    review and unread. Files are hard-linked, which takes no space, or copied with --copy. Nothing
    is overwritten: of several files with the same name the first keeps it, and the next get -2, -3
    and so on. A file with several pages goes into the folder of each page, with the page number in
    its name.

    Images are searched where RESULTS.csv.json says they were scanned and in the current folder, or
    only in --images.

    Exit status: 0; 1 if some images were not found; 2 for wrong usage; 3 for errors in the results;
    5 for errors writing the folder.
    """
    from zipocr.images.lookup import sources_of
    from zipocr.output.sort import GroupBy, check, link_or_copy, plan
    from zipocr.results.cells import to_cell
    from zipocr.results.formats import read_results

    planned = plan(list(read_results(results)), sources_of(results, images), by=GroupBy(by))
    check(planned, into, copy=copy)
    done: Counter[bool] = Counter()
    for entry in planned.entries:
        if dry_run:
            show(
                f"{to_cell(str(entry.source))} -> {to_cell(str(into / entry.folder / entry.name))}"
            )
        else:
            done[link_or_copy(entry, into, copy=copy)] += 1
        if entry.is_renamed:
            say(f"renamed: {to_cell(str(entry.source))} to {entry.folder}/{to_cell(entry.name)}")
    _tell(planned, "would be" if dry_run else "", done, copy=copy)
    if planned.missing:
        ctx.exit(ExitCode.SOME_INPUTS_FAILED)


def _tell(planned: Plan, would: str, done: Counter[bool], *, copy: bool) -> None:
    """List images that were not found, and summarize in one line."""
    from zipocr.results.cells import to_cell

    for name in planned.missing[:NAMED]:
        say(f"not found: {to_cell(name)}")
    if len(planned.missing) > NAMED:
        say(f"not found: {len(planned.missing) - NAMED} more; say where they are with --images")
    folders = Counter(entry.folder for entry in planned.entries)
    named = ", ".join(f"{folder} {count}" for folder, count in sorted(folders.items())[:NAMED]) + (
        ", ..." if len(folders) > NAMED else ""
    )
    count = len(planned.entries) if would else done[True]
    verb = " ".join(part for part in (would, "copied" if copy else "linked") if part)
    there = f", {done[False]} existed already" if done[False] else ""
    say(f"{count} {verb}{there}, {len(planned.missing)} not found; {named or 'nothing'}")
