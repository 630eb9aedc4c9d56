"""An evaluation in sentences, the same on the terminal and on the page."""

from collections.abc import Iterator

from zipocr.evaluation.error_rates import Interval
from zipocr.evaluation.metrics import Estimate, Evaluation, Figures, Suggestion


def percent(share: float, *, digits: int = 1) -> str:
    """Write a share.

    Examples
    --------
    >>> percent(0.9563), percent(1.0), percent(0.00941, digits=2)
    ('95.6 %', '100.0 %', '0.94 %')
    """
    return f"{100 * share:.{digits}f} %"


def span(interval: Interval) -> str:
    """Write an interval.

    Examples
    --------
    >>> span(Interval(low=0.9458, high=0.9645))
    '94.6 to 96.5 %'
    """
    return f"{100 * interval.low:.1f} to {percent(interval.high)}"


def plain(error: float) -> str:
    """Write a share of errors as people say it.

    Examples
    --------
    >>> plain(0.01), plain(0.001), plain(0.025)
    ('1 %', '0.1 %', '2.5 %')
    """
    return f"{100 * error:.4g} %"


def counted(count: int, noun: str) -> str:
    """Write a number of things.

    Examples
    --------
    >>> counted(1, "page"), counted(1860, "page")
    ('1 page', '1,860 pages')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def basis(evaluation: Evaluation) -> Iterator[str]:
    """Say what the figures are of."""
    if evaluation.estimate:
        yield from _estimated(evaluation.estimate)
    elif evaluation.is_of_doubt:
        yield (
            f"Only doubtful pages were labelled, {evaluation.figures.count:,} of them: these "
            "figures are of them alone."
        )
        yield (
            "They say nothing of the pages that were read, nor of the whole batch; that takes an "
            "audit of some of those."
        )
    else:
        yield f"From {counted(evaluation.figures.count, 'labelled page')}."


def _estimated(estimate: Estimate) -> Iterator[str]:
    drawn = f"{estimate.audited:,} audited of {estimate.read:,} that were read"
    if not estimate.decided:
        yield (
            f"An estimate for the {counted(estimate.read, 'page')} that were read, from "
            f"{estimate.audited:,} of them that were audited."
        )
        if estimate.doubtful:
            yield (
                f"Nobody has decided about the {counted(estimate.doubtful, 'doubtful page')}: they "
                "are left out."
            )
        return
    decided = f"{estimate.decided:,} decided of {estimate.doubtful:,} doubtful"
    yield f"An estimate for all {counted(estimate.pages, 'page')}, from {drawn} and {decided}."
    yield "The 95 % interval is Clopper and Pearson's for the audit; what was decided is known."
    if estimate.undecided:
        rest = (
            f"The {estimate.undecided:,} doubtful ones that are undecided are taken to be like the "
            "others"
        )
        yield f"{rest}, and the interval reaches from all of them wrong to all right."


def advice(suggestion: Suggestion) -> Iterator[str]:
    """Say which threshold to choose, or why there is none to promise anything by."""
    error, point = plain(suggestion.max_error), suggestion.point
    if point:
        yield (
            f"--min-confidence {point.threshold:.4f} keeps to at most {error} wrong ZIPs among the "
            "accepted, with 95 % certainty."
        )
        seen = (
            f"{percent(point.wrong, digits=2)} of these are wrong here, and the upper bound is "
            f"{percent(_up(point.bound), digits=2)}"
        )
        yield f"It accepts {percent(point.accepted)} of the pages; {seen}."
        return
    if suggestion.lacks_labels:
        yield f"Too few labels to promise at most {error} wrong ZIPs among the accepted."
        there = f"{suggestion.checked:,} {'was' if suggestion.checked == 1 else 'were'} labelled"
        yield f"That takes {suggestion.needed:,} that are accepted without a mistake; {there}."
    else:
        yield (
            f"No threshold can be promised to keep to at most {error} wrong ZIPs among the "
            "accepted."
        )
        yield (
            f"It takes {suggestion.needed:,} of the surest without a mistake, or more with some: "
            "label more pages, or accept more errors."
        )
    if suggestion.surest and suggestion.surest.bound < 1:
        best = suggestion.surest
        yield (
            f"The best that these labels can promise is {plain(_up(best.bound))}, with "
            f"--min-confidence {best.threshold:.4f}."
        )


def _up(bound: float) -> float:
    """Round a bound to a hundredth of a per cent, upwards: a promise may not shrink on paper."""
    return -(-bound * 10_000 // 1) / 10_000


def shown_figures(figures: Figures) -> list[tuple[str, str, str]]:
    """The figures to be shown first: a name, the share, and a remark."""
    return [
        ("exact", percent(figures.exact), f"95 % interval {span(figures.exact_interval)}"),
        ("read", percent(figures.accepted), "accepted at the threshold of the results"),
        (
            "wrong among read",
            percent(figures.wrong, digits=2),
            f"95 % interval {span(figures.wrong_interval)}",
        ),
        (
            "accepted @ 1 %",
            percent(figures.at_risk[0]),
            "could be accepted, 1 in 100 of them wrong",
        ),
        ("accepted @ 0.1 %", percent(figures.at_risk[1]), "the same at 1 in 1,000"),
        ("ece", f"{figures.ece:.3f}", "mean distance of confidence from truth"),
        ("unread", percent(figures.unread), "no ZIP was found"),
    ]
