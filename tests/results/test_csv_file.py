import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import fakes
import pytest
from hypothesis import given
from hypothesis import strategies as st
from madeup import any_text, file_names

from zipocr.errors import InputError, OutputError
from zipocr.results.csv_file import format_rows, read_lines
from zipocr.results.formats import open_results, read_results
from zipocr.results.row import COLUMNS, Row, to_row, unread_row
from zipocr.types import Box, Reason, Status, Unread

probabilities = st.integers(0, 10_000).map(lambda value: value / 10_000)
unread_rows = st.builds(
    unread_row, any_text | file_names, st.integers(1, 10_000), st.sampled_from(Reason)
)
boxes = st.builds(
    lambda top, left, height, width: Box(
        top=top, left=left, bottom=top + height, right=left + width
    ),
    *[st.integers(0, 9_999)] * 2,
    *[st.integers(1, 9_999)] * 2,
)
rows = unread_rows | st.builds(
    Row,
    file=any_text | file_names,
    page=st.integers(1, 10_000),
    zip=st.from_regex(r"[0-9]{5}", fullmatch=True),
    plus4=st.from_regex(r"([0-9]{4})?", fullmatch=True),
    confidence=probabilities,
    status=st.sampled_from([Status.READ, Status.REVIEW]),
    reason=st.lists(st.sampled_from(Reason), unique=True).map(tuple),
    digit_confidences=st.lists(probabilities, max_size=9).map(tuple),
    runner_up=st.from_regex(r"([0-9]{5}(-[0-9]{4})?)?", fullmatch=True),
    runner_up_confidence=st.none() | probabilities,
    city=any_text,
    state=any_text,
    box=st.none() | boxes,
)
ROW = to_row("x.png", 1, fakes.zip_reading("02108"), min_confidence=0.5)


def write(target: Path, *groups: list[Row]) -> None:
    with open_results(str(target)) as results:
        for group in groups:
            results.write(group)


@given(st.lists(rows, max_size=4))
def test_results_are_read_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, expected: list[Row]
) -> None:
    path = tmp_path_factory.getbasetemp() / "results.csv"
    write(path, expected)
    assert list(read_results(path)) == expected
    assert path.read_bytes().count(b"\n") == len(expected) + 1


