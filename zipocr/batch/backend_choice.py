"""The choice between reading in this process and in worker processes.

Imports happen inside the functions, so that the commands start quickly.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zipocr.batch.backends import Backend
    from zipocr.batch.backends.processes import ProcessBackend
    from zipocr.images.listing import ImageFile

# Reading up to this many small images takes less time than starting worker processes.
SERIAL_UP_TO = 12


def choose_local(
    files: Iterable[ImageFile],
    count: int,
    *,
    jobs: int = 0,
    timeout: float | None = None,
    max_memory: int | None = None,
) -> Backend:
    """Create the backend that reads this number of files fastest.

    Worker processes are used if they pay off, if a limit is requested that a process cannot impose
    on itself, or if a file may need one.

    Parameters
    ----------
    files : iterable of ImageFile
    count : int
        Number of files.
    jobs : int
        Number of processes; 0 is one per usable core.
    timeout, max_memory : optional
        Limits per page, in seconds and bytes; None takes the defaults of the worker processes.
    """
    is_limited = timeout is not None or max_memory is not None
    if not is_limited and _are_light(files, count):
        from zipocr.batch.backends.serial import SerialBackend

        return SerialBackend()
    return make_workers(count, jobs=jobs, timeout=timeout, max_memory=max_memory)


def make_workers(
    most: int, *, jobs: int = 0, timeout: float | None = None, max_memory: int | None = None
) -> ProcessBackend:
    """Create the backend with at most `most` processes; the rest is as for `choose_local`."""
    from zipocr.batch.backends import usable_cores
    from zipocr.batch.backends.processes import DEFAULT_TIMEOUT, ProcessBackend

    return ProcessBackend(
        jobs=max(1, min(jobs or usable_cores(), most)),
        timeout=timeout or DEFAULT_TIMEOUT,
        max_memory=memory_limit(max_memory),
    )


def memory_limit(asked: int | None) -> int | None:
    """Return the memory limit of a worker; the default applies only where limits are supported."""
    from zipocr.batch.backends.processes import DEFAULT_MAX_MEMORY

    return asked or (DEFAULT_MAX_MEMORY if find_spec("resource") else None)


def _are_light(files: Iterable[ImageFile], count: int) -> bool:
    """Return whether the files are few, and none can hang or exhaust the process that reads it."""
    from zipocr.images.decode import is_light

    return count <= SERIAL_UP_TO and all(is_light(file.path) for file in files)
