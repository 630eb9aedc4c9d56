"""The whole corpus of bad and odd inputs, scanned with the command as a user would."""

import csv
import os
import re
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import corpus
import pytest

from zipocr.images.decode import MAX_FILE_BYTES
from zipocr.results.formats import read_results
from zipocr.types import Reason, Status

MOST_MEMORY = 1 << 29
"""In bytes: half of what one of the bombs would need."""
MESSAGES = re.compile(r"failed: |skipped |read \d+, |warning: |wrote ")


@dataclass(frozen=True)
class Scanned:
    """The output of a scan of the corpus, and the expected rows."""

    expected: dict[str, tuple[str, ...]]
    results: Path
    code: int
    stderr: str


def scan(folder: Path, results: Path, *, jobs: int) -> subprocess.CompletedProcess[str]:
    words = ["scan", folder, "-o", results, "--jobs", str(jobs)]
    program = [sys.executable, "-P", "-m", "zipocr", *words]
    return subprocess.run(program, check=False, capture_output=True, text=True)


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    folder = tmp_path_factory.mktemp("corpus")
    expected = corpus.build(folder / "in")
    done = scan(folder / "in", folder / "results.csv", jobs=1)
    assert done.stdout == ""
    return Scanned(
        expected=expected, results=folder / "results.csv", code=done.returncode, stderr=done.stderr
    )


@pytest.mark.real
def test_every_page_of_every_input_has_the_expected_row(scanned: Scanned) -> None:
    assert len(scanned.expected) >= 60
    rows = defaultdict(list)
    for row in read_results(scanned.results):
        rows[row.file].append(row)
    assert rows.keys() == {name for name, expected in scanned.expected.items() if expected}
    (plain,) = rows["gray.png"]
    assert plain.zip == corpus.TEXT
    for name, expected in scanned.expected.items():
        assert [row.page for row in rows[name]] == list(range(1, len(expected) + 1)), name
        for row, wanted in zip(rows[name], expected, strict=True):
            failed = row.reason in {(Reason.UNREADABLE_FILE,), (Reason.TOO_LARGE,)}
            found = {
                corpus.SAME: (row.zip, row.confidence, row.status)
                == (plain.zip, plain.confidence, plain.status),
                corpus.ZIP: row.zip == corpus.TEXT,
                corpus.PAGE: not failed,
                corpus.ANY: failed or row.status in Status,
            }
            assert found.get(wanted, row.reason == (wanted,)), (
                f"{name!r} page {row.page} should be {wanted}: {row}"
            )


@pytest.mark.real
def test_the_exit_code_and_messages_report_the_failures_and_nothing_else(
    scanned: Scanned,
) -> None:
    assert scanned.code == 1
    assert [line for line in scanned.stderr.splitlines() if not MESSAGES.match(line)] == []
    assert "skipped 2 other files" in scanned.stderr
    failed = sum(
        row.reason in {(Reason.UNREADABLE_FILE,), (Reason.TOO_LARGE,)}
        for row in read_results(scanned.results)
    )
    assert f"failed {failed};" in scanned.stderr


@pytest.mark.real
def test_any_program_can_read_the_rows(scanned: Scanned) -> None:
    text = scanned.results.read_bytes().decode("utf-8")
    rows = list(csv.reader(text.splitlines(), strict=True))
    assert len({len(row) for row in rows}) == 1
    assert len(rows) == 1 + sum(map(len, scanned.expected.values()))
    assert not any(cell.startswith(("=", "+", "-", "@", "\t")) for row in rows for cell in row)


@pytest.mark.real
def test_two_processes_write_the_same_bytes(scanned: Scanned) -> None:
    again = scanned.results.with_name("again.csv")
    assert scan(scanned.results.parent / "in", again, jobs=2).returncode == 1
    assert again.read_bytes() == scanned.results.read_bytes()


@pytest.mark.posix
def test_no_input_uses_the_memory_it_claims_to_need(tmp_path: Path) -> None:
    """In a separate process whose memory is limited far below the bombs and the 64 GB file."""
    corpus.build(tmp_path / "in")
    program = f"""
import resource
from pathlib import Path
from zipocr.images.decode import read_pages
from zipocr.images.listing import list_inputs
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + {MOST_MEMORY},) * 2)
for file in list_inputs([Path({os.fspath(tmp_path / "in")!r})]).files:
    for page in read_pages(file.path, max_pixels=50_000_000):
        print(ascii(file.name), getattr(page, "reason", "page"), getattr(page, "detail", ""))
"""
    assert min(32_000 * 32_000, MAX_FILE_BYTES) > MOST_MEMORY
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "emory" not in done.stdout
