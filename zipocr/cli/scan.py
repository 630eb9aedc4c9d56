"""``zipocr scan``: the main job."""

from __future__ import annotations

import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from zipocr.config import LARGEST_MAX_PIXELS, ScanConfig
from zipocr.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from zipocr.backends import Backend
    from zipocr.batch import Outcome

DEFAULTS = ScanConfig()
# So few files are read sooner than further processes have started.
SERIAL_UP_TO = 8
LARGEST_CHUNK = 8
FAILURES_NAMED = 20


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", default=DEFAULTS.output, metavar="FILE", help="CSV file to write; the default, -, is standard output.")
@click.option("--jobs", default=DEFAULTS.jobs, type=click.IntRange(min=0), metavar="N", help="Processes; the default, 0, is one per core.")
@click.option("--model", default=DEFAULTS.model, show_default=True, metavar="NAME|PATH", help="Model: digits, mail or a model file.")
@click.option(
    "--max-error",
    default=DEFAULTS.max_error,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True),
    metavar="E",
    help="Share of ZIPs that may be wrong among those that count as read; the model knows the confidence it takes.",
)
@click.option(
    "--min-confidence",
    default=DEFAULTS.min_confidence,
    type=click.FloatRange(0, 1),
    metavar="P",
    help="Confidence from which a ZIP counts as read, instead of --max-error.",
)
@click.option(
    "--directory",
    default=DEFAULTS.directory,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Your own list of ZIP codes, to be used instead of the packaged directory.",
)
@click.option("--no-directory", default=DEFAULTS.no_directory, is_flag=True, help="Read without any directory of ZIP codes.")
@click.option(
    "--debug",
    default=DEFAULTS.debug,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Draw a picture of how each page was read into this folder.",
)
@click.option(
    "--max-pixels",
    default=DEFAULTS.max_pixels,
    show_default=True,
    type=click.IntRange(1, LARGEST_MAX_PIXELS),
    metavar="N",
    help="Pages with more pixels are not opened.",
)
@click.option("--quiet", default=DEFAULTS.quiet, is_flag=True, help="No progress, summary or warnings.")
@click.pass_context
def scan(
    ctx: click.Context,
    *,
    paths: tuple[Path, ...],
    output: str,
    jobs: int,
    model: str,
    max_error: float,
    min_confidence: float | None,
    directory: Path | None,
    no_directory: bool,
    debug: Path | None,
    max_pixels: int,
    quiet: bool,
) -> None:
    """Read the ZIP code on every page of image files and folders.

    PATHs are PNG, JPEG, TIFF (all pages), BMP, WebP, PDF and HEIC files, and folders, which are searched recursively for such files. Every
    page gets one row of CSV, in the order of the input. An output file appears when it is complete and replaces an older one.

    --directory takes one ZIP a line, or CSV with the header zip, zip,city or zip,city,state.

    Exit status: 0 if every input could be opened, whatever was read; 1 if some could not (their rows stand and say why); 2 for wrong
    usage; 3, 4, 5 and 6 for trouble with the list of ZIP codes, the model, the output or the processes; 130 if interrupted.
    """
    config = ScanConfig(
        output=output,
        jobs=jobs,
        model=model,
        max_error=max_error,
        min_confidence=min_confidence,
        directory=directory,
        no_directory=no_directory,
        debug=debug,
        max_pixels=max_pixels,
        quiet=quiet,
    )
    _check_threshold(config, max_error_given=ctx.get_parameter_source("max_error") is not ParameterSource.DEFAULT)
    _check_places(paths, config)
    ctx.exit(_scan(paths, config))


def _check_threshold(config: ScanConfig, *, max_error_given: bool) -> None:
    """Refuse two ways to choose the threshold, and what is no number."""
    if max_error_given and config.min_confidence is not None:
        raise click.UsageError("--max-error and --min-confidence both choose the threshold; give one of them.")
    if isnan(config.max_error) or (config.min_confidence is not None and isnan(config.min_confidence)):
        raise click.UsageError("--max-error and --min-confidence need a number from 0 to 1.")


