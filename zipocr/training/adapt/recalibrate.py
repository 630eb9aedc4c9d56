"""Recalibration of confidences and thresholds on pages whose ZIP is known."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from zipocr.training.benchmark.metrics import Answer
from zipocr.training.fit.calibrate import acceptance_table
from zipocr.types import Floats

# Minimum number of pages for recalibration.
MIN_PAGES = 100
# Standard deviations of the priors of slope and shift of the log odds, around 1 and 0.
SLOPE_SPREAD, SHIFT_SPREAD = 0.3, 1.0
_SUREST = 1e-4


def recalibrated(
    arrays: Mapping[str, NDArray[Any]], answers: Mapping[str, Sequence[Answer]]
) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """Refit confidences and thresholds.

    Parameters
    ----------
    arrays : mapping
        The arrays of the model file.
    answers : mapping
        Answers to held-out pages, for ``listed`` and ``unlisted`` (with and without directory).

    Returns
    -------
    arrays : dict
        The arrays that change; empty if there are fewer than `MIN_PAGES`.
    notes : tuple of str
        What they are based on now, one sentence each.
    """
    found: dict[str, NDArray[Any]] = {}
    notes = []
    for way, own in answers.items():
        name = "with a directory" if way == "listed" else "without"
        confidence, right = _read(own)
        if len(own) < MIN_PAGES or right.all() or not right.any():
            notes.append(
                f"confidence {name}: the base model's; {len(own)} pages are too few to refit it"
            )
            continue
        slope, shift = fit_odds(confidence, right)
        found[f"confidence_{way}"] = _bent(arrays[f"confidence_{way}"], slope, shift)
        table = acceptance_table(_probability(slope * _odds(confidence) + shift), right)
        found[f"acceptance_{way}"] = merged(arrays[f"acceptance_{way}"], table)
        rest = f"for errors below {table[0, 0]:g}" if len(table) else "for all errors"
        bent = f"its log odds times {slope:.2f}, {shift:+.2f}, fitted to {len(right)} pages"
        notes.append(
            f"confidence {name}: {bent}; thresholds {rest} are the base model's, so many pages "
            "cannot tell them"
        )
    return found, tuple(notes)


def fit_odds(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[float, float]:
    """Fit slope and shift of log odds, regularized towards 1 and 0: (N,) confidences, truths.

    Only two parameters, as in Platt, Advances in Large Margin Classifiers (1999), since a few
    hundred pages do not support more.
    """
    odds = _odds(confidence)
    sides = np.where(right, 1.0, -1.0)

    def cost(point: NDArray[np.float64]) -> float:
        astray = ((point[0] - 1) / SLOPE_SPREAD) ** 2 + (point[1] / SHIFT_SPREAD) ** 2
        return float(np.logaddexp(0, -sides * (point[0] * odds + point[1])).sum() + astray / 2)

    slope, shift = minimize(
        cost, np.array([1.0, 0.0]), method="L-BFGS-B", bounds=[(0.1, 5), (-10, 10)]
    ).x
    return float(slope), float(shift)


def merged(base: NDArray[np.float64], own: NDArray[np.float64]) -> NDArray[np.float64]:
    """Combine own thresholds with those of the base for stricter error rates.

    Parameters
    ----------
    base, own : (T, 2) float64
        Rows of an error rate and its threshold, stricter rows first.

    Returns
    -------
    (T, 2) float64
    """
    rows = sorted({**dict(base.tolist()), **dict(own.tolist())}.items())
    table = np.array(rows, np.float64).reshape(-1, 2)
    table[:, 1] = np.maximum.accumulate(table[::-1, 1])[::-1]
    return table


def _bent(fitted: Floats, slope: float, shift: float) -> Floats:
    """Return a logistic model with transformed log odds: (F + 1,) -> (F + 1,)."""
    bent = fitted.astype(np.float64) * slope
    bent[-1] += shift
    return bent.astype(np.float32)


def _read(answers: Sequence[Answer]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the confidences of pages with a ZIP, and whether it was right."""
    pairs = [(one.confidence, one.is_right) for one in answers if one.confidence is not None]
    return np.array([confidence for confidence, _ in pairs], np.float64), np.array(
        [right for _, right in pairs], np.bool_
    )


def _odds(confidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log odds, clipped, since confidences have four decimals."""
    inside = np.clip(confidence, _SUREST, 1 - _SUREST)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def _probability(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-odds)))
