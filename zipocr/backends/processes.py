"""The backend of several processes on this machine."""

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

from zipocr.errors import BackendError

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")

CHUNKS_PER_JOB = 3


class ProcessBackend:
    """Works in ``jobs`` processes, each started afresh: forking a process that has used OpenCV can hang it.

    Parameters
    ----------
    jobs : int
        Number of processes.
    chunk : int
        Tasks sent to a process at a time. At most ``CHUNKS_PER_JOB`` chunks a process are under way.
    """

    def __init__(self, *, jobs: int, chunk: int = 8) -> None:
        self.jobs = jobs
        self.chunk = chunk

    def map(self, start: Callable[[], Callable[[TaskT], ResultT]], tasks: Iterable[TaskT]) -> Iterator[ResultT]:
        """Apply the function that ``start`` makes to each task.

        Parameters
        ----------
        start : callable
            Called once in each process; must be picklable. What it raises is raised here.
        tasks : iterable
            Its arguments, picklable.

        Yields
        ------
        object
            The results, in the order of the tasks.

        Raises
        ------
        BackendError
            If a process was killed or could not be started.
        """
        context = multiprocessing.get_context("spawn")
        executor = ProcessPoolExecutor(self.jobs, mp_context=context, initializer=_set_up, initargs=(start,))
        try:
            yield from self._ordered(executor, iter(tasks))
        except BrokenProcessPool as error:
            message = "A worker process was killed, perhaps for want of memory. Run again with fewer --jobs."
            raise BackendError(message) from error
        except BrokenPipeError as error:
            message = "A worker process could not be reached. Run again with fewer --jobs."
            raise BackendError(message) from error
        finally:
            executor.shutdown(cancel_futures=True)

    def _ordered(self, executor: ProcessPoolExecutor, tasks: Iterator[TaskT]) -> Iterator[Any]:
        """Keep a bounded number of chunks under way and wait for the oldest."""
        pending: deque[Future[list[Any]]] = deque()
        while True:
            while len(pending) < self.jobs * CHUNKS_PER_JOB and (chunk := list(islice(tasks, self.chunk))):
                with _interrupts_held_back():
                    pending.append(executor.submit(_work_on, chunk))
            if not pending:
                return
            yield from pending.popleft().result()


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Processes started inside never see Ctrl-C: the terminal sends it to all, but one alone should answer."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Worker:
    """What a worker process holds: how to make its function, and the function once it is made."""

    start: Callable[[], Callable[[Any], Any]]
    work: Callable[[Any], Any] | None = None


def _set_up(start: Callable[[], Callable[[Any], Any]]) -> None:
    """Keep ``start`` for the first chunk: an error raised here would break the pool and not reach the caller."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _Worker.start = staticmethod(start)


def _work_on(chunk: list[Any]) -> list[Any]:
    if _Worker.work is None:
        _Worker.work = staticmethod(_Worker.start())
    return [_Worker.work(task) for task in chunk]
