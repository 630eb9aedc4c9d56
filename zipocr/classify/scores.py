"""From the decisions of an SVC to log probabilities of digits, and of a region being a digit at all."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from zipocr.classify.features import pairs_of
from zipocr.classify.svc import DIGITS, NON_DIGIT, PAIRS
from zipocr.types import Floats, Model

# Of a soft decision: how much of a vote a decision of 1 is worth.
STEEPNESS = 4.0
_AGAINST_NON_DIGIT = np.array([place for place, (_, other) in enumerate(PAIRS) if other == NON_DIGIT])
# For each digit the nine pairs it is in, and 1 where it stands first in a pair, -1 where second.
_PAIRS_OF = np.array([[place for place, pair in enumerate(PAIRS) if digit in pair and NON_DIGIT not in pair] for digit in range(DIGITS)])
_SIDES = np.array([[1 if PAIRS[place][0] == digit else -1 for place in places] for digit, places in enumerate(_PAIRS_OF)], np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scorer:
    """Calibration of one classifier, with few parameters on purpose: many fitted worse.

    ``of_weakest`` and ``of_votes`` weigh what a digit's pairs say of it; ``weights`` (V,) and ``bias`` are a logistic model of "this region
    is one whole digit".
    """

    of_weakest: float
    of_votes: float
    weights: Floats
    bias: float

    @classmethod
    def from_model(cls, model: Model) -> Self:
        """Unfolds the arrays of a model file."""
        arrays = model.arrays
        of_weakest, of_votes = (float(value) for value in arrays["votes"])
        return cls(of_weakest=of_weakest, of_votes=of_votes, weights=arrays["validity"][:-1], bias=float(arrays["validity"][-1]))

    def digit_scores(self, decisions: Floats) -> Floats:
        """Log probability of each digit, given that it is one: (N, 55) -> (N, 10) float32."""
        weakest, ballot = digit_evidence(decisions)
        logits = np.float32(self.of_weakest) * weakest + np.float32(self.of_votes) * ballot
        top = logits.max(axis=1, keepdims=True)
        scores: Floats = logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
        return scores

    def validity(self, decisions: Floats, geometry: Floats) -> Floats:
        """Log odds that each region is one whole digit: (N, 55), (N, G) -> (N,) float32."""
        odds: Floats = (validity_evidence(decisions, geometry) * self.weights).sum(axis=1) + np.float32(self.bias)
        return odds


def digit_evidence(decisions: Floats) -> tuple[Floats, Floats]:
    """What the pairs say of each digit: (N, 55) -> two (N, 10).

    First the decision in the pair in which it fares worst: one sure defeat tells more than eight victories. Then its soft votes, 0 to 9.
    Log loss on held-out digits of composed strings: 0.119 by votes alone, 0.092 by the weakest pair alone, 0.090 by both.
    """
    # In rows one after the other, however many: a sum then has one order, and one last bit.
    own = np.ascontiguousarray(decisions[:, _PAIRS_OF]) * _SIDES
    ballot: Floats = (1 / (1 + np.exp(-np.float32(STEEPNESS) * own))).sum(axis=2)
    return own.min(axis=2), ballot


def validity_evidence(decisions: Floats, geometry: Floats) -> Floats:
    """What tells a whole digit from a piece or a pair: decisions against the non-digit, votes, and shape, alone and in pairs.

    (N, 55), (N, G) -> (N, V) float32. Shape is crossed with the leading digit, since a 1 is narrow and a piece of an 8 is too; products
    let one trait excuse another, as a cut through ink does a gap.
    """
    against = np.clip(decisions[:, _AGAINST_NON_DIGIT], -3, 3)
    _, ballot = digit_evidence(decisions)
    leader = ballot.argmax(axis=1)
    ranked, ordered = np.sort(ballot, axis=1), np.sort(against, axis=1)
    lead = ranked[:, -1:] - ranked[:, -2:-1]
    own = np.take_along_axis(against, leader[:, None], axis=1)
    shape = np.clip(geometry, -3, 3)
    traits = np.concatenate([shape, np.sqrt(np.abs(shape[:, 6:])), lead, own, ordered[:, :1], ordered[:, -3:]], axis=1)
    one, other = pairs_of(traits.shape[1])
    chosen = np.zeros((len(decisions), DIGITS), np.float32)
    np.put_along_axis(chosen, leader[:, None], 1, axis=1)
    crossed = (chosen[:, :, None] * traits[:, None, :]).reshape(len(decisions), -1)
    evidence: Floats = np.concatenate([against, traits, traits[:, one] * traits[:, other], chosen, crossed], axis=1)
    return np.ascontiguousarray(evidence, np.float32)
