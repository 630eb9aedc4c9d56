"""Error rates: risk-coverage, calibration, exact bounds.

Equal confidences are always treated together, since no threshold can separate them. Optional
``weights`` ``(N,)`` are the number of pages that each answer represents.
"""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

Confidences: TypeAlias = NDArray[np.float64]
Correct: TypeAlias = NDArray[np.bool_]
Weights: TypeAlias = NDArray[np.float64]

Z95 = 1.96
RISKS = (0.01, 0.001)
ECE_BINS = 15  # of equal weight
RELIABILITY_BINS = 10  # of equal width
CERTAINTY = 0.95
"""Confidence level of bounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A confidence interval of a share, 0 to 1."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """A bin of confidences: count, mean confidence, and share of right answers."""

    count: int
    confidence: float
    right: float


def half_width(share: float, count: float) -> float:
    """Return the 95 % half width of a share of ``count`` (Wilson)."""
    return (
        Z95
        * math.sqrt(share * (1 - share) / count + Z95**2 / (4 * count**2))
        / (1 + Z95**2 / count)
    )


def wilson(share: float, count: float) -> Interval:
    """Return the 95 % interval of a share (Wilson, J. Am. Stat. Assoc. 22, 1927).

    Examples
    --------
    >>> found = wilson(0.9, 100)
    >>> round(found.low, 4), round(found.high, 4)
    (0.8256, 0.9448)
    """
    centre = (share + Z95**2 / (2 * count)) / (1 + Z95**2 / count)
    half = half_width(share, count)
    return Interval(low=max(centre - half, 0.0), high=min(centre + half, 1.0))


def upper_bound(
    wrong: NDArray[np.float64], count: NDArray[np.float64], certainty: float = CERTAINTY
) -> NDArray[np.float64]:
    """Return the one-sided upper bound of the error rate, given ``wrong`` of ``count``.

    Exact binomial: Clopper and Pearson, Biometrika 26 (1934).
    """
    right = count - wrong
    return np.where(right > 0, betaincinv(wrong + 1, np.maximum(right, 1), certainty), 1.0)


def exact_interval(wrong: int, count: int) -> Interval:
    """Return the two-sided 95 % interval of an error rate (Clopper and Pearson, 1934)."""
    if not count:
        return Interval(low=0.0, high=1.0)
    side = 1 - (1 - CERTAINTY) / 2
    high, low = upper_bound(
        np.array([wrong, count - wrong], np.float64), np.full(2, float(count)), side
    ).tolist()
    return Interval(low=1 - low, high=high)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RiskCoverage:
    """Counts at each threshold: (L,) each, highest threshold first.

    ``count`` answers have at least the confidence ``threshold``; ``wrong`` of them are wrong. With
    weights, both are numbers of pages.
    """

    threshold: NDArray[np.float64]
    count: NDArray[np.float64]
    wrong: NDArray[np.float64]


def accepting(
    confidence: Confidences, right: Correct, weights: Weights | None = None
) -> RiskCoverage:
    """Count accepted and wrong answers at each threshold: (N,), (N,)."""
    weights = np.ones(len(confidence)) if weights is None else weights
    order = np.argsort(-confidence, kind="stable")
    falling = confidence[order]
    last = np.flatnonzero(np.append(np.diff(falling) != 0, True)[: len(order)])
    count, wrong = np.cumsum(weights[order]), np.cumsum(np.where(right, 0.0, weights)[order])
    return RiskCoverage(threshold=falling[last], count=count[last], wrong=wrong[last])


def risk_coverage(
    confidence: Confidences, right: Correct, risk: float, weights: Weights | None = None
) -> float:
    """Return the largest coverage whose error rate is at most ``risk``: (N,), (N,)."""
    found = accepting(confidence, right, weights)
    fine = found.count[found.wrong <= risk * found.count]
    return float(fine[-1]) if len(fine) else 0.0


def calibration_error(
    confidence: Confidences, right: Correct, weights: Weights | None = None
) -> float:
    """Return the expected calibration error over `ECE_BINS` bins of equal weight.

    Takes (N,), (N,); equal confidences share their mean correctness.
    """
    if not len(confidence):
        return 0.0
    weights = np.ones(len(confidence)) if weights is None else weights
    _, of_value = np.unique(confidence, return_inverse=True)
    truth = np.bincount(of_value, weights=weights * right) / np.bincount(of_value, weights=weights)
    order = np.argsort(-confidence, kind="stable")
    over = weights[order] * (confidence - truth[of_value])[order]
    reached = np.cumsum(weights[order])
    # An answer belongs to the bin in which its weight ends.
    place = np.clip(np.ceil(ECE_BINS * reached / reached[-1]).astype(int) - 1, 0, ECE_BINS - 1)
    return float(np.abs(np.bincount(place, weights=over)).sum() / reached[-1])


def reliability(
    confidence: Confidences, right: Correct, weights: Weights | None = None
) -> list[Bin]:
    """Return the bins of a reliability diagram.

    `RELIABILITY_BINS` bins of equal width from 0 to 1, without empty ones.
    """
    weights = np.ones(len(confidence)) if weights is None else weights
    place = np.minimum((confidence * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
    inside = [place == number for number in range(RELIABILITY_BINS)]
    return [
        Bin(
            count=int(own.sum()),
            confidence=float(np.average(confidence[own], weights=weights[own])),
            right=float(np.average(right[own], weights=weights[own])),
        )
        for own in inside
        if own.any()
    ]


def labels_needed(error: float) -> int:
    """Return how many answers without an error it takes to promise an error rate.

    Examples
    --------
    >>> labels_needed(0.01), labels_needed(0.001)
    (299, 2995)
    """
    return math.ceil(math.log(1 - CERTAINTY) / math.log1p(-error)) if error < 1 else 1
