"""What happens to files after they are read, even across kills and errors."""

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
from zipocr.batch.hand_off import HandOff, HandOffConfig, folder_of, run_program
from zipocr.batch.read_files import FileResult
from zipocr.errors import OutputError
from zipocr.images.listing import ImageFile, stamp_of
from zipocr.results.row import to_row, unread_row
from zipocr.storage.journal import Journal, open_journal
from zipocr.types import Reason

# A program that appends the path and the rows it gets to a file.
NOTE = "import os, sys; open(sys.argv[1], 'a').write(os.environ['ZIPOCR_PATH'] + sys.stdin.read())"


class Killed(BaseException):
    """Simulates a kill: no cleanup follows."""


@dataclass(slots=True, kw_only=True)
class Place:
    """A folder with files to hand over, and notes of what was done."""

    folder: Path
    messages: list[str] = field(default_factory=list)

    @property
    def notes(self) -> Path:
        return self.folder / "notes"

    def save(self, name: str = "a.png", text: str = "a") -> ImageFile:
        path = self.folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return ImageFile(place=str(path), name=name)

    def orders(self, *, program: str = "", **how: object) -> HandOffConfig:
        words = (sys.executable, "-c", program, str(self.notes)) if program else ()
        done = None if how.pop("stays", False) else self.folder / "done"
        return HandOffConfig(**{"done": done, "program": words, **how})  # type: ignore[arg-type]

    @contextmanager
    def open(self, orders: HandOffConfig) -> Iterator[HandOff]:
        with open_journal(self.folder / "x.handoff", {}, resume=True) as journal:
            yield HandOff(orders=orders, journal=journal, tell=self.messages.append)

    def hand_over(self, file: ImageFile, orders: HandOffConfig, *, status: str = "read") -> None:
        with self.open(orders) as hands:
            hands.hand_over(file, stamp_of(file.place), result(file.name, status))

    def files(self) -> dict[str, str]:
        found = (path for path in sorted(self.folder.rglob("*")) if path.is_file())
        return {
            str(path.relative_to(self.folder)): path.read_text()
            for path in found
            if path.suffix in {".png", ".part"}
        }

    def noted(self) -> list[str]:
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


def test_a_file_moves_to_the_folder_of_its_status_and_keeps_its_subfolders(
    place: Place,
) -> None:
    for name, status in (("a.png", "read"), ("b/c.png", "review"), ("d.png", "unread")):
        place.hand_over(place.save(name), place.orders(), status=status)
    assert set(place.files()) == {"done/read/a.png", "done/review/b/c.png", "done/unread/d.png"}
    assert place.messages == []


def test_a_file_with_mixed_pages_goes_to_review() -> None:
    assert [folder_of(result("a.tif", *statuses)) for statuses in (
        ("read", "read"), ("unread", "unread"), ("read", "unread"), ("unread", "review"),
    )] == ["read", "unread", "review", "review"]  # fmt: skip


def test_nothing_is_overwritten_and_the_next_file_of_the_same_name_is_renamed(place: Place) -> None:
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


def test_linking_keeps_the_file_and_its_name_and_links_once(place: Place) -> None:
    file, orders = place.save(), place.orders(is_link=True)
    for _ in range(2):
        place.hand_over(file, orders)
    assert set(place.files()) == {"in/a.png", "done/read/a.png"}
    assert Path(file.place).samefile(place.folder / "done" / "read" / "a.png")
    with place.open(orders) as hands:
        assert hands.row_name("a.png") == "a.png"


def test_a_program_gets_the_rows_on_stdin_and_the_path_without_a_shell(
    place: Place,
) -> None:
    file = place.save("$(touch x); a.png")
    orders = place.orders(program=NOTE, stays=True)
    for _ in range(2):
        place.hand_over(file, orders)
    (note,) = place.noted()
    path, _, row = note.rpartition(file.place)
    assert path == ""
    assert json.loads(row)["zip"] == "02108"
    assert not (place.folder / "x").exists()


def test_a_file_stays_until_its_program_succeeds(place: Place) -> None:
    file, failing = place.save(), "import sys; sys.exit(3)"
    place.hand_over(file, place.orders(program=failing))
    assert set(place.files()) == {"in/a.png"}
    (message,) = place.messages
    assert "a.png" in message
    assert "ended with 3; tried again at the next start" in message
    place.hand_over(file, place.orders(program=NOTE))
    assert (set(place.files()), len(place.noted())) == ({"done/read/a.png"}, 1)


