"""What becomes of files that have been read, whatever happens meanwhile."""

import errno
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import fakes
import pytest
import waiting

from zipocr.batch import hand_off as module
from zipocr.batch.hand_off import HandOff, Orders, folder_of, run_program
from zipocr.batch.read_files import FileResult
from zipocr.errors import OutputError
from zipocr.images.listing import ImageFile, stamp_of
from zipocr.results.row import to_row, unread_row
from zipocr.storage.journal import Journal, open_journal
from zipocr.types import Reason

# A program that appends what it was told to a file.
NOTE = "import os, sys; open(sys.argv[1], 'a').write(os.environ['ZIPOCR_PATH'] + sys.stdin.read())"


class Killed(BaseException):
    """Stands for a kill: nothing is tidied up after it."""


@dataclass(slots=True, kw_only=True)
class Place:
    """A folder with files to hand over, and where what was done is noted."""

    folder: Path
    said: list[str] = field(default_factory=list)

    @property
    def notes(self) -> Path:
        return self.folder / "notes"

    def save(self, name: str = "a.png", text: str = "a") -> ImageFile:
        path = self.folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return ImageFile(place=str(path), name=name)

    def orders(self, *, program: str = "", **how: object) -> Orders:
        words = (sys.executable, "-c", program, str(self.notes)) if program else ()
        done = None if how.pop("stays", False) else self.folder / "done"
        return Orders(**{"done": done, "program": words, **how})  # type: ignore[arg-type]

    @contextmanager
    def open(self, orders: Orders) -> Iterator[HandOff]:
        with open_journal(self.folder / "x.handoff", {}, resume=True) as journal:
            yield HandOff(orders=orders, journal=journal, tell=self.said.append)

    def hand_over(self, file: ImageFile, orders: Orders, *, status: str = "read") -> None:
        with self.open(orders) as hands:
            hands.hand_over(file, stamp_of(file.place), result(file.name, status))

    def files(self) -> dict[str, str]:
        found = (path for path in sorted(self.folder.rglob("*")) if path.is_file())
        return {
            str(path.relative_to(self.folder)): path.read_text()
            for path in found
            if path.suffix in {".png", ".part"}
        }

    def told(self) -> list[str]:
        return self.notes.read_text().splitlines() if self.notes.exists() else []


def result(name: str, *statuses: str) -> FileResult:
    readings = {"read": 0.9, "review": 0.1}
    return FileResult.of(
        unread_row(name, page, Reason.NO_INK)
        if status == "unread"
        else to_row(
            name,
            page,
            fakes.zip_reading("02108", confidence=readings[status]),
            min_confidence=0.5,
        )
        for page, status in enumerate(statuses, start=1)
    )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(folder=tmp_path)


def test_a_file_goes_to_the_folder_of_its_status_with_the_folders_that_it_was_in(
    place: Place,
) -> None:
    for name, status in (("a.png", "read"), ("b/c.png", "review"), ("d.png", "unread")):
        place.hand_over(place.save(name), place.orders(), status=status)
    assert set(place.files()) == {"done/read/a.png", "done/review/b/c.png", "done/unread/d.png"}
    assert place.said == []


def test_a_file_whose_pages_differ_goes_to_a_person() -> None:
    assert [folder_of(result("a.tif", *statuses)) for statuses in (
        ("read", "read"), ("unread", "unread"), ("read", "unread"), ("unread", "review"),
    )] == ["read", "unread", "review", "review"]  # fmt: skip


def test_nothing_is_replaced_and_the_next_file_of_a_name_has_another_one(place: Place) -> None:
    (place.folder / "done" / "read").mkdir(parents=True)
    (place.folder / "done" / "read" / "b.png").write_text("of others")
    place.hand_over(place.save("a.png", "1"), place.orders())
    with place.open(place.orders()) as hands:
        names = [hands.row_name(name) for name in ("a.png", "b.png", "c.png")]
        assert names == ["a~2.png", "b~2.png", "c.png"]
        assert [hands.source_name(name) for name in names] == ["a.png", "b.png", "c.png"]
        file = ImageFile(place=place.save("a.png", "2").place, name="a~2.png")
        hands.hand_over(file, stamp_of(file.place), result("a~2.png", "read"))
        assert hands.row_name("a.png") == "a~3.png"
    found = place.files()
    assert (found["done/read/a.png"], found["done/read/a~2.png"]) == ("1", "2")
    assert found["done/read/b.png"] == "of others"


