"""Fitting of the region classifier and the calibration of its decisions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from zipocr.classify.gradients import directions, enlarge
from zipocr.classify.normalize import to_grids
from zipocr.classify.probabilities import AGAINST_NON_DIGIT, Calibration, digit_votes
from zipocr.classify.svc import NON_DIGIT, Classifier
from zipocr.training.fit.region_samples import Samples
from zipocr.types import Floats

CHUNK = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Settings of the classifier.

    ``gamma`` is in units of 1 / (features x variance), scikit-learn's "scale".
    """

    C: float = 10.0
    gamma: float = 0.4
    components: int = 64
    from_grid: bool = False
    seed: int = 0


def to_features(bitmaps: NDArray[np.uint8], *, from_grid: bool) -> Floats:
    """Return gradient direction features: (N, 32, 32) uint8 -> (N, 336) float32."""
    parts = [bitmaps[start : start + CHUNK] for start in range(0, len(bitmaps), CHUNK)]
    return np.concatenate(
        [directions(enlarge(to_grids(part)) if from_grid else part) for part in parts]
    )


def fit_classifier(samples: Samples, recipe: Recipe) -> dict[str, NDArray[Any]]:
    """Fit projection and SVC to samples of all eleven classes, and return the model's arrays."""
    seen = to_features(samples.bitmaps, from_grid=recipe.from_grid)
    reduction, reduced = fit_reduction(seen, recipe)
    return to_arrays(reduction, fit_machine(reduced, samples.labels, recipe), recipe)


def to_arrays(reduction: PCA, machine: SVC, recipe: Recipe) -> dict[str, NDArray[Any]]:
    """Convert a fitted projection and SVC to the arrays of a model file."""
    return {
        "from_grid": np.array(recipe.from_grid),
        "mean": reduction.mean_.astype(np.float32),
        "projection": np.ascontiguousarray(reduction.components_.T).astype(np.float32),
        "support": machine.support_vectors_.astype(np.float16),
        "support_counts": machine.n_support_.astype(np.int32),
        "dual": machine.dual_coef_.astype(np.float32),
        "intercepts": machine.intercept_.astype(np.float32),
        "gamma": np.array(machine.gamma),
    }


def fit_reduction(features: Floats, recipe: Recipe) -> tuple[PCA, Floats]:
    """Fit the projection to (N, 336) features.

    Returns it and the projected features: (N, P) float32.
    """
    # Threads that wait for each other are slow on a busy machine.
    with threadpool_limits(1, user_api="blas"):
        reduction = PCA(
            recipe.components, random_state=recipe.seed, svd_solver="covariance_eigh"
        ).fit(features)
        reduced = reduction.transform(features)
    # Half precision halves the file; the SVC is fitted to the features that reading will compute.
    return reduction, reduced.astype(np.float16).astype(np.float32)


def fit_machine(reduced: Floats, labels: NDArray[np.uint8], recipe: Recipe) -> SVC:
    """Fit the SVC to (N, P) projected features and (N,) labels of any number of classes."""
    gamma = recipe.gamma / (reduced.shape[1] * float(reduced.var()))
    return SVC(C=recipe.C, gamma=gamma, cache_size=4000).fit(reduced, labels)


def decide_all(classifier: Classifier, bitmaps: NDArray[np.uint8]) -> Floats:
    """Return the decision values of many bitmaps: (N, 32, 32) -> (N, 55)."""
    return classifier.decision_function(classifier.features(bitmaps))


def fit_calibration(decisions: Floats, labels: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """Fit the calibration of a classifier to its decisions on held-out regions.

    (N, 55), (N,) -> arrays of a model: the weights of pairwise decisions for digits, and slope and
    bias of the log odds of a whole digit.
    """
    is_digit = labels != NON_DIGIT
    votes = _fit_votes(decisions[is_digit], labels[is_digit])
    best = Calibration(
        weakest_weight=votes[0], votes_weight=votes[1], whole_slope=0.0, whole_bias=0.0
    ).digit_log_probabilities(decisions)
    shown = np.where(is_digit, labels, best.argmax(axis=1)).astype(np.intp)
    against = decisions[np.arange(len(labels)), AGAINST_NON_DIGIT[shown]]
    slope, bias = fit_logistic(against[:, None], is_digit, strength=1.0)
    return {"votes": votes, "whole": np.array([slope[0], bias], np.float64)}


def _fit_votes(decisions: Floats, labels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Find the two weights with minimum log loss."""
    weakest, votes = (part.astype(np.float64) for part in digit_votes(decisions))

    def loss(point: NDArray[np.float64]) -> float:
        logits = point[0] * weakest + point[1] * votes
        own = logits[np.arange(len(labels)), labels]
        return float((logsumexp(logits, axis=1) - own).mean())

    found = minimize(loss, np.array([1.4, 0.4]), method="Nelder-Mead", bounds=[(0.01, 20), (0, 20)])
    return np.asarray(found.x, np.float64)


def fit_logistic(
    seen: Floats,
    truth: NDArray[np.bool_],
    *,
    strength: float,
    weights: NDArray[np.float64] | None = None,
) -> tuple[Floats, float]:
    """Fit a logistic regression on standardized columns, with scaling folded into the result."""
    if truth.all() or not truth.any():
        # Only one class: as confident as the number of samples allows.
        return np.zeros(seen.shape[1], np.float32), float(
            np.log((truth.sum() + 0.5) / ((~truth).sum() + 0.5))
        )
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
    # Sums split over threads differ in the last digits, and so would the model.
    with threadpool_limits(1, user_api="blas"):
        pipeline.fit(seen, truth, logisticregression__sample_weight=weights)
    scaler, logistic = pipeline[0], pipeline[1]
    slopes = logistic.coef_[0] / scaler.scale_
    return slopes.astype(np.float32), float(logistic.intercept_[0] - slopes @ scaler.mean_)
