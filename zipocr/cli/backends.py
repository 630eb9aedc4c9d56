"""Backends from --backend, --scheduler, --jobs, --timeout and --max-memory-per-worker."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from zipocr.batch import backend_choice
from zipocr.cli.runs import tell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zipocr.batch.backends import Backend
    from zipocr.batch.backends.dask import DaskBackend
    from zipocr.batch.backends.processes import ProcessBackend
    from zipocr.config import ScanConfig
    from zipocr.images.listing import ImageFile


def check_backend(config: ScanConfig) -> None:
    """Refuse options that the chosen backend does not support."""
    if config.scheduler is not None and config.backend != "dask":
        raise click.UsageError("--scheduler is for --backend dask.")
    if config.scheduler is not None and config.jobs:
        raise click.UsageError(
            "--jobs is for processes on this machine; those of a --scheduler are its workers."
        )
    if config.backend == "serial" and _is_limited(config):
        raise click.UsageError(
            "--backend serial cannot keep --timeout and --max-memory-per-worker; that takes "
            "--backend processes."
        )
    if config.backend == "dask" and find_spec("distributed") is None:
        raise click.UsageError(
            "Reading on a Dask cluster needs an extra: pip install 'zipocr[dask]'."
        )


def choose_backend(config: ScanConfig, files: Iterable[ImageFile], count: int) -> Backend:
    """Create the backend for this number of files; `choose_local` decides for auto."""
    if config.backend == "dask":
        return make_cluster(config)
    if config.backend == "serial":
        from zipocr.batch.backends.serial import SerialBackend

        return SerialBackend()
    if config.backend == "processes":
        return make_workers(config, count)
    return backend_choice.choose_local(
        files,
        count,
        jobs=config.jobs,
        timeout=config.timeout,
        max_memory=config.max_memory_per_worker,
    )


def make_cluster(config: ScanConfig) -> DaskBackend:
    """Create the backend for a Dask cluster, whose workers must read as this process does."""
    from zipocr.batch.backends.dask import DaskBackend
    from zipocr.batch.backends.processes import DEFAULT_TIMEOUT
    from zipocr.output.run import describe_mismatch, identify_process

    return DaskBackend(
        scheduler=config.scheduler,
        jobs=config.jobs,
        timeout=config.timeout or DEFAULT_TIMEOUT,
        max_memory=backend_choice.memory_limit(config.max_memory_per_worker),
        check=partial(describe_mismatch, config.model, identify_process(config.model)),
        tell=lambda line: tell([line], config),
    )


def make_workers(config: ScanConfig, most: int) -> ProcessBackend:
    """Create the backend for several processes, at most `most`."""
    return backend_choice.make_workers(
        most,
        jobs=config.jobs,
        timeout=config.timeout,
        max_memory=config.max_memory_per_worker,
    )


def _is_limited(config: ScanConfig) -> bool:
    return config.timeout is not None or config.max_memory_per_worker is not None
