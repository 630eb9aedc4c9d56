"""Ordered, bounded maps over many tasks, each of one or more steps.

They know nothing of images or ZIP codes.
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
    """What became of a step that has no result."""

    TIMEOUT = auto()
    OUT_OF_MEMORY = auto()
    DIED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Why a step has no result; ``detail`` is a sentence for people."""

    kind: LossKind
    detail: str


class Work(Protocol[TaskT_contra, StepT_co]):
    """What a process does with tasks."""

    @property
    def at_once(self) -> int:
        """As many tasks are done together at most; 1 where nothing is gained by that."""

    def steps(
        self, task: TaskT_contra, *, first: int, begin: Callable[[], None]
    ) -> Iterator[StepT_co]:
        """Yield the results of a task's steps from step ``first`` on, the first of all being 1.

        ``begin`` is called before each result, as soon as it is known that there is such a step.
        """

    def together(self, tasks: Sequence[TaskT_contra]) -> Iterator[Sequence[tuple[int, StepT_co]]]:
        """Yield the results of several tasks' steps, each with its task's place, in order.

        Those that come at one time are yielded together, and so told in one message.

        Where that ends its process nobody knows at which task: each is then done anew, alone.
        """


class Backend(Protocol):
    """What every backend can do."""

    def map(
        self,
        start: Callable[[], Work[TaskT, StepT]],
        tasks: Iterable[TaskT],
        *,
        lost: Callable[[TaskT, int, Loss], StepT],
    ) -> Iterator[list[StepT]]:
        """Do the work that ``start`` makes on each task.

        ``start`` is called once in each process that works, when there is a task for it. What comes
        are the results of each task's steps, in the order of the tasks, which are taken only as
        fast as results are. Where a backend can outlive the loss of a step, ``lost(task, step,
        loss)`` makes the result that stands in for it; the task's other steps are done all the
        same.
        """


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
