"""What every format of results promises, and what is specific to each."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import fakes
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zipocr.config import RESULT_FORMATS
from zipocr.errors import InputError, OutputError
from zipocr.results.csv_file import format_rows
from zipocr.results.formats import (
    FORMATS,
    NAMES,
    format_of,
    open_results,
    read_lines,
    read_results,
    update_results,
)
from zipocr.results.row import COLUMNS, Row, to_row, unread_row
from zipocr.types import Box, Reason

pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

TEXT = st.text(st.characters(exclude_categories=()), max_size=9)
ALL = pytest.mark.parametrize("ending", [each.endings[-1] for each in FORMATS])
# Names that a spreadsheet, a database or a parser might misinterpret.
FILE_NAMES = [
    "a.png",
    "=1+1.png",
    "ä\n,\udcff.png",
    "1.0",
    '"',
    "\x1b[31m",
    "C:\\x.png",
    "null",
]


def read(name: str, text: str = "", page: int = 1, confidence: float = 0.9) -> Row:
    reading = fakes.zip_reading("021081234", confidence=confidence)
    row = to_row(name, page, reading, min_confidence=0.5)
    box = Box(top=1, left=2, bottom=30, right=40)
    return replace(row, city=text, runner_up="02109", runner_up_confidence=0.25, box=box)


def write(path: Path, rows: Sequence[Row], **how: Any) -> Path:
    with open_results(str(path), **how) as results:
        for row in rows:
            results.write_lines(format_rows([row]))
    return path


ROWS = [read(name, page=page) for page, name in enumerate(FILE_NAMES, start=1)]
ROWS.append(unread_row("b.png", 1, Reason.NO_INK))
ROWS.append(to_row("zero.png", 1, fakes.zip_reading("00501", confidence=0), min_confidence=0.5))


def test_the_command_line_offers_every_format() -> None:
    assert RESULT_FORMATS == NAMES


@ALL
@given(
    st.lists(
        st.builds(read, TEXT, TEXT, st.integers(1, 9999), st.floats(0, 1))
        | st.builds(unread_row, TEXT, st.integers(1, 99), st.sampled_from(Reason))
    )
)
@settings(max_examples=15)
def test_rows_are_read_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, ending: str, rows: list[Row]
) -> None:
    path = write(tmp_path_factory.mktemp("rows") / f"x{ending}", rows)
    assert list(read_results(path)) == rows
    lines = [text for text, row in read_lines(path) if row is not None]
    assert "".join(lines) == format_rows(rows)


@ALL
def test_a_format_is_recognized_by_content_whatever_the_file_name(
    tmp_path: Path, ending: str
) -> None:
    path = write(tmp_path / f"x{ending}", ROWS).rename(tmp_path / "x.txt")
    assert list(read_results(path)) == ROWS


@ALL
def test_a_file_appears_whole_or_not_at_all(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x{ending}"
    with suppress(ZeroDivisionError), open_results(str(path)) as results:
        results.write(ROWS)
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OutputError, match="Cannot write"):
        write(tmp_path / "missing" / f"x{ending}", ROWS)
    write(path, ROWS[:1])
    before = path.read_bytes()
    with pytest.raises(OutputError, match="is not replaced"):
        write(path, ROWS, force=False)
    assert path.read_bytes() == before


@pytest.mark.posix
@ALL
def test_a_pipe_and_a_folder_get_a_readable_error(tmp_path: Path, ending: str) -> None:
    os.mkfifo(tmp_path / f"pipe{ending}")
    for name in (f"pipe{ending}", f"missing{ending}", "."):
        with pytest.raises(InputError, match="Cannot read"):
            list(read_results(tmp_path / name))


@pytest.mark.parametrize("ending", [".jsonl", ".parquet", ".db"])
def test_a_damaged_file_is_an_input_error_and_gives_no_wrong_rows(
    tmp_path: Path, ending: str
) -> None:
    path = write(tmp_path / f"x{ending}", ROWS)
    whole = path.read_bytes()
    for cut in range(1, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:cut])
        with suppress(InputError):
            found = list(read_results(path))
            assert found == ROWS[: len(found)]


@pytest.mark.parametrize("target", ["x", "x.txt", "x.csv.gz", "x.xlsx", ".csv"])
def test_an_unknown_file_extension_is_refused(tmp_path: Path, target: str) -> None:
    with pytest.raises(OutputError, match=r"Use one of \.csv, \.jsonl,"):
        write(tmp_path / target, ROWS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.posix
def test_extensions_ignore_case_and_a_device_takes_any_format() -> None:
    assert format_of("A.JSONL").name == format_of("-", name="jsonl").name == "jsonl"
    assert format_of("/dev/null").name == format_of("-").name == "csv"
    assert format_of("/dev/null", name="sqlite").name == "sqlite"
    with pytest.raises(OutputError, match=r"a\.db is sqlite by its name, and csv is asked for"):
        format_of("a.db", name="csv")


def test_json_has_numbers_lists_and_text_where_they_belong(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", [read("=a.png"), unread_row("b.png", 2, Reason.NO_INK)])
    first, second = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert list(first) == list(COLUMNS)
    values = {name: first[name] for name in ("file", "page", "zip", "plus4", "confidence", "box")}
    assert values == {
        "file": "./=a.png",
        "page": 1,
        "zip": "02108",
        "plus4": "1234",
        "confidence": 0.9,
        "box": [1, 2, 30, 40],
    }
    assert first["digit_confidences"] == [0.99] * 9
    assert (second["zip"], second["confidence"], second["box"]) == ("", None, None)
    assert second["reason"] == ["no_ink"]


def test_a_database_has_typed_columns_and_an_index_on_file_names(tmp_path: Path) -> None:
    path = write(tmp_path / "x.db", ROWS)
    with closing(sqlite3.connect(path)) as database:
        asked = "SELECT zip, typeof(zip), typeof(confidence), typeof(page) FROM pages"
        assert database.execute(asked).fetchone() == ("02108", "text", "real", "integer")
        by_reason = "SELECT file FROM pages, json_each(pages.reason) WHERE value = 'no_ink'"
        assert database.execute(by_reason).fetchall() == [("b.png",)]
        plan = database.execute("EXPLAIN QUERY PLAN SELECT * FROM pages WHERE file = 'a'")
        assert "USING INDEX pages_file" in str(plan.fetchall())


def test_parquet_collects_small_writes_into_row_groups(tmp_path: Path) -> None:
    rows = [unread_row(f"{number}.png", 1, Reason.NO_INK) for number in range(300)]
    path = write(tmp_path / "x.parquet", rows)
    assert parquet.ParquetFile(path).num_row_groups == 1
    assert list(read_results(path)) == rows


@pytest.mark.parametrize("line", [b"[]", b"{}", b'{"file": 1}', b"{" * 99, b"x", b"\xff"])
def test_foreign_json_is_refused_with_its_line_number(tmp_path: Path, line: bytes) -> None:
    path = write(tmp_path / "x.jsonl", ROWS[:2])
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(InputError, match=r"x\.jsonl, line 3: "):
        list(read_results(path))


@pytest.mark.parametrize(
    "changes",
    [
        {"zip": 2108},
        {"zip": "2108"},
        {"page": 1.5},
        {"page": True},
        {"page": 0},
        {"confidence": "0.9"},
        {"confidence": float("nan")},
        {"reason": "no_ink"},
        {"reason": [None]},
        {"digit_confidences": [[]]},
        {"file": None},
        {"box": [1, 2]},
        {"other": 1},
    ],
)
def test_invalid_values_are_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    path = write(tmp_path / "x.jsonl", ROWS[:1])
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(InputError, match=r"line 1: .*zipocr scan"):
        list(read_results(path))


@pytest.mark.parametrize(
    "made",
    [
        "CREATE TABLE other (x)",
        "CREATE TABLE pages (file, page)",
        "CREATE VIEW pages AS WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x FROM r) "
        "SELECT x FROM r",
    ],
)
def test_a_foreign_database_is_refused_at_once(tmp_path: Path, made: str) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")) as database:
        database.execute(made)
    with pytest.raises(InputError, match="it has no table pages with the columns file, page"):
        list(read_results(tmp_path / "x.db"))
    assert update_results(tmp_path / "x.db", []) is False


def lines(rows: Sequence[Row]) -> list[str]:
    return [format_rows([row]) for row in rows]


def test_updating_a_database_keeps_views_tables_and_triggers_added_by_users(tmp_path: Path) -> None:
    path = write(tmp_path / "x.db", ROWS[:4])
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE VIEW sure AS SELECT * FROM pages WHERE status = 'read'")
        database.execute("CREATE TABLE seen (file)")
        database.execute(
            "CREATE TRIGGER note AFTER INSERT ON pages "
            "BEGIN INSERT INTO seen VALUES (NEW.file); END"
        )
        database.commit()
    number = path.stat().st_ino
    changed = replace(ROWS[1], city="Boston")
    wanted = [ROWS[0], ROWS[2], changed, ROWS[5]]
    assert update_results(path, lines(wanted))
    assert list(read_results(path)) == wanted
    with closing(sqlite3.connect(path)) as database:
        seen = database.execute("SELECT file FROM seen").fetchall()
        assert len(seen) == 2  # unchanged rows were not written again
        assert database.execute("SELECT count(*) FROM sure").fetchone() == (4,)
    assert path.stat().st_ino == number


def test_a_reader_of_a_database_sees_all_of_an_update_or_none_of_it(tmp_path: Path) -> None:
    path = write(tmp_path / "x.db", ROWS[:2])
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:

        def rows() -> Any:
            # During the update: the other connection has not committed.
            assert reader.execute("SELECT count(*) FROM pages").fetchone() == (2,)
            yield from lines(ROWS[2:5])

        assert update_results(path, rows())
        assert reader.execute("SELECT count(*) FROM pages").fetchone() == (3,)


def test_a_database_locked_by_another_program_is_an_output_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zipocr.results.sqlite_file.MAX_WAIT", 0.05)
    path = write(tmp_path / "x.db", ROWS[:2])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OutputError, match=r"x\.db: database is locked\. End what uses it"):
            update_results(path, lines(ROWS))
    assert list(read_results(path)) == ROWS[:2]


def test_a_database_is_not_replaced_while_another_program_writes_to_it(tmp_path: Path) -> None:
    path = write(tmp_path / "x.db", ROWS[:1])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM pages")
        with pytest.raises(OutputError, match=r"x\.db-journal exists: another program is writing"):
            write(path, ROWS)
        other.execute("ROLLBACK")
    write(path, ROWS)
    assert list(read_results(path)) == ROWS


def test_files_that_cannot_be_updated_in_place_are_left_alone(tmp_path: Path) -> None:
    for ending in (".csv", ".jsonl", ".parquet"):
        path = write(tmp_path / f"x{ending}", ROWS[:1])
        assert update_results(path, lines(ROWS)) is False
    assert update_results(tmp_path / "missing.db", lines(ROWS)) is False


def test_a_missing_package_is_reported_when_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "x.parquet", ROWS)
    monkeypatch.setattr("zipocr.results.formats.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'zipocr\[parquet\]'"):
        read_results(path)


def test_formats_import_no_package_before_it_is_needed() -> None:
    program = "import sys, zipocr.results.formats; print({'pyarrow', 'sqlite3'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, check=True)
    assert done.stdout == b"set()\n"


def test_a_failed_database_update_is_rolled_back(tmp_path: Path) -> None:
    path = write(tmp_path / "x.db", ROWS[:3])
    with closing(sqlite3.connect(path)) as database:
        refusal = f"BEGIN SELECT RAISE(ABORT, 'full') WHERE NEW.file = '{ROWS[3].file}'; END"
        database.execute(f"CREATE TRIGGER refuse BEFORE INSERT ON pages {refusal}")
        database.commit()
    with pytest.raises(OutputError, match=r"x\.db: full"):
        update_results(path, lines([ROWS[1], ROWS[3]]))
    assert list(read_results(path)) == ROWS[:3]
