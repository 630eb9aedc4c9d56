"""Finds the best strings of five or of nine digits in a lattice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from zipocr.types import MOST_DIGITS, ZIP_LENGTH, Box, Floats, Lattice

# Strings kept at each place of the lattice and in the end, digits tried for a region, and how far (in nats) behind the best one may stay.
KEPT = 12
BEAM = 14.0
DIGIT_BEAM = 7.0
# Log odds of nine digits against five before anything is seen: one envelope in twenty is taken to bear a ZIP+4.
PLUS4_ODDS = float(np.log(0.05 / 0.95))
# Nine digits are nearly of one height and keep their distance; the pieces of five broken ones do not. What the shortest lacks to this
# share of the tallest, and what the mean distance of neighbours lacks to this share of it, costs so many nats a unit, up to a limit.
LIKE_HEIGHTS = 0.55
LIKE_PITCH = 0.65
UNLIKE_PRICE = 60.0
UNLIKE_LIMIT = 30.0
# Ink of up to this price, 0.07 squared digit heights, is the dash where one is expected: leaving it out of the digits costs nothing there.
DASH_PRICE = 2.3
# How far a string has come is told by its place in "12345-6789", from 0 to 10: behind the dash, or what stands for it, it can only be nine.
_DASHED = ZIP_LENGTH + 1
_END = MOST_DIGITS + 1
# Ways over the lattice that are no edges, and the (from, to) places between which each way and the edges lead.
_SKIP, _DASH = -1, -2
_DIGIT_STEPS = tuple((here, here + (2 if here == ZIP_LENGTH else 1)) for here in range(_END))
_AFTER_DIGIT = [there for _, there in _DIGIT_STEPS]
_STEPS = {_SKIP: tuple((here, here) for here in range(_END + 1)), _DASH: ((ZIP_LENGTH, _DASHED),)}
# Strings that reach a place of the lattice, each with its score and the edges it took.
Place: TypeAlias = dict[str, tuple[float, tuple[int, ...]]]
# For each cut the ways that end there: (from cut, edge or `_SKIP` or `_DASH`, price).
Incoming: TypeAlias = list[list[tuple[int, int, float]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A string of five or nine digits and the edges (regions) it was read from; ``score`` is its log probability up to a constant.

    ``prior`` is the part of the score that no region and no skip stands for: what nine digits are less likely than five, and what other
    views of the page say.
    """

    text: str
    edges: tuple[int, ...]
    score: float
    prior: float = 0.0

    def raised(self, by: float, *, prior: float = 0.0) -> "Candidate":
        """The same string with a higher score, and with so much more of it in its prior."""
        # What `replace` does takes three times as long, some dozen times a page.
        return Candidate(text=self.text, edges=self.edges, score=self.score + by, prior=self.prior + prior)


def decode(lattice: Lattice, gains: Floats) -> tuple[Candidate, ...]:
    """Finds the best strings of exactly five or exactly nine digits, each with its best segmentation.

    Parameters
    ----------
    lattice : Lattice
    gains : (E, 10) float32
        Log probability that a region is one whole digit, and this one.

    Returns
    -------
    tuple of Candidate
        Best first, at most `KEPT`; empty when neither five nor nine regions follow each other.

    Notes
    -----
    Dynamic programming from the left over (cut, place in "12345-6789"), keeping the best strings of each; what lies between two digits is
    paid for by skips, but for a dash behind the fifth of nine.
    """
    incoming = _incoming(lattice)
    least = _least_worth(lattice.cut_count, incoming, gains.max(axis=1).astype(np.float64))
    if not np.isfinite(least[0][0]):
        return ()
    tops = [_likely(row) for row in gains.astype(np.float64)]
    # held[cut][place] maps a string to (score, edges).
    held: list[list[Place]] = [[{} for _ in range(_END + 1)] for _ in range(lattice.cut_count)]
    held[0][0][""] = (0.0, ())
    for cut in range(1, lattice.cut_count):
        for start, edge, price in incoming[cut]:
            options = tops[edge] if edge >= 0 else [("", -price)]
            for here, there in _STEPS.get(edge, _DIGIT_STEPS):
                if held[start][here]:
                    _extend(held[start][here], held[cut][there], edge, options, worth=least[cut][there])
        held[cut] = [_best(place) if place else place for place in held[cut]]
    return _weigh(lattice, held[-1][ZIP_LENGTH], held[-1][_END])


