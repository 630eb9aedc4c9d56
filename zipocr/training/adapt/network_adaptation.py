"""Adaptation of the line network to labelled pages.

Its last layer is refitted; all other layers stay as they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from zipocr.line.network import array_names
from zipocr.training.adapt.output_layer import Lines, line_loss, refit_output
from zipocr.types import Floats

# Candidates for the regularization towards the old layer, chosen by cross-validation.
PULLS = (0.3, 1.0, 3.0, 10.0)
_WEIGHTS, _BIASES = array_names("weights")[-1], array_names("biases")[-1]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LineAdaptationSet:
    """Lines whose text is known.

    The (T, F) features of each, its digits, and the (N,) indices of their pages.
    """

    features: tuple[Floats, ...]
    texts: tuple[str, ...]
    owners: NDArray[np.intp]

    @classmethod
    def of(cls, features: Sequence[Floats | None], texts: Sequence[str]) -> Self:
        """Collect lines, without those too short for their text."""
        fit = [
            page
            for page, (seen, text) in enumerate(zip(features, texts, strict=True))
            if seen is not None and len(seen) > 2 * len(text)
        ]
        chosen = [features[page] for page in fit]
        return cls(
            features=tuple(seen for seen in chosen if seen is not None),
            texts=tuple(texts[page] for page in fit),
            owners=np.array(fit, np.intp),
        )

    def __len__(self) -> int:
        """Return the number of lines."""
        return len(self.texts)

    def take(self, chosen: NDArray[np.bool_]) -> "LineAdaptationSet":
        """Return the lines selected by a mask."""
        kept = np.flatnonzero(chosen).tolist()
        features, texts = (
            tuple(self.features[place] for place in kept),
            tuple(self.texts[place] for place in kept),
        )
        return LineAdaptationSet(features=features, texts=texts, owners=self.owners[chosen])


def with_lines(
    arrays: Mapping[str, NDArray[Any]], lines: LineAdaptationSet, pull: float
) -> dict[str, NDArray[Any]]:
    """Return a model's arrays with its network's last layer refitted to lines.

    Unchanged if there are no lines.
    """
    if not len(lines):
        return dict(arrays)
    weights, biases = refit_output(list(lines.features), list(lines.texts), *_layer(arrays), pull)
    return {**arrays, _WEIGHTS: weights, _BIASES: biases}


def best_pull(
    arrays: Mapping[str, NDArray[Any]], lines: LineAdaptationSet, parts: NDArray[np.intp]
) -> float:
    """Return the regularization with the lowest cross-validated loss, given folds (N,)."""
    costs = np.zeros(len(PULLS))
    for part in np.unique(parts):
        held, rest = lines.take(parts == part), lines.take(parts != part)
        for place, pull in enumerate(PULLS):
            layer = np.column_stack(_layer(with_lines(arrays, rest, pull))).astype(np.float64)
            costs[place] += (
                len(held) * line_loss(Lines.of(list(held.features), list(held.texts)), layer)[0]
            )
    return PULLS[int(costs.argmin())]


def _layer(arrays: Mapping[str, NDArray[Any]]) -> tuple[Floats, Floats]:
    return arrays[_WEIGHTS].astype(np.float32), arrays[_BIASES].astype(np.float32)
