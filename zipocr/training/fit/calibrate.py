"""Calibration of confidence and acceptance thresholds on composed strings of held-out writers.

Mail differs from any single source of composed strings, so there are several domains. The first and
largest must prove the thresholds, and none of the others may disprove them: thresholds are those of
the worst domain.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit
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
# For each string that the confidence is fitted to, another 1 / FUSED strings for the fusion and 1 /
# NEGATIVE pages without a ZIP are read; those pages have this total weight.
FUSED, NEGATIVE = 2, 3
WITHOUT_ZIP = 0.3
# Every other domain has 1 / OTHER as many strings as the first, and this total weight relative to
# the first in the fit of the confidence.
OTHER, OTHER_WEIGHT = 12, 0.15
# Error rates among accepted ZIPs for which a model has thresholds.
ERRORS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
# Probability of the bound that takes writers as independent, the upper end of a 95 % interval, and
# the minimum number of writers for it.
CERTAINTY_OF_WRITERS, MIN_WRITERS = 0.975, 20
# Number of folds of writers for cross-fitting: thresholds are not chosen on strings that the
# confidence was fitted to.
FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredReading:
    """The reading of a composed string: its features, and whether its best string is right.

    ``truth`` is the true text, and ``writer`` its writer.
    """

    features: Floats
    truth: str
    writer: int
    is_right: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Score:
    """Task that reads one string of a composer with each reader."""

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

    Strings without a reading are left out.
    """
    readers = [Reader(model, use_directory=use_directory) for use_directory in (True, False)]
    found = map_strings(_Score(readers=readers, composer=composer), numbers, jobs=jobs)
    return [tuple(readings) for readings in found if len(readings) == len(readers)]


def mail_weights(readings: Sequence[ScoredReading]) -> NDArray[np.float64]:
    """Return weights that make unlisted strings as rare as on mail.

    (N,), with sum N. Unlisted strings are far more frequent among composed ones.
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
    """Fit slopes and bias of the logistic model of a right ZIP: (F + 1,) float32.

    ``weights`` (N,) are sample weights; pages `without` a ZIP have a total weight of `WITHOUT_ZIP`
    relative to that of all strings.
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

    Each comes from a model fitted to the strings of other writers.
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
    """Return the indices of a sample with as many listed strings as on mail.

    All listed strings, and the right number of others, evenly spaced.

    An exact bound counts strings and cannot weight them.
    """
    listed = np.array([one.truth[:ZIP_LENGTH] in places() for one in strings])
    others = np.flatnonzero(~listed)
    count = min(round(listed.sum() * (1 - P_LISTED) / P_LISTED), len(others))
    taken = others[np.arange(count) * len(others) // max(count, 1)]
    return np.sort(np.append(np.flatnonzero(listed), taken))


def acceptance_table(
    confidence: NDArray[np.float64],
    right: NDArray[np.bool_],
    writers: NDArray[np.int_] | None = None,
    *,
    proven: bool = True,
) -> NDArray[np.float64]:
    """Return the lowest threshold for each error rate in `ERRORS`, by a confidence bound.

    Confidences are rounded as in the CSV, in steps of 0.0001; equal ones are accepted together or
    not at all.

    Parameters
    ----------
    confidence : (N,) float64
        From `cross_fitted`: 0 to 1.
    right : (N,) bool
    writers : (N,) int, optional
        If given, and at least `MIN_WRITERS`, the bound for independent writers must be met, too.
    proven : bool
        Whether the strings must prove an error rate, by the upper bound of the share of wrong ones,
        or merely not disprove it, by the lower bound.

    Returns
    -------
    (T, 2) float64
        Rows of an error rate and the minimum confidence at which the bound does not exceed it,
        stricter rows first. Error rates for which there are too few strings or too many errors have
        no row.
    """
    rounded = np.round(confidence, 4)
    found = accepting(rounded, right)
    shares = (
        upper_bound(found.wrong, found.count)
        if proven
        else 1 - upper_bound(found.count - found.wrong, found.count)
    )
    if writers is not None and len(np.unique(writers)) >= MIN_WRITERS:
        shares = np.maximum(shares, bound_by_writer(rounded, right, writers))
    lowest = [(error, np.flatnonzero(shares <= error)) for error in ERRORS]
    return np.array(
        [(error, found.threshold[fine[-1]]) for error, fine in lowest if len(fine)], np.float64
    ).reshape(-1, 2)


def bound_by_writer(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], writers: NDArray[np.int_]
) -> NDArray[np.float64]:
    """Return an upper bound of the share of wrong strings at each threshold, highest first: (L,).

    Strings of one writer share digits, so writers rather than strings are independent.

    Notes
    -----
    Upper end of the 95 % interval of a ratio of totals of clusters, by Student's t distribution
    (Cochran, Sampling Techniques, 1977, chapter 9A).
    """
    names = np.unique(writers)
    found = [accepting(confidence, right, (writers == name).astype(np.float64)) for name in names]
    count = np.stack([one.count for one in found], axis=1)
    wrong = np.stack([one.wrong for one in found], axis=1)
    total = count.sum(axis=1)
    share = wrong.sum(axis=1) / total
    squares = ((wrong - share[:, None] * count) ** 2).sum(axis=1)
    free = max(len(names) - 1, 1)
    spread = np.sqrt(squares * len(names) / free) / total
    return np.asarray(share + stdtrit(free, CERTAINTY_OF_WRITERS) * spread)


