"""Refit the last layer of a line network to a few lines whose text is known.

The loss is that of connectionist temporal classification: Graves, Fernández, Gomez and Schmidhuber,
ICML (2006). It sums over all ways to spread a text over the frames of a line, so nobody has to say
where a digit stands.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from zipocr.line.network import BLANK, FIRST_DIGIT, OTHER
from zipocr.types import Floats

MAX_STEPS = 100
# Stands for the logarithm of nothing: far below what any line comes to, and no -inf, whose
# differences are no numbers.
_NEVER = -1e30


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lines:
    """Lines side by side, padded with blank frames and unreachable states.

    ``frames`` is ``(M, F) float64``, the frames of all lines one after the other, and ``line``,
    ``frame`` ``(M,)`` say whose they are. ``states`` is ``(N, S)``: the classes of a text with
    blanks around each, as the states that a way goes through. ``skips`` is ``(N, S) bool``, True
    where a way may leave out the blank before a state; ``lasts`` ``(N,)`` are the states where the
    texts end.
    """

    frames: NDArray[np.float64]
    line: NDArray[np.intp]
    frame: NDArray[np.intp]
    states: NDArray[np.intp]
    skips: NDArray[np.bool_]
    lasts: NDArray[np.intp]

    @classmethod
    def of(cls, features: Sequence[Floats], texts: Sequence[str]) -> Self:
        """Sets lines side by side: for each its ``(T, F)`` features and its text.

        Raises
        ------
        ValueError
            If a line has fewer frames than its text takes.
        """
        classes = [to_classes(text) for text in texts]
        for seen, wanted in zip(features, classes, strict=True):
            if len(seen) < len(wanted) + int((wanted[1:] == wanted[:-1]).sum()):
                message = f"{len(wanted)} characters do not fit into {len(seen)} frames"
                raise ValueError(message)
        states = np.full((len(classes), 2 * max(map(len, classes)) + 1), BLANK)
        for row, wanted in zip(states, classes, strict=True):
            row[1 : 2 * len(wanted) : 2] = wanted
        skips = np.zeros(states.shape, bool)
        skips[:, 2:] = (states[:, 2:] != BLANK) & (states[:, 2:] != states[:, :-2])
        lengths = [len(seen) for seen in features]
        return cls(
            frames=np.concatenate(features).astype(np.float64),
            line=np.repeat(np.arange(len(lengths)), lengths),
            frame=np.concatenate([np.arange(length) for length in lengths]),
            states=states,
            skips=skips,
            lasts=np.array([2 * len(wanted) for wanted in classes]),
        )


def to_classes(text: str) -> NDArray[np.intp]:
    """Gives the classes of a text: digits have their own, everything else is `OTHER`.

    Examples
    --------
    >>> to_classes("02-8").tolist()
    [1, 3, 11, 9]
    """
    return np.array(
        [FIRST_DIGIT + int(letter) if letter in "0123456789" else OTHER for letter in text], np.intp
    )


def refit_output(
    features: list[Floats], texts: list[str], weights: Floats, bias: Floats, pull: float
) -> tuple[Floats, Floats]:
    """Refits weights and biases to lines.

    Parameters
    ----------
    features : list of (T, F) float32
        What the last layer sees of each line, a row for each frame; at least one line.
    texts : list of str
        What stands on each, one character or more.
    weights : (12, F) float32
        As they are: of the blank, the digits 0 to 9, and anything else.
    bias : (12,) float32
    pull : float
        How strongly they are pulled to where they are, above 0: what a squared change of 1 costs,
        in nats a line.

    Returns
    -------
    weights : (12, F) float32
    bias : (12,) float32

    Raises
    ------
    ValueError
        If a line has fewer frames than its text takes.
    """
    lines = Lines.of(features, texts)
    start = np.column_stack([weights, bias]).astype(np.float64)

    def cost(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        layer = point.reshape(start.shape)
        loss, slope = line_loss(lines, layer)
        return loss + pull / 2 * float(((layer - start) ** 2).sum()), (
            slope + pull * (layer - start)
        ).ravel()

    found = minimize(
        cost, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": MAX_STEPS}
    )
    layer = found.x.reshape(start.shape).astype(np.float32)
    return np.ascontiguousarray(layer[:, :-1]), np.ascontiguousarray(layer[:, -1])


def line_loss(lines: Lines, layer: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Mean of what the texts cost, in nats a line, and its slope in a layer.

    Weights and, in the last column, bias, (12, F + 1).
    """
    scores = log_softmax(lines.frames @ layer[:, :-1].T + layer[:, -1], axis=1)
    costs, shares = spread(lines, scores)
    astray = (np.exp(scores) - shares) / len(costs)
    return float(costs.mean()), np.column_stack([astray.T @ lines.frames, astray.sum(axis=0)])


def spread(
    lines: Lines, scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Spreads each text over the frames of its line in all possible ways.

    Parameters
    ----------
    lines : Lines
    scores : (M, 12) float64
        Log probabilities of the classes in each frame.

    Returns
    -------
    costs : (N,) float64
        What each text costs, in nats.
    shares : (M, 12) float64
        How likely each frame is each class, given the texts.
    """
    emitted = _emitted(lines, scores)
    ahead = _forward(emitted, lines.skips)
    # Read from its end, a text is a text: a blank is left out before a state there where it is left
    # out behind it here.
    turned = np.zeros_like(lines.skips)
    turned[:, 2:] = lines.skips[:, :1:-1]
    behind = _forward(emitted[::-1, :, ::-1], turned, lines.states.shape[1] - 1 - lines.lasts)[
        ::-1, :, ::-1
    ]
    rows = np.arange(len(lines.lasts))
    totals = np.logaddexp(ahead[-1, rows, lines.lasts], ahead[-1, rows, lines.lasts - 1])
    # Both ways hold what the frame itself emits.
    likely = np.exp(np.minimum(ahead + behind - emitted - totals[:, None], 0))[
        lines.frame, lines.line
    ]
    shares = np.zeros_like(scores)
    for state in range(lines.states.shape[1]):
        shares[np.arange(len(scores)), lines.states[lines.line, state]] += likely[:, state]
    return -totals, shares


def _emitted(lines: Lines, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log probability that a frame shows the class of a state.

    (T, N, S); frames that fill up are sure to be blank.
    """
    count, states = lines.states.shape
    emitted = np.full((int(lines.frame.max()) + 1, count, states), _NEVER)
    emitted[:, lines.states == BLANK] = 0
    emitted[lines.frame, lines.line] = np.take_along_axis(scores, lines.states[lines.line], axis=1)
    return emitted


def _forward(
    emitted: NDArray[np.float64], skips: NDArray[np.bool_], starts: NDArray[np.intp] | None = None
) -> NDArray[np.float64]:
    """Return forward log probabilities: (T, N, S) emissions and (N, S) skips -> (T, N, S).

    A way begins in the state where its line starts, the first if not told, or in the next one.
    """
    frames, count, _ = emitted.shape
    rows = np.arange(count)
    first = np.zeros(count, np.intp) if starts is None else starts
    reached = np.full_like(emitted, _NEVER)
    for step in (0, 1):
        reached[0, rows, first + step] = emitted[0, rows, first + step]
    for frame in range(1, frames):
        before = reached[frame - 1]
        ways = before.copy()
        ways[:, 1:] = np.logaddexp(ways[:, 1:], before[:, :-1])
        ways[:, 2:] = np.logaddexp(ways[:, 2:], np.where(skips[:, 2:], before[:, :-2], _NEVER))
        reached[frame] = np.maximum(ways + emitted[frame], _NEVER)
    return reached
