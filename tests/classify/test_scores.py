import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from zipocr.classify.scores import Scorer, digit_evidence, validity_evidence
from zipocr.classify.svc import NON_DIGIT, PAIRS
from zipocr.segment.lattice import GEOMETRY

decided = arrays(np.float32, st.tuples(st.integers(1, 6), st.just(55)), elements=st.floats(-10, 10, width=32))
scorers = st.builds(
    Scorer, of_weakest=st.floats(0.01, 6), of_votes=st.floats(0, 6), weights=st.just(np.zeros(1, np.float32)), bias=st.just(0.0)
)


@pytest.fixture(scope="module")
def scorer(tiny) -> Scorer:
    return Scorer.from_model(tiny.model)


def for_digit(digit: int) -> np.ndarray:
    """The sign of each pair's decision that speaks for a digit; 0 where it is not concerned, or only the non-digit is."""
    return np.array([0 if NON_DIGIT in pair else (pair[0] == digit) - (pair[1] == digit) for pair in PAIRS])


@given(scorers, decided)
def test_digit_scores_are_log_probabilities(scorer, decisions):
    scores = scorer.digit_scores(decisions)
    assert scores.shape == (len(decisions), 10)
    assert np.isfinite(scores).all()
    assert np.exp(scores).sum(axis=1) == pytest.approx(1, abs=1e-4)


@given(scorers, decided, st.integers(0, 9), st.floats(0, 5))
def test_a_digit_that_wins_by_more_is_more_probable(scorer, decisions, digit, more):
    before = scorer.digit_scores(decisions)[:, digit]
    after = scorer.digit_scores((decisions + more * for_digit(digit)).astype(np.float32))[:, digit]
    assert (after >= before - 1e-4).all()


@given(scorers, decided, st.floats(-8, 8))
def test_which_digit_it_is_does_not_depend_on_its_being_one(scorer, decisions, more):
    against = np.array([NON_DIGIT in pair for pair in PAIRS])
    assert np.array_equal(scorer.digit_scores(decisions), scorer.digit_scores((decisions + against * np.float32(more)).astype(np.float32)))


@given(decided)
def test_every_pair_of_digits_gives_away_one_vote(decisions):
    _, ballot = digit_evidence(decisions)
    assert (ballot > -1e-4).all()
    assert (ballot < 9 + 1e-4).all()
    assert ballot.sum(axis=1) == pytest.approx(45, abs=1e-3)


@given(decided)
def test_the_weakest_pair_of_a_digit_is_the_one_it_loses_most_or_wins_least(decisions):
    weakest, _ = digit_evidence(decisions)
    for digit in range(10):
        signs = for_digit(digit)
        assert np.array_equal(weakest[:, digit], (decisions * signs)[:, signs != 0].min(axis=1))


@pytest.mark.parametrize("digit", range(10))
def test_a_digit_that_wins_all_its_pairs_is_certain(digit):
    scorer = Scorer(of_weakest=2, of_votes=0.5, weights=np.zeros(1, np.float32), bias=0)
    scores = scorer.digit_scores((5 * for_digit(digit)[None]).astype(np.float32))[0]
    assert scores.argmax() == digit
    assert np.exp(scores[digit]) > 0.99


def test_decisions_far_out_still_give_probabilities():
    scorer = Scorer(of_weakest=20, of_votes=8, weights=np.zeros(1, np.float32), bias=0)
    decisions = (10 * for_digit(4)[None]).astype(np.float32)
    assert np.exp(scorer.digit_scores(decisions)).sum() == pytest.approx(1, abs=1e-4)


def test_scores_of_real_regions_name_their_digits(tiny, scorer):
    is_digit = tiny.held.labels != NON_DIGIT
    right = scorer.digit_scores(tiny.decisions[is_digit]).argmax(axis=1) == tiny.held.labels[is_digit]
    assert right.mean() > 0.85


def test_validity_is_finite_and_tells_digits_from_pieces(tiny, scorer):
    odds = scorer.validity(tiny.decisions, tiny.held.geometry)
    assert odds.shape == (len(tiny.held),)
    assert np.isfinite(odds).all()
    is_digit = tiny.held.labels != NON_DIGIT
    assert (odds[is_digit][:, None] > odds[~is_digit][None]).mean() > 0.9


def test_validity_is_a_calibrated_probability_on_what_it_was_fitted_to(tiny, scorer):
    probability = 1 / (1 + np.exp(-scorer.validity(tiny.decisions, tiny.held.geometry).astype(float)))
    assert probability.mean() == pytest.approx((tiny.held.labels != NON_DIGIT).mean(), abs=0.02)


def test_scores_of_a_region_do_not_depend_on_the_others(tiny, scorer):
    decisions, geometry = tiny.decisions[:40], tiny.held.geometry[:40]
    digits, odds = scorer.digit_scores(decisions), scorer.validity(decisions, geometry)
    for place in (0, 7, 39):
        one = slice(place, place + 1)
        assert scorer.digit_scores(decisions[one]).tobytes() == digits[one].tobytes()
        assert scorer.validity(decisions[one], geometry[one]).tobytes() == odds[one].tobytes()


@given(decided, st.floats(-50, 50, width=32))
def test_evidence_has_one_length_and_is_finite(decisions, size):
    seen = validity_evidence(decisions, np.full((len(decisions), GEOMETRY), size, np.float32))
    other = validity_evidence(decisions[:1], np.zeros((1, GEOMETRY), np.float32))
    assert seen.shape == (len(decisions), other.shape[1])
    assert np.isfinite(seen).all()


def test_inputs_are_not_changed(tiny, scorer):
    decisions, geometry = tiny.decisions[:9].copy(), tiny.held.geometry[:9].copy()
    scorer.digit_scores(decisions)
    scorer.validity(decisions, geometry)
    assert np.array_equal(decisions, tiny.decisions[:9])
    assert np.array_equal(geometry, tiny.held.geometry[:9])
