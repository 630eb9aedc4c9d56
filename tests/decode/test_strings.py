from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lattices import HEIGHT, lattice_of, region

from zipocr.decode.strings import DASH_PRICE, PLUS4_ODDS, decode, spell
from zipocr.types import Box, Lattice, Region

NEVER = -60.0


def gains_of(rows: list[dict[int, float]]) -> np.ndarray:
    """Log probabilities of the named digits; all others are out of the question."""
    gains = np.full((len(rows), 10), NEVER, np.float32)
    for row, digits in zip(gains, rows, strict=True):
        for digit, gain in digits.items():
            row[digit] = gain
    return gains


def chain(*digits: dict[int, float]) -> tuple[Lattice, np.ndarray]:
    """One region after the other."""
    return lattice_of([(place, place + 1) for place in range(len(digits))], [], len(digits) + 1), gains_of(list(digits))


def paths(lattice: Lattice) -> list[tuple[tuple[int, ...], float]]:
    """All ways from the first cut to the last with five or nine edges, and what they cost: skips (but for one dash of nine), and nine."""
    found = []

    def walk(cut: int, edges: tuple[int, ...], price: float, *, dash: bool = False) -> None:
        if cut == lattice.cut_count - 1 and (len(edges) == 9 or (len(edges) == 5 and not dash)):
            found.append((edges, price))
        for start, end, more in lattice.skips:
            if start == cut:
                walk(int(end), edges, price + more, dash=dash)
                if len(edges) == 5 and not dash and more <= DASH_PRICE:
                    walk(int(end), edges, price, dash=True)
        for edge in np.flatnonzero(lattice.starts == cut):
            if len(edges) < 9:
                walk(int(lattice.ends[edge]), (*edges, int(edge)), price, dash=dash)

    walk(0, (), 0.0)
    return [(edges, price - PLUS4_ODDS * (len(edges) == 9)) for edges, price in found]


def every_string(lattice: Lattice, gains: np.ndarray) -> dict[str, float]:
    """All strings and the score of each by its best way."""
    scores: dict[str, float] = {}
    for edges, price in paths(lattice):
        possible = [np.flatnonzero(gains[edge] > NEVER) for edge in edges]
        for digits in product(*possible):
            score = sum(float(gains[edge, digit]) for edge, digit in zip(edges, digits, strict=True)) - price
            text = "".join(map(str, digits))
            scores[text] = max(score, scores.get(text, -np.inf))
    return scores


@st.composite
def problems(draw):
    """A small lattice with some digits for each of its edges."""
    cuts = draw(st.integers(5, 8) | st.integers(9, 12))
    spans = [(start, end) for start in range(cuts) for end in range(start + 1, min(start + 3, cuts))]
    edges = [(place, place + 1) for place in range(cuts - 1)] + draw(st.lists(st.sampled_from(spans), max_size=5 if cuts < 9 else 2))
    skips = draw(st.lists(st.sampled_from(spans), max_size=3, unique=True))
    prices = draw(st.lists(st.floats(0, 4), min_size=len(skips), max_size=len(skips)))
    digits = st.dictionaries(st.integers(0, 9), st.floats(-4, 0, width=32), min_size=1, max_size=3 if cuts < 9 else 2)
    rows = draw(st.lists(digits, min_size=len(edges), max_size=len(edges)))
    return lattice_of(edges, [(*span, price) for span, price in zip(skips, prices, strict=True)], cuts), gains_of(rows)


@given(problems())
def test_the_best_string_is_the_best_of_all_there_are(problem):
    lattice, gains = problem
    expected = every_string(lattice, gains)
    found = decode(lattice, gains)
    assert bool(found) == bool(expected)
    if expected:
        assert found[0].score == pytest.approx(max(expected.values()), abs=1e-5)
        assert expected[found[0].text] == pytest.approx(found[0].score, abs=1e-5)


@given(problems())
def test_every_string_has_the_score_of_its_best_segmentation(problem):
    expected = every_string(*problem)
    for one in decode(*problem):
        assert expected[one.text] == pytest.approx(one.score, abs=1e-5)


@given(problems())
def test_no_string_is_missed_that_comes_close_to_the_best(problem):
    expected = every_string(*problem)
    close = sorted((score for score in expected.values() if score > max(expected.values()) - 2), reverse=True)[:4]
    found = [one.score for one in decode(*problem)]
    assert found[: len(close)] == pytest.approx(close, abs=1e-5)


