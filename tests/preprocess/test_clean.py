from itertools import pairwise

import cv2
import numpy as np
import pytest
from drawings import HEIGHT, STROKE, write
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from zipocr.preprocess.components import Components
from zipocr.preprocess.gaps import bridge_gaps
from zipocr.preprocess.rules import remove_rules
from zipocr.preprocess.specks import remove_specks
from zipocr.preprocess.text_height import estimate_text_height
from zipocr.types import InkMask

TEXT = "02346"
WRITTEN = write(TEXT)
SHAPE = WRITTEN.ink.shape
# Pixels that a rule shares with a stroke, or leaves next to a crossing, are not counted.
NEAR = cv2.dilate(WRITTEN.ink.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
FOOT = max(box.bottom for box in WRITTEN.boxes)
LEFT, RIGHT = WRITTEN.boxes[0].left, WRITTEN.boxes[-1].right
masks = arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 60)))


def height_of(ink: InkMask) -> float:
    return estimate_text_height(Components(ink))


def without_rules(ink: InkMask, height: float) -> InkMask:
    return remove_rules(Components(ink), height).ink


def without_specks(ink: InkMask, height: float) -> InkMask:
    return remove_specks(Components(ink), height).ink


def with_gaps_closed(ink: InkMask, height: float) -> InkMask:
    return bridge_gaps(Components(ink), height).ink


def line(start: tuple[int, int], end: tuple[int, int], thickness: int = 2) -> InkMask:
    drawn = np.zeros(SHAPE, np.uint8)
    cv2.line(drawn, start, end, 1, thickness)
    return drawn.astype(bool)


def frame(left: int, top: int, right: int, bottom: int, thickness: int = 2) -> InkMask:
    drawn = np.zeros(SHAPE, np.uint8)
    cv2.rectangle(drawn, (left, top), (right, bottom), 1, thickness)
    return drawn.astype(bool)


