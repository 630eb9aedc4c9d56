"""What a scan promises when the worst happens.

Each test makes it happen for real, in separate processes.
"""

import csv
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import chaos
import corpus
import fakes
import pytest
import scanner
import waiting
from PIL import Image
from waiting import group_is_alive, workers_of

from zipocr.errors import BackendError, OutputError
from zipocr.types import GrayImage

DEADLINE = 120
TIMEOUT = "4"
MANY = 120

wait_until = partial(waiting.wait_until, deadline=DEADLINE)


def command(*words: str | Path) -> list[str | Path]:
    return [sys.executable, "-P", scanner.__file__, "scan", *words]


def scan(*words: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command(*words), check=False, capture_output=True, timeout=DEADLINE)


def start(
    *words: str | Path, env: Mapping[str, str] | None = None
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    return waiting.running(command(*words), env=env)


def save(path: Path, *grays: int) -> Path:
    first, *others = (Image.fromarray(fakes.page(ink=gray)) for gray in grays)
    first.save(path, **({"save_all": True, "append_images": others} if others else {}))
    return path


def save_many(folder: Path, gray: int = fakes.SLOW, *, count: int = MANY) -> Path:
    """Create many links to one page, which is slow to read by default."""
    folder.mkdir()
    original = save(folder / "0000.png", gray)
    for number in range(1, count):
        os.link(original, folder / f"{number:04}.png")
    return folder


def lines_in(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def rows_of(path: Path) -> list[tuple[str, int, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["file"], int(row["page"]), row["reason"]) for row in csv.DictReader(file)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A separate file system with very little space."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", place], check=False, capture_output=True
    )
    if done.returncode:
        pytest.skip(f"cannot mount: {done.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_file_that_hangs_does_not_keep_a_run_from_ending(
    tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "a.pdf").write_bytes(corpus.endless_pdf())
    with start(tmp_path / "a.pdf") as process:
        assert wait_until(lambda: bool(workers_of(process.pid)))
        process.send_signal(number)
        assert process.wait(DEADLINE) == 128 + number
    assert wait_until(lambda: not group_is_alive(process.pid))


@pytest.mark.posix
def test_a_killed_run_resumes_without_reading_anything_twice(tmp_path: Path) -> None:
    folder, output, journal = (
        save_many(tmp_path / "in"),
        tmp_path / "out.csv",
        tmp_path / "out.csv.journal",
    )
    assert scan(folder, "-o", tmp_path / "whole.csv").returncode == 0
    finished = 0
    for _ in range(3):
        with start(folder, "-o", output, "--resume", "--jobs", "2") as process:
            assert wait_until(lambda enough=finished + 20: lines_in(journal) > enough)
            process.send_signal(signal.SIGKILL)
        assert wait_until(lambda: not group_is_alive(process.pid))
        finished = lines_in(journal) - 1
        assert not output.exists()
    # Reading a finished input again would find no image there.
    for path in sorted(folder.iterdir())[:finished]:
        fakes.spoil(path)
    assert scan(folder, "-o", output, "--resume", "--jobs", "1").returncode == 0
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not journal.exists()


@pytest.mark.posix
def test_a_killed_worker_costs_at_most_the_page_it_was_reading(tmp_path: Path) -> None:
    folder, output, journal = (
        save_many(tmp_path / "in"),
        tmp_path / "out.csv",
        tmp_path / "out.csv.journal",
    )
    with start(folder, "-o", output, "--jobs", "2") as process:
        for finished in (10, 30, 50):
            assert wait_until(
                lambda finished=finished: (
                    lines_in(journal) > finished and len(workers_of(process.pid)) == 2
                )
            )
            os.kill(workers_of(process.pid)[0], signal.SIGKILL)
        assert process.wait(DEADLINE) in {0, 1}
    rows = rows_of(output)
    assert [name for name, _, _ in rows] == sorted(path.name for path in folder.iterdir())
    assert Counter(reason for _, _, reason in rows)["worker_died"] <= 3
    assert {reason for _, _, reason in rows} <= {"", "worker_died"}


def test_a_page_that_kills_its_worker_costs_one_row_with_any_number_of_processes(
    tmp_path: Path,
) -> None:
    folder = save_many(tmp_path / "in", gray=7, count=10)
    save(folder / "0003-pages.tif", 7, fakes.KILL, 8, fakes.ALLOCATE, 9)
    save(folder / "0005-kill.png", fakes.KILL)
    save(folder / "0005-spin.tif", 7, fakes.SPIN, 8)
    save(folder / "0007-fault.png", fakes.FAULT)
    options = ["--timeout", TIMEOUT, "--max-memory-per-worker", "2G"]
    for jobs in "12":
        done = scan(folder, "-o", tmp_path / f"{jobs}.csv", "--jobs", jobs, *options)
        assert done.returncode == 1
        assert b"failed: 0005-spin.tif: not read within 4 s (--timeout)" in done.stderr
        assert (
            b"failed: 0007-fault.png: KeyError('a fault of the reader') at fakes.py:" in done.stderr
        )
    failed = {(name, page): reason for name, page, reason in rows_of(tmp_path / "1.csv") if reason}
    assert failed == {
        ("0003-pages.tif", 2): "worker_died",
        ("0003-pages.tif", 4): "out_of_memory",
        ("0005-kill.png", 1): "worker_died",
        ("0005-spin.tif", 2): "timeout",
        ("0007-fault.png", 1): "program_error",
    }
    assert len(rows_of(tmp_path / "1.csv")) == 10 + 5 + 1 + 3 + 1
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()


def test_an_explicit_timeout_applies_to_a_single_file_too(tmp_path: Path) -> None:
    done = scan(save(tmp_path / "a.png", fakes.HANG), "--timeout", "1")
    assert (done.returncode, done.stdout.splitlines()[1]) == (1, b"a.png,1,,,,unread,timeout,,,,,,")


@pytest.mark.posix
def test_a_page_that_needs_too_much_memory_costs_one_row_without_workers_too(
    tmp_path: Path,
) -> None:
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, resource.RLIM_INFINITY))  # noqa: E731 - the shell's ulimit -v
    words = [save(tmp_path / "a.png", fakes.ALLOCATE), save(tmp_path / "b.png", 7)]
    done = subprocess.run(
        command(*words), check=False, capture_output=True, preexec_fn=limit, timeout=DEADLINE
    )
    assert [line.split(b",")[5:7] for line in done.stdout.splitlines()[1:]] == [
        [b"unread", b"out_of_memory"],
        [b"read", b""],
    ]


