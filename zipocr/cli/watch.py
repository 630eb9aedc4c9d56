"""``zipocr watch``: read files as they arrive."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zipocr.cli.backends import make_workers
from zipocr.cli.interrupts import graceful_shutdown
from zipocr.cli.logs import LOG, log_outcome, logs
from zipocr.cli.runs import Tally, exit_code, facts_of, limits_of, settings_of, tell, to_text
from zipocr.cli.scan import check_places, check_threshold, scan
from zipocr.config import ScanConfig, WatchConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from zipocr.batch.backends import Backend
    from zipocr.batch.read_files import BatchSettings, FileResult
    from zipocr.batch.watch import Arrival, Watcher
    from zipocr.errors import ExitCode
    from zipocr.output.run import FileOutput

DEFAULTS = WatchConfig()
OF_MANIFESTS = frozenset({"manifest", "out_dir", "shard_size", "patience"})
NOT_OF_WATCH = frozenset({"paths", "resume", "backend", "scheduler"}) | OF_MANIFESTS
# Writing the whole CSV anew may not take more than this share of the time.
MAX_SHARE = 0.05

FOLDER = click.Argument(
    ["folder"], metavar="FOLDER", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
SETTLE = click.Option(
    ["--settle"],
    default=DEFAULTS.settle,
    show_default=True,
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="For how long a file must not have changed before it is read.",
)
SETTLE_LIMIT = click.Option(
    ["--settle-limit"],
    default=DEFAULTS.settle_limit,
    show_default=True,
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="The same for a PNG, JPEG, TIFF or PDF file whose end is missing.",
)
POLL = click.Option(
    ["--poll"],
    default=DEFAULTS.poll,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="List the folder this often even if nothing is heard of it; network folders do not tell.",
)


@click.command(
    params=[
        *(FOLDER, SETTLE, SETTLE_LIMIT, POLL),
        *(param for param in scan.params if param.name not in NOT_OF_WATCH),
    ]
)
@click.pass_context
def watch(
    ctx: click.Context,
    /,
    *,
    folder: Path,
    settle: float,
    settle_limit: float,
    poll: float,
    **options: Any,
) -> None:
    """Read image files as they arrive in a folder or in folders in it, until Ctrl-C.

    Rows come in the order of arrival. The output FILE is made anew, whole, as they come. What has
    been read is kept in FILE.journal: another watch with the same FILE goes on where this one
    ended, however that was, and reads no file twice. A file that has changed since is read again,
    and its rows are replaced.

    Exit status: as of scan; 0 or 1 after Ctrl-C.
    """
    config = ScanConfig(**options)
    check_threshold(ctx, config)
    check_places((folder,), config)
    if config.output == "-":
        raise click.UsageError("Name the CSV file to write with --output.")
    if find_spec("watchfiles") is None:
        raise click.UsageError(
            "To watch a folder takes another package: pip install 'zipocr[watch]'."
        )
    timing = WatchConfig(settle=settle, settle_limit=settle_limit, poll=poll)
    with graceful_shutdown() as ask, logs(config):
        ctx.exit(_watch(folder, config, timing, ask))


def _watch(
    folder: Path,
    config: ScanConfig,
    timing: WatchConfig,
    ask: Callable[[], None],
) -> ExitCode:
    """Take up what an earlier watch has read, watch, and make the results whole at the end."""
    from zipocr.batch.read_files import least_confidence
    from zipocr.models.model_file import load_model
    from zipocr.output.run import FileOutput, identify, open_output

    settings = settings_of(config)
    least_confidence(load_model(config.model), settings)
    inputs = {"folder": to_text(folder.resolve())}
    identity = identify("watch", settings, limits_of(config), inputs)
    began = time.monotonic()
    how = {"resume": not config.force, "force": config.force}
    with open_output(config.output, identity, **how) as output:
        if not isinstance(output, FileOutput):
            raise click.UsageError(f"{config.output} is no file.")
        facts = {**facts_of(config), "paths": [to_text(folder)]}
        results = Results(output=output, facts=facts)
        watcher = _watcher(folder, config, timing, known=results.take_up())
        _watch_until_told(watcher, results, settings, config, ask)
    tell(results.tally.lines(seconds=time.monotonic() - began), config)
    return exit_code(results.tally.counts)


def _watcher(
    folder: Path,
    config: ScanConfig,
    timing: WatchConfig,
    *,
    known: dict[str, str],
) -> Watcher:
    from zipocr.batch.watch import Watcher

    return Watcher(
        folder=folder,
        known=known,
        settle=timing.settle,
        settle_limit=timing.settle_limit,
        poll=timing.poll,
        exclude=config.debug,
    )


def _watch_until_told(
    watcher: Watcher,
    results: Results,
    settings: BatchSettings,
    config: ScanConfig,
    ask: Callable[[], None],
) -> None:
    """Watch. However that ends, what has been read is in the results then if it can be."""
    from zipocr.batch.backends import usable_cores
    from zipocr.errors import OutputError

    watched = f"{to_text(watcher.folder)}, where {len(watcher.known)} files have been read"
    try:
        tell([f"watching {watched}; end with Ctrl-C"], config)
        with make_workers(config, config.jobs or usable_cores()) as backend:
            _read_arrivals(watcher, results, settings, backend, ask)
    except (KeyboardInterrupt, SystemExit):
        LOG.info("told to end")
    except BaseException:
        with suppress(OutputError):
            results.publish()
        raise
    results.publish()


@dataclass(slots=True, kw_only=True)
class Results:
    """The output, where the rows of each file are in its journal, and when it was last made whole.

    What an earlier watch has read may not have reached the output: it is made whole at the start.
    """

    output: FileOutput
    facts: dict[str, Any]
    tally: Tally = field(default_factory=lambda: Tally(skipped=0))
    next_time: float = 0.0
    _positions: dict[str, int] = field(default_factory=dict)
    _taken_up: int = 0
    _published: int = 0

    def take_up(self) -> dict[str, str]:
        """Find what an earlier watch has read, and give the stamps of the files by name."""
        known: dict[str, str] = {}
        for name, stamp, position in self.output.entries():
            known[name], self._positions[name], self._taken_up = stamp, position, position
        for outcome in self.output.outcomes(self._positions.values()):
            self.tally.add(outcome)
        self.tally.begin_anew()
        return known

    def write(self, arrival: Arrival, outcome: FileResult) -> None:
        """Take the rows of a file, in place of those of an earlier version of it."""
        name = arrival.file.name
        position = self.output.write(outcome, read=name, stamp=arrival.stamp)
        earlier, self._positions[name] = self._positions.get(name), position
        if earlier is not None:
            (superseded,) = self.output.outcomes([earlier])
            self.tally.take_back(superseded, is_earlier=earlier <= self._taken_up)
        self.tally.add(outcome)

    def publish(self) -> None:
        """Make the results whole, in the order of arrival, if there is anything new."""
        if self._published == self.output.readings:
            return
        began = time.monotonic()
        facts = {**self.facts, "counts": dict(self.tally.counts)}
        self.output.publish(sorted(self._positions.values()), facts)
        self._published = self.output.readings
        self.next_time = time.monotonic() + (time.monotonic() - began) / MAX_SHARE


def _read_arrivals(
    watcher: Watcher,
    results: Results,
    settings: BatchSettings,
    backend: Backend,
    ask: Callable[[], None],
) -> None:
    """Read until told to end, which is asked now and then."""
    from zipocr.batch.read_files import read_files

    for arrivals in watcher.arrivals():
        ask()
        files = [arrival.file for arrival in arrivals]
        with closing(read_files(files, settings, backend=backend)) as outcomes:
            for arrival, outcome in zip(arrivals, outcomes, strict=True):
                results.write(arrival, outcome)
                log_outcome(outcome)
        if time.monotonic() >= results.next_time:
            results.publish()
