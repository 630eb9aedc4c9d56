"""Interrupt scans at random: ``python tests/chaos.py [SECONDS] [--seed N] [--write]``.

Each round scans the same crops, is interrupted several times in randomly chosen ways, and is
resumed until it finishes. Then nothing may be lost: the results must equal those of an undisturbed
scan, and no file or process may be left behind. Afterwards the largest pages that a scan opens are
read, and pages as large as a phone's photographs, and the time and memory for each are measured.
With --write all tables go into the manual.
"""

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import corpus
import cv2
import numpy as np
import soak
import waiting
from PIL import Image

from zipocr.batch.read_files import use_one_thread
from zipocr.config import ScanConfig
from zipocr.images.decode import read_pages
from zipocr.mail_reader import MailReader
from zipocr.models.model_file import load_model
from zipocr.preprocess.resize import resized
from zipocr.training.benchmark import figures
from zipocr.training.benchmark.figures import markdown
from zipocr.training.data.datasets import load_digits_set
from zipocr.training.synthesis.pages.compose import PageComposer
from zipocr.types import GrayImage, Unread

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "sample_scans"
SECONDS, DEADLINE = 300, 300.0
MAX_JOBS, MAX_FAULTS = 3, 5
FORMATS = ("csv", "jsonl")
# A page whose worker was killed twice is given up on, as the manual says.
GIVEN_UP = "worker_died"
UNFINISHED = "a resumed scan did not finish"
SIDE = 7_000
# Composed pages that are not mail: kinds, number of each, pixels, and seed.
NO_MAIL = ("text_page", "form", "photograph")
NO_MAIL_PAGES, NO_MAIL_PIXELS, NO_MAIL_SEED = 16, 12_000_000, 5


@dataclass(slots=True, kw_only=True, eq=False)
class Tally:
    """Counts of rounds, of the faults injected and of their consequences."""

    rounds: int = 0
    starts: int = 0
    rows: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A scan of one folder that may be interrupted and resumed."""

    command: Sequence[str | Path]
    output: Path

    @property
    def journal(self) -> Path:
        """The file that holds the finished inputs until the output is complete."""
        return self.output.with_name(self.output.name + ".journal")

    def start(self, *, max_kilobytes: int | None = None) -> subprocess.Popen[bytes]:
        """Start it in its own session, optionally with a limit on the size of its files."""
        limit = "unlimited" if max_kilobytes is None else str(2 * max_kilobytes)
        return subprocess.Popen(
            ["sh", "-c", 'ulimit -f "$0" && exec "$@"', limit, *self.command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


Fault = Callable[[np.random.Generator, Scan, subprocess.Popen[bytes]], None]


def kill(_rng: np.random.Generator, _scan: Scan, process: subprocess.Popen[bytes]) -> None:
    """Kill the scan."""
    process.kill()


def kill_worker(rng: np.random.Generator, _scan: Scan, process: subprocess.Popen[bytes]) -> None:
    """Kill one of its workers."""
    with suppress(OSError):
        if workers := waiting.workers_of(process.pid):
            os.kill(workers[int(rng.integers(len(workers)))], signal.SIGKILL)


def interrupt(_rng: np.random.Generator, _scan: Scan, process: subprocess.Popen[bytes]) -> None:
    """Press Ctrl-C."""
    process.send_signal(signal.SIGINT)


def terminate(_rng: np.random.Generator, _scan: Scan, process: subprocess.Popen[bytes]) -> None:
    """Terminate the scan."""
    process.send_signal(signal.SIGTERM)


def pause(_rng: np.random.Generator, _scan: Scan, process: subprocess.Popen[bytes]) -> None:
    """Pause the scan and its workers for a second."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGSTOP)
        time.sleep(1)
        os.killpg(process.pid, signal.SIGCONT)


def tear_journal(rng: np.random.Generator, scan: Scan, process: subprocess.Popen[bytes]) -> None:
    """Kill the scan and truncate its journal within the last line, as a power failure may."""
    process.kill()
    process.wait()
    if scan.journal.exists() and (data := scan.journal.read_bytes()).count(b"\n") > 1:
        last = len(data) - (data.rstrip(b"\n").rfind(b"\n") + 1)
        os.truncate(scan.journal, len(data) - int(rng.integers(1, last)))


