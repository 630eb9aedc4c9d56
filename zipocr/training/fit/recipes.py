"""The recipe both shipped models are made by, and what goes into each.

Three groups of writers never mix: those the classifier learns from, those the odds of being a digit
and the confidence are fitted on, and those kept for the sample scans and tests. Digits has too few
writers for three groups: there, one half is held out, and the model learns from all in the end.
"""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zipocr import __version__
from zipocr.classify.probabilities import Calibration
from zipocr.classify.svc import Classifier
from zipocr.errors import InputError
from zipocr.line.network import FIRST, SECOND, array_names, arrays_of, as_second
from zipocr.mail_reader import SEARCH_CARD
from zipocr.models.model_file import SEARCH
from zipocr.reader import SECOND_PASS_SCALE
from zipocr.settings import settings_hash
from zipocr.training.data.datasets import (
    DigitSet,
    WriterSplit,
    load_digits_set,
    load_npz,
    load_openml,
    pixels_digest,
    split_writers,
)
from zipocr.training.data.us_mail import load_mail_digits, split_envelopes
from zipocr.training.fit.calibrate import calibrate
from zipocr.training.fit.experiment import holdout, isolated_bitmaps
from zipocr.training.fit.line_samples import MACHINE_KINDS, Line, LineComposer, gather_lines
from zipocr.training.fit.orientation import fit_orientation
from zipocr.training.fit.region_samples import Samples, gather, join
from zipocr.training.fit.svm import Recipe, decide_all, fit_calibration, fit_classifier
from zipocr.training.synthesis.compose import HANDWRITTEN_QUOTAS, Composer
from zipocr.training.synthesis.envelopes import EnvelopeComposer
from zipocr.training.synthesis.foreign_hands import AmountComposer, ForeignComposer
from zipocr.training.synthesis.negatives import Negatives
from zipocr.training.synthesis.typefaces import Part, printed_digits, typefaces
from zipocr.types import Model

