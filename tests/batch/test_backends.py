import operator
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from itertools import count
from multiprocessing.context import SpawnProcess
from pathlib import Path
from time import monotonic
from types import SimpleNamespace

import chores
import pytest
import waiting
from waiting import group_is_alive, is_alive

from zipocr.batch.backends import Backend, processes
from zipocr.batch.backends.processes import MAX_IN_FLIGHT, STARTS, ProcessBackend
from zipocr.batch.backends.serial import SerialBackend
from zipocr.batch.backends.worker import ONE_THREAD
from zipocr.errors import BackendError

JOBS = 2
DEADLINE = 120
wait_until = partial(waiting.wait_until, deadline=DEADLINE)
# Short enough for a test, long enough that a slow machine does not look like a hang.
TIMEOUT = 2.5

ADD_ONE = partial(chores.Each, partial(operator.add, 1))
DIVIDE_ONE = partial(chores.Each, partial(operator.truediv, 1))


@pytest.fixture(params=["serial", "processes", "dask"])
def backend(request: pytest.FixtureRequest) -> Backend:
    if request.param == "dask":
        pytest.importorskip("distributed")
        from zipocr.batch.backends.dask import DaskBackend

        return DaskBackend(scheduler=request.getfixturevalue("cluster").address)
    return SerialBackend() if request.param == "serial" else ProcessBackend(jobs=JOBS)


def run(
    *tasks: tuple[str, ...], jobs: int = JOBS, max_memory: int | None = None
) -> list[list[object]]:
    """Run scripts in workers; return their words, with placeholders for the lost ones."""
    found = ProcessBackend(jobs=jobs, timeout=TIMEOUT, max_memory=max_memory).map(
        chores.Script, tasks, lost=chores.lost
    )
    with waiting.ended_within(DEADLINE):
        return [
            [step[1:] if isinstance(step[0], tuple) else step[1] for step in steps]
            for steps in found
        ]


@pytest.mark.parametrize("tasks", [0, 1, 3, 200])
def test_results_come_in_the_order_of_the_tasks(backend: Backend, tasks: int) -> None:
    results = backend.map(ADD_ONE, iter(range(tasks)), lost=chores.lost)
    assert list(results) == [[task + 1] for task in range(tasks)]


def test_all_steps_of_a_task_are_returned_together(backend: Backend) -> None:
    results = backend.map(
        chores.Script, [("open", "a", "b"), ("open",), ("open", "c")], lost=chores.lost
    )
    assert [[word for _, word in steps] for steps in results] == [["a", "b"], [], ["c"]]


def test_slow_tasks_do_not_change_the_order() -> None:
    naps = [0.2, 0, 0, 0.1, 0, 0]
    done = ProcessBackend(jobs=JOBS).map(
        partial(chores.Each, chores.sleep_and_return), naps, lost=chores.lost
    )
    assert list(done) == [[nap] for nap in naps]


def test_tasks_are_consumed_only_as_fast_as_results(backend: Backend) -> None:
    taken = count()

    def endless() -> Iterator[int]:
        while True:
            yield next(taken)

    results = backend.map(ADD_ONE, endless(), lost=chores.lost)
    assert [next(results) for _ in range(5)] == [[1], [2], [3], [4], [5]]
    results.close()  # type: ignore[attr-defined]
    assert next(taken) <= 5 + JOBS * MAX_IN_FLIGHT


def test_the_work_is_set_up_once_per_process(backend: Backend, tmp_path: Path) -> None:
    results = [
        result
        for (result,) in backend.map(
            partial(chores.start_counting, tmp_path), range(30), lost=chores.lost
        )
    ]
    assert [square for _, square in results] == [task * task for task in range(30)]
    starts = [path.name.split("-")[0] for path in tmp_path.iterdir()]
    assert len(starts) == len(set(starts))
    assert {str(process) for process, _ in results} <= set(starts)


def test_work_runs_outside_this_process(tmp_path: Path) -> None:
    results = ProcessBackend(jobs=JOBS).map(
        partial(chores.start_counting, tmp_path), range(8), lost=chores.lost
    )
    assert os.getpid() not in {process for ((process, _),) in results}


def test_nothing_is_started_without_a_task(backend: Backend) -> None:
    assert list(backend.map(chores.start_failing, [], lost=chores.lost)) == []


def test_an_error_in_the_work_is_raised_in_the_caller(backend: Backend) -> None:
    results = backend.map(DIVIDE_ONE, [1, 2, 0, 4], lost=chores.lost)
    with pytest.raises(ZeroDivisionError):
        list(results)


def test_an_error_during_startup_is_raised_in_the_caller(backend: Backend) -> None:
    with pytest.raises(LookupError, match="the start failed"):
        list(backend.map(chores.start_failing, [1, 2], lost=chores.lost))