@given(problems())
def test_strings_are_distinct_and_the_best_come_first(problem):
    found = decode(*problem)
    assert len({one.text for one in found}) == len(found)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert all(len(one.text) == len(one.edges) in {5, 9} and one.text.isdigit() for one in found)


@given(problems())
def test_the_edges_of_a_string_follow_each_other_and_pay_for_its_score(problem):
    lattice, gains = problem
    ways = dict.fromkeys((edges for edges, _ in paths(lattice)))
    prices = {edges: min(price for other, price in paths(lattice) if other == edges) for edges in ways}
    for one in decode(lattice, gains):
        earned = sum(float(gains[edge, int(digit)]) for edge, digit in zip(one.edges, one.text, strict=True))
        assert one.score == pytest.approx(earned - prices[one.edges], abs=1e-5)


@given(problems())
def test_every_string_is_spelt_by_the_best_of_all_its_ways(problem):
    lattice, gains = problem
    ways = paths(lattice)
    for text, score in list(every_string(lattice, gains).items())[:20]:
        found = spell(lattice, gains, text)
        assert found is not None
        assert (found.text, found.score) == (text, pytest.approx(score, abs=1e-5))
        earned = sum(float(gains[edge, int(digit)]) for edge, digit in zip(found.edges, text, strict=True))
        assert earned - min(price for edges, price in ways if edges == found.edges) == pytest.approx(score, abs=1e-5)


@given(problems(), st.sampled_from(["02108", "021081234"]))
def test_a_string_is_spelt_just_where_as_many_regions_follow_each_other(problem, text):
    found = spell(*problem, text)
    ways = [edges for edges, _ in paths(problem[0]) if len(edges) == len(text)]
    assert (found is not None) == bool(ways)
    assert found is None or found.edges in ways


@given(problems(), st.randoms(use_true_random=False))
def test_the_order_of_the_edges_does_not_matter(problem, random):
    lattice, gains = problem
    order = list(range(len(lattice.starts)))
    random.shuffle(order)
    skips = lattice.skips[np.array(random.sample(range(len(lattice.skips)), len(lattice.skips)), int)]
    edges = [(int(lattice.starts[edge]), int(lattice.ends[edge])) for edge in order]
    shuffled = lattice_of(edges, [tuple(row) for row in skips], lattice.cut_count)
    one, other = decode(lattice, gains), decode(shuffled, gains[order])
    assert [found.text for found in one] == [found.text for found in other]
    assert [found.score for found in one] == pytest.approx([found.score for found in other])


@given(problems())
def test_inputs_are_not_changed(problem):
    lattice, gains = problem
    before = gains.copy(), lattice.skips.copy(), lattice.starts.copy()
    decode(lattice, gains)
    assert np.array_equal(gains, before[0])
    assert np.array_equal(lattice.skips, before[1])
    assert np.array_equal(lattice.starts, before[2])


def test_equals_come_in_the_order_of_their_digits():
    lattice, gains = chain({7: -1, 2: -1}, {0: 0}, {9: -1, 1: -1}, {0: 0}, {0: 0})
    assert [one.text for one in decode(lattice, gains)] == ["20100", "20900", "70100", "70900"]


@pytest.mark.parametrize("count", [0, 1, 4, 6, 8, 10])
def test_what_is_neither_five_nor_nine_regions_spells_nothing(count):
    assert decode(*chain(*[{1: 0.0}] * count)) == ()


def test_a_sixth_region_can_be_skipped_for_its_price():
    lattice, gains = chain(*[{digit: -0.1} for digit in (9, 0, 2, 1, 0, 7)])
    skips = [(place, place + 1, 3.0) for place in range(6)]
    found = decode(lattice_of(list(zip(lattice.starts, lattice.ends, strict=True)), skips, 7), gains)
    assert found[0].score == pytest.approx(-3.5)
    assert {one.text for one in found} == {"02107", "92107", "90107", "90207", "90217", "90210"}


def test_skips_alone_spell_nothing():
    assert decode(lattice_of([], [(0, 1, 0.0), (1, 2, 0.0)], 3), np.zeros((0, 10), np.float32)) == ()


def test_a_cut_through_a_digit_is_passed_over_when_its_halves_are_worse():
    pieces = [(0, 1), (1, 2), (0, 2), (2, 3), (3, 4), (4, 5), (5, 6)]
    lattice = lattice_of(pieces, [], 7)
    gains = gains_of([{1: -3.0}, {1: -3.0}, {8: -0.2}, *[{5: -0.1}] * 4])
    assert decode(lattice, gains)[0].text == "85555"
    assert decode(lattice, gains)[0].edges == (2, 3, 4, 5, 6)


