"""What the Dask backend guarantees beyond what all backends do (see test_backends.py).

Each test talks to a real cluster.
"""

import gc
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import chores
import clusters
import fakes
import pytest
import scanner
import waiting
from PIL import Image
from waiting import group_is_alive, is_alive, running

from zipocr.errors import BackendError

pytest.importorskip("distributed")

from zipocr.batch.backends import dask
from zipocr.batch.backends.dask import DaskBackend
from zipocr.output.run import describe_mismatch

DEADLINE = 120
wait_until = partial(waiting.wait_until, deadline=DEADLINE)
TIMEOUT = 2.5
NAPS = partial(chores.Each, chores.sleep_and_return)


def save_many(folder: Path, count: int, *, gray: int = fakes.SLOW) -> Path:
    folder.mkdir()
    for number in range(count):
        Image.fromarray(fakes.page(ink=gray)).save(folder / f"{number:03}.png")
    return folder


def command(*words: str | Path) -> list[str | Path]:
    return [sys.executable, "-P", scanner.__file__, "scan", *words]


def scan(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command(*words), check=False, capture_output=True, timeout=DEADLINE, cwd=cwd
    )


def wait_for(cluster: clusters.Cluster, workers: int) -> None:
    with dask.distributed.Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(workers, timeout=DEADLINE)


def test_a_step_that_ends_its_process_costs_only_itself(cluster: clusters.Cluster) -> None:
    tasks = [("open", "a"), ("open", "x", "kill", "hang", "allocate", "y"), ("open", "b")]
    results = DaskBackend(scheduler=cluster.address, timeout=TIMEOUT, max_memory=1 << 30).map(
        chores.Script, tasks, lost=chores.lost
    )
    found = [
        [step[1:] if isinstance(step[0], tuple) else step[1] for step in steps] for steps in results
    ]
    assert found == [["a"], ["x", (2, "DIED"), (3, "TIMEOUT"), (4, "OUT_OF_MEMORY"), "y"], ["b"]]


def test_killed_workers_cost_nothing(tmp_path: Path) -> None:
    naps = [0.01 + number / 1e6 for number in range(200)]
    with clusters.running(tmp_path) as cluster:
        results = DaskBackend(scheduler=cluster.address).map(NAPS, naps, lost=chores.lost)
        found = [next(results) for _ in range(20)]
        cluster.kill(0)
        found += list(results)
    assert found == [[nap] for nap in naps]


def test_a_task_that_kills_worker_after_worker_costs_one_result(tmp_path: Path) -> None:
    tasks = [("open", f"{number}") for number in range(20)]
    tasks[3] = ("open", "kill parent", "x")
    with clusters.running(tmp_path) as cluster:
        results = list(
            DaskBackend(scheduler=cluster.address).map(chores.Script, tasks, lost=chores.lost)
        )
    assert [[step[-1] for step in steps] for steps in results] == [
        [word] if word != "kill parent" else ["DIED"] for _, word, *_ in tasks
    ]


def test_an_unreachable_scheduler_is_reported_within_seconds(tmp_path: Path) -> None:
    began, output = time.monotonic(), tmp_path / "out.csv"
    done = scan(
        save_many(tmp_path / "in", 1),
        "-o",
        output,
        "--backend",
        "dask",
        "--scheduler",
        "tcp://127.0.0.1:9",
    )
    assert (done.returncode, done.stdout) == (BackendError.exit_code, b"")
    assert done.stderr.startswith(
        b"zipocr: The Dask scheduler tcp://127.0.0.1:9 cannot be reached ("
    )
    assert done.stderr.count(b"\n") == 1
    assert time.monotonic() - began < 30
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("address", ["nonsense://x", "tcp://"])
def test_an_invalid_address_is_a_backend_error(address: str) -> None:
    with pytest.raises(BackendError, match="cannot be reached"):
        list(DaskBackend(scheduler=address).map(chores.Script, [("open", "a")], lost=chores.lost))


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://x", "tcp://"])
def test_a_failed_connection_leaves_no_open_client(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask, "CONNECT_SECONDS", 0.2)
    with pytest.raises(BackendError, match="cannot be reached"):
        list(DaskBackend(scheduler=address).map(chores.Script, [("open", "a")], lost=chores.lost))
    clients = [one for one in gc.get_objects() if type(one) is dask.distributed.Client]
    assert [one for one in clients if one.status != "closed"] == []


