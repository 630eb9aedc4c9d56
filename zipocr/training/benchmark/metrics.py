"""Metrics of a reader: accuracy, coverage at a risk, and calibration.

Equal confidences are always treated together, since no threshold can separate them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from zipocr.evaluation import error_rates as shares
from zipocr.evaluation.error_rates import (
    RISKS,
    Z95,
    Bin,
    calibration_error,
    half_width,
    risk_coverage,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The result of reading a crop with a ZIP.

    ``kind`` groups crops. ``confidence`` is rounded to four decimals as in results; None if unread.
    ``accepted``: whether it counts as ``read``. ``place`` is the rank of the truth among the n-best
    strings, from 0, or None.
    """

    kind: str
    is_right: bool
    confidence: float | None
    accepted: bool
    place: int | None


Pair: TypeAlias = tuple[Sequence[Answer], Sequence[Answer]]
"""Answers to the same crops, with and without the directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Metrics over a set of crops.

    ``exact``: share of right answers, nothing rejected. ``at_risk``: coverage at each error rate of
    `RISKS`, with thresholds chosen on the same answers, so slightly optimistic. ``accepted`` and
    ``wrong``: share accepted at the reader's threshold, and the error rate among these. ``ece``:
    expected calibration error over the crops read; 0 if there are none. ``within``: the truth is
    among the two best strings, and among the n-best.
    """

    count: int
    exact: float
    at_risk: tuple[float, ...]
    accepted: float
    wrong: float
    ece: float
    unread: float
    within: tuple[float, float]

    @property
    def half_width(self) -> float:
        """Half width of the 95 % interval of ``exact`` (Wilson)."""
        return half_width(self.exact, self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The change of a share on the same crops.

    The new value, the difference, and its 95 % half width from the crops that changed.
    """

    now: float
    difference: float
    half_width: float


def score(answers: Sequence[Answer]) -> Score:
    """Compute all metrics of at least one answer."""
    count = len(answers)
    confidence, right = _read(answers)
    taken = [one.is_right for one in answers if one.accepted]
    kept = [one.place for one in answers if one.place is not None]
    return Score(
        count=count,
        exact=sum(one.is_right for one in answers) / count,
        at_risk=tuple(risk_coverage(confidence, right, risk) / count for risk in RISKS),
        accepted=len(taken) / count,
        wrong=1 - sum(taken) / len(taken) if taken else 0.0,
        ece=calibration_error(confidence, right),
        unread=1 - len(confidence) / count,
        within=(sum(place < 2 for place in kept) / count, len(kept) / count),
    )


def score_by_kind(answers: Sequence[Answer]) -> dict[str, Score]:
    """Compute metrics by kind, sorted by name; empty if there is only one."""
    kinds = sorted({one.kind for one in answers})
    return (
        {kind: score([one for one in answers if one.kind == kind]) for kind in kinds}
        if len(kinds) > 1
        else {}
    )


def reliability(answers: Sequence[Answer]) -> list[Bin]:
    """Return the bins of a reliability diagram.

    See `zipocr.evaluation.error_rates.reliability`.
    """
    return shares.reliability(*_read(answers))


def change(now: Sequence[Answer], before: Sequence[Answer]) -> Change:
    """Compare the exact accuracy of two readings of the same crops."""
    steps = np.array(
        [int(one.is_right) - int(other.is_right) for one, other in zip(now, before, strict=True)]
    )
    share = sum(one.is_right for one in now) / len(now)
    return Change(
        now=share,
        difference=float(steps.mean()),
        half_width=Z95 * float(steps.std()) / math.sqrt(len(steps)),
    )


def _read(answers: Sequence[Answer]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return confidence and truth of the crops with five digits."""
    pairs = [(one.confidence, one.is_right) for one in answers if one.confidence is not None]
    return np.array([confidence for confidence, _ in pairs], np.float64), np.array(
        [right for _, right in pairs], np.bool_
    )
