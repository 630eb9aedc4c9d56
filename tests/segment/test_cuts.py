from itertools import pairwise

import cv2
import numpy as np
import pytest
from drawings import HEIGHT, Written, write
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from zipocr.components import Components
from zipocr.segment.cuts import propose_cuts
from zipocr.types import CutSet, InkMask

masks = arrays(np.bool_, st.tuples(st.integers(1, 50), st.integers(1, 70))).filter(np.any)
WRITTEN = write("02346")


def touching(text: str, slant: float = 0.0) -> Written:
    """Digits pushed together until all of them hang together, and no further."""
    return next(written for gap in range(4, -20, -1) if len(parts_of((written := write(text, gap=gap, slant=slant)).ink)) == 1)


def whose(cuts: CutSet, ink: InkMask) -> np.ndarray:
    """For each ink pixel of the cuts, whether it is this ink's."""
    return np.asarray(ink[cuts.rows, cuts.columns])


def best_cut(cuts: CutSet, left: InkMask) -> float:
    """Share of the ink that the best cut puts where it belongs when `left` is to lie left; the neck itself may go either way."""
    neck = np.logical_and.reduce(
        [cv2.dilate(side.astype(np.uint8), np.ones((7, 7), np.uint8)) for side in (left, ink_of(cuts, left.shape) & ~left)]
    )
    certain = ~whose(cuts, neck)
    return float((cuts.left == whose(cuts, left))[:, certain].mean(axis=1).max())


def ink_of(cuts: CutSet, shape: tuple[int, ...]) -> InkMask:
    ink = np.zeros(shape, bool)
    ink[cuts.rows, cuts.columns] = True
    return ink


def parts_of(ink: InkMask) -> list[InkMask]:
    count, labels = cv2.connectedComponents(ink.astype(np.uint8), connectivity=8)
    return [labels == part for part in range(1, count)]


@given(ink=masks, height=st.floats(4, 60), through=st.booleans())
def test_cuts_are_sorted_from_no_ink_at_the_left_to_all(ink, height, through):
    cuts = propose_cuts(Components(ink), height, through=through)
    amount = cuts.left.sum(axis=1)
    assert amount[0] == 0
    assert amount[-1] == ink.sum()
    assert (np.diff(amount) >= 0).all()


@given(ink=masks, height=st.floats(4, 60))
def test_every_ink_pixel_lies_on_one_side_of_every_cut(ink, height):
    cuts = propose_cuts(Components(ink), height)
    assert cuts.left.shape == (len(cuts.costs), ink.sum())
    assert cuts.left.dtype == np.bool_
    assert np.array_equal(ink_of(cuts, ink.shape), ink)


@given(ink=masks, height=st.floats(4, 60))
def test_cuts_cost_nothing_between_components_and_something_through_them(ink, height):
    cuts = propose_cuts(Components(ink), height)
    assert (cuts.costs >= 0).all()
    assert np.isfinite(cuts.costs).all()
    assert cuts.costs[0] == cuts.costs[-1] == 0
    parts = [whose(cuts, part) for part in parts_of(ink)]
    for left in cuts.left[cuts.costs == 0]:
        assert all(left[part].all() or not left[part].any() for part in parts)


@given(ink=masks, height=st.floats(4, 60))
def test_components_stay_whole_when_no_cut_may_go_through_them(ink, height):
    cuts = propose_cuts(Components(ink), height, through=False)
    parts = [whose(cuts, part) for part in parts_of(ink)]
    assert len(cuts.left) == len(parts) + 1
    for left in cuts.left:
        assert all(left[part].all() or not left[part].any() for part in parts)


@given(ink=masks, height=st.floats(4, 60))
def test_the_ink_is_not_changed_and_the_same_ink_gives_the_same_cuts(ink, height):
    before = ink.copy()
    one, other = propose_cuts(Components(ink), height), propose_cuts(Components(ink), height)
    assert np.array_equal(ink, before)
    assert np.array_equal(one.left, other.left)
    assert np.array_equal(one.costs, other.costs)


def test_digits_apart_are_parted_exactly():
    cuts = propose_cuts(Components(WRITTEN.ink), HEIGHT)
    for place in range(1, 5):
        assert best_cut(cuts, np.any(WRITTEN.digits[:place], axis=0)) == 1


