import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from zipocr.classify.probabilities import AGAINST_NON_DIGIT, Calibration, digit_votes
from zipocr.classify.svc import NON_DIGIT, PAIRS
from zipocr.types import Model

decided = arrays(
    np.float32, st.tuples(st.integers(1, 6), st.just(55)), elements=st.floats(-10, 10, width=32)
)
calibrations = st.builds(
    Calibration,
    weakest_weight=st.floats(0.01, 6),
    votes_weight=st.floats(0, 6),
    whole_slope=st.floats(0.1, 4),
    whole_bias=st.floats(-4, 4),
)


def plain(weakest: float = 1.0, votes: float = 1.0, *, slope: float = 1.0, bias: float = 0.0):
    return Calibration(
        weakest_weight=weakest, votes_weight=votes, whole_slope=slope, whole_bias=bias
    )


def for_digit(digit: int) -> np.ndarray:
    """The sign of each pair's decision in favour of a digit; 0 for pairs without it."""
    return np.array(
        [0 if NON_DIGIT in pair else (pair[0] == digit) - (pair[1] == digit) for pair in PAIRS],
        np.float32,
    )


def against_non_digit() -> np.ndarray:
    return np.array([NON_DIGIT in pair for pair in PAIRS], np.float32)


def test_the_weights_of_a_model_are_loaded_in_order():
    arrays = {"votes": np.array([1.5, 0.4]), "whole": np.array([2.0, -0.7])}
    assert Calibration.from_model(Model(arrays=arrays, card={})) == plain(
        1.5, 0.4, slope=2.0, bias=-0.7
    )


def test_the_pairs_against_the_non_digit_are_in_digit_order():
    assert [PAIRS[place] for place in AGAINST_NON_DIGIT] == [
        (digit, NON_DIGIT) for digit in range(10)
    ]


@given(calibrations, decided)
def test_digit_scores_are_log_probabilities(calibration, decisions):
    scores = calibration.digit_log_probabilities(decisions)
    assert scores.shape == (len(decisions), 10)
    assert scores.dtype == np.float32
    assert np.exp(scores).sum(axis=1) == pytest.approx(1, abs=1e-4)


@given(calibrations, decided, st.integers(0, 9), st.floats(0, 5))
def test_a_digit_that_wins_by_a_larger_margin_is_no_less_probable(
    calibration, decisions, digit, more
):
    before = calibration.digit_log_probabilities(decisions)[:, digit]
    won = (decisions + more * for_digit(digit)).astype(np.float32)
    assert (calibration.digit_log_probabilities(won)[:, digit] >= before - 1e-4).all()


@given(calibrations, decided, st.floats(-8, 8))
def test_digit_probabilities_do_not_depend_on_the_non_digit_pairs(calibration, decisions, more):
    moved = (decisions + against_non_digit() * np.float32(more)).astype(np.float32)
    assert np.array_equal(
        calibration.digit_log_probabilities(moved), calibration.digit_log_probabilities(decisions)
    )


@given(decided)
def test_every_pair_of_digits_casts_one_vote(decisions):
    _, votes = digit_votes(decisions)
    assert (votes > -1e-4).all()
    assert (votes < 9 + 1e-4).all()
    assert votes.sum(axis=1) == pytest.approx(45, abs=1e-3)


@given(decided)
def test_the_weakest_pair_of_a_digit_is_the_one_with_its_lowest_margin(decisions):
    weakest, _ = digit_votes(decisions)
    for digit in range(10):
        signs = for_digit(digit)
        own = (decisions * signs)[:, signs != 0]
        assert np.array_equal(weakest[:, digit], own.min(axis=1))


def test_votes_and_the_weakest_pair_are_weighted():
    decisions = np.zeros((1, 55), np.float32)
    decisions[0, PAIRS.index((3, 7))] = 1.0
    vote = 1 / (1 + np.exp(-4.0)) - 0.5
    odds = np.diff(plain(2.0, 0.0).digit_log_probabilities(decisions)[0, [7, 3]])
    assert odds == pytest.approx(2.0)
    odds = np.diff(plain(0.01, 3.0).digit_log_probabilities(decisions)[0, [7, 3]])
    assert odds == pytest.approx(0.01 + 3.0 * 2 * vote, rel=1e-3)


@pytest.mark.parametrize("digit", range(10))
def test_a_digit_that_wins_all_its_pairs_is_certain(digit):
    scores = plain(2, 0.5).digit_log_probabilities(5 * for_digit(digit)[None])[0]
    assert scores.argmax() == digit
    assert np.exp(scores[digit]) > 0.99


def test_extreme_decisions_give_finite_scores():
    scores = plain(20, 8).log_likelihoods(20 * (for_digit(4) - against_non_digit())[None])
    assert np.isfinite(scores).all()


@given(calibrations, decided)
def test_log_likelihoods_never_exceed_the_digit_log_probabilities(calibration, decisions):
    scores = calibration.log_likelihoods(decisions)
    assert (scores <= 1e-6).all()
    assert (scores <= calibration.digit_log_probabilities(decisions) + 1e-6).all()


@pytest.mark.parametrize("digit", range(10))
def test_the_whole_digit_odds_come_from_the_pair_with_the_non_digit(digit):
    calibration = plain(slope=0.5, bias=0.25)
    decisions = np.zeros((1, 55), np.float32)
    decisions[0, PAIRS.index((digit, NON_DIGIT))] = 3.0
    whole = calibration.log_likelihoods(decisions)[0] - np.log(0.1)
    expected = np.full(10, -np.log1p(np.exp(-0.25)))
    expected[digit] = -np.log1p(np.exp(-(1.5 + 0.25)))
    assert whole == pytest.approx(expected, abs=1e-5)


@given(calibrations, st.integers(0, 99))
def test_scores_of_a_region_do_not_depend_on_the_others(calibration, seed):
    rng = np.random.default_rng(seed)
    decisions = rng.normal(0, 2, (40, 55)).astype(np.float32)
    whole = calibration.log_likelihoods(decisions)
    order = rng.permutation(40)
    assert calibration.log_likelihoods(decisions[order]).tobytes() == whole[order].tobytes()
    for place in (0, 7, 39):
        one = slice(place, place + 1)
        assert calibration.log_likelihoods(decisions[one]).tobytes() == whole[one].tobytes()


def test_decisions_are_not_changed():
    decisions = np.random.default_rng(0).normal(size=(9, 55)).astype(np.float32)
    before = decisions.copy()
    plain().log_likelihoods(decisions)
    assert np.array_equal(decisions, before)
