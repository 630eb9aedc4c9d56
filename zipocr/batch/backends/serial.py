"""The backend without worker processes."""

from collections.abc import Callable, Iterable, Iterator

from zipocr.batch.backends import Loss, StepT, TaskT, Work


class SerialBackend:
    """Backend that works in the calling process.

    A step that hangs or crashes takes the process with it, so ``lost`` is never called.
    """

    def map(
        self,
        start: Callable[[], Work[TaskT, StepT]],
        tasks: Iterable[TaskT],
        *,
        lost: Callable[[TaskT, int, Loss], StepT],  # noqa: ARG002 - common interface
    ) -> Iterator[list[StepT]]:
        """Do the work that ``start`` makes on each task.

        Parameters
        ----------
        start : callable
            Called once, at the first task.
        tasks : iterable
            The tasks.
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
    """Ignore the beginning of a step."""