EUROPEAN = 0.3
PRINTED = 8.0
# How often Digits are written for the model of NIST digits: their hands are European.
EXTRA_ROUNDS = 3
# Seed of the composition of lines, and how far those of other kinds of lines are apart.
LINE_SEED, PHASE_SEED = 4711, 100_000
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One phase of a network's training: lines, how often it sees them, the highest learning rate.

    ``wide`` are as many more lines, with more of mail, amounts and machines' type among them, and
    ``scale`` is by how much digits are larger than the first network sees them.
    """

    lines: int = 0
    wide: int = 0
    epochs: int
    rate: float
    scale: float = 1.0


# Half as many lines, seen 18 times, made a network too sure of itself on cheques and on pages
# upside down.
PHASES = (Phase(lines=288_000, epochs=6, rate=3e-3),)
# After wide lines alone a network reads print better and hands worse than the first one.
SECOND_PHASES = (
    Phase(wide=80_000, epochs=2, rate=1e-3, scale=SECOND_PASS_SCALE),
    Phase(lines=16_000, wide=24_000, epochs=1, rate=6e-4, scale=SECOND_PASS_SCALE),
)
# Where digits are few, so is what can be learnt of them.
FEW_PHASES = (Phase(lines=12_000, epochs=8, rate=3e-3),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """Composed strings that each step sees.

    ``rounds`` are how often each training digit is written; ``non_digits`` are learnt from each
    string.
    """

    rounds: int
    non_digits: int
    printed: int
    foreign: int
    lattice: int
    confidence: int
    orientation: int


LIBRARIES = ("numpy", "opencv-python-headless", "Pillow", "scikit-learn", "scipy")
# The domain that confidence is fitted to most of all. Three in ten of its strings are any five
# digits, so the directory misleads more than on mail.
HELD_OUT = "composed strings of held-out writers"
AMOUNTS = {
    False: Amounts(
        rounds=1,
        non_digits=1,
        printed=900,
        foreign=1500,
        lattice=1500,
        confidence=5000,
        orientation=2000,
    ),
    True: Amounts(
        rounds=6, non_digits=5, printed=0, foreign=0, lattice=800, confidence=4000, orientation=2000
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fold:
    """Digits that train, and digits of other writers that scores and confidence are fitted on.

    ``mail`` are digits of US mail that trained nothing, if there are any.
    """

    train: DigitSet
    lattice: DigitSet
    confidence: DigitSet
    mail: DigitSet | None = None


def build_model(
    data: str,
    *,
    recipe: Recipe,
    jobs: int,
    report: Report,
    network: Model | None = None,
    second: bool = False,
    mail: Path | None = None,
    checkpoints: Path | None = None,
) -> Model:
    """Builds a whole model.

    Parameters
    ----------
    data : str
        ``digits``, ``openml`` or the path of an ``.npz`` of NIST digits.
    recipe : Recipe
        With ``from_grid`` the classifier sees the 8x8 grid alone.
    jobs : int
        Processes; the model does not depend on it.
    report : callable
        Told what is being done, in a line each.
    network : Model, optional
        A model whose networks are taken over. Without one, a model gets networks of its own, which
        takes PyTorch: two hours for NIST digits on two cores, a quarter of one for Digits.
    second : bool
        Train the second network anew where the first is taken over.
    mail : Path, optional
        An ``.npz`` of digits of US mail, in their order; all but the last envelopes train.
    checkpoints : Path, optional
        A folder that keeps what a network has learnt, so that an interrupted training goes on.

    Returns
    -------
    Model
    """
    if data == "digits":
        if network or mail:
            message = (
                "A model of Digits has networks of its own, which learn from Digits alone, one of"
                " them without what is held out: leave out --network and --mail-digits"
            )
            raise InputError(message)
        return _build_from_digits(recipe, jobs, report, checkpoints=checkpoints)
    nist = load_openml() if data == "openml" else load_npz(Path(data))
    split = split_writers(nist)
    extra = load_digits_set()
    mail_digits, held_mail = split_envelopes(load_mail_digits(mail)) if mail else (None, None)
    fold = Fold(
        train=split.train, lattice=split.lattice, confidence=split.calibrate, mail=held_mail
    )
    about: dict[str, Any] = {
        "nist": _about_nist(nist, split.train),
        "digits": _about_digits(),
        "typefaces": [face.name for face in typefaces("train")],
    }
    if mail_digits and held_mail:
        about["us_mail"] = _about_mail(mail_digits, held_mail)
    train = partial(
        train_network, split.train, extra, recipe, jobs, report, mail=mail_digits,
        checkpoints=checkpoints,
    )  # fmt: skip
    own, told = _take_or_train(network, train, second=second)
    model = _build(fold, split.train, extra, recipe, about | told, [own], jobs, report)
    if network:
        model = with_search(model, network)
    return with_accuracy(
        model, "isolated NIST digits of the test writers", digit_accuracy(model, split.test)
    )


def _build_from_digits(
    recipe: Recipe, jobs: int, report: Report, *, checkpoints: Path | None
) -> Model:
    """Build a model from Digits alone; one half of these is held out for a network of its own."""
    digits, recipe = load_digits_set(), replace(recipe, from_grid=True)
    fold = _halves(digits)
    networks = [
        train_network(part, None, recipe, jobs, report, checkpoints=checkpoints)
        for part in (fold.train, digits)
    ]
    about = {
        "digits": _about_digits(),
        "network": f"networks trained for {FEW_PHASES[0].epochs} rounds on {FEW_PHASES[0].lines}"
        " lines composed of the same digits, of words and scribbles",
    }
    model = _build(fold, digits, digits, recipe, about, networks, jobs, report)
    return with_accuracy(
        model,
        "Digits, first half predicts second half",
        holdout(digits, "half", recipe).accuracy,
    )


def _take_or_train(
    network: Model | None, train: Callable[..., dict[str, NDArray[Any]]], *, second: bool
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Take over a model's networks or train them; returns what to say of each as well."""
    if network:
        own, card = taken_networks(network), network.card["data"]
        about = {name: card[name] for name in ("network", "second network") if name in card}
    else:
        own, about = train(), {"network": _about(PHASES)}
    if second or not network:
        first = arrays_of(own, FIRST)
        own = {**first, **as_second(train(first=first))}
        about["second network"] = _about(SECOND_PHASES)
    return own, about


