"""Which strings the frames of a network spell, how probable each is, and where its digits stand."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zipocr.sequence.network import BLANK, FIRST_DIGIT
from zipocr.types import Floats

# Prefixes kept from frame to frame, unless they are so much less probable than the best one; and classes tried in a frame.
BEAM = 16
BEHIND = 1e-6
LEAST_SHARE = 1e-4
# Probability that no string falls below: frames of other strings are never read as quite impossible.
FLOOR = 1e-30


def best_labels(frames: Floats) -> dict[tuple[int, ...], float]:
    """The most probable labellings and their probabilities, most probable first.

    Parameters
    ----------
    frames : (T, 12) float32
        Probabilities of the classes.

    Returns
    -------
    dict
        From classes to probabilities, at most `BEAM`; their sum is less than 1 by what was not kept.

    Notes
    -----
    Prefix beam search: a labelling's probability is the sum over all ways its classes can lie in the frames (Graves et al., 2006).
    """
    # Each prefix with the probability of its ways that end in a blank, and of those that end in its last class.
    kept: dict[tuple[int, ...], tuple[float, float]] = {(): (1.0, 0.0)}
    for shares, active in zip(frames.tolist(), _active(frames), strict=True):
        longer: dict[tuple[int, ...], list[float]] = {}
        for prefix, (blank, ending) in kept.items():
            last = prefix[-1] if prefix else BLANK
            here = longer.setdefault(prefix, [0.0, 0.0])
            here[0] += (blank + ending) * shares[BLANK]
            here[1] += ending * shares[last] if prefix else 0.0
            for label in active:
                longer.setdefault((*prefix, label), [0.0, 0.0])[1] += (blank if label == last else blank + ending) * shares[label]
        best = sorted(longer.items(), key=lambda item: (-sum(item[1]), item[0]))[:BEAM]
        least = BEHIND * sum(best[0][1])
        kept = {prefix: (blank, ending) for prefix, (blank, ending) in best if blank + ending >= least}
    return {prefix: blank + ending for prefix, (blank, ending) in kept.items()}


def _active(frames: Floats) -> list[list[int]]:
    """The classes worth trying in each frame, blanks apart."""
    likely = frames >= LEAST_SHARE
    likely[:, BLANK] = False
    return [np.flatnonzero(row).tolist() if row.any() else [] for row in likely]


def log_probabilities(frames: Floats, texts: Sequence[str]) -> NDArray[np.float64]:
    """Log probability of each string, however improbable: (T, 12), K strings of digits -> (K,).

    Notes
    -----
    The forward algorithm over blanks and digits in turn, for all strings of one length at once.
    """
    found = np.full(len(texts), np.log(FLOOR))
    for length in {len(text) for text in texts}:
        places = [place for place, text in enumerate(texts) if len(text) == length]
        states = np.stack([_states(texts[place]) for place in places])
        found[places] = np.log(np.maximum(_forward(frames, states), FLOOR))
    return found


def _states(text: str) -> NDArray[np.intp]:
    """The classes of a string with blanks around and between: (2 N + 1,)."""
    states = np.full(2 * len(text) + 1, BLANK, np.intp)
    states[1::2] = [int(digit) + FIRST_DIGIT for digit in text]
    return states


def _forward(frames: Floats, states: NDArray[np.intp]) -> NDArray[np.float64]:
    """Probabilities of K sequences of states: (T, 12), (K, S) -> (K,)."""
    shares = frames.astype(np.float64)[:, states]
    jumps = _jumps(states)
    # Two columns of nothing before the states stand for steps from before the first.
    reached = np.zeros((len(states), states.shape[1] + 2))
    reached[:, 2:4] = shares[0, :, :2]
    for share in shares[1:]:
        reached[:, 2:] = (reached[:, 2:] + reached[:, 1:-1] + reached[:, :-2] * jumps) * share
    return np.asarray(reached[:, -2:].sum(axis=1))


def _jumps(states: NDArray[np.intp]) -> NDArray[np.float64]:
    """1 where the blank before a state may be left out: before a digit that is not its predecessor again. (K, S)."""
    jumps = np.zeros(states.shape)
    jumps[:, 3::2] = states[:, 3::2] != states[:, 1:-2:2]
    return jumps


def place_digits(frames: Floats, texts: Sequence[str]) -> NDArray[np.float64]:
    """Where the digits of strings of one length stand.

    (T, 12), K strings of N digits -> (K, N) frames, the middles of their runs on the likeliest way through the frames; for a string that
    more frames would be needed for, some are nowhere (NaN).
    """
    states = np.stack([_states(text) for text in texts])
    shares = np.log(np.maximum(frames.astype(np.float64)[:, states], FLOOR))
    barred = np.where(_jumps(states) > 0, 0.0, -np.inf)
    best = np.full((len(texts), states.shape[1] + 2), -np.inf)
    best[:, 2:4] = shares[0, :, :2]
    came = np.empty(shares.shape, np.int8)
    for frame in range(1, len(shares)):
        stay, step, jump = best[:, 2:], best[:, 1:-1], best[:, :-2] + barred
        way = np.maximum(np.maximum(stay, step), jump)
        came[frame] = np.where(way == stay, 0, np.where(way == step, 1, 2))
        best[:, 2:] = way + shares[frame]
    every = np.arange(len(texts))
    state = states.shape[1] - 1 - (best[:, -2] > best[:, -1])
    path = np.empty((len(shares), len(texts)), np.intp)
    for frame in range(len(shares) - 1, 0, -1):
        path[frame] = state
        state = state - came[frame, every, state]
    path[0] = state
    numbers = np.arange(len(shares))[:, None, None]
    on_digit = path[:, :, None] == np.arange(1, states.shape[1], 2)
    with np.errstate(invalid="ignore"):
        return np.asarray((on_digit * numbers).sum(axis=0) / on_digit.sum(axis=0))