TIGHT = """
import resource, sys
from pathlib import Path
from zipocr.images.decode import read_pages
from zipocr.types import Unread
held = next(int(line.split()[1]) << 10 for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (held + (20 << 20),) * 2)
for path in sys.argv[1:]:
    print(*(page.reason if isinstance(page, Unread) else page.shape for page in read_pages(Path(path), max_pixels=10**9)))
"""


def test_an_image_too_large_for_memory_is_distinguished_from_a_damaged_one(
    tmp_path: Path,
) -> None:
    sizes = {
        "gray.png": ("L", 6000),
        "alpha.png": ("RGBA", 4000),
        "lzw.tif": ("L", 6000),
        "small.png": ("L", 60),
    }
    for name, (mode, side) in sizes.items():
        Image.new(mode, (side, side)).save(
            tmp_path / name, **({"compression": "tiff_lzw"} if name.endswith("tif") else {})
        )
    command = [sys.executable, "-c", TIGHT, *(tmp_path / name for name in sizes)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=DEADLINE)
    assert done.stdout.splitlines() == ["out_of_memory"] * 3 + ["(60, 60)"]


def test_too_little_memory_for_any_page_is_a_backend_error(tmp_path: Path) -> None:
    done = scan(save(tmp_path / "a.png", 7), "--max-memory-per-worker", "50M")
    assert done.returncode == BackendError.exit_code
    # Which library fails first, and how loudly, depends on the machine.
    cure = (
        rb"(Run again with fewer --jobs, or give each|Give it) more with --max-memory-per-worker\."
    )
    assert re.fullmatch(rb"zipocr: A worker process .*\. " + cure, done.stderr.splitlines()[-1])


@pytest.mark.posix
def test_an_interrupted_run_ends_cleanly_and_can_be_resumed(tmp_path: Path) -> None:
    folder, output, journal = (
        save_many(tmp_path / "in"),
        tmp_path / "out.csv",
        tmp_path / "out.csv.journal",
    )
    with start(folder, "-o", output, "--jobs", "2") as process:
        assert wait_until(lambda: lines_in(journal) > 10)
        os.killpg(process.pid, signal.SIGINT)
        _, talk = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    kept, interrupted = talk.decode().splitlines()
    assert (
        kept
        == f"{lines_in(journal) - 1} of {MANY} inputs are finished; continue with the same command and --resume"
    )
    assert interrupted == "zipocr: interrupted"
    assert wait_until(lambda: not group_is_alive(process.pid))
    done = scan(folder, "-o", output, "--resume")
    assert done.returncode == 0
    assert b"of them before" in done.stderr
    assert len(rows_of(output)) == MANY
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out.csv", "out.csv.json"]


