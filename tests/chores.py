"""Work for the worker processes of a backend, including work that goes wrong.

A separate module without heavy imports, so that workers can import it.
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
"""Environment variable that makes a process look like one of another installation."""


def describe_mismatch(_: object = None) -> str:
    """Say how this process differs from the client; empty if it does not."""
    return os.environ.get(STRANGE, "")


class _Together:
    """Work that does tasks together and yields three results at a time."""

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
    """Carries out the words of a task.

    The first on opening, each of the others as a step that yields the process ID and the word.
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
    """Do nothing special, or disrupt this process.

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
    # Holds the GIL all the time.
    "spin": lambda: re.match(r"(a+)+$", "a" * 60 + "b"),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "kill parent": lambda: (os.kill(os.getppid(), signal.SIGKILL), time.sleep(3600)),
    "abort": os.abort,
    "exit": lambda: os._exit(3),
    "allocate": lambda: bytearray(1 << 33),
}


RIVAL = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"
"""A program that takes as much of one CPU as it can get."""


def burn(seconds: float, *, cpu: int) -> float:
    """Use this much time of one CPU, for which other processes may compete."""
    os.sched_setaffinity(0, {cpu})
    while time.process_time() < seconds:
        pass
    return seconds


def lost(task: object, step: int, loss: Loss) -> tuple[object, int, str]:
    """Return the substitute for a lost step."""
    return task, step, loss.kind.name


def start_counting(folder: Path) -> Each:
    """Leave a file for each call; the work returns the process ID and the square of each task."""
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
    # A program that works forever, for tests that kill it. It prints a line for each task with the
    # IDs of the worker processes.
    import sys
    from itertools import repeat

    from zipocr.batch.backends.processes import ProcessBackend

    backend = ProcessBackend(jobs=2)
    results = backend.map(Script, repeat(("open", *sys.argv[1:])), lost=lost)
    for steps in results:
        print(*(result[0] for result in steps), flush=True)
