"""Plot of an experiment: digits with both labels, confusion matrix, accuracy by C and gamma.

Matplotlib is an optional dependency (``zipocr[plots]``), imported when something is plotted.
Figures are made without ``pyplot``, so that no global state and no display is needed. Callers save
them.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zipocr.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

INK = "#202226"
QUIET = "#70747a"
RIGHT = "#00704f"
WRONG = "#b8460a"
HAIRLINE = "#d6d8d8"
SHOWN = 6
HALF = 0.5
DIGITS = range(10)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TuningMap:
    """Cross-validated accuracy of every pair of C and gamma.

    ``c_values`` is ``(A,)`` and ``gamma_values`` ``(B,)``, both ascending; ``accuracy`` is ``(A,
    B)``, each 0 to 1.
    """

    c_values: NDArray[np.float64]
    gamma_values: NDArray[np.float64]
    accuracy: NDArray[np.float64]


def plot_experiment(
    images: NDArray[np.generic],
    actual: NDArray[np.integer],
    predicted: NDArray[np.integer],
    confusion: NDArray[np.integer],
    tuning: TuningMap | None,
) -> "Figure":
    """Plot the predictions of an experiment and their accuracy.

    Parameters
    ----------
    images : ndarray
        ``(N, 8, 8)``, 0 paper to 16 ink, N >= 1: the held-out digits; the first six are shown.
    actual, predicted : ndarray
        ``(N,)`` ints 0 to 9: true and predicted digits.
    confusion : ndarray
        ``(10, 10)`` counts; row: actual, column: predicted.
    tuning : TuningMap or None
        Accuracy over C and gamma, or None to plot the confusion matrix alone.

    Returns
    -------
    matplotlib.figure.Figure
        To be saved at 100 dots per inch or more.

    Raises
    ------
    InputError
        If matplotlib is not installed.
    """
    figure = new_figure(12.4, 8.6)
    grid = figure.add_gridspec(2, 1, height_ratios=[1, 2.3])
    _plot_digits(figure.add_subfigure(grid[0]), images, actual, predicted)
    axes = figure.add_subfigure(grid[1]).subplots(1, 1 if tuning is None else 2, squeeze=False)[0]
    _plot_confusion(axes[0], confusion)
    if tuning is not None:
        _plot_tuning(axes[1], tuning)
    return figure


def new_figure(
    width: float,
    height: float,
    *,
    facecolor: str = "white",
    extra: str = "plots",
    margin: float = 0.02,
    gap: float = 0.12,
) -> "Figure":
    """Make an empty figure that needs neither ``pyplot`` nor a display.

    Parameters
    ----------
    width, height : float
        Inches.
    facecolor : str
        Background colour.
    extra : str
        The extra to install if matplotlib is missing.
    margin : float
        Margin at each side, as a share of the figure.
    gap : float
        Padding around each part in inches.

    Raises
    ------
    InputError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        message = (
            "Plotting needs matplotlib, which is not installed. Install it with: pip install "
            f"'zipocr[{extra}]'"
        )
        raise InputError(message) from error
    inside = 1 - 2 * margin
    layout = ConstrainedLayoutEngine(
        rect=(margin, margin, inside, inside), w_pad=gap, h_pad=gap / 1.2
    )
    figure = Figure(figsize=(width, height), dpi=100, layout=layout, facecolor=facecolor)
    FigureCanvasAgg(figure)
    return figure


def _plot_digits(
    figure: "SubFigure",
    images: NDArray[np.generic],
    actual: NDArray[np.integer],
    predicted: NDArray[np.integer],
) -> None:
    shown = min(SHOWN, len(images))
    right = int(np.sum(np.asarray(actual) == np.asarray(predicted)))
    of_all = "" if shown == len(images) else f"; the first {shown} of them"
    figure.suptitle(
        f"Held-out digits: {right} of {len(images)} right{of_all}",
        x=0.01,
        ha="left",
        fontsize=13,
        color=INK,
    )
    # Always six places, so that a few digits are not enlarged.
    for place, axes in enumerate(figure.subplots(1, SHOWN)):
        if place >= shown:
            axes.set_axis_off()
            continue
        _plot_digit(axes, images[place], int(actual[place]), int(predicted[place]))


def _plot_digit(axes: "Axes", image: NDArray[np.generic], actual: int, predicted: int) -> None:
    colour = RIGHT if actual == predicted else WRONG
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=16, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    _draw_cell_lines(axes, image.shape)
    for spine in axes.spines.values():
        spine.set(color=colour, linewidth=2)
    # Colour is never the only cue: a wrong reading is also labelled.
    verdict = "" if actual == predicted else "  wrong"
    axes.set_xlabel(
        f"actual {actual}\npredicted {predicted}{verdict}",
        fontsize=12,
        color=INK if actual == predicted else WRONG,
    )