def train_network(
    train: DigitSet,
    extra: DigitSet | None,
    recipe: Recipe,
    jobs: int,
    report: Report,
    *,
    first: Mapping[str, NDArray[Any]] = MappingProxyType({}),
    mail: DigitSet | None = None,
    checkpoints: Path | None = None,
) -> dict[str, NDArray[Any]]:
    """Train the network that reads whole lines, on lines composed from digits that train.

    Without ``extra`` digits, from these alone, in fewer lines. From the arrays of a ``first``
    network it makes a second one, twice as wide. A folder of ``checkpoints`` keeps the lines and
    what was learnt of them, so that an interrupted training goes on.

    Raises
    ------
    InputError
        When PyTorch is not installed.
    """
    try:
        from zipocr.training.fit.network import Course, fit_network, widen
    except ModuleNotFoundError as error:
        message = (
            f"A network is trained with PyTorch ({error}): pip install 'zipocr[network]', or take"
            " over another model's with --network"
        )
        raise InputError(message) from None
    arrays = widen(first, seed=recipe.seed) if first else {}
    phases = SECOND_PHASES if first else FEW_PHASES if extra is None else PHASES
    seed = LINE_SEED + 2 * PHASE_SEED * bool(first) + recipe.seed
    source = LineComposer(digits=train, extra=extra, mail=mail, seed=seed)
    for number, phase in enumerate(phases):
        report(f"composing lines of phase {number + 1} of {len(phases)}")
        lines = _compose_lines(source, phase, recipe, jobs, checkpoints)
        report("training the second network" if first else "training the network")
        name = f"network-{_digest(source, phases[: number + 1], first)}.pt"
        arrays = fit_network(
            lines,
            Course(epochs=phase.epochs, rate=phase.rate),
            seed=recipe.seed + number,
            jobs=jobs,
            report=report,
            start=arrays,
            checkpoint=checkpoints / name if checkpoints else None,
        )
    return arrays


def _compose_lines(
    source: LineComposer, phase: Phase, recipe: Recipe, jobs: int, checkpoints: Path | None
) -> list[Line]:
    """Compose the lines of a phase, the wide ones first; a folder keeps them for later phases."""
    hands = replace(source, scale=phase.scale)
    wide = replace(hands, is_wide=True, seed=LINE_SEED + PHASE_SEED + recipe.seed)
    lines: list[Line] = []
    for composer, count in ((wide, phase.wide), (hands, phase.lines)):
        folder = checkpoints / f"lines-{_digest(composer)}" if checkpoints and count else None
        lines += gather_lines(composer, range(count), jobs=jobs, folder=folder)
    return lines


def _digest(
    composer: LineComposer,
    phases: Sequence[Phase] = (),
    first: Mapping[str, NDArray[Any]] = MappingProxyType({}),
) -> str:
    """Name files after all that lines or a network depend on, but for the code."""
    settings = (phases, composer.seed, composer.is_wide, composer.scale)
    digest = sha256(repr(settings).encode())
    for digits in (composer.digits, composer.extra, composer.mail):
        if digits:
            digest.update(pixels_digest(digits.images).encode() + digits.labels.tobytes())
    for array in first.values():
        digest.update(array.tobytes())
    return digest.hexdigest()[:12]


def taken_networks(model: Model) -> dict[str, NDArray[Any]]:
    """The arrays of a model's network, and of its second one if it has one.

    Raises
    ------
    InputError
        When it has none.
    """
    first = arrays_of(model.arrays, FIRST)
    if len(first) < len(array_names("weights")) + len(array_names("biases")):
        raise InputError(
            "The model whose network is to be taken over has none: name one of NIST digits, such as"
            " mail"
        )
    return {**first, **as_second(arrays_of(model.arrays, SECOND))}


def with_search(model: Model, network: Model) -> Model:
    """Give a model what finds the ZIP on a page from the model whose networks it has, if any."""
    found = {name: network.arrays[name] for name in SEARCH if name in network.arrays}
    card = {name: network.card[name] for name in (SEARCH_CARD,) if name in network.card}
    return replace(model, arrays={**model.arrays, **found}, card={**model.card, **card})


def with_accuracy(model: Model, measured_on: str, share: float) -> Model:
    """The model with one more figure in its model card."""
    accuracy = {**model.card["accuracy"], measured_on: round(share, 4)}
    return replace(model, card={**model.card, "accuracy": accuracy})


