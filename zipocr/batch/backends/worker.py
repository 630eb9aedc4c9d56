"""The main loop of a worker process."""

import ctypes
import io
import os
import pickle
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum, auto
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from typing import Any, NoReturn

from zipocr.batch.backends import Work
from zipocr.errors import BackendError, ZipocrError

NO_MEMORY = 77
"""Exit status of a worker that ran out of memory."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Environment of a worker: starting NumPy's threads would double its start-up time."""

_PR_SET_PDEATHSIG = 1
# Errors that mean that the parent has closed the connection.
_HUNG_UP = (EOFError, BrokenPipeError, ConnectionResetError)


class Message(Enum):
    """The messages of a worker; FAILED carries the error, ENDED only the number of ended tasks.

    STEPS carries (task index, result) pairs; all tasks before an index are finished.
    """

    READY = auto()
    FAILED = auto()
    STEPS = auto()
    ENDED = auto()


class Progress(ctypes.Structure):
    """The progress of a worker, in shared memory that outlives it.

    ``ended`` counts ended tasks, ``begun`` begun steps. A step that never began, or one of tasks
    done together, counts once it has a result.
    """

    _fields_ = (("ended", ctypes.c_uint64), ("begun", ctypes.c_uint64))
    ended: int
    begun: int


def serve(
    connection: Connection, progress: Progress, start: bytes, max_memory: int | None
) -> NoReturn:
    """Process tasks until the other end of the connection closes.

    Parameters
    ----------
    connection : Connection
        Receives tasks as pickled ``(task, first step, whether to do it alone)``, one or more per
        message; sends ``(message, value, tasks ended before)``.
    progress : Progress
        Shared with the parent, which reads it if this process dies.
    start : bytes
        Factory for the work, pickled so that its imports count against the memory limit and their
        errors are reported.
    max_memory : int or None
        Memory limit of this process in bytes.
    """
    _exit_with_parent()
    os.environ.update(ONE_THREAD)
    with suppress(*_HUNG_UP):
        try:
            work = _start(start, max_memory)
            connection.send((Message.READY, None, 0))
            _do_all(work, connection, progress)
        except _HUNG_UP:
            raise
        except MemoryError:
            os._exit(NO_MEMORY)
        except Exception as error:  # noqa: BLE001 - reported to the parent
            _report(connection, error)
    os._exit(0)


def _start(start: bytes, max_memory: int | None) -> Work[Any, Any]:
    if max_memory is None:
        work: Work[Any, Any] = pickle.loads(start)()
        return work
    try:
        _limit_memory(max_memory)
        return _start(start, None)
    except ZipocrError:
        raise
    except Exception as error:  # noqa: BLE001 - too little memory shows in many ways
        message = (
            f"A worker process cannot start within {max_memory >> 20} MB ({error!r}). Give it more "
            "with --max-memory-per-worker."
        )
        raise BackendError(message) from None


def _do_all(work: Work[Any, Any], connection: Connection, progress: Progress) -> None:
    done = 0

    def begin() -> None:
        progress.begun = done + 1

    for tasks, first in _coming(connection, work.at_once):
        ended = progress.ended
        results = (
            work.together(tasks)
            if len(tasks) > 1
            else ([(0, result)] for result in work.steps(tasks[0], first=first, begin=begin))
        )
        for some in results:
            connection.send((Message.STEPS, some, ended))
            progress.ended = ended + some[-1][0]
            done += len(some)
        progress.ended = ended + len(tasks)
        # The next step may hang.
        connection.send((Message.ENDED, None, progress.ended))


def _coming(connection: Connection, at_once: int) -> Iterator[tuple[list[Any], int]]:
    """Yield groups of tasks as they arrive.

    Tasks that have arrived already are grouped, unless they are to be done alone. Each group comes
    with its first step.
    """
    lying: deque[tuple[Any, int, bool]] = deque()
    while True:
        while not lying or (len(lying) < at_once and connection.poll()):
            lying.extend(_unpacked(connection.recv_bytes()))
        task, first, alone = lying.popleft()
        tasks = [task]
        while not alone and lying and len(tasks) < at_once and not lying[0][2]:
            tasks.append(lying.popleft()[0])
        yield tasks, first


def _unpacked(message: bytes) -> Iterator[tuple[Any, int, bool]]:
    file = io.BytesIO(message)
    while file.tell() < len(message):
        yield pickle.load(file)


def _report(connection: Connection, error: Exception) -> None:
    error.add_note(f"In a worker process:\n{traceback.format_exc()}")
    try:
        connection.send((Message.FAILED, error, 0))
    except (TypeError, AttributeError, pickle.PicklingError):
        connection.send((Message.FAILED, RuntimeError(repr(error)), 0))


def _limit_memory(size: int) -> None:
    """Limit the data size of this process, not its address space.

    The code of libraries is shared by all workers and does not depend on the page.
    """
    try:
        import resource
    except ImportError:
        message = "This system cannot limit the memory of a process. Omit --max-memory-per-worker."
        raise BackendError(message) from None
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(
        resource.RLIMIT_DATA, (size if hard == resource.RLIM_INFINITY else min(size, hard), hard)
    )


def _exit_with_parent() -> None:
    """Leave signals to the parent, and end when the parent ends, even if it is killed."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    if sys.platform == "linux":
        # The thread needs the interpreter lock, which a hanging step may hold; prctl does not.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
