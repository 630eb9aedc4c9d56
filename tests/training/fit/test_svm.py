import numpy as np
import pytest

from zipocr.classify.normalize import to_grids
from zipocr.classify.probabilities import AGAINST_NON_DIGIT, Calibration
from zipocr.classify.svc import NON_DIGIT, Classifier
from zipocr.training.fit.svm import (
    Recipe,
    decide_all,
    fit_calibration,
    fit_classifier,
    fit_logistic,
    fit_machine,
    fit_reduction,
    to_features,
)

RECIPE = Recipe(components=12)


@pytest.fixture(scope="module")
def some(tiny):
    return tiny.samples


@pytest.fixture(scope="module")
def fitted(some):
    return fit_classifier(some, RECIPE)


def test_a_classifier_is_plain_arrays_of_fitting_shapes(fitted):
    assert all(
        isinstance(array, np.ndarray) and not array.dtype.hasobject for array in fitted.values()
    )
    vectors = len(fitted["support"])
    assert fitted["mean"].shape == (336,)
    assert fitted["projection"].shape == (336, 12)
    assert fitted["support"].shape == (vectors, 12)
    assert fitted["dual"].shape == (10, vectors)
    assert fitted["support_counts"].sum() == vectors
    assert fitted["support_counts"].shape == (11,)
    assert fitted["intercepts"].shape == (55,)


def test_fitting_again_gives_the_same_arrays(some, fitted):
    again = fit_classifier(some, RECIPE)
    assert again.keys() == fitted.keys()
    assert all(np.array_equal(again[name], array) for name, array in fitted.items())


def test_a_classifier_knows_what_it_learnt(tiny, some):
    decisions = decide_all(Classifier.from_arrays(tiny.model.arrays), some.bitmaps)
    is_digit = some.labels != NON_DIGIT
    right = (
        Calibration.from_model(tiny.model)
        .digit_log_probabilities(decisions[is_digit])
        .argmax(axis=1)
        == some.labels[is_digit]
    )
    assert right.mean() > 0.97


def test_support_vectors_survive_half_precision_exactly(some, fitted):
    _, reduced = fit_reduction(to_features(some.bitmaps, from_grid=False), RECIPE)
    known = {row.tobytes() for row in reduced}
    assert all(row.tobytes() in known for row in fitted["support"].astype(np.float32))


def test_a_larger_gamma_is_a_narrower_kernel(some):
    _, reduced = fit_reduction(to_features(some.bitmaps, from_grid=False), RECIPE)
    wide, narrow = (fit_machine(reduced, some.labels, Recipe(gamma=gamma)) for gamma in (0.5, 4.0))
    assert narrow.gamma == pytest.approx(8 * wide.gamma)
    assert len(narrow.support_) > len(wide.support_)


def test_from_the_grid_only_the_grid_counts(some):
    grids = to_grids(some.bitmaps[:20])
    blocks = np.rint(grids * (255 / 16)).astype(np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    assert np.array_equal(
        to_features(blocks, from_grid=True), to_features(some.bitmaps[:20], from_grid=True)
    )
    assert not np.array_equal(
        to_features(blocks, from_grid=False), to_features(some.bitmaps[:20], from_grid=False)
    )


def test_features_of_many_are_those_of_each(some):
    many = np.resize(some.bitmaps, (1030, 32, 32))
    assert np.array_equal(
        to_features(many, from_grid=False)[1020:1025], to_features(many[1020:1025], from_grid=False)
    )


def test_a_calibration_is_two_weights_for_the_pairs_and_the_odds_of_a_whole_digit(tiny):
    found = fit_calibration(tiny.decisions, tiny.held.labels)
    assert {name: array.shape for name, array in found.items()} == {"votes": (2,), "whole": (2,)}
    assert (found["votes"] >= 0).all()
    assert all(np.array_equal(found[name], tiny.model.arrays[name]) for name in found)


def test_the_odds_of_a_whole_digit_are_those_of_its_pair_with_the_non_digit():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 11, 4000).astype(np.uint8)
    decisions = rng.normal(0, 0.1, (4000, 55)).astype(np.float32)
    against = rng.normal(np.where(labels == NON_DIGIT, -1, 1), 1)
    decisions[:, AGAINST_NON_DIGIT] = against[:, None]
    slope, bias = fit_calibration(decisions, labels)["whole"]
    assert slope == pytest.approx(2, rel=0.1)
    assert bias == pytest.approx(np.log(10), abs=0.2)


def test_what_is_whole_is_likelier_than_what_is_not(tiny):
    likelihoods = Calibration.from_model(tiny.model).log_likelihoods(tiny.decisions)
    whole = np.exp(likelihoods).sum(axis=1)
    is_digit = tiny.held.labels != NON_DIGIT
    assert whole[is_digit].mean() > whole[~is_digit].mean() + 0.5
    assert whole.mean() == pytest.approx(is_digit.mean(), abs=0.05)


def test_fitted_votes_are_calibrated_where_they_were_fitted(tiny):
    is_digit = tiny.held.labels != NON_DIGIT
    scores = Calibration.from_model(tiny.model).digit_log_probabilities(tiny.decisions[is_digit])
    right = (scores.argmax(axis=1) == tiny.held.labels[is_digit]).mean()
    assert np.exp(scores.max(axis=1)).mean() == pytest.approx(right, abs=0.04)


def test_the_logistic_model_finds_the_weights_that_made_the_data():
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(20_000, 2)) * (1, 10) + (0, 50)
    odds = 2 * seen[:, 0] - 0.1 * (seen[:, 1] - 50) + 0.5
    weights, bias = fit_logistic(
        seen, rng.random(len(seen)) < 1 / (1 + np.exp(-odds)), strength=100.0
    )
    assert weights == pytest.approx([2, -0.1], rel=0.1)
    assert bias == pytest.approx(5.5, rel=0.1)


def test_evidence_that_never_varies_gets_a_harmless_weight():
    rng = np.random.default_rng(0)
    seen = np.stack([rng.normal(size=500), np.full(500, 7.0)], axis=1)
    weights, bias = fit_logistic(seen, seen[:, 0] > 0, strength=1.0)
    assert np.isfinite(weights).all()
    assert np.isfinite(bias)
    assert weights[1] == pytest.approx(0, abs=1e-6)


def test_where_all_were_right_the_odds_grow_with_their_number():
    few, many = (
        fit_logistic(np.ones((count, 3), np.float32), np.ones(count, bool), strength=1.0)[1]
        for count in (10, 1000)
    )
    assert 0 < few < many