def _halves(digits: DigitSet) -> Fold:
    """One half of Digits, in their order, is held out, so that no writer is on both sides."""
    first, _ = np.array_split(np.unique(digits.writers), 2)
    held = np.isin(digits.writers, first)
    return Fold(train=digits.take(~held), lattice=digits.take(held), confidence=digits.take(held))


def _build(
    fold: Fold,
    everything: DigitSet,
    extra: DigitSet,
    recipe: Recipe,
    about: Mapping[str, Any],
    networks: Sequence[Mapping[str, NDArray[Any]]],
    jobs: int,
    report: Report,
) -> Model:
    """Fits everything.

    The first network belongs to the fold, and the last to the model, which learns from all digits
    in the end.
    """
    amounts = AMOUNTS[recipe.from_grid]
    report("learning digits and non-digits")
    samples = _learnable(
        fold.train, fold.train if recipe.from_grid else extra, amounts, recipe, jobs
    )
    fitted = fit_classifier(samples, recipe)
    report("calibrating the classifier")
    held = gather(
        _composer(fold.lattice, recipe, seed=_seed(recipe, 200)), amounts.lattice, jobs=jobs
    )
    calibrated = fit_calibration(
        decide_all(Classifier.from_arrays(fitted), held.bitmaps), held.labels
    )
    report("fitting the confidence")
    composer = _composer(fold.confidence, recipe, seed=_seed(recipe, 300), part="calibrate")
    negatives = Negatives(fold.confidence, seed=_seed(recipe, 400), part="train", european=EUROPEAN)
    certain, facts = calibrate(
        {**fitted, **calibrated, **networks[0]},
        {HELD_OUT: composer, **_other_domains(fold, recipe)},
        negatives,
        amounts.confidence,
        jobs=jobs,
    )
    accuracy = {name: facts.pop(name) for name in list(facts) if ", read " in name}
    report("telling which way up a page is")
    oriented = fit_orientation(
        {**fitted, **calibrated, **networks[0], **certain},
        _oriented_lines(fold.lattice, recipe, amounts),
        composer,
        amounts.orientation,
        jobs=jobs,
    )
    if everything is not fold.train:
        report("learning from all digits")
        fitted = fit_classifier(_learnable(everything, everything, amounts, recipe, jobs), recipe)
    card = {
        "data": about,
        **_about_recipe(recipe),
        "support_vectors": len(fitted["support"]),
        "settings": settings_hash(),
        **_about_versions(),
        "accuracy": accuracy,
        **facts,
    }
    return Model(arrays={**fitted, **calibrated, **networks[-1], **certain, **oriented}, card=card)


def _seed(recipe: Recipe, purpose: int) -> int:
    """Seed of the composed strings for one purpose; no two purposes share one."""
    return 1000 * recipe.seed + purpose


def _composer(
    digits: DigitSet,
    recipe: Recipe,
    *,
    seed: int,
    each_once: bool = False,
    printed: float = PRINTED,
    part: Part = "train",
) -> Composer:
    """Strings of a set's writers; also printed ones, unless the model is to know Digits alone."""
    faces = () if recipe.from_grid or not printed else typefaces(part)
    kinds = {**HANDWRITTEN_QUOTAS, "printed": printed} if faces else HANDWRITTEN_QUOTAS
    return Composer(
        digits, seed=seed, kinds=kinds, european=EUROPEAN, each_once=each_once, faces=faces
    )


def _other_domains(fold: Fold, recipe: Recipe) -> dict[str, Composer]:
    """Strings of other worlds than the writers' of NIST, which trained nothing either."""
    if recipe.from_grid:
        return {}
    faces = typefaces("calibrate")
    domains: dict[str, Composer] = {
        "type of worn and cheap machines": Composer(
            fold.confidence, seed=_seed(recipe, 301), kinds=MACHINE_KINDS, faces=faces
        ),
        "amounts in hands of other countries": AmountComposer(
            fold.confidence, seed=_seed(recipe, 302)
        ),
    }
    if fold.mail:
        domains["US mail"] = EnvelopeComposer(fold.mail, seed=_seed(recipe, 303))
    return domains