def test_two_ways_to_spell_a_string_count_once_and_by_the_better():
    lattice = lattice_of([(0, 1), (0, 1), (1, 2), (2, 3), (3, 4), (4, 5)], [], 6)
    found = decode(lattice, gains_of([{4: -2.0}, {4: -1.0}, *[{0: 0.0}] * 4]))
    assert [(one.text, one.edges) for one in found] == [("40000", (1, 2, 3, 4, 5))]
    assert found[0].score == -1


NINE = [{digit: -0.1} for digit in (9, 0, 2, 1, 0, 6, 7, 8, 9)]


def nine_with(*, dash: float | None) -> tuple[Lattice, np.ndarray]:
    """Nine regions, behind the fifth of them ink of a price where there is a dash."""
    if dash is None:
        return chain(*NINE)
    edges = [(place, place + 1) for place in (0, 1, 2, 3, 4, 6, 7, 8, 9)]
    return lattice_of(edges, [(5, 6, dash)], 11), gains_of(NINE)


@pytest.mark.parametrize("dash", [None, 0.5, DASH_PRICE])
def test_nine_digits_are_read_with_a_dash_and_without_and_the_dash_costs_nothing(dash):
    found = decode(*nine_with(dash=dash))
    assert [one.text for one in found] == ["902106789"]
    assert found[0].edges == tuple(range(9))
    assert found[0].score == pytest.approx(-0.9 + PLUS4_ODDS)
    assert found[0].prior == pytest.approx(PLUS4_ODDS)


def test_what_is_too_large_for_a_dash_is_paid_for():
    assert decode(*nine_with(dash=DASH_PRICE + 1))[0].score == pytest.approx(-0.9 + PLUS4_ODDS - DASH_PRICE - 1)


@pytest.mark.parametrize("place", [0, 1, 4, 6, 9])
def test_no_ink_elsewhere_is_a_dash(place):
    edges = [(start, start + 1) for start in range(10) if start != place]
    found = decode(lattice_of(edges, [(place, place + 1, 1.0)], 11), gains_of(NINE))
    assert found[0].score == pytest.approx(-0.9 + PLUS4_ODDS - 1)


@pytest.mark.parametrize(("left_out", "length"), [(0.1, 5), (12.0, 9)])
def test_four_more_regions_are_dirt_where_that_is_cheap_and_digits_where_it_is_not(left_out, length):
    lattice, gains = chain(*NINE)
    skips = [(5, 9, left_out)]
    found = decode(lattice_of(list(zip(lattice.starts, lattice.ends, strict=True)), skips, 10), gains)
    assert [len(one.text) for one in found] == [length, 14 - length]
    assert {one.text for one in found} == {"90210", "902106789"}


@pytest.mark.parametrize(("halves", "length"), [(-4.0, 5), (-0.1, 9)])
def test_four_wide_digits_are_parted_only_where_their_halves_are_digits_without_doubt(halves, length):
    edges = [(0, 1), *((place, place + 2) for place in (1, 3, 5, 7)), *((place, place + 1) for place in range(1, 9))]
    gains = gains_of([{9: -0.1}, *[{8: -1.5}] * 4, *[{1: halves}] * 8])
    assert len(decode(lattice_of(edges, [], 10), gains)[0].text) == length


def test_pieces_of_unlike_heights_or_without_room_are_not_taken_for_nine_digits():
    lattice, gains = chain(*NINE)
    skips = np.array([(5, 9, 9.0)])
    short = tuple(region(place, place + 1, HEIGHT if place % 2 else HEIGHT // 4) for place in range(9))
    boxes = [Box(top=0, left=place * HEIGHT // 3, bottom=HEIGHT, right=(place + 1) * HEIGHT // 3) for place in range(9)]
    crowded = tuple(Region(box=box, ink=np.ones((box.height, box.width), bool)) for box in boxes)
    assert decode(replace(lattice, skips=skips), gains)[0].text == "902106789"
    for regions in (short, crowded):
        found = decode(replace(lattice, skips=skips, regions=regions), gains)
        assert [one.text for one in found] == ["90210", "902106789"]
        assert found[1].score - found[1].prior == pytest.approx(-0.9)
