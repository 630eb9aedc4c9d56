"""Confidence of a ZIP: the directory prior, and a logistic model of the evidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, expm1, log, log1p
from typing import Self

import numpy as np

from zipocr.decode.fusion import Candidate, posterior
from zipocr.types import ZIP_LENGTH, Floats, Model

# Share of the ZIPs on mail that the packaged directory lists, and its number of ZIPs.
P_LISTED = 0.98
LISTED_COUNT = 42_789
STRINGS = 10**ZIP_LENGTH
# Log odds at which features are clipped.
MAX_ODDS = 12.0
# Probabilities are clipped to at least this distance from 0 and 1.
MIN_PROBABILITY = 1e-5
# Knots of the piecewise linear features: beyond these log odds a reader may be overconfident.
POSTERIOR_KNOT, LINE_KNOT, SHAPE_KNOT = 4.0, 4.0, 2.0
# Knot for the log-likelihood of the weakest digit.
WEAKEST_KNOT = -0.5
FEATURES = 15


def directory_log_prior(count: int) -> float:
    """Return the log prior, in nats, of being on a list of this many ZIPs (1 or more).

    log [P(string | listed mail) / P(string | other)]. A list of nearly all strings carries no
    information, and a prior is never negative.
    """
    if count >= P_LISTED * STRINGS:
        return 0.0
    return float(np.log(P_LISTED / count) - np.log((1 - P_LISTED) / (STRINGS - count)))


def distribute_probability(candidates: Sequence[Candidate], confidence: float) -> list[float]:
    """Return the strings' probabilities: `confidence` for the best; the others share the rest."""
    if len(candidates) == 1:
        return [confidence]
    return [confidence, *((1 - confidence) * share for share in posterior(candidates[1:]))]


def digit_marginals(texts: Sequence[str], probabilities: Sequence[float]) -> list[list[float]]:
    """Sum the probabilities of strings with each digit at each position: 5 or 9 rows of 10."""
    table = [[0.0] * 10 for _ in texts[0]]
    for text, probability in zip(texts, probabilities, strict=True):
        for row, digit in zip(table, text, strict=False):
            row[int(digit)] += probability
    return table


def confidence_features(
    ranked: Sequence[Candidate], *, shape: float, chosen_by_directory: bool, second_pass: bool
) -> Floats:
    """Return the confidence features of the best string.

    Parameters
    ----------
    ranked : sequence of Candidate
        Candidates including the directory prior, best first.
    shape : float
        Probability that the line has five or nine digits at all.
    chosen_by_directory : bool
        Whether another string would be best without the directory.
    second_pass : bool
        Whether the network read the line twice.

    Returns
    -------
    (FEATURES,) float32
        Log odds of the string among all candidates, of the network alone, and of the line's shape;
        the classifier's scores of its digits; and how it was read.
    """
    best = ranked[0]
    odds = log_odds(posterior(ranked)[0], MIN_PROBABILITY)
    line = max(log_odds_of(best.line_score), -MAX_ODDS)
    shaped = log_odds(shape, MIN_PROBABILITY)
    return np.array(
        [
            *(odds, min(odds, POSTERIOR_KNOT), line, min(line, LINE_KNOT)),
            *(shaped, min(shaped, SHAPE_KNOT)),
            *(best.digits_score, best.weakest, min(best.weakest, WEAKEST_KNOT), not best.regions),
            *(chosen_by_directory, len(best.text) > ZIP_LENGTH),
            *(second_pass, second_pass * odds, second_pass * best.weakest),
        ],
        np.float32,
    )


def log_odds(probability: float, least: float) -> float:
    """Return the log odds of a probability, clipped to at least `least` from 0 and 1."""
    inside = min(max(probability, least), 1 - least)
    return log(inside) - log1p(-inside)


def log_odds_of(log_probability: float) -> float:
    """Return the log odds of a probability given as its logarithm, clipped below 1."""
    return log_probability - log(-expm1(min(log_probability, -1e-5)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConfidenceModel:
    """Logistic model of "all digits are right": ``weights`` is (FEATURES,)."""

    weights: Floats
    bias: float

    @classmethod
    def from_model(cls, model: Model, *, use_directory: bool) -> Self:
        """Load the arrays for reading with or without a directory from a model file."""
        fitted = model.arrays["confidence_listed" if use_directory else "confidence_unlisted"]
        return cls(weights=fitted[:-1], bias=float(fitted[-1]))

    def probability(self, features: Floats) -> float:
        """Return the probability that the ZIP is right: (FEATURES,) -> 0 to 1."""
        odds = float((self.weights * features).sum()) + self.bias
        return 1 / (1 + exp(-min(max(odds, -30.0), 30.0)))
