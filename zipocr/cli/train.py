"""``zipocr train``.

Fit a model, tune it, repeat the experiment with isolated digits, or teach a model corrected pages.
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
        message = f"{data!r} is no data: give digits, openml or an .npz file with X, y and writer."
        raise click.BadParameter(message)
    return data


def _check_finite(_: click.Context, __: click.Parameter, value: float | None) -> float | None:
    if value is not None and not isfinite(value):
        raise click.BadParameter(f"{value} is no number to train with: give one above 0.")
    return value


def _ending(*suffixes: str) -> Callable[[click.Context, click.Parameter, Path | None], Path | None]:
    """A check that a file's name says one of these kinds of file."""

    def check(_: click.Context, __: click.Parameter, path: Path | None) -> Path | None:
        if path and path.suffix.lower() not in suffixes:
            message = f"{path} is refused: its name has to end with {' or '.join(suffixes)}."
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
        "Pages whose ZIP a person knows, to teach to a model: corrections of zipocr review, or "
        "labels with file and zip."
    ),
)
@click.option(
    "--images",
    metavar="DIR",
    type=FOLDER,
    help="The folder that was scanned, where the pages of --corrections are.",
)
@click.option(
    "--base",
    default="mail",
    show_default=True,
    metavar="digits|mail|PATH",
    help="Model that learns from --corrections.",
)
@click.option(
    "--only-if-better",
    is_flag=True,
    help="Write no model unless what it learnt from --corrections measurably helped.",
)
@click.option(
    "--C",
    type=POSITIVE,
    metavar="C",
    callback=_check_finite,
    help="Penalty of the SVC; the default is the recipe's.",
)
@click.option(
    "--gamma",
    type=POSITIVE,
    metavar="G",
    callback=_check_finite,
    help="Its kernel's gamma, times features and variance.",
)
@click.option(
    "--tune",
    is_flag=True,
    help="Try a grid over C and gamma and use the best; one that is given stays fixed.",
)
@click.option(
    "--holdout",
    metavar="6|half",
    type=click.Choice(["6", "half"]),
    help="Predict the last six Digits, or their second half.",
)
@click.option(
    "--plot",
    metavar="FILE",
    type=NEW_FILE,
    callback=_ending(".png", ".svg", ".pdf"),
    help="Draw the experiment of --holdout and the accuracy over C and gamma, as PNG, SVG or PDF.",
)
@click.option(
    "--network",
    metavar="NAME|PATH",
    help="Take over the networks of this model; else they are trained, for hours, with PyTorch.",
)
@click.option(
    "--second-network",
    is_flag=True,
    help="With --network, take over its first network alone, and train a second one from it.",
)
@click.option(
    "--mail-digits",
    metavar="FILE.npz",
    type=FILE,
    help="Digits cut from US mail, X (N, 16, 16) and y in their order: for the second network.",
)
@click.option(
    "--checkpoints",
    metavar="DIR",
    type=NEW_FOLDER,
    help="Keep what the networks have learnt here, so that an interrupted training goes on.",
)
@click.option(
    "--jobs",
    default=0,
    type=click.IntRange(min=0),
    metavar="N",
    help="Processes; the default, 0, is one per core.",
)
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    metavar="N",
    help="Seed of all chance.",
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
    only_if_better: bool,  # noqa: ARG001 - read out of the context
    c: float | None,
    gamma: float | None,
    tune: bool,
    holdout: Holdout | None,
    plot: Path | None,
    network: str | None,
    second_network: bool,
    mail_digits: Path | None,
    checkpoints: Path | None,
    jobs: int,
    seed: int,
) -> None:
    """Fit a model to labelled digits, or teach it pages whose ZIP a person knows.

    A model can also be tuned, and it can be seen how well one predicts digits held out. Give at
    least one of --model-out, --tune and --holdout; or --corrections with --images and --model-out.

    The data are scikit-learn's Digits, NIST digits out of OpenML's mnist_784, or those of an .npz
    file with the arrays X (N, 28, 28), y and writer. A model of Digits sees the 8x8 grid alone, one
    of NIST digits the character's 32x32 bitmap.

    --holdout trains on the first Digits in their original order, predicts the rest and prints the
    accuracy. --tune cross-validates by writer, with Digits by contiguous blocks, and never sees the
    digits of --holdout. The model file of --model-out appears when it is complete and replaces an
    older one; it is fitted to all the data that are not set aside to calibrate and test it, also
    with --holdout.

    --corrections teaches the model --base pages whose ZIP is known, and prints how many pages it
    reads exactly before and after, each read by a model that did not learn from it. The model is
    written whatever comes of that, unless --only-if-better is given.
    """
    if _is_learning(ctx, corrections, images):
        _learn(ctx, base)
        return
    _check_request(
        data, model_out, plot, wanted=bool(model_out or tune or holdout), holdout=holdout
    )
    recipe = _recipe(data, c, gamma, seed)
    digits = _load(data) if tune or holdout else None
    tuning = None
    if digits is not None and (tune or plot):
        tuning = _tune(digits, holdout, c, gamma, recipe)
        recipe = replace(recipe, C=tuning.best[0], gamma=tuning.best[1]) if tune else recipe
    if digits is not None and holdout:
        if tuning and not tune:
            best = f"C {tuning.best[0]:.4g} and gamma {tuning.best[1]:.4g}"
            say(
                f"the plot's best is {best}; the recipe's values are used, give --tune for the best"
            )
        experiment = _predict(digits, holdout, recipe)
        if plot and tuning:
            _plot(plot, experiment, tuning)
    if model_out:
        pieces = {"mail": mail_digits, "checkpoints": checkpoints}
        _build(model_out, data, recipe, network, jobs, second=second_network, **pieces)


