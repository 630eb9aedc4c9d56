from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zipocr.decode.confidence import (
    FEATURES,
    LISTED_COUNT,
    MAX_ODDS,
    ConfidenceModel,
    confidence_features,
    digit_marginals,
    directory_log_prior,
    distribute_probability,
    log_odds_of,
)
from zipocr.decode.fusion import Candidate
from zipocr.types import Model

texts = st.text("0123456789", min_size=5, max_size=5)


def candidate(text: str, score: float = 0.0, line: float = -0.1, *digits: float) -> Candidate:
    return Candidate(
        text=text,
        line_score=line,
        regions=tuple(range(len(digits))),
        log_likelihoods=digits,
        score=score,
    )


@st.composite
def strings(draw: st.DrawFn) -> list[Candidate]:
    """Distinct strings, best first, as returned by decoding."""
    spelled = draw(st.lists(texts, min_size=1, max_size=12, unique=True))
    worth = draw(st.lists(st.floats(-60, 0), min_size=len(spelled), max_size=len(spelled)))
    return [
        candidate(text, score) for text, score in zip(spelled, sorted(worth)[::-1], strict=True)
    ]


def features(
    *ranked: Candidate, shape: float = 0.9, chosen: bool = False, second: bool = False
) -> list[float]:
    found = confidence_features(ranked, shape=shape, chosen_by_directory=chosen, second_pass=second)
    assert (found.shape, found.dtype) == ((FEATURES,), np.float32)
    return found.tolist()


def test_the_prior_of_the_packaged_directory_follows_from_the_share_of_listed_mail():
    assert exp(directory_log_prior(LISTED_COUNT)) == pytest.approx(
        (0.98 / 42_789) / (0.02 / 57_211)
    )
    assert 1 < directory_log_prior(LISTED_COUNT) < 8


@given(st.integers(1, 100_000), st.integers(1, 100_000))
def test_a_shorter_list_has_a_larger_prior_that_is_never_negative(one, other):
    short, long = sorted((one, other))
    assert directory_log_prior(short) >= directory_log_prior(long) >= 0


def test_a_list_of_nearly_all_strings_has_a_prior_of_zero():
    assert directory_log_prior(98_000) == directory_log_prior(100_000) == 0
    assert 0 <= directory_log_prior(97_999) < 0.01


@given(strings(), st.floats(0, 1))
def test_the_best_string_has_the_confidence_and_the_others_share_the_rest(candidates, confidence):
    shares = distribute_probability(candidates, confidence)
    assert len(shares) == len(candidates)
    assert shares[0] == confidence
    if len(candidates) > 1:
        assert sum(shares) == pytest.approx(1)
        assert shares[1:] == sorted(shares[1:], reverse=True)


def test_the_rest_is_distributed_by_score():
    ranked = [candidate("00000", 5.0), candidate("00001", -1.0), candidate("00002", -1 - log(3))]
    assert distribute_probability(ranked, 0.6) == pytest.approx([0.6, 0.3, 0.1])


def test_a_digit_has_the_total_probability_of_the_strings_that_contain_it():
    some = ["00000", "00001", "90001"]
    found = np.array(digit_marginals(some, [0.5, 0.3, 0.2]))
    assert found.shape == (5, 10)
    assert found[0, [0, 9]] == pytest.approx([0.8, 0.2])
    assert found[4, [0, 1]] == pytest.approx([0.5, 0.5])
    assert found[2, 0] == pytest.approx(1)
    assert found.sum() == pytest.approx(5)


def test_the_last_four_digits_have_the_probabilities_of_nine_digit_strings_alone():
    some = ["021081234", "02108", "021087234"]
    found = np.array(digit_marginals(some, [0.6, 0.3, 0.1]))
    assert found.shape == (9, 10)
    assert found[0, 0] == pytest.approx(1)
    assert found[5, [1, 7]] == pytest.approx([0.6, 0.1])
    assert np.shape(digit_marginals(some[1:], [0.3, 0.1])) == (5, 10)


@given(strings(), st.floats(0, 1))
def test_no_digit_is_less_probable_than_its_string(candidates, confidence):
    texts = [one.text for one in candidates]
    rows = digit_marginals(texts, distribute_probability(candidates, confidence))
    for row, digit in zip(rows, candidates[0].text, strict=True):
        assert row[int(digit)] >= confidence - 1e-9


