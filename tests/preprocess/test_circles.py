import cv2
import numpy as np
import pytest
from drawings import HEIGHT, box_of, write
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from zipocr.preprocess.circles import remove_circles
from zipocr.preprocess.components import Components
from zipocr.types import InkMask

WRITTEN = write("02346", margin=60)
SHAPE = WRITTEN.ink.shape
BOX = box_of(WRITTEN.ink)
CENTRE = (BOX.left + BOX.right) // 2, (BOX.top + BOX.bottom) // 2
masks = arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 60)))


def without_circles(ink: InkMask, height: float = HEIGHT) -> InkMask:
    return remove_circles(Components(ink), height).ink


def circle(*, wide: int = 44, tall: int = 30, begin: int = 0, end: int = 360, line: int = 4):
    """An arc of a circle around the digits, its margins in pixels."""
    drawn = np.zeros(SHAPE, np.uint8)
    axes = BOX.width // 2 + wide, BOX.height // 2 + tall
    cv2.ellipse(drawn, CENTRE, axes, 0, begin, end, 1, line)
    return drawn.astype(bool)


@pytest.mark.parametrize("line", [1, 2, 4, 8])
def test_a_circle_around_the_digits_is_removed(line):
    drawn = circle(line=line)
    assert np.array_equal(without_circles(WRITTEN.ink | drawn), WRITTEN.ink)


def test_a_circle_with_a_gap_is_removed():
    assert np.array_equal(without_circles(WRITTEN.ink | circle(begin=6, end=360)), WRITTEN.ink)


def test_a_digit_that_touches_the_circle_from_inside_is_kept():
    drawn = circle(wide=1)
    assert (drawn & WRITTEN.ink).any()
    cleaned = without_circles(WRITTEN.ink | drawn)
    assert (cleaned & drawn & ~WRITTEN.ink).sum() < 0.1 * drawn.sum()
    for digit in WRITTEN.digits:
        assert (cleaned & digit).sum() > 0.8 * digit.sum()


def test_half_a_circle_is_left_alone():
    ink = WRITTEN.ink | circle(begin=180, end=360)
    assert np.array_equal(without_circles(ink), ink)


def test_a_circle_around_a_single_digit_is_left_alone():
    written = write("0", margin=40)
    drawn = np.zeros(written.ink.shape, np.uint8)
    rows, columns = drawn.shape
    cv2.ellipse(drawn, (columns // 2, rows // 2), (columns // 2 - 3, 38), 0, 0, 360, 1, 3)
    ink = written.ink | drawn.astype(bool)
    assert np.array_equal(without_circles(ink), ink)


def test_digits_without_a_circle_are_left_alone():
    components = Components(WRITTEN.ink)
    assert remove_circles(components, HEIGHT) is components


@given(ink=masks, height=st.floats(1, 60))
def test_removing_circles_only_removes_ink(ink, height):
    before = ink.copy()
    found = without_circles(ink, height)
    assert not (found & ~ink).any()
    assert np.array_equal(ink, before)
