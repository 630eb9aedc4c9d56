"""``zipocr scan``: read files and folders."""

from __future__ import annotations

import shlex
import sys
import time
from contextlib import closing
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zipocr.cli.backends import check_backend, choose_backend
from zipocr.cli.config_file import rank, without_overruled
from zipocr.cli.formats import check_format
from zipocr.cli.interrupts import graceful_shutdown
from zipocr.cli.logs import LOG, log_outcome, logs
from zipocr.cli.manifest import check_manifest, scan_manifest
from zipocr.cli.options import (
    DEFAULTS,
    FILE,
    NEW_FILE,
    NEW_FOLDER,
    directory_option,
    no_directory_option,
)
from zipocr.cli.runs import (
    Tally,
    exit_code,
    facts_of,
    limits_of,
    progress,
    settings_of,
    tell,
    to_text,
)
from zipocr.cli.sizes import to_size
from zipocr.cli.terminal import say
from zipocr.config import BACKENDS, MAX_PIXELS_LIMIT, RESULT_FORMATS, ScanConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zipocr.batch.read_files import BatchSettings
    from zipocr.errors import ExitCode
    from zipocr.images.listing import ImageFile
    from zipocr.output.run import Output, Progress


@click.command()
@click.argument("paths", nargs=-1, metavar="PATH...", type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o",
    "--output",
    default=DEFAULTS.output,
    metavar="FILE",
    help="Output file; the ending .csv, .jsonl, .parquet, .sqlite or .db chooses the format. "
    "The default, -, is standard output.",
)
@click.option(
    "--format",
    default=DEFAULTS.format,
    type=click.Choice(RESULT_FORMATS),
    metavar="NAME",
    help="Format on standard output: csv, jsonl, parquet or sqlite; default: csv.",
)
@click.option(
    "--manifest",
    default=DEFAULTS.manifest,
    type=FILE,
    metavar="FILE",
    help="Read the files that this file lists, by path or s3:// URL, instead of PATHs: "
    "Parquet or CSV with a column path or file, or text with one path per line.",
)
@click.option(
    "--out-dir",
    default=DEFAULTS.out_dir,
    type=NEW_FOLDER,
    metavar="DIR",
    help="Folder for the Parquet parts of a manifest; existing parts are kept.",
)
@click.option(
    "--shard-size",
    default=DEFAULTS.shard_size,
    show_default=True,
    type=click.IntRange(1),
    metavar="N",
    help="Number of files per part.",
)
@click.option(
    "--backend",
    default=DEFAULTS.backend,
    show_default=True,
    type=click.Choice(BACKENDS),
    metavar="NAME",
    help=(
        "How to run: serial, processes, dask, or auto, which is serial for up to 12 small "
        "images and else processes."
    ),
)
@click.option(
    "--scheduler",
    default=DEFAULTS.scheduler,
    metavar="ADDRESS",
    help=(
        "Address of the Dask scheduler, like tcp://host:8786; without it, one is started on "
        "this machine."
    ),
)
@click.option(
    "--jobs",
    default=DEFAULTS.jobs,
    type=click.IntRange(min=0),
    metavar="N",
    help="Number of processes; default: 0, one per core.",
)
@click.option(
    "--model",
    default=DEFAULTS.model,
    show_default=True,
    metavar="NAME|PATH",
    help="Model: digits, mail or the path of a model file.",
)
@click.option(
    "--max-error",
    default=DEFAULTS.max_error,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True),
    metavar="E",
    help=(
        "Maximum error rate among pages that count as read; the model knows which confidence "
        "that takes."
    ),
)
@click.option(
    "--min-confidence",
    default=DEFAULTS.min_confidence,
    type=click.FloatRange(0, 1),
    metavar="P",
    help="Minimum confidence for a ZIP to count as read, instead of --max-error.",
)
@directory_option
@no_directory_option
@click.option(
    "--require-listed",
    default=DEFAULTS.require_listed,
    is_flag=True,
    help="Send every ZIP that is not in the directory to review, whatever its confidence.",
)
@click.option(
    "--debug",
    default=DEFAULTS.debug,
    type=NEW_FOLDER,
    metavar="DIR",
    help="Folder for pictures of how each page was read.",
)
@click.option(
    "--max-pixels",
    default=DEFAULTS.max_pixels,
    show_default=True,
    type=click.IntRange(1, MAX_PIXELS_LIMIT),
    metavar="N",
    help="Maximum number of pixels of a page; larger ones are not opened.",
)
@click.option(
    "--resume",
    default=DEFAULTS.resume,
    is_flag=True,
    help="Continue an interrupted run without reading its finished files again.",
)
@click.option(
    "--force",
    default=DEFAULTS.force,
    is_flag=True,
    help="Replace an existing output or journal.",
)
@click.option(
    "--timeout",
    default=DEFAULTS.timeout,
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Time limit per page; default: 60.",
)
@click.option(
    "--max-memory-per-worker",
    default=DEFAULTS.max_memory_per_worker,
    type=to_size,
    metavar="SIZE",
    help=(
        "Memory limit of a worker process, like 800M or 4G; a page that needs more is given up. "
        "Default: 2G."
    ),
)
@click.option(
    "--patience",
    default=DEFAULTS.patience,
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help=(
        "How long to wait for a file on S3 before the run ends; default: 30, or half of --timeout."
    ),
)
@click.option(
    "-v",
    "--verbose",
    default=DEFAULTS.verbose,
    count=True,
    help="Log progress to standard error; -vv logs every page.",
)
@click.option(
    "--log-file",
    default=DEFAULTS.log_file,
    type=NEW_FILE,
    metavar="FILE",
    help="Append the log to this file as JSON lines.",
)
@click.option(
    "--quiet", default=DEFAULTS.quiet, is_flag=True, help="No progress, summary or warnings."
)
@click.pass_context
def scan(ctx: click.Context, /, *, paths: tuple[Path, ...], **options: Any) -> None:
    """Read the ZIP code on every page of image files and folders.

    PATHs are PNG, JPEG, TIFF (all pages), BMP, WebP, PDF and HEIC files, and folders, which are
    searched recursively for such files. Every page gets one row, in the order of the input. The
    output file appears when it is complete. Until then, finished inputs are kept in a journal
    beside it, FILE.journal, from which --resume continues. FILE.json records how the rows were
    made.

    For very many files, --manifest FILE --out-dir DIR writes parts instead, which 'zipocr merge
    DIR' joins.

    --directory takes a text file with one ZIP per line, or CSV with the header zip, zip,city or
    zip,city,state.

    Exit status: 0 if every input could be opened; 1 if some could not (their rows say why); 2 for
    wrong usage; 3, 4, 5 and 6 for errors with the list of ZIP codes, the model, the output or the
    worker processes; 130 if interrupted.
    """
    # Every option is a field of the same name.
    config = without_overruled(ctx, ScanConfig(**options))
    check_threshold(ctx, config)
    check_backend(config)
    if config.manifest or config.out_dir or not paths:
        check_manifest(ctx, paths, config)
    else:
        check_places(paths, config)
    with graceful_shutdown(), logs(config):
        ctx.exit(
            scan_manifest(config.manifest, config.out_dir, config)
            if config.manifest and config.out_dir
            else _scan(paths, config)
        )


