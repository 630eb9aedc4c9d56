"""Turns the decisions of the SVC into log-likelihoods of digits."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from zipocr.classify.svc import DIGITS, NON_DIGIT, PAIRS
from zipocr.types import Floats, Model

# Steepness of a soft vote: how much of a vote a decision of 1 is worth.
STEEPNESS = 4.0
# The pair of each digit with the non-digit.
AGAINST_NON_DIGIT = np.array(
    [place for place, (_, other) in enumerate(PAIRS) if other == NON_DIGIT]
)
# For each digit its nine pairs with other digits, and 1 where it is the first of a pair, else -1.
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
    """Calibration of one classifier, with few parameters on purpose: many overfit.

    ``weakest_weight`` and ``votes_weight`` weigh what a digit's pairs say of it; ``whole_slope``
    and ``whole_bias`` turn its decision against the non-digit into log odds that a region is one
    whole digit.
    """

    weakest_weight: float
    votes_weight: float
    whole_slope: float
    whole_bias: float

    @classmethod
    def from_model(cls, model: Model) -> Self:
        """Unfold the arrays of a model file."""
        weakest, votes = (float(value) for value in model.arrays["votes"])
        slope, bias = (float(value) for value in model.arrays["whole"])
        return cls(weakest_weight=weakest, votes_weight=votes, whole_slope=slope, whole_bias=bias)

    def log_likelihoods(self, decisions: Floats) -> Floats:
        """Log probability that a region is one whole digit, and which: (N, 55) -> (N, 10)."""
        odds = np.float32(self.whole_slope) * decisions[:, AGAINST_NON_DIGIT]
        whole = -np.logaddexp(0, -(odds + np.float32(self.whole_bias)))
        likelihoods: Floats = self.digit_log_probabilities(decisions) + whole
        return likelihoods

    def digit_log_probabilities(self, decisions: Floats) -> Floats:
        """Log probability of each digit, given that a region is one: (N, 55) -> (N, 10)."""
        weakest, votes = digit_votes(decisions)
        logits = np.float32(self.weakest_weight) * weakest + np.float32(self.votes_weight) * votes
        logits -= logits.max(axis=1, keepdims=True)
        scores: Floats = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return scores


def digit_votes(decisions: Floats) -> tuple[Floats, Floats]:
    """Return what the pairs of classes say of each digit: (N, 55) -> two (N, 10).

    First the decision of the pair in which it fares worst: one sure defeat tells more than eight
    victories. Then its soft votes, 0 to 9.
    """
    # In rows one after the other, however many: a sum then has one order, and one last bit.
    own = np.ascontiguousarray(decisions[:, _PAIRS_OF]) * _SIDES
    votes: Floats = (1 / (1 + np.exp(-np.float32(STEEPNESS) * own))).sum(axis=2)
    return own.min(axis=2), votes
