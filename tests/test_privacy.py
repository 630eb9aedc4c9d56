"""No command uses the network unless asked to.

Python's audit events report every socket, in worker processes too.
"""

import os
import subprocess
import sys
from pathlib import Path

import fakes
import pytest
from PIL import Image
from waiting import running, wait_until

import zipocr

# Python runs this at startup in every process: an attempt to use a socket is noted in a file and
# ends the process.
GUARD = """
import os, socket, sys

def guard(event, arguments):
    inner = {socket.AF_UNIX} if hasattr(socket, "AF_UNIX") else set()
    if event == "socket.__new__" and arguments[1] in inner:
        return
    if event.startswith("socket.") or event in {"urllib.Request", "http.client.connect"}:
        with open(os.environ["ZIPOCR_TEST_SOCKETS"], "a") as file:
            print(event, *arguments[1:], file=file)
        os._exit(99)

sys.addaudithook(guard)
"""
# As above, but connections within this machine are allowed.
HOME_GUARD = """
import os, sys

HERE = {"127.0.0.1", "::1", "localhost", b"127.0.0.1", b"localhost"}

def guard(event, arguments):
    place = None
    if event in {"socket.connect", "socket.bind", "socket.sendto"} and isinstance(arguments[1], tuple):
        place = arguments[1][0]
    if event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        place = arguments[0]
    if place is not None and place not in HERE:
        with open(os.environ["ZIPOCR_TEST_SOCKETS"], "a") as file:
            print(event, *arguments[1:], file=file)
        os._exit(99)

sys.addaudithook(guard)
"""
DEADLINE = 120
ROOT = Path(zipocr.__file__).parents[1]


@pytest.fixture
def guarded(tmp_path: Path) -> dict[str, str]:
    """Return the environment of processes that may not use sockets."""
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD)
    path = os.pathsep.join([str(tmp_path / "guard"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "ZIPOCR_TEST_SOCKETS": str(tmp_path / "sockets")}


def run(guarded: dict[str, str], *words: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, *words], check=False, capture_output=True, env=guarded, timeout=DEADLINE
    )


def save(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        Image.fromarray(fakes.page(ink=number)).save(folder / f"{number}.png")
    return folder


CONNECTING = {
    "connect": "import socket; socket.create_connection(('127.0.0.1', 9))",
    "look up": "import socket; socket.getaddrinfo('localhost', 80)",
    "download": "import urllib.request; urllib.request.urlopen('http://localhost:9')",
    "listen": "import socket; socket.socket().bind(('127.0.0.1', 0))",
}


@pytest.mark.parametrize("what", CONNECTING)
def test_the_guard_catches_network_access(guarded: dict[str, str], what: str) -> None:
    assert run(guarded, "-c", CONNECTING[what]).returncode == 99
    assert Path(guarded["ZIPOCR_TEST_SOCKETS"]).read_text()


@pytest.mark.real
def test_scan_merge_inspect_model_and_train_use_no_network(
    guarded: dict[str, str], tmp_path: Path
) -> None:
    folder, zipocr_, listed = save(tmp_path / "in", 10), ("-m", "zipocr"), tmp_path / "list.txt"
    listed.write_text("".join(f"{path}\n" for path in sorted(folder.iterdir())))
    for words in (
        ["scan", folder, "--jobs", "2", "-o", tmp_path / "out.csv", "--debug", tmp_path / "debug"],
        ["scan", "--manifest", listed, "--out-dir", tmp_path / "parts", "--backend", "serial"],
        ["merge", tmp_path / "parts", "-o", tmp_path / "merged.csv"],
        ["inspect", folder / "1.png", "-o", tmp_path / "sheets"],
        ["model"],
        ["train", "--data", "digits", "--holdout", "6"],
    ):
        done = run(guarded, *zipocr_, *words)
        assert done.returncode == 0, done.stderr
    assert not Path(guarded["ZIPOCR_TEST_SOCKETS"]).exists()


@pytest.mark.real
def test_a_private_dask_cluster_stays_on_this_machine(
    guarded: dict[str, str], tmp_path: Path
) -> None:
    pytest.importorskip("distributed")
    (tmp_path / "guard" / "sitecustomize.py").write_text(HOME_GUARD)
    assert (
        run(
            guarded,
            "-c",
            "import socket; socket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.1', 80))",
        ).returncode
        == 99
    )
    Path(guarded["ZIPOCR_TEST_SOCKETS"]).unlink()
    words = [
        "scan",
        save(tmp_path / "in", 3),
        "--backend",
        "dask",
        "--jobs",
        "1",
        "-o",
        tmp_path / "out.csv",
    ]
    done = run(guarded, "-m", "zipocr", *words)
    assert done.returncode == 0, done.stderr
    assert not Path(guarded["ZIPOCR_TEST_SOCKETS"]).exists()


@pytest.mark.real
def test_watch_uses_no_network(guarded: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("watchfiles")
    folder, output = save(tmp_path / "in", 2), tmp_path / "out.csv"
    command = [sys.executable, "-m", "zipocr", "watch", folder, "-o", output, "--settle", "0"]
    with running(command, env=guarded) as process:
        wait_until(lambda: output.exists() or process.poll() is not None, deadline=DEADLINE)
        process.terminate()
        assert process.wait(DEADLINE) == 0
    assert output.exists()
    assert not Path(guarded["ZIPOCR_TEST_SOCKETS"]).exists()
