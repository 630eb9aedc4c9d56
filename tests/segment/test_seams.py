import cv2
import drawings
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from zipocr.segment.seams import find_seams

HEIGHT = 40.0
components = arrays(np.bool_, st.tuples(st.integers(1, 45), st.integers(1, 45)))


def discs(distance: int) -> np.ndarray:
    """Two discs 30 wide whose centres lie so far apart."""
    drawn = np.zeros((31, 31 + distance), np.uint8)
    for centre in (15, 15 + distance):
        cv2.circle(drawn, (centre, 15), 15, 1, -1)
    return drawn.astype(bool)


def crossed(ink: np.ndarray, columns: np.ndarray) -> int:
    """Ink pixels that a seam passes through."""
    rows, width = ink.shape
    inside = (columns >= 0) & (columns < width)
    return int(ink[np.arange(rows)[inside], columns[inside]].sum())


@given(inks=st.lists(components, min_size=1, max_size=4))
def test_every_component_gets_seams_from_its_top_to_its_bottom(inks):
    found = find_seams(inks, HEIGHT)
    assert len(found) == len(inks)
    for ink, (columns, costs) in zip(inks, found, strict=True):
        assert columns.shape == (len(costs), len(ink))
        assert len(costs) > 0
        assert np.isfinite(costs).all()
        assert (np.abs(np.diff(columns, axis=1)) <= 4).all()


@given(ink=components)
def test_a_seam_costs_at_least_the_ink_it_crosses(ink):
    columns, costs = find_seams([ink], HEIGHT)[0]
    for path, cost in zip(columns, costs, strict=True):
        assert cost >= crossed(ink, path) - 1e-3


@given(ink=components)
def test_the_ink_is_not_changed(ink):
    before = ink.copy()
    find_seams([ink, ink], HEIGHT)
    assert np.array_equal(ink, before)


def test_a_clear_column_costs_nothing():
    ink = np.ones((40, 41), bool)
    ink[:, 20] = False
    columns, costs = find_seams([ink], HEIGHT)[0]
    assert costs[(columns == 20).all(axis=1)].min() == pytest.approx(0, abs=1e-6)


def test_a_slanting_gap_is_followed():
    written = drawings.write("11", gap=-8, slant=0.3, margin=0)
    columns, costs = find_seams([written.ink], HEIGHT)[0]
    rows, places = np.nonzero(written.ink)
    between = [
        (places < path[rows]).tolist() == written.digits[0][rows, places].tolist()
        for path, cost in zip(columns, costs, strict=True)
        if cost < 8
    ]
    assert any(between)


@pytest.mark.parametrize("distance", [22, 26, 29])
def test_the_cheapest_seam_in_the_middle_goes_through_the_neck(distance):
    ink = discs(distance)
    columns, costs = find_seams([ink], HEIGHT)[0]
    neck = (31 + distance) / 2
    inner = (columns.min(axis=1) > 8) & (columns.max(axis=1) < ink.shape[1] - 8)
    best = columns[inner][costs[inner].argmin()]
    assert abs(best[15] - neck) <= 3


@pytest.mark.parametrize("height", [20, 31, 90])
def test_seams_of_a_component_do_not_depend_on_its_neighbours(height):
    ink, other = discs(26), np.ones((height, 25), bool)
    alone = find_seams([ink], HEIGHT)[0]
    beside = find_seams([other, ink, other], HEIGHT)[1]
    assert np.array_equal(alone[0], beside[0])
    assert np.array_equal(alone[1], beside[1])


@given(ink=components, wanted=st.lists(st.floats(0, 44), min_size=1, max_size=3))
def test_wanted_seams_are_those_found_anyway_whose_middle_line_lies_near(ink, wanted):
    near = np.array(wanted)
    every, some = (found[0] for found in (find_seams([ink], HEIGHT), find_seams([ink], HEIGHT, [near])))
    assert set(zip(map(bytes, some[0]), some[1].tolist(), strict=True)) <= set(zip(map(bytes, every[0]), every[1].tolist(), strict=True))
    assert all(np.abs(path[(len(ink) - 1) // 2] - near).min() <= HEIGHT / 2 for path in some[0])


def test_each_component_has_its_own_wishes():
    ink = discs(26)
    left, right = (find_seams([ink], HEIGHT, [np.array([column])])[0] for column in (15.0, 41.0))
    together = find_seams([ink, ink], HEIGHT, [np.array([15.0]), np.array([41.0])])
    for (paths, costs), (one, price) in zip(together, (left, right), strict=True):
        assert np.array_equal(paths, one)
        assert np.array_equal(costs, price)
