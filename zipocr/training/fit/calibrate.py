"""Fits how sure a reader may be, on composed strings of writers that trained nothing.

Mail is another world than any that strings are composed of. So there are several domains, of which
the first is the largest. It proves the thresholds, and none of the others may disprove them: they
are those of the worst domain.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from zipocr.decode.confidence import FEATURES, P_LISTED
from zipocr.decode.directory import places
from zipocr.evaluation.error_rates import accepting, upper_bound
from zipocr.preprocess.page import prepare
from zipocr.reader import Reader
from zipocr.training.fit.fusion_weights import START, collect, fit_fusion
from zipocr.training.fit.orientation import NO_ORIENTATION
from zipocr.training.fit.region_samples import map_strings
from zipocr.training.fit.svm import fit_logistic
from zipocr.training.synthesis.compose import Composer
from zipocr.training.synthesis.negatives import Negatives
from zipocr.types import ZIP_LENGTH, Floats, Model

CONFIDENCE_STRENGTH = 0.05
# For each string of the confidence, 1 / FUSED more fit the fusion, and 1 / NEGATIVE pages without a
# ZIP are read; those pages count as this share of all.
FUSED, NEGATIVE = 2, 3
WITHOUT_ZIP = 0.08
# Of each other domain 1 / OTHER as many strings are read as of the first. In the fit of the
# confidence all strings of a domain count by this share of those of the first.
OTHER, OTHER_WEIGHT = 4, 0.15
# The shares of wrong ZIPs among the accepted that a model has thresholds for.
ERRORS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
# A threshold is not chosen on strings that the confidence was fitted to: in turn, each of so many
# parts of the writers is held out.
FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredReading:
    """A composed string as a reader reads it: its features, and whether its best string is right.

    ``truth`` is what was written, and ``writer`` who wrote it.
    """

    features: Floats
    truth: str
    writer: int
    is_right: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Score:
    """Reads one string of a composer with each of some readers."""

    readers: Sequence[Reader]
    composer: Composer | Negatives

    def __call__(self, number: int) -> list[ScoredReading]:
        composed = self.composer.nth(number)
        prepared = [prepare(composed.image)]
        found = [(reader, reader.read_upright(prepared)[0].fused) for reader in self.readers]
        return [
            ScoredReading(
                features=reader.features(fused),
                truth=composed.text,
                writer=composed.writer,
                is_right=fused.best.text == composed.text,
            )
            for reader, fused in found
            if fused
        ]


def score_strings(
    model: Model, composer: Composer | Negatives, numbers: Sequence[int], *, jobs: int
) -> list[tuple[ScoredReading, ...]]:
    """Read composed strings with and without the directory.

    Those without a reading are left out.
    """
    readers = [Reader(model, use_directory=use_directory) for use_directory in (True, False)]
    found = map_strings(_Score(readers=readers, composer=composer), numbers, jobs=jobs)
    return [tuple(readings) for readings in found if len(readings) == len(readers)]


def mail_weights(readings: Sequence[ScoredReading]) -> NDArray[np.float64]:
    """Weights that make unlisted strings as rare as they are on mail.

    (N,), sum N. Composed strings hold many more of them.
    """
    listed = np.array([one.truth[:ZIP_LENGTH] in places() for one in readings])
    share = np.where(
        listed, P_LISTED / max(listed.sum(), 1), (1 - P_LISTED) / max((~listed).sum(), 1)
    )
    return np.asarray(share * len(readings) / share.sum())


def fit_confidence(
    readings: Sequence[ScoredReading],
    weights: NDArray[np.float64],
    without: Sequence[ScoredReading] = (),
) -> Floats:
    """Slopes and bias of the logistic model of a right ZIP: (F + 1,) float32.

    ``weights`` (N,) say how much each string counts; pages `without` a ZIP count together as
    `WITHOUT_ZIP` of all strings do.
    """
    seen = np.stack([one.features for one in (*readings, *without)])
    right = np.array([one.is_right for one in readings] + [False] * len(without))
    each = WITHOUT_ZIP * weights.sum() / max(len(without), 1)
    slopes, bias = fit_logistic(
        seen,
        right,
        strength=CONFIDENCE_STRENGTH,
        weights=np.append(weights, np.full(len(without), each)),
    )
    return np.append(slopes, np.float32(bias))


def confidences(readings: Sequence[ScoredReading], fitted: Floats) -> NDArray[np.float64]:
    """Probabilities of being right: (N,)."""
    odds = (
        np.stack([one.features for one in readings]).astype(np.float64) @ fitted[:-1] + fitted[-1]
    )
    return np.asarray(1 / (1 + np.exp(-odds)))


def cross_fitted(
    readings: Sequence[ScoredReading],
    weights: NDArray[np.float64],
    without: Sequence[ScoredReading] = (),
) -> NDArray[np.float64]:
    """Probabilities of being right: (N,).

    Each from a confidence that was fitted to the strings of other writers.
    """
    writers = np.array([one.writer for one in readings])
    found = np.empty(len(readings))
    for fitted, held in GroupKFold(min(FOLDS, len(np.unique(writers)))).split(
        writers, groups=writers
    ):
        confidence = fit_confidence([readings[place] for place in fitted], weights[fitted], without)
        found[held] = confidences([readings[place] for place in held], confidence)
    return found


def like_mail(strings: Sequence[ScoredReading]) -> NDArray[np.intp]:
    """Places of a sample that is listed as often as mail is.

    All listed strings, and the right number of others, evenly taken.

    An exact bound counts strings and cannot weigh them.
    """
    listed = np.array([one.truth[:ZIP_LENGTH] in places() for one in strings])
    others = np.flatnonzero(~listed)
    count = min(round(listed.sum() * (1 - P_LISTED) / P_LISTED), len(others))
    taken = others[np.arange(count) * len(others) // max(count, 1)]
    return np.sort(np.append(np.flatnonzero(listed), taken))


def acceptance_table(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], *, proven: bool = True
) -> NDArray[np.float64]:
    """The lowest threshold that keeps to each of `ERRORS`, as far as so many strings can tell.

    Confidences count as the CSV shows them, in steps of 0.0001; equal ones are accepted together or
    not at all.

    Parameters
    ----------
    confidence : (N,) float64
        From `cross_fitted`: 0 to 1.
    right : (N,) bool
    proven : bool
        Whether strings have to prove that an error is kept to, by the upper bound of the share of
        wrong ones, or only must not disprove it, by the lower bound.

    Returns
    -------
    (T, 2) float64
        Rows of an error and the least confidence above which the bound is at or below it, the
        stricter rows first. An error that these strings are too few or too often wrong for has no
        row.
    """
    found = accepting(np.round(confidence, 4), right)
    shares = (
        upper_bound(found.wrong, found.count)
        if proven
        else 1 - upper_bound(found.count - found.wrong, found.count)
    )
    lowest = [(error, np.flatnonzero(shares <= error)) for error in ERRORS]
    return np.array(
        [(error, found.threshold[fine[-1]]) for error, fine in lowest if len(fine)], np.float64
    ).reshape(-1, 2)


def strictest(tables: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The highest threshold that any table has for each error that all of them have: (T, 2)."""
    known = [dict(table.tolist()) for table in tables]
    rows = [
        (error, max(table[error] for table in known))
        for error in known[0]
        if all(error in table for table in known)
    ]
    return np.array(rows, np.float64).reshape(-1, 2)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Domain:
    """Strings of one world as the readers read them: (with the directory, without it) each."""

    name: str
    pairs: Sequence[tuple[ScoredReading, ...]]

    def way(self, place: int) -> list[ScoredReading]:
        """The readings with the directory, 0, or without it, 1."""
        return [pair[place] for pair in self.pairs]


