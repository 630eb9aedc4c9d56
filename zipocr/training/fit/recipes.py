"""Recipes of the two shipped models.

Three groups of writers never mix: those for training, those for calibrating digit probabilities and
confidence, and those for sample scans and tests. Digits has too few writers for three groups: half
of them are held out for calibration, and the final model is trained on all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zipocr.classify.probabilities import Calibration
from zipocr.classify.svc import Classifier
from zipocr.decode.directory import places
from zipocr.errors import InputError
from zipocr.line.network import FIRST
from zipocr.mail_reader import SEARCH_CARD
from zipocr.models.model_file import SEARCH
from zipocr.settings import settings_hash
from zipocr.training.data.datasets import (
    DigitSet,
    load_digits_set,
    load_npz,
    load_openml,
    split_writers,
)
from zipocr.training.data.us_mail import load_mail_digits, split_envelopes
from zipocr.training.fit.calibrate import calibrate
from zipocr.training.fit.experiment import holdout, isolated_bitmaps
from zipocr.training.fit.line_samples import MACHINE_KINDS
from zipocr.training.fit.model_card import (
    about_digits,
    about_mail,
    about_nist,
    about_recipe,
    about_versions,
)
from zipocr.training.fit.network_phases import (
    FEW_PHASES,
    NetworkTrainer,
    Report,
)
from zipocr.training.fit.orientation import fit_line_orientation, fit_orientation
from zipocr.training.fit.region_samples import Samples, gather, join
from zipocr.training.fit.svm import Recipe, decide_all, fit_calibration, fit_classifier
from zipocr.training.synthesis.compose import HANDWRITTEN_QUOTAS, Composer
from zipocr.training.synthesis.envelopes import EnvelopeComposer
from zipocr.training.synthesis.foreign_hands import AmountComposer, ForeignComposer
from zipocr.training.synthesis.negatives import Negatives
from zipocr.training.synthesis.typefaces import Part, Typeface, printed_digits, typefaces
from zipocr.types import Model

EUROPEAN = 0.3
# Digits that may be read as digits upside down.
REVERSIBLE = frozenset("0125689")
PRINTED = 8.0
# Repetitions of Digits in the NIST model, for their European hands.
EXTRA_ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleCounts:
    """Number of composed strings for each step.

    ``rounds`` is the number of uses of each training digit; ``non_digits`` is the number of
    non-digits per string.
    """

    rounds: int
    non_digits: int
    printed: int
    foreign: int
    lattice: int
    confidence: int
    orientation: int


# The main domain for fitting the confidence. Many of its strings are random digits, so the
# directory misleads more often than on mail.
HELD_OUT = "composed strings of held-out writers"
SAMPLE_COUNTS = {
    False: SampleCounts(
        rounds=1,
        non_digits=1,
        printed=900,
        foreign=1500,
        lattice=1500,
        confidence=15_000,
        orientation=8000,
    ),
    True: SampleCounts(
        rounds=6, non_digits=5, printed=0, foreign=0, lattice=800, confidence=4000, orientation=3000
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fold:
    """Training digits, and digits of other writers for calibrating scores and confidence.

    ``mail`` and ``held_mail`` are digits of US mail for training and held out, if any.
    """

    train: DigitSet
    lattice: DigitSet
    confidence: DigitSet
    mail: DigitSet | None = None
    held_mail: DigitSet | None = None


def build_model(
    data: str,
    *,
    recipe: Recipe,
    jobs: int,
    report: Report,
    network: Model | None = None,
    larger: bool = False,
    mail: Path | None = None,
    checkpoints: Path | None = None,
) -> Model:
    """Build a complete model.

    Parameters
    ----------
    data : str
        ``digits``, ``openml`` or the path of an ``.npz`` of NIST digits.
    recipe : Recipe
        With ``from_grid``, the classifier's input is the 8x8 grid alone.
    jobs : int
        Number of processes; does not affect the model.
    report : callable
        Called with a progress line for each step.
    network : Model, optional
        A model whose networks are taken over. Without one, new networks are trained, which needs
        PyTorch and, for NIST digits, many hours.
    larger : bool
        Train the larger networks anew when the first is taken over.
    mail : Path, optional
        An ``.npz`` of digits of US mail, in their order; all but the last envelopes are for
        training.
    checkpoints : Path, optional
        A folder for checkpoints of the networks, so that an interrupted training can resume.

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
    return _build_from_nist(
        data, recipe, jobs, report, network=network, larger=larger, mail=mail,
        checkpoints=checkpoints,
    )  # fmt: skip


