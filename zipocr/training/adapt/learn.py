"""Learning from corrected pages, and measuring on held-out pages whether it helps.

The pages are dealt into parts. In turn each part is read by a model that learnt from all others, so
every page is read once before and once after, by models that never saw it; what is handed out in
the end has learnt from all parts.
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
from zipocr.training.adapt.alignment import Lesson, study
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
# What a sample may weigh, in parts of what one may that the base was made from.
WEIGHTS = (0.01, 0.03, 0.1, 0.3)
# So many of the base's support vectors tell what it forgets. They are the hardest of its data, and
# lose some four times what these lose; but most mail is like these, and never comes to be
# corrected: half of that counts.
GUARDS = 2000
GUARDED = 0.5
WAYS = ("listed", "unlisted")
Report: TypeAlias = Callable[[str], None]
Progress: TypeAlias = Callable[[int], AbstractContextManager[Callable[[], None]]]
"""Begins work of some steps, and gives what to call after each."""


def _unseen(_: int) -> AbstractContextManager[Callable[[], None]]:
    return nullcontext(lambda: None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learnt:
    """A model that has learnt, and what that did to pages it had not learnt from.

    ``with_directory`` and ``without`` are the changes in the share read exactly. ``pages`` were
    read, ``taught`` are those in whose ink the known ZIP was found. ``notes`` say what the
    confidence and its thresholds rest on.
    """

    model: Model
    with_directory: Change
    without: Change
    pages: int
    taught: int
    weight: float
    notes: tuple[str, ...]


def is_better(found: Change) -> bool:
    """Whether a share rose by more than chance explains.

    The 95 % interval of the difference lies above 0.
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
) -> Learnt:
    """Teaches a model pages whose ZIP is known.

    Parameters
    ----------
    base : Model
    crops : sequence of Crop
        Pages that bear a ZIP; ``kind`` of their truth is the file they are from, whose pages stay
        together.
    jobs : int
        Processes; the model does not depend on it.
    seed : int
        Deals the pages into parts.
    report : callable
        Told what is being done, in a line each.
    progress : callable
        Told how far that is.

    Returns
    -------
    Learnt

    Raises
    ------
    InputError
        If there are too few pages to learn from and to measure on.
    """
    report(f"reading {len(crops)} pages")
    with progress(len(crops)) as advance:
        lessons = study(judges(base), crops, jobs=jobs, advance=advance)
    known = [
        (crop, lesson) for crop, lesson in zip(crops, lessons, strict=True) if lesson is not None
    ]
    taught = sum(lesson.samples is not None for _, lesson in known)
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
    lore = _to_lore(base, [lesson for _, lesson in known])
    parts = deal([crop.truth.kind for crop, _ in known], seed)
    report(f"learning {len(lore)} regions, without each of {FOLDS} parts in turn")
    with progress(FOLDS) as advance:
        work = _Trial(arrays=base.arrays, lore=lore, parts=parts)
        trials = map_strings(work, range(FOLDS), jobs=jobs, advance=advance)
    losses = np.stack([trial.losses for trial in trials])
    lines = LineAdaptationSet.of(
        [lesson.features for _, lesson in known], [lesson.text for _, lesson in known]
    )
    read = [crop for crop, _ in known]
    apart = _Apart(base=base, lore=lore, lines=lines, parts=parts, trials=trials, losses=losses)
    after = apart.read(read, jobs=jobs, report=report, progress=progress)
    weight = WEIGHTS[int(losses.sum(axis=0).argmin())]
    arrays = with_adaptation(
        base.arrays,
        lore,
        learn_pairs(lore, float(base.arrays["gamma"]), _bounds(base.arrays, (weight,)))[0],
    )
    if len(lines):
        arrays = with_lines(arrays, lines, best_pull(base.arrays, lines, parts[lines.owners]))
    certain, notes = recalibrated(arrays, dict(zip(WAYS, after, strict=True)))
    before = [[lesson.answers[way] for _, lesson in known] for way in range(len(WAYS))]
    with_directory, without = (change(now, then) for now, then in zip(after, before, strict=True))
    return Learnt(
        model=Model(arrays={**arrays, **certain}, card=base.card),
        with_directory=with_directory,
        without=without,
        pages=len(known),
        taught=taught,
        weight=weight,
        notes=notes,
    )


