"""``zipocr watch``: read files as they arrive."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zipocr.cli.backends import make_workers
from zipocr.cli.interrupts import orderly_end
from zipocr.cli.logs import LOG, log_outcome, logs
from zipocr.cli.runs import Tally, exit_code, facts_of, limits_of, settings_of, tell, to_text
from zipocr.cli.scan import check_places, check_threshold, scan
from zipocr.config import ScanConfig, WatchConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from zipocr.backends import Backend
    from zipocr.batch import BatchSettings
    from zipocr.errors import ExitCode
    from zipocr.outputs import FileOutput
    from zipocr.watching import Watcher

DEFAULTS = WatchConfig()
OF_MANIFESTS = frozenset({"manifest", "out_dir", "shard_size", "patience"})
NOT_OF_WATCH = frozenset({"paths", "resume", "backend", "scheduler"}) | OF_MANIFESTS
# Writing the whole CSV anew may not take more than this share of the time.
LARGEST_SHARE = 0.05

FOLDER = click.Argument(["folder"], metavar="FOLDER", type=click.Path(exists=True, file_okay=False, path_type=Path))
SETTLE = click.Option(
    ["--settle"],
    default=DEFAULTS.settle,
    show_default=True,
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="For how long a file must not have changed before it is read.",
)
POLL = click.Option(
    ["--poll"],
    default=DEFAULTS.poll,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="List the folder this often even if nothing is heard of it; network folders do not tell.",
)


@click.command(params=[FOLDER, SETTLE, POLL, *(param for param in scan.params if param.name not in NOT_OF_WATCH)])
@click.pass_context
def watch(ctx: click.Context, /, *, folder: Path, settle: float, poll: float, **options: Any) -> None:
    """Read image files as they arrive in a folder or in folders in it, until Ctrl-C.

    Rows come in the order of arrival. The output FILE is made anew, whole, as they come. What has been read is kept in FILE.journal:
    another watch with the same FILE goes on where this one ended, however that was, and reads no file twice. A file that has changed
    since it was read counts as another one.

    Exit status: as of scan; 0 or 1 after Ctrl-C.
    """
    config = ScanConfig(**options)
    check_threshold(ctx, config)
    check_places((folder,), config)
    if config.output == "-":
        raise click.UsageError("Name the CSV file to write with --output.")
    if find_spec("watchfiles") is None:
        raise click.UsageError("To watch a folder takes another package: pip install 'zipocr[watch]'.")
    with orderly_end() as ask, logs(config):
        ctx.exit(_watch(folder, config, WatchConfig(settle=settle, poll=poll), ask))


def _watch(folder: Path, config: ScanConfig, timing: WatchConfig, ask: Callable[[], None]) -> ExitCode:
    """Take up what an earlier watch has read, watch, and make the results whole at the end."""
    from zipocr.backends import usable_cores
    from zipocr.batch import least_confidence
    from zipocr.model_file import load_model
    from zipocr.outputs import FileOutput, identify, open_output
    from zipocr.watching import Watcher

    settings = settings_of(config)
    least_confidence(load_model(config.model), settings)
    identity = identify("watch", settings, limits_of(config), {"folder": to_text(folder.resolve())})
    began, tally = time.monotonic(), Tally(skipped=0)
    with open_output(config.output, identity, resume=not config.force, force=config.force) as output:
        if not isinstance(output, FileOutput):
            raise click.UsageError(f"{config.output} is no file.")
        for outcome in output.replay():
            tally.add(outcome)
        tally.begin_anew()
        known = {name: (size, changed) for name, size, changed in output.marks("arrival")}
        watcher = Watcher(folder=folder, known=known, settle=timing.settle, poll=timing.poll, exclude=config.debug)
        results = Results(output=output, facts={**facts_of(config), "paths": [to_text(folder)]}, published=output.finished)
        tell([f"watching {to_text(folder)}, where {output.finished} files have been read; end with Ctrl-C"], config)
        with make_workers(config, config.jobs or usable_cores()) as backend:
            try:
                _read_arrivals(watcher, results, tally, settings, backend, ask)
            except (KeyboardInterrupt, SystemExit):
                LOG.info("told to end")
        results.publish(tally)
    tell(tally.lines(seconds=time.monotonic() - began), config)
    return exit_code(tally.counts)


@dataclass(slots=True, kw_only=True)
class Results:
    """The output, and when it was last made whole."""

    output: FileOutput
    facts: dict[str, Any]
    published: int
    next_time: float = 0.0

    def publish(self, tally: Tally) -> None:
        """Make the results whole if there is anything new."""
        if self.published == self.output.finished:
            return
        began = time.monotonic()
        self.output.publish({**self.facts, "counts": dict(tally.counts)})
        self.published = self.output.finished
        self.next_time = time.monotonic() + (time.monotonic() - began) / LARGEST_SHARE


def _read_arrivals(
    watcher: Watcher, results: Results, tally: Tally, settings: BatchSettings, backend: Backend, ask: Callable[[], None]
) -> None:
    """Read until told to end, which is asked now and then."""
    from zipocr.batch import read_files

    for arrivals in watcher.arrivals():
        ask()
        with closing(read_files([arrival.file for arrival in arrivals], settings, backend=backend)) as outcomes:
            for arrival, outcome in zip(arrivals, outcomes, strict=True):
                results.output.write(outcome, arrival=[arrival.file.name, *arrival.stamp])
                tally.add(outcome)
                log_outcome(outcome)
        if time.monotonic() >= results.next_time:
            results.publish(tally)