def spell(lattice: Lattice, gains: Floats, text: str) -> Candidate | None:
    """The best way to see a given string of five or nine digits in a lattice; None where its regions cannot follow each other so."""
    end = ZIP_LENGTH if len(text) == ZIP_LENGTH else _END
    # The digit behind each place of "12345-6789".
    digits = [int(text[here - (here > ZIP_LENGTH)]) for here in range(end)]
    worth = gains[:, digits].astype(np.float64).tolist()
    steps = [(here, there) for here, there in _DIGIT_STEPS if here < end] if end == _END else [(here, here + 1) for here in range(end)]
    held: list[dict[int, tuple[float, tuple[int, ...]]]] = [{} for _ in range(lattice.cut_count)]
    held[0][0] = (0.0, ())
    for cut, ways in enumerate(_incoming(lattice)):
        here_best = held[cut]
        for start, edge, price in ways:
            source = held[start]
            for here, there in steps if edge >= 0 else _STEPS[edge]:
                if here in source and there <= end:
                    score = source[here][0] + (worth[edge][here] if edge >= 0 else -price)
                    if there not in here_best or score > here_best[there][0]:
                        here_best[there] = (score, (*source[here][1], edge) if edge >= 0 else source[here][1])
    if end not in held[-1]:
        return None
    score, edges = held[-1][end]
    prior = PLUS4_ODDS - _unlikeness([lattice.regions[edge].box for edge in edges]) if end == _END else 0.0
    return Candidate(text=text, edges=edges, score=score + prior, prior=prior)


def _weigh(lattice: Lattice, five: Place, nine: Place) -> tuple[Candidate, ...]:
    """Lets strings of five and of nine digits compete."""
    found = [Candidate(text=text, edges=edges, score=score) for text, (score, edges) in five.items()]
    for text, (score, edges) in nine.items():
        prior = PLUS4_ODDS - _unlikeness([lattice.regions[edge].box for edge in edges])
        found.append(Candidate(text=text, edges=edges, score=score + prior, prior=prior))
    return tuple(sorted(found, key=lambda one: (-one.score, one.text))[:KEPT])


def _unlikeness(boxes: Sequence[Box]) -> float:
    """What it costs, in nats, that regions are not as the digits of one line are."""
    tallest = max(box.height for box in boxes)
    shortest = min(box.height for box in boxes)
    first, last = boxes[0], boxes[-1]
    pitch = (last.left + last.right - first.left - first.right) / 2 / (len(boxes) - 1)
    lacking = max(0.0, LIKE_HEIGHTS - shortest / tallest) + max(0.0, LIKE_PITCH - pitch / tallest)
    return min(UNLIKE_PRICE * lacking, UNLIKE_LIMIT)


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
    found = list(place.items())
    if len(found) > KEPT:
        # Floats alone are sorted many times faster than by a key, and there may be thousands.
        least = sorted((score for score, _ in place.values()), reverse=True)[KEPT - 1]
        found = [item for item in found if item[1][0] >= least]
    return dict(sorted(found, key=lambda item: (-item[1][0], item[0]))[:KEPT])


def _incoming(lattice: Lattice) -> Incoming:
    """The ways to each cut; what is no larger than a dash may be skipped, or be the dash."""
    incoming: Incoming = [[] for _ in range(lattice.cut_count)]
    for edge, (start, end) in enumerate(zip(lattice.starts.tolist(), lattice.ends.tolist(), strict=True)):
        incoming[end].append((start, edge, 0.0))
    for start, end, price in lattice.skips.tolist():
        incoming[int(end)].append((int(start), _SKIP, price))
        if price <= DASH_PRICE:
            incoming[int(end)].append((int(start), _DASH, 0.0))
    return incoming


def _least_worth(cut_count: int, incoming: Incoming, gains: NDArray[np.float64]) -> list[list[float]]:
    """The score from which a string at each (cut, place in "12345-6789") can still win, inf where none can.

    Nine digits compete with the best of all strings; five also win where nine turn out to be too unlike each other.
    """
    ahead = _best_ahead(cut_count, incoming, gains)
    five, nine = ahead[0, :, 0]
    if not np.isfinite(max(five, nine)):
        return [[np.inf]]
    least = np.array([max(five, nine - UNLIKE_LIMIT), max(five, nine)]) - BEAM
    worth: list[list[float]] = (least[:, None] - ahead).min(axis=1).tolist()
    return worth


def _best_ahead(cut_count: int, incoming: Incoming, gains: NDArray[np.float64]) -> NDArray[np.float64]:
    """Score of the best way from each (cut, five or nine digits to be read, place in "12345-6789") to the end: (C, 2, 11), or -inf."""
    ahead = np.full((cut_count, 2, _END + 1), -np.inf)
    ahead[-1, [0, 1], [ZIP_LENGTH, _END]] = 0, PLUS4_ODDS
    for end in range(cut_count - 1, 0, -1):
        # Every cut that leads here comes before it, and everything ahead of here is known.
        after_digit = ahead[end][:, _AFTER_DIGIT]
        for start, edge, price in incoming[end]:
            if edge >= 0:
                np.maximum(ahead[start, :, :-1], after_digit + gains[edge], out=ahead[start, :, :-1])
            elif edge == _SKIP:
                np.maximum(ahead[start], ahead[end] - price, out=ahead[start])
            else:
                ahead[start, 1, ZIP_LENGTH] = max(ahead[start, 1, ZIP_LENGTH], ahead[end, 1, _DASHED])
    return ahead


def _likely(scores: NDArray[np.float64]) -> list[tuple[str, float]]:
    """Digits of one region within the beam, as (digit, log probability), likeliest first."""
    order, worth = np.argsort(-scores, kind="stable").tolist(), scores.tolist()
    least = worth[order[0]] - DIGIT_BEAM
    return [(str(digit), worth[digit]) for digit in order if worth[digit] > least]
