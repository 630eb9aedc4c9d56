"""How sure one may be of a ZIP: the directory's weight, the strings that compete, and a logistic model over what was seen on the way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Self

import numpy as np

from zipocr.decode.strings import Candidate
from zipocr.types import ZIP_LENGTH, Floats, Lattice, Model

# 98 in 100 ZIPs written on mail are listed; 42,789 of all strings of five digits are in the packaged directory.
LISTED_SHARE = 0.98
LISTED_COUNT = 42_789
STRINGS = 10**ZIP_LENGTH
CLEAR = 12.0
# How many figures `evidence` gives.
EVIDENCE = 18


def listed_weight(count: int) -> float:
    """What being on a list of so many ZIPs (1 or more) is worth, in nats: log [P(string | listed mail) / P(string | other)].

    A list of nearly all strings says nothing, and never speaks against what it holds.
    """
    if count >= LISTED_SHARE * STRINGS:
        return 0.0
    return float(np.log(LISTED_SHARE / count) - np.log((1 - LISTED_SHARE) / (STRINGS - count)))


LISTED_WEIGHT = listed_weight(LISTED_COUNT)


def rank(candidates: Sequence[Candidate], is_listed: Callable[[str], bool] | None, weight: float = LISTED_WEIGHT) -> tuple[Candidate, ...]:
    """Adds the directory's weight, in nats, to strings whose first five digits are listed and sorts anew, best first.

    Without a directory nothing changes.
    """
    if is_listed is None:
        return tuple(candidates)
    weighed = [one.raised(weight * is_listed(one.text[:ZIP_LENGTH])) for one in candidates]
    return tuple(sorted(weighed, key=lambda one: (-one.score, one.text)))


def posterior(candidates: Sequence[Candidate], temperature: float) -> list[float]:
    """Share of each string in the tempered sum over all."""
    # A dozen plain numbers, here and below: arrays take several times as long.
    top = max(one.score for one in candidates)
    weights = [exp((one.score - top) / temperature) for one in candidates]
    total = sum(weights)
    return [weight / total for weight in weights]


def odds_of_best(candidates: Sequence[Candidate]) -> float:
    """Share of the first string in the sum over all, as log odds."""
    share = posterior(candidates, 1.0)[0]
    return log(max(share, 1e-6)) - log(max(1 - share, 1e-6))


def share_out(candidates: Sequence[Candidate], confidence: float, temperature: float) -> list[float]:
    """Probabilities of the strings: `confidence` for the best, the rest dealt among the others by tempered score."""
    if len(candidates) == 1:
        return [confidence]
    return [confidence, *((1 - confidence) * share for share in posterior(candidates[1:], temperature))]


def digit_shares(candidates: Sequence[Candidate], shares: Sequence[float]) -> list[list[float]]:
    """Sum of the shares of the strings that have each digit at each place of the best string: 5 or 9 rows of 10."""
    table = [[0.0] * 10 for _ in candidates[0].text]
    for one, share in zip(candidates, shares, strict=True):
        for row, digit in zip(table, one.text, strict=False):
            row[int(digit)] += share
    return table


def evidence(ranked: Sequence[Candidate], unranked: Sequence[Candidate], lattice: Lattice, gains: Floats) -> Floats:
    """What speaks for and against the best string.

    Parameters
    ----------
    ranked : sequence of Candidate
        With the directory's weight, best first.
    unranked : sequence of Candidate
        Without it, best first.
    lattice : Lattice
    gains : (E, 10) float32
        Log probability that a region is one whole digit, and this one.

    Returns
    -------
    (F,) float32
        Margins in nats, the weakest digit, the ink left out or cut through, how unlike the heights are.
        Sums over digits are brought to five digits, so that nine are not taken for a bad five.
    """
    best = ranked[0]
    plain = {one.text: one.score for one in unranked}
    own = np.sort([gains[edge, int(digit)] for edge, digit in zip(best.edges, best.text, strict=True)])
    shape = lattice.geometry[list(best.edges)]
    scale = ZIP_LENGTH / len(own)
    return np.concatenate(
        [
            _lead(ranked, [score for text, score in plain.items() if text != best.text], plain[best.text]),
            [max(own.sum() * scale, -30), max(own[0], -10), max(own[0], -2), own[1]],
            _left_out(float(own.sum()) + best.prior - plain[best.text]),
            _unevenness(shape, scale),
            [best.text != unranked[0].text],
        ]
    ).astype(np.float32)


def _lead(ranked: Sequence[Candidate], rivals: Sequence[float], own: float) -> list[float]:
    """How far the best string is ahead: its share as log odds, and margins with and without the directory, whole and near zero."""
    odds = odds_of_best(ranked)
    margin = ranked[0].score - ranked[1].score if len(ranked) > 1 else CLEAR
    bare = own - max(rivals) if rivals else CLEAR
    return [odds, min(odds, 3.0), min(margin, CLEAR), min(margin, 2.0), float(np.clip(bare, -6, CLEAR)), min(bare, 2.0)]


def _left_out(price: float) -> list[float]:
    """What was paid for ink that no digit explains, and whether anything was."""
    return [float(np.clip(price, 0, 15)), price > 0.2]


def _unevenness(shape: Floats, scale: float) -> list[float]:
    """Ink cut through, and how unlike the regions are in height and place; rows of `zipocr.segment.lattice`'s geometry."""
    cuts = shape[:, 6:8].sum(axis=1)
    return [cuts.sum() * scale, (cuts > 0).sum() * scale, shape[:, 1].std(), shape[:, 5].std(), shape[:, 8:10].max()]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConfidenceModel:
    """Logistic model of "all digits are right", fitted on strings of writers that trained nothing else.

    ``weights`` is (F,); ``temperature`` shapes the shares of competing strings.
    """

    temperature: float
    weights: Floats
    bias: float

    @classmethod
    def from_model(cls, model: Model, *, use_directory: bool) -> Self:
        """Unfolds the arrays of a model file: reading with and without a directory are fitted apart."""
        fitted = model.arrays["confidence_listed" if use_directory else "confidence_unlisted"]
        return cls(temperature=float(model.arrays["temperature"]), weights=fitted[:-1], bias=float(fitted[-1]))

    def probability(self, seen: Floats) -> float:
        """Probability from `evidence`: (F,) -> 0 to 1."""
        odds = float((self.weights * seen).sum()) + self.bias
        return 1 / (1 + exp(-min(max(odds, -30.0), 30.0)))