@pytest.mark.parametrize(
    ("calamity", "kind"),
    [
        ("kill", "DIED"),
        ("abort", "DIED"),
        ("exit", "DIED"),
        ("hang", "TIMEOUT"),
        ("spin", "TIMEOUT"),
        ("allocate", "OUT_OF_MEMORY"),
    ],
)
def test_a_step_that_ends_its_worker_costs_only_itself(calamity: str, kind: str) -> None:
    before, after = (
        [("open", f"b{number}") for number in range(4)],
        [("open", f"a{number}") for number in range(8)],
    )
    found = run(*before, ("open", "x", calamity, "y"), *after, max_memory=1 << 30)
    assert found == [[task[1]] for task in before] + [["x", (2, kind), "y"]] + [
        [task[1]] for task in after
    ]


def test_a_worker_killed_from_outside_costs_nothing(tmp_path: Path) -> None:
    """The second death comes when no other task can be to blame."""
    once = [f"kill once:{tmp_path}/{name}" for name in "xy"]
    assert run(("open", *once, "z"), ("open", "a"), jobs=1) == [[*once, "z"], ["a"]]


def test_many_steps_can_be_lost_in_a_row() -> None:
    assert run(("open", "kill", "kill", "a", "kill"), ("open", "kill"), ("open", "b"), jobs=1) == [
        [(1, "DIED"), (2, "DIED"), "a", (4, "DIED")],
        [(1, "DIED")],
        ["b"],
    ]


@pytest.mark.parametrize(("calamity", "kind"), [("kill", "DIED"), ("hang", "TIMEOUT")])
def test_a_task_that_cannot_be_opened_is_retried_and_costs_one_step(
    calamity: str, kind: str
) -> None:
    assert run(("open", "a"), (calamity, "b", "c"), ("open", "d")) == [["a"], [(1, kind)], ["d"]]


@pytest.mark.parametrize(("calamity", "kind"), [("kill", "DIED"), ("hang", "TIMEOUT")])
def test_a_loss_in_a_group_of_tasks_is_retried_alone_and_charged_to_its_task(
    calamity: str, kind: str, tmp_path: Path
) -> None:
    once = f"{calamity} once:{tmp_path}/x"
    assert run(("open", "a"), ("open", once), ("open", "b"), jobs=1) == [["a"], [once], ["b"]]
    assert run(("open", "a"), ("open", calamity), ("open", "b"), jobs=1) == [
        ["a"],
        [(1, kind)],
        ["b"],
    ]


class JumpingClock:
    """A clock that jumps ahead after some readings, as if all processes had been stopped."""

    def __init__(self, readings: int) -> None:
        self.readings = readings

    def monotonic(self) -> float:
        self.readings -= 1
        return monotonic() + (3_600 if self.readings < 0 else 0)


@pytest.mark.parametrize("readings", [3, 5])
def test_time_while_the_processes_are_stopped_does_not_count(
    monkeypatch: pytest.MonkeyPatch, readings: int
) -> None:
    clock = JumpingClock(readings)
    monkeypatch.setattr(processes, "time", SimpleNamespace(monotonic=clock.monotonic))
    start, starts = SpawnProcess.start, []
    monkeypatch.setattr(
        SpawnProcess, "start", lambda process: (starts.append(process), start(process))
    )
    backend = ProcessBackend(jobs=1, timeout=TIMEOUT)
    naps = [0.1] * 4
    assert list(
        backend.map(partial(chores.Each, chores.sleep_and_return), naps, lost=chores.lost)
    ) == [[nap] for nap in naps]
    assert clock.readings < 0
    assert len(starts) == 1


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the system does not tell")
def test_time_that_a_worker_waits_for_a_cpu_does_not_count() -> None:
    cpu = min(os.sched_getaffinity(0))
    rivals = [subprocess.Popen([sys.executable, "-c", chores.RIVAL, str(cpu)]) for _ in range(3)]
    begun = monotonic()
    try:
        backend = ProcessBackend(jobs=1, timeout=1.5)
        start = partial(chores.Each, partial(chores.burn, cpu=cpu))
        assert list(backend.map(start, [0.8], lost=chores.lost)) == [[0.8]]
    finally:
        for rival in rivals:
            rival.kill()
            rival.wait()
    assert monotonic() - begun > 1.5


def test_a_worker_that_is_slow_to_exit_causes_no_busy_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kill, wait, waits = SpawnProcess.kill, processes.wait, count()
    monkeypatch.setattr(
        SpawnProcess, "kill", lambda process: threading.Timer(1.0, kill, [process]).start()
    )
    monkeypatch.setattr(processes, "wait", lambda *words: (next(waits), wait(*words))[1])
    assert run(("open", "hang"), jobs=1) == [[(1, "TIMEOUT")]]
    assert next(waits) < 50


