from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zipocr.decode.confidence import log_odds
from zipocr.decode.orientation import (
    MIN_CONFIDENCE,
    UPRIGHT_ODDS,
    OrientationModel,
    Oriented,
)
from zipocr.line.network import CLASS_FEATURES
from zipocr.types import Model

confidences = st.floats(0, 1)
odds = st.floats(-20, 20)


def model(confidence: float = 1.0, line: float = 1.0) -> OrientationModel:
    weights = np.zeros(CLASS_FEATURES, np.float32)
    return OrientationModel(weights=weights, bias=0.0, confidence_slope=confidence, line_slope=line)


def oriented(rotation: int, confidence: float = 0.5, line: float = 0.0) -> Oriented:
    return Oriented(rotation=rotation, confidence=confidence, log_odds=line)


def test_log_odds_of_a_line_are_its_weighted_features_plus_the_bias_stored_last():
    fitted = np.zeros(CLASS_FEATURES + 1)
    fitted[[0, -2, -1]] = 2.0, -3.0, 0.5
    found = OrientationModel.from_model(
        Model(arrays={"orientation": fitted, "rotation": np.array([0.7, 0.2])}, card={})
    )
    features = np.zeros(CLASS_FEATURES, np.float32)
    features[[0, -1]] = 1.0, 0.25
    assert found.log_odds(features) == pytest.approx(2.0 - 0.75 + 0.5)
    assert (found.confidence_slope, found.line_slope) == (0.7, 0.2)


def test_upside_down_is_less_likely_than_upright_but_a_quarter_turn_is_not():
    for rotation, odds_of_upright in ((180, UPRIGHT_ODDS), (90, 1.0), (270, 1.0)):
        upright, turned = model().posterior([oriented(0), oriented(rotation)])
        assert upright / turned == pytest.approx(odds_of_upright)


def test_confidence_and_line_are_weighted_by_their_slopes():
    some = [oriented(90, 0.5, 0.0), oriented(270, 0.8, 0.0)]
    assert np.divide(*model(confidence=0.5).posterior(some)) == pytest.approx(0.5)
    some = [oriented(90, 0.5, -1.0), oriented(270, 0.5, log(4) - 1)]
    assert np.divide(*model(line=0.5).posterior(some)) == pytest.approx(0.5)


@given(st.lists(st.tuples(st.sampled_from([0, 90, 180, 270]), confidences, odds), min_size=1))
def test_probabilities_of_orientations_sum_to_one(seen):
    found = model().posterior([oriented(*one) for one in seen])
    assert len(found) == len(seen)
    assert all(0 <= one <= 1 for one in found)
    assert sum(found) == pytest.approx(1)


@given(confidences, confidences, odds, odds)
def test_an_orientation_with_higher_confidence_and_line_odds_is_no_less_likely(
    one, other, line, more
):
    low, high = sorted((one, other))
    little, much = sorted((line, more))
    upright = oriented(0, 0.6, 1.0)
    found = [
        model().posterior([upright, oriented(180, *seen)])[1]
        for seen in ((low, little), (high, much))
    ]
    assert found[0] <= found[1] + 1e-12


def test_a_single_orientation_has_probability_one():
    assert model().posterior([oriented(0, 0.0, -90.0)]) == [1.0]


def test_the_order_of_orientations_does_not_matter():
    some = [oriented(0, 0.4, 1.0), oriented(180, 0.9, -1.0), oriented(90, 0.1, 0.5)]
    assert model().posterior(some[::-1]) == pytest.approx(model().posterior(some)[::-1])


@pytest.mark.parametrize(("confidence", "expected"), [(0.5, 0.0), (0.75, log(3)), (0.25, -log(3))])
def test_log_odds_match_the_probability(confidence, expected):
    assert log_odds(confidence, MIN_CONFIDENCE) == pytest.approx(expected)


def test_log_odds_of_certainty_are_finite():
    assert (
        log_odds(0.0, MIN_CONFIDENCE)
        == log_odds(MIN_CONFIDENCE / 2, MIN_CONFIDENCE)
        == pytest.approx(-log_odds(1.0, MIN_CONFIDENCE))
    )
    assert log_odds(0.0, MIN_CONFIDENCE) == pytest.approx(log(MIN_CONFIDENCE), abs=1e-3)