def cells() -> InkMask:
    sides = [(one.right + other.left) // 2 for one, other in pairwise(WRITTEN.boxes)]
    drawn = frame(LEFT - 8, 12, RIGHT + 8, FOOT + 8)
    return np.any([drawn, *(line((side, 12), (side, FOOT + 8)) for side in sides)], axis=0)


def own_boxes() -> InkMask:
    return np.any(
        [frame(box.left - 5, 14, box.right + 4, FOOT + 6) for box in WRITTEN.boxes], axis=0
    )


def skewed(level: int, degrees: float) -> InkMask:
    rise = round(np.tan(np.radians(degrees)) * SHAPE[1])
    return line((0, level), (SHAPE[1] - 1, level - rise))


RULES = {
    "an underline": line((0, FOOT + 6), (SHAPE[1] - 1, FOOT + 6)),
    "a short underline": line((LEFT - 4, FOOT + 5), (RIGHT + 4, FOOT + 5)),
    "a thick underline": line((LEFT - 4, FOOT + 6), (RIGHT + 4, FOOT + 6), 4),
    "two underlines that have run together": line((0, FOOT + 14), (SHAPE[1] - 1, FOOT + 14), 14),
    "an underline that touches": line((0, FOOT), (SHAPE[1] - 1, FOOT)),
    "a skewed underline": skewed(FOOT + 14, 3),
    "an underline skewed the other way": skewed(FOOT + 3, -2),
    "a line through the digits": line((0, 40), (SHAPE[1] - 1, 40)),
    "two ruled lines": line((0, 10), (SHAPE[1] - 1, 10))
    | line((0, FOOT + 8), (SHAPE[1] - 1, FOOT + 8)),
    "a box": frame(LEFT - 8, 12, RIGHT + 8, FOOT + 8),
    "a box with a cell for each digit": cells(),
    "a box of its own around each digit": own_boxes(),
    "a border around the crop": frame(0, 0, SHAPE[1] - 1, SHAPE[0] - 1),
}


def clean(ink: InkMask) -> InkMask:
    height = height_of(ink)
    return without_specks(without_rules(ink, height), height)


def kept(part: InkMask, cleaned: InkMask) -> float:
    return float((part & cleaned).sum() / part.sum())


def test_the_edge_of_a_shadow_is_not_taken_for_tall_writing():
    edge = line((RIGHT + 12, 0), (RIGHT + 12, SHAPE[0] - 1), thickness=14)
    assert height_of(edge) == SHAPE[0]
    assert height_of(WRITTEN.ink | edge) == height_of(WRITTEN.ink)


@pytest.mark.parametrize("rule", RULES)
def test_rules_are_removed_and_digits_are_kept(rule):
    cleaned = clean(WRITTEN.ink | RULES[rule])
    assert kept(RULES[rule] & ~NEAR, cleaned) < 0.05
    for digit in WRITTEN.digits:
        assert kept(digit, cleaned) > 0.9


@pytest.mark.parametrize("gap", [9, 11])
@pytest.mark.parametrize("slant", [0.0, 0.4])
def test_a_line_through_upright_strokes_leaves_no_arms_and_no_cuts(gap, slant):
    # Ones are as close as the two ends of the foot of a 0.
    ones = write("11111", width=STROKE, gap=gap, slant=slant)
    through = np.zeros_like(ones.ink)
    through[41:44] = True
    cleaned = without_rules(ones.ink | through, HEIGHT)
    assert not (cleaned & ~cv2.dilate(ones.ink.view(np.uint8), np.ones((1, 5))).view(bool)).any()
    assert kept(ones.ink, cleaned) > 0.98


@pytest.mark.parametrize("rule", RULES)
def test_rules_do_not_change_the_text_height(rule):
    assert height_of(WRITTEN.ink | RULES[rule]) == pytest.approx(HEIGHT, rel=0.25)


@pytest.mark.parametrize("height", [24, 44, 90])
def test_the_text_height_is_the_digit_height(height):
    assert height_of(write("90210", height=height, width=height * 5 // 8).ink) == pytest.approx(
        height, rel=0.1
    )


def test_specks_and_dashes_do_not_change_the_text_height():
    ink = WRITTEN.ink.copy()
    ink[5:8, 10::25] = True
    ink[40:43, 2:12] = True
    assert height_of(ink) == pytest.approx(HEIGHT, rel=0.1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (80, 300)])
def test_a_blank_page_has_no_text_height_and_stays_blank(shape):
    blank = np.zeros(shape, bool)
    assert height_of(blank) == 0
    assert not without_rules(blank, 44.0).any()
    assert not without_specks(blank, 44.0).any()


@pytest.mark.parametrize("text", ["11111", "41017", "02346", "78111"])
def test_digits_without_rules_are_left_alone(text):
    written = write(text)
    cleaned = clean(written.ink)
    assert np.array_equal(cleaned, written.ink)


@pytest.mark.parametrize("margin", [0, 1, 3])
@pytest.mark.parametrize("text", ["41213", "11111", "23451", "12345"])
def test_a_one_is_kept_in_a_tight_crop(text, margin):
    written = write(text, margin=margin)
    cleaned = clean(written.ink)
    for digit in written.digits:
        assert kept(digit, cleaned) > 0.9


def test_a_one_that_spans_the_full_crop_height_is_kept():
    written = write("52323", margin=11)
    one = np.zeros_like(written.ink)
    box = written.boxes[0]
    one[:, box.left + 8 : box.left + 13] = True
    ink = np.any([one, *written.digits[1:]], axis=0)
    assert kept(one, clean(ink)) > 0.9


def test_a_slanted_one_is_kept():
    written = write("21714", slant=0.25)
    assert np.array_equal(clean(written.ink), written.ink)


def test_specks_are_removed():
    specks = np.zeros(SHAPE, bool)
    for row, column in ((4, 9), (10, 90), (40, 5), (SHAPE[0] - 6, 120), (SHAPE[0] - 9, 60)):
        specks[row : row + 2, column : column + 2] = True
    specks &= ~NEAR
    cleaned = clean(WRITTEN.ink | specks)
    assert specks.sum() >= 12
    assert not (cleaned & specks).any()
    assert np.array_equal(cleaned, WRITTEN.ink)


def test_remnants_of_lines_above_and_below_are_removed():
    scraps = np.zeros(SHAPE, bool)
    scraps[:6, 30:52] = True
    scraps[-5:, 80:110] = True
    cleaned = clean(WRITTEN.ink | scraps)
    assert np.array_equal(cleaned, WRITTEN.ink)


def test_inputs_are_not_changed():
    ink = WRITTEN.ink | RULES["a box with a cell for each digit"] | RULES["a skewed underline"]
    before = ink.copy()
    without_specks(without_rules(ink, height_of(ink)), height_of(ink))
    assert np.array_equal(ink, before)


@given(ink=masks, height=st.floats(1, 60))
def test_cleaning_only_removes_ink(ink, height):
    before = ink.copy()
    for step in (without_rules, without_specks):
        found = step(ink, height)
        assert (found.shape, found.dtype) == (ink.shape, np.bool_)
        assert not (found & ~ink).any()
        assert np.array_equal(ink, before)


@given(ink=masks)
def test_the_text_height_is_within_the_page(ink):
    assert 0 <= height_of(ink) <= ink.shape[0]
    assert ink.any() or height_of(ink) == 0


@pytest.mark.parametrize("rule", ["an underline", "a box", "a skewed underline"])
def test_cleaning_a_view_into_a_larger_array_gives_the_same_result(rule):
    ink = WRITTEN.ink | RULES[rule]
    wide = np.ones((SHAPE[0] + 4, SHAPE[1] + 6), bool)
    wide[2:-2, 3:-3] = ink
    assert np.array_equal(clean(wide[2:-2, 3:-3]), clean(ink))


def broken(*levels: int, gap: int = 4) -> InkMask:
    """The digits, broken by dead scan lines."""
    ink = WRITTEN.ink.copy()
    for level in levels:
        ink[level : level + gap] = False
    return ink


def components(ink: InkMask) -> int:
    return cv2.connectedComponents(ink.astype(np.uint8), connectivity=8)[0] - 1


@pytest.mark.parametrize("levels", [(35,), (30, 48), (28, 40, 52)])
def test_digits_broken_by_dead_scan_lines_are_joined_and_no_other_ink_is_added(
    levels: tuple[int, ...],
):
    closed = with_gaps_closed(broken(*levels), HEIGHT)
    assert components(closed) == len(TEXT)
    assert not (closed & ~NEAR).any()


def test_broken_digits_have_the_text_height_of_whole_ones():
    assert height_of(broken(30, 48)) == pytest.approx(height_of(WRITTEN.ink), abs=2)


def test_loops_and_the_gaps_between_digits_stay_open():
    np.testing.assert_array_equal(with_gaps_closed(WRITTEN.ink, HEIGHT), WRITTEN.ink)


def test_a_rule_is_not_joined_to_the_digits_when_measuring_text_height():
    assert height_of(WRITTEN.ink | line((0, FOOT + 4), (SHAPE[1] - 1, FOOT + 4))) == pytest.approx(
        height_of(WRITTEN.ink), abs=2
    )


@given(masks, st.floats(0, 60))
def test_closing_gaps_only_adds_ink_and_does_not_change_its_input(ink: InkMask, height: float):
    before = ink.copy()
    closed = with_gaps_closed(ink, height)
    assert (closed >= ink).all()
    assert components(closed) <= components(ink)
    np.testing.assert_array_equal(ink, before)


def test_a_page_with_too_many_components_has_no_text_height(monkeypatch):
    assert height_of(WRITTEN.ink) > 0
    monkeypatch.setattr("zipocr.preprocess.text_height._MAX_COMPONENTS", len(WRITTEN.boxes) - 1)
    assert height_of(WRITTEN.ink) == 0


def test_the_size_of_closed_gaps_is_bounded_at_any_text_height():
    ink = np.zeros((600, 20), bool)
    ink[:100], ink[400:] = True, True
    assert with_gaps_closed(ink, 1e6).tolist() == ink.tolist()
