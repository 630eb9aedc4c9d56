"""Backends from --backend, --scheduler, --jobs, --timeout and --max-memory-per-worker."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from zipocr.cli.runs import tell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zipocr.batch.backends import Backend
    from zipocr.batch.backends.dask import DaskBackend
    from zipocr.batch.backends.processes import ProcessBackend
    from zipocr.config import ScanConfig
    from zipocr.images.decode import ImageFile

# At most this many small images are read sooner than further processes have started.
SERIAL_UP_TO = 12


def check_backend(config: ScanConfig) -> None:
    """Refuse what the backend that is asked for cannot do."""
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
            "To read on a Dask cluster takes another package: pip install 'zipocr[dask]'."
        )


def choose_backend(config: ScanConfig, files: Iterable[ImageFile], count: int) -> Backend:
    """Make the requested backend for this number of files.

    If that is left to us, further processes are started only where they can pay, where a limit is
    asked for that a process cannot set itself, or where a file may need one.
    """
    if config.backend == "dask":
        return make_cluster(config)
    is_free = config.backend == "auto" and not _is_limited(config)
    if config.backend == "serial" or (is_free and _are_light(files, count)):
        from zipocr.batch.backends.serial import SerialBackend

        return SerialBackend()
    return make_workers(config, count)


def make_cluster(config: ScanConfig) -> DaskBackend:
    """Make the backend of a Dask cluster, whose workers have to read as this process would."""
    from zipocr.batch.backends.dask import DaskBackend
    from zipocr.batch.backends.processes import DEFAULT_TIMEOUT
    from zipocr.output.run import identify_process, strangeness

    return DaskBackend(
        scheduler=config.scheduler,
        jobs=config.jobs,
        timeout=config.timeout or DEFAULT_TIMEOUT,
        max_memory=_max_memory(config),
        check=partial(strangeness, config.model, identify_process(config.model)),
        tell=lambda line: tell([line], config),
    )


def make_workers(config: ScanConfig, most: int) -> ProcessBackend:
    """Make the backend of several processes, at most so many."""
    from zipocr.batch.backends import usable_cores
    from zipocr.batch.backends.processes import DEFAULT_TIMEOUT, ProcessBackend

    jobs = max(1, min(config.jobs or usable_cores(), most))
    timeout = config.timeout or DEFAULT_TIMEOUT
    return ProcessBackend(jobs=jobs, timeout=timeout, max_memory=_max_memory(config))


def _is_limited(config: ScanConfig) -> bool:
    return config.timeout is not None or config.max_memory_per_worker is not None


def _are_light(files: Iterable[ImageFile], count: int) -> bool:
    """Tell whether files are few, and none can hang or blow up the process that reads it."""
    from zipocr.images.decode import is_light

    return count <= SERIAL_UP_TO and all(is_light(file.path) for file in files)


def _max_memory(config: ScanConfig) -> int | None:
    """Give the limit to a worker's memory: the default only where the system can set one."""
    from zipocr.batch.backends.processes import DEFAULT_MAX_MEMORY

    return config.max_memory_per_worker or (DEFAULT_MAX_MEMORY if find_spec("resource") else None)
