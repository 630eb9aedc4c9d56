import codecs
import csv
import os
import re
import sys
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zipocr.errors import InputError
from zipocr.models.directory_file import read_directory
from zipocr.types import Place

NOWHERE = Place(city="", state="")
zips = st.integers(0, 99_999).map("{:05d}".format)
names = st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=12).map(
    lambda text: " ".join(text.split())
)


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "list.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(folder: Path, content: str | bytes) -> str:
    with pytest.raises(InputError) as caught:
        read_directory(write(folder, content))
    message = str(caught.value)
    assert message.isprintable()
    assert "list.csv" in message
    return message


@given(
    st.lists(zips, min_size=1),
    st.sampled_from(["\n", "\r\n", "\r", "\n\n"]),
    st.booleans(),
    st.booleans(),
)
def test_one_zip_per_line_is_a_list_whatever_program_wrote_it(
    tmp_path_factory: pytest.TempPathFactory, listed, ending, marked, headed
):
    text = ending.join([*(["zip"] if headed else []), *listed]) + ending
    path = write(tmp_path_factory.getbasetemp(), codecs.BOM_UTF8 * marked + text.encode())
    assert read_directory(path) == dict.fromkeys(listed, NOWHERE)


@given(st.dictionaries(zips, st.builds(Place, city=names, state=names), min_size=1))
def test_columns_under_a_header_give_city_and_state(
    tmp_path_factory: pytest.TempPathFactory, expected
):
    text = StringIO()
    csv.writer(text).writerows(
        [
            ("zip", "city", "state"),
            *((zip_, place.city, place.state) for zip_, place in expected.items()),
        ]
    )
    assert read_directory(write(tmp_path_factory.getbasetemp(), text.getvalue())) == expected


@pytest.mark.parametrize(
    "header", ["zip,city", "ZIP,City", " zip , city ", '"zip","city"', "zip,city,,,"]
)
def test_a_header_is_accepted_as_a_spreadsheet_writes_it(tmp_path: Path, header):
    found = read_directory(
        write(tmp_path, f"{header}\n02108,Boston\n94110\n 10001 , New  York ,,\n,,\n")
    )
    assert found == {
        "02108": Place(city="Boston", state=""),
        "10001": Place(city="New York", state=""),
        "94110": NOWHERE,
    }


def test_a_city_on_two_lines_of_a_cell_is_joined(tmp_path: Path):
    assert (
        read_directory(write(tmp_path, 'zip,city\n02108,"Boston\nMass"\n'))["02108"].city
        == "Boston Mass"
    )


def test_the_order_of_the_lines_does_not_matter(tmp_path: Path):
    assert list(read_directory(write(tmp_path, "94110\n02108\n"))) == ["02108", "94110"]


def test_a_zip_may_appear_twice_and_the_first_line_wins(tmp_path: Path):
    found = read_directory(write(tmp_path, "zip,city\n02108,Boston\n02108,Beacon Hill\n"))
    assert found == {"02108": Place(city="Boston", state="")}


@pytest.mark.parametrize(("cell", "meant"), [("1234", "01234"), ("501", "00501"), ("7", "00007")])
def test_a_lost_leading_zero_is_refused_with_its_line_number(tmp_path: Path, cell, meant):
    message = refusal(tmp_path, f"zip,city\n94110,San Francisco\n\n{cell},Somewhere\n")
    assert "line 4:" in message
    assert meant in message
    assert "spreadsheet" in message


@pytest.mark.parametrize(
    "cell",
    [
        "021088",
        "02108-1234",
        "2108.0",
        "O2108",
        "٠٢١٠٨",
        "02108;Boston",
        "021\x1b[2J",
        "zip codes",
        "x" * 100,
        '="02108"',
    ],
)
def test_an_invalid_zip_is_refused_with_its_line_number(tmp_path: Path, cell):
    assert "line 2:" in refusal(tmp_path, f"94110\n{cell}\n")


@pytest.mark.parametrize(
    "content", ["", "\n\n", " \n,,\n", "zip\n", "zip,city,state\n\n", "\ufeff", "\ufeffzip\n"]
)
def test_an_empty_list_is_refused(tmp_path: Path, content):
    assert "lists no ZIP" in refusal(tmp_path, content)


@pytest.mark.parametrize("header", ["zip,state", "zip,town", "zip,city,state,country", "zip,zip"])
def test_unexpected_columns_are_refused(tmp_path: Path, header):
    message = refusal(tmp_path, f"{header}\n02108,a,b,c\n")
    assert "line 1:" in message
    assert "zip,city,state" in message


@pytest.mark.parametrize(
    "content", ["02108,Boston\n", "zip\n02108,Boston\n", "zip,city\n02108,Boston,MA\n", ",02108\n"]
)
def test_columns_without_a_header_are_refused(tmp_path: Path, content):
    assert "header zip,city,state" in refusal(tmp_path, content)


def test_other_encodings_are_refused_with_the_line_number(tmp_path: Path):
    assert "line 2: this is not UTF-8" in refusal(
        tmp_path, "zip,city\n91702,Cañada\n".encode("cp1252")
    )
    assert "UTF-8" in refusal(tmp_path, "02108\n".encode("utf-16"))


@pytest.mark.parametrize("content", ['"02108', '"02108"x\n', "1" * 200_000, '"' * 200_001])
def test_invalid_csv_is_refused(tmp_path: Path, content):
    assert "line 1:" in refusal(tmp_path, content)


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_an_unreadable_path_is_refused(tmp_path: Path, name):
    with pytest.raises(InputError, match="Cannot read"):
        read_directory(tmp_path / name)


@given(
    st.binary(max_size=60)
    | st.text(st.sampled_from('0123456789zip,city\n\r"\ufeff\0')).map(str.encode)
)
def test_any_bytes_are_read_as_a_list_or_refused(tmp_path_factory: pytest.TempPathFactory, content):
    path = write(tmp_path_factory.getbasetemp(), content)
    try:
        found = read_directory(path)
    except InputError:
        return
    assert found
    assert all(re.fullmatch("[0-9]{5}", one) for one in found)


@pytest.mark.skipif(sys.platform == "win32", reason="file names are Unicode there")
def test_a_file_name_that_is_not_utf8_can_be_shown(tmp_path: Path):
    path = tmp_path / os.fsdecode(b"\xff.csv")
    try:
        path.touch()
    except OSError:
        pytest.skip("the file system takes valid UTF-8 only")
    with pytest.raises(InputError, match=r"\\xff\.csv"):
        read_directory(path)