FAULTS: Mapping[str, Fault] = {
    "scan killed": kill,
    "worker killed": kill_worker,
    "Ctrl-C": interrupt,
    "SIGTERM": terminate,
    "stopped for a second": pause,
    "killed, journal cut": tear_journal,
}
NO_ROOM = "no room for files"


def play_round(
    rng: np.random.Generator, scan: Scan, whole: bytes, seconds: float, tally: Tally
) -> None:
    """Interrupt a scan that takes ``seconds`` undisturbed, resume it, and check what it left."""
    for name in rng.choice([*FAULTS, NO_ROOM], int(rng.integers(1, MAX_FAULTS + 1))):
        is_limited = name == NO_ROOM
        most = max(1, len(whole) // 1024)
        process = scan.start(max_kilobytes=int(rng.integers(most)) if is_limited else None)
        tally.starts += 1
        time.sleep(float(rng.uniform(0, 1.2 * seconds)))
        if process.poll() is None or is_limited:
            tally.faults[str(name)] += 1
        if not is_limited:
            FAULTS[str(name)](rng, scan, process)
        _await_end(process, tally)
    process = scan.start()
    tally.starts += 1
    if _await_end(process, tally) not in {0, 1}:
        tally.broken[UNFINISHED] += 1
    tally.rounds += 1
    _check(scan, whole, tally)


def _await_end(process: subprocess.Popen[bytes], tally: Tally) -> int | None:
    """Wait for a scan and all its processes to end; return the exit status."""
    try:
        status = process.wait(DEADLINE)
    except subprocess.TimeoutExpired:
        tally.broken["a scan hung"] += 1
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait()
    if not waiting.wait_until(lambda: not waiting.group_is_alive(process.pid), deadline=10):
        tally.broken["a process was left behind"] += 1
    return status


def _check(scan: Scan, whole: bytes, tally: Tally) -> None:
    found = scan.output.read_bytes() if scan.output.exists() else b""
    expected, lines = whole.splitlines(), found.splitlines()
    tally.rows += len(lines)
    tally.broken["rows lost or twice"] += abs(len(lines) - len(expected))
    if len(lines) == len(expected):
        changed = [new for new, old in zip(lines, expected, strict=True) if new != old]
        given_up = sum(GIVEN_UP.encode() in line for line in changed)
        tally.faults["pages given up, since their worker was killed twice"] += given_up
        tally.broken["rows changed"] += len(changed) - given_up
    names = {scan.output.name, scan.output.name + ".json"}
    tally.broken["files left behind"] += len(
        [path for path in scan.output.parent.iterdir() if path.name not in names]
    )


def run_rounds(
    seconds: float, folder: Path, *, seed: int, program: Sequence[str | Path], inputs: Path
) -> Tally:
    """Play rounds until the time is up, but at least one."""
    rng, tally, end = np.random.default_rng(seed), Tally(), time.monotonic() + seconds
    wholes = {}
    for kind in FORMATS:
        whole = folder / f"whole.{kind}"
        begun = time.monotonic()
        subprocess.run([*program, "scan", inputs, "-o", whole, "--quiet"], check=False)
        wholes[kind] = whole.read_bytes(), time.monotonic() - begun
    while not tally.rounds or time.monotonic() < end:
        kind, jobs = str(rng.choice(FORMATS)), int(rng.integers(1, MAX_JOBS + 1))
        place = folder / f"round-{tally.rounds}"
        place.mkdir()
        output = place / f"out.{kind}"
        words = ("scan", inputs, "-o", output, "--resume", "--backend", "processes")
        scan = Scan(command=[*program, *words, "--jobs", str(jobs)], output=output)
        play_round(rng, scan, *wholes[kind], tally)
    return tally


def fault_lines(tally: Tally) -> Iterator[str]:
    """Tabulate the rounds in Markdown."""
    yield (
        f"{tally.rounds} scans of the sample crops, interrupted and resumed at random: "
        f"{tally.starts} starts, {tally.rows} lines of results checked."
    )
    yield ""
    yield from markdown(
        ("what was done", "times"),
        [(name, str(count)) for name, count in sorted(tally.faults.items()) if count],
    )
    yield ""
    kinds = (
        "rows lost or twice", "rows changed", "files left behind", "a process was left behind",
        "a scan hung", UNFINISHED,
    )  # fmt: skip
    yield from markdown(
        ("what came of it", "times"), [(name, str(tally.broken[name])) for name in kinds]
    )


def blank(side: int) -> GrayImage:
    """Bare paper."""
    return np.full((side, side), 255, np.uint8)


def text(side: int) -> GrayImage:
    """A page full of words."""
    page = blank(side)
    for top in range(120, side - 60, 110):
        for left in range(100, side - 1_400, 1_300):
            words = f"Line {top} of a page {left}"
            cv2.putText(page, words, (left, top), cv2.FONT_HERSHEY_SIMPLEX, 2.5, 0, 6)
    return page


def checkerboard(side: int) -> GrayImage:
    """Squares of eight pixels."""
    rows, columns = np.indices((side, side), sparse=True)
    return np.asarray(((rows // 8 + columns // 8) % 2) * 255, np.uint8)


def noise(side: int) -> GrayImage:
    """Any gray in any pixel."""
    return np.random.default_rng(1).integers(0, 256, (side, side), np.uint8)


def specks(side: int) -> GrayImage:
    """Dots of two pixels, eight pixels apart."""
    page = blank(side)
    for row in range(2):
        for column in range(2):
            page[row::8, column::8] = 0
    return page


def spiral(side: int) -> GrayImage:
    """One thin line that fills the page."""
    page, middle = blank(side), side / 2
    turns = np.linspace(0, 2 * np.pi * side / 48, 60_000)
    radius = turns / turns[-1] * (middle - 20)
    points = np.column_stack([middle + radius * np.cos(turns), middle + radius * np.sin(turns)])
    cv2.polylines(page, [points.astype(np.int32)], False, 0, 6)
    return page


def address(side: int) -> GrayImage:
    """An address in the middle of bare paper."""
    page = blank(side)
    for place, line in enumerate(("JANE DOE", "12 MAIN STREET", "BOSTON MA 02108")):
        at = (side // 3, side // 2 + 160 * place)
        cv2.putText(page, line, at, cv2.FONT_HERSHEY_SIMPLEX, 4, 0, 10)
    return page


PAGES = (blank, address, text, checkerboard, specks, spiral, noise)
ENCODERS: Mapping[str, Callable[[Image.Image], bytes]] = {
    "png": lambda image: corpus.encode(image, "PNG", compress_level=1),
    "tif": lambda image: corpus.tiff(image.convert("1")),
}
OTHER_ENCODERS: Mapping[str, Callable[[Image.Image], bytes]] = {
    "jpg": lambda image: corpus.encode(image, "JPEG", quality=80),
    "heic": corpus.heic,
    "pdf": corpus.scanned_pdf,
}
"""Further formats, for the page full of words only."""


def measure_pages(folder: Path, side: int) -> list[tuple[str, str, float, float]]:
    """Read large pages, each in its own process: name, format, seconds, megabytes."""
    found = []
    for draw in PAGES:
        image = Image.fromarray(draw(side))
        encoders = {**ENCODERS, **(OTHER_ENCODERS if draw is text else {})}
        for ending, encode in encoders.items():
            path = folder / f"page.{ending}"
            path.write_bytes(encode(image))
            name = (draw.__doc__ or "").strip().rstrip(".")
            (seconds,), memory = measure_elsewhere(path)
            found.append((name, ending, seconds, memory))
    return found


def measure_elsewhere(*paths: Path) -> tuple[list[float], float]:
    """Run `measure_files` in a separate process."""
    command = [sys.executable, __file__, "--measure", *map(str, paths)]
    done = subprocess.run(command, check=True, capture_output=True, timeout=DEADLINE)
    seconds, megabytes = json.loads(done.stdout)
    return seconds, megabytes


def measure_files(paths: Sequence[Path]) -> tuple[list[float], float]:
    """Read files like a scan's process; return the CPU seconds of each, and the peak memory in MB."""
    use_one_thread()
    reader = MailReader(load_model("mail"))
    reader.read(blank(100))
    seconds = []
    for path in paths:
        begun = time.process_time()
        for page in read_pages(path, max_pixels=ScanConfig().max_pixels):
            if not isinstance(page, Unread):
                reader.read(page)
        seconds.append(time.process_time() - begun)
    # `getrusage` may report the peak of the process that started this one.
    return seconds, soak.memory(os.getpid(), "VmHWM")


def page_lines(measured: Sequence[tuple[str, str, float, float]], side: int) -> Iterator[str]:
    """Tabulate the large pages in Markdown."""
    yield f"Pages of {side * side / 1e6:.0f} megapixels, read with `mail` in one process:"
    yield ""
    rows = [
        (name, ending, f"{seconds:.1f}", f"{memory:.0f}")
        for name, ending, seconds, memory in measured
    ]
    yield from markdown(("page", "file", "seconds of processor time", "MB of the process"), rows)


def write_no_mail(kind: str, folder: Path) -> Iterator[Path]:
    """Compose pages of a kind that are not mail, and write them as JPEG files."""
    pages = PageComposer(
        load_digits_set(), seed=NO_MAIL_SEED, part="test", kinds={kind: 1}, without_zip=1.0
    )
    for number in range(NO_MAIL_PAGES):
        page = pages.nth(number).image
        path = folder / f"{kind}-{number}.jpg"
        large = resized(page, (NO_MAIL_PIXELS / page.size) ** 0.5)
        path.write_bytes(OTHER_ENCODERS["jpg"](Image.fromarray(large)))
        yield path


def no_mail_lines() -> Iterator[str]:
    """Measure pages that are not mail, a process for each kind, and tabulate them in Markdown."""
    yield (
        f"{NO_MAIL_PAGES} composed pages of each kind without a ZIP, enlarged to"
        f" {NO_MAIL_PIXELS / 1e6:.0f} megapixels, JPEG, read with `mail` in one process:"
    )
    yield ""
    rows = []
    for kind in NO_MAIL:
        with tempfile.TemporaryDirectory() as folder:
            seconds, memory = measure_elsewhere(*write_no_mail(kind, Path(folder)))
        times = f"{np.median(seconds):.2f}", f"{max(seconds):.2f}"
        rows.append((kind.replace("_", " "), *times, f"{memory:.0f}"))
    heads = ("pages", "seconds of processor time, median", "most", "MB of the process")
    yield from markdown(heads, rows)


def crops() -> list[Path]:
    """List the sample crops."""
    with (SAMPLES / "labels.csv").open(encoding="utf-8", newline="") as file:
        names = [row["file"] for row in csv.DictReader(file)]
    return [SAMPLES / name for name in dict.fromkeys(names) if not name.startswith("pages/")]


def main() -> None:
    """Play rounds, measure pages, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=SECONDS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--measure", nargs="+", type=Path)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure_files(given.measure)))
        return
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        inputs = folder / "inputs"
        inputs.mkdir()
        for path in crops():
            (inputs / path.name).symlink_to(path.resolve())
        program = [sys.executable, "-m", "zipocr"]
        tally = run_rounds(given.seconds, folder, seed=given.seed, program=program, inputs=inputs)
        sections = {
            "faults": list(fault_lines(tally)),
            "large pages": list(page_lines(measure_pages(folder, SIDE), SIDE)),
            "pages without mail": list(no_mail_lines()),
        }
    print(*(line for lines in sections.values() for line in (*lines, "")), sep="\n")
    if given.write:
        figures.record(ROOT, sections)
    sys.exit(any(tally.broken.values()))


if __name__ == "__main__":
    main()
