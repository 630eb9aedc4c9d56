import cv2
import numpy as np
import pytest
from drawings import HEIGHT, box_of, write
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from zipocr.components import Components
from zipocr.segment.cuts import propose_cuts
from zipocr.segment.lattice import build_lattice
from zipocr.types import InkMask, Lattice, Region

masks = arrays(np.bool_, st.tuples(st.integers(1, 50), st.integers(1, 70))).filter(np.any)
TEXT = "02346"
WRITTEN = write(TEXT)


def lattice_of(ink: InkMask, height: float = HEIGHT) -> Lattice:
    return build_lattice(propose_cuts(Components(ink), height), height)


def shows(region: Region, ink: InkMask) -> bool:
    """Whether a region is exactly this ink."""
    return region.box == box_of(ink) and np.array_equal(
        region.ink, ink[region.box.top : region.box.bottom, region.box.left : region.box.right]
    )


def spells(lattice: Lattice, digits: tuple[InkMask, ...]) -> bool:
    """Whether a way from the first cut to the last takes exactly these digits, in order, and skips what else there is."""
    reached = {(0, 0)}
    for cut in range(lattice.cut_count):
        for count in range(len(digits) + 1):
            if (cut, count) not in reached:
                continue
            reached.update((int(end), count) for start, end, _ in lattice.skips if start == cut)
            if count < len(digits):
                leaving = np.flatnonzero(lattice.starts == cut)
                reached.update((int(lattice.ends[edge]), count + 1) for edge in leaving if shows(lattice.regions[edge], digits[count]))
    return (lattice.cut_count - 1, len(digits)) in reached


def blob(row: int, column: int, size: int) -> InkMask:
    ink = np.zeros_like(WRITTEN.ink)
    ink[row : row + size, column : column + size] = True
    return ink


@given(ink=masks, height=st.floats(4, 60))
def test_edges_lead_from_one_cut_to_a_later_one(ink, height):
    lattice = lattice_of(ink, height)
    assert (lattice.starts < lattice.ends).all()
    assert (lattice.starts >= 0).all()
    assert (lattice.ends < lattice.cut_count).all()
    assert len(lattice.starts) == len(lattice.ends) == len(lattice.regions) == len(lattice.geometry) == len(lattice.prices)


@given(ink=masks, height=st.floats(4, 60))
def test_regions_are_ink_of_the_page_in_tight_boxes(ink, height):
    for region in lattice_of(ink, height).regions:
        box = region.box
        assert 0 <= box.top < box.bottom <= ink.shape[0]
        assert 0 <= box.left < box.right <= ink.shape[1]
        assert region.ink.shape == (box.height, box.width)
        assert box_of(region.ink).bottom == box.height
        assert box_of(region.ink).right == box.width
        assert region.ink[0].any()
        assert region.ink[:, 0].any()
        assert not (region.ink & ~ink[box.top : box.bottom, box.left : box.right]).any()


@given(ink=masks, height=st.floats(4, 60))
def test_geometry_is_finite_and_prices_are_not_negative(ink, height):
    lattice = lattice_of(ink, height)
    assert np.isfinite(lattice.geometry).all()
    assert np.isfinite(lattice.prices).all()
    assert (lattice.prices >= 0).all()
    assert lattice.skips.shape[1] == 3
    assert np.isfinite(lattice.skips).all()
    assert (lattice.skips[:, 0] < lattice.skips[:, 1]).all()
    assert (lattice.skips[:, 2] >= 0).all()


@given(ink=masks, height=st.floats(4, 60))
def test_the_same_ink_gives_the_same_lattice(ink, height):
    one, other = lattice_of(ink, height), lattice_of(ink, height)
    assert one.starts.tolist() == other.starts.tolist()
    assert np.array_equal(one.geometry, other.geometry)
    assert np.array_equal(one.skips, other.skips)


@pytest.mark.parametrize("text", ["02346", "11111", "71871", "90210"])
def test_five_clean_digits_are_five_edges_in_a_row(text):
    written = write(text)
    assert spells(lattice_of(written.ink), written.digits)


def test_five_leaning_digits_whose_columns_overlap_are_five_edges_in_a_row():
    written = write("71417", gap=-4, slant=0.4)
    assert spells(lattice_of(written.ink), written.digits)


def test_digits_that_are_not_there_are_not_spelled():
    lattice = lattice_of(WRITTEN.ink)
    assert not spells(lattice, WRITTEN.digits[::-1])
    assert not spells(lattice, (*WRITTEN.digits, WRITTEN.digits[4]))
    assert not spells(lattice, (blob(20, 20, 30), *WRITTEN.digits[1:]))


@pytest.mark.parametrize("place", [3, 50, 90, 130, 215])
def test_a_speck_may_be_left_out(place):
    speck = blob(10, place, 5)
    lattice = lattice_of(WRITTEN.ink | speck)
    assert spells(lattice, WRITTEN.digits)


def test_a_dash_between_digits_may_be_left_out():
    parted = write("02346", gap=24)
    dash = np.zeros_like(parted.ink)
    dash[41:45, parted.boxes[1].right + 6 : parted.boxes[2].left - 6] = True
    assert spells(lattice_of(parted.ink | dash), parted.digits)


def test_a_sixth_digit_may_be_left_out_but_at_a_higher_price_than_a_speck():
    six = write("023461")
    assert spells(lattice_of(six.ink), six.digits[:5])
    speck = build_lattice(propose_cuts(Components(WRITTEN.ink | blob(60, 3, 5)), HEIGHT, through=False), HEIGHT)
    digits = build_lattice(propose_cuts(Components(WRITTEN.ink), HEIGHT, through=False), HEIGHT)
    assert speck.skips[:, 2].min() < digits.skips[:, 2].min()


