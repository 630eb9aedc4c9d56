"""Keeps what the shipped models read from the scans in the repository, for row-by-row comparison.

``python tests/golden.py`` reads them again and writes ``tests/golden``. It uses only the command
line, and so survives internal changes. The effect of a change on readings shows up as a diff of
these files, which is committed and explained if it is intended.
"""

import csv
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import cv2
from threadpoolctl import threadpool_info

from zipocr.models.model_file import SHIPPED

Row = dict[str, str]

TESTS = Path(__file__).parent
GOLDEN = TESTS / "golden"
SCANS = (TESTS.parent / "sample_scans", TESTS / "strings")
ENVIRONMENT = GOLDEN / "environment.txt"
DIRECTORY = {"listed": (), "unlisted": ("--no-directory",)}
PROBABILITIES = frozenset({"confidence", "digit_confidences", "runner_up_confidence"})
# Other processors add in another order, which changes the last digits of probabilities, and more
# digits if it tips a close decision on the way. The ZIPs read are the same on all with AVX.
ROUNDING = 200


def golden_file(model: str, directory: str) -> Path:
    """Return the path of the rows that a model reads with or without a directory."""
    return GOLDEN / f"{model}-{directory}.csv"


def read_scans(model: str, directory: str) -> str:
    """Read all scans with a shipped model and return the rows."""
    options = ("--model", model, *DIRECTORY[directory], "--quiet")
    command = [sys.executable, "-P", "-m", "zipocr", "scan", *SCANS, *options]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def environment() -> str:
    """Name the CPU features and the libraries that the last digits depend on."""
    kernels = [one["architecture"] for one in threadpool_info() if "numpy" in one["filepath"]]
    libraries = [f"{name} {version(name)}" for name in ("numpy", "opencv-python-headless")]
    return "\n".join([cv2.getCPUFeaturesLine(), *kernels, *libraries, ""])


def tolerance() -> int:
    """Return the ten-thousandths a probability may differ by: 0 where the rows were made."""
    return 0 if ENVIRONMENT.read_text() == environment() else ROUNDING


def changes(known: str, found: str, *, within: int) -> list[str]:
    """Describe each row that differs, and how; see `tolerance`."""
    before, after = _by_page(known), _by_page(found)
    pages = before | after
    described = ((page, _change(before.get(page), after.get(page), within)) for page in pages)
    return [f"{file} page {number}: {change}" for (file, number), change in described if change]


def _by_page(rows: str) -> dict[tuple[str, str], Row]:
    return {(row["file"], row["page"]): row for row in csv.DictReader(rows.splitlines())}


def _change(before: Row | None, after: Row | None, within: int) -> str:
    if before is None or after is None:
        return "is new" if before is None else "is gone"
    cells = [(name, before.get(name, ""), after.get(name, "")) for name in before | after]
    changed = [cell for cell in cells if not _agree(*cell, within)]
    return ", ".join(f"{name} {one!r} -> {other!r}" for name, one, other in changed)


def _agree(column: str, before: str, after: str, within: int) -> bool:
    if column not in PROBABILITIES:
        return before == after
    one, other = _ten_thousandths(before), _ten_thousandths(after)
    pairs = zip(one, other, strict=False)
    return len(one) == len(other) and all(abs(a - b) <= within for a, b in pairs)


def _ten_thousandths(cell: str) -> list[int]:
    return [round(10_000 * float(value)) for value in cell.split(";") if value]


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name in SHIPPED:
        for directory in DIRECTORY:
            golden_file(name, directory).write_text(read_scans(name, directory), encoding="utf-8")
    ENVIRONMENT.write_text(environment())
