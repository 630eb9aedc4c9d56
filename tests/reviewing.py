"""Results to review, and the server and browser to review them with."""

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import fakes
from PIL import Image

import zipocr
from zipocr.results.formats import open_results
from zipocr.results.row import Row, unread_row
from zipocr.types import Reason, Status

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip
ROOT = Path(zipocr.__file__).parents[1]
DEADLINE = 60.0


def row(
    file: str = "a.png",
    zip_: str = "02108",
    confidence: float = 0.5,
    *,
    page: int = 1,
    status: Status = Status.REVIEW,
) -> Row:
    """A row with a ZIP of five digits or nine."""
    reason = (Reason.LOW_CONFIDENCE,) if status is Status.REVIEW else ()
    return Row(
        file=file,
        page=page,
        zip=zip_[:5],
        plus4=zip_[5:].removeprefix("-"),
        confidence=confidence,
        status=status,
        reason=reason,
        digit_confidences=(confidence,) * len(zip_.replace("-", "")),
        runner_up="02109",
        runner_up_confidence=0.1,
        city="Boston",
        state="MA",
    )


def unread(file: str, reason: Reason = Reason.NO_INK, *, page: int = 1) -> Row:
    return unread_row(file, page, reason)


def write_results(path: Path, rows: Sequence[Row]) -> Path:
    with open_results(str(path)) as results:
        results.write(rows)
    return path


def write_page(path: Path) -> Path:
    """Save an image file, and create its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(fakes.page()).save(path)
    return path


@dataclass(slots=True, kw_only=True)
class Server:
    """``zipocr review``, as a process."""

    process: subprocess.Popen[bytes]
    address: str
    began: float
    told: list[str] = field(default_factory=list)

    def end(self) -> str:
        """End it with Ctrl-C, and return its final messages."""
        self.process.send_signal(signal.SIGINT)
        _, said = self.process.communicate(timeout=DEADLINE)
        return said.decode()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=DEADLINE)


@contextmanager
def serving(results: Path, labels: Path, *options: str) -> Iterator[Server]:
    """Start a review, and yield it once it has printed its address."""
    command = [
        sys.executable,
        "-m",
        "zipocr",
        "review",
        str(results),
        "--labels-out",
        str(labels),
        "--no-browser",
        *options,
    ]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    began = time.monotonic()
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}, cwd=labels.parent
    ) as process:
        try:
            yield Server(process=process, address=_address(process), began=began)
        finally:
            process.kill()


def _address(process: subprocess.Popen[bytes]) -> str:
    assert process.stderr is not None
    said, until = b"", time.monotonic() + DEADLINE
    while not (found := re.search(rb"http://\S+/\n", said)):
        assert select.select([process.stderr], [], [], max(0.0, until - time.monotonic()))[0], said
        more = os.read(process.stderr.fileno(), 4096)
        assert more, said
        said += more
    return found[0].decode().strip()
