import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lattices import lattice_of

from zipocr.decode.strings import DASH_PRICE, decode, spell
from zipocr.types import Lattice


def chain(count: int) -> list[tuple[int, int]]:
    return [(place, place + 1) for place in range(count)]


@st.composite
def pages(draw: st.DrawFn) -> tuple[Lattice, np.ndarray]:
    cuts = draw(st.integers(6, 12))
    pairs = [(start, end) for start in range(cuts) for end in range(start + 1, min(start + 3, cuts))]
    edges = sorted(draw(st.sets(st.sampled_from(pairs), min_size=5)))
    skips = [(*pair, draw(st.floats(0, 6))) for pair in sorted(draw(st.sets(st.sampled_from(pairs), max_size=4)))]
    seed = draw(st.integers(0, 1000))
    return lattice_of(edges, skips, cuts), np.random.default_rng(seed).uniform(-6, 0, (len(edges), 10)).astype(np.float32)


@given(pages())
def test_what_decoding_finds_is_found_again_where_it_stood(page: tuple[Lattice, np.ndarray]) -> None:
    for one in decode(*page)[:3]:
        found = spell(*page, one.text)
        assert found is not None
        assert found.score == pytest.approx(one.score, abs=1e-3)
        own = [page[1][edge, int(digit)] for edge, digit in zip(found.edges, one.text, strict=True)]
        assert len(found.edges) == len(one.text)
        assert sum(own) >= found.score - found.prior - 1e-3


def test_digits_that_nothing_looks_like_are_found_where_digits_stand() -> None:
    # The whole ink as four regions, or as five; all look like a 1.
    lattice = lattice_of([*chain(6), (0, 2)], [(4, 5, 1.5)], 6 + 1)
    gains = np.full((7, 10), -9, np.float32)
    gains[:, 1] = -0.1
    found = spell(lattice, gains, "77777")
    assert found is not None
    assert found.edges in {(6, 2, 3, 4, 5), (0, 1, 2, 3, 5)}
    assert spell(lattice, gains, "111111111") is None


@pytest.mark.parametrize(("price", "paid"), [(DASH_PRICE, 0.0), (DASH_PRICE + 1, DASH_PRICE + 1)])
def test_the_dash_of_nine_digits_is_free_up_to_its_size(price: float, paid: float) -> None:
    edges = [*chain(5), *[(place + 1, place + 2) for place in range(5, 9)]]
    found = spell(lattice_of(edges, [(5, 6, price)], 11), np.full((9, 10), -1, np.float32), "123456789")
    assert found is not None
    assert found.edges == tuple(range(9))
    assert found.score - found.prior == pytest.approx(-9 - paid)


def test_five_digits_do_not_get_their_dirt_for_nothing() -> None:
    found = spell(lattice_of(chain(5), [(5, 6, 1.0)], 7), np.zeros((5, 10), np.float32), "12345")
    assert found is not None
    assert found.score == pytest.approx(-1)
