"""How a command ends when it is told to."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from zipocr.errors import ExitCode

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def orderly_end() -> Iterator[Callable[[], None]]:
    """End in order at the first Ctrl-C or SIGTERM, and at once at the second.

    Yields
    ------
    callable
        Raises what was raised once more, if the command goes on in spite of it: what is raised while Python tidies up is lost. For those
        that run until they are told to end.

    Raises
    ------
    KeyboardInterrupt
        In the block, at Ctrl-C.
    SystemExit
        In the block, at SIGTERM; with the status that shells give to it.
    """
    heard: list[int] = []

    def ask() -> None:
        if heard:
            raise KeyboardInterrupt if heard[0] == signal.SIGINT else SystemExit(128 + heard[0])

    def first(number: int, _: FrameType | None) -> None:
        for other in SIGNALS:
            signal.signal(other, _second)
        heard.append(number)
        ask()

    if threading.current_thread() is not threading.main_thread():
        yield ask
        return
    # What was told to ignore Ctrl-C, like a job in the background of a script, goes on doing so.
    before = {number: signal.getsignal(number) for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN}
    try:
        for number in before:
            signal.signal(number, first)
        yield ask
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _second(*_: object) -> None:
    os._exit(ExitCode.INTERRUPTED)
