"""An evaluation in sentences, for the terminal and the page."""

from collections.abc import Iterator

from zipocr.evaluation.error_rates import Interval
from zipocr.evaluation.metrics import Estimate, Evaluation, Figures, Suggestion


def percent(share: float, *, digits: int = 1) -> str:
    """Format a share as a percentage.

    Examples
    --------
    >>> percent(0.9563), percent(1.0), percent(0.00941, digits=2)
    ('95.6 %', '100.0 %', '0.94 %')
    """
    return f"{100 * share:.{digits}f} %"


def span(interval: Interval) -> str:
    """Format an interval as percentages.

    Examples
    --------
    >>> span(Interval(low=0.9458, high=0.9645))
    '94.6 to 96.5 %'
    """
    return f"{100 * interval.low:.1f} to {percent(interval.high)}"


def plain(error: float) -> str:
    """Format an error rate with as few digits as possible.

    Examples
    --------
    >>> plain(0.01), plain(0.001), plain(0.025)
    ('1 %', '0.1 %', '2.5 %')
    """
    return f"{100 * error:.4g} %"


def counted(count: int, noun: str) -> str:
    """Format a count with its noun.

    Examples
    --------
    >>> counted(1, "page"), counted(1860, "page")
    ('1 page', '1,860 pages')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def basis(evaluation: Evaluation) -> Iterator[str]:
    """Describe what the figures are based on."""
    if evaluation.estimate:
        yield from _estimated(evaluation.estimate)
    elif evaluation.is_of_doubt:
        yield (
            f"Only doubtful pages were labelled, {evaluation.figures.count:,} of them; the "
            "figures describe these pages only."
        )
        yield (
            "They say nothing about accepted pages or the whole batch; that takes an audit of "
            "accepted pages."
        )
    else:
        yield f"From {counted(evaluation.figures.count, 'labelled page')}."


def _estimated(estimate: Estimate) -> Iterator[str]:
    drawn = f"{estimate.audited:,} audited of {estimate.read:,} that were read"
    if not estimate.decided:
        yield (
            f"An estimate for the {counted(estimate.read, 'page')} that were read, from an audit "
            f"of {estimate.audited:,} of them."
        )
        if estimate.doubtful:
            yield f"Undecided doubtful pages are left out: {estimate.doubtful:,}."
        return
    decided = f"{estimate.decided:,} decided of {estimate.doubtful:,} doubtful"
    yield f"An estimate for all {counted(estimate.pages, 'page')}, from {drawn} and {decided}."
    yield "The 95 % interval is Clopper and Pearson's for the audit; decided pages are known."
    if estimate.undecided:
        rest = (
            f"The {estimate.undecided:,} undecided doubtful pages are assumed to be like the "
            "decided ones"
        )
        yield f"{rest}; the interval covers all of them being wrong or right."


def advice(suggestion: Suggestion) -> Iterator[str]:
    """Suggest a threshold, or explain why the labels do not suffice for one."""
    error, point = plain(suggestion.max_error), suggestion.point
    if point:
        yield (
            f"--min-confidence {point.threshold:.4f} keeps the error rate among accepted pages "
            f"at {error} or less, with 95 % confidence."
        )
        seen = (
            f"{percent(point.wrong, digits=2)} of them are wrong here, and the upper bound is "
            f"{percent(_up(point.bound), digits=2)}"
        )
        yield f"It accepts {percent(point.accepted)} of the pages; {seen}."
        return
    if suggestion.lacks_labels:
        yield f"Too few labels to promise an error rate of at most {error} among accepted pages."
        there = f"{suggestion.checked:,} {'was' if suggestion.checked == 1 else 'were'} labelled"
        yield f"That takes {suggestion.needed:,} accepted pages without an error; {there}."
    else:
        yield (f"No threshold can promise an error rate of at most {error} among accepted pages.")
        yield (
            f"It takes {suggestion.needed:,} of the most confident without an error, or more with "
            "some: label more pages, or accept a higher error rate."
        )
    if suggestion.surest and suggestion.surest.bound < 1:
        best = suggestion.surest
        yield (
            f"The lowest error rate these labels can promise is {plain(_up(best.bound))}, with "
            f"--min-confidence {best.threshold:.4f}."
        )


def _up(bound: float) -> float:
    """Round a bound up to a hundredth of a per cent."""
    return -(-bound * 10_000 // 1) / 10_000


def shown_figures(figures: Figures) -> list[tuple[str, str, str]]:
    """Return the main figures: name, value and remark."""
    return [
        ("exact", percent(figures.exact), f"95 % interval {span(figures.exact_interval)}"),
        ("read", percent(figures.accepted), "accepted at the threshold of the results"),
        (
            "error rate among read",
            percent(figures.wrong, digits=2),
            f"95 % interval {span(figures.wrong_interval)}",
        ),
        (
            "coverage at 1 % error",
            percent(figures.at_risk[0]),
            "share that can be accepted with 1 in 100 wrong",
        ),
        ("coverage at 0.1 % error", percent(figures.at_risk[1]), "the same at 1 in 1,000"),
        ("calibration error", f"{figures.ece:.3f}", "expected calibration error (ECE)"),
        ("unread", percent(figures.unread), "no ZIP was found"),
    ]
