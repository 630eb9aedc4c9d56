from typing import Any

import numpy as np
import pytest
from drawings import HEIGHT, box_of, write
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from zipocr.preprocess.components import Components
from zipocr.segment.regions import MAX_DISTANCE, MIN_AREA, REACH, SAME_PLACE, divide, segment
from zipocr.types import InkMask, Region


def regions_of(*args: Any) -> tuple[Region, ...]:
    return divide(*args, cuts=1).regions


def centres_of(*masks: InkMask) -> np.ndarray:
    boxes = [box_of(one) for one in masks]
    return np.array([(box.left + box.right - 1) / 2 for box in boxes])


def drawn(region: Region, shape: tuple[int, int]) -> InkMask:
    """The ink of a region at its place on the page."""
    page, box = np.zeros(shape, bool), region.box
    page[box.top : box.bottom, box.left : box.right] = region.ink
    return page


def blocks(*boxes: tuple[int, int, int, int], shape: tuple[int, int] = (60, 200)) -> InkMask:
    """Blocks of ink: top, left, bottom, right."""
    ink = np.zeros(shape, bool)
    for top, left, bottom, right in boxes:
        ink[top:bottom, left:right] = True
    return ink


def boxes(regions: tuple[Region, ...]) -> list[tuple[int, int, int, int]]:
    return [(one.box.top, one.box.left, one.box.bottom, one.box.right) for one in regions]


@pytest.mark.parametrize("margin", [0, 20, 33])
@pytest.mark.parametrize("text", ["02346", "123456789"])
def test_separate_digits_are_separate_regions(text, margin):
    written = write(text, margin=margin)
    found = regions_of(Components(written.ink), HEIGHT, centres_of(*written.digits))
    assert [one.box for one in found] == written.boxes
    for region, digit in zip(found, written.digits, strict=True):
        assert np.array_equal(drawn(region, written.ink.shape), digit)


@pytest.mark.parametrize("text", ["03689", "00000", "71417"])
def test_touching_digits_are_split_without_losing_or_sharing_ink(text):
    written = write(text, gap=-4)
    found = regions_of(Components(written.ink), HEIGHT, centres_of(*written.digits))
    pieces = [drawn(one, written.ink.shape) for one in found]
    assert len(pieces) == 5
    assert np.array_equal(np.sum(pieces, axis=0), written.ink)


def test_ink_above_and_below_all_digits_belongs_to_none():
    digits = blocks((20, 10, 40, 20), (20, 40, 40, 50))
    captions = blocks((5, 8, 12, 30), (45, 40, 50, 60))
    found = regions_of(Components(digits | captions), 20.0, np.array([15.0, 45.0]))
    assert boxes(found) == [(20, 10, 40, 20), (20, 40, 40, 50)]


def test_a_piece_above_its_digit_is_kept_if_another_digit_reaches_as_high():
    ink = blocks((25, 10, 40, 20), (15, 10, 20, 22), (12, 40, 40, 50))
    found = regions_of(Components(ink), 20.0, np.array([15.0, 45.0]))
    assert boxes(found) == [(15, 10, 40, 22), (12, 40, 40, 50)]


def test_touching_discs_are_split_at_their_neck():
    rows, columns = np.indices((60, 100))
    discs = [(rows - 30) ** 2 + (columns - centre) ** 2 <= 225 for centre in (25, 53)]
    found = regions_of(Components(discs[0] | discs[1]), 40.0, np.array([25.0, 53.0]))
    for region, disc in zip(found, discs, strict=True):
        assert (drawn(region, disc.shape) & disc).sum() > 0.95 * disc.sum()


def test_a_component_under_three_centres_is_cut_into_three():
    ink = blocks((10, 10, 50, 100))
    ink[:, [40, 70]] = False
    ink[29:32, 10:100] = True
    found = regions_of(Components(ink), 40.0, np.array([24.5, 54.5, 85.0]))
    assert boxes(found) == [(10, 10, 50, 40), (10, 40, 50, 70), (10, 70, 50, 100)]


def test_the_pieces_of_a_broken_digit_form_one_region():
    ink = blocks((10, 10, 28, 30), (31, 12, 50, 33), (10, 60, 50, 80))
    found = regions_of(Components(ink), 40.0, np.array([21.0, 70.0]))
    assert boxes(found) == [(10, 10, 50, 33), (10, 60, 50, 80)]
    assert np.array_equal(drawn(found[0], ink.shape), ink & (np.arange(200) < 50))


def test_regions_hold_only_their_own_ink_where_boxes_overlap():
    ink = blocks((10, 10, 50, 16), (10, 16, 16, 44), (30, 24, 50, 50))
    found = regions_of(Components(ink), 40.0, np.array([13.0, 40.0]))
    assert boxes(found) == [(10, 10, 50, 44), (30, 24, 50, 50)]
    assert not found[0].ink[20:, 14:].any()


@pytest.mark.parametrize(("distance", "is_taken"), [(-1.0, True), (1.0, False)])
def test_a_component_under_no_centre_joins_the_nearest_unless_it_is_far(distance, is_taken):
    height = 40.0
    left = round(70 + MAX_DISTANCE * height + distance)
    ink = blocks((10, 10, 50, 30), (10, 60, 50, 80), (44, left - 2, 49, left + 2))
    found = regions_of(Components(ink), height, np.array([20.0, 70.0]))
    assert boxes(found)[0] == (10, 10, 50, 30)
    assert found[1].box.right == (left + 2 if is_taken else 80)


