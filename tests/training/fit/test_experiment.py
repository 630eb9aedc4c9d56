from dataclasses import replace

import numpy as np
import pytest

from zipocr.classify.normalize import to_bitmap, to_grids
from zipocr.errors import InputError
from zipocr.training.data.datasets import DIGITS_BLOCK, DigitSet
from zipocr.training.fit import experiment
from zipocr.training.fit.experiment import (
    Experiment,
    Tuning,
    folds,
    holdout,
    isolated_bitmaps,
    split_in_order,
    tune,
)
from zipocr.training.fit.svm import Recipe, fit_machine, fit_reduction, to_arrays, to_features

FROM_GRID = Recipe(from_grid=True)


@pytest.fixture
def scans(all_digits: DigitSet) -> DigitSet:
    """As NIST digits come.

    28x28 images without grids, here 30 digits by each of 20 writers, whose digits do not stand
    together.
    """
    some = all_digits.take(np.arange(600))
    return replace(
        some, writers=np.arange(600, dtype=np.int32) % 20, grids=np.zeros((0, 8, 8), np.uint8)
    )


def test_the_last_six_are_right_after_training_on_all_others(all_digits: DigitSet) -> None:
    found = holdout(all_digits, "6", FROM_GRID)
    assert np.array_equal(found.images, all_digits.grids[1791:])
    assert found.predicted.tolist() == found.actual.tolist() == [4, 9, 0, 8, 9, 8]
    assert found.accuracy == 1


def test_the_second_half_is_predicted_from_the_first(all_digits: DigitSet) -> None:
    found = holdout(all_digits, "half", FROM_GRID)
    assert np.array_equal(found.actual, all_digits.labels[898:])
    assert found.accuracy >= 0.985
    assert holdout(all_digits, "half", FROM_GRID).predicted.tolist() == found.predicted.tolist()


def test_what_is_held_out_does_not_train(all_digits: DigitSet) -> None:
    other = replace(
        all_digits, labels=np.concatenate([all_digits.labels[:898], 9 - all_digits.labels[898:]])
    )
    assert np.array_equal(
        holdout(other, "half", FROM_GRID).predicted,
        holdout(all_digits, "half", FROM_GRID).predicted,
    )


def test_the_experiment_sees_the_grid_alone(all_digits: DigitSet) -> None:
    blank = replace(all_digits, images=np.zeros_like(all_digits.images))
    assert (
        holdout(blank, "half", Recipe(from_grid=False)).accuracy
        == holdout(all_digits, "half", FROM_GRID).accuracy
    )


def test_the_confusion_matrix_counts_these_predictions() -> None:
    found = Experiment(
        images=np.zeros((3, 8, 8), np.uint8),
        actual=np.array([3, 3, 9], np.uint8),
        predicted=np.array([3, 8, 9], np.uint8),
    )
    assert found.confusion.shape == (10, 10)
    assert (
        found.confusion[3, 3],
        found.confusion[3, 8],
        found.confusion[9, 9],
        found.confusion.sum(),
    ) == (1, 1, 1, 3)
    assert found.accuracy == pytest.approx(2 / 3)


def test_the_parts_are_the_whole_in_its_order(all_digits: DigitSet) -> None:
    for split, last in (("6", 6), ("half", 899)):
        train, held = split_in_order(all_digits, split)
        assert len(held) == last
        assert np.array_equal(np.concatenate([train.grids, held.grids]), all_digits.grids)


def test_the_grids_of_digits_survive_the_bitmap_exactly(all_digits: DigitSet) -> None:
    bitmaps = isolated_bitmaps(all_digits)
    assert (bitmaps.shape, bitmaps.dtype) == ((1797, 32, 32), np.uint8)
    assert np.array_equal(to_grids(bitmaps), all_digits.grids)


def test_every_level_of_ink_survives_the_bitmap() -> None:
    levels = np.arange(17, dtype=np.uint8)[:, None, None] * np.ones((1, 8, 8), np.uint8)
    digits = DigitSet(
        images=np.zeros((17, 28, 28), np.uint8),
        labels=levels[:, 0, 0],
        writers=np.zeros(17, np.int32),
        grids=levels,
    )
    assert np.array_equal(to_grids(isolated_bitmaps(digits)), levels)