def _oriented_lines(digits: DigitSet, recipe: Recipe, amounts: Amounts) -> list[Composer]:
    """Strings that show which way up digits are, by hand, in foreign hands, and in type."""
    lines = [_composer(digits, recipe, seed=_seed(recipe, 500), printed=0)]
    if amounts.foreign:
        lines.append(ForeignComposer(digits, seed=_seed(recipe, 501)))
    if amounts.printed:
        faces = typefaces("train")
        seed = _seed(recipe, 502)
        lines.append(Composer(digits, seed=seed, kinds={"printed": 1}, faces=faces))
    return lines


def _learnable(
    digits: DigitSet, extra: DigitSet, amounts: Amounts, recipe: Recipe, jobs: int
) -> Samples:
    """What the classifier learns from.

    Regions of composed strings, printed ones, and isolated Digits as they are.
    """
    handwritten = _composer(digits, recipe, seed=_seed(recipe, 100), each_once=True, printed=0)
    parts = [
        gather(
            handwritten,
            handwritten.round_length * amounts.rounds,
            jobs=jobs,
            non_digits=amounts.non_digits,
        )
    ]
    if amounts.foreign:
        parts.append(
            gather(
                ForeignComposer(digits, seed=_seed(recipe, 103)),
                amounts.foreign,
                jobs=jobs,
                non_digits=amounts.non_digits,
            )
        )
    if amounts.printed:
        faces = typefaces("train")
        printed = Composer(
            printed_digits(faces), seed=_seed(recipe, 101), kinds={"printed": 1}, faces=faces
        )
        parts.append(gather(printed, amounts.printed, jobs=jobs))
        composed = Composer(extra, seed=_seed(recipe, 102), each_once=True)
        parts.append(gather(composed, EXTRA_ROUNDS * composed.round_length, jobs=jobs))
    isolated = Samples(bitmaps=isolated_bitmaps(extra), labels=extra.labels)
    return join([*parts, isolated])


def digit_accuracy(model: Model, digits: DigitSet) -> float:
    """Share of isolated digits read right when only digits are in question.

    The non-digit has no say.
    """
    decisions = decide_all(Classifier.from_model(model), isolated_bitmaps(digits))
    return float(
        (
            Calibration.from_model(model).digit_log_probabilities(decisions).argmax(axis=1)
            == digits.labels
        ).mean()
    )


def _about_nist(nist: DigitSet, train: DigitSet) -> dict[str, Any]:
    split = WriterSplit()
    return {
        "source": "NIST digits of MNIST's training half by 431 known writers (QMNIST),"
        " CC BY-SA 3.0",
        "digits": len(nist),
        "writers": len(np.unique(nist.writers)),
        "writers_train": len(np.unique(train.writers)),
        "writers_held_out": {
            "lattice": split.lattice,
            "confidence": split.calibrate,
            "test": split.test,
            "seed": split.seed,
        },
    }


def _about_mail(train: DigitSet, held_out: DigitSet) -> dict[str, Any]:
    return {
        "source": "ZIP code digits of LeCun et al. (1990), as The Elements of Statistical Learning"
        " hands them out; they train the second network",
        "digits": len(train),
        "digits_held_out": len(held_out),
    }


def _about(phases: Sequence[Phase]) -> str:
    """Say what a network was trained on."""
    rounds = ", then ".join(
        f"{phase.epochs} rounds on {phase.lines + phase.wide} lines" for phase in phases
    )
    more = ", of US mail, of amounts and of machines' type" if phases[-1].wide else ""
    return (
        f"a network trained for {rounds} composed of the same digits and typefaces, of digits drawn"
        f" in shapes of other countries, and of words and scribbles{more}"
    )


def _about_recipe(recipe: Recipe) -> dict[str, Any]:
    names = ("C", "gamma", "components", "from_grid", "seed")
    return {"recipe": {name: getattr(recipe, name) for name in names}}


def _about_versions() -> dict[str, Any]:
    own = {"python": platform.python_version(), "zipocr": __version__}
    return {"versions": {name: version(name) for name in LIBRARIES} | own}


def _about_digits() -> str:
    return (
        "scikit-learn's Digits: 1,797 digits of the test part of UCI optdigits, writers unknown, in"
        " contiguous blocks"
    )
