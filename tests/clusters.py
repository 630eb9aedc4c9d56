"""A Dask cluster of real processes on this machine, for tests that kill some of them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from chores import STRANGE

DEADLINE = 120
# Dask gives up on a task after this many worker deaths: fewer than by default, since workers start
# slowly.
ALLOWED_FAILURES = 1


@dataclass(frozen=True)
class Cluster:
    """The address and process of a scheduler, and the processes of its workers."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: tuple[subprocess.Popen[bytes], ...]

    def kill(self, number: int) -> None:
        """Kill a worker and all its child processes."""
        os.killpg(self.workers[number].pid, signal.SIGKILL)


@contextmanager
def running(folder: Path, *, workers: int = 2, mismatched: int = 0) -> Iterator[Cluster]:
    """Run a cluster until the end of the block.

    The last ``mismatched`` workers differ from the client, see `chores.describe_mismatch`.
    """
    roots = [Path(__file__).parents[1], Path(__file__).parent]
    path = os.pathsep.join([*map(str, roots), os.environ.get("PYTHONPATH", "")])
    env = {
        **os.environ,
        "PYTHONPATH": path,
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(ALLOWED_FAILURES),
    }
    place = folder / "scheduler.json"
    local = ["--host", "127.0.0.1", "--no-dashboard"]
    with ExitStack() as stack:
        words = ["dask_scheduler", *local, "--port", "0", "--scheduler-file", str(place)]
        scheduler = stack.enter_context(_started(words, env))
        address = _address(place)
        words = [
            "dask_worker",
            address,
            *local,
            "--nthreads",
            "1",
            "--memory-limit",
            "0",
            "--local-directory",
            str(folder),
        ]
        environments = [env] * workers + [{**env, STRANGE: "other libraries"}] * mismatched
        started = tuple(stack.enter_context(_started(words, each)) for each in environments)
        yield Cluster(address=address, scheduler=scheduler, workers=started)


@contextmanager
def _started(words: list[str], env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    program = [sys.executable, "-m", f"distributed.cli.{words[0]}", *words[1:]]
    with subprocess.Popen(
        program,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _address(place: Path) -> str:
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        with suppress(OSError, ValueError):
            return str(json.loads(place.read_text())["address"])
        time.sleep(0.05)
    raise TimeoutError
