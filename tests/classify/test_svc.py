from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from drawings import write
from sklearn.svm import SVC

from zipocr.classify.normalize import to_bitmap, to_grids
from zipocr.classify.svc import CLASSES, NON_DIGIT, PAIRS, Classifier, by_class
from zipocr.models.model_file import SHIPPED, load_model
from zipocr.training.fit.svm import (
    Recipe,
    decide_all,
    fit_machine,
    fit_reduction,
    to_arrays,
    to_features,
)


@pytest.fixture(scope="module")
def regions(all_digits) -> tuple[np.ndarray, np.ndarray]:
    """Bitmaps of digits and of half digits, which are non-digits, with their classes."""
    images, labels = all_digits.images[:600] > 127, all_digits.labels[:600]
    drawn = [to_bitmap(one) for one in images]
    halves = [to_bitmap(one[:, :14] | one[:, :13:-1]) for one in images[:80]]
    return np.stack(drawn + halves), np.append(labels, [NON_DIGIT] * 80)


@pytest.fixture(scope="module", params=[False, True], ids=["from bitmaps", "from grids"])
def fitted(request, regions):
    """scikit-learn's SVM, its input features, our classifier from the same fit, and bitmaps."""
    bitmaps, labels = regions
    recipe = Recipe(components=25, from_grid=request.param)
    reduction, reduced = fit_reduction(to_features(bitmaps, from_grid=request.param), recipe)
    machine = fit_machine(reduced, labels, recipe)
    machine.decision_function_shape = "ovo"
    ours = Classifier.from_arrays(to_arrays(reduction, machine, recipe))
    held = bitmaps[-200:]
    return machine, reduction.transform(to_features(held, from_grid=request.param)), ours, held


def test_decisions_match_scikit_learn(fitted):
    machine, seen, ours, bitmaps = fitted
    expected = machine.decision_function(seen)
    assert expected.shape == (200, 55)
    assert np.ptp(expected) > 2
    assert decide_all(ours, bitmaps) == pytest.approx(expected, abs=1e-3)


def test_classes_match_scikit_learn(fitted):
    machine, seen, ours, bitmaps = fitted
    won = np.zeros((len(bitmaps), CLASSES), int)
    for column, (one, other) in enumerate(PAIRS):
        first = decide_all(ours, bitmaps)[:, column] > 0
        won[:, one] += first
        won[:, other] += ~first
    expected = machine.predict(seen)
    assert len(np.unique(expected)) == CLASSES
    assert np.array_equal(won.argmax(axis=1), expected)


def test_features_match_scikit_learn(fitted):
    _, seen, ours, bitmaps = fitted
    assert ours.features(bitmaps) == pytest.approx(seen, abs=1e-4)


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("seed", range(3))
def test_results_of_a_character_are_bit_identical_in_any_batch(name, seed, regions):
    """In any order, and in batches of any size from one to eighty."""
    ours, rng = Classifier.from_model(load_model(name)), np.random.default_rng(seed)
    bitmaps = regions[0][-240:]
    features, decisions = features_and_decisions(ours, bitmaps)
    order, start = rng.permutation(len(bitmaps)), 0
    while start < len(order):
        some = order[start : start + int(rng.integers(1, 81))]
        beside, decided = features_and_decisions(ours, bitmaps[some])
        assert beside.tobytes() == features[some].tobytes()
        assert decided.tobytes() == decisions[some].tobytes()
        start += len(some)


@pytest.mark.parametrize("name", SHIPPED)
def test_results_of_the_first_character_are_bit_identical_at_any_batch_size(name, regions):
    ours, bitmaps = Classifier.from_model(load_model(name)), regions[0]
    features, decisions = features_and_decisions(ours, bitmaps[:1])
    for size in range(1, 81):
        beside, decided = features_and_decisions(ours, bitmaps[:size])
        assert (len(beside), len(decided)) == (size, size)
        assert beside[0].tobytes() == features[0].tobytes()
        assert decided[0].tobytes() == decisions[0].tobytes()


def features_and_decisions(
    classifier: Classifier, bitmaps: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    features = classifier.features(bitmaps)
    return features, classifier.decision_function(features)


def test_inputs_are_not_changed(fitted):
    ours, bitmaps = fitted[2], fitted[3][:5]
    seen = bitmaps.copy()
    features = ours.features(bitmaps)
    projected = features.copy()
    ours.decision_function(features)
    assert np.array_equal(features, projected)
    assert np.array_equal(bitmaps, seen)


def test_a_classifier_uses_either_the_grid_alone_or_the_bitmap_alone():
    bitmaps = np.stack([to_bitmap(write(letter).ink) for letter in "02346"])
    # Shuffled within its blocks, a bitmap has the same grid.
    blocks = bitmaps.reshape(-1, 8, 4, 8, 4)
    shuffled = blocks[:, :, ::-1, :, ::-1].reshape(bitmaps.shape)
    assert np.array_equal(to_grids(shuffled), to_grids(bitmaps))
    shipped = Classifier.from_model(load_model("mail"))
    by_bitmap, by_grid = (replace(shipped, from_grid=used) for used in (False, True))
    assert np.array_equal(by_grid.features(shuffled), by_grid.features(bitmaps))
    assert not np.allclose(by_bitmap.features(shuffled), by_bitmap.features(bitmaps), atol=1e-3)
    assert not np.allclose(by_grid.features(bitmaps), by_bitmap.features(bitmaps), atol=1e-3)


def test_the_pairs_are_all_pairs_of_eleven_classes():
    assert len(PAIRS) == 55
    assert list(PAIRS) == list(combinations(range(11), 2))


@pytest.mark.parametrize("classes", [3, 4, 7])
def test_coefficients_by_class_reproduce_the_decisions_of_scikit_learn(classes):
    rng = np.random.default_rng(classes)
    labels = np.arange(30 * classes) % classes
    points = rng.normal(size=(len(labels), 2)) + labels[:, None]
    machine = SVC(kernel="linear", decision_function_shape="ovo").fit(points, labels)
    parts = by_class(machine.dual_coef_.astype(np.float32), machine.n_support_)
    assert [part.shape for part in parts] == [(count, classes - 1) for count in machine.n_support_]
    kernels = np.split(
        points @ machine.support_vectors_.T, np.cumsum(machine.n_support_)[:-1], axis=1
    )
    sums = [kernel @ part for kernel, part in zip(kernels, parts, strict=True)]
    found = np.stack(
        [sums[one][:, two - 1] + sums[two][:, one] for one, two in combinations(range(classes), 2)],
        axis=1,
    )
    assert found + machine.intercept_ == pytest.approx(machine.decision_function(points), abs=1e-4)
