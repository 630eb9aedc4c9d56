import errno
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import fakes
import pytest
import scanner
import waiting
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from zipocr.batch.backends.serial import SerialBackend
from zipocr.batch.watch import Arrival, Watcher
from zipocr.cli import main
from zipocr.cli.interrupts import graceful_shutdown
from zipocr.errors import OutputError
from zipocr.images.listing import stamp_of
from zipocr.images.lookup import sources_of
from zipocr.results.formats import read_results
from zipocr.storage.journal import Journal

pytest.importorskip("watchfiles")

DEADLINE = 120
SETTLE = 0.5

wait_until = partial(waiting.wait_until, deadline=DEADLINE)


def watcher(folder: Path, *, limit: float = 2, **known: str) -> Watcher:
    return Watcher(folder=folder, known=dict(known), settle=2, settle_limit=limit, poll=10)


def names(found: Watcher, now: float) -> list[str]:
    return [arrival.file.name for arrival in found.look(now)]


def test_a_file_is_reported_once_and_only_after_it_settles(tmp_path: Path) -> None:
    found = watcher(tmp_path)
    (tmp_path / "a.png").write_bytes(b"1")
    assert [names(found, now) for now in (0, 1, 1.9)] == [[], [], []]
    (tmp_path / "a.png").write_bytes(b"12")
    assert [names(found, now) for now in (2, 3.9, 4, 5, 99)] == [[], [], ["a.png"], [], []]


def test_a_file_of_stable_size_but_changing_mtime_is_not_reported(tmp_path: Path) -> None:
    found = watcher(tmp_path)
    (tmp_path / "a.png").write_bytes(bytes(9))
    for now in range(5):
        os.utime(tmp_path / "a.png", (now, now))
        assert names(found, now) == []
    assert names(found, 6) == ["a.png"]


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 3)), max_size=3),
        min_size=1,
        max_size=8,
    )
)
def test_every_settled_state_of_a_file_is_reported_exactly_once(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[list[tuple[str, int]]]
) -> None:
    folder = tmp_path_factory.mktemp("in")
    found, given_already, expected = watcher(folder), [], []
    for number, writes in enumerate(rounds):
        for name, size in writes:
            (folder / f"{name}.png").write_bytes(bytes(size))
            os.utime(folder / f"{name}.png", (size, size))
        state = {path.name: path.stat().st_size for path in folder.iterdir()}
        found.look(10 * number)
        now_given = found.look(10 * number + 5)
        given_already += [(new.file.name, int(new.stamp.split("-")[0])) for new in now_given]
        now = {
            name: size
            for name, size in state.items()
            if not expected or dict(expected).get(name) != size
        }
        expected += sorted(now.items())
    assert given_already == expected


def test_files_read_by_an_earlier_watch_are_not_reported_again(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"1")
    found = watcher(tmp_path, **{"a.png": stamp_of(str(path))})
    assert [names(found, now) for now in (0, 5)] == [[], []]
    os.utime(path, (1, 1))
    assert [names(found, now) for now in (6, 9)] == [[], ["a.png"]]


def test_a_truncated_file_waits_longer_but_not_forever(tmp_path: Path) -> None:
    found, path = watcher(tmp_path, limit=60), tmp_path / "a.png"
    whole = save(tmp_path / "whole.png").read_bytes()
    path.write_bytes(whole[:-1])
    assert [names(found, now) for now in (0, 2, 59)] == [[], ["whole.png"], []]
    assert names(found, 60) == ["a.png"]
    path.write_bytes(whole[:-2])
    assert [names(found, now) for now in (61, 63, 70)] == [[], [], []]
    path.write_bytes(whole)
    assert [names(found, now) for now in (71, 72, 73)] == [[], [], ["a.png"]]


