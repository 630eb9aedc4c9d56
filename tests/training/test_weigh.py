import numpy as np
import pytest

from zipocr.training.weigh import Ballot, fit_weights


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
