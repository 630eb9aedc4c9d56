"""``zipocr train``: fit, tune, test or adapt a model.

Includes the hold-out experiment with isolated digits.
"""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import is_zipfile

import click
from click.core import ParameterSource

from zipocr.cli.formats import check_extra
from zipocr.cli.options import FILE, FOLDER, NEW_FILE, NEW_FOLDER
from zipocr.cli.terminal import say, show
from zipocr.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from zipocr.training.data.datasets import DigitSet
    from zipocr.training.fit.experiment import Experiment, Holdout, Tuning
    from zipocr.training.fit.svm import Recipe

NAMED = ("digits", "openml")
LEARNING = frozenset({"corrections", "images", "base", "only_if_better"})
PRINTED_UP_TO = 20
POSITIVE = click.FloatRange(min=0, min_open=True)


def _check_data(_: click.Context, __: click.Parameter, data: str) -> str:
    if data not in NAMED and not (Path(data).is_file() and is_zipfile(data)):
        message = f"{data!r} is not training data: give digits, openml or an .npz file."
        raise click.BadParameter(message)
    return data


def _check_finite(_: click.Context, __: click.Parameter, value: float | None) -> float | None:
    if value is not None and not isfinite(value):
        raise click.BadParameter(f"{value} is not a valid value: give a number above 0.")
    return value


def _ending(*suffixes: str) -> Callable[[click.Context, click.Parameter, Path | None], Path | None]:
    """Return a check that a file's name has one of these endings."""

    def check(_: click.Context, __: click.Parameter, path: Path | None) -> Path | None:
        if path and path.suffix.lower() not in suffixes:
            message = f"{path} is refused: its name must end with {' or '.join(suffixes)}."
            raise click.BadParameter(message)
        return path

    return check


@click.command()
@click.option(
    "--data",
    default="digits",
    show_default=True,
    metavar="digits|openml|PATH.npz",
    callback=_check_data,
    help="Training data.",
)
@click.option(
    "-o",
    "--model-out",
    metavar="FILE.npz",
    type=NEW_FILE,
    callback=_ending(".npz"),
    help="Model file to write.",
)
@click.option(
    "--corrections",
    metavar="FILE.csv",
    type=FILE,
    help=(
        "Labelled pages to adapt a model to: corrections of zipocr review, or "
        "labels with file and zip."
    ),
)
@click.option(
    "--images",
    metavar="DIR",
    type=FOLDER,
    help="The folder that was scanned, with the pages of --corrections.",
)
@click.option(
    "--base",
    default="mail",
    show_default=True,
    metavar="digits|mail|PATH",
    help="Model to adapt to --corrections.",
)
@click.option(
    "--only-if-better",
    is_flag=True,
    help="Write no model unless adapting measurably helped.",
)
@click.option(
    "--C",
    type=POSITIVE,
    metavar="C",
    callback=_check_finite,
    help="Penalty C of the SVC; default: the recipe's.",
)
@click.option(
    "--gamma",
    type=POSITIVE,
    metavar="G",
    callback=_check_finite,
    help="Gamma of its RBF kernel, times the number of features and their variance.",
)
@click.option(
    "--tune",
    is_flag=True,
    help="Search a grid over C and gamma and use the best; a value that is given stays fixed.",
)
@click.option(
    "--holdout",
    metavar="6|half",
    type=click.Choice(["6", "half"]),
    help="Predict the last six Digits, or the second half.",
)
@click.option(
    "--plot",
    metavar="FILE",
    type=NEW_FILE,
    callback=_ending(".png", ".svg", ".pdf"),
    help="Plot the experiment of --holdout and the accuracy over C and gamma, as PNG, SVG or PDF.",
)
@click.option(
    "--network",
    metavar="NAME|PATH",
    help="Reuse the networks of this model; without it, they are trained with PyTorch, for hours.",
)
@click.option(
    "--larger-networks",
    is_flag=True,
    help="With --network, reuse its first network alone, and train the larger ones from it.",
)
@click.option(
    "--mail-digits",
    metavar="FILE.npz",
    type=FILE,
    help="Digits cut from US mail, in order: X (N, 16, 16) and y, for the larger networks.",
)
@click.option(
    "--checkpoints",
    metavar="DIR",
    type=NEW_FOLDER,
    help="Folder for checkpoints of the networks, from which an interrupted training continues.",
)
@click.option(
    "--jobs",
    default=0,
    type=click.IntRange(min=0),
    metavar="N",
    help="Number of processes; default: 0, one per core.",
)
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    metavar="N",
    help="Random seed.",
)
@click.pass_context
def train(
    ctx: click.Context,
    *,
    data: str,
    model_out: Path | None,
    corrections: Path | None,
    images: Path | None,
    base: str,
    only_if_better: bool,  # noqa: ARG001 - read from the context
    c: float | None,
    gamma: float | None,
    tune: bool,
    holdout: Holdout | None,
    plot: Path | None,
    network: str | None,
    larger_networks: bool,
    mail_digits: Path | None,
    checkpoints: Path | None,
    jobs: int,
    seed: int,
) -> None:
    """Train a model on labelled digits, or adapt one to pages that a person has labelled.

    Can also tune the hyperparameters, and test on held-out digits. Give at least one of
    --model-out, --tune and --holdout; or --corrections with --images and --model-out.

    The data are scikit-learn's Digits, NIST digits from OpenML's mnist_784, or an .npz file with
    the arrays X (N, 28, 28), y and writer. A model of Digits only sees the 8x8 grid, one of NIST
    digits the character's 32x32 bitmap.

    --holdout trains on the first Digits in their original order, predicts the rest and prints the
    accuracy. --tune cross-validates by writer (Digits by contiguous blocks) and never uses the
    digits of --holdout. The model file of --model-out appears when it is complete and replaces an
    older one. It is fitted to all data not set aside for calibration and testing, also with
    --holdout.

    --corrections adapts the model --base to pages whose ZIP is known. It prints how many pages are
    read exactly before and after, by cross-validation: each page is read by a model that did not
    learn from it. The model is written in any case, unless --only-if-better is given.
    """
    if _is_learning(ctx, corrections, images):
        _learn(ctx, base)
        return
    _check_request(
        data, model_out, plot, wanted=bool(model_out or tune or holdout), holdout=holdout
    )
    recipe = _recipe(data, c, gamma, seed)
    if tune or holdout:
        recipe = _experiment(recipe, data, c, gamma, tune=tune, holdout=holdout, plot=plot)
    if model_out:
        pieces = {"mail": mail_digits, "checkpoints": checkpoints}
        _build(model_out, data, recipe, network, jobs, larger=larger_networks, **pieces)


