"""Puts together what several views of a page say of its string: what their lattices spell, and what the network reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from zipocr.decode.strings import Candidate, spell
from zipocr.prepare import Segmentation
from zipocr.sequence.reading import LineReading
from zipocr.sequence.strings import log_probabilities
from zipocr.types import Floats

# How much a string's distance from the best one in another view counts, and the distance in nats of one that is not seen there.
SUPPORT = 0.3
UNSEEN = 8.0
LINE_EVIDENCE = 9
MOST_LEAD = 12.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """A page seen through one binarization: its regions as bitmaps, their scores, the strings they spell, and what the network reads.

    Strings stand best first, without the directory's weight. ``line`` is None where no network takes part.
    """

    seen: Segmentation
    bitmaps: NDArray[np.uint8]
    gains: Floats
    candidates: tuple[Candidate, ...]
    line: LineReading | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pooled:
    """The strings of all views together, best first, the view in which each was seen, and the parts of their scores, in nats.

    ``in_lattice`` is what the lattices say of a string, ``in_line`` the network's log probability of it, empty where there is no network.
    """

    strings: tuple[Candidate, ...]
    views: Mapping[str, View]
    in_lattice: Mapping[str, float]
    in_line: Mapping[str, float]


def pool(views: Sequence[View], *, support: float, line_weight: float) -> Pooled | None:
    """Puts the strings of several views together, each from the view that scores it best; None when there are none.

    A string that does badly in another view loses by that, at most as one that is not seen there at all. To what the lattices say the
    network's log probability is added, times `line_weight`.
    """
    best = _seen_best(views)
    if not best:
        return None
    standings = [(view, _standing(view)) for view in views if view.candidates]
    agreed = {
        text: _supported(one, support * sum(max(seen.get(text, -UNSEEN), -UNSEEN) for view, seen in standings if view is not own))
        for text, (one, own) in best.items()
    }
    lines = [view.line for view in views if view.line is not None]
    read = np.mean([log_probabilities(line.frames, list(best)) for line in lines], axis=0).tolist() if lines else []
    in_line = dict(zip(best, read, strict=False))
    scored = [_supported(one, line_weight * in_line.get(text, 0.0)) for text, one in agreed.items()]
    return Pooled(
        strings=tuple(sorted(scored, key=lambda one: (-one.score, one.text))),
        views={text: view for text, (_, view) in best.items()},
        in_lattice={text: one.score for text, one in agreed.items()},
        in_line=in_line,
    )


def _seen_best(views: Sequence[View]) -> dict[str, tuple[Candidate, View]]:
    """Each string with the view that scores it best: those that lattices spell best, and those that the network reads."""
    best: dict[str, tuple[Candidate, View]] = {}
    read = {text for view in views if view.line is not None for text in view.line.strings}
    for view in views:
        spelt = {one.text for one in view.candidates}
        also = (spell(view.seen.lattice, view.gains, text) for text in sorted(read - spelt))
        for one in (*view.candidates, *(one for one in also if one is not None)):
            if one.text not in best or one.score > best[one.text][0].score:
                best[one.text] = one, view
    return best


def line_evidence(text: str, pooled: Pooled, line: LineReading | None) -> Floats:
    """What the network has to say for and against a string.

    Parameters
    ----------
    text : str
        The best string.
    pooled : Pooled
    line : LineReading or None
        Of the view in which it was seen; None where the network was not asked.

    Returns
    -------
    (9,) float32
        Its probability and how far it is ahead of any other string, whether the line is a ZIP at all, and how far the lattices and the
        network each prefer another string.
    """
    if line is None:
        return np.zeros(LINE_EVIDENCE, np.float32)
    own = pooled.in_line[text]
    others = [score for other, score in pooled.in_line.items() if other != text]
    lead = min(own - max(others), MOST_LEAD) if others else MOST_LEAD
    odds = own - np.log(-np.expm1(min(own, -1e-5)))
    shaped = float(np.clip(line.shaped, 1e-5, 1 - 1e-5))
    shape = np.log(shaped) - np.log1p(-shaped)
    rivals = [score for other, score in pooled.in_lattice.items() if other != text]
    ahead = float(np.clip(pooled.in_lattice[text] - max(rivals), -MOST_LEAD, MOST_LEAD)) if rivals else MOST_LEAD
    each = [max(odds, -MOST_LEAD), max(lead, -MOST_LEAD), shape, ahead]
    return np.array([*each, *(min(one, 1.5) for one in each), lead < 0], np.float32)


def _standing(view: View) -> dict[str, float]:
    """How far each string is behind the best one of its view: 0 or less."""
    return {one.text: one.score - view.candidates[0].score for one in view.candidates}


def _supported(one: Candidate, support: float) -> Candidate:
    return replace(one, score=one.score + support, prior=one.prior + support)
