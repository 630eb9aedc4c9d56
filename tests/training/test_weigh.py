import numpy as np
import pytest

from zipocr.looking import NEVER
from zipocr.training.weigh import Ballot, Glance, fit_weights, least_surenesses


def ballots(rng: np.random.Generator, weight: float, temperature: float, count: int = 3000) -> list[Ballot]:
    """Strings with random scores, and a right one drawn as it would be if these were to be weighed so."""
    found = []
    for _ in range(count):
        in_lattice, in_line = rng.normal(0, 3, 6), rng.normal(0, 3, 6) * (weight > 0)
        scores = (in_lattice + weight * in_line) / temperature
        shares = np.exp(scores - scores.max())
        found.append(Ballot(in_lattice=in_lattice, in_line=in_line, right=int(rng.choice(6, p=shares / shares.sum()))))
    return found


@pytest.mark.parametrize(("weight", "temperature"), [(0.4, 0.8), (1.0, 2.0), (2.0, 3.0)])
def test_known_weights_are_found_again(weight, temperature):
    found = fit_weights(ballots(np.random.default_rng(0), weight, temperature))
    assert found == pytest.approx((weight, temperature), rel=0.15)


def test_without_a_network_it_has_no_weight_and_the_temperature_is_found_all_the_same():
    weight, temperature = fit_weights(ballots(np.random.default_rng(1), 0.0, 1.5))
    assert weight == 0
    assert temperature == pytest.approx(1.5, rel=0.15)


def glances(first: float, second: float = 0.0, *, is_right: bool, count: int = 1) -> list[tuple[Glance, Glance]]:
    return [tuple(Glance(sureness=sureness, is_right=is_right, truth="10001") for sureness in (first, second))] * count


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [((), 0.97), ((0.94,), 0.97), ((0.975,) * 40, 0.98), ((0.9985,) * 40, 0.999), ((0.9999,) * 40, NEVER)],
    ids=["none", "below", "between", "nearly sure", "wherever"],
)
def test_a_glance_is_enough_where_hardly_anything_is_wrong(wrong, expected):
    right = [pair for sureness in (0.5, 0.975, 0.99, 0.9999) for pair in glances(sureness, is_right=True, count=1000)]
    assert least_surenesses([*right, *(pair for sureness in wrong for pair in glances(sureness, is_right=False))])[0] == expected


@pytest.mark.parametrize(
    ("first", "second", "wrong", "expected"),
    [(0.5, 0.96, 0, 0.95), (0.5, 0.96, 100, 0.97), (0.99, 0.96, 0, 0.95), (0.5, 0.9999, 100, NEVER)],
    ids=["right", "wrong", "read at the first", "wrong wherever"],
)
def test_a_second_glance_is_enough_where_hardly_anything_is_wrong_of_what_either_reads(first, second, wrong, expected):
    sure, other = glances(0.98, is_right=True, count=2000), glances(first, second, is_right=True, count=500)
    assert least_surenesses([*sure, *other, *glances(0.5, second, is_right=False, count=wrong)]) == (0.97, expected)


def test_a_network_that_reads_nothing_is_never_sure():
    assert least_surenesses(glances(0.0, is_right=False, count=10)) == (NEVER, NEVER)
    assert least_surenesses([]) == (NEVER, NEVER)
