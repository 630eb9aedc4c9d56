"""Fits what a reader may say of its own certainty, on composed strings of writers that trained nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from zipocr.decode.confidence import LISTED_SHARE, posterior
from zipocr.decode.strings import Candidate
from zipocr.directory import places
from zipocr.prepare import to_working_size
from zipocr.reader import Reader
from zipocr.training.compose import Composer
from zipocr.training.fit import fit_logistic
from zipocr.training.gather import map_strings
from zipocr.types import ZIP_LENGTH, Floats, Model

EVIDENCE_STRENGTH = 0.05
# The default threshold keeps the share of wrong ZIPs among the accepted at or below this.
ACCEPTED_ERROR = 0.01


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Verdict:
    """What a reader made of one string: its evidence, the strings it weighed, and which was written."""

    evidence: Floats
    ranked: tuple[Candidate, ...]
    truth: str

    @property
    def is_right(self) -> bool:
        """Whether the best string is the one written."""
        return self.ranked[0].text == self.truth


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Judge:
    """Reads one string of a composer; all readers share one look at it, since looking does not depend on the directory."""

    readers: Sequence[Reader]
    composer: Composer

    def __call__(self, number: int) -> list[Verdict]:
        composed = self.composer.nth(number)
        views = self.readers[0].look(to_working_size(composed.image))
        found = [(reader, reader.pool(views)) for reader in self.readers]
        return [Verdict(evidence=reader.evidence(one), ranked=one.ranked, truth=composed.text) for reader, one in found if one is not None]


def judge(model: Model, composer: Composer, numbers: Sequence[int], *, jobs: int) -> list[tuple[Verdict, ...]]:
    """Reads composed strings with and without the directory; those in which no digits were found are left out."""
    readers = [Reader(model, use_directory=use_directory) for use_directory in (True, False)]
    found = map_strings(_Judge(readers=readers, composer=composer), numbers, jobs=jobs)
    return [tuple(verdicts) for verdicts in found if verdicts]


def fit_temperature(verdicts: Sequence[Verdict]) -> float:
    """The temperature at which the shares of the competing strings have the least log loss."""
    known = [(one.ranked, place) for one in verdicts for place, other in enumerate(one.ranked) if other.text == one.truth]

    def loss(temperature: float) -> float:
        return float(-np.mean([np.log(max(posterior(ranked, temperature)[place], 1e-9)) for ranked, place in known]))

    return float(minimize_scalar(loss, bounds=(0.3, 5.0), method="bounded").x)


def mail_weights(verdicts: Sequence[Verdict]) -> NDArray[np.float64]:
    """Weights that make unlisted strings as rare as they are on mail: (N,), sum N. Composed strings hold many more of them."""
    listed = np.array([one.truth[:ZIP_LENGTH] in places() for one in verdicts])
    share = np.where(listed, LISTED_SHARE / max(listed.sum(), 1), (1 - LISTED_SHARE) / max((~listed).sum(), 1))
    return np.asarray(share * len(verdicts) / share.sum())


def fit_confidence(verdicts: Sequence[Verdict], weights: NDArray[np.float64]) -> Floats:
    """Slopes and bias of the logistic model of a right ZIP: (F + 1,) float32; ``weights`` (N,) say how much each string counts."""
    seen = np.stack([one.evidence for one in verdicts])
    right = np.array([one.is_right for one in verdicts])
    slopes, bias = fit_logistic(seen, right, strength=EVIDENCE_STRENGTH, weights=weights)
    return np.append(slopes, np.float32(bias))


def confidences(verdicts: Sequence[Verdict], fitted: Floats) -> NDArray[np.float64]:
    """Probabilities of being right: (N,)."""
    odds = np.stack([one.evidence for one in verdicts]).astype(np.float64) @ fitted[:-1] + fitted[-1]
    return np.asarray(1 / (1 + np.exp(-odds)))


def choose_threshold(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], weights: NDArray[np.float64], error: float = ACCEPTED_ERROR
) -> float:
    """The lowest confidence above which at most this weighted share is wrong; 1 when there is none.

    Confidences count as the CSV shows them, in steps of 0.0001; equal ones are accepted together or not at all.
    """
    shown = np.round(confidence, 4)
    order = np.argsort(-shown, kind="stable")
    wrong = np.cumsum(~right[order] * weights[order])
    last_of_its_kind = np.append(shown[order][1:] != shown[order][:-1], True)
    fine = np.flatnonzero((wrong <= error * np.cumsum(weights[order])) & last_of_its_kind)
    return float(shown[order][fine[-1]]) if len(fine) else 1.0


def calibrate(
    fitted: Sequence[Mapping[str, NDArray[Any]]], composers: Sequence[Composer], count: int, *, jobs: int
) -> tuple[dict[str, NDArray[Any]], dict[str, float]]:
    """Fits temperature, both confidence models and the default threshold.

    Parameters
    ----------
    fitted : sequence of mappings
        Arrays of each fold's classifier and scores.
    composers : sequence of Composer
        For each fold, strings of writers its classifier never saw.
    count : int
        Strings for each fold.
    jobs : int
        Processes.

    Returns
    -------
    arrays : dict
        For the model file.
    facts : dict
        The default threshold, and the share of strings read right with and without the directory.
    """
    blank = np.zeros(1, np.float32)
    arrays: dict[str, NDArray[Any]] = {}
    facts: dict[str, float] = {"confidence_strings": count * len(fitted)}
    pairs = []
    for fold, composer in zip(fitted, composers, strict=True):
        model = Model(arrays={**fold, "temperature": np.array(1.0), "confidence_listed": blank, "confidence_unlisted": blank}, passport={})
        pairs += judge(model, composer, range(count), jobs=jobs)
    for name, verdicts in zip(("confidence_listed", "confidence_unlisted"), zip(*pairs, strict=True), strict=True):
        weights = mail_weights(verdicts) if name == "confidence_listed" else np.ones(len(verdicts))
        arrays[name] = fit_confidence(verdicts, weights)
        facts["read with the directory" if name == "confidence_listed" else "read without it"] = round(
            sum(one.is_right for one in verdicts) / (count * len(fitted)), 4
        )
    listed = [verdict for verdict, _ in pairs]
    arrays["temperature"] = np.array(fit_temperature(listed))
    certain = confidences(listed, arrays["confidence_listed"])
    facts["min_confidence"] = choose_threshold(certain, np.array([one.is_right for one in listed]), mail_weights(listed))
    unlisted = [verdict for _, verdict in pairs]
    certain = confidences(unlisted, arrays["confidence_unlisted"])
    facts["min_confidence_unlisted"] = choose_threshold(certain, np.array([one.is_right for one in unlisted]), np.ones(len(unlisted)))
    return arrays, facts
