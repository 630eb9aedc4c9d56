"""``zipocr scan``: the main job."""

from __future__ import annotations

import sys
import time
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from zipocr.cli.interrupts import orderly_end
from zipocr.cli.logs import LOG, console, log_outcome, logs
from zipocr.cli.sizes import to_size
from zipocr.config import LARGEST_MAX_PIXELS, ScanConfig
from zipocr.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from zipocr.backends import Backend
    from zipocr.backends.processes import ProcessBackend
    from zipocr.batch import BatchSettings, Outcome
    from zipocr.images import Listing
    from zipocr.outputs import Output

DEFAULTS = ScanConfig()
# So few files are read sooner than further processes have started.
SERIAL_UP_TO = 8
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
@click.option(
    "--resume", default=DEFAULTS.resume, is_flag=True, help="Go on with a run that did not end, without reading again what it read."
)
@click.option("--force", default=DEFAULTS.force, is_flag=True, help="Replace an output or journal that is there.")
@click.option(
    "--timeout",
    default=DEFAULTS.timeout,
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="What a page may take before it is given up; the default is 60, and no limit for up to 8 files.",
)
@click.option(
    "--max-memory-per-worker",
    default=DEFAULTS.max_memory_per_worker,
    type=to_size,
    metavar="SIZE",
    help="What a worker process may take, like 800M or 2G; a page that needs more is given up. The default is no limit.",
)
@click.option("-v", "--verbose", default=DEFAULTS.verbose, count=True, help="Say what happens as it happens; twice: every page.")
@click.option(
    "--log-file",
    default=DEFAULTS.log_file,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Append what happens to this file as JSON lines.",
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
    resume: bool,
    force: bool,
    timeout: float | None,
    max_memory_per_worker: int | None,
    verbose: int,
    log_file: Path | None,
    quiet: bool,
) -> None:
    """Read the ZIP code on every page of image files and folders.

    PATHs are PNG, JPEG, TIFF (all pages), BMP, WebP, PDF and HEIC files, and folders, which are searched recursively for such files. Every
    page gets one row of CSV, in the order of the input. An output file appears when it is complete; until then what is finished is kept in
    a journal beside it, FILE.journal, that --resume goes on with. What made the rows is told in FILE.json.

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
        resume=resume,
        force=force,
        timeout=timeout,
        max_memory_per_worker=max_memory_per_worker,
        verbose=verbose,
        log_file=log_file,
        quiet=quiet,
    )
    check_threshold(ctx, config)
    check_places(paths, config)
    with orderly_end(), logs(config):
        ctx.exit(_scan(paths, config))


def check_threshold(ctx: click.Context, config: ScanConfig) -> None:
    """Refuse two ways to choose the threshold, and what is no number."""
    if ctx.get_parameter_source("max_error") is not ParameterSource.DEFAULT and config.min_confidence is not None:
        raise click.UsageError("--max-error and --min-confidence both choose the threshold; give one of them.")
    if isnan(config.max_error) or (config.min_confidence is not None and isnan(config.min_confidence)):
        raise click.UsageError("--max-error and --min-confidence need a number from 0 to 1.")


def check_places(paths: Sequence[Path], config: ScanConfig) -> None:
    """Refuse outputs that would destroy or mix with the inputs, before anything is read."""
    from zipocr.images import SUFFIXES

    if config.resume and (config.force or config.output == "-"):
        raise click.UsageError("--resume goes on with the journal of an --output FILE, --force throws it away.")
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
    """Find what to read, and what of it is read already."""
    from zipocr.batch import least_confidence
    from zipocr.images import list_inputs
    from zipocr.model_file import load_model
    from zipocr.outputs import completed, identify, list_digest, open_output

    settings = settings_of(config)
    # A model that cannot be used, or cannot promise so few errors, is refused before a header is out.
    least_confidence(load_model(config.model), settings)
    listing = list_inputs(paths, exclude=config.debug)
    identity = identify("scan", settings, limits_of(config), list_digest(listing.files))
    if config.resume and (counts := completed(config.output, identity)) is not None:
        tell([f"{config.output} is complete already"], config)
        return exit_code(counts)
    with open_output(config.output, identity, resume=config.resume, force=config.force) as output:
        try:
            return _read(paths, listing, settings, output, config)
        except BaseException:
            if output.finished and not config.quiet:
                kept = f"{output.finished} of {len(listing.files)} inputs are finished; go on with the same command and --resume"
                click.echo(kept, err=True)
            raise


def _read(paths: Sequence[Path], listing: Listing, settings: BatchSettings, output: Output, config: ScanConfig) -> ExitCode:
    """Read, write, count, tell."""
    from zipocr.batch import read_files

    began = time.monotonic()
    tally = Tally(skipped=listing.skipped)
    rest = listing.files[output.finished :]
    LOG.info("reading %d files, of which %d are finished", len(listing.files), output.finished)
    with _progress(len(listing.files), quiet=config.quiet) as advance:
        for outcome in output.replay():
            tally.add(outcome)
            advance()
        tally.begin_anew()
        with closing(read_files(rest, settings, backend=choose_backend(config, len(rest)))) as outcomes:
            for outcome in outcomes:
                output.write(outcome)
                tally.add(outcome)
                log_outcome(outcome)
                advance()
    output.complete({**facts_of(config), "paths": [to_text(path) for path in paths], "counts": dict(tally.counts)})
    tell(tally.lines(seconds=time.monotonic() - began), config)
    return exit_code(tally.counts)


def settings_of(config: ScanConfig) -> BatchSettings:
    """Give what the reading processes need to know. The user's list of ZIPs is read here and now; it may change while the run goes on."""
    from zipocr.batch import BatchSettings
    from zipocr.cli.directories import own_directory

    return BatchSettings(
        model=config.model,
        max_error=config.max_error,
        min_confidence=config.min_confidence,
        use_directory=not config.no_directory,
        directory=own_directory(config.directory, no_directory=config.no_directory),
        max_pixels=config.max_pixels,
        debug=config.debug,
    )


