"""Finds the best strings of five digits in a lattice, and how sure one may be of them."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from zipocr.types import ZIP_LENGTH, Floats, Lattice

# Strings kept at each place of the lattice and in the end, digits tried for a region, and how far (in nats) behind the best one may stay.
KEPT = 12
BEAM = 14.0
DIGIT_BEAM = 7.0
# Strings that reach a place of the lattice, each with its score and the edges it took.
Place: TypeAlias = dict[str, tuple[float, tuple[int, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A string and the edges (regions) it was read from; ``score`` is its log probability up to a constant."""

    text: str
    edges: tuple[int, ...]
    score: float


def decode(lattice: Lattice, gains: Floats) -> tuple[Candidate, ...]:
    """Finds the best strings of exactly five digits, each with its best segmentation.

    Parameters
    ----------
    lattice : Lattice
    gains : (E, 10) float32
        Log probability that a region is one whole digit, and this one.

    Returns
    -------
    tuple of Candidate
        Best first, at most `KEPT`; empty when no five regions follow each other.

    Notes
    -----
    Dynamic programming from the left over (cut, digits so far), keeping the best strings of each; what lies between two digits is paid
    for by skips.
    """
    incoming = _incoming(lattice)
    ahead = _best_ahead(lattice, gains.max(axis=1).astype(np.float64))
    goal = ahead[0, 0] - BEAM
    if not np.isfinite(goal):
        return ()
    tops = [_likely(row) for row in gains.astype(np.float64)]
    # held[cut][count] maps a string to (score, edges).
    held: list[list[Place]] = [[{} for _ in range(ZIP_LENGTH + 1)] for _ in range(lattice.cut_count)]
    held[0][0][""] = (0.0, ())
    for cut in range(1, lattice.cut_count):
        for start, edge, price in incoming[cut]:
            step = int(edge >= 0)
            options = tops[edge] if step else [("", -price)]
            for count in range(ZIP_LENGTH + 1 - step):
                _extend(held[start][count], held[cut][count + step], edge, options, worth=goal - float(ahead[cut, count + step]))
        for count in range(ZIP_LENGTH + 1):
            held[cut][count] = _best(held[cut][count])
    final = held[-1][ZIP_LENGTH]
    return tuple(Candidate(text=text, edges=edges, score=score) for text, (score, edges) in final.items())


def _extend(source: Place, target: Place, edge: int, options: list[tuple[str, float]], *, worth: float) -> None:
    """Carries strings over an edge, with each of its digits, as far as they can still win and were not read better there."""
    for text, (score, edges) in source.items():
        if score + options[0][1] < worth:
            break  # strings are held best first, and so are digits
        taken = (*edges, edge) if edge >= 0 else edges
        for digit, gain in options:
            longer, total = text + digit, score + gain
            if total >= worth and (longer not in target or total > target[longer][0]):
                target[longer] = (total, taken)


def _best(place: Place) -> Place:
    """The `KEPT` best strings of a place, best first; equal scores in the order of the strings."""
    return dict(sorted(place.items(), key=lambda item: (-item[1][0], item[0]))[:KEPT])


def _incoming(lattice: Lattice) -> list[list[tuple[int, int, float]]]:
    """For each cut the (start, edge, price) that end there; edge -1 is a skip."""
    incoming: list[list[tuple[int, int, float]]] = [[] for _ in range(lattice.cut_count)]
    for edge, (start, end) in enumerate(zip(lattice.starts.tolist(), lattice.ends.tolist(), strict=True)):
        incoming[end].append((start, edge, 0.0))
    for start, end, price in lattice.skips.tolist():
        incoming[int(end)].append((int(start), -1, price))
    return incoming


def _best_ahead(lattice: Lattice, gains: NDArray[np.float64]) -> NDArray[np.float64]:
    """Score of the best way from each (cut, digits so far) to the end: (C, 6), -inf where there is none."""
    ahead = np.full((lattice.cut_count, ZIP_LENGTH + 1), -np.inf)
    ahead[-1, ZIP_LENGTH] = 0
    outgoing: list[list[tuple[int, int, float]]] = [[] for _ in range(lattice.cut_count)]
    for end, arrivals in enumerate(_incoming(lattice)):
        for start, edge, price in arrivals:
            outgoing[start].append((end, edge, price))
    for cut in range(lattice.cut_count - 2, -1, -1):
        for end, edge, price in outgoing[cut]:
            if edge >= 0:
                np.maximum(ahead[cut, :-1], ahead[end, 1:] + gains[edge], out=ahead[cut, :-1])
            else:
                np.maximum(ahead[cut], ahead[end] - price, out=ahead[cut])
    return ahead


def _likely(scores: NDArray[np.float64]) -> list[tuple[str, float]]:
    """Digits of one region within the beam, as (digit, log probability), likeliest first."""
    order = np.argsort(-scores, kind="stable")
    return [(str(digit), float(scores[digit])) for digit in order if scores[digit] > scores[order[0]] - DIGIT_BEAM]
