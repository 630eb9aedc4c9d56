"""Ordered, bounded maps over many tasks, each of one or more steps.

This package knows nothing about images or ZIP codes.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol, TypeVar

TaskT = TypeVar("TaskT")
TaskT_contra = TypeVar("TaskT_contra", contravariant=True)
StepT = TypeVar("StepT")
StepT_co = TypeVar("StepT_co", covariant=True)


class LossKind(Enum):
    """Why a step has no result."""

    TIMEOUT = auto()
    OUT_OF_MEMORY = auto()
    DIED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """The loss of a step's result; ``detail`` is a sentence for people."""

    kind: LossKind
    detail: str


class Work(Protocol[TaskT_contra, StepT_co]):
    """The work that a process does on tasks."""

    @property
    def at_once(self) -> int:
        """Maximum number of tasks to do together; 1 if nothing is gained by that."""

    def steps(
        self, task: TaskT_contra, *, first: int, begin: Callable[[], None]
    ) -> Iterator[StepT_co]:
        """Yield the results of a task's steps from step ``first`` on, counting from 1.

        ``begin`` is called before each step, once the step is known to exist.
        """

    def together(self, tasks: Sequence[TaskT_contra]) -> Iterator[Sequence[tuple[int, StepT_co]]]:
        """Yield the results of several tasks' steps in order, each with its task's index.

        Results available at the same time are yielded together, to be sent in one message.

        If the process dies, it is unknown which task was the cause: each is then redone alone.
        """


class Backend(Protocol):
    """The interface of all backends."""

    def map(
        self,
        start: Callable[[], Work[TaskT, StepT]],
        tasks: Iterable[TaskT],
        *,
        lost: Callable[[TaskT, int, Loss], StepT],
    ) -> Iterator[list[StepT]]:
        """Do the work that ``start`` makes on each task.

        ``start`` is called once in each worker process, when there is a task for it. Yields the
        results of each task's steps in the order of the tasks, which are consumed only as fast as
        the results. If a backend survives the loss of a step, ``lost(task, step, loss)`` makes a
        replacement for its result; the task's other steps are done as usual.
        """


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