def test_a_hanging_program_is_stopped_with_its_children(place: Place) -> None:
    program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "open(sys.argv[1], 'w').write(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    place.hand_over(place.save(), place.orders(program=program, timeout=3))
    assert "ended with no end within 3 s" in place.messages[0]
    child = int(place.notes.read_text())
    assert waiting.wait_until(lambda: not waiting.is_alive(child), deadline=20)
    assert set(place.files()) == {"in/a.png"}


def test_a_program_that_is_missing_or_ignores_its_input_does_no_harm() -> None:
    assert "no start" in str(run_program(["/no/such"], b"x", path="a", timeout=9))
    quick = [sys.executable, "-c", ""]
    assert run_program(quick, b"x" * 10_000_000, path="a", timeout=60) == 0


def test_a_program_that_was_running_at_a_kill_is_not_run_again(
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
    assert (place.noted(), set(place.files())) == ([], {"in/a.png"})
    assert "may have done it. Look, and touch the file to hand it over again." in place.messages[-1]
    os.utime(file.place, (1, 1))
    place.hand_over(file, orders)
    assert (len(place.noted()), set(place.files())) == (1, {"done/read/a.png"})


def only(note: Callable[..., None], step: str) -> Callable[..., None]:
    """Drop all records but those of one step, as a kill would before they are written."""

    def noted(self: HandOff, name: str, stamp: str, what: str, **facts: object) -> None:
        if what == step:
            note(self, name, stamp, what, **facts)

    return noted


def kill_before_call(monkeypatch: pytest.MonkeyPatch, call: int, *, is_other_disk: bool) -> None:
    """Kill before the n-th call that changes a file or the journal."""
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
def test_a_kill_at_any_point_neither_loses_a_file_nor_hands_it_over_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    ends = 0
    for call in range(40):
        place = Place(folder=tmp_path / str(call))
        file = place.save(text="the page")
        orders = place.orders(program=NOTE, is_link=kind == "link")
        with monkeypatch.context() as patched:
            kill_before_call(patched, call, is_other_disk=kind == "copy")
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
        assert len(place.noted()) <= 1
        kept = {path for path in place.files() if not path.endswith(".part")}
        if place.noted() and "may have done it" not in " ".join(place.messages):
            own = {"in/a.png", "done/read/a.png"} if kind == "link" else {"done/read/a.png"}
            assert kept == own, (call, place.messages)
        else:
            assert kept == {"in/a.png"}, (call, place.messages)
        assert ends < 2 or place.messages == []
        if ends >= 2:
            return
    pytest.fail("no run went through")


def test_a_new_file_that_took_the_name_meanwhile_is_left_to_be_read(
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
    assert "another file came under its name" in place.messages[0]


@pytest.mark.posix
def test_a_link_stays_in_place_and_an_unusable_folder_is_reported(place: Place) -> None:
    place.save("b.png")
    (place.folder / "in" / "a.png").symlink_to("b.png")
    file = ImageFile(place=str(place.folder / "in" / "a.png"), name="a.png")
    place.hand_over(file, place.orders())
    (place.folder / "done").write_text("a file")
    other = ImageFile(place=str(place.folder / "in" / "b.png"), name="b.png")
    place.hand_over(other, place.orders())
    assert ["is a link" in place.messages[0], "b.png" in place.messages[1]] == [True, True]
    assert set(place.files()) == {"in/a.png", "in/b.png"}


def test_a_file_that_has_changed_since_it_was_read_is_left_alone(place: Place) -> None:
    file = place.save()
    with place.open(place.orders(program=NOTE)) as hands:
        hands.hand_over(file, "7-7", result("a.png", "read"))
    assert (set(place.files()), place.noted(), place.messages) == ({"in/a.png"}, [], [])


def test_files_can_move_to_a_disk_with_less_exact_times(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = place.save(text="the page")
    with monkeypatch.context() as patched:
        kill_before_call(patched, 99, is_other_disk=True)
        patched.setattr(module.shutil, "copystat", lambda *_: None)
        place.hand_over(file, place.orders())
    assert (place.files(), place.messages) == ({"done/read/a.png": "the page"}, [])


def test_a_full_disk_loses_no_file_and_does_not_end_the_watch(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OutputError("Cannot write it: No space left on device.")

    file = place.save(text="the page")
    with monkeypatch.context() as patched:
        kill_before_call(patched, 99, is_other_disk=True)
        patched.setattr(module.shutil, "copyfileobj", full)
        place.hand_over(file, place.orders())
    assert place.files() == {"in/a.png": "the page"}
    assert "No space left on device" in place.messages[0]
    place.hand_over(file, place.orders())
    assert place.files() == {"done/read/a.png": "the page"}
