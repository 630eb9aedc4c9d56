"""Tells which way up a page is, by how its line looks to the network and by how well it reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Self

from zipocr.decode.confidence import log_odds
from zipocr.types import Floats, Model

# Prior odds of upright against upside down.
UPRIGHT_ODDS = 5.0
# Above these log odds of upright, another orientation is out of the question.
CERTAIN = 2.0
# A page in a quarter turn is tall, and in doubt as it is: either way is then as likely as upright.
LOG_PRIOR = {0: 0.0, 180: -log(UPRIGHT_ODDS), 90: 0.0, 270: 0.0}
# A confidence counts as at least this far from 0, where nothing was read, and from 1.
MIN_CONFIDENCE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Oriented:
    """What one orientation of a page shows.

    ``confidence`` is the probability that its reading is right, given that the page is meant to be
    read so; ``log_odds`` are those of its line to be upright and not upside down.
    """

    rotation: int
    confidence: float
    log_odds: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OrientationModel:
    """Logistic models of "this is the right way up".

    Of one line: ``weights`` (96,) and ``bias`` on the network's features. Of several orientations
    of a page: the slopes of the confidence's log odds and of the line's.
    """

    weights: Floats
    bias: float
    confidence_slope: float
    line_slope: float

    @classmethod
    def from_model(cls, model: Model) -> Self:
        """Unfold the arrays of a model file."""
        fitted = model.arrays["orientation"]
        confidence_slope, line_slope = (float(value) for value in model.arrays["rotation"])
        return cls(
            weights=fitted[:-1],
            bias=float(fitted[-1]),
            confidence_slope=confidence_slope,
            line_slope=line_slope,
        )

    def log_odds(self, pooled: Floats) -> float:
        """Log odds of upright against upside down: (96,) pooled features of a line."""
        return float((self.weights * pooled).sum()) + self.bias

    def posterior(self, orientations: Sequence[Oriented]) -> list[float]:
        """Return the probability of each orientation of a page."""
        scores = [
            self.confidence_slope * log_odds(one.confidence, MIN_CONFIDENCE)
            + self.line_slope * one.log_odds
            + LOG_PRIOR[one.rotation]
            for one in orientations
        ]
        weights = [exp(score - max(scores)) for score in scores]
        return [weight / sum(weights) for weight in weights]
