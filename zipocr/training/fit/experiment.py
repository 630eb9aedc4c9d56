"""Experiments with isolated digits.

Train on some, predict others, and find the C and gamma that do it best.

A region of a scan is never seen here: the figures compare with what is published on Digits and NIST
digits, and say nothing of whole ZIPs.
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
# How many moved copies of each digit are learnt. Cross-validated on the first half of Digits: 20 of
# 898 wrong with 6, 22 with none.
COPIES = 6
C_VALUES = (0.3, 1.0, 3.0, 10.0, 30.0)
GAMMA_VALUES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
FOLDS = 5
# So many digits rank the pairs of C and gamma in a minute; the time grows with the square of their
# number.
TUNED_ON = 5000
# NIST digits are brought to about the size of strokes on a scan, where a pixel less or more no
# longer shows.
ENLARGEMENT = 3
INKED = 110


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Experiment:
    """Held-out digits and what they were read as.

    ``images`` is ``(M, 8, 8) uint8``, 0 paper to 16 ink; ``actual`` and ``predicted`` are ``(M,)
    uint8``, 0 to 9.
    """

    images: NDArray[np.uint8]
    actual: NDArray[np.uint8]
    predicted: NDArray[np.uint8]

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Counts of these predictions: (10, 10), row: actual, column: predicted."""
        counts: NDArray[np.int64] = confusion_matrix(self.actual, self.predicted, labels=range(10))
        return counts

    @property
    def accuracy(self) -> float:
        """Share of the held-out digits read right."""
        return float((self.actual == self.predicted).mean())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tuning:
    """The cross-validated accuracy of every pair of C and gamma that was tried.

    ``c_values`` is ``(A,)`` and ``gamma_values`` ``(B,)``, both rising, gamma in the units of
    `Recipe`; ``accuracy`` is ``(A, B)``, 0 to 1.
    """

    c_values: NDArray[np.float64]
    gamma_values: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def best(self) -> tuple[float, float]:
        """C and gamma of the highest accuracy.

        Of equals the smallest C, then the smallest gamma, which is the smoothest machine.
        """
        row, column = np.unravel_index(int(self.accuracy.argmax()), self.accuracy.shape)
        return float(self.c_values[row]), float(self.gamma_values[column])


def split_in_order(digits: DigitSet, split: Holdout) -> tuple[DigitSet, DigitSet]:
    """Digits to train on and digits to predict.

    All but the last six and those six, or the first half and the second, in their order.
    """
    first = len(digits) - LAST if split == "6" else len(digits) // 2
    numbers = np.arange(len(digits))
    return digits.take(numbers[:first]), digits.take(numbers[first:])


def holdout(digits: DigitSet, split: Holdout, recipe: Recipe) -> Experiment:
    """Train on the first digits and predict the last, each from its 8x8 grid alone.

    Those that train are taken as they are and in `COPIES` that are moved a little.

    Parameters
    ----------
    digits : DigitSet
        Digits that come as grids, in their original order.
    split : {"6", "half"}
        How many are predicted: the last six, or the second half.
    recipe : Recipe
        Settings of the classifier, which knows ten classes here: among isolated digits there is no
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
        Digits to train on; nothing else is seen, so that what is held out stays out. Of more than
        `TUNED_ON`, so many are drawn by the recipe's seed, from all writers alike.
    c_values, gamma_values : sequence of float
        What to try, in any order.
    recipe : Recipe
        All other settings.

    Returns
    -------
    Tuning

    Raises
    ------
    InputError
        When all digits are by one writer.
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
    """Deal the writers to at most `FOLDS` folds.

    Yields for each (N,) bool, True for the digits it holds out.

    The blocks of Digits are not shuffled: a writer whose digits reach over the end of a block is
    split only where two folds meet.
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
    """Draw isolated digits as a region of a scan is drawn.

    Parameters
    ----------
    digits : DigitSet

    Returns
    -------
    (N, 32, 32) uint8
        0 paper to 255 ink. Digits that come as grids are drawn in blocks whose counts give these
        grids exactly.
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
    """Digits of a fold that each recipe reads right.

    (R,). The projection is fitted once, it depends on neither C nor gamma.
    """
    reduction, train = fit_reduction(features[~held], recipes[0])
    test = reduction.transform(features[held])
    return np.array(
        [
            (fit_machine(train, labels[~held], one).predict(test) == labels[held]).sum()
            for one in recipes
        ]
    )
