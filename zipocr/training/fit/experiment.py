"""Experiments with isolated digits.

Hold-out predictions, and a grid search for C and gamma.

No regions of scans are involved: the figures are comparable to published ones on Digits and NIST
digits, and say nothing about whole ZIPs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import GroupKFold

from zipocr.classify.gradients import enlarge
from zipocr.classify.normalize import BITMAP, BLOCK, to_bitmap, to_grids
from zipocr.errors import InputError
from zipocr.training.data.datasets import DigitSet
from zipocr.training.fit.svm import Recipe, fit_machine, fit_reduction, to_features
from zipocr.training.synthesis.augment import moved_bitmap
from zipocr.types import Floats

Holdout: TypeAlias = Literal["6", "half"]
LAST = 6
# Number of augmented copies of each training digit, chosen by cross-validation on the first half of
# Digits.
COPIES = 6
C_VALUES = (0.3, 1.0, 3.0, 10.0, 30.0)
GAMMA_VALUES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
FOLDS = 5
# Maximum number of digits for the grid search, since its time grows quadratically.
TUNED_ON = 5000
# Enlargement of NIST digits to about the size of strokes on a scan, where single pixels do not
# matter.
ENLARGEMENT = 3
INKED = 110


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Experiment:
    """Held-out digits and their predicted classes.

    ``images`` is ``(M, 8, 8) uint8``, 0 paper to 16 ink; ``actual`` and ``predicted`` are ``(M,)
    uint8``, 0 to 9.
    """

    images: NDArray[np.uint8]
    actual: NDArray[np.uint8]
    predicted: NDArray[np.uint8]

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Return the confusion matrix: (10, 10), row: actual, column: predicted."""
        counts: NDArray[np.int64] = confusion_matrix(self.actual, self.predicted, labels=range(10))
        return counts

    @property
    def accuracy(self) -> float:
        """Share of the held-out digits predicted right."""
        return float((self.actual == self.predicted).mean())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tuning:
    """The cross-validated accuracy of every tried pair of C and gamma.

    ``c_values`` is ``(A,)`` and ``gamma_values`` ``(B,)``, both ascending, gamma in the units of
    `Recipe`; ``accuracy`` is ``(A, B)``, 0 to 1.
    """

    c_values: NDArray[np.float64]
    gamma_values: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def best(self) -> tuple[float, float]:
        """Return C and gamma with the highest accuracy.

        Ties are resolved by the smallest C, then the smallest gamma, the smoothest model.
        """
        row, column = np.unravel_index(int(self.accuracy.argmax()), self.accuracy.shape)
        return float(self.c_values[row]), float(self.gamma_values[column])


def split_in_order(digits: DigitSet, split: Holdout) -> tuple[DigitSet, DigitSet]:
    """Return digits to train on and digits to predict.

    All but the last six and those six, or the first and the second half, in their order.
    """
    first = len(digits) - LAST if split == "6" else len(digits) // 2
    numbers = np.arange(len(digits))
    return digits.take(numbers[:first]), digits.take(numbers[first:])


def holdout(digits: DigitSet, split: Holdout, recipe: Recipe) -> Experiment:
    """Train on the first digits and predict the last, each only from its 8x8 grid.

    Training digits are used unmodified and in `COPIES` slightly distorted copies.

    Parameters
    ----------
    digits : DigitSet
        Digits with grids, in their original order.
    split : {"6", "half"}
        The digits to predict: the last six, or the second half.
    recipe : Recipe
        Settings of the classifier, which has ten classes here, since isolated digits include no
        non-digit.

    Returns
    -------
    Experiment
    """
    recipe = replace(recipe, from_grid=True)
    train, held = split_in_order(digits, split)
    drawn = enlarge(to_grids(isolated_bitmaps(train)))
    rng = np.random.default_rng(recipe.seed)
    shown = np.concatenate(
        [drawn, *(np.stack([moved_bitmap(rng, one) for one in drawn]) for _ in range(COPIES))]
    )
    reduction, reduced = fit_reduction(to_features(shown, from_grid=False), recipe)
    machine = fit_machine(reduced, np.tile(train.labels, COPIES + 1), recipe)
    return Experiment(
        images=held.grids,
        actual=held.labels,
        predicted=machine.predict(reduction.transform(_features(held, recipe))),
    )