def _is_learning(ctx: click.Context, corrections: Path | None, images: Path | None) -> bool:
    """Whether corrected pages are to be learnt from.

    Options of the other job, or half of this one's, are refused.
    """
    given = {
        name for name in ctx.params if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
    if not given & LEARNING:
        return False
    if corrections is None or images is None or "model_out" not in given:
        raise click.UsageError(
            "To learn from corrected pages give --corrections FILE.csv, --images DIR and "
            "--model-out FILE.npz."
        )
    if others := sorted(given - LEARNING - {"model_out", "jobs", "seed"}):
        option = next(each.opts[-1] for each in ctx.command.params if each.name == others[0])
        raise click.UsageError(
            f"{option} has no part in learning from --corrections; leave it out."
        )
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
        raise click.UsageError(f"{out} is the model to learn on; write to another file.")
    learn_from(base=base, out=out, **asked)


def _check_request(
    data: str, model_out: Path | None, plot: Path | None, *, wanted: bool, holdout: Holdout | None
) -> None:
    """Refuse what could only fail after minutes of work, or would destroy the data."""
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
        message = f"Cannot write {path}: its folder is missing. Make it, or choose another place."
        raise OutputError(message)


def _recipe(data: str, c: float | None, gamma: float | None, seed: int) -> Recipe:
    """Apply what is given to the recipe of the data."""
    from zipocr.training.fit.svm import Recipe

    recipe = Recipe(from_grid=data == "digits", seed=seed)
    return replace(
        recipe, C=recipe.C if c is None else c, gamma=recipe.gamma if gamma is None else gamma
    )


def _load(data: str) -> DigitSet:
    """Load what may train: of NIST digits those of the writers that are not set aside."""
    from zipocr.training.data.datasets import load_digits_set, load_npz, load_openml, split_writers

    if data == "digits":
        return load_digits_set()
    return split_writers(load_openml() if data == "openml" else load_npz(Path(data))).train


def _tune(
    digits: DigitSet, holdout: Holdout | None, c: float | None, gamma: float | None, recipe: Recipe
) -> Tuning:
    """Tune on what is not held out; print the grid and the best."""
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
    """Hold out and predict; print predicted beside actual where they are few, and the accuracy."""
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
    second: bool,
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
        second=second,
        mail=mail,
        checkpoints=checkpoints,
    )
    save_model(path, model)
    say(f"wrote {path}")
