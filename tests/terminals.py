"""Commands whose standard error is a terminal."""

import os
import pty
import subprocess
from collections.abc import Sequence
from pathlib import Path


def seen_on_a_terminal(command: Sequence[str | Path], *, status: int) -> str:
    """Run a command that must end with this status, and return what the terminal received."""
    terminal, end = pty.openpty()
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=end, env={**os.environ, "TERM": "xterm"}
    ) as process:
        os.close(end)
        seen = b""
        try:
            while part := os.read(terminal, 65_536):
                seen += part
        except OSError:  # how Linux reports that the other end is closed
            pass
        assert process.wait() == status
    os.close(terminal)
    return seen.decode()