def test_a_scheduler_without_workers_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask, "WORKERS_SECONDS", 0.5)
    monkeypatch.setattr(dask, "ASK_SECONDS", 0.2)
    with (
        clusters.running(tmp_path, workers=0) as cluster,
        pytest.raises(BackendError, match=f"no workers .*'dask worker {cluster.address}'"),
    ):
        list(
            DaskBackend(scheduler=cluster.address).map(
                chores.Script, [("open", "a")], lost=chores.lost
            )
        )


@pytest.mark.posix
def test_losing_the_scheduler_ends_the_run_which_can_be_resumed(tmp_path: Path) -> None:
    folder, output = save_many(tmp_path / "in", 60), tmp_path / "out.csv"
    with clusters.running(tmp_path, workers=1) as cluster:
        words = command(folder, "-o", output, "--backend", "dask", "--scheduler", cluster.address)
        with running(words) as process:
            journal = tmp_path / "out.csv.journal"
            assert wait_until(lambda: journal.exists() and journal.read_bytes().count(b"\n") > 8)
            os.killpg(cluster.scheduler.pid, signal.SIGKILL)
            _, talk = process.communicate(timeout=DEADLINE)
    assert process.returncode == BackendError.exit_code
    assert b"zipocr: The Dask scheduler was lost" in talk
    assert b"Traceback" not in talk
    assert scan(folder, "-o", output, "--resume", "--backend", "serial").returncode == 0
    assert scan(folder, "-o", tmp_path / "plain.csv").returncode == 0
    assert output.read_bytes() == (tmp_path / "plain.csv").read_bytes()


def test_a_mismatched_worker_gets_no_work_and_is_named(tmp_path: Path) -> None:
    messages: list[str] = []
    with clusters.running(tmp_path, workers=1, mismatched=1) as cluster:
        wait_for(cluster, 2)
        backend = DaskBackend(
            scheduler=cluster.address, check=chores.describe_mismatch, tell=messages.append
        )
        deadline = time.monotonic() + DEADLINE
        # On a busy machine the other worker may finish everything before this one is checked.
        while not messages and time.monotonic() < deadline:
            # A task's result shows which worker ran it.
            work = partial(chores.Each, chores.describe_mismatch)
            assert list(backend.map(work, range(200), lost=chores.lost)) == [[""]] * 200
    assert [line.partition(" gets no work: ")[2] for line in messages] == [
        f"other libraries. {dask._FOREIGN}"
    ]


def test_if_all_workers_are_mismatched_the_run_ends_and_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask, "WORKERS_SECONDS", 0.5)
    monkeypatch.setattr(dask, "ASK_SECONDS", 0.2)
    named = r"no workers .* that can do this work \(tcp://\S+: other libraries\)"
    with clusters.running(tmp_path, workers=0, mismatched=1) as cluster:
        wait_for(cluster, 1)
        backend = DaskBackend(scheduler=cluster.address, check=chores.describe_mismatch)
        with pytest.raises(BackendError, match=named):
            list(backend.map(chores.Script, [("open", "a")], lost=chores.lost))


def test_workers_lost_alongside_a_mismatched_one_cost_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask, "ASK_SECONDS", 0.2)
    tasks = [("open", f"{number}") for number in range(4)]
    tasks[3] = ("open", "kill parent", "x")
    with clusters.running(tmp_path, workers=1, mismatched=1) as cluster:
        wait_for(cluster, 2)
        backend = DaskBackend(scheduler=cluster.address, check=chores.describe_mismatch)
        results = list(backend.map(chores.Script, tasks, lost=chores.lost))
    words = ["DIED" if "kill parent" in task else task[1] for task in tasks]
    assert [[step[-1] for step in steps] for steps in results] == [[word] for word in words]