def test_features_of_a_certain_string_are_bounded():
    found = features(candidate("02108", 0.0, 0.0, *[0.0] * 5), shape=1.0)
    assert max(found) <= MAX_ODDS
    assert found[:2] == pytest.approx([11.5, 4.0], abs=0.1)
    assert found[6:10] == [0, 0, -0.5, 0]


def test_features_of_a_string_are_log_odds_and_classifier_scores():
    best = candidate("02108", 0.0, log(0.75), -0.1, -0.2, -0.3, -0.4, 0.0)
    rival = candidate("02188", -log(3))
    found = features(best, rival, shape=0.25)
    assert found == pytest.approx(
        [*[log(3)] * 4, *[-log(3)] * 2, -1.0, -0.4, -0.5, *[0] * 6], abs=1e-5
    )


def test_the_weakest_digit_counts_again_beyond_its_knot():
    found = features(candidate("02108", 0.0, -0.1, -3.0, 0, 0, 0, 0))
    assert found[7:9] == [-3.0, -3.0]


@pytest.mark.parametrize(
    ("place", "one", "other"),
    [
        (9, features(candidate("02108", 0, -0.1, *[-0.1] * 5)), features(candidate("02108"))),
        (10, features(candidate("02108")), features(candidate("02108"), chosen=True)),
        (11, features(candidate("02108")), features(candidate("021081234"))),
        (12, features(candidate("02108")), features(candidate("02108"), second=True)),
    ],
    ids=["no regions", "the directory's choice", "nine digits", "a second pass"],
)
def test_how_a_string_was_read_has_its_own_indicator_feature(place, one, other):
    assert (one[place], other[place]) == (0, 1)


def test_a_second_pass_has_separate_features_for_log_odds_and_the_weakest_digit():
    best, rival = candidate("02108", 0.0, -0.1, -2.0, 0, 0, 0, 0), candidate("02188", -log(3))
    assert features(best, rival)[12:] == [0, 0, 0]
    assert features(best, rival, second=True)[12:] == pytest.approx([1, log(3), -2.0], abs=1e-5)


@given(strings(), st.floats(0, 1), st.floats(-1e4, 0))
def test_features_are_always_finite(candidates, shape, line):
    best = candidate("02108", 0.0, line, *[line] * 5)
    assert np.isfinite(features(best, *candidates, shape=shape)).all()


@pytest.mark.parametrize("probability", [0.001, 0.3, 0.5, 0.9])
def test_log_odds_of_a_log_probability_match_its_probability(probability):
    assert log_odds_of(log(probability)) == pytest.approx(log(probability / (1 - probability)))


def test_log_odds_are_finite_at_certainty_and_not_clipped_near_zero_probability():
    assert 11 < log_odds_of(0.0) < MAX_ODDS
    assert log_odds_of(-400.0) == pytest.approx(-400)


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_a_probability_stays_between_0_and_1_and_increases_with_its_features(one, other):
    model = ConfidenceModel(weights=np.array([1.0, -1.0], np.float32), bias=0.5)
    low, high = (
        model.probability(np.array([value, 0.0], np.float32)) for value in sorted((one, other))
    )
    assert 0 <= low <= high <= 1


def test_features_are_weighted_and_only_the_bias_is_left_without_them():
    model = ConfidenceModel(weights=np.array([1.0, -2.0], np.float32), bias=log(3))
    assert model.probability(np.zeros(2, np.float32)) == pytest.approx(0.75)
    assert model.probability(np.array([log(4), log(2)], np.float32)) == pytest.approx(0.75)


def test_reading_with_and_without_a_directory_uses_separate_weights():
    arrays = {
        "confidence_listed": np.array([1, 2, 3], np.float32),
        "confidence_unlisted": np.array([4, 5, 6], np.float32),
    }
    model = Model(arrays=arrays, card={})
    listed, unlisted = (
        ConfidenceModel.from_model(model, use_directory=used) for used in (True, False)
    )
    assert (listed.weights.tolist(), listed.bias) == ([1, 2], 3)
    assert (unlisted.weights.tolist(), unlisted.bias) == ([4, 5], 6)