@pytest.mark.parametrize("through", [True, False])
def test_digits_apart_are_parted_exactly_where_their_columns_overlap(through):
    written = write("71417", gap=-4, slant=0.4)
    assert len(parts_of(written.ink)) == 5
    boxes = written.boxes
    assert any(one.right > other.left for one, other in pairwise(boxes))
    cuts = propose_cuts(Components(written.ink), HEIGHT, through=through)
    for place in range(1, 5):
        assert best_cut(cuts, np.any(written.digits[:place], axis=0)) == 1


@pytest.mark.parametrize("text", ["35", "00", "12", "23", "47", "74", "69", "82", "88", "91"])
def test_touching_digits_get_a_cut_at_the_neck(text):
    written = touching(text)
    assert best_cut(propose_cuts(Components(written.ink), HEIGHT), written.digits[0]) > 0.97


@pytest.mark.parametrize("text", ["35", "00", "11", "47", "69", "88"])
def test_leaning_digits_that_touch_get_a_cut_at_the_neck(text):
    written = touching(text, slant=0.35)
    assert best_cut(propose_cuts(Components(written.ink), HEIGHT), written.digits[0]) > 0.97


@pytest.mark.parametrize("text", ["35", "00", "12", "23", "82", "88"])
def test_a_cut_leaves_no_crumbs_of_one_digit_with_the_other(text):
    cuts = propose_cuts(Components(touching(text).ink), HEIGHT)
    for left in cuts.left[cuts.costs > 0]:
        for side in (left, ~left):
            piece = np.zeros((int(cuts.rows.max()) + 1, int(cuts.columns.max()) + 1), bool)
            piece[cuts.rows[side], cuts.columns[side]] = True
            assert min(part.sum() for part in parts_of(piece)) > 0.01 * HEIGHT**2


@pytest.mark.parametrize("overlap", [2, 6, 10])
def test_touching_discs_get_a_cut_at_the_neck(overlap):
    left, right = np.zeros((60, 130), np.uint8), np.zeros((60, 130), np.uint8)
    cv2.circle(left, (40, 30), 20, 1, -1)
    cv2.circle(right, (40 + 41 - overlap, 30), 20, 1, -1)
    cuts = propose_cuts(Components((left | right).astype(bool)), 40.0)
    assert best_cut(cuts, left.astype(bool) & (np.arange(130) < 61 - overlap / 2)) > 0.97


def test_three_digits_in_one_piece_get_both_cuts():
    written = touching("080")
    cuts = propose_cuts(Components(written.ink), HEIGHT)
    for place in (1, 2):
        assert best_cut(cuts, np.any(written.digits[:place], axis=0)) > 0.95


def test_a_cut_through_a_pair_leaves_its_neighbours_whole_on_their_sides():
    pair = touching("35")
    page = np.pad(pair.ink, ((0, 0), (60, 60)))
    three = np.pad(pair.digits[0], ((0, 0), (60, 60)))
    first, last = np.zeros_like(page), np.zeros_like(page)
    first[20:64, 20:40], last[20:64, -40:-20] = True, True
    cuts = propose_cuts(Components(page | first | last), HEIGHT)
    assert best_cut(cuts, first | three) > 0.97
    through = cuts.left[cuts.costs > 0]
    crossing = [left for left in through if 0 < left[whose(cuts, page)].sum() < page.sum()]
    assert len(crossing) > 2
    for left in crossing:
        assert left[whose(cuts, first)].all()
        assert not left[whose(cuts, last)].any()


def test_a_cut_through_a_leaning_pair_leaves_neighbours_whole_though_their_columns_overlap():
    written = next(one for gap in range(4, -20, -1) if len(parts_of((one := write("1881", gap=(-4, gap, -4), slant=0.5)).ink)) == 3)
    boxes = written.boxes
    assert boxes[0].right > boxes[1].left
    assert boxes[2].right > boxes[3].left
    cuts = propose_cuts(Components(written.ink), HEIGHT)
    assert best_cut(cuts, written.digits[0] | written.digits[1]) > 0.97


