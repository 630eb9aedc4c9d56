"""Metrics of results against labels: accuracy, curves, the worst errors, and a threshold.

Labels are either of arbitrary pages, each with weight 1; or they are decisions about a batch: all
doubtful pages, and a random sample of the pages that were read. Then pages are weighted by the
inverse of their sampling rate, and the figures are estimates for the whole batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from zipocr.evaluation.error_rates import (
    RISKS,
    Bin,
    Confidences,
    Correct,
    Interval,
    RiskCoverage,
    Weights,
    accepting,
    calibration_error,
    exact_interval,
    labels_needed,
    reliability,
    risk_coverage,
    upper_bound,
    wilson,
)
from zipocr.types import MAX_DIGITS, ZIP_LENGTH, Status

WORST = 12
"""Default number of errors to show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A labelled page.

    ``read`` and ``truth`` are five or nine digits, or empty. ``is_whole`` is False if the +4 of a
    nine-digit ZIP is unknown. ``confidence`` is None if nothing was read. ``is_audit``: drawn at
    random from pages with the status ``read``; ``is_doubt``: labelled because it was in doubt.
    ``weight`` is the number of pages it represents.
    """

    file: str
    page: int
    read: str
    truth: str
    is_whole: bool = False
    confidence: float | None
    status: Status
    group: str = ""
    is_audit: bool = False
    is_doubt: bool = False
    weight: float = 1.0

    @property
    def is_right(self) -> bool:
        """Whether all known digits were read correctly.

        For a page without a ZIP: whether none was read.
        """
        return self.read == self.truth if self.is_whole else self.read[:ZIP_LENGTH] == self.truth

    @property
    def digits(self) -> list[tuple[int, int]]:
        """Pairs of true and read digits, up to the shorter of the two."""
        return [(int(true), int(seen)) for true, seen in zip(self.truth, self.read, strict=False)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Population:
    """All pages that the labelled ones were drawn from.

    ``read`` and ``doubtful`` are the confidences of pages with the status ``read`` and of the
    others, ``(N,)`` each, NaN without a ZIP.
    """

    read: NDArray[np.float64]
    doubtful: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The sample sizes behind the estimates for a batch.

    ``audited`` of ``read`` pages and ``decided`` of ``doubtful`` ones; if no doubtful page is
    decided, they are left out.
    """

    read: int
    audited: int
    doubtful: int
    decided: int

    @property
    def undecided(self) -> int:
        """Number of undecided doubtful pages that the figures include."""
        return self.doubtful - self.decided if self.decided else 0

    @property
    def pages(self) -> int:
        """Number of pages that the figures include."""
        return self.read + (self.doubtful if self.decided else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Metrics over a set of pages, 0 to 1.

    ``exact``: share of right pages, nothing rejected. ``at_risk``: coverage at each error rate of
    `RISKS`, with thresholds chosen on the same labels, so slightly optimistic. ``accepted``: share
    with the status ``read``; ``wrong``: error rate among these, 0 if there are none. ``ece``:
    expected calibration error. ``unread``: share without a ZIP found. ``count``: number of labelled
    pages.
    """

    count: int
    exact: float
    exact_interval: Interval
    at_risk: tuple[float, ...]
    accepted: float
    wrong: float
    wrong_interval: Interval
    ece: float
    unread: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitPosition:
    """Digit accuracy at one position of the ZIP, from 1.

    The number of digits compared, and the share of right ones.
    """

    place: int
    count: int
    right: float
    interval: Interval


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RiskCoverageCurve:
    """A risk-coverage curve: (L,) each, highest threshold first.

    ``accepted`` is the coverage, ``wrong`` the error rate among accepted pages, ``bound`` its 95 %
    upper bound.
    """

    threshold: NDArray[np.float64]
    accepted: NDArray[np.float64]
    wrong: NDArray[np.float64]
    bound: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A point of a `RiskCoverageCurve`."""

    threshold: float
    accepted: float
    wrong: float
    bound: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """The lowest threshold that keeps to ``max_error`` with 95 % confidence.

    ``point`` is None if the labels do not suffice. ``surest`` is the point with the lowest bound,
    None if nothing was read. ``checked`` labelled pages could be accepted, and ``needed`` is the
    number it takes without an error.
    """

    max_error: float
    point: Point | None
    surest: Point | None
    checked: int
    needed: int

    @property
    def lacks_labels(self) -> bool:
        """Whether there are too few labels, even if all are right."""
        return self.point is None and self.checked < self.needed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """The result of an evaluation.

    ``confusion`` is ``(10, 10)``: true digit, read digit. ``errors`` is the number of wrong pages,
    ``worst`` the most confident of them. ``is_of_doubt``: only doubtful pages were labelled, so
    that the figures say nothing about the others.
    """

    figures: Figures
    groups: dict[str, Figures]
    estimate: Estimate | None
    places: tuple[DigitPosition, ...]
    confusion: NDArray[np.float64]
    bins: tuple[Bin, ...]
    curve: RiskCoverageCurve
    suggestion: Suggestion
    worst: tuple[Case, ...]
    errors: int
    is_of_doubt: bool


def evaluate(
    cases: Sequence[Case], *, max_error: float, batch: Population | None = None, worst: int = WORST
) -> Evaluation:
    """Evaluate labelled pages.

    Parameters
    ----------
    cases : sequence of Case
        At least one. Their weights are set here.
    max_error : float
        The error rate to suggest a threshold for, above 0.
    batch : Population or None
        The pages that the cases were drawn from. If some cases are audits, the figures are
        estimates for the batch.
    worst : int
        Number of errors to list, most confident first.

    Returns
    -------
    Evaluation
    """
    estimate = (
        _estimate(cases, batch)
        if batch is not None and any(case.is_audit for case in cases)
        else None
    )
    sample = _Sample(tuple(_weighted(cases, estimate) if estimate else cases))
    curve = _curve(sample, batch if estimate else None)
    wrong = [case for case in sample.cases if not case.is_right]
    names = sorted({case.group for case in cases})
    groups = {
        name: _figures(_Sample(tuple(case for case in sample.cases if case.group == name)))
        for name in names
    }
    figures = _figures(sample)
    return Evaluation(
        figures=figures
        if estimate is None
        else replace(figures, exact_interval=_stratified(sample, estimate)),
        groups=groups if len(groups) > 1 else {},
        estimate=estimate,
        places=tuple(_places(sample)),
        confusion=_confusion(sample),
        bins=tuple(reliability(sample.confidence, sample.right, sample.weights)),
        curve=curve,
        suggestion=_suggest(
            curve,
            max_error,
            checked=sum(case.is_audit for case in cases) if estimate else len(sample.confidence),
        ),
        worst=tuple(
            sorted(
                (case for case in wrong if case.read),
                key=lambda case: (-(case.confidence or 0), case.file, case.page),
            )[:worst]
        ),
        errors=len(wrong),
        is_of_doubt=all(case.is_doubt for case in cases),
    )


class _Sample:
    """Labelled pages; confidence, truth and weight of those with a ZIP, (N,) each."""

    def __init__(self, cases: tuple[Case, ...]) -> None:
        self.cases = cases
        self.found = [case for case in cases if case.read]
        self.confidence: Confidences = np.array(
            [case.confidence or 0.0 for case in self.found], np.float64
        )
        self.right: Correct = np.array([case.is_right for case in self.found], np.bool_)
        self.weights: Weights = np.array([case.weight for case in self.found], np.float64)

    @cached_property
    def total(self) -> float:
        """Total weight."""
        return _sum(self.cases)


def _sum(cases: Sequence[Case]) -> float:
    return float(sum(case.weight for case in cases))


def _effective(cases: Sequence[Case]) -> float:
    """Return the effective sample size (Kish, Survey Sampling, 1965)."""
    return _sum(cases) ** 2 / sum(case.weight**2 for case in cases)


def _estimate(cases: Sequence[Case], batch: Population) -> Estimate:
    audited = sum(case.is_audit for case in cases)
    return Estimate(
        read=len(batch.read),
        audited=audited,
        doubtful=len(batch.doubtful),
        decided=len(cases) - audited,
    )


def _weighted(cases: Sequence[Case], estimate: Estimate) -> list[Case]:
    """Weight pages by the inverse of their sampling rate.

    Undecided doubtful pages are assumed to be like the decided ones.
    """
    audit, doubt = estimate.read / estimate.audited, estimate.doubtful / max(estimate.decided, 1)
    return [replace(case, weight=audit if case.is_audit else doubt) for case in cases]


def _figures(sample: _Sample) -> Figures:
    cases, total = sample.cases, sample.total
    accepted = [case for case in cases if case.status is Status.READ]
    wrong = [case for case in accepted if not case.is_right]
    exact = _sum([case for case in cases if case.is_right]) / total
    return Figures(
        count=len(cases),
        exact=exact,
        exact_interval=wilson(exact, _effective(cases)),
        at_risk=tuple(
            risk_coverage(sample.confidence, sample.right, risk, sample.weights) / total
            for risk in RISKS
        ),
        accepted=_sum(accepted) / total,
        wrong=_sum(wrong) / _sum(accepted) if accepted else 0.0,
        # Accepted pages all have the same weight.
        wrong_interval=exact_interval(len(wrong), len(accepted)),
        ece=calibration_error(sample.confidence, sample.right, sample.weights),
        unread=1 - float(sample.weights.sum()) / total,
    )


def _stratified(sample: _Sample, estimate: Estimate) -> Interval:
    """Return the 95 % interval of the share of right pages in a batch.

    For read pages, the Clopper-Pearson interval of the audit, limited to the pages that were not
    audited. Decided doubtful pages are known; undecided ones may all be wrong, or all right.
    """
    audits = [case for case in sample.cases if case.is_audit]
    wrong = sum(not case.is_right for case in audits)
    drawn = exact_interval(wrong, len(audits))
    most_wrong = min(drawn.high * estimate.read, estimate.read - (len(audits) - wrong))
    least_wrong = max(drawn.low * estimate.read, wrong)
    known = sum(case.is_right for case in sample.cases if not case.is_audit)
    low = estimate.read - most_wrong + known
    return Interval(
        low=low / estimate.pages,
        high=(low + most_wrong - least_wrong + estimate.undecided) / estimate.pages,
    )


def _places(sample: _Sample) -> list[DigitPosition]:
    """Compare true and read digits by position."""
    found = []
    for place in range(MAX_DIGITS):
        cases = [case for case in sample.cases if len(case.digits) > place]
        if cases:
            right = _sum([case for case in cases if case.truth[place] == case.read[place]]) / _sum(
                cases
            )
            found.append(
                DigitPosition(
                    place=place + 1,
                    count=len(cases),
                    right=right,
                    interval=wilson(right, _effective(cases)),
                )
            )
    return found


def _confusion(sample: _Sample) -> NDArray[np.float64]:
    counts = np.zeros((10, 10))
    for case in sample.cases:
        for true, seen in case.digits:
            counts[true, seen] += case.weight
    return counts


def _curve(sample: _Sample, batch: Population | None) -> RiskCoverageCurve:
    found = accepting(sample.confidence, sample.right, sample.weights)
    bound = (
        upper_bound(found.wrong, found.count)
        if batch is None
        else _batch_bound(sample, batch, found)
    )
    return RiskCoverageCurve(
        threshold=found.threshold,
        accepted=found.count / sample.total,
        wrong=found.wrong / found.count,
        bound=bound,
    )


def _batch_bound(sample: _Sample, batch: Population, found: RiskCoverage) -> NDArray[np.float64]:
    """Return the upper bound of the error rate of a batch at each threshold.

    Audits above a threshold are a random sample of the pages read above it. Doubtful pages count as
    wrong if they were found to be wrong, or are undecided.
    """
    audit = np.array([case.is_audit for case in sample.found], np.bool_)

    def reach(confidence: NDArray[np.float64]) -> NDArray[np.float64]:
        """Count the confidences at or above each threshold."""
        return np.searchsorted(np.sort(-confidence), -found.threshold, side="right").astype(
            np.float64
        )

    seen, wrong = reach(sample.confidence[audit]), reach(sample.confidence[audit & ~sample.right])
    share = np.where(seen > 0, upper_bound(wrong, np.maximum(seen, 1)), 1.0)
    read, doubtful = (
        reach(batch.read[np.isfinite(batch.read)]),
        reach(batch.doubtful[np.isfinite(batch.doubtful)]),
    )
    doubtful_right = reach(sample.confidence[~audit & sample.right])
    most = np.minimum(share * read, read - (seen - wrong)) + doubtful - doubtful_right
    return np.asarray(most / (read + doubtful))


def _suggest(curve: RiskCoverageCurve, max_error: float, *, checked: int) -> Suggestion:
    points = range(len(curve.threshold))
    fine = np.flatnonzero(curve.bound <= max_error)
    surest = min(points, key=lambda place: (curve.bound[place], -place), default=None)
    return Suggestion(
        max_error=max_error,
        point=_point(curve, int(fine[-1])) if len(fine) else None,
        surest=None if surest is None else _point(curve, surest),
        checked=checked,
        needed=labels_needed(max_error),
    )


def _point(curve: RiskCoverageCurve, place: int) -> Point:
    return Point(
        threshold=float(curve.threshold[place]),
        accepted=float(curve.accepted[place]),
        wrong=float(curve.wrong[place]),
        bound=float(curve.bound[place]),
    )
