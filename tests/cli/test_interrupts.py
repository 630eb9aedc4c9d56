import os
import signal
import stat

from zipocr.cli.interrupts import graceful_shutdown


def test_signals_are_heard_through_a_socket_as_windows_wants_it() -> None:
    with graceful_shutdown():
        written = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(written)
        assert stat.S_ISSOCK(os.fstat(written).st_mode)
    assert signal.set_wakeup_fd(-1) == -1
