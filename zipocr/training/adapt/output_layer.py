"""Refitting of a line network's last layer to a few lines whose text is known.

The loss is connectionist temporal classification (CTC): Graves, Fernández, Gomez and Schmidhuber,
ICML (2006). It sums over all alignments of a text with the frames of a line, so the positions of
digits need not be known.
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
# Log of zero: below any log probability, but finite, so that differences are defined.
_NEVER = -1e30


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lines:
    """A batch of lines, padded with blank frames and unreachable states.

    ``frames`` is ``(M, F) float64``, the frames of all lines concatenated; ``line`` and ``frame``
    ``(M,)`` are their indices. ``states`` is ``(N, S)``: the classes of a text with blanks around
    each, the states of a path. ``skips`` is ``(N, S) bool``, True if a path may skip the blank
    before a state; ``lasts`` ``(N,)`` are the final states of the texts.
    """

    frames: NDArray[np.float64]
    line: NDArray[np.intp]
    frame: NDArray[np.intp]
    states: NDArray[np.intp]
    skips: NDArray[np.bool_]
    lasts: NDArray[np.intp]

    @classmethod
    def of(cls, features: Sequence[Floats], texts: Sequence[str]) -> Self:
        """Make a batch of lines, from ``(T, F)`` features and texts.

        Raises
        ------
        ValueError
            If a line has fewer frames than its text needs.
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
    """Return the classes of a text: one per digit, and `OTHER` for anything else.

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
    """Refit weights and biases to lines.

    Parameters
    ----------
    features : list of (T, F) float32
        Inputs of the last layer, one row per frame; at least one line.
    texts : list of str
        The true texts, not empty.
    weights : (12, F) float32
        The old weights: for the blank, the digits 0 to 9, and anything else.
    bias : (12,) float32
    pull : float
        Strength of the regularization towards the old weights, above 0: the cost of a squared
        change of 1 in nats per line.

    Returns
    -------
    weights : (12, F) float32
    bias : (12,) float32

    Raises
    ------
    ValueError
        If a line has fewer frames than its text needs.
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
    """Return the mean CTC loss in nats per line, and its gradient.

    The gradient is (12, F + 1): weights and, in the last column, bias.
    """
    scores = log_softmax(lines.frames @ layer[:, :-1].T + layer[:, -1], axis=1)
    costs, shares = spread(lines, scores)
    astray = (np.exp(scores) - shares) / len(costs)
    return float(costs.mean()), np.column_stack([astray.T @ lines.frames, astray.sum(axis=0)])


def spread(
    lines: Lines, scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Run the forward-backward algorithm on each line.

    Parameters
    ----------
    lines : Lines
    scores : (M, 12) float64
        Log probabilities of the classes in each frame.

    Returns
    -------
    costs : (N,) float64
        Negative log likelihood of each text in nats.
    shares : (M, 12) float64
        Posterior probability of each class in each frame, given the texts.
    """
    emitted = _emitted(lines, scores)
    ahead = _forward(emitted, lines.skips)
    # The backward pass is the forward pass of the reversed text, with skips shifted accordingly.
    turned = np.zeros_like(lines.skips)
    turned[:, 2:] = lines.skips[:, :1:-1]
    behind = _forward(emitted[::-1, :, ::-1], turned, lines.states.shape[1] - 1 - lines.lasts)[
        ::-1, :, ::-1
    ]
    rows = np.arange(len(lines.lasts))
    totals = np.logaddexp(ahead[-1, rows, lines.lasts], ahead[-1, rows, lines.lasts - 1])
    # Both passes include the emission of the frame itself.
    likely = np.exp(np.minimum(ahead + behind - emitted - totals[:, None], 0))[
        lines.frame, lines.line
    ]
    shares = np.zeros_like(scores)
    for state in range(lines.states.shape[1]):
        shares[np.arange(len(scores)), lines.states[lines.line, state]] += likely[:, state]
    return -totals, shares


def _emitted(lines: Lines, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log probability of each state's class in each frame.

    (T, N, S); padding frames are blank with certainty.
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

    A path starts in the given state of its line (default: the first) or in the next one.
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