def test_a_waiting_file_is_inspected_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[Path] = []
    monkeypatch.setattr("zipocr.batch.watch.ends_early", lambda path: looks.append(path) or True)
    found = watcher(tmp_path, limit=60)
    save(tmp_path / "a.png")
    assert [names(found, now) for now in range(0, 60, 3)] == [[]] * 20
    assert looks == [tmp_path / "a.png"]


def test_a_folder_that_reappears_reports_nothing_twice(tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    (share / "a.png").write_bytes(b"1")
    found = watcher(share)
    found.look(0)
    assert names(found, 5) == ["a.png"]
    share.rename(tmp_path / "gone")
    assert names(found, 10) == []
    (tmp_path / "gone").rename(share)
    assert [names(found, now) for now in (15, 20)] == [[], []]


def test_listing_takes_a_fifth_of_the_time_however_many_events_come(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, lists = [0.0], []

    def ticks(_: Path) -> Iterator[bool]:
        while clock[0] < 1000:
            clock[0] += 0.5
            yield True

    def look(_: Watcher, now: float) -> list[Arrival]:
        lists.append(now)
        clock[0] += 3
        return []

    monkeypatch.setattr("zipocr.batch.watch.time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr("zipocr.batch.watch._ticks", ticks)
    monkeypatch.setattr(Watcher, "look", look)
    assert list(watcher(tmp_path).arrivals())
    assert 0.15 < 3 * len(lists) / clock[0] < 0.205


@pytest.mark.posix
def test_broken_links_and_nested_images_are_reported_but_other_files_are_not(
    tmp_path: Path,
) -> None:
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / "deep" / "deeper" / "a.tif").touch()
    (tmp_path / "link.png").symlink_to("nowhere")
    (tmp_path / "a.png.part").touch()
    found = watcher(tmp_path)
    found.look(0)
    assert names(found, 2) == ["deep/deeper/a.tif", "link.png"]


def save(path: Path, *grays: int) -> Path:
    """Write an image atomically, with one page per gray level."""
    first, *others = (Image.fromarray(fakes.page(ink=gray)) for gray in grays or (7,))
    whole = path.with_name(f"{path.name}.new")
    kind = Image.registered_extensions()[path.suffix]
    first.save(whole, kind, **({"save_all": True, "append_images": others} if others else {}))
    whole.replace(path)
    return path


def watching(
    folder: Path, output: Path, *words: str, environment: dict[str, str] | None = None
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    command = [
        sys.executable,
        "-P",
        scanner.__file__,
        "watch",
        folder,
        "-o",
        output,
        "--settle",
        str(SETTLE),
        *words,
    ]
    return waiting.running(command, env={**os.environ, **(environment or {})})


def end(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Press Ctrl-C."""
    os.killpg(process.pid, signal.SIGINT)
    _, talk = process.communicate(timeout=DEADLINE)
    return process.returncode, talk.decode()


def is_complete(output: Path) -> bool:
    """Whether the metadata, which is written last, matches this results file."""
    metadata = output.with_name(f"{output.name}.json")
    return (
        metadata.exists()
        and json.loads(metadata.read_bytes())["results"]["sha256"]
        == sha256(output.read_bytes()).hexdigest()
    )


def zips(output: Path) -> list[tuple[str, str]]:
    return [(row.file, row.zip) for row in read_results(output)] if output.exists() else []


@pytest.mark.posix
def test_files_are_read_as_they_arrive_and_none_twice_across_restarts(tmp_path: Path) -> None:
    folder, output = tmp_path / "in", tmp_path / "out.csv"
    folder.mkdir()
    save(folder / "b.png", 1)
    with watching(folder, output) as process:
        assert wait_until(lambda: zips(output) == [("b.png", "00001")])
        (folder / "new").mkdir()
        save(folder / "new" / "a.png", 2)
        assert wait_until(
            lambda: (
                zips(output) == [("b.png", "00001"), ("new/a.png", "00002")] and is_complete(output)
            )
        )
        process.kill()  # which would leave behind a half-written file
    save(folder / "c.png", 3)
    with watching(folder, output) as process:
        assert wait_until(lambda: len(zips(output)) == 3)
        code, talk = end(process)
    assert (code, zips(output)[2]) == (0, ("c.png", "00003"))
    assert "where 2 files have been read" in talk
    assert "read 3, to review 0, unread 0, failed 0; 3 crops, 2 of them before," in talk
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "in",
        "out.csv",
        "out.csv.journal",
        "out.csv.json",
    ]
    with watching(folder, output) as process:
        save(folder / "b.png", 4)
        assert wait_until(lambda: zips(output)[-1] == ("b.png", "00004"))
        code, talk = end(process)
    assert zips(output) == [("new/a.png", "00002"), ("c.png", "00003"), ("b.png", "00004")]
    assert "read again, since they had changed: 1 files" in talk
    assert "read 3, to review 0, unread 0, failed 0; 3 crops, 2 of them before," in talk
    metadata = json.loads((tmp_path / "out.csv.json").read_text())
    assert (metadata["counts"], metadata["input_versions"]["superseded"]) == ({"read": 3}, 1)


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read with a fake reader, in this process."""
    monkeypatch.setattr("zipocr.batch.read_files.start_reading", fakes.start_fake)
    monkeypatch.setattr("zipocr.cli.watch.make_workers", lambda *_: nullcontext(SerialBackend()))


def run(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    output: Path,
    *steps: Callable[[], object],
    words: Sequence[str | Path] = (),
) -> Result:
    """Start a watch, look for files after each step, and press Ctrl-C."""
    folder.mkdir(exist_ok=True)

    def arrivals(found: Watcher) -> Iterator[list[Arrival]]:
        for step in steps:
            step()
            yield found.look(0)
        raise KeyboardInterrupt

    monkeypatch.setattr(Watcher, "arrivals", arrivals)
    arguments = [str(word) for word in ("watch", folder, "-o", output, "--settle", 0, *words)]
    return CliRunner().invoke(main, arguments)


@pytest.mark.usefixtures("in_process")
def test_a_file_that_grows_by_pages_has_one_set_of_rows(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, output = tmp_path / "in", tmp_path / "out.csv"
    pages = [partial(save, folder / "a.tif", *range(count)) for count in (1, 2, 3)]
    result = run(monkeypatch, folder, output, *pages, partial(save, folder / "b.png", 9))
    expected = [("a.tif", "00000"), ("a.tif", "00001"), ("a.tif", "00002"), ("b.png", "00009")]
    assert zips(output) == expected
    assert "read again, since they had changed: 2 files" in result.stderr
    assert "read 4, to review 0, unread 0, failed 0; 4 crops in " in result.stderr


@pytest.mark.usefixtures("in_process")
def test_a_replaced_file_is_counted_once_by_its_new_contents(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, output = tmp_path / "in", tmp_path / "out.csv"
    result = run(monkeypatch, folder, output, partial((folder / "a.png").write_text, "no image"))
    assert (result.exit_code, "failed: a.png: " in result.stderr) == (1, True)
    result = run(monkeypatch, folder, output, partial(save, folder / "a.png"))
    assert (result.exit_code, "failed: a.png: " in result.stderr) == (0, False)
    assert json.loads((tmp_path / "out.csv.json").read_text())["counts"] == {"read": 1}
    assert "read 1, to review 0, unread 0, failed 0; 1 crop in " in result.stderr


@pytest.mark.usefixtures("in_process")
def test_journaled_rows_reach_the_results_even_if_no_new_file_arrives(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, output = tmp_path / "in", tmp_path / "out.csv"
    run(monkeypatch, folder, output, partial(save, folder / "a.png", 1))
    for path in (output, tmp_path / "out.csv.json"):  # as if killed between journal and results
        path.unlink()
    for steps in ([], [lambda: None]):
        assert run(monkeypatch, folder, output, *steps).exit_code == 0
        assert is_complete(output)
        assert zips(output) == [("a.png", "00001")]


@pytest.mark.usefixtures("in_process")
def test_a_watch_on_a_full_disk_writes_its_journaled_rows_to_the_results(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, output = tmp_path / "in", tmp_path / "out.csv"
    real, left = Journal._write, [3]  # the header and two records

    def write(journal: Journal, line: bytes, *, records: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(journal, line, records=records)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "_write", write)
        paths = [folder / f"{number}.png" for number in (1, 2, 3)]
        result = run(patch, folder, output, lambda: [*map(save, paths, (1, 2, 3))])
    assert result.exit_code == OutputError.exit_code
    assert "No space left on device" in result.stderr
    assert zips(output) == [("1.png", "00001"), ("2.png", "00002")]
    assert run(monkeypatch, folder, output, lambda: None).exit_code == 0
    assert zips(output) == [("1.png", "00001"), ("2.png", "00002"), ("3.png", "00003")]


@pytest.mark.posix
def test_a_file_that_is_still_being_written_waits(tmp_path: Path) -> None:
    folder, output = tmp_path / "in", tmp_path / "out.csv"
    folder.mkdir()
    data = save(tmp_path / "whole.png", 5).read_bytes()
    with watching(folder, output) as process, (folder / "a.png").open("wb", buffering=0) as file:
        until = time.monotonic() + 5 * SETTLE
        for byte in data[:-1]:
            file.write(bytes([byte]))
            time.sleep(max(0, until - time.monotonic()) / len(data))
        save(folder / "b.png", 6)
        file.write(data[-1:])
        assert wait_until(lambda: len(zips(output)) == 2)
        assert sorted(zips(output)) == [("a.png", "00005"), ("b.png", "00006")]
        assert end(process)[0] == 0


@pytest.mark.posix
def test_a_folder_without_change_events_is_polled(tmp_path: Path) -> None:
    folder, output = tmp_path / "in", tmp_path / "out.csv"
    folder.mkdir()
    # As on a network share: the library gets no events for an hour.
    no_events = {"WATCHFILES_FORCE_POLLING": "true", "WATCHFILES_POLL_DELAY_MS": "3600000"}
    with watching(folder, output, "--poll", "0.5", environment=no_events) as process:
        assert wait_until(
            lambda: b"watching" in (process.stderr.readline() if process.stderr else b"")
        )
        save(folder / "a.png", 8)
        assert wait_until(lambda: zips(output) == [("a.png", "00008")])
        assert end(process)[0] == 0


@pytest.mark.posix
def test_a_bad_file_costs_only_its_row_and_the_watch_continues(tmp_path: Path) -> None:
    folder, output = tmp_path / "in", tmp_path / "out.csv"
    folder.mkdir()
    save(folder / "a.png", fakes.KILL)
    (folder / "b.png").touch()
    save(folder / "c.png", 9)
    with watching(folder, output, "--settle-limit", "1") as process:
        assert wait_until(lambda: len(zips(output)) == 3)
        assert end(process)[0] == 1
    reasons = {row.file: "".join(row.reason) for row in read_results(output)}
    assert reasons == {"a.png": "worker_died", "b.png": "unreadable_file", "c.png": ""}


@pytest.mark.posix
def test_a_watch_refuses_other_settings_and_a_second_watch(tmp_path: Path) -> None:
    folder, output = tmp_path / "in", tmp_path / "out.csv"
    folder.mkdir()
    save(folder / "a.png")
    with watching(folder, output) as process:
        assert wait_until(lambda: len(zips(output)) == 1)
        with watching(folder, output) as second:
            _, talk = second.communicate(timeout=DEADLINE)
        assert (second.returncode, b"Another run" in talk) == (OutputError.exit_code, True)
        assert end(process)[0] == 0
    with watching(folder, output, "--max-pixels", "10") as process:
        _, talk = process.communicate(timeout=DEADLINE)
    assert (process.returncode, b"max_pixels was 50000000 and is 10" in talk) == (
        OutputError.exit_code,
        True,
    )


@pytest.mark.posix
def test_a_watch_uses_the_given_list_and_max_error_and_resumes_only_with_them(
    tmp_path: Path,
) -> None:
    folder, output, listed = tmp_path / "in", tmp_path / "out.csv", tmp_path / "list.txt"
    folder.mkdir()
    save(folder / "a.png")
    listed.write_text("02108\n")
    words = ("--max-error", "0.1", "--directory", str(listed))
    with watching(folder, output, *words) as process:
        assert wait_until(lambda: len(zips(output)) == 1)
        assert end(process)[0] == 0
    metadata = json.loads((tmp_path / "out.csv.json").read_text())
    assert (
        metadata["options"]["max_error"],
        metadata["directory"]["count"],
        metadata["directory_file"],
    ) == (
        0.1,
        1,
        str(listed),
    )
    listed.write_text("02109\n")
    for changed, said in (
        (words, b"directory sha256 was"),
        (("--max-error", "0.2"), b"max_error was 0.1 and is 0.2"),
    ):
        with watching(folder, output, *changed) as process:
            _, talk = process.communicate(timeout=DEADLINE)
        assert (process.returncode, said in talk) == (OutputError.exit_code, True)


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_lost_interrupt_is_raised_again_when_checked_for(
    number: int, raised: type[BaseException]
) -> None:
    before = signal.getsignal(number)
    with graceful_shutdown() as ask:
        ask()
        with suppress(raised):  # as Python does during cleanup
            os.kill(os.getpid(), number)
            time.sleep(60)
        with pytest.raises(raised):
            ask()
    assert signal.getsignal(number) == before


def test_a_watch_accepts_only_one_way_to_set_the_threshold(tmp_path: Path) -> None:
    words = [
        "watch",
        str(tmp_path),
        "-o",
        str(tmp_path / "out.csv"),
        "--max-error",
        "0.1",
        "--min-confidence",
        "0.5",
    ]
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, "give one of them" in result.stderr) == (2, True)


@pytest.mark.parametrize("words", [[], ["-o", "-"], ["-o", os.devnull]])
def test_a_watch_needs_an_output_file(tmp_path: Path, words: list[str]) -> None:
    assert CliRunner().invoke(main, ["watch", str(tmp_path), *words]).exit_code == 2


# A program that appends its input to a file.
NOTE = f"{sys.executable} -c 'import sys; open(sys.argv[1], \"a\").write(sys.stdin.read())'"


@pytest.mark.usefixtures("in_process")
def test_finished_files_are_handed_over_and_kept_apart_from_later_ones_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, output, done = tmp_path / "in", tmp_path / "out.csv", tmp_path / "done"
    words = ["--done", done, "--exec", f"{NOTE} {tmp_path / 'notes'}"]
    steps = [partial(save, folder / "scan.png", ink) for ink in (1, 2)]
    result = run(monkeypatch, folder, output, *steps, words=words)
    assert (result.exit_code, "handed over 2 files" in result.stderr) == (0, True)
    result = run(monkeypatch, folder, output, partial(save, folder / "scan.png", 3), words=words)
    assert "handed over 1 file\n" in result.stderr
    names = ["scan.png", "scan~2.png", "scan~3.png"]
    assert zips(output) == list(zip(names, ["00001", "00002", "00003"], strict=True))
    rows = [json.loads(line) for line in (tmp_path / "notes").read_text().splitlines()]
    assert [(one["file"], one["zip"]) for one in rows] == zips(output)
    assert sorted(path.name for path in (done / "read").iterdir()) == names
    assert list(folder.iterdir()) == []
    sources = sources_of(output, None)
    assert [sources.find(name) for name in names] == [done / "read" / name for name in names]


@pytest.mark.usefixtures("in_process")
def test_a_failed_hand_over_is_reported_and_retried_by_the_next_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, output, done = tmp_path / "in", tmp_path / "out.csv", tmp_path / "done"
    failing = ["--done", done, "--exec", f"{sys.executable} -c 'raise SystemExit(7)'"]
    result = run(monkeypatch, folder, output, partial(save, folder / "a.png"), words=failing)
    assert result.exit_code == 1
    assert "not handed over: a.png: " in result.stderr
    assert "handed over 0 files, 1 could not be" in result.stderr
    assert (zips(output), (folder / "a.png").exists()) == ([("a.png", "00007")], True)
    result = run(monkeypatch, folder, output, words=["--done", done])
    assert (result.exit_code, (done / "read" / "a.png").exists()) == (0, True)


@pytest.mark.usefixtures("in_process")
def test_a_watch_without_hand_over_options_leaves_no_trace_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run(
        monkeypatch, tmp_path / "in", tmp_path / "out.csv", partial(save, tmp_path / "in" / "a.png")
    )
    assert "handed over" not in result.stderr
    assert not (tmp_path / "out.csv.handoff").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--done-link"], "--done-link needs the folder"),
        (["--done", "in/done"], "--done is in the folder that is watched"),
        (["--exec", ""], "does not name an existing program"),
        (["--exec", "no-such-program-here x"], "does not name an existing program"),
        (["--exec", "'"], "No closing quotation"),
    ],
)
def test_hand_over_options_that_cannot_work_are_usage_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(monkeypatch, Path("in"), Path("out.csv"), words=words)
    assert (result.exit_code, said in " ".join(result.stderr.split())) == (2, True)


@pytest.mark.posix
def test_a_kill_during_hand_over_loses_no_file_and_does_nothing_twice(
    tmp_path: Path,
) -> None:
    folder, output, done = tmp_path / "in", tmp_path / "out.csv", tmp_path / "done"
    folder.mkdir()
    for number in range(12):
        save(folder / f"{number}.png", number)
    words = ("--done", str(done), "--exec", f"{NOTE} {tmp_path / 'notes'}")

    def placed() -> int:
        return len(list(done.rglob("*.png")))

    for count in (1, 4):
        with watching(folder, output, *words) as process:
            assert wait_until(lambda count=count: placed() >= count)
            process.kill()
    with watching(folder, output, *words) as process:
        assert wait_until(lambda: placed() + len(list(folder.iterdir())) == 12)
        assert wait_until(lambda: len(zips(output)) == 12)
        _, talk = end(process)
    handed_over = [
        json.loads(line)["file"] for line in (tmp_path / "notes").read_text().splitlines()
    ]
    assert len(handed_over) == len(set(handed_over))
    left = {path.name for path in folder.iterdir()}
    assert {path.name for path in done.rglob("*.png")} | left == {f"{n}.png" for n in range(12)}
    # Only files whose program was running at a kill are left to the user.
    assert all(f"not handed over: {name}: " in talk for name in left)
    assert len(left) <= 2


@pytest.mark.usefixtures("in_process")
def test_a_database_is_updated_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, output = tmp_path / "in", tmp_path / "out.sqlite"
    run(monkeypatch, folder, output, partial(save, folder / "a.png", 1))
    with closing(sqlite3.connect(output)) as database:
        database.execute("CREATE VIEW mine AS SELECT zip FROM pages")
        number = output.stat().st_ino
        steps = [partial(save, folder / "b.png", 2), partial(save, folder / "a.png", 3)]
        result = run(monkeypatch, folder, output, *steps)
        assert (result.exit_code, output.stat().st_ino) == (0, number)
        assert database.execute("SELECT zip FROM mine").fetchall() == [("00002",), ("00003",)]
    assert is_complete(output)
