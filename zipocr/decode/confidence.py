"""Tells how sure a ZIP is: the directory's prior, and a logistic model over what was seen of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, expm1, log, log1p
from typing import Self

import numpy as np

from zipocr.decode.fusion import Candidate, posterior
from zipocr.types import ZIP_LENGTH, Floats, Model

# Share of the ZIPs on mail that the packaged directory lists, and how many it lists.
P_LISTED = 0.98
LISTED_COUNT = 42_789
STRINGS = 10**ZIP_LENGTH
# Log odds beyond which a feature says nothing more.
MAX_ODDS = 12.0
# A probability counts as at least this far from 0 and from 1.
MIN_PROBABILITY = 1e-5
# Knots of piecewise linear features: beyond these log odds a reader may be overconfident.
POSTERIOR_KNOT, LINE_KNOT, SHAPE_KNOT = 4.0, 4.0, 2.0
# The same for the log-likelihood of the weakest digit.
WEAKEST_KNOT = -0.5
FEATURES = 15


def directory_log_prior(count: int) -> float:
    """Return what being on a list of this many ZIPs (1 or more) is worth, in nats.

    log [P(string | listed mail) / P(string | other)]. A list of nearly all strings says nothing,
    and never speaks against what it holds.
    """
    if count >= P_LISTED * STRINGS:
        return 0.0
    return float(np.log(P_LISTED / count) - np.log((1 - P_LISTED) / (STRINGS - count)))


def distribute_probability(candidates: Sequence[Candidate], confidence: float) -> list[float]:
    """Return probabilities of the strings: `confidence` for the best; the others share the rest."""
    if len(candidates) == 1:
        return [confidence]
    return [confidence, *((1 - confidence) * share for share in posterior(candidates[1:]))]


def digit_marginals(
    candidates: Sequence[Candidate], probabilities: Sequence[float]
) -> list[list[float]]:
    """Sum the probabilities of strings with each digit at each place: 5 or 9 rows of 10."""
    table = [[0.0] * 10 for _ in candidates[0].text]
    for one, probability in zip(candidates, probabilities, strict=True):
        for row, digit in zip(table, one.text, strict=False):
            row[int(digit)] += probability
    return table


def confidence_features(
    ranked: Sequence[Candidate], *, shape: float, chosen_by_directory: bool, second_pass: bool
) -> Floats:
    """Return what speaks for and against the best string.

    Parameters
    ----------
    ranked : sequence of Candidate
        With the directory's prior, best first.
    shape : float
        Probability that the line holds five or nine digits at all.
    chosen_by_directory : bool
        Whether another string is best without the directory.
    second_pass : bool
        Whether the network read the line twice.

    Returns
    -------
    (FEATURES,) float32
        Log odds of the string among all candidates, of the network alone, and of the line's shape;
        what the classifier says of its digits; and how it came to be read.
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
    """Return the log odds of a probability, which counts as at least `least` from 0 and from 1."""
    inside = min(max(probability, least), 1 - least)
    return log(inside) - log1p(-inside)


def log_odds_of(log_probability: float) -> float:
    """Log odds of a probability by its logarithm, as far as it is below 1."""
    return log_probability - log(-expm1(min(log_probability, -1e-5)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConfidenceModel:
    """Logistic model of "all digits are right": ``weights`` is (FEATURES,)."""

    weights: Floats
    bias: float

    @classmethod
    def from_model(cls, model: Model, *, use_directory: bool) -> Self:
        """Unfold the arrays of a model file: reading with and without a directory differ."""
        fitted = model.arrays["confidence_listed" if use_directory else "confidence_unlisted"]
        return cls(weights=fitted[:-1], bias=float(fitted[-1]))

    def probability(self, features: Floats) -> float:
        """Return the probability of a right ZIP: (FEATURES,) -> 0 to 1."""
        odds = float((self.weights * features).sum()) + self.bias
        return 1 / (1 + exp(-min(max(odds, -30.0), 30.0)))
