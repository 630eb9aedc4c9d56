"""How a command ends when it is told to."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

from zipocr.errors import ExitCode

if TYPE_CHECKING:
    import socket

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# How long a signal may wait to be heard: Python hears nothing while a decoder is at work.
PATIENCE_SECONDS = 1.5


@contextmanager
def graceful_shutdown() -> Iterator[Callable[[], None]]:
    """End in order at the first Ctrl-C or SIGTERM, at once at the second or if one is not heard.

    Yields
    ------
    callable
        Raises what was raised once more, if the command goes on in spite of it: what is raised
        while Python tidies up is lost. For those that run until they are told to end.

    Raises
    ------
    KeyboardInterrupt
        In the block, at Ctrl-C.
    SystemExit
        In the block, at SIGTERM; with the status that shells give to it.
    """
    heard: list[int] = []
    answered = threading.Event()

    def ask() -> None:
        if heard:
            raise KeyboardInterrupt if heard[0] == signal.SIGINT else SystemExit(128 + heard[0])

    def first(number: int, _: FrameType | None) -> None:
        for other in SIGNALS:
            signal.signal(other, _second)
        heard.append(number)
        answered.set()
        ask()

    if threading.current_thread() is not threading.main_thread():
        yield ask
        return
    # What was told to ignore Ctrl-C, like a job in the background of a script, goes on doing so.
    before = {
        number: signal.getsignal(number)
        for number in SIGNALS
        if signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        for number in before:
            signal.signal(number, first)
        with _insisting(answered):
            yield ask
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _second(*_: object) -> None:
    os._exit(ExitCode.INTERRUPTED)


@contextmanager
def _insisting(answered: threading.Event) -> Iterator[None]:
    """End the process if a signal is not answered in time; another thread sees that it came."""
    import socket

    # Windows writes the numbers of signals to sockets alone.
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    before = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_insist, args=(reading, answered), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        # At the end of the stream the thread ends.
        writing.close()


def _insist(reading: "socket.socket", answered: threading.Event) -> None:
    with suppress(OSError), reading as signals:
        while number := signals.recv(1):
            if number[0] in SIGNALS and not answered.wait(PATIENCE_SECONDS):
                os._exit(128 + number[0])
            answered.clear()
