"""``zipocr watch``: read files as they arrive."""

from __future__ import annotations

import os
import shlex
import shutil
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zipocr.cli.backends import make_workers
from zipocr.cli.config_file import without_overruled
from zipocr.cli.interrupts import graceful_shutdown
from zipocr.cli.logs import LOG, log_outcome, logs
from zipocr.cli.options import NEW_FOLDER
from zipocr.cli.runs import Tally, exit_code, facts_of, limits_of, settings_of, tell, to_text
from zipocr.cli.scan import check_places, check_threshold, scan
from zipocr.config import ScanConfig, WatchConfig
from zipocr.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zipocr.batch.backends import Backend
    from zipocr.batch.hand_off import HandOff, HandOffConfig
    from zipocr.batch.read_files import BatchSettings, FileResult
    from zipocr.batch.watch import Arrival, Watcher
    from zipocr.output.run import FileOutput

DEFAULTS = WatchConfig()
OF_MANIFESTS = frozenset({"manifest", "out_dir", "shard_size", "patience"})
NOT_OF_WATCH = (
    frozenset({"paths", "output", "format", "resume", "backend", "scheduler"}) | OF_MANIFESTS
)
# Maximum share of the time spent rewriting the output.
MAX_SHARE = 0.05

FOLDER = click.Argument(
    ["folder"], metavar="FOLDER", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
OUTPUT = click.Option(
    ["-o", "--output"],
    required=True,
    metavar="FILE",
    help="Output file; the ending .csv, .jsonl, .parquet, .sqlite or .db chooses the format.",
)
SETTLE = click.Option(
    ["--settle"],
    default=DEFAULTS.settle,
    show_default=True,
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="Read a file once it has not changed for this long.",
)
SETTLE_LIMIT = click.Option(
    ["--settle-limit"],
    default=DEFAULTS.settle_limit,
    show_default=True,
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="The same for a PNG, JPEG, TIFF or PDF file that is incomplete.",
)
POLL = click.Option(
    ["--poll"],
    default=DEFAULTS.poll,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="List the folder this often as well, since network folders send no notifications.",
)


DONE = click.Option(
    ["--done"],
    default=DEFAULTS.done,
    type=NEW_FOLDER,
    metavar="DIR",
    help="Move each finished file into a subfolder of this folder, named by its status.",
)
DONE_LINK = click.Option(
    ["--done-link"],
    default=DEFAULTS.done_link,
    is_flag=True,
    help="Link files into --done instead of moving them.",
)
EXEC = click.Option(
    ["--exec"],
    default=DEFAULTS.exec,
    metavar="COMMAND",
    help="Run this program for each file, with its rows as JSON lines on standard input.",
)
EXEC_TIMEOUT = click.Option(
    ["--exec-timeout"],
    default=DEFAULTS.exec_timeout,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Time limit of that program.",
)


@click.command(
    params=[
        *(FOLDER, OUTPUT, SETTLE, SETTLE_LIMIT, POLL, DONE, DONE_LINK, EXEC, EXEC_TIMEOUT),
        *(param for param in scan.params if param.name not in NOT_OF_WATCH),
    ]
)
@click.pass_context
def watch(
    ctx: click.Context,
    /,
    *,
    folder: Path,
    **options: Any,
) -> None:
    """Read image files as they arrive in a folder or its subfolders, until Ctrl-C.

    Rows are in the order of arrival. The output FILE is rewritten as a whole as they come. Finished
    files are kept in FILE.journal: another watch with the same FILE continues where this one ended,
    even after a crash, and reads no file twice. If a file changes, it is read again and its rows
    are replaced.

    With --exec and --done, each file is handed over once it has been read. First the program runs,
    without a shell and with the file's path in ZIPOCR_PATH; if it exits with 0, the file is moved
    to DIR/read, DIR/review or DIR/unread. Failures are reported, and tried again at the next start.

    Exit status: as for scan; 0 or 1 after Ctrl-C; 1 also if a file could not be handed over.
    """
    # Every option is a field of the same name in one of the two.
    watching = WatchConfig(**{each.name: options.pop(each.name) for each in fields(WatchConfig)})
    config = without_overruled(ctx, ScanConfig(**options))
    check_threshold(ctx, config)
    check_places((folder,), config)
    if config.output == "-":
        raise click.UsageError("--output FILE is required.")
    if find_spec("watchfiles") is None:
        raise click.UsageError("Watching a folder needs an extra: pip install 'zipocr[watch]'.")
    orders = orders_of(watching, folder)
    with graceful_shutdown() as ask, logs(config):
        ctx.exit(_watch(folder, config, watching, orders, ask))


def orders_of(watching: WatchConfig, folder: Path) -> HandOffConfig:
    """Return what to do with finished files; refuse orders that would fail at the first one."""
    from zipocr.batch.hand_off import HandOffConfig

    if watching.done_link and watching.done is None:
        raise click.UsageError("--done-link needs the folder to link into, --done DIR.")
    if watching.done and watching.done.resolve().is_relative_to(folder.resolve()):
        raise click.UsageError("--done is in the folder that is watched; name another one.")
    return HandOffConfig(
        done=watching.done,
        is_link=watching.done_link,
        program=() if watching.exec is None else _program(watching.exec),
        timeout=watching.exec_timeout,
    )


def _program(command: str) -> list[str]:
    """Split a command into words as a shell does."""
    try:
        words = shlex.split(command, posix=os.name != "nt")
    except ValueError as error:
        raise click.BadParameter(f"{command}: {error}.", param_hint="'--exec'") from error
    if not words or shutil.which(words[0]) is None:
        message = f"{command!r} does not name an existing program."
        raise click.BadParameter(message, param_hint="'--exec'")
    return words


def _watch(
    folder: Path,
    config: ScanConfig,
    timing: WatchConfig,
    orders: HandOffConfig,
    ask: Callable[[], None],
) -> ExitCode:
    """Take over what an earlier watch has read, watch, and complete the results at the end."""
    from zipocr.batch.read_files import confidence_threshold
    from zipocr.models.model_file import load_model
    from zipocr.output.run import FileOutput, identify, open_output

    settings = settings_of(config)
    confidence_threshold(load_model(config.model), settings)
    inputs = {"folder": to_text(folder.resolve())}
    identity = identify("watch", settings, limits_of(config), inputs)
    began = time.monotonic()
    resume, force = not config.force, config.force
    with open_output(config.output, identity, resume=resume, force=force) as output:
        if not isinstance(output, FileOutput):
            raise click.UsageError(f"{config.output} is not a file.")
        done = to_text(orders.done) if orders.done and not orders.is_link else None
        facts = {**facts_of(config), "paths": [to_text(folder)], "done": done}
        with _hand_off(orders, config) as hand_off:
            results = Results(output=output, facts=facts, hand_off=hand_off)
            watcher = _watcher(folder, config, timing, known=results.take_up())
            watcher.row_name = hand_off.row_name
            _watch_until_told(watcher, results, settings, config, ask)
    tell(results.tally.lines(seconds=time.monotonic() - began), config)
    tell(_told(hand_off), config)
    return ExitCode.SOME_INPUTS_FAILED if hand_off.failed else exit_code(results.tally.counts)


@contextmanager
def _hand_off(orders: HandOffConfig, config: ScanConfig) -> Iterator[HandOff]:
    """Continue the hand-over of an earlier watch; a journal without records is removed."""
    from zipocr.batch.hand_off import HandOff
    from zipocr.results.sinks import sidecar_path
    from zipocr.storage.journal import open_journal

    output = Path(os.path.realpath(config.output))
    path, identity = sidecar_path(output, ".handoff"), {"results": to_text(Path(output.name))}
    is_asked = orders.done or orders.program or path.exists()
    with ExitStack() as stack:
        opened = open_journal(path, identity, resume=True, force=config.force)
        journal = stack.enter_context(opened) if is_asked else None
        yield HandOff(orders=orders, journal=journal, tell=lambda line: tell([line], config))


def _told(hand_off: HandOff) -> Iterator[str]:
    """Describe how many files were handed over."""
    if hand_off.done or hand_off.failed:
        left = f", {hand_off.failed} could not be" if hand_off.failed else ""
        yield f"handed over {hand_off.done} file{'' if hand_off.done == 1 else 's'}{left}"


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
    """Watch until stopped, and then complete the results, whatever the cause."""
    from zipocr.batch.backends import usable_cores
    from zipocr.errors import OutputError

    watched = f"{to_text(watcher.folder)}, where {len(watcher.known)} files have been read"
    try:
        results.hand_over_rest(watcher.folder)
        tell([f"watching {watched}; end with Ctrl-C"], config)
        with make_workers(config, config.jobs or usable_cores()) as backend:
            _read_arrivals(watcher, results, settings, backend, ask)
    except (KeyboardInterrupt, SystemExit):
        LOG.info("stopping")
    except BaseException:
        with suppress(OutputError):
            results.publish()
        raise
    results.publish()


@dataclass(slots=True, kw_only=True)
class Results:
    """The output, the places of each file's rows in its journal, and the time of the last rewrite.

    Rows of an earlier watch may not have reached the output, so it is rewritten at the start.
    """

    output: FileOutput
    facts: dict[str, Any]
    hand_off: HandOff
    tally: Tally = field(default_factory=lambda: Tally(skipped=0))
    next_time: float = 0.0
    _positions: dict[str, int] = field(default_factory=dict)
    _taken_up: int = 0
    _published: int = 0

    def take_up(self) -> dict[str, str]:
        """Find what an earlier watch has read; return the stamps of the files by name."""
        known: dict[str, str] = {}
        for name, stamp, position in self.output.entries():
            known[name], self._positions[name], self._taken_up = stamp, position, position
        for outcome in self.output.outcomes(self._positions.values()):
            self.tally.add(outcome)
        self.tally.begin_anew()
        return known

    def hand_over_rest(self, folder: Path) -> None:
        """Hand over files that an earlier watch has read but could not hand over."""
        from zipocr.images.listing import ImageFile

        for name, stamp, position in self.output.entries():
            if self._positions[name] == position and not self.hand_off.is_over(name, stamp):
                (outcome,) = self.output.outcomes([position])
                place = folder / self.hand_off.source_name(name)
                self.hand_off.hand_over(ImageFile(place=str(place), name=name), stamp, outcome)

    def write(self, arrival: Arrival, outcome: FileResult) -> None:
        """Record the rows of a file, replacing those of an earlier version, and hand it over."""
        name = arrival.file.name
        position = self.output.write(outcome, read=name, stamp=arrival.stamp)
        earlier, self._positions[name] = self._positions.get(name), position
        if earlier is not None:
            (superseded,) = self.output.outcomes([earlier])
            self.tally.take_back(superseded, is_earlier=earlier <= self._taken_up)
        self.tally.add(outcome)
        self.hand_off.hand_over(arrival.file, arrival.stamp, outcome)

    def publish(self) -> None:
        """Rewrite the results in the order of arrival, if there is anything new."""
        if self._published == self.output.readings:
            return
        began = time.monotonic()
        facts = {**self.facts, "counts": dict(self.tally.counts)}
        self.output.publish(sorted(self._positions.values()), facts, in_place=True)
        self._published = self.output.readings
        self.next_time = time.monotonic() + (time.monotonic() - began) / MAX_SHARE


def _read_arrivals(
    watcher: Watcher,
    results: Results,
    settings: BatchSettings,
    backend: Backend,
    ask: Callable[[], None],
) -> None:
    """Read arriving files, checking now and then whether to stop."""
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
