"""Sorts out, before the support vectors are asked, the regions that no digit looks like.

Nine in ten regions of a lattice are pieces and pairs. A logistic model over products of a few features tells most of them apart for a
hundredth of what the support vectors cost.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from zipocr.classify.features import pairs_of
from zipocr.types import Floats, Model

# Principal components that enter products with each other and with the shape.
_LEADING = 30


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gate:
    """Logistic model of "a digit could look like this": ``weights`` is (V,), and odds above 0 pass."""

    weights: Floats
    bias: float

    @classmethod
    def from_model(cls, model: Model) -> Self:
        """Unfolds the arrays of a model file."""
        return cls.from_array(model.arrays["gate"])

    @classmethod
    def from_array(cls, fitted: Floats) -> Self:
        """Unfolds the array that training made, (V + 1,)."""
        return cls(weights=fitted[:-1], bias=float(fitted[-1]))

    def odds(self, features: Floats, geometry: Floats) -> Floats:
        """How far each region lies beyond the gate, in nats; those below 0 need no further look: (N, P), (N, G) -> (N,)."""
        odds: Floats = gate_evidence(features, geometry) @ self.weights + np.float32(self.bias)
        return odds


def gate_evidence(features: Floats, geometry: Floats) -> NDArray[np.float32]:
    """Projected directions and shape, their squares, and products of the leading ones: (N, P), (N, G) -> (N, V) float32."""
    traits = np.concatenate([np.clip(geometry, -3, 3), features[:, :_LEADING]], axis=1)
    one, other = pairs_of(traits.shape[1])
    rest = features[:, _LEADING:]
    return np.concatenate([traits, traits[:, one] * traits[:, other], rest, rest * rest], axis=1)
