"""Adaptation of a trained classifier to a few more samples, without its training data.

The decision function of each pair of classes gets a second one added, fitted to the new samples
only, as in Yang, Yan and Hauptmann, "Cross-domain video concept detection using adaptive SVMs", ACM
Multimedia (2007). Refitting to old support vectors and new samples takes far longer and learns less
at the same weight, since the old ones hold every boundary in place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from zipocr.classify.svc import CLASSES, PAIRS, Classifier
from zipocr.training.fit.region_samples import Samples
from zipocr.types import Floats

MAX_STEPS = 200
# Minimum coefficient of a support vector, as a share of the largest allowed.
MIN_WEIGHT = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AdaptationSet:
    """Samples as input to a classifier.

    (N, P) features, (N,) classes, (N, 55) decision values, and (N,) indices of their pages.
    """

    features: Floats
    labels: NDArray[np.uint8]
    decisions: Floats
    owners: NDArray[np.intp]

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.labels)

    def take(self, chosen: NDArray[np.bool_]) -> "AdaptationSet":
        """Return the samples selected by a mask."""
        return AdaptationSet(
            features=self.features[chosen],
            labels=self.labels[chosen],
            decisions=self.decisions[chosen],
            owners=self.owners[chosen],
        )


def to_adaptation_set(
    arrays: Mapping[str, NDArray[Any]], samples: Samples, owners: NDArray[np.intp]
) -> AdaptationSet:
    """Compute features and decision values of samples."""
    classifier = Classifier.from_arrays(arrays)
    features = classifier.features(samples.bitmaps).astype(np.float16).astype(np.float32)
    with threadpool_limits(1, user_api="blas"):
        decisions = classifier.decision_function(features)
    return AdaptationSet(
        features=features, labels=samples.labels, decisions=decisions, owners=owners
    )


def learn_pairs(samples: AdaptationSet, gamma: float, bounds: Sequence[float]) -> list[Floats]:
    """Fit the additions to the decision functions of all pairs, for each of several bounds.

    Parameters
    ----------
    samples : AdaptationSet
    gamma : float
        Gamma of the kernel.
    bounds : sequence of float
        Penalties C, ascending, since each solution starts at the one before.

    Returns
    -------
    list of (N, 55) float32
        For each bound the coefficients of the samples; 0 for samples of neither class or beyond the
        margin.
    """
    coefficients = [np.zeros((len(samples), len(PAIRS)), np.float32) for _ in bounds]
    for column, pair in enumerate(PAIRS):
        own = np.flatnonzero(np.isin(samples.labels, pair))
        if not len(own):
            continue
        sides = np.where(samples.labels[own] == pair[0], 1, -1).astype(np.float32)
        wanting = 1 - sides * samples.decisions[own, column]
        found = np.zeros(len(own))
        # Sums split over threads differ in the last digits, and so would the model.
        with threadpool_limits(1, user_api="blas"):
            matrix = kernel(samples.features[own], samples.features[own], gamma) * np.outer(
                sides, sides
            )
            for bound, table in zip(bounds, coefficients, strict=True):
                found = _solve(matrix, wanting, bound, found)
                table[own, column] = sides * np.where(found > MIN_WEIGHT * bound, found, 0)
    return coefficients


def kernel(ones: Floats, others: Floats, gamma: float) -> Floats:
    """Return the RBF kernel: (N, P), (M, P) -> (N, M)."""
    distances = (
        (ones * ones).sum(axis=1)[:, None] + (others * others).sum(axis=1) - 2 * (ones @ others.T)
    )
    values: Floats = np.exp(np.float32(-gamma) * np.maximum(distances, 0))
    return values


def _solve(
    matrix: Floats, wanting: Floats, bound: float, start: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Solve the dual of a support vector machine without bias.

    (N, N) kernel and (N,) distances to a margin of 1 -> (N,).
    """

    def loss(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        pulled = (matrix @ point.astype(np.float32)).astype(np.float64)
        return float(point @ (pulled / 2 - wanting)), pulled - wanting

    options = {"maxiter": MAX_STEPS}
    return np.asarray(
        minimize(
            loss,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(0, bound)] * len(start),
            options=options,
        ).x
    )


def with_adaptation(
    arrays: Mapping[str, NDArray[Any]], samples: AdaptationSet, coefficients: Floats
) -> dict[str, NDArray[Any]]:
    """Return a classifier with additional support vectors.

    Parameters
    ----------
    arrays : mapping
        Of the model file.
    samples : AdaptationSet
    coefficients : (N, 55) float32

    Returns
    -------
    dict
        All arrays; support vectors are sorted by class, old ones first.
    """
    chosen = np.flatnonzero(coefficients.any(axis=1))
    labels = np.concatenate(
        [np.repeat(np.arange(CLASSES), arrays["support_counts"]), samples.labels[chosen]]
    )
    order = np.argsort(labels, kind="stable")
    support = np.concatenate(
        [arrays["support"], samples.features[chosen].astype(arrays["support"].dtype)]
    )
    dual = np.concatenate(
        [
            arrays["dual"],
            _to_dual(coefficients[chosen], samples.labels[chosen]).astype(arrays["dual"].dtype),
        ],
        axis=1,
    )
    counts = np.bincount(labels, minlength=CLASSES).astype(arrays["support_counts"].dtype)
    return {
        **arrays,
        "support": support[order],
        "dual": np.ascontiguousarray(dual[:, order]),
        "support_counts": counts,
    }


def _to_dual(coefficients: Floats, labels: NDArray[np.uint8]) -> Floats:
    """Convert coefficients by pair, (N, 55), to libsvm's rows, (10, N).

    See `zipocr.classify.svc.by_class`.
    """
    dual = np.zeros((CLASSES - 1, len(labels)), np.float32)
    for column, (one, other) in enumerate(PAIRS):
        first, second = labels == one, labels == other
        dual[other - 1, first] = coefficients[first, column]
        dual[one, second] = coefficients[second, column]
    return dual


def penalty(arrays: Mapping[str, NDArray[Any]]) -> float:
    """Estimate the penalty C that a classifier was trained with.

    It is the largest coefficient, if any sample was on the wrong side.
    """
    return float(np.abs(arrays["dual"]).max())
