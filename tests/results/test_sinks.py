import os
import subprocess
import sys
from pathlib import Path

import pytest

WRITE_TO_STDOUT = r"""
from zipocr.results.row import unread_row
from zipocr.results.formats import open_results
from zipocr.types import Reason
with open_results("-") as results:
    for page in range({pages}):
        results.write([unread_row("\udcff \u00e4", page + 1, Reason.NO_INK)])
"""


def run(pages: int, stdout: int) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    program = [sys.executable, "-P", "-c", WRITE_TO_STDOUT.format(pages=pages)]
    return subprocess.run(
        program, check=False, stdout=stdout, stderr=subprocess.PIPE, env=environment
    )


def test_standard_output_is_utf8_whatever_the_locale() -> None:
    done = run(1, subprocess.PIPE)
    assert done.stderr == b""
    assert done.stdout.decode().splitlines()[1:] == ["\\xff ä,1,,,,unread,no_ink,,,,,,"]


@pytest.mark.posix
def test_a_full_standard_output_is_an_output_error_reported_once() -> None:
    with Path("/dev/full").open("wb") as full:
        done = run(1, full.fileno())
    assert done.returncode == 1
    assert done.stderr.count(b"zipocr.errors.OutputError") == 1
    assert b"Exception ignored" not in done.stderr


def test_a_closed_standard_output_is_reported_once() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = run(1, writing)
    os.close(writing)
    assert done.stderr.strip().endswith(b"BrokenPipeError: [Errno 32] Broken pipe")
    assert b"Exception ignored" not in done.stderr
