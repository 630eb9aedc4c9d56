from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from sklearn.svm import SVC

from zipocr.classify.svc import CLASSES, PAIRS, Classifier, by_class
from zipocr.normalize import to_grids
from zipocr.training.fit import Recipe, decide_all, fit_machine, fit_reduction, to_arrays, to_features


@pytest.fixture(scope="module", params=[False, True], ids=["from bitmaps", "from grids"])
def fitted(request, tiny):
    """Some samples, scikit-learn's machine with the features it sees, and ours of the same fit."""
    some = tiny.samples
    recipe = Recipe(components=25, from_grid=request.param)
    reduction, reduced = fit_reduction(to_features(some.bitmaps, from_grid=request.param), recipe)
    machine = fit_machine(reduced, some.labels, recipe)
    machine.decision_function_shape = "ovo"
    ours = Classifier.from_arrays(to_arrays(reduction, machine, recipe))
    held = tiny.samples.bitmaps[::5][:200]
    return machine, reduction.transform(to_features(held, from_grid=request.param)), ours, held


def test_the_decisions_are_those_of_scikit_learn(fitted):
    machine, seen, ours, bitmaps = fitted
    expected = machine.decision_function(seen)
    assert expected.shape == (200, 55)
    assert np.ptp(expected) > 2
    assert decide_all(ours, bitmaps) == pytest.approx(expected, abs=1e-3)


def test_the_classes_are_those_of_scikit_learn(fitted):
    machine, seen, ours, bitmaps = fitted
    won = np.zeros((len(bitmaps), CLASSES), int)
    for column, (one, other) in enumerate(PAIRS):
        first = decide_all(ours, bitmaps)[:, column] > 0
        won[:, one] += first
        won[:, other] += ~first
    expected = machine.predict(seen)
    assert len(np.unique(expected)) == CLASSES
    assert np.array_equal(won.argmax(axis=1), expected)


def test_the_features_are_those_of_scikit_learn(fitted):
    _, seen, ours, bitmaps = fitted
    assert ours.features(bitmaps, to_grids(bitmaps)) == pytest.approx(seen, abs=1e-4)


@pytest.mark.parametrize("size", [1, 5, 64])
def test_decisions_do_not_depend_on_the_batch(fitted, size):
    ours, bitmaps = fitted[2], fitted[3]
    whole = decide_all(ours, bitmaps)
    parts = [decide_all(ours, bitmaps[start : start + size]) for start in range(0, 130, size)]
    found = np.concatenate(parts)
    assert found == pytest.approx(whole[: len(found)], abs=1e-4)


def test_the_same_batch_gives_the_same_bits(fitted):
    ours, bitmaps = fitted[2], fitted[3]
    assert decide_all(ours, bitmaps).tobytes() == decide_all(ours, bitmaps.copy()).tobytes()


def test_inputs_are_not_changed(fitted):
    ours, bitmaps = fitted[2], fitted[3][:5]
    grids = to_grids(bitmaps)
    seen, counted = bitmaps.copy(), grids.copy()
    features = ours.features(bitmaps, grids)
    projected = features.copy()
    ours.decide(features)
    assert np.array_equal(features, projected)
    assert np.array_equal(bitmaps, seen)
    assert np.array_equal(grids, counted)


def test_one_sees_the_grid_alone_and_the_other_the_bitmap_alone(tiny):
    bitmaps = tiny.held.bitmaps[:5]
    grids, blank = to_grids(bitmaps), np.zeros_like(bitmaps)
    by_bitmap = Classifier.from_arrays(tiny.model.arrays)
    by_grid = replace(by_bitmap, from_grid=True)
    assert np.array_equal(by_bitmap.features(bitmaps, np.zeros_like(grids)), by_bitmap.features(bitmaps, grids))
    assert np.array_equal(by_grid.features(blank, grids), by_grid.features(bitmaps, grids))
    assert not np.array_equal(by_grid.features(bitmaps, grids), by_bitmap.features(bitmaps, grids))


def test_the_pairs_are_all_pairs_of_eleven_classes():
    assert len(PAIRS) == 55
    assert list(PAIRS) == list(combinations(range(11), 2))


@pytest.mark.parametrize("classes", [3, 4, 7])
def test_coefficients_by_class_give_the_decisions_of_scikit_learn(classes):
    rng = np.random.default_rng(classes)
    labels = np.arange(30 * classes) % classes
    points = rng.normal(size=(len(labels), 2)) + labels[:, None]
    machine = SVC(kernel="linear", decision_function_shape="ovo").fit(points, labels)
    parts = by_class(machine.dual_coef_.astype(np.float32), machine.n_support_)
    assert [part.shape for part in parts] == [(count, classes - 1) for count in machine.n_support_]
    kernels = np.split(points @ machine.support_vectors_.T, np.cumsum(machine.n_support_)[:-1], axis=1)
    sums = [kernel @ part for kernel, part in zip(kernels, parts, strict=True)]
    found = np.stack([sums[one][:, two - 1] + sums[two][:, one] for one, two in combinations(range(classes), 2)], axis=1)
    assert found + machine.intercept_ == pytest.approx(machine.decision_function(points), abs=1e-4)
