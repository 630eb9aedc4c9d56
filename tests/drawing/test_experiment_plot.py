"""The figure of the experiment."""

import io
import sys
from typing import Any

import cv2
import numpy as np
import pytest

from zipocr.drawing.experiment_plot import TuningMap, plot_experiment
from zipocr.errors import InputError

pytest.importorskip("matplotlib")

IMAGES = np.arange(6 * 64).reshape(6, 8, 8) % 17
ACTUAL = np.array([4, 9, 0, 8, 9, 8])
PREDICTED = np.array([4, 9, 0, 8, 9, 3])
TUNING = TuningMap(
    c_values=np.array([0.1, 1.0, 10.0, 100.0]),
    gamma_values=np.array([1e-4, 1e-3, 1e-2]),
    accuracy=np.array([[0.5, 0.90, 0.6], [0.6, 0.97, 0.7], [0.7, 0.985, 0.7], [0.7, 0.98, 0.7]]),
)


def confusion_of(actual: Any, predicted: Any) -> Any:
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (actual, predicted), 1)
    return counts


def texts_of(figure: Any) -> list[str]:
    """All non-empty texts on the figure."""
    import matplotlib.text

    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


def to_pixels(figure: Any) -> Any:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), cv2.IMREAD_COLOR)


def test_the_figure_can_be_saved_without_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    picture = to_pixels(
        plot_experiment(IMAGES, ACTUAL, PREDICTED, confusion_of(ACTUAL, PREDICTED), TUNING)
    )
    assert picture.shape == (860, 1240, 3)
    assert (picture[:8] == 255).all()


def test_every_digit_shows_both_labels() -> None:
    texts = texts_of(
        plot_experiment(IMAGES, ACTUAL, PREDICTED, confusion_of(ACTUAL, PREDICTED), None)
    )
    assert texts.count("actual 9\npredicted 9") == 2
    assert "actual 8\npredicted 3  wrong" in texts
    assert "Held-out digits: 5 of 6 right" in texts


def test_the_digits_are_shown_unmodified() -> None:
    figure = plot_experiment(IMAGES, ACTUAL, PREDICTED, confusion_of(ACTUAL, PREDICTED), None)
    shown = [np.asarray(axes.images[0].get_array()) for axes in figure.subfigs[0].axes]
    assert np.array_equal(np.stack(shown), IMAGES)


def test_the_confusion_matrix_shows_counts_and_accuracy() -> None:
    confusion = 80 * np.eye(10, dtype=int)
    confusion[3, 8] = 17
    figure = plot_experiment(IMAGES, ACTUAL, PREDICTED, confusion, TUNING)
    counts = {text.get_position(): text.get_text() for text in figure.subfigs[1].axes[0].texts}
    assert counts[(8, 3)] == "17"
    assert counts[(5, 5)] == "80"
    assert len(counts) == 11
    assert "Confusion: 800 of 817 right, accuracy 0.9792" in texts_of(figure)


def test_the_best_pair_is_marked_and_named_on_logarithmic_axes() -> None:
    figure = plot_experiment(IMAGES, ACTUAL, PREDICTED, confusion_of(ACTUAL, PREDICTED), TUNING)
    axes = figure.subfigs[1].axes[1]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert np.asarray(axes.lines[0].get_xydata()).tolist() == [[1e-3, 10.0]]
    assert "Tuning: best 0.9850 at C 10, gamma 0.001" in texts_of(figure)


@pytest.mark.parametrize(("c_count", "gamma_count"), [(1, 1), (1, 5), (13, 2)])
def test_any_grid_of_tuning_values_can_be_plotted(c_count: int, gamma_count: int) -> None:
    accuracy = np.full((c_count, gamma_count), 0.9)
    tuning = TuningMap(
        c_values=np.logspace(0, 2, c_count),
        gamma_values=np.logspace(-3, -2, gamma_count),
        accuracy=accuracy,
    )
    to_pixels(plot_experiment(IMAGES, ACTUAL, PREDICTED, confusion_of(ACTUAL, PREDICTED), tuning))


@pytest.mark.parametrize("count", [1, 5, 7])
def test_any_number_of_digits_can_be_plotted(count: int) -> None:
    images, labels = np.zeros((count, 8, 8)), np.zeros(count, int)
    figure = plot_experiment(images, labels, labels, confusion_of(labels, labels), None)
    to_pixels(figure)
    assert texts_of(figure).count("actual 0\npredicted 0") == min(count, 6)


def test_an_empty_confusion_matrix_causes_no_division_by_zero() -> None:
    to_pixels(plot_experiment(IMAGES, ACTUAL, PREDICTED, np.zeros((10, 10), int), None))


def test_inputs_are_not_changed() -> None:
    images, confusion = IMAGES.copy(), confusion_of(ACTUAL, PREDICTED)
    plot_experiment(images, ACTUAL, PREDICTED, confusion, TUNING)
    assert np.array_equal(images, IMAGES)
    assert np.array_equal(confusion, confusion_of(ACTUAL, PREDICTED))


def test_pyplot_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    to_pixels(plot_experiment(IMAGES, ACTUAL, PREDICTED, confusion_of(ACTUAL, PREDICTED), TUNING))


def test_a_missing_matplotlib_is_reported_with_its_install_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"pip install 'zipocr\[plots\]'"):
        plot_experiment(IMAGES, ACTUAL, PREDICTED, confusion_of(ACTUAL, PREDICTED), None)