def test_scans_are_normalized_as_a_region_is(scans: DigitSet) -> None:
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 8:20] = 255
    drawn = isolated_bitmaps(replace(scans.take(np.array([0])), images=image[None]))
    assert np.array_equal(drawn[0], to_bitmap(np.ones((60, 36), np.bool_)))
    assert isolated_bitmaps(scans).shape == (600, 32, 32)


def test_a_blank_scan_is_a_blank_bitmap_and_no_scans_are_none(scans: DigitSet) -> None:
    assert not isolated_bitmaps(replace(scans, images=np.zeros_like(scans.images))).any()
    assert isolated_bitmaps(scans.take(np.zeros(600, np.bool_))).shape == (0, 32, 32)


def test_inputs_are_not_changed(all_digits: DigitSet, scans: DigitSet) -> None:
    grids, images = all_digits.grids.copy(), scans.images.copy()
    isolated_bitmaps(all_digits)
    isolated_bitmaps(scans)
    assert np.array_equal(all_digits.grids, grids)
    assert np.array_equal(scans.images, images)


def test_every_digit_is_held_out_once_and_without_its_writer(
    all_digits: DigitSet, scans: DigitSet
) -> None:
    for digits in (all_digits, scans, split_in_order(all_digits, "half")[0]):
        held = np.array(list(folds(digits)))
        assert len(held) == 5
        assert (held.sum(axis=0) == 1).all()
        assert all(
            not np.intersect1d(digits.writers[one], digits.writers[~one]).size for one in held
        )


def test_the_folds_of_digits_are_contiguous_runs_of_whole_blocks(all_digits: DigitSet) -> None:
    for held in folds(split_in_order(all_digits, "6")[0]):
        places = np.flatnonzero(held)
        assert places[0] % DIGITS_BLOCK == 0
        assert np.array_equal(places, np.arange(places[0], places[0] + len(places)))


def test_few_writers_make_fewer_folds_and_one_writer_none(scans: DigitSet) -> None:
    assert len(list(folds(scans.take(scans.writers < 2)))) == 2
    with pytest.raises(InputError, match="two writers"):
        tune(scans.take(scans.writers < 1), (1,), (1,), Recipe(components=10))


def test_tuning_tries_every_pair_and_knows_the_best(all_digits: DigitSet) -> None:
    some = split_in_order(all_digits, "half")[0]
    found = tune(some, (10, 0.001), (1000, 1), FROM_GRID)
    assert (found.c_values.tolist(), found.gamma_values.tolist()) == ([0.001, 10], [1, 1000])
    assert found.best == (10, 1)
    assert found.accuracy[1, 0] > 0.94
    assert found.accuracy[:, 1].max() < 0.6
    assert np.array_equal(tune(some, (10, 0.001), (1000, 1), FROM_GRID).accuracy, found.accuracy)


def test_of_equals_the_smoothest_machine_is_best() -> None:
    accuracy = np.array([[0.8, 0.9, 0.9], [0.9, 0.7, 0.9]])
    assert Tuning(
        c_values=np.array([1.0, 10.0]), gamma_values=np.array([0.5, 1.0, 2.0]), accuracy=accuracy
    ).best == (1, 1)


def test_tuning_sees_scans_and_only_so_many(
    scans: DigitSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment, "TUNED_ON", 370)
    right = tune(scans, (10,), (1,), Recipe(components=40)).accuracy * 370
    assert right == pytest.approx(np.round(right))
    assert 0.8 * 370 < right.item() < 370
    drawn_otherwise = tune(scans, (10,), (1,), Recipe(components=40, seed=1)).accuracy * 370
    assert drawn_otherwise != right


def test_a_model_file_of_ten_classes_holds_the_machine_of_the_experiment(
    all_digits: DigitSet,
) -> None:
    train, _ = split_in_order(all_digits, "half")
    reduction, reduced = fit_reduction(
        to_features(isolated_bitmaps(train), from_grid=True), FROM_GRID
    )
    machine = fit_machine(reduced, train.labels, FROM_GRID)
    arrays = to_arrays(reduction, machine, FROM_GRID)
    assert np.array_equal(arrays["support"], machine.support_vectors_)
    assert np.array_equal(arrays["intercepts"], machine.intercept_.astype(np.float32))
    assert arrays["gamma"] == machine.gamma
