"""Measure how long reading takes, stage by stage and as a whole.

``python tests/bench.py [--sizes 1,12,1000] [--rounds 5] [--write]``: the crops are the sample
scans; larger sets are made of links to them. Whatever is compared is measured in turn within one
run, so that other load on the machine affects all alike. No time limits are enforced. The figures
go to bench.json and bench.png; with --write also to tests/bench.json and into the manual.
"""

import argparse
import csv
import importlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import soak

from zipocr import __version__
from zipocr.batch.read_files import AT_ONCE, use_one_thread
from zipocr.images.decode import read_pages
from zipocr.models.model_file import load_model, model_digest
from zipocr.reader import Reader
from zipocr.storage.atomic import write_whole
from zipocr.training.benchmark import figures as manual
from zipocr.training.benchmark.figures import markdown
from zipocr.types import GrayImage, Unread

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "sample_scans"
RECORD = ROOT / "tests" / "bench.json"
SIZES = (1, 12, 1_000, 10_000)
JOBS = (1, 2)
ROUNDS = 5
# Whole runs on this many crops or more are repeated half as often.
LONG = 20_000
# Runs on this many crops or fewer measure little but startup.
FEW = 100
MAX_PIXELS = 10_000_000
STAGES = {
    "prepare": "zipocr.reader:prepare",
    "line image": "zipocr.reader:rectify",
    "network": "zipocr.reader:read_lines",
    "segment": "zipocr.reader:segment",
    "normalize": "zipocr.reader:draw_regions",
    "classify": "zipocr.reader:Reader.classify",
    "fuse": "zipocr.reader:Reader.fuse",
    "answer": "zipocr.reader:Reader.read_prepared",
}
"""The stages of a reading, and the functions that perform them.

Time that one spends inside another counts for the inner one. Keep the names in step with the code.
"""

Spread = dict[str, float]


def spread(values: Sequence[float]) -> Spread:
    """Return the median, quartiles, mean and number of values."""
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    return {
        "median": middle,
        "low": low,
        "high": high,
        "mean": statistics.fmean(values),
        "count": len(values),
    }


class Clock:
    """Adds up the time of each stage by itself, without the stages nested in it."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._inside: list[float] = []

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function so that its time is counted under a name."""

        @wraps(function)
        def timed(*words: Any, **options: Any) -> Any:
            began = time.perf_counter()
            self._inside.append(0.0)
            try:
                return function(*words, **options)
            finally:
                took = time.perf_counter() - began
                self.spent[name] += took - self._inside.pop()
                if self._inside:
                    self._inside[-1] += took

        return timed

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Time all stages within the block."""
        with ExitStack() as stack:
            for name, place in STAGES.items():
                room, _, path = place.partition(":")
                *owners, last = path.split(".")
                owner: Any = importlib.import_module(room)
                for word in owners:
                    owner = getattr(owner, word)
                stack.enter_context(
                    mock.patch.object(owner, last, self.around(name, getattr(owner, last)))
                )
            yield


def decode_only(crop: Path) -> list[GrayImage]:
    """Decode the pages, the least that any reader has to do."""
    return [
        page for page in read_pages(crop, max_pixels=MAX_PIXELS) if not isinstance(page, Unread)
    ]


def floor(crop: Path) -> None:
    """Do the least to look for ink: decode, Otsu's threshold and connected components."""
    for page in decode_only(crop):
        _, ink = cv2.threshold(page, 0, 255, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)
        cv2.connectedComponentsWithStats(ink)


def read_whole(reader: Reader, crop: Path) -> None:
    """Read each page of a crop."""
    for page in decode_only(crop):
        reader.read(page)


def read_together(reader: Reader, crops: Sequence[Path]) -> None:
    """Read several crops at once, as a scan does."""
    reader.read_each([page for crop in crops for page in decode_only(crop)])


