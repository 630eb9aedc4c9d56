"""An evaluation as plain JSON values, for programs."""

from dataclasses import asdict
from typing import Any

from zipocr.evaluation.metrics import Case, Evaluation, Figures
from zipocr.results.cells import to_cell
from zipocr.types import dashed

DECIMALS = 6


def to_facts(evaluation: Evaluation) -> dict[str, Any]:
    """Return all figures.

    Returns
    -------
    dict
        JSON values. Shares are 0 to 1, with six decimals; file names are escaped as in results.
    """
    curve = evaluation.curve
    return {
        "all": _figures(evaluation.figures),
        "groups": {to_cell(name): _figures(figures) for name, figures in evaluation.groups.items()},
        "estimate": None
        if evaluation.estimate is None
        else {**asdict(evaluation.estimate), "pages": evaluation.estimate.pages},
        "only_doubtful_pages": evaluation.is_of_doubt,
        "suggestion": _rounded(asdict(evaluation.suggestion)),
        "places": [_rounded(asdict(place)) for place in evaluation.places],
        "confusion": _rounded(evaluation.confusion.tolist()),
        "reliability": [_rounded(asdict(one)) for one in evaluation.bins],
        "curve": {
            name: _rounded(getattr(curve, name).tolist())
            for name in ("threshold", "accepted", "wrong", "bound")
        },
        "errors": evaluation.errors,
        "worst": [_case(case) for case in evaluation.worst],
    }


def _figures(figures: Figures) -> dict[str, Any]:
    at_one, at_tenth = figures.at_risk
    plain = asdict(figures)
    del plain["at_risk"]
    return dict(
        _rounded({**plain, "accepted_at_1_percent": at_one, "accepted_at_0.1_percent": at_tenth})
    )


def _case(case: Case) -> dict[str, Any]:
    return {
        "file": to_cell(case.file),
        "page": case.page,
        "read": dashed(case.read),
        "stands_there": dashed(case.truth),
        "confidence": case.confidence,
        "status": case.status.value,
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DECIMALS)
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value
