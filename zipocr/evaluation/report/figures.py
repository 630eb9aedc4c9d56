"""Figures of an evaluation with matplotlib, in light and dark.

Figures are returned as text of an SVG or as matplotlib figures.
"""

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from zipocr.drawing.experiment_plot import new_figure
from zipocr.evaluation.error_rates import wilson
from zipocr.evaluation.metrics import Evaluation, Point, RiskCoverageCurve
from zipocr.evaluation.report.text import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

EXTRA = "report"
# A square-root scale spreads small error rates, and unlike a logarithm includes zero.
ERROR_TICKS = (0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)
TENTHS = np.linspace(0, 1, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """Colours of a figure.

    ``good`` and ``bad`` are distinct for colour-blind readers, and colour is never the only cue.
    """

    paper: str
    ink: str
    quiet: str
    line: str
    good: str
    bad: str
    shade: str


LIGHT = Theme(
    paper="#ffffff",
    ink="#202226",
    quiet="#63676d",
    line="#dcdfe0",
    good="#0a6ea8",
    bad="#b8460a",
    shade="#d9e8f2",
)
DARK = Theme(
    paper="#1c1f24",
    ink="#e8eaed",
    quiet="#a3a9b1",
    line="#363b43",
    good="#5fb4e8",
    bad="#ff9a5c",
    shade="#24405a",
)


def _paper(width: float, height: float, theme: Theme) -> "Figure":
    """Return an empty figure without margins, since the page has its own."""
    return new_figure(width, height, facecolor=theme.paper, extra=EXTRA, margin=0, gap=0.03)


def curve_figure(evaluation: Evaluation, theme: Theme = LIGHT) -> "Figure":
    """Plot the risk-coverage curve."""
    figure = _paper(5.2, 4.0, theme)
    plot_curve(figure.subplots(), evaluation, theme)
    return figure


def reliability_figure(evaluation: Evaluation, theme: Theme = LIGHT) -> "Figure":
    """Plot the reliability diagram with its histogram of confidences."""
    figure = _paper(5.2, 4.0, theme)
    plot_reliability(figure, evaluation, theme)
    return figure


def overview_figure(evaluation: Evaluation, theme: Theme = LIGHT) -> "Figure":
    """Plot both side by side."""
    figure = new_figure(11, 4.4, facecolor=theme.paper, extra=EXTRA)
    grid = figure.add_gridspec(1, 2)
    left, right = figure.add_subfigure(grid[0]), figure.add_subfigure(grid[1])
    plot_curve(left.subplots(), evaluation, theme)
    plot_reliability(right, evaluation, theme)
    return figure


def confusion_figure(evaluation: Evaluation, theme: Theme = LIGHT) -> "Figure":
    """Plot the confusion matrix.

    Counts are shaded by their share of the true digit.
    """
    from matplotlib.colors import LinearSegmentedColormap

    counts = evaluation.confusion
    shares = np.sqrt(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    figure = _paper(5.2, 4.9, theme)
    axes = figure.subplots()
    # Only errors are coloured, since right digits would dominate.
    wrong = np.where(np.eye(10, dtype=bool), 0, shares)
    axes.imshow(
        wrong,
        cmap=LinearSegmentedColormap.from_list("wrong", [theme.paper, theme.bad]),
        vmin=0,
        vmax=max(wrong.max(), 0.2),
    )
    for row, column in np.argwhere(counts >= HALF_A_PAGE):
        is_right = row == column
        colour = theme.quiet if is_right else theme.ink
        number = f"{counts[row, column]:.0f}"
        axes.text(
            column,
            row,
            number,
            ha="center",
            va="center",
            fontsize=10,
            color=colour,
            fontweight="normal" if is_right else "bold",
        )
    axes.set_xticks(np.arange(11) - 0.5, minor=True)
    axes.set_yticks(np.arange(11) - 0.5, minor=True)
    axes.grid(which="minor", color=theme.line, linewidth=0.7)
    axes.set_xticks(range(10), [str(digit) for digit in range(10)])
    axes.set_yticks(range(10), [str(digit) for digit in range(10)])
    _dress(axes, theme, "read", "true")
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


HALF_A_PAGE = 0.5
"""Smallest weighted count that is printed."""


def plot_curve(axes: "Axes", evaluation: Evaluation, theme: Theme) -> None:
    """Plot the risk-coverage curve, its upper bound, the target and the thresholds."""
    axes.set_yscale("function", functions=(lambda share: np.sqrt(np.maximum(share, 0)), np.square))
    _plot_target(axes, evaluation.suggestion.max_error, theme)
    curve, figures = evaluation.curve, evaluation.figures
    if len(curve.threshold):
        axes.fill_between(
            curve.accepted,
            curve.wrong,
            np.minimum(curve.bound, 1),
            color=theme.shade,
            linewidth=0,
            label="95 % upper bound",
        )
        axes.plot(*_from_none(curve), color=theme.good, linewidth=2, label="error rate")
    if figures.accepted:
        mark = _mark("o", theme.bad, theme)
        axes.plot(figures.accepted, figures.wrong, **mark, label="threshold of the results")
    if evaluation.suggestion.point:
        _plot_suggestion(axes, evaluation.suggestion.point, theme)
    _scale_curve(axes, _top(evaluation), theme)


def _plot_target(axes: "Axes", max_error: float, theme: Theme) -> None:
    axes.axhline(max_error, color=theme.quiet, linewidth=1, linestyle=(0, (1, 2)))
    axes.annotate(
        f"{plain(max_error)} asked for",
        (0, max_error),
        (4, 3),
        textcoords="offset points",
        fontsize=9,
        color=theme.quiet,
    )


def _scale_curve(axes: "Axes", top: float, theme: Theme) -> None:
    """Set the limits, ticks and labels of the risk-coverage curve."""
    axes.set_xlim(0, 1)
    axes.set_ylim(0, top)
    axes.set_xticks(TENTHS, [f"{100 * share:.0f} %" for share in TENTHS])
    ticks = [share for share in ERROR_TICKS if share <= top]
    axes.set_yticks(ticks, [plain(share) for share in ticks])
    axes.grid(color=theme.line, linewidth=0.7)
    _legend(axes, theme, "upper center")
    axes.set_title("Risk-coverage curve", loc="left", fontsize=12, color=theme.ink)
    _dress(axes, theme, "coverage (share of pages accepted)", "error rate among accepted")
    axes.tick_params(axis="x", pad=7)


def _plot_suggestion(axes: "Axes", point: Point, theme: Theme) -> None:
    axes.plot(
        point.accepted,
        point.wrong,
        **_mark("D", theme.ink, theme),
        label=f"--min-confidence {point.threshold:.4f}",
    )


def _mark(shape: str, colour: str, theme: Theme) -> dict[str, Any]:
    return {
        "marker": shape,
        "markersize": 8,
        "color": colour,
        "markeredgecolor": theme.paper,
        "markeredgewidth": 1.5,
        "linestyle": "none",
        "clip_on": False,
        "zorder": 5,
    }


def _top(evaluation: Evaluation) -> float:
    """Return the upper limit of the error axis.

    It includes the error rate at full coverage, and room for labels above.
    """
    last = float(evaluation.curve.wrong[-1]) if len(evaluation.curve.wrong) else 0.0
    return min(1.0, 1.9 * max(last, evaluation.figures.wrong, 3 * evaluation.suggestion.max_error))


def _from_none(curve: RiskCoverageCurve) -> tuple[np.ndarray, np.ndarray]:
    """Extend the curve to the axis at the error rate of its first point."""
    return np.append(0.0, curve.accepted), np.append(curve.wrong[:1], curve.wrong)


def plot_reliability(figure: "Figure | SubFigure", evaluation: Evaluation, theme: Theme) -> None:
    """Plot accuracy over confidence, and a histogram of confidences below."""
    upper, lower = figure.subplots(2, 1, height_ratios=[4, 1], sharex=True)
    _plot_truth(upper, evaluation, theme)
    _plot_counts(lower, evaluation, theme)


def _plot_truth(upper: "Axes", evaluation: Evaluation, theme: Theme) -> None:
    upper.plot(
        [0, 1],
        [0, 1],
        color=theme.quiet,
        linewidth=1,
        linestyle=(0, (1, 2)),
        label="perfect calibration",
    )
    for place, one in enumerate(evaluation.bins):
        reach = wilson(one.right, one.count)
        upper.plot(
            [one.confidence] * 2,
            [reach.low, reach.high],
            color=theme.good,
            linewidth=5,
            alpha=0.35,
            solid_capstyle="butt",
        )
        upper.plot(
            one.confidence,
            one.right,
            **_mark("o", theme.good, theme),
            label="accuracy, with 95 % interval" if not place else None,
        )
    upper.set_ylim(-0.02, 1.04)
    upper.set_xlim(0, 1.03)
    upper.set_yticks(TENTHS, [f"{100 * share:.0f} %" for share in TENTHS])
    upper.grid(color=theme.line, linewidth=0.7)
    _legend(upper, theme, "lower right")
    upper.set_title(
        f"Calibration: ECE {evaluation.figures.ece:.3f}",
        loc="left",
        fontsize=12,
        color=theme.ink,
    )
    _dress(upper, theme, "", "accuracy")


def _plot_counts(lower: "Axes", evaluation: Evaluation, theme: Theme) -> None:
    counts = [one.count for one in evaluation.bins]
    lower.bar([one.confidence for one in evaluation.bins], counts, width=0.05, color=theme.good)
    for one in evaluation.bins:
        top = (one.confidence, one.count)
        lower.annotate(
            f"{one.count}",
            top,
            (0, 2),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=theme.quiet,
        )
    lower.set_ylim(0, 1.45 * max(counts, default=1))
    lower.set_yticks([])
    lower.set_xticks(TENTHS, [f"{share:.1f}" for share in TENTHS])
    _dress(lower, theme, "confidence", "pages")


def _legend(axes: "Axes", theme: Theme, place: Literal["upper center", "lower right"]) -> None:
    if not axes.get_legend_handles_labels()[0]:
        return
    axes.legend(
        loc=place,
        fontsize=9,
        frameon=True,
        facecolor=theme.paper,
        edgecolor=theme.line,
        labelcolor=theme.ink,
    )


def _dress(axes: "Axes", theme: Theme, x: str, y: str) -> None:
    axes.set_facecolor(theme.paper)
    axes.set_xlabel(x, fontsize=10, color=theme.ink)
    axes.set_ylabel(y, fontsize=10, color=theme.ink)
    axes.tick_params(which="both", length=0, labelsize=9, labelcolor=theme.quiet)
    axes.set_axisbelow(True)
    for name, spine in axes.spines.items():
        spine.set_visible(name in {"left", "bottom"})
        spine.set_color(theme.line)


def to_svg(figure: "Figure") -> bytes:
    """Render a figure as SVG without fonts; equal figures give equal bytes."""
    from matplotlib import rc_context

    file = io.BytesIO()
    with rc_context({"svg.hashsalt": "zipocr", "svg.fonttype": "path"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