def read_timed(reader: Reader, crop: Path) -> dict[str, float]:
    """Read a crop and return the seconds of each stage, slightly inflated by the timing."""
    clock = Clock()
    with clock.watching():
        clock.around("open", decode_only)(crop)
        began = time.perf_counter()
        read_whole(reader, crop)
        whole = time.perf_counter() - began
    others = {name: clock.spent.get(name, 0.0) for name in ("open", *STAGES)}
    return {**others, "rest": max(0.0, whole - sum(others.values()))}


def one_by_one(kind: Callable[[Path], object], crops: Sequence[Path]) -> list[float]:
    """Apply a function to each crop and return the milliseconds for each."""
    return [milliseconds(partial(kind, crop)) for crop in crops]


def in_groups(reader: Reader, crops: Sequence[Path]) -> list[float]:
    """Read several crops at once, as a scan does.

    Returns the milliseconds for each crop, the same for all crops of a group.
    """
    taken: list[float] = []
    for first in range(0, len(crops), AT_ONCE):
        some = crops[first : first + AT_ONCE]
        taken += [milliseconds(partial(read_together, reader, some)) / len(some)] * len(some)
    return taken


def milliseconds(work: Callable[[], object]) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


def on_one_core(crops: Sequence[Path], rounds: int) -> dict[str, dict[str, Spread]]:
    """Time single crops, in milliseconds.

    Each kind in turn runs over all crops, so that the processor's caches stay warm for it.
    """
    use_one_thread()
    reader = Reader(load_model("mail"))
    kinds = {
        "decode only": partial(one_by_one, decode_only),
        "floor": partial(one_by_one, floor),
        "read": partial(one_by_one, partial(read_whole, reader)),
        "read together": partial(in_groups, reader),
        **{
            name: partial(one_by_one, make(crops))
            for name, make in OTHERS.items()
            if is_installed(name)
        },
    }
    times: dict[str, list[float]] = defaultdict(list)
    stages: dict[str, list[float]] = defaultdict(list)
    # Warm-up round, not counted: it allocates memory and loads the files from disk.
    for kind in kinds.values():
        kind(crops)
    for _ in range(rounds):
        for name, kind in kinds.items():
            times[name] += kind(crops)
        for crop in crops:
            for name, seconds in read_timed(reader, crop).items():
                stages[name].append(1000 * seconds)
    return {
        "crop": {name: spread(taken) for name, taken in times.items()},
        "stage": {name: spread(taken) for name, taken in stages.items()},
    }


def is_installed(name: str) -> bool:
    """Return whether another reader is installed."""
    return bool(shutil.which(name)) if name == "tesseract" else find_spec(name) is not None


def tesseract(_: Sequence[Path]) -> Callable[[Path], object]:
    """Read a line with Tesseract, starting a process for each crop, as its users do."""
    words = ["--psm", "7", "-c", "tessedit_char_whitelist=0123456789-"]
    env = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    return lambda crop: (
        subprocess.run(
            ["tesseract", str(crop), "-", *words], capture_output=True, check=False, env=env
        ).stdout
    )


def rapidocr(_: Sequence[Path]) -> Callable[[Path], object]:
    """Read with RapidOCR in this process, on one core and without detecting lines first.

    A crop is a single line already.
    """
    threads = {f"EngineConfig.onnxruntime.{kind}_op_num_threads": 1 for kind in ("intra", "inter")}
    engine = importlib.import_module("rapidocr").RapidOCR(
        params={**threads, "Global.log_level": "critical"}
    )
    return lambda crop: engine(str(crop), use_det=False, use_cls=False, use_rec=True)


OTHERS: dict[str, Callable[[Sequence[Path]], Callable[[Path], object]]] = {
    "tesseract": tesseract,
    "rapidocr": rapidocr,
}


