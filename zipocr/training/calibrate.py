"""Fits what a reader may say of its own certainty, on composed strings of writers that trained nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from zipocr.decode.confidence import LISTED_SHARE
from zipocr.decode.strings import Candidate
from zipocr.directory import places
from zipocr.looking import NEVER, SURE
from zipocr.reader import Reader, see_each
from zipocr.shares import accepting, upper_bound
from zipocr.training.compose import Composer
from zipocr.training.fit import fit_logistic
from zipocr.training.gather import map_strings
from zipocr.training.negatives import Negatives
from zipocr.training.weigh import cast_ballots, fit_weights
from zipocr.types import ZIP_LENGTH, Floats, Model

EVIDENCE_STRENGTH = 0.05
# Of so many strings one is looked at to weigh the network, unless a glance is enough, and of so many one more page without a ZIP is read;
# those pages count as this share of all.
WEIGHED, NEGATIVE = 2, 3
WITHOUT_ZIP = 0.08
# The shares of wrong ZIPs among the accepted that a model has thresholds for.
ERRORS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
# A threshold is not chosen on strings that the confidence was fitted to: in turn, each of so many parts of the writers is held out.
FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Verdict:
    """What a reader made of one string: its evidence, the strings it weighed, which was written, and by whom."""

    evidence: Floats
    ranked: tuple[Candidate, ...]
    truth: str
    writer: int

    @property
    def is_right(self) -> bool:
        """Whether the best string is the one written."""
        return self.ranked[0].text == self.truth


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Judge:
    """Reads one string of a composer; readers share a look at it, since only when a glance is enough depends on the directory."""

    readers: Sequence[Reader]
    composer: Composer | Negatives

    def __call__(self, number: int) -> list[Verdict]:
        composed = self.composer.nth(number)
        seen = see_each(self.readers, self.readers[0].open(composed.image))
        found = [(reader, reader.pool(views)) for reader, views in zip(self.readers, seen, strict=True)]
        return [
            Verdict(evidence=reader.evidence(one), ranked=one.ranked, truth=composed.text, writer=composed.writer)
            for reader, one in found
            if one is not None
        ]


def judge(model: Model, composer: Composer | Negatives, numbers: Sequence[int], *, jobs: int) -> list[tuple[Verdict, ...]]:
    """Reads composed strings with and without the directory; those in which no digits were found are left out."""
    readers = [Reader(model, use_directory=use_directory) for use_directory in (True, False)]
    found = map_strings(_Judge(readers=readers, composer=composer), numbers, jobs=jobs)
    return [tuple(verdicts) for verdicts in found if verdicts]


def mail_weights(verdicts: Sequence[Verdict]) -> NDArray[np.float64]:
    """Weights that make unlisted strings as rare as they are on mail: (N,), sum N. Composed strings hold many more of them."""
    listed = np.array([one.truth[:ZIP_LENGTH] in places() for one in verdicts])
    share = np.where(listed, LISTED_SHARE / max(listed.sum(), 1), (1 - LISTED_SHARE) / max((~listed).sum(), 1))
    return np.asarray(share * len(verdicts) / share.sum())


def fit_confidence(verdicts: Sequence[Verdict], weights: NDArray[np.float64], without: Sequence[Verdict] = ()) -> Floats:
    """Slopes and bias of the logistic model of a right ZIP: (F + 1,) float32.

    ``weights`` (N,) say how much each string counts; pages `without` a ZIP count together as `WITHOUT_ZIP` of all strings do.
    """
    seen = np.stack([one.evidence for one in (*verdicts, *without)])
    right = np.array([one.is_right for one in verdicts] + [False] * len(without))
    each = WITHOUT_ZIP * weights.sum() / max(len(without), 1)
    slopes, bias = fit_logistic(seen, right, strength=EVIDENCE_STRENGTH, weights=np.append(weights, np.full(len(without), each)))
    return np.append(slopes, np.float32(bias))


def confidences(verdicts: Sequence[Verdict], fitted: Floats) -> NDArray[np.float64]:
    """Probabilities of being right: (N,)."""
    odds = np.stack([one.evidence for one in verdicts]).astype(np.float64) @ fitted[:-1] + fitted[-1]
    return np.asarray(1 / (1 + np.exp(-odds)))


def cross_fitted(verdicts: Sequence[Verdict], weights: NDArray[np.float64], without: Sequence[Verdict] = ()) -> NDArray[np.float64]:
    """Probabilities of being right, each from a confidence that was fitted to the strings of other writers: (N,)."""
    writers = np.array([one.writer for one in verdicts])
    found = np.empty(len(verdicts))
    for fitted, held in GroupKFold(min(FOLDS, len(np.unique(writers)))).split(writers, groups=writers):
        confidence = fit_confidence([verdicts[place] for place in fitted], weights[fitted], without)
        found[held] = confidences([verdicts[place] for place in held], confidence)
    return found


def like_mail(strings: Sequence[Verdict]) -> NDArray[np.intp]:
    """Places of a sample that is listed as often as mail is: all listed strings, and the right number of others, evenly taken.

    An exact bound counts strings and cannot weigh them.
    """
    listed = np.array([one.truth[:ZIP_LENGTH] in places() for one in strings])
    others = np.flatnonzero(~listed)
    count = min(round(listed.sum() * (1 - LISTED_SHARE) / LISTED_SHARE), len(others))
    taken = others[np.arange(count) * len(others) // max(count, 1)]
    return np.sort(np.append(np.flatnonzero(listed), taken))


def acceptance_table(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The lowest threshold that keeps to each of `ERRORS`, as far as so many strings can tell.

    Confidences count as the CSV shows them, in steps of 0.0001; equal ones are accepted together or not at all.

    Parameters
    ----------
    confidence : (N,) float64
        From `cross_fitted`: 0 to 1.
    right : (N,) bool

    Returns
    -------
    (T, 2) float64
        Rows of an error and the least confidence above which the upper bound of the share of wrong strings is at or below it, the
        stricter rows first. An error that these strings are too few or too often wrong for has no row.
    """
    found = accepting(np.round(confidence, 4), right)
    bounds = upper_bound(found.wrong, found.count)
    lowest = [(error, np.flatnonzero(bounds <= error)) for error in ERRORS]
    return np.array([(error, found.threshold[fine[-1]]) for error, fine in lowest if len(fine)], np.float64).reshape(-1, 2)


