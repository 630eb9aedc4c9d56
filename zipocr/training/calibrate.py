"""Fits what a reader may say of its own certainty, on composed strings of writers that trained nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from zipocr.decode.confidence import posterior
from zipocr.decode.strings import Candidate
from zipocr.reader import Reader, to_working_size
from zipocr.training.compose import Composer
from zipocr.training.fit import fit_logistic
from zipocr.training.gather import map_strings
from zipocr.types import Floats, Model

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
    """Reads one string of a composer."""

    reader: Reader
    composer: Composer

    def __call__(self, number: int) -> Verdict | None:
        composed = self.composer.nth(number)
        found = self.reader.pool(self.reader.look(to_working_size(composed.image)))
        return None if found is None else Verdict(evidence=self.reader.evidence(found), ranked=found.ranked, truth=composed.text)


def judge(model: Model, composer: Composer, numbers: Sequence[int], *, use_directory: bool, jobs: int) -> list[Verdict]:
    """Reads composed strings; those without five digits are left out."""
    reader = Reader(model, use_directory=use_directory)
    found = map_strings(_Judge(reader=reader, composer=composer), numbers, jobs=jobs)
    return [verdict for verdict in found if verdict is not None]


def fit_temperature(verdicts: Sequence[Verdict]) -> float:
    """The temperature at which the shares of the competing strings have the least log loss."""
    known = [(one.ranked, place) for one in verdicts for place, other in enumerate(one.ranked) if other.text == one.truth]

    def loss(temperature: float) -> float:
        return float(-np.mean([np.log(max(posterior(ranked, temperature)[place], 1e-9)) for ranked, place in known]))

    return float(minimize_scalar(loss, bounds=(0.3, 5.0), method="bounded").x)


def fit_confidence(verdicts: Sequence[Verdict]) -> Floats:
    """Weights and bias of the logistic model of a right ZIP: (F + 1,) float32."""
    seen = np.stack([one.evidence for one in verdicts])
    weights, bias = fit_logistic(seen, np.array([one.is_right for one in verdicts]), strength=EVIDENCE_STRENGTH)
    return np.append(weights, np.float32(bias))


def confidences(verdicts: Sequence[Verdict], fitted: Floats) -> NDArray[np.float64]:
    """Probabilities of being right: (N,)."""
    odds = np.stack([one.evidence for one in verdicts]).astype(np.float64) @ fitted[:-1] + fitted[-1]
    return np.asarray(1 / (1 + np.exp(-odds)))


def choose_threshold(confidence: NDArray[np.float64], right: NDArray[np.bool_], error: float = ACCEPTED_ERROR) -> float:
    """The lowest confidence above which at most this share is wrong, in steps of 0.0001 as the CSV shows it."""
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(~right[order])
    fine = np.flatnonzero(wrong <= error * np.arange(1, len(order) + 1))
    return float(np.ceil(confidence[order][fine[-1]] * 1e4) / 1e4) if len(fine) else 1.0


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
    for name, use_directory in (("confidence_unlisted", False), ("confidence_listed", True)):
        verdicts = []
        for fold, composer in zip(fitted, composers, strict=True):
            model = Model(
                arrays={**fold, "temperature": np.array(1.0), "confidence_listed": blank, "confidence_unlisted": blank}, passport={}
            )
            verdicts += judge(model, composer, range(count), use_directory=use_directory, jobs=jobs)
        right = np.array([one.is_right for one in verdicts])
        arrays[name] = fit_confidence(verdicts)
        arrays["temperature"] = np.array(fit_temperature(verdicts))
        facts[f"{name}_exact"] = round(float(right.sum() / (count * len(fitted))), 4)
        facts["min_confidence"] = choose_threshold(confidences(verdicts, arrays[name]), right)
    return arrays, facts
