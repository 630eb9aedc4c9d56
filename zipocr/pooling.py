"""Puts together what several views of a page say of its string: what their lattices spell, and what the network reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zipocr.decode.strings import Candidate, spell
from zipocr.prepare import Inked, Segmentation, unsegmented
from zipocr.sequence.reading import LineReading
from zipocr.types import Floats

# How much a string's distance from the best one in another view counts, and the distance in nats of one that is not seen there.
SUPPORT = 0.3
UNSEEN = 8.0
_NO_BITMAPS, _NO_GAINS = np.zeros((0, 32, 32), np.uint8), np.zeros((0, 10), np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """A page seen through one binarization: its regions as bitmaps, their scores, the strings they spell, and what the network reads.

    Strings stand best first, without the directory's weight. ``line`` is None where no network takes part. A glance has the network's
    strings alone, and no regions.
    """

    seen: Segmentation
    bitmaps: NDArray[np.uint8]
    gains: Floats
    candidates: tuple[Candidate, ...]
    line: LineReading | None = None

    @property
    def is_glance(self) -> bool:
        """Whether the network was sure enough for nobody to look at regions."""
        return bool(self.candidates) and not self.candidates[0].edges


def bare_view(seen: Segmentation, line: LineReading | None, candidates: tuple[Candidate, ...] = ()) -> View:
    """A view without regions."""
    return View(seen=seen, bitmaps=_NO_BITMAPS, gains=_NO_GAINS, candidates=candidates, line=line)


def glimpse(inked: Inked, line: LineReading) -> View:
    """What the network alone reads on a page."""
    return bare_view(unsegmented(inked), line, tuple(Candidate(text=text, edges=(), score=0.0) for text in line.strings))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pooled:
    """The strings of all views together, best first, the view in which each was seen, and the parts of their scores, in nats.

    ``in_lattice`` is what the lattices say of a string, ``in_line`` the network's log probability of it, empty where there is no network.
    """

    strings: tuple[Candidate, ...]
    views: Mapping[str, View]
    in_lattice: Mapping[str, float]
    in_line: Mapping[str, float]

    @property
    def lead(self) -> float:
        """How far the best string is ahead of the next one, in nats."""
        return self.strings[0].score - self.strings[1].score if len(self.strings) > 1 else float("inf")


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
    read = [line.log_probabilities(list(best)) for line in lines]
    in_line = {text: sum(own) / len(own) for text, *own in zip(best, *read, strict=True) if own}
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


def _standing(view: View) -> dict[str, float]:
    """How far each string is behind the best one of its view: 0 or less."""
    return {one.text: one.score - view.candidates[0].score for one in view.candidates}


def _supported(one: Candidate, support: float) -> Candidate:
    """A string with what others say of it: no region and no skip stands for that."""
    return one.raised(support, prior=support)