def check_threshold(ctx: click.Context, config: ScanConfig) -> None:
    """Refuse contradictory thresholds, and those that are not numbers."""
    if config.min_confidence is not None and 0 < rank(ctx, "max_error") == rank(
        ctx, "min_confidence"
    ):
        raise click.UsageError(
            "--max-error and --min-confidence both choose the threshold; give one of them."
        )
    if isnan(config.max_error) or (
        config.min_confidence is not None and isnan(config.min_confidence)
    ):
        raise click.UsageError("--max-error and --min-confidence need a number from 0 to 1.")
    if config.require_listed and config.no_directory:
        raise click.UsageError("--require-listed needs a list of ZIP codes; omit --no-directory.")


def check_places(paths: Sequence[Path], config: ScanConfig) -> None:
    """Refuse, before reading, outputs that would overwrite or mix with the inputs."""
    from zipocr.images.listing import SUFFIXES

    if config.resume and (config.force or config.output == "-"):
        raise click.UsageError(
            "--resume goes on with the journal of an --output FILE, --force throws it away."
        )
    if not config.output:
        raise click.UsageError("--output needs a file name, or - for standard output.")
    output = Path(config.output)
    is_input = any(output.exists() and output.samefile(path) for path in paths if path.is_file())
    if is_input or output.suffix.lower() in SUFFIXES:
        what = "one of the files to read" if is_input else "named like an image"
        message = f"{config.output} is {what}; name the file of results to write."
        raise click.BadParameter(message, param_hint="'--output'")
    if config.directory and output.exists() and output.samefile(config.directory):
        message = f"{config.output} is your list of ZIP codes; name another file to write."
        raise click.BadParameter(message, param_hint="'--output'")
    if config.debug and config.debug.resolve() in {path.resolve() for path in paths}:
        message = f"{config.debug} is what you scan; name another folder for the pictures."
        raise click.BadParameter(message, param_hint="'--debug'")
    check_format(config.output, config.format)


