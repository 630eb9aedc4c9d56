"""Score fusion of the two readers: the line network and the classifier of regions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from typing import Self

import numpy as np

from zipocr.types import ZIP_LENGTH, Floats, Model

# Maximum penalty by one reader, in nats: by the network, and by the classifier for five digits and
# for the weakest digit.
MAX_LINE, MAX_SUM, MAX_WEAKEST = 25.0, 30.0, 12.0
FEATURES = 4
# Maximum number of strings proposed by a segmentation, and maximum loss against its best, in nats.
MAX_PROPOSED, MAX_LOSS = 6, 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A string of five or nine digits, and its scores.

    ``line_score`` is the network's log probability of it; ``regions`` are the indices of its
    regions and ``log_likelihoods`` the classifier's log-likelihoods of its digits there, both empty
    if the string has no regions; ``score`` is its fused log probability up to a constant.
    """

    text: str
    line_score: float
    regions: tuple[int, ...] = ()
    log_likelihoods: tuple[float, ...] = ()
    score: float = 0.0

    def scored(self, score: float) -> "Candidate":
        """Return the string with another score."""
        # Several times as fast as `replace`.
        return Candidate(
            text=self.text,
            line_score=self.line_score,
            regions=self.regions,
            log_likelihoods=self.log_likelihoods,
            score=score,
        )

    @property
    def digits_score(self) -> float:
        """Sum of the log-likelihoods, scaled to five digits so that nine are not worse."""
        if not self.regions:
            return 0.0
        limited = sum(max(one, -MAX_WEAKEST) for one in self.log_likelihoods)
        return max(limited * ZIP_LENGTH / len(self.text), -MAX_SUM)

    @property
    def weakest(self) -> float:
        """Log-likelihood of the digit that fits its region worst."""
        return max(min(self.log_likelihoods, default=0.0), -MAX_WEAKEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fusion:
    """Weights of a conditional logit over the candidate strings of a page.

    They apply to the network's log probability, the classifier's log-likelihoods, their minimum,
    and the absence of regions.
    """

    line: float
    digits: float
    weakest: float
    no_regions: float

    @classmethod
    def from_model(cls, model: Model) -> Self:
        """Load the weights from the arrays of a model file."""
        line, digits, weakest, no_regions = (float(value) for value in model.arrays["fusion"])
        return cls(line=line, digits=digits, weakest=weakest, no_regions=no_regions)

    def rank(self, candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
        """Score candidates without a directory, and sort them, best first."""
        return _sorted([one.scored(self._score(one)) for one in candidates])

    def _score(self, one: Candidate) -> float:
        line, digits, weakest, no_regions = fusion_features(one)
        return (
            self.line * line
            + self.digits * digits
            + self.weakest * weakest
            + self.no_regions * no_regions
        )


def fusion_features(one: Candidate) -> tuple[float, float, float, float]:
    """Return the features that the fusion weighs."""
    return max(one.line_score, -MAX_LINE), one.digits_score, one.weakest, float(not one.regions)


def propose(strings: Sequence[tuple[int, ...]], log_likelihoods: Floats) -> list[str]:
    """Return the strings that fit the regions best, with at most one second choice each.

    Parameters
    ----------
    strings : sequence of tuple of int
        The regions of each segmentation, from left to right.
    log_likelihoods : (E, 10) float32
        The classifier's log-likelihoods of each region.

    Returns
    -------
    list of str
        At most `MAX_PROPOSED` per segmentation, best first.
    """
    ordered = (-log_likelihoods).argsort(axis=1, kind="stable").tolist()
    table = log_likelihoods.tolist()
    found: list[str] = []
    for regions in dict.fromkeys(strings):
        best = [ordered[region][0] for region in regions]
        losses = [
            (table[region][best[place]] - table[region][digit], place, digit)
            for place, region in enumerate(regions)
            for digit in ordered[region][1:]
        ]
        near = sorted(loss for loss in losses if loss[0] < MAX_LOSS)[: MAX_PROPOSED - 1]
        others = [[*best[:place], digit, *best[place + 1 :]] for _, place, digit in near]
        found += ["".join(map(str, digits)) for digits in (best, *others)]
    return found


def to_candidates(
    line_scores: Mapping[str, float],
    strings: Sequence[tuple[int, ...]],
    log_likelihoods: Floats,
) -> list[Candidate]:
    """Combine both readers' scores of strings.

    Parameters
    ----------
    line_scores : mapping of str to float
        The network's log probability of each string.
    strings : sequence of tuple of int
        Segmentations; a string uses the best-fitting one of its length.
    log_likelihoods : (E, 10) float32
        The classifier's log-likelihoods of each region.
    """
    table = log_likelihoods.tolist()
    found = []
    for text, line_score in line_scores.items():
        fits = [
            (
                tuple(
                    table[region][int(digit)] for region, digit in zip(regions, text, strict=True)
                ),
                regions,
            )
            for regions in dict.fromkeys(strings)
            if len(regions) == len(text)
        ]
        best, regions = max(fits, key=lambda fit: sum(fit[0]), default=((), ()))
        found.append(
            Candidate(text=text, line_score=line_score, regions=regions, log_likelihoods=best)
        )
    return found


def posterior(candidates: Sequence[Candidate]) -> list[float]:
    """Return the posterior probability of each string: a softmax of the scores."""
    # For a dozen numbers plain Python is faster than arrays.
    top = max(one.score for one in candidates)
    weights = [exp(one.score - top) for one in candidates]
    total = sum(weights)
    return [weight / total for weight in weights]


def _sorted(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    return tuple(sorted(candidates, key=lambda one: (-one.score, one.text)))


def apply_prior(
    candidates: Sequence[Candidate], listed: Mapping[str, object], weight: float
) -> tuple[Candidate, ...]:
    """Add the directory's log prior to strings whose first five digits are listed; best first."""
    weighed = [
        one.scored(one.score + weight) if one.text[:ZIP_LENGTH] in listed else one
        for one in candidates
    ]
    return _sorted(weighed)


def to_matrix(candidates: Sequence[Candidate]) -> Floats:
    """Return the features of all candidates: (K, FEATURES)."""
    return np.array([fusion_features(one) for one in candidates], np.float32).reshape(-1, FEATURES)
