"""How a command ends when it is told to."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from zipocr.errors import ExitCode

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def orderly_end() -> Iterator[None]:
    """End in order at the first Ctrl-C or SIGTERM, and at once at the second.

    Raises
    ------
    KeyboardInterrupt
        In the block, at Ctrl-C.
    SystemExit
        In the block, at SIGTERM; with the status that shells give to it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # What was told to ignore Ctrl-C, like a job in the background of a script, goes on doing so.
    before = {number: signal.getsignal(number) for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN}
    try:
        for number in before:
            signal.signal(number, _first)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _first(number: int, _: FrameType | None) -> None:
    for other in SIGNALS:
        signal.signal(other, _second)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def _second(*_: object) -> None:
    os._exit(ExitCode.INTERRUPTED)
