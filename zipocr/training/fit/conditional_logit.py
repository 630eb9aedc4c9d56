"""Fitting of conditional logits.

McFadden, "Conditional logit analysis of qualitative choice behavior" (1974).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from zipocr.locate.choice_model import ChoiceModel

# Standard deviation of the initial weights, and lower bound of the one that features are scaled by.
FIRST, MIN_SPREAD = 0.3, 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """Alternatives, (K, F) features, and the index of the right one; K if none is right."""

    features: NDArray[np.float64]
    right: int


def fit_choice_model(
    choices: Sequence[Choice], *, hidden: int, ridge: float, seed: int
) -> ChoiceModel:
    """Fit the scores of alternatives, with 0 for "none of these", by minimizing the log loss.

    Parameters
    ----------
    choices : sequence of Choice
    hidden : int
        Number of hidden units.
    ridge : float
        L2 regularization of all weights except the bias, on standardized features.
    seed : int
        Seed of the initial weights.
    """
    rows = np.concatenate([one.features for one in choices])
    mean, spread = rows.mean(axis=0), np.maximum(rows.std(axis=0), MIN_SPREAD)
    seen = np.column_stack([(rows - mean) / spread, np.ones(len(rows))])
    counts = np.array([len(one.features) for one in choices])
    owner = np.repeat(np.arange(len(choices)), counts)
    firsts = np.cumsum(counts) - counts
    places = [first + one.right for first, one in zip(firsts, choices, strict=True)
              if one.right < len(one.features)]  # fmt: skip
    right = np.zeros(len(rows))
    right[places] = 1
    width = seen.shape[1]
    pulled = np.ones((hidden + 1) * width + hidden)
    pulled[width - 1] = 0

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        direct, inner, outer = _unpacked(weights, width, hidden)
        active = np.tanh(seen @ inner.T)
        scores = seen @ direct + active @ outer
        top = np.maximum(np.maximum.reduceat(scores, firsts), 0)
        shares = np.exp(scores - top[owner])
        total = np.bincount(owner, shares, len(choices)) + np.exp(-top)
        log_loss = float((np.log(total) + top).sum() - (scores * right).sum()) / len(choices)
        error = (shares / total[owner] - right) / len(choices)
        back = error[:, None] * outer * (1 - active**2)
        slope = np.concatenate([error @ seen, (back.T @ seen).ravel(), error @ active])
        penalty = ridge * float((pulled * weights) @ weights)
        return log_loss + penalty, slope + 2 * ridge * pulled * weights

    start = np.random.default_rng(seed).normal(0, FIRST, len(pulled))
    start[:width] = 0
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 2000}).x
    direct, inner, outer = _unpacked(found, width, hidden)
    return ChoiceModel(
        inner=_unscaled(inner, mean, spread),
        outer=outer,
        direct=_unscaled(direct[None], mean, spread)[0],
    )


def _unpacked(
    weights: NDArray[np.float64], width: int, hidden: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    inner = weights[width : width * (hidden + 1)].reshape(hidden, width)
    return weights[:width], inner, weights[width * (hidden + 1) :]


def _unscaled(
    weights: NDArray[np.float64], mean: NDArray[np.float64], spread: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fold the scaling of features into the weights: (N, F + 1)."""
    slopes = weights[:, :-1] / spread
    return np.column_stack([slopes, weights[:, -1] - slopes @ mean])
