"""What the options --backend, --scheduler, --jobs, --timeout and --max-memory-per-worker of the reading commands ask for."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from zipocr.cli.runs import tell

if TYPE_CHECKING:
    from zipocr.backends import Backend
    from zipocr.backends.dask import DaskBackend
    from zipocr.backends.processes import ProcessBackend
    from zipocr.config import ScanConfig

# So few files are read sooner than further processes have started.
SERIAL_UP_TO = 12


def check_backend(config: ScanConfig) -> None:
    """Refuse what the backend that is asked for cannot do."""
    if config.scheduler is not None and config.backend != "dask":
        raise click.UsageError("--scheduler is for --backend dask.")
    if config.scheduler is not None and config.jobs:
        raise click.UsageError("--jobs is for processes on this machine; those of a --scheduler are its workers.")
    if config.backend == "serial" and _is_limited(config):
        raise click.UsageError("--backend serial cannot keep --timeout and --max-memory-per-worker; that takes --backend processes.")
    if config.backend == "dask" and find_spec("distributed") is None:
        raise click.UsageError("To read on a Dask cluster takes another package: pip install 'zipocr[dask]'.")


def choose_backend(config: ScanConfig, files: int) -> Backend:
    """Make the backend that is asked for.

    If that is left to us, further processes are started only where they can pay, or where a limit is asked for that a process cannot set
    itself.
    """
    if config.backend == "dask":
        return make_cluster(config)
    few = config.backend == "auto" and files <= SERIAL_UP_TO and not _is_limited(config)
    if config.backend == "serial" or few:
        from zipocr.backends.serial import SerialBackend

        return SerialBackend()
    return make_workers(config, files)


def make_cluster(config: ScanConfig) -> DaskBackend:
    """Make the backend of a Dask cluster, whose workers have to read as this process would."""
    from zipocr.backends.dask import DaskBackend
    from zipocr.backends.processes import DEFAULT_TIMEOUT
    from zipocr.outputs import identify_process, strangeness

    return DaskBackend(
        scheduler=config.scheduler,
        jobs=config.jobs,
        timeout=config.timeout or DEFAULT_TIMEOUT,
        max_memory=config.max_memory_per_worker,
        check=partial(strangeness, config.model, identify_process(config.model)),
        tell=lambda line: tell([line], config),
    )


def make_workers(config: ScanConfig, most: int) -> ProcessBackend:
    """Make the backend of several processes, at most so many."""
    from zipocr.backends import usable_cores
    from zipocr.backends.processes import DEFAULT_TIMEOUT, ProcessBackend

    jobs = max(1, min(config.jobs or usable_cores(), most))
    return ProcessBackend(jobs=jobs, timeout=config.timeout or DEFAULT_TIMEOUT, max_memory=config.max_memory_per_worker)


def _is_limited(config: ScanConfig) -> bool:
    return config.timeout is not None or config.max_memory_per_worker is not None
