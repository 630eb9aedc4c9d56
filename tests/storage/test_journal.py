import os
import resource
import sys
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waiting import held_elsewhere

import zipocr.storage.journal as journal_module
from zipocr.errors import OutputError
from zipocr.storage.journal import Journal, differences, open_journal

if TYPE_CHECKING:
    from _typeshed import TraceFunction

IDENTITY = {"model": {"sha256": "a1"}, "options": {"max_pixels": 100}}
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def write(path: Path, *records: object, resume: bool = False, force: bool = False) -> list[object]:
    """Append records, and return all that the journal has."""
    with open_journal(path, IDENTITY, resume=resume, force=force) as journal:
        for record in records:
            journal.append({"value": record})
        return values(journal)


def values(journal: Journal) -> list[object]:
    return [record["value"] for _, record in journal.records()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.csv.journal"


@given(st.lists(json_values, max_size=5), st.lists(json_values, max_size=5))
def test_records_come_back_unchanged_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, first: list[object], then: list[object]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j"
    assert write(path, *first) == first
    assert write(path, *then, resume=True) == first + then


@given(st.data())
def test_a_journal_truncated_anywhere_yields_a_prefix_of_its_records(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j"
    records = [{"n": number, "rows": "a\tb\n" * number} for number in range(6)]
    write(path, *records)
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    found = write(path, resume=True)
    assert found == records[: max(0, whole[:cut].count(b"\n") - 1)]
    assert write(path, *records[len(found) :], resume=True) == records


@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_damaged_line_and_everything_after_it_are_discarded(
    tmp_path_factory: pytest.TempPathFactory, place: float, flip: int
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j"
    records = list(range(100, 110))
    write(path, *records)
    data = bytearray(path.read_bytes())
    damaged = int(place * len(data))
    data[damaged] ^= flip
    path.write_bytes(data)
    before = data[:damaged].count(b"\n")
    if before == 0:
        with pytest.raises(OutputError, match="damaged"):
            write(path, resume=True)
        assert path.read_bytes() == data
    else:
        assert write(path, resume=True) == records[: before - 1]


def test_reordered_lines_are_discarded(path: Path) -> None:
    write(path, 1, 2, 3)
    head, *lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(head + lines[0] + lines[2] + lines[1])
    assert write(path, resume=True) == [1]


def test_records_can_be_read_by_position_in_any_order(path: Path) -> None:
    with open_journal(path, IDENTITY) as journal:
        positions = [journal.append({"value": "x" * number}) for number in range(9)]
        assert [position for position, _ in journal.records()] == positions
        chosen = positions[::-2]
        assert [len(record["value"]) for record in journal.read(chosen)] == [8, 6, 4, 2, 0]
        with pytest.raises(OutputError, match="another program"):
            list(journal.read([positions[3] + 1]))


def test_a_journal_in_an_older_format_is_refused_and_its_format_reported(path: Path) -> None:
    write(path, 1)
    text = path.read_bytes().split(b"\t")[0].replace(b'_journal": 2', b'_journal": 1')
    before = b"%s\t%08x\n" % (text, zlib.crc32(text))
    path.write_bytes(before)
    with pytest.raises(OutputError, match=r"of format 1, .* format 2.* that began it.*--force"):
        write(path, 1, resume=True)
    assert path.read_bytes() == before
    assert write(path, 3, force=True) == [3]


def test_an_existing_journal_is_not_overwritten_without_force(path: Path) -> None:
    write(path, 1, 2)
    before = path.read_bytes()
    with pytest.raises(OutputError, match=r"--resume.*--force"):
        write(path)
    assert path.read_bytes() == before
    assert write(path, 3, force=True) == [3]


def test_a_journal_without_records_is_not_kept(path: Path) -> None:
    assert write(path) == []
    assert not path.exists()


@pytest.mark.parametrize(
    ("identity", "difference"),
    [
        ({**IDENTITY, "options": {"max_pixels": 99}}, "options max_pixels was 100 and is 99"),
        ({**IDENTITY, "model": {"sha256": "b2"}}, "model sha256 was a1 and is b2"),
        ({**IDENTITY, "zipocr": "2"}, "zipocr was absent and is 2"),
    ],
)
def test_a_different_run_is_refused_and_the_differences_are_reported(
    path: Path, identity: dict[str, object], difference: str
) -> None:
    write(path, 1)
    before = path.read_bytes()
    with pytest.raises(OutputError, match=difference), open_journal(path, identity, resume=True):
        pass
    assert path.read_bytes() == before


@given(json_values, json_values)
def test_differences_are_found_exactly_where_there_are_any(one: object, other: object) -> None:
    assert bool(differences({"x": one}, {"x": other}, where="")) == (one != other)


@pytest.mark.parametrize(
    "data",
    [
        b"file,page,zip\n",
        b"\x00" * 50,
        b"[]\t12345678\n",
        b"important notes without an end",
        b"{}\n" * 9,
    ],
)
def test_a_file_that_is_not_a_journal_is_refused_and_left_alone(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(OutputError, match="not a zipocr journal"):
        write(path, 1, resume=True)
    assert path.read_bytes() == data


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j"
    path.write_bytes(data)
    with suppress(OutputError):
        assert write(path, resume=True) == []


def test_a_second_run_on_the_same_journal_is_refused(path: Path) -> None:
    with open_journal(path, IDENTITY) as journal:
        journal.append({"value": 1})
        for choice in ({"resume": True}, {"force": True}, {}):
            with pytest.raises(OutputError, match="Another run"):
                write(path, 2, **choice)
        assert values(journal) == [1]


HOLDER = """
from zipocr.storage.journal import open_journal
with open_journal(Path(sys.argv[1]), {}) as journal:
    journal.append({"value": 1})
"""


def test_a_lock_does_not_outlive_a_killed_process(path: Path) -> None:
    with held_elsewhere(HOLDER, path), pytest.raises(OutputError, match="Another run"):
        write(path, resume=True)
    with open_journal(path, {}, resume=True) as journal:
        assert values(journal) == [1]


def test_a_journal_removed_between_opening_and_locking_is_opened_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    real, calls = fcntl.flock, []

    def flock(file: int, operation: int) -> None:
        if not calls:
            path.unlink()
        calls.append(file)
        real(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    assert write(path, 1) == [1]
    assert path.exists()
    assert len(calls) == 2


def test_a_journal_works_on_a_file_system_without_locks(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(fcntl, "lockf", refuse)
    assert write(path, 1) == [1]


@pytest.mark.posix
def test_a_record_that_cannot_be_written_whole_is_not_written_at_all(path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_journal(path, IDENTITY) as journal:
        journal.append({"value": "a" * 100})
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 50, before[1]))
            with pytest.raises(OutputError, match=r"File too large.*--resume"):
                journal.append({"value": "b" * 100})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        journal.append({"value": "c" * 100})
        assert values(journal) == ["a" * 100, "c" * 100]


def interrupted(function: Callable[[], object], *, at: int) -> bool:
    """Return whether the journal's own code was interrupted before instruction number ``at``."""
    instructions = count()

    def trace(frame: FrameType, event: str, _: object) -> "TraceFunction | None":
        if frame.f_code.co_filename != journal_module.__file__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and next(instructions) == at:
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def test_an_interrupt_at_any_instruction_keeps_the_record_count_correct(
    path: Path,
) -> None:
    instruction = 0
    with open_journal(path, IDENTITY) as journal:
        while interrupted(partial(journal.append, {"value": instruction}), at=instruction):
            lines = path.read_bytes().count(b"\n")
            assert lines - 1 == journal.finished == len(values(journal))
            instruction += 1
        assert journal.finished > 1
        assert values(journal)[-1] == instruction
    assert write(path, "next", resume=True)[-2:] == [instruction, "next"]


def test_records_are_synced_to_disk_periodically(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    clock = iter(range(0, 1000, 1))
    monkeypatch.setattr("zipocr.storage.journal.time.monotonic", lambda: next(clock) * 0.3)
    with open_journal(path, IDENTITY) as journal:
        monkeypatch.setattr("zipocr.storage.journal.os.fsync", synced.append)
        for number in range(40):
            journal.append({"value": number})
        assert 8 <= len(synced) <= 20


def test_an_unwritable_path_is_an_output_error(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="Cannot write"),
        open_journal(tmp_path / "missing" / "j", IDENTITY),
    ):
        pass
    with pytest.raises(OutputError, match="Cannot write"), open_journal(tmp_path, IDENTITY):
        pass


def test_a_journal_changed_by_another_program_is_detected(path: Path) -> None:
    with open_journal(path, IDENTITY) as journal:
        journal.append({"value": 1})
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(OutputError, match="another program"):
            list(journal.records())


def test_the_folder_of_a_new_journal_is_synced_before_its_first_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("zipocr.storage.journal.sync_folder", synced.append)
    with open_journal(tmp_path / "j", {}) as journal:
        assert synced == [tmp_path.resolve()]
        journal.append({"value": 1})


@pytest.mark.posix
def test_a_pipe_is_refused_as_a_journal(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "j")
    with pytest.raises(OutputError, match="a pipe"), open_journal(tmp_path / "j", {}):
        pass