def calibrate(
    fitted: Mapping[str, NDArray[Any]],
    composers: Mapping[str, Composer],
    negatives: Negatives,
    count: int,
    *,
    jobs: int,
) -> tuple[dict[str, NDArray[Any]], dict[str, float]]:
    """Fit the fusion's weights, both confidence models and their tables of thresholds.

    Parameters
    ----------
    fitted : mapping
        Arrays of a classifier, its calibration and its networks.
    composers : mapping of str to Composer
        Strings of writers and machines that these never saw, by the name of their domain.
    negatives : Negatives
        The same for pages without a ZIP. They teach the confidence, and the tables leave them out:
        those promise for mail.
    count : int
        Strings of the first domain to fit the confidence to.
    jobs : int
        Processes.

    Returns
    -------
    arrays : dict
        For the model file.
    facts : dict
        The strings there were, and the share of them read right with and without the directory.
    """
    unfitted = np.zeros(FEATURES + 1, np.float32)
    arrays: dict[str, NDArray[Any]] = {"fusion": START, **NO_ORIENTATION}
    arrays |= {"confidence_listed": unfitted, "confidence_unlisted": unfitted}
    counts = {name: count if not place else count // OTHER for place, name in enumerate(composers)}
    samples = [
        sample
        for name, one in composers.items()
        for sample in collect(_model(fitted, arrays), one, _beyond(counts[name]), jobs=jobs)
    ]
    arrays["fusion"] = fit_fusion(samples)
    domains = [
        Domain(
            name=name,
            pairs=score_strings(_model(fitted, arrays), one, range(counts[name]), jobs=jobs),
        )
        for name, one in composers.items()
    ]
    without = score_strings(_model(fitted, arrays), negatives, range(count // NEGATIVE), jobs=jobs)
    facts: dict[str, float] = {"confidence_strings": sum(counts.values())}
    for place, way in enumerate(("listed", "unlisted")):
        others = [pair[place] for pair in without]
        arrays |= _fit_way(domains, others, way)
        name = "with the directory" if way == "listed" else "without it"
        for one in domains:
            right = sum(reading.is_right for reading in one.way(place))
            facts[f"{one.name}, read {name}"] = round(right / counts[one.name], 4)
    return arrays, facts


def _beyond(count: int) -> range:
    """Numbers of the strings that the fusion is fitted to: the confidence sees none of them."""
    return range(count, count + count // FUSED)


def _fit_way(
    domains: Sequence[Domain], without: Sequence[ScoredReading], way: str
) -> dict[str, NDArray[Any]]:
    """Fit the confidence and the thresholds of reading with the directory, or without it."""
    listed = way == "listed"
    each = [one.way(0 if listed else 1) for one in domains]
    readings = [reading for own in each for reading in own]
    weights = np.concatenate(
        [
            _weights(own, listed=listed) * (len(each[0]) * OTHER_WEIGHT / len(own) if place else 1)
            for place, own in enumerate(each)
        ]
    )
    crossed = cross_fitted(readings, weights, without)
    ends = np.cumsum([len(own) for own in each])[:-1]
    tables = []
    for place, (own, confidence) in enumerate(zip(each, np.split(crossed, ends), strict=True)):
        counted = like_mail(own) if listed else np.arange(len(own))
        right = np.array([one.is_right for one in own])
        tables.append(acceptance_table(confidence[counted], right[counted], proven=not place))
    return {
        f"confidence_{way}": fit_confidence(readings, weights, without),
        f"acceptance_{way}": strictest(tables),
    }


def _weights(readings: Sequence[ScoredReading], *, listed: bool) -> NDArray[np.float64]:
    """Weights of a domain's strings, 1 on average."""
    return mail_weights(readings) if listed else np.ones(len(readings))


def _model(*parts: Mapping[str, NDArray[Any]]) -> Model:
    return Model(arrays={name: array for part in parts for name, array in part.items()}, card={})