def test_parts_of_a_broken_digit_are_an_edge_together():
    ink = WRITTEN.ink.copy()
    box = WRITTEN.boxes[2]
    ink[box.top + 20 : box.top + 24, box.left : box.right] = False
    broken = tuple(digit & ink for digit in WRITTEN.digits)
    assert cv2.connectedComponents(broken[2].astype(np.uint8))[0] > 2
    assert spells(lattice_of(ink), broken)


def test_a_five_whose_bar_is_off_is_an_edge_with_its_bar():
    written = write("05346")
    ink = written.ink.copy()
    box = written.boxes[1]
    ink[box.top + 7 : box.top + 10, box.left : box.right] = False
    broken = tuple(digit & ink for digit in written.digits)
    assert spells(lattice_of(ink), broken)


def test_a_speck_that_clings_to_a_digit_may_be_left_out_of_its_region_for_a_price():
    box = WRITTEN.boxes[2]
    speck = blob(box.top - 12, box.left + 8, 6)
    lattice = lattice_of(WRITTEN.ink | speck)
    clean = [price for region, price in zip(lattice.regions, lattice.prices, strict=True) if shows(region, WRITTEN.digits[2])]
    together = [price for region, price in zip(lattice.regions, lattice.prices, strict=True) if shows(region, WRITTEN.digits[2] | speck)]
    assert clean
    assert together == [0]
    assert min(clean) >= 0


def test_a_speck_above_a_broken_digit_may_be_left_out_of_it():
    ink = WRITTEN.ink.copy()
    box = WRITTEN.boxes[0]
    middle = (box.left + box.right) // 2
    ink[box.top : box.bottom, middle - 2 : middle + 2] = False
    speck = blob(box.top - 12, middle - 3, 6)
    lattice = lattice_of(ink | speck)
    assert spells(lattice, tuple(digit & ink for digit in WRITTEN.digits))


def test_a_line_of_digits_is_no_region():
    assert max(region.box.width for region in lattice_of(WRITTEN.ink).regions) < 3 * HEIGHT


def test_nothing_of_the_size_of_a_digit_gives_no_edge():
    assert len(lattice_of(blob(30, 30, 2)).regions) == 0


def test_geometry_is_the_same_at_twice_the_size():
    small, large = write("07", height=40, width=25, gap=15, stroke=4), write("07", height=80, width=50, gap=30, margin=40, stroke=8)
    one, other = (
        build_lattice(propose_cuts(Components(written.ink), height, through=False), height)
        for written, height in ((small, 40.0), (large, 80.0))
    )
    assert one.starts.tolist() == other.starts.tolist()
    assert np.abs(one.geometry - other.geometry).max() < 0.1


def held(region: Region, centres: np.ndarray) -> int:
    """How many centres lie clearly under a region's ink: with a quarter of it or more on either side."""
    columns = np.repeat(np.arange(region.box.left, region.box.right), region.ink.sum(axis=0))
    return sum(0.25 < float((columns <= round(centre)).mean()) < 0.75 for centre in centres)


def middles(boxes: list) -> np.ndarray:
    return np.array([(box.left + box.right) / 2 for box in boxes])


def test_where_centres_are_given_every_region_holds_one_and_the_digits_are_there():
    centres = middles(WRITTEN.boxes)
    ink = WRITTEN.ink
    every, some = lattice_of(ink), build_lattice(propose_cuts(Components(ink), HEIGHT), HEIGHT, centres=[centres])
    assert spells(some, WRITTEN.digits)
    assert 5 <= len(some.regions) <= len(every.regions)
    assert all(held(region, centres) <= 1 for region in some.regions)
    boxes = [region.box for region in every.regions]
    assert all(region.box in boxes for region in some.regions)


def test_two_digits_are_no_region_where_each_has_a_centre_and_one_where_both_share_it():
    pair = write("11", gap=-14)
    cuts = propose_cuts(Components(pair.ink), HEIGHT, through=False)
    centres = middles(pair.boxes)
    apart, together = (build_lattice(cuts, HEIGHT, centres=[one]) for one in (centres, np.array([centres.mean()])))
    assert sum(shows(region, pair.ink) for region in build_lattice(cuts, HEIGHT).regions) == 1
    assert not any(shows(region, pair.ink) for region in apart.regions)
    assert spells(apart, pair.digits)
    assert any(shows(region, pair.ink) for region in together.regions)


def test_it_is_enough_to_hold_one_centre_of_one_string():
    centres = middles(WRITTEN.boxes)
    cuts = propose_cuts(Components(WRITTEN.ink), HEIGHT)
    first, last, both = (build_lattice(cuts, HEIGHT, centres=some) for some in ([centres[:2]], [centres[3:]], [centres[:2], centres[3:]]))
    assert not spells(first, WRITTEN.digits)
    found = [{(region.box, bytes(region.ink)) for region in lattice.regions} for lattice in (first, last, both)]
    assert found[0] | found[1] == found[2]
    assert found[0] < found[2] > found[1]


@pytest.mark.parametrize("aside", [-0.09, 0.09])
def test_a_thin_stroke_holds_a_centre_that_lies_a_little_beside_it(aside):
    ones = write("11711", stroke=3)
    centres = middles(ones.boxes) + aside * HEIGHT
    lattice = build_lattice(propose_cuts(Components(ones.ink), HEIGHT), HEIGHT, centres=[centres])
    assert spells(lattice, ones.digits)


def test_centres_off_the_page_leave_no_region():
    cuts = propose_cuts(Components(WRITTEN.ink), HEIGHT)
    assert build_lattice(cuts, HEIGHT, centres=[np.array([-500.0, 9000.0])]).regions == ()
