"""Work for the processes of a backend, of the kinds that go wrong.

A module of its own, without anything heavy, that they can import.
"""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from zipocr.batch.backends import Loss

STRANGE = "ZIPOCR_TEST_STRANGE"
"""Name of what makes a process one of another installation."""


def strangeness(_: object = None) -> str:
    """Say what makes this process a stranger; nothing where it is none."""
    return os.environ.get(STRANGE, "")


class _Together:
    """Work that does tasks together, and tells three results at a time."""

    at_once = 16

    def together(self, tasks: Sequence[Any]) -> Iterator[list[tuple[int, Any]]]:
        results = (
            (place, result)
            for place, task in enumerate(tasks)
            for result in self.steps(task, first=1, begin=lambda: None)
        )
        while some := list(islice(results, 3)):
            yield some


@dataclass(frozen=True)
class Each(_Together):
    """Applies a function to each task, in one step."""

    function: Callable[[Any], Any]

    def steps(self, task: Any, *, first: int, begin: Callable[[], None]) -> Iterator[Any]:
        if first == 1:
            begin()
            yield self.function(task)


class Script(_Together):
    """Does what the words of a task say.

    The first while it is opened, each of the others as a step; gives the process and the word.
    """

    def steps(
        self, task: tuple[str, ...], *, first: int, begin: Callable[[], None]
    ) -> Iterator[tuple[int, str]]:
        do(task[0])
        for word in task[first:]:
            begin()
            do(word)
            yield os.getpid(), word


def do(word: str) -> None:
    """Do nothing special, or what ends a process.

    ``kill once:PATH`` does so only if there is no such file yet.
    """
    word, _, mark = word.partition(" once:")
    if mark and Path(mark).exists():
        return
    if mark:
        Path(mark).touch()
    CALAMITIES.get(word, lambda: None)()


CALAMITIES: dict[str, Callable[[], object]] = {
    "hang": lambda: time.sleep(3600),
    # The interpreter's lock is held all the time.
    "spin": lambda: re.match(r"(a+)+$", "a" * 60 + "b"),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "kill parent": lambda: (os.kill(os.getppid(), signal.SIGKILL), time.sleep(3600)),
    "abort": os.abort,
    "exit": lambda: os._exit(3),
    "allocate": lambda: bytearray(1 << 33),
}


RIVAL = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"
"""A program that takes as much of a processor as it gets."""


def burn(seconds: float, *, cpu: int) -> float:
    """Take so much time of one processor, which others may want as well."""
    os.sched_setaffinity(0, {cpu})
    while time.process_time() < seconds:
        pass
    return seconds


def lost(task: object, step: int, loss: Loss) -> tuple[object, int, str]:
    """What stands in for a lost step."""
    return task, step, loss.kind.name


def start_counting(folder: Path) -> Each:
    """Leave a file for each call, and give process and square of each task."""
    (folder / f"{os.getpid()}-{len(list(folder.iterdir()))}").touch()
    return Each(lambda task: (os.getpid(), task * task))


def start_failing() -> Each:
    message = "the start failed"
    raise LookupError(message)


def start_unless_ended(word: str) -> Script:
    do(word)
    return Script()


def sleep_and_return(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


if __name__ == "__main__":
    # A program that works for ever, for tests that end it: prints the processes of its workers, and
    # then a line for each task.
    import sys
    from itertools import repeat

    from zipocr.batch.backends.processes import ProcessBackend

    backend = ProcessBackend(jobs=2)
    results = backend.map(Script, repeat(("open", *sys.argv[1:])), lost=lost)
    for steps in results:
        print(*(result[0] for result in steps), flush=True)