@pytest.mark.posix
def test_a_second_interrupt_ends_the_run_at_once(tmp_path: Path) -> None:
    folder, journal = save_many(tmp_path / "in", gray=7, count=20), tmp_path / "out.csv.journal"
    save(folder / "0010-hang.png", fakes.HANG)
    # Pages batched with the one that hangs are finished only once it has timed out, and then it
    # hangs again.
    words = folder, "-o", tmp_path / "out.csv", "--jobs", "1", "--timeout", "10"
    with start(*words, env={**os.environ, "GRACE_SECONDS": "60"}) as process:
        assert wait_until(lambda: lines_in(journal) > 10)
        os.killpg(process.pid, signal.SIGINT)
        # A worker that hangs gets a grace period; a second interrupt skips it.
        assert wait_until(lambda: first_signal_was_handled(process.pid))
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(DEADLINE) == 130
        assert time.monotonic() - began < 30
    assert wait_until(lambda: not group_is_alive(process.pid))
    assert lines_in(journal) == 11


def first_signal_was_handled(process: int) -> bool:
    """Return whether the first signal has been handled: none is pending any more."""
    status = Path(f"/proc/{process}/status").read_text().splitlines()
    return all(
        int(line.split()[1], 16) == 0 for line in status if line.startswith(("SigPnd", "ShdPnd"))
    )


@pytest.mark.posix
def test_a_terminated_run_leaves_no_process_and_can_be_resumed(tmp_path: Path) -> None:
    folder, output, journal = (
        save_many(tmp_path / "in"),
        tmp_path / "out.csv",
        tmp_path / "out.csv.journal",
    )
    with start(folder, "-o", output, "--jobs", "2") as process:
        assert wait_until(lambda: lines_in(journal) > 10)
        # As when a service is stopped: all its processes get the signal at the same time.
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(DEADLINE) == 128 + signal.SIGTERM
    assert wait_until(lambda: not group_is_alive(process.pid))
    assert scan(folder, "-o", output, "--resume").returncode == 0
    assert {reason for _, _, reason in rows_of(output)} == {""}
    assert len(rows_of(output)) == MANY


@pytest.mark.posix
def test_a_reader_of_standard_output_may_close_it_early(tmp_path: Path) -> None:
    with start(save_many(tmp_path / "in"), "--jobs", "2") as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(DEADLINE) == 0
    assert wait_until(lambda: not group_is_alive(process.pid))


@pytest.mark.system("mount", "umount")
@pytest.mark.parametrize(("room", "finished_all"), [(8, False), (24, True)])
def test_a_full_disk_is_reported_and_the_run_resumes_once_there_is_space(
    tmp_path: Path, small_disk: Path, room: int, *, finished_all: bool
) -> None:
    folder, output = save_many(tmp_path / "in", gray=7), small_disk / "out.csv"
    (small_disk / "ballast").write_bytes(bytes((64 - room) << 10))
    done = scan(folder, "-o", output)
    assert done.returncode == OutputError.exit_code
    assert b"No space left on device" in done.stderr
    assert b"continue with" in done.stderr
    finished = lines_in(small_disk / "out.csv.journal") - 1
    assert 0 < finished <= MANY
    assert (finished == MANY) == finished_all
    assert scan(folder, "-o", output, "--resume").returncode == OutputError.exit_code
    (small_disk / "ballast").unlink()
    for path in sorted(folder.iterdir())[: finished - 1]:
        fakes.spoil(path)
    done = scan(folder, "-o", output, "--resume")
    assert (done.returncode, sorted(path.name for path in small_disk.iterdir())) == (
        0,
        ["out.csv", "out.csv.json"],
    )
    assert [reason for _, _, reason in rows_of(output)] == [""] * MANY


def test_a_file_size_limit_is_reported_and_the_run_resumes_without_it(
    tmp_path: Path,
) -> None:
    folder, output = save_many(tmp_path / "in", gray=7), tmp_path / "out.csv"
    limited = ["sh", "-c", 'ulimit -f 16; exec "$@"', "sh", *command(folder, "-o", output)]
    done = subprocess.run(limited, check=False, capture_output=True, timeout=DEADLINE)
    assert done.returncode == OutputError.exit_code
    assert b"File too large" in done.stderr
    assert 1 < lines_in(tmp_path / "out.csv.journal") < MANY
    assert scan(folder, "-o", output, "--resume").returncode == 0
    assert [reason for _, _, reason in rows_of(output)] == [""] * MANY


