"""Fits how much the network's word counts beside the lattices', and how sure both together may be, on strings of held-out writers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from zipocr.looking import NEVER
from zipocr.reader import Reader
from zipocr.shares import upper_bound
from zipocr.training.compose import Composer
from zipocr.training.gather import map_strings
from zipocr.types import Model

# Where the search begins: the network's weight, the temperature.
_START = (0.5, 2.0)
# Shares of all strings from which a glance at the likeliest may be enough, at first and at the second; and how many of those read so may be
# wrong, at the upper bound.
SURENESSES, TWICE = (0.97, 0.98, 0.99, 0.995, 0.998, 0.999), 0.95
ALLOWED = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """How sure the network is of the likeliest string at a glance, whether it is right, and what is."""

    sureness: float
    is_right: bool
    truth: str


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Glances:
    """Takes two glances at one string of a composer, once for all readers."""

    readers: Sequence[Reader]
    composer: Composer

    def __call__(self, number: int) -> list[tuple[Glance, Glance]]:
        composed = self.composer.nth(number)
        opened = self.readers[0].open(composed.image)
        lines = opened.line, self.readers[0].again(opened).line
        found = [[("", 0.0) if line is None else reader.likeliest(line) for line in lines] for reader in self.readers]
        first, second = (
            [Glance(sureness=sureness, is_right=text == composed.text, truth=composed.text) for text, sureness in each]
            for each in zip(*found, strict=True)
        )
        return list(zip(first, second, strict=True))


def take_glances(
    model: Model, composer: Composer, numbers: Sequence[int], *, jobs: int
) -> tuple[list[tuple[Glance, Glance]], list[tuple[Glance, Glance]]]:
    """What the network makes of each string at a first and at a second glance, with the directory and without."""
    readers = [Reader(model, use_directory=use_directory) for use_directory in (True, False)]
    found = map_strings(_Glances(readers=readers, composer=composer), numbers, jobs=jobs)
    return [listed for listed, _ in found], [unlisted for _, unlisted in found]


def least_surenesses(glances: Sequence[tuple[Glance, Glance]]) -> tuple[float, float]:
    """The lowest of `SURENESSES` from which hardly anything is wrong at a first glance, and then at a second one; `NEVER` where none is.

    To look on mends nothing there: of 1,500 composed strings ``mail`` reads 0.924 right without a directory if 0.97 is enough, and 0.923 if
    0.98 is. Below 0.97 it mends little as well, but tells right from wrong: with 0.95 the share of `tests/strings` that could be accepted
    with one wrong in a hundred would be 0.752 instead of 0.889. Two glances together are right oftener: of 238 pages of `dev` of which they
    are more than 0.95 sure none is read otherwise from its regions.
    """
    first = _least_sureness([one for one, _ in glances], (), SURENESSES)
    settled = [one for one, _ in glances if one.sureness >= first]
    others = [two for one, two in glances if one.sureness < first]
    return first, _least_sureness(others, settled, (TWICE, *SURENESSES)) if settled else NEVER


def _least_sureness(glances: Sequence[Glance], settled: Sequence[Glance], surenesses: Sequence[float]) -> float:
    for least in surenesses:
        wrong = np.array([not one.is_right for one in (*settled, *(one for one in glances if one.sureness >= least))])
        if len(wrong) and upper_bound(np.array([wrong.sum()]), np.array([len(wrong)]))[0] <= ALLOWED:
            return least
    return NEVER
