"""Log-likelihoods of digits from the decision values of the SVC."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from zipocr.classify.svc import DIGITS, NON_DIGIT, PAIRS
from zipocr.types import Floats, Model

NO_LIKELIHOODS = np.zeros((0, DIGITS), np.float32)
# Steepness of the sigmoid that turns a decision value into a soft vote.
STEEPNESS = 4.0
# The index of each digit's pair with the non-digit.
AGAINST_NON_DIGIT = np.array(
    [place for place, (_, other) in enumerate(PAIRS) if other == NON_DIGIT]
)
# The nine pairs of each digit with the others; 1 if it is the first of the pair, else -1.
_PAIRS_OF = np.array(
    [
        [place for place, pair in enumerate(PAIRS) if digit in pair and NON_DIGIT not in pair]
        for digit in range(DIGITS)
    ]
)
_SIDES = np.array(
    [
        [1 if PAIRS[place][0] == digit else -1 for place in places]
        for digit, places in enumerate(_PAIRS_OF)
    ],
    np.float32,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Calibration of a classifier, with few parameters to avoid overfitting.

    ``weakest_weight`` and ``votes_weight`` weigh a digit's worst decision and its soft votes;
    ``whole_slope`` and ``whole_bias`` map its decision against the non-digit to log odds that a
    region is one whole digit.
    """

    weakest_weight: float
    votes_weight: float
    whole_slope: float
    whole_bias: float

    @classmethod
    def from_model(cls, model: Model) -> Self:
        """Read the parameters from the arrays of a model file."""
        weakest, votes = (float(value) for value in model.arrays["votes"])
        slope, bias = (float(value) for value in model.arrays["whole"])
        return cls(weakest_weight=weakest, votes_weight=votes, whole_slope=slope, whole_bias=bias)

    def log_likelihoods(self, decisions: Floats) -> Floats:
        """Return log p(region is this one whole digit): (N, 55) -> (N, 10)."""
        odds = np.float32(self.whole_slope) * decisions[:, AGAINST_NON_DIGIT]
        whole = -np.logaddexp(0, -(odds + np.float32(self.whole_bias)))
        likelihoods: Floats = self.digit_log_probabilities(decisions) + whole
        return likelihoods

    def digit_log_probabilities(self, decisions: Floats) -> Floats:
        """Return log p(digit | region is one digit): (N, 55) -> (N, 10)."""
        weakest, votes = digit_votes(decisions)
        logits = np.float32(self.weakest_weight) * weakest + np.float32(self.votes_weight) * votes
        logits -= logits.max(axis=1, keepdims=True)
        scores: Floats = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return scores


def digit_votes(decisions: Floats) -> tuple[Floats, Floats]:
    """Return each digit's worst decision and its soft votes: (N, 55) -> two (N, 10).

    The worst decision counts, since one clear defeat says more than eight wins. Votes are 0
    to 9.
    """
    # Sum row by row, so that the order of summation and the last bit do not depend on N.
    own = np.ascontiguousarray(decisions[:, _PAIRS_OF]) * _SIDES
    votes: Floats = (1 / (1 + np.exp(-np.float32(STEEPNESS) * own))).sum(axis=2)
    return own.min(axis=2), votes