def _experiment(
    recipe: Recipe,
    data: str,
    c: float | None,
    gamma: float | None,
    *,
    tune: bool,
    holdout: Holdout | None,
    plot: Path | None,
) -> Recipe:
    """Tune and predict held-out digits as asked; return the recipe with the values chosen."""
    digits = _load(data)
    tuning = _tune(digits, holdout, c, gamma, recipe) if tune or plot else None
    if tuning and tune:
        recipe = replace(recipe, C=tuning.best[0], gamma=tuning.best[1])
    if holdout:
        if tuning and not tune:
            best = f"C {tuning.best[0]:.4g} and gamma {tuning.best[1]:.4g}"
            say(
                f"the plot's best is {best}; the recipe's values are used, give --tune for the best"
            )
        experiment = _predict(digits, holdout, recipe)
        if plot and tuning:
            _plot(plot, experiment, tuning)
    return recipe


def _is_learning(ctx: click.Context, corrections: Path | None, images: Path | None) -> bool:
    """Return whether to learn from corrected pages.

    Mixing the options of both modes, or giving only some of the required ones, is refused.
    """
    given = {
        name for name in ctx.params if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
    if not given & LEARNING:
        return False
    if corrections is None or images is None or "model_out" not in given:
        raise click.UsageError(
            "Learning from corrected pages needs --corrections FILE.csv, --images DIR and "
            "--model-out FILE.npz."
        )
    if others := sorted(given - LEARNING - {"model_out", "jobs", "seed"}):
        option = next(each.opts[-1] for each in ctx.command.params if each.name == others[0])
        raise click.UsageError(f"{option} does not apply to --corrections; leave it out.")
    return True


def _learn(ctx: click.Context, base: str) -> None:
    from zipocr.cli.learning import learn_from

    asked = {
        name: ctx.params[name]
        for name in ("corrections", "images", "only_if_better", "jobs", "seed")
    }
    out: Path = ctx.params["model_out"]
    _check_folder(out)
    if out.exists() and Path(base).exists() and out.samefile(base):
        raise click.UsageError(f"{out} is the base model; write to another file.")
    learn_from(base=base, out=out, **asked)


def _check_request(
    data: str, model_out: Path | None, plot: Path | None, *, wanted: bool, holdout: Holdout | None
) -> None:
    """Refuse options that would fail after minutes of work, or overwrite the data."""
    if not wanted:
        raise click.UsageError(
            "Nothing to do: give --model-out FILE.npz to write a model, --tune, or --holdout "
            "6 or half."
        )
    if holdout and data != "digits":
        raise click.UsageError(
            "--holdout predicts the last of scikit-learn's Digits: give --data digits with it."
        )
    if plot and not holdout:
        raise click.UsageError(
            "--plot draws the digits held out: give --holdout 6 or half with it."
        )
    if plot:
        check_extra("plots", "matplotlib", need="To plot")
    if model_out and model_out.exists() and data not in NAMED and model_out.samefile(data):
        raise click.UsageError(
            f"{model_out} is the data to train on; write the model to another file."
        )
    for path in (model_out, plot):
        if path:
            _check_folder(path)


def _check_folder(path: Path) -> None:
    if not path.parent.is_dir():
        message = (
            f"Cannot write {path}: its folder does not exist. Create it, or choose another path."
        )
        raise OutputError(message)


def _recipe(data: str, c: float | None, gamma: float | None, seed: int) -> Recipe:
    """Return the recipe of the data with the given options applied."""
    from zipocr.training.fit.svm import Recipe

    recipe = Recipe(from_grid=data == "digits", seed=seed)
    return replace(
        recipe, C=recipe.C if c is None else c, gamma=recipe.gamma if gamma is None else gamma
    )


def _load(data: str) -> DigitSet:
    """Load the training data; of NIST digits, only those of writers not set aside."""
    from zipocr.training.data.datasets import load_digits_set, load_npz, load_openml, split_writers

    if data == "digits":
        return load_digits_set()
    return split_writers(load_openml() if data == "openml" else load_npz(Path(data))).train


def _tune(
    digits: DigitSet, holdout: Holdout | None, c: float | None, gamma: float | None, recipe: Recipe
) -> Tuning:
    """Tune on the digits that are not held out; print the grid and the best."""
    from zipocr.training.fit.experiment import C_VALUES, GAMMA_VALUES, split_in_order, tune

    trained = split_in_order(digits, holdout)[0] if holdout else digits
    say("trying values of C and gamma")
    tuning = tune(
        trained,
        C_VALUES if c is None else (c,),
        GAMMA_VALUES if gamma is None else (gamma,),
        recipe,
    )
    show("cross-validated accuracy by C (rows) and gamma (columns)")
    show(" " * 8 + "".join(f"{value:8.4g}" for value in tuning.gamma_values))
    for value, row in zip(tuning.c_values, tuning.accuracy, strict=True):
        show(f"{value:8.4g}" + "".join(f"{share:8.4f}" for share in row))
    show(f"best C {tuning.best[0]:.4g}, gamma {tuning.best[1]:.4g}: {tuning.accuracy.max():.4f}")
    return tuning


def _predict(digits: DigitSet, split: Holdout, recipe: Recipe) -> Experiment:
    """Predict held-out digits; print the accuracy, and each prediction if they are few."""
    from zipocr.training.fit.experiment import holdout

    experiment = holdout(digits, split, recipe)
    held = len(experiment.actual)
    first = len(digits) - held
    settings = f"C {recipe.C:.4g} and gamma {recipe.gamma:.4g}"
    say(f"trained on the first {first} digits with {settings}, predicted the other {held}")
    if held <= PRINTED_UP_TO:
        show("digit  predicted  actual")
        for number, (predicted, actual) in enumerate(
            zip(experiment.predicted, experiment.actual, strict=True), start=first + 1
        ):
            show(
                f"{number:5d}{predicted:11d}{actual:8d}"
                + ("" if predicted == actual else "  wrong")
            )
    show(f"accuracy {experiment.accuracy:.4f}")
    return experiment


def _plot(path: Path, experiment: Experiment, tuning: Tuning) -> None:
    from zipocr.drawing.experiment_plot import TuningMap, plot_experiment
    from zipocr.storage.atomic import written_whole

    tried = TuningMap(
        c_values=tuning.c_values, gamma_values=tuning.gamma_values, accuracy=tuning.accuracy
    )
    figure = plot_experiment(
        experiment.images, experiment.actual, experiment.predicted, experiment.confusion, tried
    )
    with written_whole(path) as file:
        figure.savefig(file, format=path.suffix[1:].lower())
    say(f"wrote {path}")


def _build(
    path: Path,
    data: str,
    recipe: Recipe,
    network: str | None,
    jobs: int,
    *,
    larger: bool,
    mail: Path | None,
    checkpoints: Path | None,
) -> None:
    from zipocr.batch.backends import usable_cores
    from zipocr.models.model_file import load_model, save_model
    from zipocr.training.fit.recipes import build_model

    model = build_model(
        data,
        recipe=recipe,
        jobs=jobs or usable_cores(),
        report=say,
        network=load_model(network) if network else None,
        larger=larger,
        mail=mail,
        checkpoints=checkpoints,
    )
    save_model(path, model)
    say(f"wrote {path}")