def test_parts_of_a_broken_digit_lie_between_two_cuts():
    ink = WRITTEN.ink.copy()
    box = WRITTEN.boxes[2]
    ink[box.top + 20 : box.top + 24, box.left : box.right] = False
    broken = WRITTEN.digits[2] & ink
    assert len(parts_of(broken)) > 1
    cuts = propose_cuts(Components(ink), HEIGHT)
    own = whose(cuts, broken)
    assert any(np.array_equal(end & ~start, own) for start in cuts.left for end in cuts.left)


def test_a_one_is_not_cut():
    assert len(propose_cuts(Components(write("1").ink), HEIGHT).left) == 2


def test_a_single_pixel_has_two_cuts():
    ink = np.zeros((9, 9), bool)
    ink[4, 4] = True
    assert propose_cuts(Components(ink), 30.0).left.tolist() == [[False], [True]]


def test_cuts_do_not_depend_on_the_margin():
    wide = write("23346", gap=-1, margin=35).ink
    near = wide[30:-30, 30:-30]
    one, other = propose_cuts(Components(wide), HEIGHT), propose_cuts(Components(near), HEIGHT)
    assert np.array_equal(one.left, other.left)
    assert one.costs == pytest.approx(other.costs)


def middle_of(cuts: CutSet, left: np.ndarray) -> float:
    """Between the last ink on the left and the first on the right, on average over the rows that have both."""
    rows = set(cuts.rows[left]) & set(cuts.rows[~left])
    return float(
        np.mean([(cuts.columns[left & (cuts.rows == row)].max() + cuts.columns[~left & (cuts.rows == row)].min()) / 2 for row in rows])
    )


def test_cuts_go_only_through_where_they_are_wanted_and_still_through_the_neck_there():
    written = touching("08088")
    necks = [(one.right + other.left) / 2 for one, other in pairwise(written.boxes)]
    everywhere, some = (
        propose_cuts(Components(written.ink), HEIGHT),
        propose_cuts(Components(written.ink), HEIGHT, near=np.array([necks[1]])),
    )
    assert 0 < (some.costs > 0).sum() < (everywhere.costs > 0).sum()
    assert best_cut(some, np.any(written.digits[:2], axis=0)) > 0.95
    for left in some.left[some.costs > 0]:
        assert abs(middle_of(some, left) - necks[1]) < 0.5 * HEIGHT


def test_every_wanted_place_gets_its_cuts():
    written = touching("08088")
    necks = np.array([(one.right + other.left) / 2 for one, other in pairwise(written.boxes)])
    cuts = propose_cuts(Components(written.ink), HEIGHT, near=necks)
    for place in range(1, 5):
        assert best_cut(cuts, np.any(written.digits[:place], axis=0)) > 0.95


@pytest.mark.parametrize("near", [np.zeros(0), np.array([-50.0, 1000.0])], ids=["nowhere", "off the page"])
def test_where_no_cut_is_wanted_components_stay_whole(near):
    written = touching("35")
    cuts = propose_cuts(Components(written.ink), HEIGHT, near=near)
    assert np.array_equal(cuts.left, propose_cuts(Components(written.ink), HEIGHT, through=False).left)


def test_cuts_between_components_need_not_be_wanted():
    cuts = propose_cuts(Components(WRITTEN.ink), HEIGHT, near=np.zeros(0))
    for place in range(1, 5):
        assert best_cut(cuts, np.any(WRITTEN.digits[:place], axis=0)) == 1


@given(ink=masks, height=st.floats(4, 60), near=st.lists(st.floats(-10, 80), max_size=4))
def test_wanted_cuts_are_cuts_like_all_others(ink, height, near):
    cuts = propose_cuts(Components(ink), height, near=np.array(near))
    amount = cuts.left.sum(axis=1)
    assert (amount[0], amount[-1]) == (0, ink.sum())
    assert (np.diff(amount) >= 0).all()
    assert np.array_equal(ink_of(cuts, ink.shape), ink)


def test_as_many_cuts_are_made_for_each_place_wanted_and_none_twice_for_the_same():
    bar = np.zeros((60, 300), bool)
    bar[20:40, 5:295] = True
    one, two, same = (
        (propose_cuts(Components(bar), HEIGHT, near=np.array(near)).costs > 0).sum() for near in ([150.0], [100.0, 200.0], [150.0, 151.0])
    )
    assert 0 < same == one
    assert two == 2 * one
