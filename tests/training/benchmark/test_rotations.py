from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from zipocr.preprocess.rotate import rotate
from zipocr.training.benchmark.measure import Crop, Judge, Truth
from zipocr.training.benchmark.rotations import TURNS, Turned, read_turned, turned_table
from zipocr.types import GrayImage, Reason, Unread

PAGE = np.arange(6, dtype=np.uint8).reshape(2, 3)


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A reading that says how far the page had to be turned."""

    zip: str = "02108"
    plus4: str = ""
    confidence: float = 0.9
    rotation: int = 0


class NoticesTheDarkCorner:
    """Knows a page by its dark top left corner, and turns it until that is there.

    What lies on its head is left alone.
    """

    def read(self, page: GrayImage) -> Answered | Unread:
        for turn in (0, 90, 270):
            if rotate(page, turn)[0, 0] == 0:
                return Answered(rotation=turn, confidence=0.9 if turn == 0 else 0.4)
        return Unread(reason=Reason.NOT_FIVE_DIGITS)


class NeverTurns:
    """Reads everything as one ZIP and has never heard of turning."""

    def read(self, page: GrayImage) -> Answered:
        return Answered(zip="02108" if page[0, 0] == 0 else "90210")


@pytest.fixture
def crops(tmp_path: Path) -> list[Crop]:
    page = np.full((40, 90), 255, np.uint8)
    page[:5, :5] = 0
    cv2.imwrite(str(tmp_path / "a.png"), page)
    truths = [Truth(zip="02108", plus4="", kind=""), Truth(zip="", plus4="", kind="")]
    return [Crop(path=tmp_path / "a.png", page=1, truth=truth) for truth in truths]


def test_pages_are_turned_clockwise():
    assert rotate(PAGE, 90).tolist() == [[3, 0], [4, 1], [5, 2]]
    assert rotate(PAGE, 180).tolist() == [[5, 4, 3], [2, 1, 0]]
    for turn in TURNS:
        assert (rotate(rotate(PAGE, turn), -turn) == PAGE).all()


def test_a_turn_is_noticed_when_the_reader_turns_it_back(crops):
    found = read_turned(Judge(reader=NoticesTheDarkCorner(), least=0.5), crops, jobs=1)
    assert found == [
        Turned(turn=0, turned_back=0, is_right=True, accepted=True),
        Turned(turn=90, turned_back=270, is_right=True, accepted=False),
        Turned(turn=180, turned_back=0, is_right=False, accepted=False),
        Turned(turn=270, turned_back=90, is_right=True, accepted=False),
    ]
    assert [one.is_noticed for one in found] == [True, True, False, True]


def test_a_reader_that_never_turns_notices_nothing_and_turns_nothing_upright_away(crops):
    found = read_turned(Judge(reader=NeverTurns(), least=0.5), crops, jobs=1)
    assert [one.is_noticed for one in found] == [True, False, False, False]
    assert [one.is_right for one in found] == [True, False, False, False]


def test_the_table_has_a_row_for_each_turn(crops):
    lines = turned_table(
        [("two", read_turned(Judge(reader=NeverTurns(), least=0.5), crops, jobs=1))]
    )
    assert lines[2:] == [
        "| `two` | 0° | 1 | 1.000 | 1.000 | 1.000 | 0.000 |",
        "| `two` | 90° | 1 | 0.000 | 0.000 | 1.000 | 1.000 |",
        "| `two` | 180° | 1 | 0.000 | 0.000 | 1.000 | 1.000 |",
        "| `two` | 270° | 1 | 0.000 | 0.000 | 1.000 | 1.000 |",
    ]