def _check_places(paths: Sequence[Path], config: ScanConfig) -> None:
    """Refuse outputs that would destroy or mix with the inputs, before anything is read."""
    from zipocr.images import SUFFIXES

    if not config.output:
        raise click.UsageError("--output needs a file name, or - for standard output.")
    output = Path(config.output)
    if output.suffix.lower() in SUFFIXES or any(output.exists() and output.samefile(path) for path in paths if path.is_file()):
        message = f"{config.output} is an image; name the CSV file to write."
        raise click.BadParameter(message, param_hint="'--output'")
    if config.directory and output.exists() and output.samefile(config.directory):
        message = f"{config.output} is your list of ZIP codes; name another file to write."
        raise click.BadParameter(message, param_hint="'--output'")
    if config.debug and config.debug.resolve() in {path.resolve() for path in paths}:
        message = f"{config.debug} is what you scan; name another folder for the pictures."
        raise click.BadParameter(message, param_hint="'--debug'")


def _scan(paths: Sequence[Path], config: ScanConfig) -> ExitCode:
    """Read, write, count, tell."""
    from zipocr.batch import BatchSettings, least_confidence, read_files
    from zipocr.cli.directories import own_directory
    from zipocr.images import list_inputs
    from zipocr.model_file import load_model
    from zipocr.results import open_results

    began = time.monotonic()
    settings = BatchSettings(
        model=config.model,
        max_error=config.max_error,
        min_confidence=config.min_confidence,
        use_directory=not config.no_directory,
        directory=own_directory(config.directory, no_directory=config.no_directory),
        max_pixels=config.max_pixels,
        debug=config.debug,
    )
    # A model that cannot be used, or cannot promise so few errors, is refused before a header is out.
    least_confidence(load_model(config.model), settings)
    listing = list_inputs(paths, exclude=config.debug)
    backend = _choose_backend(config.jobs, len(listing.files))
    tally = Tally(skipped=listing.skipped)
    with open_results(config.output) as results, _progress(len(listing.files), quiet=config.quiet) as advance:
        for outcome in read_files(listing.files, settings, backend=backend):
            results.write(outcome.rows)
            tally.add(outcome)
            advance()
    if not config.quiet:
        for line in tally.lines(seconds=time.monotonic() - began):
            click.echo(line, err=True)
    return ExitCode.SOME_INPUTS_FAILED if tally.counts["failed"] else ExitCode.DONE


def _choose_backend(jobs: int, files: int) -> Backend:
    """Further processes only where they can pay; chunks small enough that all have work until the end."""
    from zipocr.backends import usable_cores

    jobs = min(jobs or usable_cores(), files)
    if jobs <= 1 or files <= SERIAL_UP_TO:
        from zipocr.backends.serial import SerialBackend

        return SerialBackend()
    from zipocr.backends.processes import ProcessBackend

    return ProcessBackend(jobs=jobs, chunk=max(1, min(LARGEST_CHUNK, files // (4 * jobs))))


@contextmanager
def _progress(files: int, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """A bar on standard error where that is a terminal; otherwise nothing."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("reading", BarColumn(), MofNCompleteColumn(), "files", TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=files)
        yield lambda: bar.advance(task)


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts what became of the pages, for the summary."""

    skipped: int
    counts: Counter[str] = field(default_factory=Counter)
    named: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count a file's pages; a page that could not be opened is ``failed`` and not ``unread``."""
        from zipocr.batch import FAILURES
        from zipocr.results import to_cell

        for row in outcome.rows:
            self.counts["failed" if FAILURES.intersection(row.reason) else row.status] += 1
        room = FAILURES_NAMED - len(self.named)
        self.named.extend(f"{to_cell(outcome.rows[0].file)}: {failure}" for failure in outcome.failures[:room])

    def lines(self, *, seconds: float) -> Iterator[str]:
        """Say it in a few lines, the failures first and the totals last."""
        counts = self.counts
        pages = counts.total()
        yield from (f"failed: {name}" for name in self.named)
        if counts["failed"] > len(self.named):
            yield f"failed: {counts['failed'] - len(self.named)} more, see the rows that are unread and their reasons"
        if not pages:
            yield "warning: no images found"
        if self.skipped:
            yield f"skipped {self.skipped} other files"
        parts = f"read {counts['read']}, to review {counts['review']}, unread {counts['unread']}, failed {counts['failed']}"
        yield f"{parts}; {pages} crops in {seconds:.1f} s ({pages / max(seconds, 1e-9):.1f} crops per second)"
