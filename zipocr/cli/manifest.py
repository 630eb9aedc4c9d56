"""``zipocr scan --manifest``: runs too large for one output file."""

from __future__ import annotations

import time
from collections import deque
from contextlib import closing, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import islice
from threading import Event, Thread
from typing import TYPE_CHECKING, TypeVar

import click

from zipocr.cli.backends import choose_backend
from zipocr.cli.config_file import is_on_command_line
from zipocr.cli.logs import LOG, log_outcome
from zipocr.cli.runs import Tally, exit_code, limits_of, progress, settings_of, tell, to_text
from zipocr.cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence
    from pathlib import Path

    from zipocr.batch.read_files import BatchSettings
    from zipocr.config import ScanConfig
    from zipocr.errors import ExitCode
    from zipocr.images.listing import ImageFile
    from zipocr.output.shards import Parts
    from zipocr.results.row import Row

T = TypeVar("T")

TICK_SECONDS = 0.5
TELL_AFTER, TELL_AGAIN = 5.0, 60.0
"""Seconds between notices about a file that is being waited for."""
FOREVER = float("inf")
_OF_OTHER_SCANS = {"output": "--output", "format": "--format", "resume": "--resume"}


def check_manifest(ctx: click.Context, paths: Sequence[Path], config: ScanConfig) -> None:
    """Refuse options that cannot be combined with a manifest, and a scan without inputs."""
    if config.manifest is None and config.out_dir is None:
        raise click.UsageError("Missing argument 'PATH...'.")
    if config.manifest is None or config.out_dir is None:
        raise click.UsageError("--manifest FILE and --out-dir DIR need each other.")
    if paths:
        raise click.UsageError("Give either PATHs or a --manifest.")
    for name, option in _OF_OTHER_SCANS.items():
        if is_on_command_line(ctx, name):
            message = (
                f"{option} does not go with --manifest: its parts go to --out-dir, and are "
                "always continued."
            )
            raise click.UsageError(message)
    check_patience(config)
    if find_spec("pyarrow") is None:
        raise click.UsageError(
            "Parts are Parquet files, which need an extra: pip install 'zipocr[parquet]'."
        )


def check_patience(config: ScanConfig) -> None:
    """Refuse a patience as long as the page timeout: waiting would count as hanging."""
    from zipocr.batch.backends.processes import DEFAULT_TIMEOUT

    allowed = config.timeout or DEFAULT_TIMEOUT
    if config.backend != "serial" and config.patience is not None and config.patience >= allowed:
        message = f"--patience must be less than --timeout, which is {allowed:g}."
        raise click.UsageError(message)


@dataclass(slots=True, kw_only=True)
class WaitNotice:
    """Notices about files on S3 that take long to arrive."""

    config: ScanConfig
    _expected: deque[ImageFile] = field(default_factory=deque)
    _since: float = FOREVER
    _not_before: float = 0.0
    _over: Event = field(default_factory=Event)

    def noted(self, files: Iterable[ImageFile]) -> Iterator[ImageFile]:
        """Pass the files on, and remember which are outstanding."""
        for file in files:
            self._expected.append(file)
            yield file

    def watched(self, outcomes: Iterator[T]) -> Generator[T, None, None]:
        """Pass the results on in order, and watch how long each takes."""
        Thread(target=self._watch, daemon=True).start()
        try:
            while True:
                self._since = time.monotonic()
                outcome = next(outcomes, None)
                self._since = FOREVER
                if outcome is None:
                    return
                self._expected.popleft()
                yield outcome
        finally:
            self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(TICK_SECONDS):
            now = time.monotonic()
            if now - self._since >= TELL_AFTER and now >= self._not_before:
                self._tell()
                self._not_before = now + TELL_AGAIN

    def _tell(self) -> None:
        from zipocr.images.s3 import is_url
        from zipocr.results.cells import to_cell

        # The queue may change in the meantime, and no longer hold a URL.
        with suppress(StopIteration, RuntimeError):
            file = next(one for one in self._expected if is_url(one.place))
            tell([f"still waiting for {to_cell(file.name)}"], self.config)


def scan_manifest(file: Path, folder: Path, config: ScanConfig) -> ExitCode:
    """Write the missing parts."""
    from zipocr.batch.read_files import confidence_threshold
    from zipocr.images.manifest import open_manifest
    from zipocr.models.model_file import load_model
    from zipocr.output.run import identify
    from zipocr.output.shards import open_parts

    settings = settings_of(config)
    confidence_threshold(load_model(config.model), settings)
    manifest = open_manifest(file)
    inputs = {
        "manifest": {"count": manifest.count, "sha256": manifest.sha256},
        "shard_size": config.shard_size,
    }
    identity = identify("scan", settings, limits_of(config), inputs)
    with open_parts(
        folder,
        identity,
        manifest=manifest,
        size=config.shard_size,
        force=config.force,
        patience=settings.patience,
    ) as parts:
        if parts.shards and not parts.missing:
            tell([f"{to_text(folder)} is complete already"], config)
            return exit_code(parts.counts)
        return _read(parts, settings, config)


def _read(parts: Parts, settings: BatchSettings, config: ScanConfig) -> ExitCode:
    """Read the missing shards one after the other, write and count them.

    The backend stays busy from one shard to the next.
    """
    from zipocr.batch.read_files import read_stamped

    began = time.monotonic()
    tally = Tally(skipped=0)
    tally.counts.update(parts.counts)
    tally.begin_anew()
    if parts.changed:
        tell([f"remade, since their files have changed: {len(parts.changed)} parts"], config)
    inputs, notice = sum(map(parts.length, parts.missing)), WaitNotice(config=config)
    backend = choose_backend(config, parts.files(), inputs)
    files = notice.noted(parts.files())
    counts = inputs, parts.manifest.count, len(parts.missing), parts.shards
    LOG.info("reading %d files of %d, into %d parts of %d", *counts)
    try:
        with (
            progress(inputs, quiet=config.quiet) as advance,
            closing(read_stamped(files, settings, backend=backend)) as read,
            closing(notice.watched(read)) as outcomes,
        ):
            for shard in parts.missing:
                before = tally.counts.copy()
                rows: list[Row] = []
                stamps: list[str] = []
                for stamp, outcome in islice(outcomes, parts.length(shard)):
                    rows.extend(outcome.rows)
                    stamps.append(stamp)
                    tally.add(outcome)
                    log_outcome(outcome)
                    advance()
                parts.write(shard, rows, tally.counts - before, stamps)
    except BaseException:
        if not config.quiet and (done := parts.finished()):
            say(f"{done} of {parts.shards} parts are finished; continue with the same command")
        raise
    tell(tally.lines(seconds=time.monotonic() - began), config)
    return exit_code(tally.counts)
