"""A Dask cluster of real processes on this machine, for tests that end some of them."""

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
# After so many deaths Dask gives a task up: fewer than usual, since workers take a while to start.
ALLOWED_FAILURES = 1


@dataclass(frozen=True)
class Cluster:
    """The address and process of a scheduler, and the processes of its workers."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: tuple[subprocess.Popen[bytes], ...]

    def kill(self, number: int) -> None:
        """End a worker with all that belongs to it."""
        os.killpg(self.workers[number].pid, signal.SIGKILL)


@contextmanager
def running(folder: Path, *, workers: int = 2, strangers: int = 0) -> Iterator[Cluster]:
    """Start a cluster.

    It ends with the block. The workers that come last may be strangers, see `chores.strangeness`.
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
        environments = [env] * workers + [{**env, STRANGE: "other libraries"}] * strangers
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
