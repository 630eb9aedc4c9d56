"""A real model, but a tiny one: learnt in seconds from strings of scikit-learn's Digits, and read well enough to test the reader with."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from zipocr.classify.svc import Classifier
from zipocr.training.calibrate import calibrate
from zipocr.training.compose import Composer
from zipocr.training.datasets import DigitSet
from zipocr.training.fit import Recipe, decide_all, fit_classifier, fit_scores
from zipocr.training.gather import Samples, gather
from zipocr.training.negatives import Negatives
from zipocr.types import Floats, Model

RECIPE = Recipe(components=30)
# Hard enough that some are read wrong: where none are, there is nothing to fit a confidence to.
CALIBRATION_KINDS = {"plain": 1.0, "touching": 2.0, "noisy": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tiny:
    """The model, and what its classifier (``samples``) and its scores (``held``, ``decisions``) were fitted to."""

    model: Model
    facts: dict[str, Any]
    samples: Samples
    held: Samples
    decisions: Floats


def make_tiny(digits: DigitSet) -> Tiny:
    """The same model on every run."""
    samples = gather(Composer(digits, seed=100, kinds={"plain": 2, "touching": 1}, each_once=True), 100, jobs=1)
    held = gather(Composer(digits, seed=200, kinds={"plain": 1, "touching": 1}), 25, jobs=1, non_digits=60)
    arrays: dict[str, NDArray[Any]] = fit_classifier(samples, held, RECIPE)
    decisions = decide_all(Classifier.from_arrays(arrays), held.bitmaps)
    arrays |= fit_scores(decisions, held.geometry, held.labels)
    strings = Composer(digits, seed=300, kinds=CALIBRATION_KINDS)
    others = Negatives(digits, seed=400, part="train", kinds={"six": 1.0, "blank": 1.0})
    certain, facts = calibrate(arrays, strings, others, 16, jobs=1)
    passport = {"data": "a test's"}
    return Tiny(model=Model(arrays={**arrays, **certain}, passport=passport), facts=facts, samples=samples, held=held, decisions=decisions)