def _build_from_nist(
    data: str,
    recipe: Recipe,
    jobs: int,
    report: Report,
    *,
    network: Model | None,
    larger: bool,
    mail: Path | None,
    checkpoints: Path | None,
) -> Model:
    """Build a model from NIST digits, Digits, typefaces and, optionally, digits of US mail."""
    nist = load_openml() if data == "openml" else load_npz(Path(data))
    split = split_writers(nist)
    extra = load_digits_set()
    mail_digits, held_mail = split_envelopes(load_mail_digits(mail)) if mail else (None, None)
    fold = Fold(
        train=split.train, lattice=split.lattice, confidence=split.calibrate,
        mail=mail_digits, held_mail=held_mail,
    )  # fmt: skip
    about: dict[str, Any] = {
        "nist": about_nist(nist, split.train),
        "digits": about_digits(),
        "typefaces": [face.name for face in typefaces("train")],
    }
    if mail_digits and held_mail:
        about["us_mail"] = about_mail(mail_digits, held_mail)
    trainer = NetworkTrainer(
        digits=split.train, extra=extra, recipe=recipe, jobs=jobs, report=report,
        mail=mail_digits, checkpoints=checkpoints,
    )  # fmt: skip
    own, told = trainer.take_or_train(network, larger=larger)
    model = _build(fold, split.train, extra, recipe, about | told, [own], jobs, report)
    if network:
        model = with_search(model, network)
    return with_accuracy(
        model, "isolated NIST digits of the test writers", digit_accuracy(model, split.test)
    )


def _build_from_digits(
    recipe: Recipe, jobs: int, report: Report, *, checkpoints: Path | None
) -> Model:
    """Build a model from Digits alone; half of them are held out for a network of its own."""
    digits, recipe = load_digits_set(), replace(recipe, from_grid=True)
    fold = _halves(digits)
    trainers = [
        NetworkTrainer(
            digits=part,
            extra=None,
            recipe=recipe,
            jobs=jobs,
            report=report,
            checkpoints=checkpoints,
        )
        for part in (fold.train, digits)
    ]
    networks = [trainer.quantized(trainer.train(), FIRST) for trainer in trainers]
    about = {
        "digits": about_digits(),
        "network": f"networks trained for {FEW_PHASES[0].epochs} rounds on {FEW_PHASES[0].lines}"
        " lines composed of the same digits, of words and scribbles",
    }
    model = _build(fold, digits, digits, recipe, about, networks, jobs, report)
    return with_accuracy(
        model,
        "Digits, first half predicts second half",
        holdout(digits, "half", recipe).accuracy,
    )


def with_search(model: Model, network: Model) -> Model:
    """Copy the arrays for the search of pages, if any, from the model with the same networks."""
    found = {name: network.arrays[name] for name in SEARCH if name in network.arrays}
    card = {name: network.card[name] for name in (SEARCH_CARD,) if name in network.card}
    return replace(model, arrays={**model.arrays, **found}, card={**model.card, **card})


def with_accuracy(model: Model, measured_on: str, share: float) -> Model:
    """Return the model with another accuracy in its model card."""
    accuracy = {**model.card["accuracy"], measured_on: round(share, 4)}
    return replace(model, card={**model.card, "accuracy": accuracy})


def _halves(digits: DigitSet) -> Fold:
    """Hold out one half of Digits, in their order, so that no writer is in both."""
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
    """Fit all parts of a model.

    The first network belongs to the fold, and the last to the final model, which is trained on all
    digits.
    """
    counts = SAMPLE_COUNTS[recipe.from_grid]
    report("learning digits and non-digits")
    samples = _learnable(
        fold.train, fold.train if recipe.from_grid else extra, counts, recipe, jobs
    )
    fitted = fit_classifier(samples, recipe)
    report("calibrating the classifier")
    calibrated = _fit_calibration(fitted, fold, recipe, counts, jobs)
    report("fitting the confidence")
    composer = _composer(fold.confidence, recipe, seed=_seed(recipe, 300), part="calibrate")
    readers = {**fitted, **calibrated, **networks[0]}
    certain, facts = calibrate(
        readers,
        {HELD_OUT: composer, **_other_domains(fold, recipe)},
        Negatives(fold.confidence, seed=_seed(recipe, 400), part="train", european=EUROPEAN),
        counts.confidence,
        jobs=jobs,
    )
    report("telling which way up a page is")
    lines = oriented_lines(fold, recipe, counts)
    strings = [composer, _reversible(fold.confidence, seed=_seed(recipe, 501))]
    oriented = fit_orientation(
        {**readers, **certain}, lines, strings, counts.orientation, jobs=jobs
    )
    if everything is not fold.train:
        report("learning from all digits")
        final = {**readers, **certain, **networks[-1]}
        oriented |= fit_line_orientation(final, lines, counts.orientation, jobs=jobs)
        fitted = fit_classifier(_learnable(everything, everything, counts, recipe, jobs), recipe)
    return Model(
        arrays={**fitted, **calibrated, **networks[-1], **certain, **oriented},
        card=_card(recipe, about, facts, vectors=len(fitted["support"])),
    )


