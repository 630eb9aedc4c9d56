"""``zipocr scan --manifest``: runs too large for one file."""

from __future__ import annotations

import time
from contextlib import closing
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from zipocr.cli.backends import choose_backend
from zipocr.cli.logs import LOG, log_outcome
from zipocr.cli.runs import Tally, exit_code, limits_of, progress, settings_of, tell, to_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from zipocr.batch import BatchSettings
    from zipocr.config import ScanConfig
    from zipocr.errors import ExitCode
    from zipocr.manifest import Manifest
    from zipocr.parts import Parts
    from zipocr.results import Row

_OF_OTHER_SCANS = {"output": "--output", "resume": "--resume"}


def check_manifest(ctx: click.Context, paths: Sequence[Path], config: ScanConfig) -> None:
    """Refuse what does not go with a manifest, and a scan of nothing."""
    if config.manifest is None and config.out_dir is None:
        raise click.UsageError("Missing argument 'PATH...'.")
    if config.manifest is None or config.out_dir is None:
        raise click.UsageError("--manifest FILE and --out-dir DIR need each other.")
    if paths:
        raise click.UsageError("Give either PATHs or a --manifest.")
    for name, option in _OF_OTHER_SCANS.items():
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
            message = f"{option} does not go with --manifest: its parts go to --out-dir, and what is there is always gone on with."
            raise click.UsageError(message)
    if find_spec("pyarrow") is None:
        raise click.UsageError("Parts are Parquet, which takes another package: pip install 'zipocr[parquet]'.")


def scan_manifest(file: Path, folder: Path, config: ScanConfig) -> ExitCode:
    """Make the parts that are missing."""
    from zipocr.batch import least_confidence
    from zipocr.manifest import open_manifest
    from zipocr.model_file import load_model
    from zipocr.outputs import identify
    from zipocr.parts import open_parts

    settings = settings_of(config)
    least_confidence(load_model(config.model), settings)
    manifest = open_manifest(file)
    inputs = {"manifest": {"count": manifest.count, "sha256": manifest.sha256}, "shard_size": config.shard_size}
    identity = identify("scan", settings, limits_of(config), inputs)
    with open_parts(folder, identity, inputs=manifest.count, size=config.shard_size, force=config.force) as parts:
        if parts.shards and not parts.missing:
            tell([f"{to_text(folder)} is complete already"], config)
            return exit_code(parts.counts)
        return _read(manifest, parts, settings, config)


def _read(manifest: Manifest, parts: Parts, settings: BatchSettings, config: ScanConfig) -> ExitCode:
    """Read the missing shards, one after the other, and write, count, tell. Backends are kept busy from one to the next."""
    from zipocr.batch import read_files

    began, done = time.monotonic(), parts.shards - len(parts.missing)
    tally = Tally(skipped=0)
    tally.counts.update(parts.counts)
    tally.begin_anew()
    inputs = sum(map(parts.length, parts.missing))
    LOG.info("reading %d files of %d, into %d parts of %d", inputs, manifest.count, len(parts.missing), parts.shards)
    backend = choose_backend(config, parts.files(manifest), inputs)
    try:
        with (
            progress(inputs, quiet=config.quiet) as advance,
            closing(read_files(parts.files(manifest), settings, backend=backend)) as outcomes,
        ):
            for shard in parts.missing:
                before = tally.counts.copy()
                rows: list[Row] = []
                for outcome in islice(outcomes, parts.length(shard)):
                    rows.extend(outcome.rows)
                    tally.add(outcome)
                    log_outcome(outcome)
                    advance()
                parts.write(shard, rows, tally.counts - before)
                done += 1
    except BaseException:
        if done and not config.quiet:
            click.echo(f"{done} of {parts.shards} parts are finished; go on with the same command", err=True)
        raise
    tell(tally.lines(seconds=time.monotonic() - began), config)
    return exit_code(tally.counts)
