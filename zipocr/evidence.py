"""What the network has to say for and against a string, beside what its regions say (see `zipocr.decode.confidence.evidence`)."""

from collections.abc import Mapping, Sequence
from math import expm1, inf, log, log1p

import numpy as np

from zipocr.decode.confidence import odds_of_best
from zipocr.decode.strings import Candidate
from zipocr.pooling import Pooled
from zipocr.sequence.reading import LineReading
from zipocr.types import Floats

LINE_EVIDENCE, GLANCE_EVIDENCE = 9, 10
MOST_LEAD, MOST_GLANCE_LEAD = 12.0, 6.0
# Beyond these odds one may be less sure than the network is.
_SURE_ODDS = 5.0


def line_evidence(text: str, pooled: Pooled, line: LineReading | None) -> Floats:
    """What the network has to say for and against a string that was read from regions.

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
    own, lead, ahead = pooled.in_line[text], _lead(text, pooled.in_line, MOST_LEAD), _lead(text, pooled.in_lattice, MOST_LEAD)
    each = [max(_odds(own), -MOST_LEAD), lead, _shape(line), ahead]
    return np.array([*each, *(min(one, 1.5) for one in each), lead < 0], np.float32)


def glance_evidence(ranked: Sequence[Candidate], pooled: Pooled, line: LineReading) -> Floats:
    """What speaks for and against a string that the network alone has read.

    Parameters
    ----------
    ranked : sequence of Candidate
        With the directory's weight, best first.
    pooled : Pooled
    line : LineReading

    Returns
    -------
    (10,) float32
        That it was a glance, the string's share as log odds, its probability, whether the line is a ZIP at all, whether the directory
        chose, how far it is ahead of any other string; and that it was a second glance, and the probability then.
    """
    text = ranked[0].text
    own = max(_odds(pooled.in_line[text]), -MOST_LEAD)
    lead = _lead(text, pooled.in_line, MOST_GLANCE_LEAD)
    chosen = text != pooled.strings[0].text
    twice = [1, own] if line.is_twice else [0, 0]
    return np.array([1, odds_of_best(ranked), own, min(own, _SURE_ODDS), _shape(line), chosen, lead, min(lead, 2.0), *twice], np.float32)


def _lead(text: str, scores: Mapping[str, float], most: float) -> float:
    """How far a string is ahead of any other, in nats: between `most` behind and as far ahead, which it is where there is no other."""
    others = [score for other, score in scores.items() if other != text]
    return min(max(scores[text] - max(others, default=-inf), -most), most)


def _odds(log_probability: float) -> float:
    """Log odds of a probability below 1 by its logarithm."""
    return log_probability - log(-expm1(min(log_probability, -1e-5)))


def _shape(line: LineReading) -> float:
    """Log odds that a line holds five or nine digits at all."""
    shaped = min(max(line.shaped, 1e-5), 1 - 1e-5)
    return log(shaped) - log1p(-shaped)
