import os
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from madeup import any_text, file_names

from zipocr.results.cells import from_cell, to_cell


@given(any_text | file_names)
@example("./=x")
@example("././x")
@example("\\xff")
@example("\\\\udc80\udc80")
def test_the_text_of_a_cell_round_trips(text: str) -> None:
    assert from_cell(to_cell(text)) == text


@given(any_text | file_names)
def test_a_cell_is_one_line_of_utf8_and_never_a_formula(text: str) -> None:
    cell = to_cell(text)
    cell.encode()
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", cell)
    assert not cell.startswith(tuple("=+-@\t\r\n＝＋－＠"))  # noqa: RUF001 - full-width formula starts


@given(
    st.text(st.sampled_from("=./\\xf\udcff\t"), max_size=6),
    st.text(st.sampled_from("=./\\xf\udcff\t"), max_size=6),
)
def test_different_names_have_different_cells(one: str, other: str) -> None:
    assert (to_cell(one) == to_cell(other)) == (one == other)


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("a/b c.png", "a/b c.png"),
        ("Grüße 日本.png", "Grüße 日本.png"),
        ("=x.png", "./=x.png"),
        ("+x", "./+x"),
        ("-x", "./-x"),
        ("@x", "./@x"),
        ("\tx", "./\\x09x"),
        ("\rx", "./\\x0dx"),
        ("a=b", "a=b"),
        ("a\nb", "a\\x0ab"),
        ("a\\b", "a\\\\b"),
        (os.fsdecode(b"\xff.png"), "\\xff.png"),
    ],
)
def test_names_stay_readable(name: str, cell: str) -> None:
    assert to_cell(name) == cell
