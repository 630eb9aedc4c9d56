"""From the decisions of an SVC to log probabilities of digits, and of a region being a digit at all."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from zipocr.classify.svc import DIGITS, NON_DIGIT, PAIRS
from zipocr.types import Floats, Model

_AGAINST_NON_DIGIT = np.array([place for place, (_, other) in enumerate(PAIRS) if other == NON_DIGIT])
# A soft decision for the first of a pair is a vote for it, and what it lacks to 1 a vote for the second.
_VOTES = np.zeros((len(PAIRS), DIGITS), np.float32)
_LOST = np.zeros(DIGITS, np.float32)
for _place, (_one, _other) in enumerate(PAIRS):
    if _other != NON_DIGIT:
        _VOTES[_place, [_one, _other]] = 1, -1
        _LOST[_other] += 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scorer:
    """Calibration of one classifier, with few parameters on purpose: many fitted worse.

    ``steepness`` and ``sharpness`` shape the votes; ``weights`` (V,) and ``bias`` are a logistic model of "this region is one whole digit".
    """

    steepness: float
    sharpness: float
    weights: Floats
    bias: float

    @classmethod
    def from_model(cls, model: Model) -> Self:
        """Unfolds the arrays of a model file."""
        arrays = model.arrays
        steepness, sharpness = (float(value) for value in arrays["votes"])
        return cls(steepness=steepness, sharpness=sharpness, weights=arrays["validity"][:-1], bias=float(arrays["validity"][-1]))

    def digit_scores(self, decisions: Floats) -> Floats:
        """Log probability of each digit, given that it is one: (N, 55) -> (N, 10) float32."""
        logits = self.sharpness * votes(decisions, self.steepness)
        top = logits.max(axis=1, keepdims=True)
        scores: Floats = logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
        return scores

    def validity(self, decisions: Floats, geometry: Floats) -> Floats:
        """Log odds that each region is one whole digit: (N, 55), (N, G) -> (N,) float32."""
        evidence = validity_evidence(decisions, geometry, self.steepness)
        odds: Floats = (evidence * self.weights).sum(axis=1) + np.float32(self.bias)
        return odds


def votes(decisions: Floats, steepness: float) -> Floats:
    """Soft votes of the pairs among digits: (N, 55) -> (N, 10), each 0 to 9."""
    soft = 1 / (1 + np.exp(-np.float32(steepness) * decisions))
    total: Floats = (soft[:, :, None] * _VOTES).sum(axis=1) + _LOST
    return total


def validity_evidence(decisions: Floats, geometry: Floats, steepness: float) -> Floats:
    """What tells a whole digit from a piece or a pair: decisions against the non-digit, votes, and shape, alone and in pairs.

    (N, 55), (N, G) -> (N, V) float32. Shape is crossed with the leading digit, since a 1 is narrow and a piece of an 8 is too; products
    let one trait excuse another, as a cut through ink does a gap.
    """
    against = np.clip(decisions[:, _AGAINST_NON_DIGIT], -3, 3)
    ballot = votes(decisions, steepness)
    leader = ballot.argmax(axis=1)
    ranked, ordered = np.sort(ballot, axis=1), np.sort(against, axis=1)
    lead = ranked[:, -1:] - ranked[:, -2:-1]
    own = np.take_along_axis(against, leader[:, None], axis=1)
    shape = np.clip(geometry, -3, 3)
    traits = np.concatenate([shape, np.sqrt(np.abs(shape[:, 6:])), lead, own, ordered[:, :1], ordered[:, -3:]], axis=1)
    one, other = np.triu_indices(traits.shape[1])
    chosen = np.zeros((len(decisions), DIGITS), np.float32)
    np.put_along_axis(chosen, leader[:, None], 1, axis=1)
    crossed = (chosen[:, :, None] * traits[:, None, :]).reshape(len(decisions), -1)
    evidence: Floats = np.concatenate([against, traits, traits[:, one] * traits[:, other], chosen, crossed], axis=1)
    return evidence.astype(np.float32)
