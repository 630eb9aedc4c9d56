"""Fuzz everything that reads foreign files: ``tests/fuzz.py SECONDS``.

The targets run one after the other, each for its share of the time and in its own process. An
exception that is not ours, more rows than a file can have pages, a page of the wrong type, a crash,
a hang of `LONGEST` seconds or more than `MOST_MEMORY` megabytes ends a target, and the input is
kept as ``TARGET-crash-*``, ``TARGET-timeout-*`` or ``TARGET-oom-*``; ``python tests/fuzz.py TARGET
FILE`` runs it again. A table shows the number of inputs and findings of each target.
"""

import contextlib
import csv
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import atheris
import numpy as np

with atheris.instrument_imports(include=["zipocr", "PIL"]):
    import corpus
    from PIL import (  # noqa: F401 - to be instrumented
        BmpImagePlugin,
        JpegImagePlugin,
        PngImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )

    from zipocr.errors import InputError, ModelError, OutputError
    from zipocr.images.decode import read_pages, silence_decoders
    from zipocr.models.directory_file import read_directory
    from zipocr.models.model_file import ARRAYS, NETWORK, load_model, save_model
    from zipocr.results.cells import from_cell, to_cell
    from zipocr.results.formats import open_results, read_results
    from zipocr.storage.journal import open_journal
    from zipocr.types import Model, Unread

MAX_PIXELS = 1_000_000
LONGEST = 30
MOST_MEMORY = 2_048
LONGEST_INPUT = 1 << 16
LOST_PAGES = 20
IDENTITY = {"model": "a", "options": {"jobs": 1}}
RECORD = {"file": "a.png", "rows": [["a.png", 1]]}

FOLDER = Path(tempfile.mkdtemp(prefix="zipocr-fuzz-"))
INPUT = FOLDER / "input"


def read_image(data: bytes) -> None:
    """An image gives pages or reasons, and no more of them than the file can hold.

    Formats decoded by libraries that may crash the process are left to `mutants`, which reads them
    in workers.
    """
    if b"%PDF-" in data[:1024] or data[4:8] == b"ftyp":
        return
    INPUT.write_bytes(data)
    rows = 0
    for page in read_pages(INPUT, max_pixels=MAX_PIXELS):
        rows += 1
        if not isinstance(page, Unread):
            assert page.ndim == 2, page.shape
            assert page.dtype == np.uint8, page.dtype
            assert 0 < page.size <= MAX_PIXELS, page.shape
    assert 1 <= rows <= len(data) // 6 + LOST_PAGES + 1, rows


def read_csv(data: bytes) -> None:
    """A results file is refused, or its rows can be written and read again."""
    INPUT.write_bytes(data)
    again = FOLDER / "again.csv"
    try:
        rows = list(read_results(INPUT))
    except InputError:
        return
    with open_results(str(again)) as results:
        results.write(rows)
    assert [row.file for row in read_results(again)] == [row.file for row in rows]


def write_cell(data: bytes) -> None:
    """Any name round-trips through its cell, and the cell is one line of CSV."""
    name = os.fsdecode(data)
    cell = to_cell(name)
    assert from_cell(cell) == name
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert list(csv.reader([cell.replace('"', '""').join('""')])) == [[cell]]


def read_model(data: bytes) -> None:
    """A model is refused or loaded."""
    INPUT.write_bytes(data)
    with contextlib.suppress(ModelError):
        load_model(str(INPUT))


def resume_journal(data: bytes) -> None:
    """A journal is refused or resumed.

    Its earlier records are kept when a new one is appended.
    """
    INPUT.write_bytes(data)
    try:
        with open_journal(INPUT, IDENTITY, resume=True) as journal:
            before = [record for _, record in journal.records()]
            journal.append(RECORD)
        with open_journal(INPUT, IDENTITY, resume=True) as journal:
            after = [record for _, record in journal.records()]
    except OutputError:
        return
    assert json.dumps(after) == json.dumps([*before, RECORD])