def card_of(found: Learnt, *, base: str, digest: str) -> Model:
    """Give the model a card that names its base and tells what it learnt and gained."""
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
    # What was measured on the base holds for the base alone.
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
    """Deals pages into `FOLDS` parts by the file they are from: (N,), 0 to `FOLDS` - 1."""
    names, places = np.unique(files, return_inverse=True)
    parts = np.random.default_rng(seed).permutation(np.arange(len(names)) % FOLDS)
    return parts[places]


def _to_lore(base: Model, lessons: Sequence[Lesson]) -> AdaptationSet:
    taught = [
        (page, lesson.samples) for page, lesson in enumerate(lessons) if lesson.samples is not None
    ]
    owners = np.concatenate([np.full(len(samples), page) for page, samples in taught])
    return to_adaptation_set(base.arrays, join([samples for _, samples in taught]), owners)


def _bounds(arrays: Mapping[str, NDArray[Any]], weights: Sequence[float]) -> list[float]:
    return [weight * penalty(arrays) for weight in weights]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Tried:
    """For each of `WEIGHTS`.

    What a held part loses, (W,), and the coefficients learnt from all others.
    """

    losses: NDArray[np.float64]
    coefficients: list[Floats]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Trial:
    """Learn without a part, at every weight, and score that part and the rehearsal set."""

    arrays: Mapping[str, NDArray[Any]]
    lore: AdaptationSet
    parts: NDArray[np.intp]

    def __call__(self, part: int) -> _Tried:
        held = self.parts[self.lore.owners] == part
        gamma = float(self.arrays["gamma"])
        learnt, digits = (
            self.lore.take(~held),
            self.lore.take(held & (self.lore.labels != NON_DIGIT)),
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
        """Mean log loss of the digits."""
        calibration = Calibration.from_model(Model(arrays=self.arrays, card={}))
        scores = calibration.digit_log_probabilities(decisions)
        return float(-scores[np.arange(len(seen)), seen.labels].mean()) if len(seen) else 0.0


def rehearsal_set(arrays: Mapping[str, NDArray[Any]]) -> AdaptationSet:
    """Some of the base's support vectors of digits, evenly taken.

    What it was made from, as far as it is known, and the hardest of it.
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
class _Apart:
    """Models that each learnt without one of the parts; ``losses`` are those of the trials."""

    base: Model
    lore: AdaptationSet
    lines: LineAdaptationSet
    parts: NDArray[np.intp]
    trials: Sequence[_Tried]
    losses: NDArray[np.float64]

    def read(
        self, crops: Sequence[Crop], *, jobs: int, report: Report, progress: Progress
    ) -> tuple[list[Answer], list[Answer]]:
        """Read each part with the model that did not learn from it."""
        found: tuple[dict[int, Answer], dict[int, Answer]] = ({}, {})
        for part in range(len(self.trials)):
            pages = np.flatnonzero(self.parts == part).tolist()
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
        """Make the model that learnt without a part, at the weight best for the other parts."""
        best = int(np.delete(self.losses, part, axis=0).sum(axis=0).argmin())
        taught = self.lore.take(self.parts[self.lore.owners] != part)
        arrays = with_adaptation(self.base.arrays, taught, self.trials[part].coefficients[best])
        lines = self.lines.take(self.parts[self.lines.owners] != part)
        if len(lines):
            pull = best_pull(self.base.arrays, lines, self.parts[lines.owners])
            arrays = with_lines(arrays, lines, pull)
        return Model(arrays=arrays, card=self.base.card)
