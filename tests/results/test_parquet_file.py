import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import fakes
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zipocr.errors import InputError, OutputError
from zipocr.results.csv_file import to_cells
from zipocr.results.formats import open_results
from zipocr.results.row import COLUMNS, Row, to_row, unread_row
from zipocr.types import Box, Reason

parquet = pytest.importorskip("pyarrow.parquet")

from zipocr.results import parquet_file as part_file  # noqa: E402 - needs the extra
from zipocr.results.parquet_file import SCHEMA, read_facts, read_rows, write_part  # noqa: E402 - needs the extra

TEXT = st.text(st.characters(exclude_categories=()), max_size=9)


def read(name: str, text: str, page: int, confidence: float) -> Row:
    row = to_row(
        name, page, fakes.zip_reading("021081234", confidence=confidence), min_confidence=0.5
    )
    box = Box(top=page, left=2, bottom=page + 5, right=9)
    return replace(
        row, city=text, runner_up="02109", runner_up_confidence=0.25, box=box if page % 2 else None
    )


READ = st.builds(read, TEXT, TEXT, st.integers(1, 10_000), st.floats(0, 1))
UNREAD = st.builds(unread_row, TEXT, st.integers(1, 99), st.sampled_from(Reason))
ROWS = st.lists(READ | UNREAD)


@given(ROWS)
@settings(max_examples=25)
def test_rows_are_read_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row]
) -> None:
    path = tmp_path_factory.mktemp("rows") / "x.parquet"
    write_part(path, rows, {})
    assert list(read_rows(path)) == rows


def test_parts_without_boxes_are_read(tmp_path: Path) -> None:
    path, rows = tmp_path / "x.parquet", [read("a.png", "", 2, 0.5)]
    table = part_file._to_table(map(to_cells, rows)).drop_columns(["box"])
    digest = part_file.RowDigest()
    digest.update(table.to_pylist())
    parquet.write_table(table.replace_schema_metadata(part_file._metadata({}, digest)), path)
    assert list(read_rows(path)) == rows


def test_the_columns_are_those_of_the_csv_and_a_zip_is_text(tmp_path: Path) -> None:
    write_part(
        tmp_path / "x.parquet",
        [to_row("=a.png", 1, fakes.zip_reading("02108"), min_confidence=0.5)],
        {},
    )
    table = parquet.read_table(tmp_path / "x.parquet")
    assert tuple(table.column_names) == COLUMNS
    assert table["zip"].to_pylist() == ["02108"]
    assert str(table.schema.field("zip").type) == "string"
    assert table["file"].to_pylist() == ["./=a.png"]


def test_the_same_rows_and_facts_give_the_same_bytes(tmp_path: Path) -> None:
    rows = [
        to_row("a.png", page, fakes.zip_reading("02108"), min_confidence=0.5)
        for page in range(1, 50)
    ]
    for name in "ab":
        write_part(tmp_path / name, rows, {"shard": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_facts_are_read_back_and_files_without_any_are_recognized(tmp_path: Path) -> None:
    path, facts = tmp_path / "x.parquet", {"identity": {"a": [1, None]}, "shard": 2}
    write_part(path, [], facts)
    assert {**(read_facts(path) or {}), "rows": None} == {**facts, "rows": None}
    path.write_bytes(path.read_bytes()[:-9])
    assert read_facts(path) is None
    parquet.write_table(SCHEMA.empty_table(), path)
    assert read_facts(path) is None
    assert read_facts(tmp_path / "missing.parquet") is None


def test_rows_can_be_written_in_batches_with_facts_at_the_end(tmp_path: Path) -> None:
    rows = [unread_row(f"{number}.png", 1, Reason.NO_INK) for number in range(100)]
    path = tmp_path / "x.parquet"
    with open_results(str(path), facts={"counts": {"unread": 100}}) as file:
        for begin in range(0, 100, 30):
            file.write(rows[begin : begin + 30])
        assert not path.exists()
    assert list(read_rows(path)) == rows
    facts = read_facts(path) or {}
    assert facts["counts"] == {"unread": 100}
    assert facts["rows"]["count"] == 100


def test_a_failure_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_part(tmp_path / "no" / "x.parquet", [], {})
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("column", [("zip", ["x"]), ("reason", [["nonsense"]])])
def test_foreign_rows_are_an_input_error(tmp_path: Path, column: tuple[str, list[object]]) -> None:
    import pyarrow as pa

    path = tmp_path / "x.parquet"
    write_part(path, [unread_row("a.png", 1, Reason.NO_INK)], {})
    table = parquet.read_table(path)
    place = COLUMNS.index(column[0])
    other = (
        table.select(["file"])
        if column[0] == "zip"
        else table.set_column(place, column[0], pa.array(column[1]))
    )
    parquet.write_table(other, path)
    with pytest.raises(InputError, match="cannot be read"):
        list(read_rows(path))


def test_a_flipped_bit_never_changes_a_row_silently(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    rows = [read(f"{number}.png", "Boston", 1, number / 50) for number in range(40)]
    write_part(path, rows, {"shard": 1})
    whole = path.read_bytes()
    for place in range(0, len(whole), len(whole) // 300):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            found = list(read_rows(path))
        except InputError:
            continue
        assert found == rows


def test_facts_are_trusted_only_with_a_matching_checksum(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_part(path, [], {"shard": 1})
    table = parquet.read_table(path)
    metadata = dict(table.schema.metadata)
    metadata[b"zipocr"] = metadata[b"zipocr"].replace(b'"shard": 1', b'"shard": 2')
    parquet.write_table(table.replace_schema_metadata(metadata), path)
    assert read_facts(path) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"zip": "2108"},
        {"zip": "<b>"},
        {"confidence": float("nan")},
        {"confidence": float("inf")},
        {"page": 0},
        {"runner_up": "\x1b[31m"},
    ],
)
def test_rows_zipocr_would_not_write_are_an_input_error(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    path = tmp_path / "x.parquet"
    write_part(path, [replace(read("a.png", "", 1, 0.5), **changes)], {})
    with pytest.raises(InputError, match="cannot be read") as refused:
        list(read_rows(path))
    assert "\x1b" not in str(refused.value)


@pytest.mark.posix
def test_nulls_and_pipes_get_a_readable_error(tmp_path: Path) -> None:
    import pyarrow as pa

    path = tmp_path / "x.parquet"
    write_part(path, [read("a.png", "", 1, 0.5)], {})
    table = parquet.read_table(path)
    for name in ("file", "page", "zip", "reason", "digit_confidences"):
        nothing = pa.nulls(1, SCHEMA.field(name).type)
        parquet.write_table(
            table.set_column(COLUMNS.index(name), SCHEMA.field(name), nothing), path
        )
        with pytest.raises(InputError, match=f"nothing where {name} should be"):
            list(read_rows(path))
    os.mkfifo(tmp_path / "pipe.parquet")
    assert read_facts(tmp_path / "pipe.parquet") is None
    with pytest.raises(InputError, match="a pipe"):
        list(read_rows(tmp_path / "pipe.parquet"))