def test_a_digit_belongs_to_its_centre_even_if_a_smaller_mark_is_closer():
    # The mark lies closer to the centre than the digit, but is smaller.
    ink = blocks((10, 22, 50, 27), (12, 28, 15, 31))
    (found,) = regions_of(Components(ink), 40.0, np.array([29.0]))
    assert (found.box.left, found.box.right) == (22, 31)


@pytest.mark.parametrize(("beside", "count"), [(-1, 1), (2, 0)])
def test_a_string_with_a_centre_out_of_reach_of_ink_has_no_regions(beside, count):
    ink = blocks((10, 10, 50, 30), (10, 60, 50, 80))
    reach = REACH * 40.0
    assert (
        len(regions_of(Components(ink), 40.0, np.array([20.0, 79 + reach + beside]))) == 2 * count
    )


def test_a_string_with_a_digit_of_hardly_any_ink_has_no_regions():
    side = int((MIN_AREA * 40.0 * 40.0) ** 0.5)
    small, large = (
        blocks((10, 10, 50, 30), (20, 60, 20 + size, 60 + size)) for size in (side, side + 1)
    )
    centres = np.array([20.0, 62.0])
    assert regions_of(Components(small), 40.0, centres) == ()
    assert len(regions_of(Components(large), 40.0, centres)) == 2


def test_without_centres_there_are_no_regions():
    assert regions_of(Components(blocks((10, 10, 50, 30))), 40.0, np.empty(0)) == ()


def test_regions_are_numbered_consecutively_across_strings():
    written = write("02346")
    centres = centres_of(*written.digits)
    found = segment(Components(written.ink), HEIGHT, [centres, centres[:2], np.empty(0)])
    assert found.strings == ((0, 1, 2, 3, 4), (5, 6), ())
    assert [one.box for one in found.regions] == [*written.boxes, *written.boxes[:2]]


@pytest.mark.parametrize(("aside", "are_shared"), [(0.9, True), (1.1, False)])
def test_strings_with_nearly_the_same_centres_share_their_regions(aside, are_shared):
    written = write("02346")
    centres = centres_of(*written.digits)
    moved = centres.copy()
    moved[2] -= aside * SAME_PLACE * HEIGHT
    found = segment(Components(written.ink), HEIGHT, [centres, moved])
    assert len(found.strings) == (1 if are_shared else 2)
    assert len(found.regions) == (5 if are_shared else 10)


def test_without_strings_there_are_no_regions():
    found = segment(Components(write("02346").ink), HEIGHT, [])
    assert (found.regions, found.strings) == ((), ())


def test_inputs_are_not_changed():
    ink, centres = write("03689", gap=-4).ink, np.array([33.0, 55, 77, 99, 121])
    before = ink.copy()
    segment(Components(ink), HEIGHT, [centres, centres + 1])
    assert np.array_equal(ink, before)
    assert centres.tolist() == [33.0, 55, 77, 99, 121]


def test_a_cut_is_searched_for_halfway_between_centres():
    # Farther from either centre than a seam may lie from its target column.
    ink = blocks((10, 10, 50, 90))
    ink[:, 50] = False
    ink[30, 50] = True
    found = regions_of(Components(ink), 40.0, np.array([30.0, 70.0]))
    assert boxes(found) == [(10, 10, 50, 50), (10, 50, 50, 90)]


def test_touching_digits_get_an_alternative_cut():
    ink = blocks((10, 10, 50, 90))
    ink[10:48, [44, 56]] = False
    centres = np.array([30.0, 70.0])
    found = segment(Components(ink), 40.0, [centres])
    first, second = found.strings
    assert {found.regions[first[0]].box.right, found.regions[second[0]].box.right} == {44, 56}
    for string in found.strings:
        pieces = [drawn(found.regions[number], ink.shape) for number in string]
        assert np.array_equal(np.sum(pieces, axis=0), ink)


def test_an_alternative_cut_changes_only_the_two_digits_next_to_it():
    written = write("03689", gap=-4)
    centres = centres_of(*written.digits)
    found = divide(Components(written.ink), HEIGHT, centres)
    assert found.recuts
    for recut in found.recuts:
        left, right = recut
        assert right == left + 1
        either = np.add(*(drawn(recut[one], written.ink.shape) for one in (left, right)))
        own = np.add(*(drawn(found.regions[one], written.ink.shape) for one in (left, right)))
        assert np.array_equal(either, own)


@given(
    ink=arrays(np.bool_, st.tuples(st.integers(5, 30), st.integers(20, 90)), fill=st.just(True)),
    places=st.lists(st.floats(0, 90), min_size=2, max_size=5),
)
def test_every_region_has_enough_ink_for_a_digit_however_it_is_cut(ink, places):
    height = 22.0
    found = segment(Components(ink), height, [np.sort(places)])
    for region in found.regions:
        assert np.count_nonzero(region.ink) >= MIN_AREA * height * height
