import cv2
import numpy as np
import pytest

from zipocr.training.data.datasets import INK_HEIGHT
from zipocr.training.synthesis.foreign_hands import AmountComposer, ForeignComposer, draw_amount
from zipocr.training.synthesis.skeletons import SHAPES, HandStyle


@pytest.fixture(scope="module")
def composer(all_digits) -> ForeignComposer:
    return ForeignComposer(all_digits, seed=8)


@pytest.mark.parametrize("digit", range(10))
def test_a_hand_draws_a_digit_of_its_height_in_few_strokes(digit):
    rng = np.random.default_rng(digit)
    for _ in range(20):
        habit = HandStyle.drawn(rng)
        glyph = habit.draw(rng, digit)
        rows = np.flatnonzero((glyph > 127).any(axis=1))
        whole = INK_HEIGHT * (habit.zero if digit == 0 else 1.0)
        assert 0.7 * whole < rows[-1] - rows[0] + 1 < 1.6 * whole
        assert cv2.connectedComponents((glyph > 127).astype(np.uint8))[0] - 1 <= max(
            shape.count("/") + 1 for shape in SHAPES[digit]
        )
        assert not glyph[[0, -1]].any()
        assert not glyph[:, [0, -1]].any()


def test_a_hand_draws_alike_but_never_the_same_and_hands_differ():
    rng = np.random.default_rng(3)
    habit = HandStyle.drawn(rng)
    one, other = habit.draw(rng, 4), habit.draw(rng, 4)
    assert not np.array_equal(one, other)
    assert len({HandStyle.drawn(rng).shapes[9][0].shape for _ in range(60)}) > 1


def test_every_shape_is_drawn_by_some_hand():
    rng = np.random.default_rng(4)
    drawn = {digit: set() for digit in SHAPES}
    for _ in range(300):
        for digit, strokes in HandStyle.drawn(rng).shapes.items():
            drawn[digit].add(tuple(len(stroke) for stroke in strokes))
    for digit, shapes in SHAPES.items():
        assert drawn[digit] == {
            tuple(len(stroke.split()) for stroke in shape.split("/")) for shape in shapes
        }


def test_a_string_is_the_same_whenever_it_is_made_and_its_text_is_what_was_drawn(composer):
    for number in range(4):
        one, other = composer.nth(number), composer.nth(number)
        assert np.array_equal(one.image, other.image)
        assert (one.text, one.kind, one.writer) == (other.text, other.kind, other.writer)
        assert set(np.unique(one.owners)) >= {1, 5}
        assert len(one.text) == 5


def test_some_amounts_are_round_and_all_have_five_digits():
    rng = np.random.default_rng(5)
    found = [draw_amount(rng) for _ in range(500)]
    assert all(len(text) == 5 and text.isdigit() for text in found)
    assert 0.35 < np.mean([text.endswith("0") for text in found]) < 0.6
    assert 0.05 < np.mean([text.endswith("000") for text in found]) < 0.35


def test_zeros_in_a_chain_are_one_stroke_with_as_many_holes():
    rng = np.random.default_rng(6)
    holes = []
    for _ in range(30):
        glyph = HandStyle.drawn(rng).draw_zeros(rng, 3)
        paper = (cv2.resize(glyph, None, fx=4, fy=4) < 100).astype(np.uint8)
        holes.append(cv2.connectedComponents(paper, connectivity=4)[0] - 2)
    assert np.median(holes) >= 3


def test_amounts_are_five_digits_also_where_zeros_are_chained(all_digits):
    composer = AmountComposer(all_digits, seed=8)
    found = [composer.nth(number) for number in range(12)]
    assert all(len(one.text) == 5 for one in found)
    assert any(one.owners[one.owners < 250].max() < 5 for one in found)
