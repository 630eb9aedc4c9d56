"""The backend without processes: one task after the other, right here."""

from collections.abc import Callable, Iterable, Iterator

from zipocr.batch.backends import Loss, StepT, TaskT, Work


class SerialBackend:
    """Works in the calling process.

    A step that hangs or kills the process is not survived, so that nothing is ever ``lost``.
    """

    def map(
        self,
        start: Callable[[], Work[TaskT, StepT]],
        tasks: Iterable[TaskT],
        *,
        lost: Callable[[TaskT, int, Loss], StepT],  # noqa: ARG002 - as every backend
    ) -> Iterator[list[StepT]]:
        """Do the work that ``start`` makes on each task.

        Parameters
        ----------
        start : callable
            Called once, at the first task.
        tasks : iterable
            What to work on.
        lost : callable
            Never called.

        Yields
        ------
        list
            The results of a task's steps, in the order of the tasks.
        """
        work = None
        for task in tasks:
            work = work or start()
            yield list(work.steps(task, first=1, begin=_ignore))


def _ignore() -> None:
    """Nobody waits for steps here."""
