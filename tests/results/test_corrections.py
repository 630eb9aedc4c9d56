import os
import pickle
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waiting import held_elsewhere

from zipocr.errors import InputError, OutputError
from zipocr.results.corrections import (
    COLUMNS,
    Decision,
    SampledAs,
    Verdict,
    is_zip,
    open_corrections,
    read_corrections,
)

HEADER = ",".join(COLUMNS)
TIME = "2026-01-31T12:00:00+00:00"
zips = st.from_regex("[0-9]{5}(-[0-9]{4})?", fullmatch=True)


def decision(file: str = "a.png", page: int = 1, **changes: object) -> Decision:
    plain = Decision(
        file=file,
        page=page,
        read_zip="02108",
        zip="02109",
        decision=Verdict.CORRECTED,
        drawn=SampledAs.DOUBT,
        time=TIME,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


@st.composite
def decisions(draw: st.DrawFn) -> Decision:
    verdict = draw(st.sampled_from(Verdict))
    read = draw(zips)
    right = {
        Verdict.CONFIRMED: read,
        Verdict.CORRECTED: draw(zips.filter(lambda one: one != read)),
    }.get(verdict, "")
    file = draw(st.binary(max_size=20).map(os.fsdecode))
    return decision(
        file=file,
        page=draw(st.integers(1, 9)),
        read_zip=read,
        zip=right,
        decision=verdict,
        drawn=draw(st.sampled_from(SampledAs)),
    )


def write(path: Path, *ones: Decision) -> None:
    with open_corrections(path) as corrections:
        for one in ones:
            corrections.append(one)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "corrections.csv"


def test_the_columns_are_those_other_programs_rely_on() -> None:
    assert COLUMNS == ("file", "page", "read_zip", "zip", "decision", "drawn", "time")


@given(st.lists(decisions(), max_size=8), st.integers(0, 8))
def test_the_last_decision_on_a_page_wins_and_undecided_pages_are_omitted(
    tmp_path_factory: pytest.TempPathFactory, ones: list[Decision], cut: int
) -> None:
    path = tmp_path_factory.mktemp("corrections") / "c.csv"
    write(path, *ones[:cut])
    write(path, *ones[cut:])
    last = {(one.file, one.page): one for one in ones}
    wanted = {
        key: one
        for key, one in last.items()
        if one.decision not in {Verdict.SKIPPED, Verdict.UNDONE}
    }
    assert read_corrections(path) == wanted
    with open_corrections(path) as corrections:
        assert corrections.last == last


@given(st.data())
def test_a_file_truncated_anywhere_keeps_earlier_decisions_and_accepts_more(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("corrections") / "c.csv"
    ones = [decision(f'"{number}", é.png', number + 1) for number in range(4)]
    write(path, *ones)
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    # A line that lacks only its line ending is complete.
    kept = max(0, (whole[:cut] + b"\n" * (whole[cut : cut + 1] == b"\n")).count(b"\n") - 1)
    assert list(read_corrections(path).values()) == ones[:kept]
    write(path, *ones[kept:])
    assert path.read_bytes() == whole


def test_every_decision_is_synced_to_disk_when_it_is_made(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bytes] = []
    with open_corrections(path) as corrections:
        monkeypatch.setattr(
            "zipocr.results.corrections.os.fsync", lambda _: synced.append(path.read_bytes())
        )
        corrections.append(decision())
        assert synced == [path.read_bytes()]
        assert path.read_text() == f"{HEADER}\na.png,1,02108,02109,corrected,doubt,{TIME}\n"


def test_names_are_written_as_in_the_results(path: Path) -> None:
    write(path, decision("=x.png"), decision("\udcff\n.png"))
    assert [line.split(",")[0] for line in path.read_text().splitlines()[1:]] == [
        "./=x.png",
        r"\xff\x0a.png",
    ]
    assert list(read_corrections(path)) == [("=x.png", 1), ("\udcff\n.png", 1)]


def test_a_file_saved_by_a_spreadsheet_can_be_read(path: Path) -> None:
    write(path, decision(), decision("b,c.png", 2))
    before = read_corrections(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert read_corrections(path) == before
    write(path, decision("d.png"))
    assert list(read_corrections(path)) == [*before, ("d.png", 1)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a,1,02108,1234,corrected,doubt,", "line 3: 1234 has less than five digits.*write 01234"),
        ("a,1,2108-1234,02108,corrected,doubt,", "write 02108-1234"),
        ("a,1,02108,O2109,corrected,doubt,", "'O2109' is not a ZIP"),
        ("a,1,02108,021091234,corrected,doubt,", "not a ZIP"),
        ("a,1,02108,02109,confirmed,doubt,", "write corrected"),
        ("a,1,02108,02108,corrected,doubt,", "write confirmed"),
        ("a,1,,,confirmed,doubt,", "with a ZIP"),
        ("a,1,02108,02108,not_a_zip,doubt,", "without a ZIP"),
        ("a,1,02108,02109,right,doubt,", "'right' is not a valid Verdict"),
        ("a,1,02108,02109,corrected,luck,", "'luck' is not a valid SampledAs"),
        ("a,0,02108,02109,corrected,doubt,", "pages count from 1"),
        ("a,one,02108,02109,corrected,doubt,", "line 3"),
        ("a,1,02108,02109,corrected,doubt,x", "times look like"),
        ("a,1,02108,02109,corrected,doubt,x,", "8 cells where there are 7 columns"),
        ('"a,1,02108,02109,corrected,doubt,', "not CSV"),
    ],
)
def test_an_invalid_line_is_refused_with_a_reason_and_left_alone(
    path: Path, line: str, message: str
) -> None:
    path.write_text(f"{HEADER}\nb,1,02108,02108,confirmed,doubt,{TIME}\n{line}{TIME}\n")
    before = path.read_bytes()
    with pytest.raises(InputError, match=message):
        read_corrections(path)
    with pytest.raises(InputError, match=message):
        write(path, decision())
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"zip\n02108\n", "missing: file, page"),
        (b"hello", "is not a file of corrections"),
        (b"\x89PNG\r\n\x1a\n\0\0", "is not a file of corrections"),
        (f"{HEADER},note\n".encode(), "unknown: note"),
        (b"page,file,read_zip,zip,decision,drawn,time\n", "in another order"),
    ],
)
def test_foreign_files_are_refused_and_left_alone(path: Path, data: bytes, message: str) -> None:
    path.write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_corrections(path)
    with pytest.raises(InputError, match=message):
        write(path, decision())
    assert path.read_bytes() == data


