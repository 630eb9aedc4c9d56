"""A real model, but a tiny one: its SVC learns a few strings of scikit-learn's Digits in seconds.

Its network is taken from a shipped model.
"""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from zipocr.classify.svc import Classifier
from zipocr.models.model_file import load_model
from zipocr.training.data.datasets import DigitSet
from zipocr.training.fit.calibrate import calibrate
from zipocr.training.fit.network_phases import taken_networks
from zipocr.training.fit.orientation import fit_orientation
from zipocr.training.fit.region_samples import Samples, gather
from zipocr.training.fit.svm import Recipe, decide_all, fit_calibration, fit_classifier
from zipocr.training.synthesis.compose import Composer
from zipocr.training.synthesis.negatives import Negatives
from zipocr.types import Floats, Model

RECIPE = Recipe(components=30)
# Hard enough that some are read wrong: without errors there is no confidence to fit.
CALIBRATION_KINDS = {"plain": 1.0, "touching": 2.0, "noisy": 1.0}
CALIBRATED, ORIENTED = 12, 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tiny:
    """The model, and what its SVC (``samples``) and its calibration (``held``) were fitted to.

    ``decisions`` are those of the SVC on ``held``, ``facts`` what the calibration measured.
    """

    model: Model
    facts: dict[str, Any]
    samples: Samples
    held: Samples
    decisions: Floats


def make_tiny(digits: DigitSet) -> Tiny:
    """Return the same model on every run."""
    learnt = Composer(digits, seed=100, kinds={"plain": 2, "touching": 1}, each_once=True)
    samples = gather(learnt, 80, jobs=1)
    held = gather(Composer(digits, seed=200, kinds={"plain": 1, "touching": 1}), 25, jobs=1)
    arrays: dict[str, NDArray[Any]] = fit_classifier(samples, RECIPE)
    decisions = decide_all(Classifier.from_arrays(arrays), held.bitmaps)
    arrays |= fit_calibration(decisions, held.labels) | taken_networks(load_model("digits"))
    strings = Composer(digits, seed=300, kinds=CALIBRATION_KINDS)
    others = Negatives(digits, seed=400, part="train", kinds={"six": 1.0, "blank": 1.0})
    certain, facts = calibrate(arrays, {"own": strings}, others, CALIBRATED, jobs=1)
    arrays |= certain
    arrays |= fit_orientation(arrays, [learnt], [strings], ORIENTED, jobs=1)
    model = Model(arrays=arrays, card={"data": "a test's"})
    return Tiny(model=model, facts=facts, samples=samples, held=held, decisions=decisions)
