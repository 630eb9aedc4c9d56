"""The backend without processes: one task after the other, right here."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")


class SerialBackend:
    """Works in the calling process."""

    def map(self, start: Callable[[], Callable[[TaskT], ResultT]], tasks: Iterable[TaskT]) -> Iterator[ResultT]:
        """Apply the function that ``start`` makes to each task.

        Parameters
        ----------
        start : callable
            Called once, at the first task; returns the function to apply.
        tasks : iterable
            Its arguments.

        Yields
        ------
        object
            The results, in the order of the tasks.
        """
        work = None
        for task in tasks:
            work = work or start()
            yield work(task)
