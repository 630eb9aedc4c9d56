"""Fits the models that tell which way up a page is, on composed strings read both ways."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from zipocr.decode.confidence import log_odds
from zipocr.decode.orientation import CERTAIN, MIN_CONFIDENCE, OrientationModel
from zipocr.line.network import FEATURES
from zipocr.preprocess.page import prepare
from zipocr.reader import Reader
from zipocr.training.fit.region_samples import map_strings
from zipocr.training.fit.svm import fit_logistic
from zipocr.training.synthesis.compose import Composer
from zipocr.types import Floats, Model

# The arrays before they are fitted: every page is certain to be upright.
NO_ORIENTATION: Mapping[str, NDArray[Any]] = {
    "orientation": np.append(np.zeros(FEATURES, np.float32), np.float32(CERTAIN)),
    "rotation": np.zeros(2),
}
# Inverse strength of the regularization of the line's model.
LINE_STRENGTH = 0.03


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BothWays:
    """A page as it is and upside down: (2, 96) pooled features, and (2,) confidences."""

    pooled: Floats
    confidence: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _ReadBothWays:
    """Reads one string of a composer as it is and upside down."""

    reader: Reader
    composer: Composer

    def __call__(self, number: int) -> BothWays | None:
        upright = prepare(self.composer.nth(number).image)
        attempts = self.reader.read_upright([upright, upright.rotated_180()])
        lines = [one.line for one in attempts if one.line]
        if len(lines) < len(attempts):
            return None
        return BothWays(
            pooled=np.stack([line.pooled for line in lines]),
            confidence=np.array([one.confidence for one in attempts]),
        )


def fit_orientation(
    arrays: Mapping[str, NDArray[Any]],
    lines: Sequence[Composer],
    strings: Composer,
    count: int,
    *,
    jobs: int,
) -> dict[str, NDArray[Any]]:
    """Fit what tells upright pages from those that are upside down.

    Parameters
    ----------
    arrays : mapping
        All other arrays of a model.
    lines : sequence of Composer
        Each composes strings to fit the line's model to.
    strings : Composer
        Strings of other writers to weigh it against the confidence.
    count : int
        Strings of each composer.
    jobs : int
        Processes.

    Returns
    -------
    dict
        Arrays of the model file.
    """
    model = Model(arrays={**arrays, **NO_ORIENTATION}, card={})
    pages = [page for one in lines for page in read_both_ways(model, one, range(count), jobs=jobs)]
    fitted = {**NO_ORIENTATION, "orientation": fit_line_orientation(pages)}
    line = OrientationModel.from_model(Model(arrays=fitted, card={}))
    held = read_both_ways(model, strings, range(count), jobs=jobs)
    return {**fitted, "rotation": fit_rotation(held, line)}


def read_both_ways(
    model: Model, composer: Composer, numbers: Sequence[int], *, jobs: int
) -> list[BothWays]:
    """Read composed strings as they are and upside down; those without ink are left out."""
    work = _ReadBothWays(reader=Reader(model, use_directory=False), composer=composer)
    return [one for one in map_strings(work, numbers, jobs=jobs) if one is not None]


def fit_line_orientation(pages: Sequence[BothWays]) -> NDArray[np.float32]:
    """Fit weights and bias of the log odds of a line to be upright: (97,)."""
    seen = np.concatenate([page.pooled for page in pages])
    upright = np.tile([True, False], len(pages))
    weights, bias = fit_logistic(seen, upright, strength=LINE_STRENGTH)
    return np.append(weights, np.float32(bias))


def fit_rotation(pages: Sequence[BothWays], line: OrientationModel) -> NDArray[np.float64]:
    """Fit the slopes of confidence and line: (2,), from the differences between both ways."""
    rows = [
        (
            log_odds(page.confidence[0], MIN_CONFIDENCE)
            - log_odds(page.confidence[1], MIN_CONFIDENCE),
            line.log_odds(page.pooled[0]) - line.log_odds(page.pooled[1]),
        )
        for page in pages
    ]
    seen = np.array(rows)
    with threadpool_limits(1, user_api="blas"):
        logistic = LogisticRegression(fit_intercept=False)
        logistic.fit(np.concatenate([seen, -seen]), np.repeat([True, False], len(seen)))
    return np.asarray(logistic.coef_[0], np.float64)