def list_zips(data: bytes) -> None:
    """A list of ZIPs is refused, or yields ZIPs."""
    INPUT.write_bytes(data)
    with contextlib.suppress(InputError):
        listed = read_directory(INPUT)
        assert listed
        assert all(re.fullmatch("[0-9]{5}", each) for each in listed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A function that reads foreign bytes, and its share of the time."""

    test: Callable[[bytes], None]
    share: int = 1


TARGETS = {
    "image": Target(test=read_image, share=4),
    "results": Target(test=read_csv),
    "cell": Target(test=write_cell),
    "journal": Target(test=resume_journal),
    "model": Target(test=read_model),
    "directory": Target(test=list_zips),
}


def image_seeds() -> list[bytes]:
    """The corpus: a fuzzer that had to invent a PNG would not get past its header."""
    page = corpus.draw_page()[:40, :60]
    damaged = [data for data, _ in corpus.damaged_files(page).values()]
    several = [data for data, _ in corpus.pages_apart(page).values()]
    return [
        *corpus.whole_files(page).values(),
        *corpus.lossy_files(page).values(),
        *damaged,
        *several,
    ]


def results_seed() -> bytes:
    """A results file with a page that was read and one that was not."""
    rows = FOLDER / "rows.csv"
    with open_results(str(rows)):
        pass
    lines = b"a.png,1,02108,,0.9,read,,0.9;0.9,,,,\n" + b'"./=x, y",2,,,,unread,no_ink,,,,,\n'
    return rows.read_bytes() + lines


def model_seed() -> bytes:
    """A model with small arrays."""
    model = FOLDER / "model.npz"
    save_model(
        model,
        Model(
            arrays={name: np.zeros(2, np.float32) for name in (*ARRAYS, *NETWORK)},
            card={},
        ),
    )
    return model.read_bytes()


def journal_seed() -> bytes:
    """A journal with two records."""
    path = FOLDER / "journal"
    with open_journal(path, IDENTITY) as journal:
        journal.append(RECORD)
        journal.append(RECORD)
    return path.read_bytes()


def seeds_of(name: str) -> list[bytes]:
    """The seed inputs of a target."""
    return {
        "image": image_seeds,
        "results": lambda: [results_seed()],
        "cell": lambda: [b"=a \xff\n.png"],
        "journal": lambda: [journal_seed()],
        "model": lambda: [model_seed()],
        "directory": lambda: [
            b"02108\n10001\n",
            b"\xef\xbb\xbfzip,city,state\r\n02108,Boston,MA\r\n",
        ],
    }[name]()


def fuzz(name: str, seconds: int) -> None:
    """Fuzz one target; this ends the process."""
    silence_decoders()
    seeds = FOLDER / "seeds"
    seeds.mkdir()
    for number, data in enumerate(seeds_of(name)):
        (seeds / f"{number:03d}").write_bytes(data)
    limits = [
        f"-max_total_time={seconds}",
        f"-timeout={LONGEST}",
        f"-rss_limit_mb={MOST_MEMORY}",
        f"-max_len={LONGEST_INPUT}",
    ]
    atheris.Setup(
        [sys.argv[0], *limits, f"-artifact_prefix={name}-", "-print_final_stats=1", str(seeds)],
        TARGETS[name].test,
    )
    atheris.Fuzz()


def was_starved(name: str) -> bool:
    """Return whether the input that timed out takes little CPU time.

    Then the machine was busy, and the input is not a finding.
    """
    kept = sorted(Path().glob(f"{name}-timeout-*"), key=lambda path: path.stat().st_mtime)
    if not kept:
        return False
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    again = subprocess.run(
        [sys.executable, __file__, name, kept[-1]], capture_output=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if (
        again.returncode
        or after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime > LONGEST
    ):
        return False
    kept[-1].unlink()
    return True


def fuzz_one(name: str, seconds: int) -> tuple[int, bool]:
    """Fuzz a target in separate processes.

    Returns the number of inputs it was given, and whether one of them is a finding.
    """
    end, count = time.monotonic() + seconds, 0
    while (left := round(end - time.monotonic())) > 0:
        done = subprocess.run(
            [sys.executable, __file__, name, str(left)], stderr=subprocess.PIPE, check=False
        )
        talk = done.stderr.decode(errors="replace")
        executed = re.search(r"number_of_executed_units: *([0-9]+)", talk)
        count += int(executed[1]) if executed else 0
        if done.returncode and not was_starved(name):
            print(talk[-6000:], file=sys.stderr)
            return count, True
    return count, False


def fuzz_all(seconds: int) -> int:
    """Fuzz every target for its share of the time, and print the results.

    Returns 1 if anything was found.
    """
    shares = sum(target.share for target in TARGETS.values())
    print(f"{'target':10}{'seconds':>9}{'executions':>12}{'findings':>10}", flush=True)
    any_found = False
    for name, target in TARGETS.items():
        own = max(1, seconds * target.share // shares)
        count, found = fuzz_one(name, own)
        any_found |= found
        print(f"{name:10}{own:9}{count:12}{int(found):10}", flush=True)
    return int(any_found)


def main() -> None:
    """Fuzz all targets or one for some seconds, or run one input again."""
    match sys.argv[1:]:
        case [name, what] if name in TARGETS and Path(what).is_file():
            silence_decoders()
            TARGETS[name].test(Path(what).read_bytes())
        case [name, seconds] if name in TARGETS:
            fuzz(name, int(seconds))
        case [] | [_]:
            sys.exit(fuzz_all(int(sys.argv[1]) if len(sys.argv) > 1 else 60))
        case _:
            sys.exit(
                "usage: fuzz.py [SECONDS] | TARGET SECONDS | TARGET FILE, TARGET one of "
                f"{', '.join(TARGETS)}"
            )


if __name__ == "__main__":
    main()
