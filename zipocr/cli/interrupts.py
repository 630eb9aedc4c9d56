"""Ending a command on Ctrl-C or SIGTERM."""

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
# Seconds within which a signal must be handled; Python handles none while a decoder runs.
PATIENCE_SECONDS = 1.5


@contextmanager
def graceful_shutdown() -> Iterator[Callable[[], None]]:
    """Shut down cleanly on the first Ctrl-C or SIGTERM, at once on the second or if one is missed.

    Yields
    ------
    callable
        Raises the signal's exception again if the command is still running: an exception raised in
        a finalizer is lost. For commands that run until they are stopped.

    Raises
    ------
    KeyboardInterrupt
        In the block, on Ctrl-C.
    SystemExit
        In the block, on SIGTERM, with the exit status that shells use for it.
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
    # A process that ignores Ctrl-C, such as a background job of a script, keeps ignoring it.
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
    """Kill the process from another thread if a signal is not handled in time."""
    import socket

    # On Windows, signal numbers can only be written to a socket.
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    before = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_insist, args=(reading, answered), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        # The thread ends at the end of the stream.
        writing.close()


def _insist(reading: "socket.socket", answered: threading.Event) -> None:
    with suppress(OSError), reading as signals:
        while number := signals.recv(1):
            if number[0] in SIGNALS and not answered.wait(PATIENCE_SECONDS):
                os._exit(128 + number[0])
            answered.clear()