def test_tasks_larger_than_a_pipe_buffer_are_done() -> None:
    words = [str(number) * 5_000 for number in range(40)]
    assert run(*(("open", word) for word in words)) == [[word] for word in words]


def test_a_retry_does_not_depend_on_the_position_in_the_group(
    tmp_path: Path,
) -> None:
    # The shaky one fails to open the first time it runs alone; the other kills both when they run
    # together.
    (tmp_path / "x").touch()
    shaky, killer = (f"kill once:{tmp_path}/x", "a", "b"), ("open", "kill")
    for tasks in ([shaky, killer], [killer, shaky]):
        found = dict(zip(tasks, run(*tasks, jobs=1), strict=True))
        assert found == {shaky: ["a", "b"], killer: [(1, "DIED")]}


def test_tasks_run_as_a_group_give_the_same_results_as_alone() -> None:
    tasks = [("open", *map(str, range(number % 4))) for number in range(100)]
    assert run(*tasks) == [list(task[1:]) for task in tasks]


def test_a_death_before_a_step_begins_costs_nothing(tmp_path: Path) -> None:
    assert run((f"kill once:{tmp_path}/x", "a", "b"), ("open", "c")) == [["a", "b"], ["c"]]


def test_a_death_while_a_task_is_reopened_costs_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    # Opening succeeds until step 1 is given up; then it fails once.
    script = (f"kill once:{mark}", "kill", "b", "c")
    mark.touch()
    found = ProcessBackend(jobs=1).map(
        chores.Script, [script], lost=lambda *_: mark.unlink() or (script, 1, "lost")
    )
    assert [[step[1] for step in steps] for steps in found] == [[1, "b", "c"]]
    assert mark.exists()


@pytest.mark.posix
def test_workers_that_die_before_they_begin_end_the_map(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=f"SIGKILL before it could begin, {STARTS} times"):
        list(
            ProcessBackend(jobs=1).map(
                partial(chores.start_unless_ended, "kill"), [("open", "a")], lost=chores.lost
            )
        )
    start = partial(chores.start_unless_ended, f"kill once:{tmp_path}/x")
    assert len(list(ProcessBackend(jobs=1).map(start, [("open", "a")], lost=chores.lost))) == 1


def test_too_little_memory_to_start_is_reported_with_the_option() -> None:
    with pytest.raises(BackendError, match=r"within 1024 MB .*--max-memory-per-worker"):
        list(
            ProcessBackend(jobs=1, max_memory=1 << 30).map(
                partial(chores.start_unless_ended, "allocate"), [("x",)], lost=chores.lost
            )
        )


@pytest.mark.posix
def test_workers_outlive_a_map_within_a_with_block() -> None:
    with ProcessBackend(jobs=1) as backend:
        first, second = (
            list(backend.map(chores.Script, [("open", "a")], lost=chores.lost)) for _ in range(2)
        )
        assert first == second
        process = first[0][0][0]
        os.kill(process, signal.SIGKILL)
        third = list(backend.map(chores.Script, [("open", "a")], lost=chores.lost))
        assert third[0][0][0] != process
    assert wait_until(lambda: not is_alive(third[0][0][0]))


def test_workers_tell_numerical_libraries_to_use_one_thread() -> None:
    found = ProcessBackend(jobs=1).map(
        partial(chores.Each, os.getenv), ONE_THREAD, lost=chores.lost
    )
    assert list(found) == [["1"], ["1"]]


def test_an_abandoned_map_ends_its_workers() -> None:
    results = ProcessBackend(jobs=1).map(
        chores.Script, [("open", "a")] * 100 + [("open", "hang")], lost=chores.lost
    )
    process = next(results)[0][0]
    results.close()  # type: ignore[attr-defined]
    assert not is_alive(process)


def start_program(*words: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Start a program that works forever."""
    return waiting.running([sys.executable, "-P", chores.__file__, *words])


@pytest.mark.posix
@pytest.mark.parametrize("words", [("a",), ("a", "hang"), ("a", "spin")])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_its_parent(
    words: tuple[str, ...], number: signal.Signals, tmp_path: Path
) -> None:
    # The first task is quick and shows that work has begun; the others may never end.
    with start_program(
        *words[:1], *(f"{word} once:{tmp_path}/{place}" for place, word in enumerate(words[1:]))
    ) as process:
        if len(words) == 1:
            assert process.stdout is not None
            assert process.stdout.readline()
        else:
            assert wait_until((tmp_path / "0").exists)
        process.send_signal(number)
        process.wait(DEADLINE)
        assert wait_until(lambda: not group_is_alive(process.pid))


@pytest.mark.posix
def test_an_interrupt_ends_all_processes_with_one_traceback() -> None:
    with start_program("a") as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        _, talk = process.communicate(timeout=DEADLINE)
    assert process.returncode == -signal.SIGINT
    assert talk.count(b"Traceback") == 1
    assert wait_until(lambda: not group_is_alive(process.pid))