def strictest(tables: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the highest threshold of any table for each error rate that all have: (T, 2)."""
    known = [dict(table.tolist()) for table in tables]
    rows = [
        (error, max(table[error] for table in known))
        for error in known[0]
        if all(error in table for table in known)
    ]
    return np.array(rows, np.float64).reshape(-1, 2)


def raised_to(lowest: NDArray[np.float64], table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a table of thresholds with none below that of ``lowest`` at its error rate: (T, 2)."""
    rows = [
        (error, max([threshold, *lowest[lowest[:, 0] >= error, 1]])) for error, threshold in table
    ]
    return np.array(rows, np.float64).reshape(-1, 2)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Domain:
    """Readings of the strings of one domain: (with the directory, without it) each."""

    name: str
    pairs: Sequence[tuple[ScoredReading, ...]]

    def way(self, place: int) -> list[ScoredReading]:
        """Return the readings with the directory, 0, or without it, 1."""
        return [pair[place] for pair in self.pairs]


def calibrate(
    fitted: Mapping[str, NDArray[Any]],
    composers: Mapping[str, Composer],
    negatives: Negatives,
    count: int,
    *,
    jobs: int,
) -> tuple[dict[str, NDArray[Any]], dict[str, float]]:
    """Fit the fusion weights, both confidence models and their threshold tables.

    Parameters
    ----------
    fitted : mapping
        Arrays of a classifier, its calibration and the networks.
    composers : mapping of str to Composer
        Strings of writers and machines that these never saw, by domain name.
    negatives : Negatives
        Pages without a ZIP, likewise. They are used for the confidence, but not for the tables,
        whose guarantees are for mail.
    count : int
        Number of strings of the first domain to fit the confidence to.
    jobs : int
        Number of processes.

    Returns
    -------
    arrays : dict
        For the model file.
    facts : dict
        Number of strings, and the shares of them read right with and without the directory.
    """
    counts = {name: count if not place else count // OTHER for place, name in enumerate(composers)}
    arrays = _with_fusion(fitted, composers, counts, jobs=jobs)
    model = _model(fitted, arrays)
    domains = [
        Domain(name=name, pairs=score_strings(model, one, range(counts[name]), jobs=jobs))
        for name, one in composers.items()
    ]
    without = score_strings(model, negatives, range(count // NEGATIVE), jobs=jobs)
    facts: dict[str, float] = {"confidence_strings": sum(counts.values())}
    for place, way in enumerate(("listed", "unlisted")):
        arrays |= _fit_way(domains, [pair[place] for pair in without], way)
        facts |= _shares_right(domains, counts, way)
    # How much of the mail a directory lists is an assumption; reading without it makes none.
    listed = raised_to(arrays["acceptance_unlisted"], arrays["acceptance_listed"])
    return arrays | {"acceptance_listed": listed}, facts


def _with_fusion(
    fitted: Mapping[str, NDArray[Any]],
    composers: Mapping[str, Composer],
    counts: Mapping[str, int],
    *,
    jobs: int,
) -> dict[str, NDArray[Any]]:
    """Fit the fusion weights; return them with a confidence and orientation not fitted yet."""
    # Unfitted, the confidence is 0.5, so all lines in doubt are read again; reading spares those
    # that are certain by then, which changes hardly any result.
    unfitted = np.zeros(FEATURES + 1, np.float32)
    arrays: dict[str, NDArray[Any]] = {"fusion": START, **NO_ORIENTATION}
    arrays |= {"confidence_listed": unfitted, "confidence_unlisted": unfitted}
    samples = [
        sample
        for name, one in composers.items()
        for sample in collect(_model(fitted, arrays), one, _beyond(counts[name]), jobs=jobs)
    ]
    return {**arrays, "fusion": fit_fusion(samples)}


def _shares_right(
    domains: Sequence[Domain], counts: Mapping[str, int], way: str
) -> dict[str, float]:
    """Return the share of each domain's strings that are read right, for the model card."""
    place, name = (0, "with the directory") if way == "listed" else (1, "without it")
    return {
        f"{one.name}, read {name}": round(
            sum(reading.is_right for reading in one.way(place)) / counts[one.name], 4
        )
        for one in domains
    }


def _beyond(count: int) -> range:
    """Return the numbers of the strings for the fusion, disjoint from those for the confidence."""
    return range(count, count + count // FUSED)


def _fit_way(
    domains: Sequence[Domain], without: Sequence[ScoredReading], way: str
) -> dict[str, NDArray[Any]]:
    """Fit the confidence and the thresholds for reading with or without the directory."""
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
        writers = None if place else np.array([one.writer for one in own])[counted]
        tables.append(
            acceptance_table(confidence[counted], right[counted], writers, proven=not place)
        )
    return {
        f"confidence_{way}": fit_confidence(readings, weights, without),
        f"acceptance_{way}": strictest(tables),
    }


def _weights(readings: Sequence[ScoredReading], *, listed: bool) -> NDArray[np.float64]:
    """Return the weights of a domain's strings, 1 on average."""
    return mail_weights(readings) if listed else np.ones(len(readings))


def _model(*parts: Mapping[str, NDArray[Any]]) -> Model:
    return Model(arrays={name: array for part in parts for name, array in part.items()}, card={})
