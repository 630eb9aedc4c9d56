import numpy as np
import pytest

from zipocr.preprocess.components import Components
from zipocr.preprocess.page import prepare
from zipocr.preprocess.text_lines import has_several_lines, is_sheet
from zipocr.training.synthesis.compose import Composer
from zipocr.training.synthesis.negatives import Negatives
from zipocr.types import InkMask, Reason

TALL = 20


def written(*lines: str, tall: int = TALL, gap: int = 12, margin: int = 15) -> InkMask:
    """Lines of solid blocks, one per character; a blank leaves a gap."""
    wide = tall // 2
    ink = np.zeros(
        (
            2 * margin + len(lines) * (tall + gap) - gap,
            2 * margin + max(map(len, lines)) * (wide + 6),
        ),
        np.bool_,
    )
    for row, line in enumerate(lines):
        for column, letter in enumerate(line):
            top, left = margin + row * (tall + gap), margin + column * (wide + 6)
            ink[top : top + tall, left : left + wide] = letter != " "
    return ink


def rotated(ink: InkMask) -> InkMask:
    return np.ascontiguousarray(np.rot90(ink))


@pytest.mark.parametrize(
    "lines", [("JOHN DOE", "12 ELM ST"), ("ABC", "DEF"), ("AN ADDRESS", "OF THREE", "LINES")]
)
def test_several_lines_are_detected_upright_and_rotated(lines):
    ink = written(*lines)
    assert has_several_lines(Components(ink), TALL)
    assert has_several_lines(Components(rotated(ink)), TALL)


@pytest.mark.parametrize("line", ["02108", "02108 1234", "1", "AN ENDLESS LINE OF TYPE", ""])
def test_one_line_is_not_taken_for_several_upright_or_rotated(line):
    ink = written(line or " ")
    assert not has_several_lines(Components(ink), TALL)
    assert not has_several_lines(Components(rotated(ink)), TALL)
    assert not is_sheet(Components(ink))
    assert not is_sheet(Components(rotated(ink)))


def test_the_halves_of_broken_digits_are_one_line():
    ink = written("02108")
    middle = ink.shape[0] // 2
    ink[middle - 1 : middle + 2] = False
    assert not has_several_lines(Components(ink), TALL * 0.9)


def test_a_skewed_line_is_one_line():
    ink = written("021081234", margin=60)
    rows, columns = np.nonzero(ink)
    skewed = np.zeros_like(ink)
    skewed[rows - 15 + np.round(columns * 0.17).astype(int), columns] = True
    assert not has_several_lines(Components(skewed), TALL)


def test_a_stamp_does_not_hide_the_small_writing_on_an_envelope():
    sheet = np.zeros((300, 600), np.bool_)
    address = written("JOHN DOE AND SON", "12 ELM STREET", "BOSTON MA", tall=10, gap=8, margin=0)
    sheet[150 : 150 + address.shape[0], 250 : 250 + address.shape[1]] = address
    assert is_sheet(Components(sheet))
    sheet[20:120, 480:580] = True
    assert is_sheet(Components(sheet))
    sheet[150:] = False
    assert not is_sheet(Components(sheet))


def test_ink_is_not_changed():
    ink = written("JOHN DOE", "12 ELM ST")
    before = ink.copy()
    has_several_lines(Components(ink), TALL)
    is_sheet(Components(ink))
    assert (ink == before).all()


def test_a_blank_page_is_neither_multi_line_nor_a_sheet():
    blank = np.zeros((40, 90), np.bool_)
    assert not has_several_lines(Components(blank), TALL)
    assert not is_sheet(Components(blank))


def is_multi_line(image) -> bool:
    return prepare(image).reason is Reason.SEVERAL_LINES


def test_several_lines_are_detected_in_composed_addresses_but_not_in_zips(all_digits):
    addresses = Negatives(all_digits, seed=3, part="test", kinds={"address": 1, "lines": 1})
    assert sum(is_multi_line(addresses.nth(number).image) for number in range(12)) >= 11
    zips = Composer(all_digits, seed=3)
    assert not any(is_multi_line(zips.nth(number).image) for number in range(40))