def test_links_leave_the_file_and_its_name_and_are_made_once(place: Place) -> None:
    file, orders = place.save(), place.orders(is_link=True)
    for _ in range(2):
        place.hand_over(file, orders)
    assert set(place.files()) == {"in/a.png", "done/read/a.png"}
    assert Path(file.place).samefile(place.folder / "done" / "read" / "a.png")
    with place.open(orders) as hands:
        assert hands.row_name("a.png") == "a.png"


def test_a_program_gets_the_rows_on_its_standard_input_and_the_path_and_no_shell(
    place: Place,
) -> None:
    file = place.save("$(touch x); a.png")
    orders = place.orders(program=NOTE, stays=True)
    for _ in range(2):
        place.hand_over(file, orders)
    (told,) = place.told()
    path, _, row = told.rpartition(file.place)
    assert path == ""
    assert json.loads(row)["zip"] == "02108"
    assert not (place.folder / "x").exists()


def test_a_file_stays_until_its_program_has_done_its_work(place: Place) -> None:
    file, failing = place.save(), "import sys; sys.exit(3)"
    place.hand_over(file, place.orders(program=failing))
    assert set(place.files()) == {"in/a.png"}
    (said,) = place.said
    assert "a.png" in said
    assert "ended with 3; tried again at the next start" in said
    place.hand_over(file, place.orders(program=NOTE))
    assert (set(place.files()), len(place.told())) == ({"done/read/a.png"}, 1)


def test_a_program_that_hangs_is_stopped_with_all_it_has_started(place: Place) -> None:
    program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "open(sys.argv[1], 'w').write(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    place.hand_over(place.save(), place.orders(program=program, timeout=3))
    assert "ended with no end within 3 s" in place.said[0]
    child = int(place.notes.read_text())
    assert waiting.wait_until(lambda: not waiting.is_alive(child), deadline=20)
    assert set(place.files()) == {"in/a.png"}


def test_a_program_that_is_missing_or_reads_nothing_ends_nothing() -> None:
    assert "no start" in str(run_program(["/no/such"], b"x", path="a", timeout=9))
    quick = [sys.executable, "-c", ""]
    assert run_program(quick, b"x" * 10_000_000, path="a", timeout=60) == 0


def test_a_program_that_was_at_work_at_a_kill_is_not_run_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, orders = place.save(), place.orders(program=NOTE)
    run = module.run_program
    with monkeypatch.context() as patched:
        patched.setattr(module, "run_program", lambda *_, **__: (_ for _ in ()).throw(Killed))
        patched.setattr(HandOff, "_note", only(HandOff._note, "started"))
        with pytest.raises(Killed):
            place.hand_over(file, orders)
    assert run is module.run_program
    for _ in range(2):
        place.hand_over(file, orders)
    assert (place.told(), set(place.files())) == ([], {"in/a.png"})
    assert "may have done it. Look, and touch the file to hand it over again." in place.said[-1]
    os.utime(file.place, (1, 1))
    place.hand_over(file, orders)
    assert (len(place.told()), set(place.files())) == (1, {"done/read/a.png"})


def only(note: Callable[..., None], step: str) -> Callable[..., None]:
    """Lose all records but those of a step, as a kill does that comes first."""

    def noted(self: HandOff, name: str, stamp: str, what: str, **facts: object) -> None:
        if what == step:
            note(self, name, stamp, what, **facts)

    return noted


def killed_at(monkeypatch: pytest.MonkeyPatch, call: int, *, is_other_disk: bool) -> None:
    """Kill before the n-th of all calls that change a file or the journal; the rest works."""
    left = [call]

    def counted(target: object, name: str) -> None:
        real = getattr(target, name)

        def change(*arguments: object, **how: object) -> object:
            if str(arguments[0]).endswith(".handoff"):
                return real(*arguments, **how)
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            is_move = name == "replace" and "/in/" in str(arguments[0])
            if is_move and is_other_disk:
                raise OSError(errno.EXDEV, "another disk")
            return real(*arguments, **how)

        monkeypatch.setattr(target, name, change)

    for target, name in (
        (os, "replace"),
        (os, "link"),
        (Journal, "append"),
        (Path, "unlink"),
        (Path, "mkdir"),
        (module, "_reserve"),
        (module.shutil, "copyfileobj"),
        (module.shutil, "copystat"),
        (module, "run_program"),
    ):
        counted(target, name)


