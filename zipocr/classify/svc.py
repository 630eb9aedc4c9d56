"""Support vector classifier for inference, in plain arrays and matrix products.

scikit-learn trains it (see `zipocr.training`). Reading needs only the support vectors and
coefficients, and evaluates them faster than the library when there are few characters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from zipocr.classify.gradients import directions, enlarge
from zipocr.classify.normalize import to_grids
from zipocr.types import Floats, Model

DIGITS = 10
NON_DIGIT = 10
CLASSES = 11
PAIRS = tuple(combinations(range(CLASSES), 2))
_FIRST, _SECOND = np.array(PAIRS).T
# Rows of each matrix product, padded with zeros: the last bits of a sum may depend on the shape,
# but a page's confidence must not depend on other pages.
BLOCK = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Classifier:
    """A one-against-one RBF support vector classifier of ten digits and the non-digit.

    ``from_grid``: whether its input is the 8x8 grid alone or the 32x32 bitmap. ``mean`` (336,) and
    ``projection`` (336, P) reduce the gradient features. ``support_columns`` has, for each class,
    its support vectors times 2 gamma, their squared lengths times -gamma, and ones: (P + 2, S of
    the class); ``weights`` their coefficients against every other class, (S of the class, 10);
    ``intercepts`` is (55,).
    """

    from_grid: bool
    mean: Floats
    projection: Floats
    support_columns: tuple[Floats, ...]
    weights: tuple[Floats, ...]
    intercepts: Floats
    gamma: float

    @classmethod
    def from_model(cls, model: Model) -> Self:
        """Read the classifier from the arrays of a model file."""
        return cls.from_arrays(model.arrays)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Build the classifier from the arrays produced by training."""
        support, gamma = arrays["support"].astype(np.float32), float(arrays["gamma"])
        lengths = (support * support).sum(axis=1)
        columns = np.vstack(
            [support.T * np.float32(2 * gamma), lengths * np.float32(-gamma), np.ones_like(lengths)]
        )
        parts = np.split(columns, np.cumsum(arrays["support_counts"])[:-1], axis=1)
        return cls(
            from_grid=bool(arrays["from_grid"]),
            mean=arrays["mean"],
            projection=arrays["projection"],
            support_columns=tuple(np.ascontiguousarray(part) for part in parts),
            weights=by_class(arrays["dual"].astype(np.float32), arrays["support_counts"]),
            intercepts=arrays["intercepts"],
            gamma=gamma,
        )

    def features(self, bitmaps: NDArray[np.uint8]) -> Floats:
        """Return projected gradient features of characters, or of their 8x8 grids.

        (N, 32, 32) uint8, N >= 1 -> (N, P) float32.
        """
        seen = enlarge(to_grids(bitmaps)) if self.from_grid else bitmaps
        centred = directions(seen) - self.mean
        projected: Floats = _to_blocks(centred) @ self.projection
        return projected.reshape(-1, self.projection.shape[1])[: len(bitmaps)]

    def decision_function(self, features: Floats) -> Floats:
        """Return the decision values of all pairs of classes.

        (N, P) -> (N, 55) float32, in the order of `PAIRS`; positive for the first of a pair.
        """
        blocks = _to_blocks(features)
        # The exponent of the kernel, -gamma |x - s|^2, by one product.
        lengths = (blocks * blocks).sum(axis=2, keepdims=True)
        long = np.concatenate(
            [blocks, np.ones_like(lengths), np.float32(-self.gamma) * lengths], axis=2
        )
        sums = np.empty((*blocks.shape[:2], CLASSES, CLASSES - 1), np.float32)
        # Class by class, so that support vectors and kernel stay in the cache.
        for one, (columns, weights) in enumerate(
            zip(self.support_columns, self.weights, strict=True)
        ):
            for rows, own in zip(long, sums[:, :, one], strict=True):
                kernel: Floats = rows @ columns
                np.exp(kernel, out=kernel)
                np.matmul(kernel, weights, out=own)
        decisions: Floats = (
            sums[..., _FIRST, _SECOND - 1] + sums[..., _SECOND, _FIRST] + self.intercepts
        )
        return decisions.reshape(-1, len(PAIRS))[: len(features)]


def _to_blocks(rows: NDArray[Any]) -> NDArray[Any]:
    """Divide rows into blocks, the last padded with zeros: (N, P) -> (B, `BLOCK`, P)."""
    blocks = np.zeros((-(-len(rows) // BLOCK), BLOCK, rows.shape[1]), rows.dtype)
    blocks.reshape(-1, rows.shape[1])[: len(rows)] = rows
    return blocks


def by_class(dual: Floats, counts: NDArray[np.int32]) -> tuple[Floats, ...]:
    """Split libsvm's dual coefficients (classes - 1, S) by the classes of the support vectors.

    The coefficient against class j is in column j - 1 for classes before j, else in column j.
    """
    last = np.cumsum(counts)
    return tuple(
        np.ascontiguousarray(dual[:, end - count : end].T)
        for count, end in zip(counts, last, strict=True)
    )