def _fit_calibration(
    fitted: Mapping[str, NDArray[Any]], fold: Fold, recipe: Recipe, counts: SampleCounts, jobs: int
) -> dict[str, NDArray[Any]]:
    """Calibrate the classifier's probabilities on regions of strings by held-out writers."""
    held = gather(
        _composer(fold.lattice, recipe, seed=_seed(recipe, 200)), counts.lattice, jobs=jobs
    )
    decisions = decide_all(Classifier.from_arrays(fitted), held.bitmaps)
    return fit_calibration(decisions, held.labels)


def _card(
    recipe: Recipe, about: Mapping[str, Any], facts: Mapping[str, Any], *, vectors: int
) -> dict[str, Any]:
    """Return the model card; accuracies among the facts get a section of their own."""
    accuracy = {name: fact for name, fact in facts.items() if ", read " in name}
    return {
        "data": about,
        **about_recipe(recipe),
        "support_vectors": vectors,
        "settings": settings_hash(),
        **about_versions(),
        "accuracy": accuracy,
        **{name: fact for name, fact in facts.items() if name not in accuracy},
    }


def _seed(recipe: Recipe, purpose: int) -> int:
    """Return the seed of composed strings for a purpose; no two purposes share one."""
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
    """Return a composer of a set's writers, with printed strings unless the model is for Digits."""
    faces = () if recipe.from_grid or not printed else typefaces(part)
    kinds = {**HANDWRITTEN_QUOTAS, "printed": printed} if faces else HANDWRITTEN_QUOTAS
    return Composer(
        digits, seed=seed, kinds=kinds, european=EUROPEAN, each_once=each_once, faces=faces
    )


def _other_domains(fold: Fold, recipe: Recipe) -> dict[str, Composer]:
    """Return held-out strings from other domains than NIST writers."""
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
    if fold.held_mail:
        domains["US mail"] = EnvelopeComposer(fold.held_mail, seed=_seed(recipe, 303))
    return domains


def oriented_lines(fold: Fold, recipe: Recipe, counts: SampleCounts) -> list[Composer]:
    """Return strings for page orientation: handwritten, in foreign hands, and in type."""
    lines: list[Composer] = []
    for number, digits in enumerate(one for one in (fold.train, fold.mail) if one):
        lines.append(_composer(digits, recipe, seed=_seed(recipe, 510 + number), printed=0))
        lines.append(_reversible(digits, seed=_seed(recipe, 520 + number)))
    if counts.foreign:
        lines.append(ForeignComposer(fold.train, seed=_seed(recipe, 502)))
    if counts.printed:
        faces, kinds = typefaces("train"), {"printed": 1.0}
        lines.append(Composer(fold.train, seed=_seed(recipe, 503), kinds=kinds, faces=faces))
        lines.append(_reversible(fold.train, seed=_seed(recipe, 504), kinds=kinds, faces=faces))
    return lines


def _reversible(
    digits: DigitSet,
    *,
    seed: int,
    kinds: Mapping[str, float] = HANDWRITTEN_QUOTAS,
    faces: Sequence[Typeface] = (),
) -> Composer:
    """Return a composer of strings most of which also read as digits upside down."""
    zips = [one for one in places() if REVERSIBLE.issuperset(one)]
    return Composer(digits, seed=seed, zips=zips, kinds=kinds, faces=faces, european=EUROPEAN)


def _learnable(
    digits: DigitSet, extra: DigitSet, counts: SampleCounts, recipe: Recipe, jobs: int
) -> Samples:
    """Collect the training samples of the classifier.

    Regions of composed strings, printed digits, and unmodified isolated Digits.
    """
    handwritten = _composer(digits, recipe, seed=_seed(recipe, 100), each_once=True, printed=0)
    parts = [
        gather(
            handwritten,
            handwritten.round_length * counts.rounds,
            jobs=jobs,
            non_digits=counts.non_digits,
        )
    ]
    if counts.foreign:
        parts.append(
            gather(
                ForeignComposer(digits, seed=_seed(recipe, 103)),
                counts.foreign,
                jobs=jobs,
                non_digits=counts.non_digits,
            )
        )
    if counts.printed:
        faces = typefaces("train")
        printed = Composer(
            printed_digits(faces), seed=_seed(recipe, 101), kinds={"printed": 1}, faces=faces
        )
        parts.append(gather(printed, counts.printed, jobs=jobs))
        composed = Composer(extra, seed=_seed(recipe, 102), each_once=True)
        parts.append(gather(composed, EXTRA_ROUNDS * composed.round_length, jobs=jobs))
    isolated = Samples(bitmaps=isolated_bitmaps(extra), labels=extra.labels)
    return join([*parts, isolated])


def digit_accuracy(model: Model, digits: DigitSet) -> float:
    """Return the accuracy on isolated digits among the ten digit classes.

    The non-digit is ignored.
    """
    decisions = decide_all(Classifier.from_model(model), isolated_bitmaps(digits))
    return float(
        (
            Calibration.from_model(model).digit_log_probabilities(decisions).argmax(axis=1)
            == digits.labels
        ).mean()
    )