def _scan(paths: Sequence[Path], config: ScanConfig) -> ExitCode:
    """Scan the paths, except for what an earlier run has read."""
    from zipocr.batch.read_files import confidence_threshold
    from zipocr.images.listing import list_inputs
    from zipocr.models.model_file import load_model
    from zipocr.output.run import completed, identify, list_digest, open_output

    settings = settings_of(config)
    # Refuse an unusable model, or one that cannot promise the error rate, before writing a header.
    confidence_threshold(load_model(config.model), settings)
    listing = list_inputs(paths, exclude=config.debug)
    if len(paths) > 1:
        _warn_of_repeated(listing.files, config)
    identity = identify("scan", settings, limits_of(config), list_digest(listing.files))
    if config.resume and (counts := completed(config.output, identity, listing.files)) is not None:
        tell([f"{config.output} is complete already"], config)
        return exit_code(counts)
    with open_output(
        config.output,
        identity,
        name=config.format,
        resume=config.resume,
        force=config.force,
    ) as output:
        so_far = output.survey(listing.files)
        tally = Tally(skipped=listing.skipped, changed=so_far.changed)
        began = time.monotonic()
        try:
            _read(so_far, tally, settings, output, config)
            facts = {"paths": [to_text(path) for path in paths], "counts": dict(tally.counts)}
            output.complete(so_far.positions, {**facts_of(config), **facts})
        except BaseException:
            if (finished := so_far.finished) and not config.quiet:
                kept = f"{finished} of {len(listing.files)} inputs are finished"
                say(f"{kept}; continue with the same command and --resume")
            raise
    tell(tally.lines(seconds=time.monotonic() - began), config)
    if config.output != "-":
        _tell_what_next(config)
    return exit_code(tally.counts)


def _tell_what_next(config: ScanConfig) -> None:
    """Show the first rows on a terminal, and print the file and the next step."""
    if not config.quiet and sys.stdout is not None and sys.stdout.isatty():
        from zipocr.cli.tables import print_rows

        print_rows(Path(config.output))
    review = shlex.join(["zipocr", "review", config.output, "--audit", "100"])
    promise = "--max-error was fitted on composed scans, and the audit tests it on yours"
    tell([f"wrote {to_text(Path(config.output))}; next: {review} ({promise})"], config)


def _warn_of_repeated(files: Sequence[ImageFile], config: ScanConfig) -> None:
    """Warn about files that several PATHs lead to: each name gets a row."""
    from zipocr.images.listing import find_repeated

    if repeated := find_repeated(files):
        first, second = (to_text(Path(name)) for name in repeated[0])
        others = len(repeated) - 1
        rest = f", and {others} more like it; each is" if others else "; it is"
        tell([f"warning: {first} and {second} are the same file{rest} read twice"], config)


def _read(
    so_far: Progress,
    tally: Tally,
    settings: BatchSettings,
    output: Output,
    config: ScanConfig,
) -> None:
    """Read the remaining files, write and count their rows."""
    from zipocr.output.run import read_rest

    files, finished = so_far.files, so_far.finished
    LOG.info("reading %d files, of which %d are finished", len(files), finished)
    # A bar would be mixed with the rows.
    on_terminal = config.output == "-" and sys.stdout is not None and sys.stdout.isatty()
    with progress(len(files), quiet=config.quiet or on_terminal) as advance:
        for outcome in output.outcomes(so_far.kept()):
            tally.add(outcome)
            advance()
        tally.begin_anew()
        backend = choose_backend(config, so_far.rest(), len(files) - finished)
        with closing(read_rest(so_far, settings, output, backend=backend)) as outcomes:
            for outcome in outcomes:
                tally.add(outcome)
                log_outcome(outcome)
                advance()
