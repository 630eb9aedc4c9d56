"""Fits how much the network's word counts beside the lattices', and how sure both together may be, on strings of held-out writers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from zipocr.reader import Reader
from zipocr.training.compose import Composer
from zipocr.training.gather import map_strings
from zipocr.types import Model

# Where the search begins: the network's weight, the temperature.
_START = (0.5, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ballot:
    """The strings that were weighed for one page: what lattices and network say of each, (K,) nats, and the place of the right one."""

    in_lattice: NDArray[np.float64]
    in_line: NDArray[np.float64]
    right: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ballots:
    """Reads one string of a composer."""

    reader: Reader
    composer: Composer

    def __call__(self, number: int) -> Ballot | None:
        composed = self.composer.nth(number)
        found = self.reader.pool(self.reader.see(self.reader.open(composed.image)))
        if found is None or found.view.is_glance or composed.text not in found.pooled.in_lattice:
            return None
        texts = sorted(found.pooled.in_lattice)
        in_lattice = np.array([found.pooled.in_lattice[text] for text in texts])
        in_line = np.array([found.pooled.in_line.get(text, 0.0) for text in texts])
        return Ballot(in_lattice=in_lattice, in_line=in_line, right=texts.index(composed.text))


def cast_ballots(model: Model, composer: Composer, numbers: Sequence[int], *, jobs: int) -> list[Ballot]:
    """Reads composed strings without a directory; left out are those for which a glance is enough, or that were not even considered."""
    work = _Ballots(reader=Reader(model, use_directory=False), composer=composer)
    return [ballot for ballot in map_strings(work, numbers, jobs=jobs) if ballot is not None]


def fit_weights(ballots: Sequence[Ballot]) -> tuple[float, float]:
    """The network's weight, and the temperature of the sum, under which the right strings have the least log loss.

    The network's weight is 0 where no network took part.
    """
    has_line = any(ballot.in_line.any() for ballot in ballots)

    def loss(point: NDArray[np.float64]) -> float:
        weight, temperature = (float(point[0]), float(point[1])) if has_line else (0.0, float(point[1]))
        total = 0.0
        for ballot in ballots:
            scores = (ballot.in_lattice + weight * ballot.in_line) / temperature
            total += float(np.logaddexp.reduce(scores) - scores[ballot.right])
        return total / max(len(ballots), 1)

    found = minimize(loss, np.array(_START), method="Nelder-Mead", bounds=[(0.0, 10.0), (0.3, 20.0)], options={"xatol": 1e-3})
    return (float(found.x[0]) if has_line else 0.0), float(found.x[1])
