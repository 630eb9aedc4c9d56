"""Adaptation to labelled pages, with cross-validation.

The pages are divided into folds. Each fold is read by a model adapted to all others, so every page
is read once before and once after adaptation, by models that never saw it. The final model is
adapted to all folds.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from zipocr import __version__
from zipocr.classify.probabilities import Calibration
from zipocr.classify.svc import NON_DIGIT, Classifier
from zipocr.errors import InputError
from zipocr.training.adapt.alignment import AlignedPage, align_pages
from zipocr.training.adapt.network_adaptation import LineAdaptationSet, best_pull, with_lines
from zipocr.training.adapt.recalibrate import recalibrated
from zipocr.training.adapt.svm_adaptation import (
    AdaptationSet,
    kernel,
    learn_pairs,
    penalty,
    to_adaptation_set,
    with_adaptation,
)
from zipocr.training.benchmark.measure import Crop, judges, read_crops
from zipocr.training.benchmark.metrics import Answer, Change, change
from zipocr.training.fit.region_samples import join, map_strings
from zipocr.types import Floats, Model

FOLDS = 5
MIN_PAGES = 20
# Candidate penalties C of a new sample, relative to that of the base model.
WEIGHTS = (0.01, 0.03, 0.1, 0.3)
# Rehearsal set against forgetting: number of support vectors of the base, and their weight, since
# they are harder than average data.
GUARDS = 2000
GUARDED = 0.5
WAYS = ("listed", "unlisted")
Report: TypeAlias = Callable[[str], None]
Progress: TypeAlias = Callable[[int], AbstractContextManager[Callable[[], None]]]
"""Starts a progress display; returns what to call after each step."""


def _unseen(_: int) -> AbstractContextManager[Callable[[], None]]:
    return nullcontext(lambda: None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Adaptation:
    """An adapted model, and its cross-validated gain.

    ``with_directory`` and ``without`` are the changes of exact accuracy. ``pages`` is the number of
    pages read, ``taught`` the number of those on which the known ZIP was found. ``notes`` describe
    what confidence and thresholds are based on.
    """

    model: Model
    with_directory: Change
    without: Change
    pages: int
    taught: int
    weight: float
    notes: tuple[str, ...]


def is_better(found: Change) -> bool:
    """Whether accuracy rose significantly.

    That is, the 95 % interval of the difference is above 0.
    """
    return found.difference > found.half_width


def learn(
    base: Model,
    crops: Sequence[Crop],
    *,
    jobs: int,
    seed: int,
    report: Report,
    progress: Progress = _unseen,
) -> Adaptation:
    """Adapt a model to pages whose ZIP is known.

    Parameters
    ----------
    base : Model
    crops : sequence of Crop
        Pages with a ZIP; ``kind`` of their truth is their file, and pages of one file stay in one
        fold.
    jobs : int
        Number of processes; does not affect the model.
    seed : int
        Random seed of the folds.
    report : callable
        Called with a progress line for each phase.
    progress : callable
        Starts a progress display.

    Returns
    -------
    Adaptation

    Raises
    ------
    InputError
        If there are too few pages to adapt to and measure on.
    """
    known = _align_crops(base, crops, jobs=jobs, report=report, progress=progress)
    pages, aligned = [crop for crop, _ in known], [one for _, one in known]
    folds = deal([crop.truth.kind for crop in pages], seed)
    samples, lines = _to_samples(base, aligned), _to_lines(aligned)
    report(f"learning {len(samples)} regions, without each of {FOLDS} parts in turn")
    with progress(FOLDS) as advance:
        work = _Trial(arrays=base.arrays, samples=samples, folds=folds)
        trials = map_strings(work, range(FOLDS), jobs=jobs, advance=advance)
    models = _HeldOutModels(base=base, samples=samples, lines=lines, folds=folds, trials=trials)
    after = models.read(pages, jobs=jobs, report=report, progress=progress)
    weight = WEIGHTS[int(models.losses.sum(axis=0).argmin())]
    arrays = _fit_all(models, weight)
    certain, notes = recalibrated(arrays, dict(zip(WAYS, after, strict=True)))
    with_directory, without = _changes(aligned, after)
    return Adaptation(
        model=Model(arrays={**arrays, **certain}, card=base.card),
        with_directory=with_directory,
        without=without,
        pages=len(known),
        taught=_count_taught(aligned),
        weight=weight,
        notes=notes,
    )


def _align_crops(
    base: Model, crops: Sequence[Crop], *, jobs: int, report: Report, progress: Progress
) -> list[tuple[Crop, AlignedPage]]:
    """Read and align the pages that can be opened; raise an error if there are too few."""
    report(f"reading {len(crops)} pages")
    with progress(len(crops)) as advance:
        aligned = align_pages(judges(base), crops, jobs=jobs, advance=advance)
    known = [(crop, one) for crop, one in zip(crops, aligned, strict=True) if one is not None]
    taught = _count_taught([one for _, one in known])
    report(
        f"{len(crops) - len(known)} pages cannot be opened; on {len(known) - taught} the known "
        "ZIP was not found in the ink"
    )
    if taught < MIN_PAGES:
        message = (
            f"{taught} pages to learn from are too few: it takes {MIN_PAGES} to learn, and some "
            "hundreds to see that it helped."
        )
        raise InputError(message)
    return known


def _changes(
    aligned: Sequence[AlignedPage], after: Sequence[Sequence[Answer]]
) -> tuple[Change, Change]:
    """Compare the answers before and after, with and without a directory."""
    before = ([one.answers[way] for one in aligned] for way in range(len(WAYS)))
    with_directory, without = (change(now, then) for now, then in zip(after, before, strict=True))
    return with_directory, without


def _count_taught(aligned: Sequence[AlignedPage]) -> int:
    """Count the pages that could be aligned."""
    return sum(one.samples is not None for one in aligned)


def _fit_all(models: "_HeldOutModels", weight: float) -> dict[str, NDArray[Any]]:
    """Adapt the base to all pages, and return the arrays of the final model."""
    base, samples, lines = models.base.arrays, models.samples, models.lines
    (added,) = learn_pairs(samples, float(base["gamma"]), _bounds(base, (weight,)))
    arrays = with_adaptation(base, samples, added)
    if len(lines):
        arrays = with_lines(arrays, lines, best_pull(base, lines, models.folds[lines.owners]))
    return arrays


def card_of(found: Adaptation, *, base: str, digest: str) -> Model:
    """Return the model with a card that describes its base and its gain."""
    old = dict(found.model.card)
    measured = {
        name: {
            "before": round(one.now - one.difference, 4),
            "after": round(one.now, 4),
            "95 % half width": round(one.half_width, 4),
        }
        for name, one in (("with a directory", found.with_directory), ("without", found.without))
    }
    learnt = {
        "base": base,
        "base sha256": digest,
        "corrected pages": found.pages,
        "pages learnt from": found.taught,
        "weight": found.weight,
        f"read exactly, {FOLDS} parts in turn held out": measured,
        "confidence": list(found.notes),
        "zipocr": __version__,
    }
    # Measurements of the base do not apply to the adapted model.
    of_base = {
        f"{name} of the base": old.pop(name) for name in ("accuracy", "learnt") if name in old
    }
    card = {
        **old,
        **of_base,
        "support_vectors": len(found.model.arrays["support"]),
        "learnt": learnt,
    }
    return replace(found.model, card=card)


def deal(files: Sequence[str], seed: int) -> NDArray[np.intp]:
    """Divide pages into `FOLDS` folds by file: (N,), 0 to `FOLDS` - 1."""
    names, places = np.unique(files, return_inverse=True)
    parts = np.random.default_rng(seed).permutation(np.arange(len(names)) % FOLDS)
    return parts[places]


def _to_samples(base: Model, aligned: Sequence[AlignedPage]) -> AdaptationSet:
    taught = [(page, one.samples) for page, one in enumerate(aligned) if one.samples is not None]
    owners = np.concatenate([np.full(len(samples), page) for page, samples in taught])
    return to_adaptation_set(base.arrays, join([samples for _, samples in taught]), owners)


def _to_lines(aligned: Sequence[AlignedPage]) -> LineAdaptationSet:
    return LineAdaptationSet.of([one.features for one in aligned], [one.text for one in aligned])


def _bounds(arrays: Mapping[str, NDArray[Any]], weights: Sequence[float]) -> list[float]:
    return [weight * penalty(arrays) for weight in weights]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Tried:
    """The result of one trial for each of `WEIGHTS`.

    The loss on the held-out fold, (W,), and the coefficients fitted to all others.
    """

    losses: NDArray[np.float64]
    coefficients: list[Floats]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Trial:
    """Task that fits all folds but one at every weight, and scores the fit on the other one."""

    arrays: Mapping[str, NDArray[Any]]
    samples: AdaptationSet
    folds: NDArray[np.intp]

    def __call__(self, fold: int) -> _Tried:
        held = self.folds[self.samples.owners] == fold
        gamma = float(self.arrays["gamma"])
        learnt, digits = (
            self.samples.take(~held),
            self.samples.take(held & (self.samples.labels != NON_DIGIT)),
        )
        coefficients = learn_pairs(learnt, gamma, _bounds(self.arrays, WEIGHTS))
        losses = np.zeros(len(WEIGHTS))
        for seen, share in ((digits, 1.0), (rehearsal_set(self.arrays), GUARDED)):
            similar = kernel(seen.features, learnt.features, gamma)
            losses += [
                share * self._loss(seen, seen.decisions + similar @ added) for added in coefficients
            ]
        return _Tried(losses=losses, coefficients=coefficients)

    def _loss(self, seen: AdaptationSet, decisions: Floats) -> float:
        """Return the mean log loss of the digits."""
        calibration = Calibration.from_model(Model(arrays=self.arrays, card={}))
        scores = calibration.digit_log_probabilities(decisions)
        return float(-scores[np.arange(len(seen)), seen.labels].mean()) if len(seen) else 0.0


def rehearsal_set(arrays: Mapping[str, NDArray[Any]]) -> AdaptationSet:
    """Return an even selection of the base's support vectors of digits.

    They are the hardest of its training data, and the only part still known.
    """
    labels = np.repeat(np.arange(len(arrays["support_counts"])), arrays["support_counts"]).astype(
        np.uint8
    )
    digits = np.flatnonzero(labels != NON_DIGIT)
    chosen = digits[np.unique(np.arange(GUARDS) * len(digits) // GUARDS)]
    features = arrays["support"][chosen].astype(np.float32)
    decisions = Classifier.from_arrays(arrays).decision_function(features)
    return AdaptationSet(
        features=features,
        labels=labels[chosen],
        decisions=decisions,
        owners=np.full(len(chosen), -1),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _HeldOutModels:
    """The models fitted without one fold each."""

    base: Model
    samples: AdaptationSet
    lines: LineAdaptationSet
    folds: NDArray[np.intp]
    trials: Sequence[_Tried]

    @property
    def losses(self) -> NDArray[np.float64]:
        """Loss of each fold at each weight: (`FOLDS`, W)."""
        return np.stack([trial.losses for trial in self.trials])

    def read(
        self, crops: Sequence[Crop], *, jobs: int, report: Report, progress: Progress
    ) -> tuple[list[Answer], list[Answer]]:
        """Read each fold with the model that was not fitted to it."""
        found: tuple[dict[int, Answer], dict[int, Answer]] = ({}, {})
        for part in range(len(self.trials)):
            pages = np.flatnonzero(self.folds == part).tolist()
            told = f"{len(pages)} pages that the model did not learn from"
            report(f"reading part {part + 1} of {len(self.trials)}, {told}")
            model, some = judges(self._without(part)), [crops[page] for page in pages]
            with progress(len(pages)) as advance:
                answers = read_crops(model, some, jobs=jobs, advance=advance)
            for way, those in zip(found, answers, strict=True):
                way.update(zip(pages, those, strict=True))
        listed, unlisted = ([way[page] for page in range(len(crops))] for way in found)
        return listed, unlisted

    def _without(self, part: int) -> Model:
        """Return the model fitted without a fold, at the weight best for the other folds."""
        best = int(np.delete(self.losses, part, axis=0).sum(axis=0).argmin())
        taught = self.samples.take(self.folds[self.samples.owners] != part)
        arrays = with_adaptation(self.base.arrays, taught, self.trials[part].coefficients[best])
        lines = self.lines.take(self.folds[self.lines.owners] != part)
        if len(lines):
            pull = best_pull(self.base.arrays, lines, self.folds[lines.owners])
            arrays = with_lines(arrays, lines, pull)
        return Model(arrays=arrays, card=self.base.card)
