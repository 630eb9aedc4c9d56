import os
import signal
import stat
import subprocess
import sys

from zipocr.cli.interrupts import graceful_shutdown


def test_signals_arrive_through_a_socket_as_windows_requires() -> None:
    with graceful_shutdown():
        written = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(written)
        assert stat.S_ISSOCK(os.fstat(written).st_mode)
    assert signal.set_wakeup_fd(-1) == -1


def test_an_interrupt_during_startup_gives_no_traceback() -> None:
    program = """
import sys
import zipocr.__main__ as program

class Interrupt:
    def find_spec(self, name, *_):
        if name == "zipocr.cli":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupt())
program.main()
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (130, b"")
