"""Page orientation, from the network's features of its line and the confidence of its reading."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Self

from zipocr.decode.confidence import log_odds
from zipocr.types import Floats, Model

# Prior odds of upright against upside down.
UPRIGHT_ODDS = 5.0
# Above these log odds of being upright, a line is not read upside down.
CERTAIN = 3.0
# Quarter turns are only tried on tall pages in doubt, where either is as likely as upright.
LOG_PRIOR = {0: 0.0, 180: -log(UPRIGHT_ODDS), 90: 0.0, 270: 0.0}
# Confidences are clipped to at least this distance from 0 (nothing was read) and 1.
MIN_CONFIDENCE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Oriented:
    """Evidence for one orientation of a page.

    ``confidence`` is the probability that its reading is right, given that this orientation is;
    ``log_odds`` are those of its line being upright rather than upside down.
    """

    rotation: int
    confidence: float
    log_odds: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OrientationModel:
    """Logistic models of a page being upright.

    For one line: ``weights`` (1067,) and ``bias`` of its features by class. For several
    orientations of a page: the slopes of the log odds of the confidence and of the line.
    """

    weights: Floats
    bias: float
    confidence_slope: float
    line_slope: float

    @classmethod
    def from_model(cls, model: Model) -> Self:
        """Load the models from the arrays of a model file."""
        fitted = model.arrays["orientation"]
        confidence_slope, line_slope = (float(value) for value in model.arrays["rotation"])
        return cls(
            weights=fitted[:-1],
            bias=float(fitted[-1]),
            confidence_slope=confidence_slope,
            line_slope=line_slope,
        )

    def log_odds(self, class_features: Floats) -> float:
        """Return the log odds of being upright: (1067,) features of a line by class."""
        return float((self.weights * class_features).sum()) + self.bias

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
