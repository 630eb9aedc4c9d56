"""Scans a great many inputs and shows the memory used: ``tests/soak.py [COUNT] [FILE...]``.

The inputs are links to the few FILEs; by default, to two unambiguous crops, blank pages of several
sizes, a damaged file and a TIFF of three pages: fast ones, so that many are read. Fails if a row is
missing, or if any process grows by more than a twentieth after the first tenth.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice, pairwise
from pathlib import Path

from PIL import Image
from waiting import workers_of

from zipocr.results.formats import read_results

COUNT = 20_000
PER_FOLDER = 1_000
SECONDS = 0.5
LINES = 40
GROWTH = 0.05
# The cost of an input is reported between these numbers of finished inputs.
MARKS = (1, 1_000, 10_000, 100_000, 1_000_000)

Levels = dict[str, float]


def make_inputs(folder: Path, count: int, files: Sequence[Path]) -> None:
    """Link to the files in turn, in folders of a typical size."""
    for number, file in enumerate(islice(cycle(files), count)):
        place = folder / f"{number // PER_FOLDER:04}"
        place.mkdir(exist_ok=True)
        (place / f"{number:07}{file.suffix}").symlink_to(file)


def usual_files(folder: Path) -> list[Path]:
    """Create files that are read quickly, including a damaged one."""
    damaged, pages = folder / "damaged.png", folder / "pages.tif"
    blanks = [folder / f"blank-{height}.png" for height in range(60, 100, 5)]
    for height, blank in enumerate(blanks, start=60):
        Image.new("L", (4 * height, height), 255).save(blank)
    damaged.write_bytes(blanks[0].read_bytes()[:40])
    Image.new("L", (300, 80), 255).save(
        pages, save_all=True, append_images=[Image.new("L", (300, 80), 255)] * 2
    )
    crops = [
        (Path(__file__).parents[1] / "sample_scans" / "white" / f"white-0{number}.png").resolve()
        for number in (1, 2)
    ]
    return [*crops, *blanks, damaged, pages]


def memory(process: int, kind: str = "VmRSS") -> float:
    """Return the memory that a process holds in MB, or its peak with VmHWM.

    0 if it has ended.
    """
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    return next(
        (int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(kind)), 0
    )


def levels(parent: int, kind: str = "VmRSS") -> Levels:
    """Return the memory of a process and of its workers."""
    try:
        workers = workers_of(parent)
    except OSError:
        return {}
    return {
        "parent": memory(parent, kind),
        **{
            f"worker {number}": memory(worker, kind)
            for number, worker in enumerate(workers, start=1)
        },
    }


def watch(process: subprocess.Popen[bytes], journal: Path) -> Iterator[tuple[int, Levels]]:
    """Poll a scan until it ends.

    Yields the number of finished inputs and the memory of its processes.
    """
    finished, file = 0, None
    while process.poll() is None:
        time.sleep(SECONDS)
        if file is None and journal.exists():
            file = journal.open("rb")
        if file is not None:
            finished += file.read().count(b"\n")
        yield max(0, finished - 1), levels(process.pid)


def speed_since(pace: Sequence[tuple[int, float]], before: int) -> float:
    """Return the inputs finished per second since ``before`` were finished."""
    (first, then), (last, now) = next(point for point in pace if point[0] >= before), pace[-1]
    return (last - first) / max(now - then, 1e-9)


def cost_lines(pace: Sequence[tuple[int, float]]) -> Iterator[str]:
    """Report the cost of an input between one mark and the next; the first includes startup."""
    reached = [next((point for point in pace if point[0] >= mark), pace[-1]) for mark in MARKS]
    reached[0] = 0, 0.0
    for (first, then), (last, now) in pairwise(reached):
        if last > first:
            yield (
                f"inputs {first:>8} to {last:>8}: {1000 * (now - then) / (last - first):7.2f} ms "
                "each"
            )


def soak(count: int, files: Sequence[Path], folder: Path) -> bool:
    """Scan, print the memory curve, and return whether it is flat and all rows are there."""
    (folder / "in").mkdir()
    make_inputs(folder / "in", count, files or usual_files(folder))
    output, began = folder / "results.csv", time.monotonic()
    command = [sys.executable, "-m", "zipocr", "scan", folder / "in", "-o", output, "--quiet"]
    curve: list[tuple[int, Levels]] = []
    pace: list[tuple[int, float]] = [(0, 0.0)]
    with subprocess.Popen(command) as process:
        for finished, now in watch(process, folder / "results.csv.journal"):
            pace.append((finished, time.monotonic() - began))
            if curve and finished // (count // LINES or 1) == curve[-1][0] // (count // LINES or 1):
                continue
            speed = speed_since(pace, curve[-1][0] if curve else 0)
            curve.append((finished, now))
            print(
                f"{finished:>8}   {speed:8.1f} crops/s",
                *(f"{name} {size:7.1f} MB" for name, size in now.items()),
                sep="   ",
                flush=True,
            )
    names = {row.file for row in read_results(output)}
    print(
        f"{count} inputs in {time.monotonic() - began:.0f} s, exit status "
        f"{process.returncode}, rows of {len(names)} inputs"
    )
    print(*cost_lines(pace), sep="\n")
    later = [now for finished, now in curve if finished >= count / 10]
    grown = {
        name: max(now.get(name, 0) for now in later) / size - 1 for name, size in later[0].items()
    }
    print(
        "grown after the first tenth:", *(f"{name} {share:+.1%}" for name, share in grown.items())
    )
    return len(names) == count and max(grown.values()) <= GROWTH


if __name__ == "__main__":
    number, chosen = (
        int(sys.argv[1]) if len(sys.argv) > 1 else COUNT,
        [Path(name).resolve() for name in sys.argv[2:]],
    )
    os.nice(max(0, 10 - os.nice(0)))
    with tempfile.TemporaryDirectory() as made:
        sys.exit(not soak(number, chosen, Path(made)))
