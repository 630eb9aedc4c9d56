"""Fitting of the orientation models, on composed strings read upright and upside down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from zipocr.decode.confidence import log_odds
from zipocr.decode.orientation import CERTAIN, MIN_CONFIDENCE, OrientationModel
from zipocr.line.network import CLASS_FEATURES
from zipocr.preprocess.page import prepare
from zipocr.reader import Reader
from zipocr.training.fit.region_samples import map_strings
from zipocr.training.fit.svm import fit_logistic
from zipocr.training.synthesis.compose import Composer
from zipocr.types import Floats, Model

# Arrays before fitting: every page counts as upright.
NO_ORIENTATION: Mapping[str, NDArray[Any]] = {
    "orientation": np.append(np.zeros(CLASS_FEATURES, np.float32), np.float32(CERTAIN)),
    "rotation": np.zeros(2),
}
# Inverse regularization strength of the line model.
LINE_STRENGTH = 0.03


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BothWays:
    """A page upright and upside down: (2, 1067) features by class, and (2,) confidences."""

    class_features: Floats
    confidence: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _LinesBothWays:
    """Task that returns the features of a string upright and upside down: (2, 1067)."""

    reader: Reader
    composer: Composer

    def __call__(self, number: int) -> Floats | None:
        upright = prepare(self.composer.nth(number).image).ink
        if upright is None:
            return None
        lines = self.reader.read_lines([upright, upright.rotated_180()])
        return np.stack([line.class_features for line in lines])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _ReadBothWays:
    """Task that reads one string of a composer upright and upside down."""

    reader: Reader
    composer: Composer

    def __call__(self, number: int) -> BothWays | None:
        upright = prepare(self.composer.nth(number).image)
        attempts = self.reader.read_upright([upright, upright.rotated_180()])
        lines = [one.line for one in attempts if one.line]
        if len(lines) < len(attempts):
            return None
        return BothWays(
            class_features=np.stack([line.class_features for line in lines]),
            confidence=np.array([one.confidence for one in attempts]),
        )


def fit_orientation(
    arrays: Mapping[str, NDArray[Any]],
    lines: Sequence[Composer],
    strings: Sequence[Composer],
    count: int,
    *,
    jobs: int,
) -> dict[str, NDArray[Any]]:
    """Fit the models that distinguish upright from upside-down pages.

    Parameters
    ----------
    arrays : mapping
        All other arrays of the model.
    lines : sequence of Composer
        Composers of strings to fit the line model to.
    strings : sequence of Composer
        Strings of other writers, to weight the line model against the confidence.
    count : int
        Number of strings of each composer.
    jobs : int
        Number of processes.

    Returns
    -------
    dict
        Arrays of the model file.
    """
    fitted = {**NO_ORIENTATION, **fit_line_orientation(arrays, lines, count, jobs=jobs)}
    line = OrientationModel.from_model(Model(arrays=fitted, card={}))
    held = [
        page
        for one in strings
        for page in read_both_ways(_unfitted(arrays), one, range(count), jobs=jobs)
    ]
    return {**fitted, "rotation": fit_rotation(held, line)}


def fit_line_orientation(
    arrays: Mapping[str, NDArray[Any]], lines: Sequence[Composer], count: int, *, jobs: int
) -> dict[str, NDArray[Any]]:
    """Fit weights and bias of the log odds of a line being upright, (1068,), for one network."""
    reader = Reader(_unfitted(arrays), use_directory=False)
    tasks = [_LinesBothWays(reader=reader, composer=one) for one in lines]
    found = [
        both
        for task in tasks
        for both in map_strings(task, range(count), jobs=jobs)
        if both is not None
    ]
    return {"orientation": fit_lines(found)}


def read_both_ways(
    model: Model, composer: Composer, numbers: Sequence[int], *, jobs: int
) -> list[BothWays]:
    """Read composed strings upright and upside down, omitting those without ink."""
    work = _ReadBothWays(reader=Reader(model, use_directory=False), composer=composer)
    return [one for one in map_strings(work, numbers, jobs=jobs) if one is not None]


def fit_lines(lines: Sequence[Floats]) -> NDArray[np.float32]:
    """Fit weights and bias, (1068,), to lines upright and upside down, each (2, 1067)."""
    weights, bias = fit_logistic(
        np.concatenate(lines), np.tile([True, False], len(lines)), strength=LINE_STRENGTH
    )
    return np.append(weights, np.float32(bias))


def fit_rotation(pages: Sequence[BothWays], line: OrientationModel) -> NDArray[np.float64]:
    """Fit the slopes of confidence and line, (2,), to the differences between both orientations."""
    rows = [
        (
            log_odds(page.confidence[0], MIN_CONFIDENCE)
            - log_odds(page.confidence[1], MIN_CONFIDENCE),
            line.log_odds(page.class_features[0]) - line.log_odds(page.class_features[1]),
        )
        for page in pages
    ]
    seen = np.array(rows)
    with threadpool_limits(1, user_api="blas"):
        logistic = LogisticRegression(fit_intercept=False)
        logistic.fit(np.concatenate([seen, -seen]), np.repeat([True, False], len(seen)))
    return np.asarray(logistic.coef_[0], np.float64)


def _unfitted(arrays: Mapping[str, NDArray[Any]]) -> Model:
    return Model(arrays={**arrays, **NO_ORIENTATION}, card={})