@pytest.mark.posix
def test_a_second_run_on_the_same_output_is_refused(tmp_path: Path) -> None:
    folder, output, journal = (
        save_many(tmp_path / "in"),
        tmp_path / "out.csv",
        tmp_path / "out.csv.journal",
    )
    with start(folder, "-o", output, "--jobs", "1") as process:
        assert wait_until(lambda: lines_in(journal) > 1)
        # It must not finish before the others have started.
        process.send_signal(signal.SIGSTOP)
        others = [scan(folder, "-o", output, *words) for words in ([], ["--force"], ["--resume"])]
        process.send_signal(signal.SIGCONT)
        assert process.wait(DEADLINE) == 0
    assert [(done.returncode, done.stdout, b"Another run" in done.stderr) for done in others] == [
        (OutputError.exit_code, b"", True)
    ] * 3
    assert len(rows_of(output)) == MANY


@pytest.mark.posix
def test_a_run_is_not_resumed_with_other_settings_or_inputs(tmp_path: Path) -> None:
    folder, output, journal = (
        save_many(tmp_path / "in"),
        tmp_path / "out.csv",
        tmp_path / "out.csv.journal",
    )
    with start(folder, "-o", output, "--jobs", "2") as process:
        assert wait_until(lambda: lines_in(journal) > 10)
        process.kill()
    assert wait_until(lambda: not group_is_alive(process.pid))
    before = journal.read_bytes()
    changes = {
        "model sha256": ["--model", "digits"],
        "options min_confidence was None and is 0.9": ["--min-confidence", "0.9"],
        "options use_directory was True and is False": ["--no-directory"],
        "options timeout was None and is 5.0": ["--timeout", "5"],
    }
    for difference, words in changes.items():
        done = scan(folder, "-o", output, "--resume", *words)
        assert (done.returncode, difference in done.stderr.decode()) == (
            OutputError.exit_code,
            True,
        )
    save(folder / "one-more.png", 7)
    done = scan(folder, "-o", output, "--resume")
    assert f"inputs count was {MANY} and is {MANY + 1}" in done.stderr.decode()
    assert journal.read_bytes() == before
    assert scan(folder, "-o", output).returncode == OutputError.exit_code
    assert scan(folder, "-o", output, "--force").returncode == 0
    assert len(rows_of(output)) == MANY + 1
    done = scan(folder, "-o", output, "--resume")
    assert (done.returncode, done.stderr.decode()) == (0, f"{output} is complete already\n")


def test_inputs_may_vanish_during_a_run(tmp_path: Path) -> None:
    folder, output = save_many(tmp_path / "in"), tmp_path / "out.csv"
    with start(folder, "-o", output, "--jobs", "2") as process:
        assert wait_until(lambda: lines_in(tmp_path / "out.csv.journal") > 10)
        shutil.rmtree(folder)
        assert process.wait(DEADLINE) == 1
    reasons = [reason for _, _, reason in rows_of(output)]
    assert len(reasons) == MANY
    assert set(reasons) == {"", "unreadable_file"}


@pytest.mark.posix
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="workers are found in /proc")
def test_scans_interrupted_at_random_lose_nothing(tmp_path: Path) -> None:
    inputs = save_many(tmp_path / "in", count=60)
    program = [sys.executable, "-P", scanner.__file__]
    tally = chaos.run_rounds(15, tmp_path, seed=1, program=program, inputs=inputs)
    assert tally.faults.total()
    assert not tally.broken.total(), tally
    assert tally.rows >= 60 * tally.rounds


@pytest.mark.real
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is told in /proc")
@pytest.mark.parametrize("draw", [chaos.blank, chaos.text, chaos.checkerboard, chaos.noise])
def test_a_large_page_of_any_kind_takes_seconds_and_little_memory(
    tmp_path: Path, draw: Callable[[int], GrayImage]
) -> None:
    path = tmp_path / "large.tif"
    path.write_bytes(chaos.ENCODERS["tif"](Image.fromarray(draw(chaos.SIDE))))
    (seconds,), megabytes = chaos.measure_elsewhere(path)
    # Generous, for a slow or busy machine.
    assert seconds < 9
    assert megabytes < 500