def calibrate(
    fitted: Mapping[str, NDArray[Any]], composer: Composer, negatives: Negatives, count: int, *, jobs: int, glances: bool = True
) -> tuple[dict[str, NDArray[Any]], dict[str, float]]:
    """Fits the network's weight, the temperature, both confidence models and their tables of thresholds.

    Parameters
    ----------
    fitted : mapping
        Arrays of a classifier, its scores and its network.
    composer : Composer
        Strings of writers that these never saw.
    negatives : Negatives
        The same for pages without a ZIP. They teach the confidence, and the tables leave them out: those promise for mail.
    count : int
        How many strings.
    jobs : int
        Processes.
    glances : bool
        Whether a glance may be enough at all.

    Returns
    -------
    arrays : dict
        For the model file.
    facts : dict
        How many strings there were, and the share of them read right with and without the directory.
    """
    blank = np.zeros(1, np.float32)
    arrays: dict[str, NDArray[Any]] = {"line_weight": np.array(0.5), "temperature": np.array(1.0)}
    arrays |= {"confidence_listed": blank, "confidence_unlisted": blank, "sure": np.array(SURE if glances else NEVER)}
    others = range(count, count + count // WEIGHED)
    weights = fit_weights(cast_ballots(_model(fitted, arrays), composer, others, jobs=jobs))
    arrays["line_weight"], arrays["temperature"] = (np.array(one) for one in weights)
    pairs = judge(_model(fitted, arrays), composer, range(count), jobs=jobs)
    without = judge(_model(fitted, arrays), negatives, range(count // NEGATIVE), jobs=jobs)
    facts: dict[str, float] = {"confidence_strings": count}
    for place, name in enumerate(("listed", "unlisted")):
        verdicts = [pair[place] for pair in pairs]
        right = np.array([one.is_right for one in verdicts])
        weighed, counted = (
            (mail_weights(verdicts), like_mail(verdicts)) if name == "listed" else (np.ones(len(pairs)), np.arange(len(pairs)))
        )
        known = (verdicts, weighed, [pair[place] for pair in without])
        arrays[f"confidence_{name}"] = fit_confidence(*known)
        arrays[f"acceptance_{name}"] = acceptance_table(cross_fitted(*known)[counted], right[counted])
        facts["read with the directory" if name == "listed" else "read without it"] = round(int(right.sum()) / count, 4)
    return arrays, facts


def _model(*parts: Mapping[str, NDArray[Any]]) -> Model:
    return Model(arrays={name: array for part in parts for name, array in part.items()}, passport={})