def _plot_confusion(axes: "Axes", confusion: NDArray[np.integer]) -> None:
    """Shade each cell by its share of the row, and print the counts."""
    counts = np.asarray(confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.15)
    for row, column in np.argwhere(counts > 0):
        colour = "white" if shares[row, column] > HALF else INK
        weight = "normal" if row == column else "bold"
        axes.text(
            column,
            row,
            f"{counts[row, column]}",
            ha="center",
            va="center",
            fontsize=10,
            color=colour,
            fontweight=weight,
        )
    axes.set_anchor("NW")
    axes.set_xticks(DIGITS)
    axes.set_yticks(DIGITS)
    axes.set_xlabel("predicted", fontsize=11, color=INK)
    axes.set_ylabel("actual", fontsize=11, color=INK)
    right, total = int(np.trace(counts)), int(counts.sum())
    axes.set_title(
        f"Confusion: {right} of {total} right"
        + (f", accuracy {right / total:.4f}" if total else ""),
        loc="left",
        fontsize=13,
        color=INK,
    )
    _draw_cell_lines(axes, counts.shape)
    _hide_frame(axes)


def _plot_tuning(axes: "Axes", tuning: TuningMap) -> None:
    from matplotlib.ticker import NullLocator

    accuracy = np.asarray(tuning.accuracy)
    row, column = np.unravel_index(int(np.nanargmax(accuracy)), accuracy.shape)
    best, least = accuracy[row, column], np.nanmin(accuracy)
    # Good pairs differ by a few hundredths, so hopeless pairs must not determine the scale.
    floor = max(least, best - 0.1)
    edges = _log_edges(tuning.gamma_values), _log_edges(tuning.c_values)
    shades = axes.pcolormesh(
        *edges,
        accuracy,
        cmap="Blues",
        vmin=floor,
        vmax=max(best, floor + 0.001),
        edgecolors=HAIRLINE,
        linewidth=0.6,
    )
    axes.set(xscale="log", yscale="log")
    for axis, name, values in (
        (axes.xaxis, "gamma (log scale)", tuning.gamma_values),
        (axes.yaxis, "C (log scale)", tuning.c_values),
    ):
        # At most six ticks, at values that were tried, so that labels do not overlap.
        ticks = np.asarray(values)[:: -(-len(values) // 6)]
        axis.set_minor_locator(NullLocator())
        axis.set_ticks(ticks, [f"{tick:.4g}" for tick in ticks])
        axis.set_label_text(name, fontsize=11, color=INK)
    _mark_best(axes, float(tuning.gamma_values[column]), float(tuning.c_values[row]), float(best))
    bar = axes.figure.colorbar(
        shades, ax=axes, fraction=0.05, pad=0.03, extend="min" if floor > least else "neither"
    )
    bar.set_label("cross-validated accuracy", fontsize=11, color=INK)
    bar.ax.tick_params(labelsize=10, labelcolor=QUIET, length=0)
    bar.outline.set_visible(False)
    _hide_frame(axes)


def _log_edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cell borders around ascending values, midway on a logarithmic axis."""
    logs = np.log10(np.asarray(values, np.float64))
    steps = np.diff(logs) if len(logs) > 1 else np.ones(1)
    middles = logs[:-1] + np.diff(logs) / 2
    return np.asarray(
        10 ** np.concatenate([[logs[0] - steps[0] / 2], middles, [logs[-1] + steps[-1] / 2]])
    )


def _mark_best(axes: "Axes", gamma: float, c: float, accuracy: float) -> None:
    # A white ring below the coloured one keeps the marker visible on every shade.
    for colour, width in (("white", 4.5), (WRONG, 2.5)):
        axes.plot(
            gamma,
            c,
            marker="o",
            markersize=15,
            markerfacecolor="none",
            markeredgecolor=colour,
            markeredgewidth=width,
            clip_on=False,
        )
    axes.set_title(
        f"Tuning: best {accuracy:.4f} at C {c:.4g}, gamma {gamma:.4g}",
        loc="left",
        fontsize=13,
        color=INK,
    )


def _draw_cell_lines(axes: "Axes", shape: tuple[int, ...]) -> None:
    axes.set_xticks(np.arange(shape[1] + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(shape[0] + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=HAIRLINE, linewidth=0.6)
    axes.tick_params(which="both", length=0, labelsize=10, labelcolor=QUIET)


def _hide_frame(axes: "Axes") -> None:
    axes.tick_params(which="both", length=0, labelsize=10, labelcolor=QUIET)
    for spine in axes.spines.values():
        spine.set_visible(False)
