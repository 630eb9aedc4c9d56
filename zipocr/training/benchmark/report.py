"""Tables of measurements: full ones for a terminal, short ones in Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zipocr.training.benchmark.figures import markdown
from zipocr.training.benchmark.measure import Recall
from zipocr.training.benchmark.metrics import (
    Answer,
    Pair,
    Score,
    change,
    reliability,
    score,
    score_by_kind,
)

DIRECTORY = ("yes", "no")
_SHOWN = ("exact", "+-", "@1%", "@0.1%", "read", "err|read", "ece", "unread", "best 2", "kept")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The answers of one model to one set of crops."""

    crops: str
    model: str
    answers: Pair


def full_table(answers: Sequence[Answer]) -> list[str]:
    """Format all metrics, by kind and overall, as aligned text."""
    table = {**score_by_kind(answers), "all": score(answers)}
    lines = [f"{'':14}{'n':>6}" + "".join(f"{name:>9}" for name in _SHOWN)]
    return [
        *lines,
        *(
            f"{kind:14}{one.count:6}" + "".join(f"{share:9.3f}" for share in _shares(one))
            for kind, one in table.items()
        ),
    ]


def _shares(one: Score) -> tuple[float, ...]:
    return (
        one.exact,
        one.half_width,
        *one.at_risk,
        one.accepted,
        one.wrong,
        one.ece,
        one.unread,
        *one.within,
    )


def reliability_table(answers: Sequence[Answer]) -> list[str]:
    """Format the reliability diagram as aligned text."""
    return [
        f"{'confidence':>12}{'right':>9}{'n':>7}",
        *(f"{one.confidence:12.3f}{one.right:9.3f}{one.count:7}" for one in reliability(answers)),
    ]


def compact_table(measured: Sequence[Measured]) -> list[str]:
    """Tabulate results on labelled crops."""
    heads = (
        "crops",
        "model",
        "directory",
        "n",
        "exact",
        "± 95 %",
        "@1 %",
        "ece",
        "`read`",
        "wrong among these",
    )
    rows = []
    for one in measured:
        for used, answers in zip(DIRECTORY, one.answers, strict=True):
            found = score(answers)
            shares = (
                found.exact,
                found.half_width,
                found.at_risk[0],
                found.ece,
                found.accepted,
                found.wrong,
            )
            rows.append(
                (
                    f"`{one.crops}`",
                    f"`{one.model}`",
                    used,
                    str(found.count),
                    *(f"{share:.3f}" for share in shares),
                )
            )
    return markdown(heads, rows)


def kinds_table(pages: Mapping[str, Pair]) -> list[str]:
    """Tabulate results of one model by kind, for several sets of pages."""
    heads = ("pages", "kind", "n", "exact", "`read`", "wrong among these", "exact, no directory")
    rows = []
    for name, (with_it, without) in pages.items():
        table = {**score_by_kind(with_it), "all": score(with_it)}
        bare = {**score_by_kind(without), "all": score(without)}
        for kind, found in table.items():
            shares = (found.exact, found.accepted, found.wrong, bare[kind].exact)
            cells = (name, kind, str(found.count))
            rows.append((*cells, *(f"{share:.3f}" for share in shares)))
    return markdown(heads, rows)


def summary_table(measured: Sequence[Measured], model: str) -> list[str]:
    """Tabulate the main results of one model."""
    heads = ("crops", "directory", "n", "exact", "± 95 %", "`read`", "wrong among these")
    rows = []
    for one in measured:
        if one.model != model:
            continue
        for used, answers in zip(DIRECTORY, one.answers, strict=True):
            found = score(answers)
            shares = (found.exact, found.half_width, found.accepted, found.wrong)
            cells = (f"`{one.crops}`", used, str(found.count))
            rows.append((*cells, *(f"{share:.3f}" for share in shares)))
    return markdown(heads, rows)


def ablation_table(full: Pair, without: Mapping[str, Pair]) -> list[str]:
    """Tabulate the ablation.

    Exact accuracy without each part, and the change in points on the same crops.
    """
    heads = ("without", "exact", "change, points", "exact, no directory", "change, points")
    whole = [f"{score(answers).exact:.3f}" for answers in full]
    rows = [
        ("(nothing: all parts)", whole[0], "", whole[1], ""),
        ("directory", whole[1], _points(full[1], full[0]), "", ""),
    ]
    for part, answers in without.items():
        cells = [
            (f"{score(now).exact:.3f}", _points(now, before))
            for now, before in zip(answers, full, strict=True)
        ]
        rows.append((part, *cells[0], *cells[1]))
    return markdown(heads, rows)


def _points(now: Sequence[Answer], before: Sequence[Answer]) -> str:
    found = change(now, before)
    return f"{100 * found.difference:+.1f} ± {100 * found.half_width:.1f}"


def strings_table(measured: Sequence[Measured]) -> list[str]:
    """Tabulate results on composed strings, which have more of the rare kinds."""
    heads = (
        "model",
        "directory",
        "n",
        "exact",
        "± 95 %",
        "touching",
        "printed",
        "@1 %",
        "ece",
        "among the best two",
        "among those kept",
    )
    rows = []
    for one in measured:
        for used, answers in zip(DIRECTORY, one.answers, strict=True):
            found, kinds = score(answers), score_by_kind(answers)
            alone = (kinds["touching"].exact, kinds["printed"].exact)
            shares = (
                found.exact,
                found.half_width,
                *alone,
                found.at_risk[0],
                found.ece,
                *found.within,
            )
            rows.append(
                (f"`{one.model}`", used, str(found.count), *(f"{share:.3f}" for share in shares))
            )
    return markdown(heads, rows)


def recall_table(found: Sequence[Recall], *, by_kind: bool) -> list[str]:
    """Tabulate the shares of strings with a whole region for each digit.

    By kind, or with all but touching and printed ones together.
    """
    groups: dict[str, list[Recall]] = {}
    for one in found:
        groups.setdefault(
            one.kind if by_kind or one.kind in {"touching", "printed"} else "other handwriting", []
        ).append(one)
    rows = []
    for kind, some in [*sorted(groups.items()), ("all", list(found))]:
        shares = (
            sum(one.at_centres for one in some) / len(some),
            sum(one.as_read for one in some) / len(some),
        )
        rows.append((kind, str(len(some)), *(f"{share:.3f}" for share in shares)))
    return markdown(("strings", "n", "divided at the true centres", "as read"), rows)


def floor(answers: Pair) -> tuple[float, float, float]:
    """Return the floor of a model for the test.

    Exact accuracy with and without the directory, and the error rate among accepted with it.
    """
    with_it, without = score(answers[0]), score(answers[1])
    return round(with_it.exact, 4), round(without.exact, 4), round(with_it.wrong, 4)
