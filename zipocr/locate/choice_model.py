"""Choice among alternatives, or none of them, by their features.

A conditional logit (McFadden, 1974) with scores from a small network with one hidden layer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from zipocr.types import Model

GROUPS: Mapping[str, int] = {
    "digits": 3, "listing": 1, "words before it": 6, "words behind it": 4, "neighbouring lines": 8,
    "place in its block": 6, "place on the page": 9, "spacing": 6, "page's writing": 3,
}  # fmt: skip
"""Groups of a candidate's features, and the number of features in each."""
FEATURES = sum(GROUPS.values())
# Number of features of a candidate after reading: of the number, and of the town beside it.
TOWN_FEATURES = 5
READING_FEATURES = 11 + TOWN_FEATURES


def feature_slice(group: str) -> slice:
    """Return the slice of a group's features among all."""
    begin = 0
    for name, count in GROUPS.items():
        if name == group:
            return slice(begin, begin + count)
        begin += count
    raise KeyError(group)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChoiceModel:
    """Scores alternatives, and "none of these" with 0.

    A score is ``direct @ x + outer @ tanh(inner @ x)``, where x is an alternative's F features and
    a 1: ``inner`` is (H, F + 1), ``outer`` (H,) and ``direct`` (F + 1,), all float64.
    """

    inner: NDArray[np.float64]
    outer: NDArray[np.float64]
    direct: NDArray[np.float64]

    @classmethod
    def from_array(cls, packed: NDArray[np.floating]) -> Self:
        """Unpack the array of `pack`: (H + 1, F + 2)."""
        wide = packed.astype(np.float64)
        return cls(inner=wide[:-1, :-1], outer=wide[:-1, -1], direct=wide[-1, :-1])

    @classmethod
    def from_model(cls, model: Model, name: str) -> Self:
        """Unpack the array of this name in a model file."""
        return cls.from_array(model.arrays[name])

    def pack(self) -> NDArray[np.float32]:
        """Pack all weights into one array: (H + 1, F + 2)."""
        hidden = np.column_stack([self.inner, self.outer])
        return np.vstack([hidden, np.append(self.direct, 0.0)]).astype(np.float32)

    def scores(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Score alternatives: (K, F) -> (K,)."""
        seen = np.column_stack([features, np.ones(len(features))])
        hidden = np.tanh((seen[:, None, :] * self.inner).sum(axis=2))
        return np.asarray((seen * self.direct).sum(axis=1) + (hidden * self.outer).sum(axis=1))

    def probabilities(self, features: Sequence[Sequence[float]]) -> list[float]:
        """Return the probability of each alternative; the remainder is that of "none"."""
        if not features:
            return []
        scores = np.append(self.scores(np.asarray(features, np.float64)), 0.0)
        shares = np.exp(scores - scores.max())
        return [float(one) for one in (shares / shares.sum())[:-1]]

    def weakness(self, features: Sequence[float], best: Sequence[float]) -> str:
        """Return the group (see `GROUPS`) in which an alternative is furthest behind the best."""
        swapped = []
        for group in GROUPS:
            own = feature_slice(group)
            swapped.append([*features[: own.start], *best[own], *features[own.stop :]])
        gains = self.scores(np.asarray(swapped, np.float64))
        return list(GROUPS)[int(gains.argmax())]
