"""Ordered, bounded maps over many tasks. They know nothing of images or ZIP codes."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")


class Backend(Protocol):
    """What every backend can do."""

    def map(self, start: Callable[[], Callable[[TaskT], ResultT]], tasks: Iterable[TaskT]) -> Iterator[ResultT]:
        """Apply the function that ``start`` makes to each task.

        ``start`` is called once in each process that works, when its first task comes. Results come in the order of the tasks, which are
        taken only as fast as results are.
        """


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
