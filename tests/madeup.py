"""Made-up results and labels.

They have every kind of page, ties in confidence, and groups of different quality.
"""

import os
from dataclasses import replace

import fakes
import numpy as np
from hypothesis import strategies as st

from zipocr.evaluation.metrics import Case
from zipocr.results.row import Row, to_row, unread_row
from zipocr.types import GrayImage, Reason, Trace

any_text = st.text(
    st.characters(exclude_categories=()) | st.sampled_from("=+-@\t\r\n./\\xu09af\uff1d\udcff\ud800")
)
file_names = st.binary(min_size=1).filter(lambda name: b"\0" not in name).map(os.fsdecode)

THRESHOLD = 0.6
COUNT = 240


def truth_of(number: int) -> str:
    """The ZIP on a page; every 29th has none."""
    return "" if number % 29 == 28 else f"{number * 7919 % 100_000:05d}"


def group_of(number: int) -> str:
    return "abc"[number % 3]


def file_of(number: int) -> str:
    return f"crop-{number:03d}.png"


def row(
    file: str, digits: str, confidence: float, *, page: int = 1, threshold: float = THRESHOLD
) -> Row:
    """The row of a page on which these digits were read; unread if there are none."""
    if not digits:
        return unread_row(file, page, Reason.NO_INK)
    return to_row(
        file, page, fakes.zip_reading(digits, confidence=confidence), min_confidence=threshold
    )


def rows() -> list[Row]:
    """The results of `COUNT` crops."""
    return [_row(number) for number in range(COUNT)]


def _row(number: int) -> Row:
    confidence = round((number * 37 % 101 / 101) ** 0.25, 2 if number % 2 else 4)
    is_right = number * 53 % 97 / 97 < confidence
    truth = truth_of(number)
    right, wrong = truth or "01234", f"{(int(truth or 0) + 1 + number % 7) % 100_000:05d}"
    if number % 17 == 16 or (not truth and is_right):
        return row(file_of(number), "", 0)
    return row(file_of(number), right if is_right else wrong, confidence)


def labels_csv() -> str:
    """The ZIPs on the crops, as a labels file."""
    lines = (
        f"{file_of(number)},{truth_of(number)},{group_of(number)}\n" for number in range(COUNT)
    )
    return "file,zip,group\n" + "".join(lines)


class Tracer(fakes.FakeReader):
    """Gives traces that can be drawn: with five blank grids."""

    def trace(self, page: GrayImage) -> Trace:
        return replace(super().trace(page), grids=(np.zeros((8, 8), np.uint8),) * 5)


def cases() -> list[Case]:
    """All pages, each with its true ZIP."""
    return [
        Case(
            file=each.file,
            page=1,
            read=each.zip,
            truth=truth_of(number),
            confidence=each.confidence,
            status=each.status,
            group=group_of(number),
        )
        for number, each in enumerate(rows())
    ]