def tune(
    digits: DigitSet, c_values: Sequence[float], gamma_values: Sequence[float], recipe: Recipe
) -> Tuning:
    """Cross-validate every pair of C and gamma, with no writer on both sides.

    Parameters
    ----------
    digits : DigitSet
        Digits to train on; nothing else is used, so that held-out digits remain unseen. If there
        are more than `TUNED_ON`, a sample of that size over all writers is drawn with the recipe's
        seed.
    c_values, gamma_values : sequence of float
        Values to try, in any order.
    recipe : Recipe
        All other settings.

    Returns
    -------
    Tuning

    Raises
    ------
    InputError
        If all digits are by one writer.
    """
    digits = _drawn(digits, recipe.seed)
    features = _features(digits, recipe)
    c_sorted, gamma_sorted = np.unique(c_values), np.unique(gamma_values)
    recipes = [
        replace(recipe, C=float(c), gamma=float(gamma)) for c in c_sorted for gamma in gamma_sorted
    ]
    right = np.zeros(len(recipes))
    for held in folds(digits):
        right += _count_right(features, digits.labels, held, recipes)
    accuracy = (right / len(digits)).reshape(len(c_sorted), len(gamma_sorted))
    return Tuning(c_values=c_sorted, gamma_values=gamma_sorted, accuracy=accuracy)


def folds(digits: DigitSet) -> Iterator[NDArray[np.bool_]]:
    """Divide the writers into at most `FOLDS` folds.

    Yields a mask of held-out digits for each, (N,) bool.

    The blocks of Digits are not shuffled, so that a writer whose digits extend over two blocks is
    split only at a boundary of folds.
    """
    names, places = np.unique(digits.writers, return_inverse=True)
    count = min(FOLDS, len(names))
    if count == 1:
        raise InputError(
            "Cross-validation needs digits of two writers or more, but all are by one. Give more"
            " digits, or C and gamma."
        )
    if len(digits.grids):
        dealt = places * count // len(names)
        yield from (dealt == fold for fold in range(count))
        return
    for _, held in GroupKFold(count).split(places, groups=places):
        yield np.isin(np.arange(len(digits)), held)


def isolated_bitmaps(digits: DigitSet) -> NDArray[np.uint8]:
    """Draw isolated digits like regions of a scan.

    Parameters
    ----------
    digits : DigitSet

    Returns
    -------
    (N, 32, 32) uint8
        0 paper to 255 ink. Digits with grids are drawn as blocks whose counts reproduce the grids
        exactly.
    """
    if len(digits.grids):
        levels: NDArray[np.uint8] = np.rint(digits.grids * (255 / BLOCK**2)).astype(np.uint8)
        blocks: NDArray[np.uint8] = levels.repeat(BLOCK, axis=1).repeat(BLOCK, axis=2)
        return blocks
    return np.array([_normalized(image) for image in digits.images], np.uint8).reshape(
        -1, BITMAP, BITMAP
    )


def _normalized(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    ink = (
        cv2.resize(image, None, fx=ENLARGEMENT, fy=ENLARGEMENT, interpolation=cv2.INTER_CUBIC)
        > INKED
    )
    return to_bitmap(ink) if ink.any() else np.zeros((BITMAP, BITMAP), np.uint8)


def _features(digits: DigitSet, recipe: Recipe) -> Floats:
    return to_features(isolated_bitmaps(digits), from_grid=recipe.from_grid)


def _drawn(digits: DigitSet, seed: int) -> DigitSet:
    if len(digits) <= TUNED_ON:
        return digits
    return digits.take(
        np.sort(np.random.default_rng(seed).choice(len(digits), TUNED_ON, replace=False))
    )


def _count_right(
    features: Floats, labels: NDArray[np.uint8], held: NDArray[np.bool_], recipes: Sequence[Recipe]
) -> NDArray[np.int64]:
    """Count the digits of a fold that each recipe predicts right.

    (R,). The projection is fitted once, since it depends on neither C nor gamma.
    """
    reduction, train = fit_reduction(features[~held], recipes[0])
    test = reduction.transform(features[held])
    return np.array(
        [
            (fit_machine(train, labels[~held], one).predict(test) == labels[held]).sum()
            for one in recipes
        ]
    )