def test_workers_with_another_version_are_refused(
    cluster: clusters.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for(cluster, 1)
    monkeypatch.setattr(dask, "WORKERS_SECONDS", 0.5)
    monkeypatch.setattr(dask, "ASK_SECONDS", 0.2)
    monkeypatch.setattr(dask, "__version__", "0.0.1")
    with pytest.raises(BackendError, match=r"and this is 0\.0\.1.*same version"):
        list(
            DaskBackend(scheduler=cluster.address).map(
                chores.Script, [("open", "a")], lost=chores.lost
            )
        )


def test_a_worker_that_cannot_be_checked_counts_as_mismatched(
    cluster: clusters.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for(cluster, 1)
    monkeypatch.setattr(dask, "WORKERS_SECONDS", 0.5)
    monkeypatch.setattr(dask, "ASK_SECONDS", 0.2)
    check = partial(describe_mismatch, "no such model", {})
    backend = DaskBackend(scheduler=cluster.address, check=check)
    with pytest.raises(BackendError, match=r"cannot identify itself .*no such model"):
        list(backend.map(chores.Script, [("open", "a")], lost=chores.lost))


def test_a_page_that_kills_its_process_costs_one_row_on_every_backend(
    cluster: clusters.Cluster, tmp_path: Path
) -> None:
    folder = save_many(tmp_path / "in", 30, gray=7)
    Image.fromarray(fakes.page(ink=fakes.KILL)).save(folder / "007.png")
    pages = [Image.fromarray(fakes.page(ink=ink)) for ink in (7, fakes.KILL, 8)]
    pages[0].save(folder / "008.tif", save_all=True, append_images=pages[1:])
    # Relative paths are resolved from here, not from where the workers were started.
    done = scan(
        "in", "-o", "dask.csv", "--backend", "dask", "--scheduler", cluster.address, cwd=tmp_path
    )
    assert done.returncode == 1
    assert scan("in", "-o", "processes.csv", "--backend", "processes", cwd=tmp_path).returncode == 1
    assert (tmp_path / "dask.csv").read_bytes() == (tmp_path / "processes.csv").read_bytes()
    assert (tmp_path / "dask.csv").read_text().count(",worker_died,") == 2


def test_a_local_cluster_gives_the_rows_of_a_serial_scan(tmp_path: Path) -> None:
    folder = save_many(tmp_path / "in", 20)
    assert (
        scan(folder, "-o", tmp_path / "dask.csv", "--backend", "dask", "--jobs", "2").returncode
        == 0
    )
    assert scan(folder, "-o", tmp_path / "serial.csv", "--backend", "serial").returncode == 0
    assert (tmp_path / "dask.csv").read_bytes() == (tmp_path / "serial.csv").read_bytes()


@pytest.mark.posix
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_a_scan_with_a_local_cluster(
    tmp_path: Path, number: signal.Signals
) -> None:
    folder, journal = save_many(tmp_path / "in", 3000), tmp_path / "out.csv.journal"
    words = command(folder, "-o", tmp_path / "out.csv", "--backend", "dask", "--jobs", "1")
    with running(words) as process:
        assert wait_until(lambda: journal.exists() and journal.read_bytes().count(b"\n") > 8)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        _, talk = process.communicate(timeout=DEADLINE)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert b"Traceback" not in talk
    assert wait_until(lambda: not group_is_alive(process.pid))


def test_an_idle_process_ends_and_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import pickle

    monkeypatch.setattr(dask, "IDLE_SECONDS", 0.1)
    job = dask._Job(
        number="1",
        version=dask.__version__,
        folder=os.curdir,
        start=pickle.dumps(chores.Script),
        check=pickle.dumps(chores.describe_mismatch),
        timeout=TIMEOUT,
        max_memory=None,
    )
    processes = []
    for _ in range(2):
        [[step]] = dask.do_shard(job, [pickle.dumps(("open", "a"))])
        assert isinstance(step, bytes)
        processes.append(pickle.loads(step)[0])
        assert wait_until(lambda process=processes[-1]: not is_alive(process))
    assert len(set(processes)) == 2