def limits_of(config: ScanConfig) -> dict[str, object]:
    """Give the options that may cost a page its reading."""
    return {"timeout": config.timeout, "max_memory_per_worker": config.max_memory_per_worker}


def facts_of(config: ScanConfig) -> dict[str, object]:
    """Give what decides no row but is worth knowing years later."""
    return {
        "model_name": config.model,
        "directory_file": config.directory and to_text(config.directory),
        "jobs": config.jobs,
        "debug": config.debug and to_text(config.debug),
        "folder": to_text(Path.cwd()),
    }


def to_text(path: Path) -> str:
    """Write a path as the rows write names."""
    from zipocr.results import to_cell

    return to_cell(str(path))


def exit_code(counts: Mapping[str, int]) -> ExitCode:
    """Tell whether all inputs could be opened."""
    return ExitCode.SOME_INPUTS_FAILED if counts.get("failed") else ExitCode.DONE


def tell(lines: Iterable[str], config: ScanConfig) -> None:
    """Say something at the end, to people and to the log."""
    for line in lines:
        LOG.info("%s", line)
        if not (config.quiet or config.verbose):
            click.echo(line, err=True)


def choose_backend(config: ScanConfig, files: int) -> Backend:
    """Further processes only where they can pay, or where a limit is asked for that a process cannot set itself."""
    limited = config.timeout is not None or config.max_memory_per_worker is not None
    if files <= SERIAL_UP_TO and not limited:
        from zipocr.backends.serial import SerialBackend

        return SerialBackend()
    return make_workers(config, files)


def make_workers(config: ScanConfig, most: int) -> ProcessBackend:
    """Make the backend of several processes, at most so many."""
    from zipocr.backends import usable_cores
    from zipocr.backends.processes import DEFAULT_TIMEOUT, ProcessBackend

    jobs = max(1, min(config.jobs or usable_cores(), most))
    return ProcessBackend(jobs=jobs, timeout=config.timeout or DEFAULT_TIMEOUT, max_memory=config.max_memory_per_worker)


@contextmanager
def _progress(files: int, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """A bar on standard error where that is a terminal; otherwise nothing."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("reading", BarColumn(), MofNCompleteColumn(), "files", TimeRemainingColumn())
    with Progress(*columns, console=console(), transient=True) as bar:
        task = bar.add_task("reading", total=files)
        yield lambda: bar.advance(task)


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts what became of the pages, for the summary."""

    skipped: int
    counts: Counter[str] = field(default_factory=Counter)
    named: list[str] = field(default_factory=list)
    earlier: int = 0

    def begin_anew(self) -> None:
        """Take what was counted up to now for the work of an earlier run."""
        self.earlier = self.counts.total()

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
        from zipocr.batch import FAILURES

        counts = self.counts
        pages = counts.total()
        yield from (f"failed: {name}" for name in self.named)
        if counts["failed"] > len(self.named):
            yield f"failed: {counts['failed'] - len(self.named)} more, see the rows with one of the reasons {', '.join(sorted(FAILURES))}"
        if not pages:
            yield "warning: no images found"
        if self.skipped:
            yield f"skipped {self.skipped} other files"
        parts = f"read {counts['read']}, to review {counts['review']}, unread {counts['unread']}, failed {counts['failed']}"
        before = f", {self.earlier} of them before," if self.earlier else ""
        yield f"{parts}; {pages} crops{before} in {seconds:.1f} s ({(pages - self.earlier) / max(seconds, 1e-9):.1f} crops per second)"