# A killed process closes nothing.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", ["move", "copy", "link"])
def test_whenever_it_is_killed_a_file_is_handed_over_once_and_never_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    ends = 0
    for call in range(40):
        place = Place(folder=tmp_path / str(call))
        file = place.save(text="the page")
        orders = place.orders(program=NOTE, is_link=kind == "link")
        with monkeypatch.context() as patched:
            killed_at(patched, call, is_other_disk=kind == "copy")
            try:
                place.hand_over(file, orders)
                ends += 1
            except Killed:
                pass
        assert "the page" in place.files().values(), call
        stamp = stamp_of(file.place) or stamp_of(str(place.folder / "done/read/a.png"))
        for _ in range(2):
            with place.open(orders) as hands:
                hands.hand_over(file, stamp, result("a.png", "read"))
        assert len(place.told()) <= 1
        kept = {path for path in place.files() if not path.endswith(".part")}
        if place.told() and "may have done it" not in " ".join(place.said):
            own = {"in/a.png", "done/read/a.png"} if kind == "link" else {"done/read/a.png"}
            assert kept == own, (call, place.said)
        else:
            assert kept == {"in/a.png"}, (call, place.said)
        assert ends < 2 or place.said == []
        if ends >= 2:
            return
    pytest.fail("no run went through")


def test_a_file_that_came_under_the_name_meanwhile_stays_to_be_read(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, real = place.save(text="first"), os.replace

    def late(source: object, target: object) -> None:
        if "/in/" in str(source):
            place.save(text="the next one")
        real(source, target)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "replace", late)
    place.hand_over(file, place.orders())
    assert place.files() == {"in/a.png": "the next one"}
    assert "another file came under its name" in place.said[0]


@pytest.mark.posix
def test_a_link_stays_where_it_is_and_a_full_folder_is_told(place: Place) -> None:
    place.save("b.png")
    (place.folder / "in" / "a.png").symlink_to("b.png")
    file = ImageFile(place=str(place.folder / "in" / "a.png"), name="a.png")
    place.hand_over(file, place.orders())
    (place.folder / "done").write_text("a file")
    other = ImageFile(place=str(place.folder / "in" / "b.png"), name="b.png")
    place.hand_over(other, place.orders())
    assert ["is a link" in place.said[0], "b.png" in place.said[1]] == [True, True]
    assert set(place.files()) == {"in/a.png", "in/b.png"}


def test_a_file_that_has_changed_since_it_was_read_is_left_alone(place: Place) -> None:
    file = place.save()
    with place.open(place.orders(program=NOTE)) as hands:
        hands.hand_over(file, "7-7", result("a.png", "read"))
    assert (set(place.files()), place.told(), place.said) == ({"in/a.png"}, [], [])


def test_a_disk_that_keeps_times_less_exactly_takes_files_too(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = place.save(text="the page")
    with monkeypatch.context() as patched:
        killed_at(patched, 99, is_other_disk=True)
        patched.setattr(module.shutil, "copystat", lambda *_: None)
        place.hand_over(file, place.orders())
    assert (place.files(), place.said) == ({"done/read/a.png": "the page"}, [])


def test_a_full_disk_costs_no_file_and_does_not_end_the_watch(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OutputError("Cannot write it: No space left on device.")

    file = place.save(text="the page")
    with monkeypatch.context() as patched:
        killed_at(patched, 99, is_other_disk=True)
        patched.setattr(module.shutil, "copyfileobj", full)
        place.hand_over(file, place.orders())
    assert place.files() == {"in/a.png": "the page"}
    assert "No space left on device" in place.said[0]
    place.hand_over(file, place.orders())
    assert place.files() == {"done/read/a.png": "the page"}