def whole_run(folder: Path, jobs: int) -> dict[str, float]:
    """Scan a folder in a separate process.

    Returns the seconds, and the peak memory of the scan and of one worker, in MB.
    """
    output = folder.with_suffix(".csv")
    command = [
        sys.executable,
        "-m",
        "zipocr",
        "scan",
        folder,
        "-o",
        output,
        "--force",
        "--quiet",
        "--jobs",
        str(jobs),
    ]
    began, peaks = time.perf_counter(), {"parent": 0.0, "worker": 0.0}
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            for name, size in soak.levels(process.pid, "VmHWM").items():
                peaks[name.split()[0]] = max(peaks[name.split()[0]], size)
            # Polling takes time from the measured cores, too.
            time.sleep(max(0.02, 0.02 * (time.perf_counter() - began)))
        seconds = time.perf_counter() - began
    return {"seconds": seconds, **peaks}


def whole_runs(crops: Sequence[Path], sizes: Sequence[int], rounds: int) -> list[dict[str, Any]]:
    """Scan each number of crops with each number of workers, in turn."""
    runs: dict[tuple[int, int], list[dict[str, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as made:
        for size in sizes:
            (Path(made) / f"{size}").mkdir()
            soak.make_inputs(Path(made) / f"{size}", size, crops)
            for _ in range(rounds if size < LONG else -(-rounds // 2)):
                for jobs in JOBS:
                    runs[size, jobs].append(whole_run(Path(made) / f"{size}", jobs))
                    print(
                        f"{size:>8} crops, {jobs} workers: {runs[size, jobs][-1]['seconds']:.2f} s",
                        file=sys.stderr,
                        flush=True,
                    )
    return [
        {
            "crops": size,
            "jobs": jobs,
            "seconds": spread([one["seconds"] for one in found]),
            **{f"{name}_mb": max(one[name] for one in found) for name in ("parent", "worker")},
        }
        for (size, jobs), found in runs.items()
    ]


def measure(sizes: Sequence[int], rounds: int, *, step: int = 1) -> dict[str, Any]:
    """Measure everything on every ``step``-th sample scan that is a crop, not an envelope."""
    with (SAMPLES / "labels.csv").open(encoding="utf-8", newline="") as file:
        pages = Counter(row["file"] for row in csv.DictReader(file))
    single = [SAMPLES / name for name, count in pages.items() if count == 1]
    crops = [path.resolve() for path in single if path.parent.name != "pages"][::step]
    load = os.getloadavg()[0]
    return {
        "zipocr": __version__,
        "model": model_digest("mail"),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "load": load,
        },
        "input_bytes": statistics.fmean(crop.stat().st_size for crop in crops),
        **on_one_core(crops, rounds),
        "runs": whole_runs(crops, sizes, rounds),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )


LABELS = {
    "decode only": "decode only",
    "floor": "decode, Otsu, connected components",
    "read": "zipocr, the whole reading, one crop by itself",
    "read together": f"zipocr, the whole reading, {AT_ONCE} crops at once, each",
}

RUN_HEADS = (
    "crops",
    "workers",
    "seconds, start to end",
    "crops per second",
    "ms for one more",
    "MB of the scan",
    "MB of a worker",
)


def lines(figures: Mapping[str, Any]) -> list[str]:
    """Format the figures in Markdown."""
    machine = figures["machine"]
    heads = ("one crop on one core, ms", "lower quartile", "median", "upper quartile", "mean")
    rows = [(LABELS.get(name, name), *_cells(one)) for name, one in _in_order(figures["crop"])]
    stages = [(f"of these: {name}", *_cells(one)) for name, one in figures["stage"].items()]
    runs = [
        (
            f"{one['crops']:,}",
            str(one["jobs"]),
            f"{one['seconds']['median']:.1f}",
            f"{one['crops'] / one['seconds']['median']:.1f}",
            for_more(one, figures["runs"]),
            f"{one['parent_mb']:.0f}",
            f"{one['worker_mb']:.0f}" if one["worker_mb"] else "",
        )
        for one in figures["runs"]
    ]
    return [
        f"On {machine['cores']} cores of {machine['processor']}, with Python "
        f"{machine['python']} and a load of {machine['load']:.1f} when"
        " this began, which should be near 0:",
        "",
        *markdown(heads, [*rows, *stages]),
        "",
        *markdown(RUN_HEADS, runs),
        *gains(figures["runs"]),
    ]


def gains(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Report how much faster several workers are than one.

    Runs that consist mostly of startup are left out.
    """
    alone = {
        run["crops"]: run["seconds"]["median"]
        for run in runs
        if run["jobs"] == 1 and run["crops"] > FEW
    }
    found = [
        f"{alone[run['crops']] / run['seconds']['median']:.2f} times as fast on "
        f"{run['crops']:,} crops"
        for run in runs
        if run["jobs"] > 1 and run["crops"] in alone
    ]
    return ["", f"Against one worker, two are {', '.join(found)}."] if found else []


def for_more(run: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> str:
    """Return the milliseconds per additional crop, compared with the next smaller run.

    This is what a crop costs without startup.
    """
    smaller = [
        other
        for other in runs
        if other["jobs"] == run["jobs"] and FEW < other["crops"] < run["crops"]
    ]
    if not smaller:
        return ""
    next_smaller = max(smaller, key=lambda other: other["crops"])
    seconds = run["seconds"]["median"] - next_smaller["seconds"]["median"]
    return f"{1000 * seconds / (run['crops'] - next_smaller['crops']):.2f}"


def _in_order(crop: Mapping[str, Spread]) -> list[tuple[str, Spread]]:
    """Ours first, in the order of `LABELS`, then the others."""
    return [(name, crop[name]) for name in dict.fromkeys([*LABELS, *crop])]


def _cells(one: Spread) -> tuple[str, ...]:
    return tuple(f"{one[name]:.2f}" for name in ("low", "median", "high", "mean"))


def plot(figures: Mapping[str, Any], path: Path) -> None:
    """Plot where the time of a crop goes, and how the time of a run grows."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    named = {
        **{LABELS.get(name, name): one for name, one in _in_order(figures["crop"])},
        **figures["stage"],
    }
    places = range(len(named), 0, -1)
    medians = [one["median"] for one in named.values()]
    reach = [
        [one["median"] - one["low"] for one in named.values()],
        [one["high"] - one["median"] for one in named.values()],
    ]
    colours = ["#202226"] * len(figures["crop"]) + ["#70747a"] * len(figures["stage"])
    left.barh(places, medians, xerr=reach, color=colours, ecolor="#b8460a")
    left.set_yticks(places, list(named))
    left.set_xlabel("ms for one crop on one core: median and quartiles")
    for jobs in sorted({one["jobs"] for one in figures["runs"]}):
        own = [one for one in figures["runs"] if one["jobs"] == jobs]
        right.loglog(
            [one["crops"] for one in own],
            [one["seconds"]["median"] for one in own],
            "o-",
            label=f"{jobs} worker{'s'[: jobs > 1]}",
        )
    right.set_xlabel("crops")
    right.set_ylabel("seconds of a whole scan")
    right.legend(frameon=False)
    figure.savefig(path, dpi=120)


def main(words: Sequence[str] | None = None) -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description="Measure how long reading takes.")
    parser.add_argument(
        "--sizes", default=",".join(map(str, SIZES)), help="crops of the whole runs"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--step", type=int, default=1, help="take every N-th sample scan")
    parser.add_argument(
        "--into", type=Path, default=Path(), help="folder for bench.json and bench.png"
    )
    parser.add_argument("--write", action="store_true", help="make them the manual's figures")
    asked = parser.parse_args(words)
    figures = measure([int(size) for size in asked.sizes.split(",")], asked.rounds, step=asked.step)
    data = json.dumps(figures, indent=1).encode() + b"\n"
    write_whole(asked.into / "bench.json", data)
    plot(figures, asked.into / "bench.png")
    print(*lines(figures), sep="\n")
    if asked.write:
        write_whole(RECORD, data)
        manual.record(ROOT, {"bench": list(lines(figures))})


if __name__ == "__main__":
    main()