def test_a_row_is_written_as_the_manual_says(tmp_path: Path) -> None:
    reading = replace(
        fakes.zip_reading("02108", confidence=0.912349, reasons=(Reason.DIRECTORY_CHOICE,)),
        runner_up="02103",
        runner_up_confidence=0.04,
        city="Boston",
        state="MA",
        box=Box(top=20, left=30, bottom=60, right=190),
    )
    path = tmp_path / "results.csv"
    write(
        path,
        [to_row("a b.tif", 3, reading, min_confidence=0.95)],
        [to_row("c.png", 1, Unread(reason=Reason.NO_INK), min_confidence=0.95)],
    )
    assert path.read_text().splitlines() == [
        "file,page,zip,plus4,confidence,status,reason,digit_confidences,runner_up,runner_up_confidence,city,state,box",
        "a b.tif,3,02108,,0.9123,review,low_confidence;directory_choice,"
        "0.9900;0.9900;0.9900;0.9900;0.9900,02103,0.0400,Boston,MA,20;30;60;190",
        "c.png,1,,,,unread,no_ink,,,,,,",
    ]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_results_without_a_box_column_are_read_and_extended(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "results.csv"
    write(path, [ROW])
    newer = path.read_text()
    older = ending.join([*(line.rpartition(",")[0] for line in newer.splitlines()), ""])
    path.write_bytes(older.encode())
    assert list(read_results(path)) == [ROW]
    assert "".join(text for text, _ in read_lines(path)) == newer.replace("\n", ending)


@pytest.mark.parametrize("box", ["1;2;3", "0;0;0;5", "5;5;9;5", "-1;0;5;5", "a;b;c;d", "1;2;3;4;5"])
def test_an_invalid_box_is_an_input_error(tmp_path: Path, box: str) -> None:
    path = tmp_path / "results.csv"
    write(path, [ROW])
    header, line = path.read_text().splitlines()
    path.write_text(f"{header}\n{line}{box}\n")
    with pytest.raises(InputError, match="line 2"):
        list(read_results(path))


def test_nine_digits_fill_two_columns_and_each_has_its_probability(tmp_path: Path) -> None:
    reading = replace(
        fakes.zip_reading("021081234"), runner_up="02108-1284", runner_up_confidence=0.04
    )
    path = tmp_path / "results.csv"
    write(path, [to_row("x.png", 1, reading, min_confidence=0.5)])
    (row,) = csv.DictReader(path.read_text().splitlines())
    assert (row["zip"], row["plus4"], row["runner_up"]) == ("02108", "1234", "02108-1284")
    assert row["digit_confidences"].count(";") == 8
    (back,) = read_results(path)
    assert (back.zip, back.plus4, back.runner_up, len(back.digit_confidences)) == (
        "02108",
        "1234",
        "02108-1284",
        9,
    )


def test_cells_from_the_directory_are_never_formulas() -> None:
    (cells,) = csv.reader(
        io.StringIO(format_rows([replace(ROW, city="=HYPERLINK(1)", state="@x", runner_up="-1")]))
    )
    row = dict(zip(COLUMNS, cells, strict=True))
    assert (row["city"], row["state"], row["runner_up"]) == ("./=HYPERLINK(1)", "./@x", "./-1")


def test_results_of_a_failed_run_do_not_replace_older_ones(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    write(path, [ROW])
    before = path.read_bytes()
    with pytest.raises(RuntimeError), open_results(str(path)) as results:  # noqa: PT012 - what was written before the error matters
        results.write([ROW, ROW])
        raise RuntimeError
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_unwritable_path_is_reported_before_the_first_row(tmp_path: Path) -> None:
    with pytest.raises(OutputError), open_results(str(tmp_path / "missing" / "results.csv")):
        pytest.fail("opened")


@given(st.lists(rows, min_size=1, max_size=3), st.data())
def test_a_damaged_results_file_is_refused_or_gives_writable_rows(
    tmp_path_factory: pytest.TempPathFactory, expected: list[Row], data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.csv"
    write(path, expected)
    damaged = bytearray(path.read_bytes())
    header = damaged.index(b"\n") + 1
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(header, len(damaged)))
        damaged[place : place + data.draw(st.integers(0, 9))] = data.draw(
            st.binary(max_size=3) | st.sampled_from([b",", b'"', b"\n", b"\\x"])
        )
    path.write_bytes(damaged)
    assert_refused_or_writable(path)


@given(st.binary(max_size=200))
def test_any_bytes_after_the_header_are_refused_or_give_writable_rows(
    tmp_path_factory: pytest.TempPathFactory, rest: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(",".join(COLUMNS).encode() + b"\n" + rest)
    assert_refused_or_writable(path)


def assert_refused_or_writable(path: Path) -> None:
    try:
        found = list(read_results(path))
    except InputError:
        return
    write(path, found)
    assert [(row.file, row.page, row.zip, row.reason) for row in read_results(path)] == [
        (row.file, row.page, row.zip, row.reason) for row in found
    ]


@pytest.mark.parametrize("cell", ["nan", "inf", "-0.1", "1.5"])
def test_an_invalid_probability_is_refused(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "results.csv"
    write(path, [ROW])
    path.write_text(path.read_text().replace(",0.9500,", f",{cell},"))
    with pytest.raises(InputError, match="not a probability"):
        list(read_results(path))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"file,page\n",
        ",".join(COLUMNS).encode() + b"\nx.png,1\n",
        ",".join(COLUMNS).encode() + b"\nx.png,one,,,,unread,no_ink,,,,,\n",
        ",".join(COLUMNS).encode() + b"\nx.png,1,,,,unread,tired,,,,,\n",
        ",".join(COLUMNS).encode() + b"\n\xff,1,,,,unread,no_ink,,,,,\n",
        ",".join(COLUMNS).encode() + b'\n"x.png,1,,,,unread,no_ink,,,,,\n',
    ],
)
def test_a_file_that_is_not_a_results_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(path.name)):
        list(read_results(path))


def test_a_missing_results_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        list(read_results(tmp_path / "results.csv"))
