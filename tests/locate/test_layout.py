"""Blocks of lines, and the position of a line in its block."""

import numpy as np

from tests.locate.test_text_lines import boxes, row
from zipocr.locate.layout import lay_out
from zipocr.locate.text_lines import find_lines


def test_lines_of_an_address_form_one_block() -> None:
    lines = find_lines(boxes(row("JANE DOE"), row("12 MAIN ST", top=140), row("ALBANY", top=180)))
    positions = lay_out(lines)
    assert [(one.above, one.below) for one in positions] == [(0, 2), (1, 1), (2, 0)]
    assert len({one.block for one in positions}) == 1


def test_sender_and_recipient_form_two_blocks() -> None:
    sender = row("A SENDER"), row("BOSTON", top=140)
    recipient = row("JANE DOE", left=500, top=400), row("ALBANY", left=500, top=440)
    positions = lay_out(find_lines(boxes(*sender, *recipient)))
    assert [one.block for one in positions] == [0, 0, 2, 2]


def test_a_heading_of_another_size_is_not_part_of_the_block() -> None:
    tall = np.array(row("SALE")) * [1, 1, 3, 3, 9] - [0, 80, 0, 0, 0]
    positions = lay_out(find_lines(boxes(tall.tolist(), row("ALBANY", top=140))))
    assert [one.above for one in positions] == [0, 0]
