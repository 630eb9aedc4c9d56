import numpy as np
import pytest
from sklearn.metrics.pairwise import rbf_kernel

from zipocr.classify.svc import NON_DIGIT, PAIRS, Classifier
from zipocr.training.adapt.svm_adaptation import (
    AdaptationSet,
    kernel,
    learn_pairs,
    penalty,
    to_adaptation_set,
    with_adaptation,
)


@pytest.fixture(scope="module")
def arrays(tiny):
    return tiny.model.arrays


@pytest.fixture(scope="module")
def lore(tiny, arrays):
    """Digits that the classifier knows under wrong names, so that it has something to learn."""
    some = tiny.held.take(np.arange(len(tiny.held)) < 60)
    found = to_adaptation_set(arrays, some, np.arange(len(some)))
    labels = np.where(found.labels == NON_DIGIT, found.labels, (found.labels + 1) % 10).astype(
        np.uint8
    )
    return AdaptationSet(
        features=found.features, labels=labels, decisions=found.decisions, owners=found.owners
    )


def test_the_kernel_is_that_of_radial_basis_functions(lore):
    assert kernel(lore.features, lore.features[:5], 0.3) == pytest.approx(
        rbf_kernel(lore.features, lore.features[:5], 0.3), abs=1e-5
    )


def test_a_model_file_decides_as_the_old_one_and_what_was_learnt_together(arrays, lore):
    [coefficients] = learn_pairs(lore, float(arrays["gamma"]), [penalty(arrays)])
    new = with_adaptation(arrays, lore, coefficients)
    assert len(new["support"]) == len(arrays["support"]) + coefficients.any(axis=1).sum()
    assert (new["support_counts"].sum(), new["dual"].shape[1]) == (len(new["support"]),) * 2
    assert {name: array.dtype for name, array in new.items()} == {
        name: array.dtype for name, array in arrays.items()
    }
    wanted = (
        lore.decisions + kernel(lore.features, lore.features, float(arrays["gamma"])) @ coefficients
    )
    assert Classifier.from_arrays(new).decision_function(lore.features) == pytest.approx(
        wanted, abs=1e-3
    )


def test_every_sample_is_decided_with_a_margin_or_weighs_all_it_may(arrays, lore):
    bounds = [0.05 * penalty(arrays), penalty(arrays)]
    for bound, coefficients in zip(
        bounds, learn_pairs(lore, float(arrays["gamma"]), bounds), strict=True
    ):
        decisions = (
            lore.decisions
            + kernel(lore.features, lore.features, float(arrays["gamma"])) @ coefficients
        )
        for column, pair in enumerate(PAIRS):
            own = np.isin(lore.labels, pair)
            margin = np.where(lore.labels == pair[0], 1, -1) * decisions[:, column]
            weight = np.abs(coefficients[:, column])
            assert not weight[~own].any()
            assert (weight <= bound * 1.0001).all()
            assert (margin[own & (weight < bound * 0.99)] > 0.97).all()
            assert (margin[own & (weight > bound * 0.01)] < 1.03).all()


def test_what_is_known_already_changes_nothing(arrays, lore):
    decisions = np.zeros_like(lore.decisions)
    for column, pair in enumerate(PAIRS):
        decisions[:, column] = np.where(lore.labels == pair[0], 2, -2)
    known = AdaptationSet(
        features=lore.features, labels=lore.labels, decisions=decisions, owners=lore.owners
    )
    [coefficients] = learn_pairs(known, float(arrays["gamma"]), [1.0])
    assert not coefficients.any()
    assert all(
        np.array_equal(array, arrays[name])
        for name, array in with_adaptation(arrays, known, coefficients).items()
    )
