"""What ``zipocr train`` guarantees.

Stand-ins load the data and build the models: both are slow, and have their own tests.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from fakes import bare_model
from sklearn.datasets import load_digits

from zipocr.cli import main
from zipocr.errors import ModelError, OutputError
from zipocr.models.model_file import load_model, save_model
from zipocr.training.data.datasets import DIGITS_BLOCK, DigitSet, load_npz, split_writers
from zipocr.training.fit.experiment import C_VALUES, GAMMA_VALUES, Tuning
from zipocr.training.fit.svm import Recipe
from zipocr.types import Model

PICTURES = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(
        main, ["train", *(os.fspath(argument) for argument in arguments)], catch_exceptions=False
    )


@pytest.fixture(scope="module")
def digits() -> DigitSet:
    """The digits as grids only: undoing their stretching is slow."""
    found = load_digits()
    return DigitSet(
        images=np.zeros((1797, 28, 28), np.uint8),
        labels=found.target.astype(np.uint8),
        writers=(np.arange(1797) // DIGITS_BLOCK).astype(np.int32),
        grids=found.images.astype(np.uint8),
    )


@pytest.fixture(autouse=True)
def _quick_digits(digits: DigitSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zipocr.training.data.datasets.load_digits_set", lambda: digits)


@pytest.fixture
def nist(tmp_path: Path) -> Path:
    """Just enough to split by writer: two digits from each of 90."""
    path = tmp_path / "nist.npz"
    images = np.random.default_rng(0).integers(0, 256, (180, 28, 28)).astype(np.uint8)
    np.savez(path, X=images, y=np.arange(180) % 10, writer=np.arange(180) // 2)
    return path


@pytest.fixture
def tuned(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The arguments of each tuning, which always finds C 3 and gamma 0.5 best."""
    asked: list[tuple[Any, ...]] = []

    def tune(*arguments: Any) -> Tuning:
        asked.append(arguments)
        c_values, gamma_values = (np.array(values) for values in arguments[1:3])
        worse = np.abs(np.log(c_values / 3))[:, None] + np.abs(np.log(gamma_values / 0.5))
        return Tuning(c_values=c_values, gamma_values=gamma_values, accuracy=0.99 - worse / 100)

    monkeypatch.setattr("zipocr.training.fit.experiment.tune", tune)
    return asked


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The arguments of each model build."""
    asked: list[dict[str, Any]] = []

    def build(
        data: str,
        *,
        recipe: Recipe,
        jobs: int,
        report: Callable[[str], None],
        network: Model | None = None,
        **pieces: Path | None,
    ) -> Model:
        asked.append(
            {"data": data, "recipe": recipe, "jobs": jobs}
            | ({"network": network} if network else {})
            | {name: path for name, path in pieces.items() if path}
        )
        report("working on it")
        return bare_model({"data": data})

    monkeypatch.setattr("zipocr.training.fit.recipes.build_model", build)
    return asked


def test_the_last_six_are_printed_with_predicted_beside_actual() -> None:
    result = invoke("--data", "digits", "--holdout", "6")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "digit  predicted  actual",
        " 1792          4       4",
        " 1793          9       9",
        " 1794          0       0",
        " 1795          8       8",
        " 1796          9       9",
        " 1797          8       8",
        "accuracy 1.0000",
    ]
    assert "trained on the first 1791 digits with C 10 and gamma 0.4" in result.stderr


def test_holding_out_half_prints_only_the_accuracy() -> None:
    result = invoke("--holdout", "half")
    assert re.fullmatch(r"accuracy 0\.\d{4}\n", result.stdout)
    assert float(result.stdout.split()[1]) >= 0.985


def test_a_wrong_prediction_is_marked() -> None:
    # With so small a penalty the machine hardly learns.
    lines = invoke("--holdout", "6", "--C", "0.00001").stdout.splitlines()
    assert any(line.endswith("  wrong") for line in lines[1:7])
    assert all(
        line.endswith("  wrong") != (line.split()[1] == line.split()[2]) for line in lines[1:7]
    )


@pytest.mark.parametrize(("split", "count"), [("6", 1791), ("half", 898)])
def test_tuning_never_sees_the_held_out_digits(
    tuned: list[tuple[Any, ...]], digits: DigitSet, split: str, count: int
) -> None:
    result = invoke("--holdout", split, "--tune")
    ((seen, c_values, gamma_values, recipe),) = tuned
    assert np.array_equal(seen.grids, digits.grids[:count])
    assert (c_values, gamma_values, recipe.from_grid) == (C_VALUES, GAMMA_VALUES, True)
    assert "with C 3 and gamma 0.5" in result.stderr


def test_tuning_never_sees_the_held_out_writers(tuned: list[tuple[Any, ...]], nist: Path) -> None:
    assert invoke("--data", nist, "--tune").exit_code == 0
    ((seen, _, _, recipe),) = tuned
    assert np.array_equal(seen.writers, split_writers(load_npz(nist)).train.writers)
    assert not recipe.from_grid


@pytest.mark.usefixtures("tuned")
def test_tuning_prints_the_grid_and_the_best() -> None:
    lines = invoke("--tune").stdout.splitlines()
    assert lines[1].split() == [f"{value:g}" for value in GAMMA_VALUES]
    assert [line.split()[0] for line in lines[2:-1]] == [f"{value:g}" for value in C_VALUES]
    assert lines[2 + C_VALUES.index(3)].split()[1 + GAMMA_VALUES.index(0.5)] == "0.9900"
    assert lines[-1] == "best C 3, gamma 0.5: 0.9900"


def test_values_that_are_given_are_not_tuned(tuned: list[tuple[Any, ...]]) -> None:
    assert "best C 30, gamma 0.5" in invoke("--tune", "--C", "30").stdout
    assert "best C 3, gamma 2" in invoke("--tune", "--gamma", "2").stdout
    assert [asked[1:3] for asked in tuned] == [((30.0,), GAMMA_VALUES), (C_VALUES, (2.0,))]


def test_tuning_works_on_digits() -> None:
    result = invoke("--tune", "--C", "10", "--gamma", "1")
    assert re.search(r"^best C 10, gamma 1: 0\.9[5-9]\d\d$", result.stdout, re.MULTILINE)


@pytest.mark.parametrize("suffix", PICTURES)
@pytest.mark.usefixtures("tuned")
def test_the_experiment_is_plotted_in_the_format_of_the_suffix(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / f"figure{suffix}"
    assert invoke("--holdout", "6", "--tune", "--plot", path).exit_code == 0
    assert path.read_bytes().startswith(PICTURES[suffix])
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("words", [[], ["--tune"]])
@pytest.mark.usefixtures("tuned")
def test_the_tuning_map_is_drawn_whether_or_not_its_best_pair_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    import zipocr.drawing.experiment_plot

    drawn: list[tuple[Any, ...]] = []
    pytest.importorskip("matplotlib")
    real = zipocr.drawing.experiment_plot.plot_experiment
    monkeypatch.setattr(
        "zipocr.drawing.experiment_plot.plot_experiment",
        lambda *given: drawn.append(given) or real(*given),
    )
    result = invoke("--holdout", "6", "--plot", tmp_path / "figure.png", *words)
    ((images, actual, predicted, confusion, tuning),) = drawn
    assert (images.shape, confusion.sum()) == ((6, 8, 8), 6)
    assert np.array_equal(actual, predicted)
    assert tuning.accuracy.shape == (len(tuning.c_values), len(tuning.gamma_values))
    assert ("with C 10 and gamma 0.4," in result.stderr) == (not words)


def test_a_model_is_built_with_the_given_options_and_replaces_an_older_one(
    tmp_path: Path, built: list[dict[str, Any]]
) -> None:
    path = tmp_path / "model.npz"
    path.write_text("older")
    result = invoke("--model-out", path, "--gamma", "2", "--C", "5", "--jobs", "3", "--seed", "7")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.splitlines()[0] == "working on it"
    assert built == [
        {"data": "digits", "recipe": Recipe(C=5, gamma=2, from_grid=True, seed=7), "jobs": 3}
    ]
    assert load_model(str(path)).card["data"] == "digits"
    assert list(tmp_path.iterdir()) == [path]


def test_mail_digits_and_checkpoints_are_passed_on(
    tmp_path: Path, nist: Path, built: list[dict[str, Any]]
) -> None:
    folder = tmp_path / "checkpoints"
    words = ("--mail-digits", nist, "--checkpoints", folder)
    result = invoke("--data", nist, "--model-out", tmp_path / "model.npz", *words)
    assert result.exit_code == 0
    assert (built[0]["mail"], built[0]["checkpoints"]) == (nist, folder)


def test_a_network_is_taken_from_the_named_model(
    tmp_path: Path, nist: Path, built: list[dict[str, Any]]
) -> None:
    other = tmp_path / "other.npz"
    save_model(other, bare_model({"data": "another's"}))
    assert (
        invoke("--data", nist, "--model-out", tmp_path / "model.npz", "--network", other).exit_code
        == 0
    )
    assert built[0]["network"].card["data"] == "another's"


def test_a_missing_network_model_is_reported_before_anything_is_trained(
    tmp_path: Path, nist: Path, built: list[dict[str, Any]]
) -> None:
    result = invoke(
        "--data", nist, "--model-out", tmp_path / "model.npz", "--network", "missing.npz"
    )
    assert (result.exit_code, result.stdout) == (ModelError.exit_code, "")
    assert "missing.npz" in result.stderr
    assert not built


@pytest.mark.usefixtures("tuned")
def test_a_tuned_model_uses_the_best_values(
    tmp_path: Path, nist: Path, built: list[dict[str, Any]]
) -> None:
    invoke("--data", nist, "--tune", "--model-out", tmp_path / "model.npz")
    assert built[0]["data"] == str(nist)
    assert built[0]["recipe"] == Recipe(C=3, gamma=0.5, from_grid=False)
    assert built[0]["jobs"] >= 1


def test_without_options_the_recipe_s_own_values_are_used(
    tmp_path: Path, built: list[dict[str, Any]]
) -> None:
    invoke("--model-out", tmp_path / "model.npz")
    assert built[0]["recipe"] == Recipe(from_grid=True)


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        ([], "--model-out FILE.npz"),
        (["--data", "openml"], "--holdout 6 or half"),
        (["--data", "missing.npz", "--tune"], "an .npz file"),
        (["--data", __file__, "--tune"], "an .npz file"),
        (["--data", "openml", "--holdout", "6"], "--data digits"),
        (["--tune", "--plot", "figure.png"], "--holdout 6 or half"),
        (["--holdout", "6", "--plot", "figure.txt"], ".png or .svg or .pdf"),
        (["--model-out", "model.png"], ".npz"),
        (["--holdout", "5"], "'6', 'half'"),
        (["--tune", "--C", "0"], "x>0"),
        (["--tune", "--gamma", "nan"], "number above 0"),
        (["--tune", "--C", "inf"], "number above 0"),
        (["--tune", "--jobs", "-1"], "x>=0"),
    ],
)
def test_wrong_usage_says_what_to_give(words: list[str], cure: str) -> None:
    result = invoke(*words)
    assert result.exit_code == 2
    assert cure in result.stderr


def test_the_data_are_never_overwritten(nist: Path, built: list[dict[str, Any]]) -> None:
    before = nist.read_bytes()
    assert invoke("--data", nist, "--model-out", nist).exit_code == 2
    assert not built
    assert nist.read_bytes() == before


@pytest.mark.parametrize("option", ["--model-out", "--plot"])
def test_a_missing_folder_is_reported_before_anything_is_trained(
    tmp_path: Path, built: list[dict[str, Any]], option: str
) -> None:
    name = "model.npz" if option == "--model-out" else "figure.png"
    result = invoke("--holdout", "6", option, tmp_path / "missing" / name)
    assert (result.exit_code, result.stdout) == (OutputError.exit_code, "")
    assert result.stderr.startswith("zipocr: Cannot write")
    assert not built
