import cv2
import drawings
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from zipocr.segment.seams import MIN_PIECE, REACH, find_seams

HEIGHT = 40.0
components = arrays(np.bool_, st.tuples(st.integers(1, 45), st.integers(1, 45)))


def discs(*centres: int) -> np.ndarray:
    """Discs about 30 pixels wide, centred on these columns."""
    drawn = np.zeros((31, max(centres) + 16), np.uint8)
    for centre in centres:
        cv2.circle(drawn, (centre, 15), 15, 1, -1)
    return drawn.astype(bool)


def find_seam(ink: np.ndarray, height: float, near: float) -> np.ndarray:
    (seam,) = find_seams(ink, height, near, most=1)
    return seam


def left_of(ink: np.ndarray, seam: np.ndarray) -> np.ndarray:
    return ink & (np.arange(ink.shape[1]) < seam[:, None])


@given(ink=components, near=st.floats(-10, 55))
def test_a_seam_runs_from_the_top_of_a_component_to_its_bottom(ink, near):
    seam = find_seam(ink, HEIGHT, near)
    assert seam.shape == (len(ink),)
    assert (np.abs(np.diff(seam)) <= 1).all()


@given(ink=components, near=st.floats(0, 44))
def test_a_seam_leaves_enough_ink_on_both_sides_or_is_straight(ink, near):
    seam = find_seam(ink, HEIGHT, near)
    left = np.count_nonzero(left_of(ink, seam))
    least = MIN_PIECE * HEIGHT * HEIGHT
    assert min(left, np.count_nonzero(ink) - left) >= least or (seam == round(near)).all()


@given(ink=components, near=st.floats(0, 44))
def test_a_seam_stays_near_the_target_column(ink, near):
    seam = find_seam(ink, HEIGHT, near)
    assert (np.abs(seam - near) <= REACH * HEIGHT + 1).all()


@given(ink=components)
def test_the_ink_is_not_changed(ink):
    before = ink.copy()
    find_seam(ink, HEIGHT, 20.0)
    assert np.array_equal(ink, before)


@pytest.mark.parametrize("gap", [15, 20, 26])
def test_a_clear_column_is_followed(gap):
    ink = np.ones((40, 41), bool)
    ink[:, gap] = False
    assert find_seam(ink, HEIGHT, 20.0).tolist() == [gap] * 40


@pytest.mark.parametrize("slant", [0.3, -0.3])
def test_a_slanted_gap_is_followed(slant):
    written = drawings.write("11", gap=-8, slant=abs(slant), margin=0)
    mirrored = slant < 0
    ink, (one, other) = written.ink, written.digits
    if mirrored:
        ink, one, other = ink[:, ::-1], other[:, ::-1], one[:, ::-1]
    near = np.nonzero(ink)[1].mean()
    seam = find_seam(np.ascontiguousarray(ink), HEIGHT, float(near))
    assert np.array_equal(left_of(ink, seam), one)
    assert np.array_equal(ink & ~left_of(ink, seam), other)


@pytest.mark.parametrize("distance", [22, 26, 29])
@pytest.mark.parametrize("beside", [-2, 0, 2])
def test_the_seam_between_two_discs_goes_through_their_neck(distance, beside):
    neck = 15 + distance / 2
    seam = find_seam(discs(15, 15 + distance), HEIGHT, neck + beside)
    assert abs(seam[15] - neck) <= 3


def test_of_two_necks_the_one_near_the_target_column_is_cut():
    ink = discs(15, 43, 71)
    assert find_seam(ink, HEIGHT, 27.0)[15] == pytest.approx(29, abs=2)
    assert find_seam(ink, HEIGHT, 59.0)[15] == pytest.approx(57, abs=2)


def test_a_seam_is_straight_if_there_is_too_little_ink_for_two_pieces():
    assert find_seam(np.ones((3, 9), bool), HEIGHT, 4.4).tolist() == [4, 4, 4]


def test_margins_around_a_component_only_shift_its_seam():
    ink = discs(15, 43)
    seam = find_seam(ink, HEIGHT, 30.0)
    padded = find_seam(np.pad(ink, ((0, 0), (7, 12))), HEIGHT, 37.0)
    assert np.array_equal(padded, seam + 7)


@given(ink=components, near=st.floats(0, 44), most=st.integers(1, 4))
def test_the_first_of_several_seams_is_the_one_found_alone(ink, near, most):
    seams = find_seams(ink, HEIGHT, near, most=most)
    assert 1 <= len(seams) <= most
    assert np.array_equal(seams[0], find_seam(ink, HEIGHT, near))


def test_of_two_necks_the_cheaper_one_is_cut_first():
    ink = np.zeros((40, 60), bool)
    ink[10:30] = True
    ink[:14, 24], ink[17:, 24] = False, False
    ink[:12, 34], ink[18:, 34] = False, False
    first, second = find_seams(ink, HEIGHT, 29.0, most=2)
    assert (first[20], second[20]) == (24, 34)
