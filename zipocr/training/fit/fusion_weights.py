"""Fitting of the weights for the fusion of both readers' scores."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from zipocr.decode.fusion import FEATURES, to_matrix
from zipocr.preprocess.page import prepare
from zipocr.reader import Reader
from zipocr.training.fit.region_samples import map_strings
from zipocr.training.synthesis.compose import Composer
from zipocr.types import Model

# Initial weights for reading before any are fitted.
START = np.array([0.7, 0.1, 0.2, 0.0])
# L2 regularization of the weights.
RIDGE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FusionSample:
    """The candidate strings of a page: (K, FEATURES) features, and the index of the right one."""

    features: NDArray[np.float64]
    right: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Collect:
    """Task that reads one string of a composer."""

    reader: Reader
    composer: Composer

    def __call__(self, number: int) -> FusionSample | None:
        composed = self.composer.nth(number)
        fused = self.reader.read_upright([prepare(composed.image)])[0].fused
        texts = [one.text for one in fused.ranked] if fused else []
        if fused is None or composed.text not in texts:
            return None
        features = to_matrix(fused.ranked).astype(np.float64)
        return FusionSample(features=features, right=texts.index(composed.text))


def collect(
    model: Model, composer: Composer, numbers: Sequence[int], *, jobs: int
) -> list[FusionSample]:
    """Read composed strings without a directory, and omit those whose truth was not considered."""
    work = _Collect(reader=Reader(model, use_directory=False), composer=composer)
    return [one for one in map_strings(work, numbers, jobs=jobs) if one is not None]


def fit_fusion(samples: Sequence[FusionSample]) -> NDArray[np.float64]:
    """Fit a conditional logit: the weights, (FEATURES,), with minimum log loss.

    McFadden, "Conditional logit analysis of qualitative choice behavior" (1974).
    """

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        total, slope = 0.0, np.zeros(FEATURES)
        for one in samples:
            scores = one.features @ weights
            log_sum = float(np.logaddexp.reduce(scores))
            total += log_sum - float(scores[one.right])
            slope += np.exp(scores - log_sum) @ one.features - one.features[one.right]
        count = max(len(samples), 1)
        return total / count + RIDGE * float(weights @ weights), slope / count + 2 * RIDGE * weights

    return np.asarray(minimize(loss, START, jac=True, method="L-BFGS-B").x, np.float64)
