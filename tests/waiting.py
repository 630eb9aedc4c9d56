"""Waits for what other processes do, with a deadline."""

import os
import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], *, deadline: float) -> bool:
    """Whether a condition was met within so many seconds."""
    until = time.monotonic() + deadline
    while not (met := condition()) and time.monotonic() < until:
        time.sleep(0.01)
    return met


def is_alive(process: int) -> bool:
    """Whether there still is a process of this number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def group_is_alive(group: int) -> bool:
    """Whether there still is a process of this group."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
