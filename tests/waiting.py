"""Waits for what other processes do, with a deadline in case they do not."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

_HOLDER = """
import sys, time
from pathlib import Path
{opening}
    print("held", flush=True)
    time.sleep(3600)
"""


def wait_until(condition: Callable[[], bool], *, deadline: float) -> bool:
    """Wait for a condition; return whether it was met before the deadline."""
    until = time.monotonic() + deadline
    while not (met := condition()) and time.monotonic() < until:
        time.sleep(0.01)
    return met


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in its own session, where a signal can reach all processes as Ctrl-C does.

    A command that outlives the block, for example because a test fails, is killed.
    """
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command,
        stdout=pipe,
        stderr=pipe,
        start_new_session=True,
        env=env,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def ended_within(seconds: float) -> Iterator[None]:
    """Fail the test if this block of the main thread takes longer."""

    def fail(*_: object) -> None:
        pytest.fail(f"not done within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def held_elsewhere(opening: str, path: Path) -> Iterator[None]:
    """Run the block while another process holds a file open in a ``with``; then kill it."""
    program = _HOLDER.format(opening=opening)
    with subprocess.Popen(
        [sys.executable, "-P", "-c", program, path], stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            yield
        finally:
            process.kill()


def workers_of(process: int) -> list[int]:
    """List the worker processes of a scan, the newest last, without Python's own helper.

    OSError if the scan has ended.
    """
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [
        int(child)
        for child in children
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


def is_alive(process: int) -> bool:
    """Return whether there still is a process with this ID."""
    return _answers(os.kill, process)


def group_is_alive(group: int) -> bool:
    """Return whether there still is a process in this group."""
    return _answers(os.killpg, group)


def _answers(send: Callable[[int, int], None], number: int) -> bool:
    """Return whether there is anything with this ID to send signals to."""
    try:
        send(number, 0)
    except ProcessLookupError:
        return False
    return True
