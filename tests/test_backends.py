import operator
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path

import fakes
import pytest

from zipocr.backends import Backend
from zipocr.backends.processes import CHUNKS_PER_JOB, ProcessBackend
from zipocr.backends.serial import SerialBackend
from zipocr.errors import BackendError

JOBS, CHUNK = 2, 3
DEADLINE = 60

# Functions of the standard library need no import of this file in the worker: `partial(partial, f)` is a start that returns f.
ADD_ONE = partial(partial, operator.add, 1)
DIVIDE_ONE = partial(partial, operator.truediv, 1)


@pytest.fixture(params=["serial", "processes"])
def backend(request: pytest.FixtureRequest) -> Backend:
    return SerialBackend() if request.param == "serial" else ProcessBackend(jobs=JOBS, chunk=CHUNK)


@pytest.mark.parametrize("tasks", [0, 1, CHUNK, 40])
def test_results_come_in_the_order_of_the_tasks(backend: Backend, tasks: int) -> None:
    assert list(backend.map(ADD_ONE, iter(range(tasks)))) == list(range(1, tasks + 1))


def test_slow_tasks_do_not_change_the_order() -> None:
    naps = [0.2, 0, 0, 0.1, 0, 0]
    done = list(ProcessBackend(jobs=JOBS, chunk=1).map(partial(partial, fakes.sleep_and_return), naps))
    assert done == naps


def test_tasks_are_taken_only_as_fast_as_results(backend: Backend) -> None:
    taken = count()

    def endless() -> Iterator[int]:
        while True:
            yield next(taken)

    results = backend.map(ADD_ONE, endless())
    assert [next(results) for _ in range(5)] == [1, 2, 3, 4, 5]
    results.close()  # type: ignore[attr-defined]
    assert next(taken) <= 5 + JOBS * CHUNKS_PER_JOB * CHUNK + CHUNK


def test_the_function_is_made_once_in_each_process(backend: Backend, tmp_path: Path) -> None:
    results = list(backend.map(partial(fakes.start_counting, tmp_path), range(30)))
    assert [square for _, square in results] == [task * task for task in range(30)]
    starts = [path.name.split("-")[0] for path in tmp_path.iterdir()]
    assert len(starts) == len(set(starts))
    assert {str(process) for process, _ in results} == set(starts)


def test_processes_are_others_than_this_one(tmp_path: Path) -> None:
    results = ProcessBackend(jobs=JOBS, chunk=1).map(partial(fakes.start_counting, tmp_path), range(8))
    assert os.getpid() not in {process for process, _ in results}


def test_nothing_is_started_without_a_task(backend: Backend) -> None:
    assert list(backend.map(fakes.start_failing, [])) == []


def test_an_error_of_the_function_is_raised_here(backend: Backend) -> None:
    results = backend.map(DIVIDE_ONE, [1, 2, 0, 4])
    with pytest.raises(ZeroDivisionError):
        list(results)


def test_an_error_of_the_start_is_raised_here(backend: Backend) -> None:
    with pytest.raises(LookupError, match="the start failed"):
        list(backend.map(fakes.start_failing, [1, 2]))


def test_a_killed_worker_is_a_backend_error() -> None:
    with pytest.raises(BackendError, match="killed"):
        list(ProcessBackend(jobs=JOBS, chunk=1).map(partial(partial, signal.raise_signal), [signal.SIGKILL]))


INTERRUPTED = """
import sys, time
from functools import partial
from zipocr.backends.processes import ProcessBackend

def naps():
    while True:
        yield 0.05

if __name__ == "__main__":
    for done, _ in enumerate(ProcessBackend(jobs=2, chunk=1).map(partial(partial, time.sleep), naps())):
        print(done, flush=True)
"""


def test_an_interruption_ends_all_processes_with_one_traceback(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(INTERRUPTED)
    # A session of its own: like a terminal's Ctrl-C, the signal goes to the whole group.
    with subprocess.Popen(
        [sys.executable, "-P", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"0\n"
        os.killpg(process.pid, signal.SIGINT)
        _, talk = process.communicate(timeout=DEADLINE)
    assert process.returncode == -signal.SIGINT
    assert talk.count(b"Traceback") == 1
    until = time.monotonic() + DEADLINE
    while group_is_alive(process.pid):
        assert time.monotonic() < until
        time.sleep(0.01)


def group_is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