def test_a_results_file_is_refused(path: Path) -> None:
    path.write_text(
        "file,page,zip,plus4,confidence,status,reason,digit_confidences,runner_up,runner_up_confidence,city,state\n"
    )
    with pytest.raises(InputError, match=r"unknown: plus4.*missing: read_zip, decision"):
        read_corrections(path)


@given(
    st.binary(max_size=200) | st.binary(max_size=80).map(lambda more: f"{HEADER}\n".encode() + more)
)
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("corrections") / "c.csv"
    path.write_bytes(data)
    with suppress(InputError):
        read_corrections(path)
        write(path, decision())
        assert decision() in read_corrections(path).values()


def test_a_missing_file_and_a_folder_are_reported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Cannot read"):
        read_corrections(tmp_path / "missing.csv")
    with pytest.raises(OutputError, match="Cannot write"):
        write(tmp_path, decision())


HOLDER = """
from zipocr.results.corrections import open_corrections
with open_corrections(Path(sys.argv[1])):
"""


def test_two_reviews_cannot_share_a_file_and_a_killed_one_releases_its_lock(
    path: Path,
) -> None:
    with (
        held_elsewhere(HOLDER, path),
        pytest.raises(OutputError, match=r"Another review.*--labels-out"),
    ):
        write(path, decision())
    write(path, decision())
    assert len(read_corrections(path)) == 1


def _saved_by_rename(path: Path) -> None:
    beside = path.with_suffix(".new")
    beside.write_bytes(path.read_bytes())
    beside.replace(path)


def _saved_in_place(path: Path) -> None:
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))


@pytest.mark.parametrize("save", [_saved_by_rename, _saved_in_place, Path.unlink])
def test_no_decision_is_written_after_the_file_was_replaced(
    path: Path, save: Callable[[Path], None]
) -> None:
    with open_corrections(path) as corrections:
        corrections.append(decision("a.png"))
        save(path)
        before = path.read_bytes() if path.exists() else None
        with pytest.raises(OutputError, match="start it again"):
            corrections.append(decision("b.png"))
        assert list(corrections.last) == [("a.png", 1)]
    assert (path.read_bytes() if path.exists() else None) == before
    write(path, decision("c.png"))
    assert ("c.png", 1) in read_corrections(path)


@pytest.mark.posix
def test_a_decision_that_cannot_be_written_whole_is_not_written_at_all(path: Path) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_corrections(path) as corrections:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, before[1]))
            with pytest.raises(OutputError, match=r"File too large.*is safe"):
                corrections.append(decision())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert corrections.last == {}
        corrections.append(decision("b.png"))
    assert list(read_corrections(path)) == [("b.png", 1)]


@pytest.mark.parametrize(
    "changes", [{"zip": "2109"}, {"zip": ""}, {"time": "now"}, {"decision": Verdict.CONFIRMED}]
)
def test_a_decision_that_could_not_be_read_back_is_not_written(
    path: Path, changes: dict[str, object]
) -> None:
    with open_corrections(path) as corrections, pytest.raises(ValueError, match=r"\w"):
        corrections.append(decision(**changes))
    assert path.read_text() == f"{HEADER}\n"


def test_decisions_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(decision())) == decision()


def test_zips_are_distinguished_from_other_digits() -> None:
    assert [
        text
        for text in ("02108", "02108-1234", "2108", "021081234", "02108-", "०२१०८")
        if is_zip(text)
    ] == ["02108", "02108-1234"]
