"""Which strings the frames of a network spell, how probable each is, and where its digits stand."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from zipocr.line.network import BLANK, CLASSES, FIRST_DIGIT
from zipocr.types import Floats

# Beam width, pruning ratio to the best prefix, and minimum class probability per frame.
BEAM = 16
PRUNE_RATIO = 1e-6
MIN_CLASS_PROBABILITY = 3e-4
# Probability that no string falls below: frames of other strings are never read as quite
# impossible.
FLOOR = 1e-30


def prefix_beam_search(frames: Floats) -> dict[tuple[int, ...], float]:
    """The most probable labellings and their probabilities, most probable first.

    Parameters
    ----------
    frames : (T, 12) float32
        Probabilities of the classes.

    Returns
    -------
    dict
        From classes to probabilities, at most `BEAM`; their sum is less than 1 by what was not
        kept.

    Notes
    -----
    Prefix beam search: a labelling's probability is the sum over all ways its classes can lie in
    the frames (Graves et al., 2006). Where a frame holds hardly anything but a blank, what comes
    before and what comes after has nothing to do with each other: each run of other frames is
    searched by itself, which takes less than half of the time.
    """
    active = _active(frames)
    blank = float(frames[~active, BLANK].prod(dtype=np.float64))
    spelt: dict[tuple[int, ...], float] = {(): blank}
    run: list[list[float]] = []
    places = np.flatnonzero(active).tolist()
    for place, shares in zip(places, frames[active].tolist(), strict=True):
        run.append(shares)
        if place == len(active) - 1 or not active[place + 1]:
            spelt, run = _followed(spelt, _search(run)), []
    return spelt


def _active(frames: Floats) -> NDArray[np.bool_]:
    """Which frames may hold anything but a blank: (T,)."""
    return np.asarray((frames[:, BLANK + 1 :] >= MIN_CLASS_PROBABILITY).any(axis=1))


def _followed(
    spelt: Mapping[tuple[int, ...], float], run: Mapping[tuple[int, ...], float]
) -> dict[tuple[int, ...], float]:
    """The most probable labellings of some frames and a run that follows, a blank between them.

    Most probable first.
    """
    joined: dict[tuple[int, ...], float] = {}
    follow = list(run.items())
    least = PRUNE_RATIO * max(spelt.values()) * follow[0][1]
    for rank, (before, share) in enumerate(spelt.items(), start=1):
        # What comes i-th before and j-th after has i j - 1 likelier ones before it.
        for after, more in follow[: BEAM // rank]:
            both = share * more
            if both < least:
                break
            labels = before + after
            joined[labels] = joined.get(labels, 0.0) + both
    return _likeliest(joined)


def _likeliest(spelt: Mapping[tuple[int, ...], float]) -> dict[tuple[int, ...], float]:
    """At most `BEAM` of some labellings, most probable first, and none that is far behind."""
    least = PRUNE_RATIO * max(spelt.values())
    likely = [(-share, labels) for labels, share in spelt.items() if share >= least]
    return {labels: -share for share, labels in sorted(likely)[:BEAM]}


def _search(run: Sequence[Sequence[float]]) -> dict[tuple[int, ...], float]:
    """Most probable labellings of a run of frames, given the probabilities of all classes."""
    # Each prefix with the probability of its ways that end in a blank, and of those that end in its
    # last class.
    first, *others = run
    kept: dict[tuple[int, ...], tuple[float, float]] = {(): (first[BLANK], 0.0)}
    kept |= {(label,): (0.0, share) for label, share in _active_classes(first)}
    for shares in others:
        kept = _extend(kept, shares)
    return _likeliest({prefix: blank + ending for prefix, (blank, ending) in kept.items()})


def _active_classes(shares: Sequence[float]) -> list[tuple[int, float]]:
    """The classes that a frame may show, but for the blank, each with its probability."""
    return [
        (label, share)
        for label, share in enumerate(shares[BLANK + 1 :], start=BLANK + 1)
        if share >= MIN_CLASS_PROBABILITY
    ]


def _extend(
    kept: Mapping[tuple[int, ...], tuple[float, float]], shares: Sequence[float]
) -> dict[tuple[int, ...], tuple[float, float]]:
    """Prefixes as they are after one more frame.

    Those that stayed, and those that a class made longer; the best of them.
    """
    blank_share = shares[BLANK]
    ways = {
        prefix: ((blank + ending) * blank_share, ending * shares[prefix[-1]] if prefix else 0.0)
        for prefix, (blank, ending) in kept.items()
    }
    active = _active_classes(shares)
    for prefix, (blank, ending) in kept.items():
        last = prefix[-1] if prefix else BLANK
        for label, share in active:
            longer = (*prefix, label)
            stayed = ways.get(longer)
            more = (blank if label == last else blank + ending) * share
            ways[longer] = (0.0, more) if stayed is None else (stayed[0], stayed[1] + more)
    totals = [blank + ending for blank, ending in ways.values()]
    least = PRUNE_RATIO * max(totals)
    if len(totals) > BEAM:
        least = max(least, sorted(totals)[-BEAM])
    return {
        prefix: each
        for (prefix, each), total in zip(ways.items(), totals, strict=True)
        if total >= least
    }


def log_probabilities(readings: Sequence[Floats], texts: Sequence[str]) -> NDArray[np.float64]:
    """Return the log probability of each string in each reading: R (T, 12), K strings -> (R, K).

    Notes
    -----
    The forward algorithm over blanks and digits in turn, for all strings of one length and all
    readings at once.
    """
    found = np.full((len(readings), len(texts)), np.log(FLOOR))
    frames = _of_one_length([_collapse_blanks(reading)[0] for reading in readings])
    for length in {len(text) for text in texts}:
        places = [place for place, text in enumerate(texts) if len(text) == length]
        states = np.stack([_states(texts[place]) for place in places])
        found[:, places] = np.log(np.maximum(_forward(frames, states), FLOOR))
    return found


def _collapse_blanks(frames: Floats) -> tuple[Floats, NDArray[np.float64]]:
    """Merge runs of frames that hold hardly anything but a blank, and tell where each lies.

    (T, 12) -> (T', 12), (T',). It may show each class once, which is what is likely in so many: two
    digits are not, nor one that lasts from a digit before them to one behind them.
    """
    active = _active(frames)
    begins = np.append(True, active[1:] | active[:-1])
    begins[:-1] |= active[1:]
    firsts = np.flatnonzero(begins)
    condensed = np.add.reduceat(frames, firsts)
    condensed[:, BLANK] = np.multiply.reduceat(frames[:, BLANK], firsts)
    return condensed, (firsts + np.append(firsts[1:], len(frames)) - 1) / 2


def _of_one_length(readings: Sequence[Floats]) -> NDArray[np.float64]:
    """Readings with blanks at their ends, which no probability depends on.

    R times (T, 12) -> (R, most T, 12).
    """
    frames = np.zeros((len(readings), max(map(len, readings)), CLASSES))
    frames[:, :, BLANK] = 1
    for place, reading in enumerate(readings):
        frames[place, : len(reading)] = reading
    return frames


def _states(text: str) -> NDArray[np.intp]:
    """The classes of a string with blanks around and between: (2 N + 1,)."""
    states = np.full(2 * len(text) + 1, BLANK, np.intp)
    states[1::2] = [int(digit) + FIRST_DIGIT for digit in text]
    return states


def _forward(frames: NDArray[np.float64], states: NDArray[np.intp]) -> NDArray[np.float64]:
    """Probabilities of K sequences of states in R readings: (R, T, 12), (K, S) -> (R, K)."""
    shares = np.ascontiguousarray(frames[:, :, states].swapaxes(0, 1))
    jumps = _skip_allowed(states)
    # Two columns of nothing before the states stand for steps from before the first.
    reached = np.zeros((len(frames), len(states), states.shape[1] + 2))
    here, before, skipped = reached[..., 2:], reached[..., 1:-1], reached[..., :-2]
    here[..., :2] = shares[0, ..., :2]
    jumped = np.empty_like(here)
    for share in shares[1:]:
        np.multiply(skipped, jumps, out=jumped)
        jumped += before
        here += jumped
        here *= share
    return np.asarray(here[..., -2:].sum(axis=-1))


def _skip_allowed(states: NDArray[np.intp]) -> NDArray[np.float64]:
    """1 where the blank before a state may be left out.

    Before a digit that is not its predecessor again. (K, S).
    """
    jumps = np.zeros(states.shape)
    jumps[:, 3::2] = states[:, 3::2] != states[:, 1:-2:2]
    return jumps


def align_digits(frames: Floats, texts: Sequence[str]) -> list[NDArray[np.float64]]:
    """Align strings of one length to the frames that spell them.

    (T, 12), K strings of N digits -> K times (N,) frames, the middles of the digits' runs on the
    likeliest way through the frames; for a string that more frames would be needed for, some are
    nowhere (NaN).
    """
    spelt, middles = _best_path(frames)
    others = [text for text in texts if text != spelt]
    found = dict(zip(others, _align(frames, others), strict=True)) if others else {}
    return [middles if text == spelt else found[text] for text in texts]


def _best_path(frames: Floats) -> tuple[str, NDArray[np.float64]]:
    """Return what the likeliest class of each frame spells, and the middles of its digits' runs.

    No other way through the frames is likelier, so it is that string's alignment as well.
    """
    path = frames.argmax(axis=1)
    firsts = np.flatnonzero(np.append(True, path[1:] != path[:-1]))
    lasts = np.append(firsts[1:], len(path)) - 1
    labels = path[firsts]
    shown = labels != BLANK
    text = "".join(str(label - FIRST_DIGIT) for label in labels[shown].tolist())
    return text, (firsts + lasts)[shown] / 2


def _align(frames: Floats, texts: Sequence[str]) -> NDArray[np.float64]:
    """Align strings by the Viterbi algorithm: (T, 12), K strings of N digits -> (K, N)."""
    states = np.stack([_states(text) for text in texts])
    condensed, places = _collapse_blanks(frames)
    shares = np.log(np.maximum(condensed.astype(np.float64)[:, states], FLOOR))
    barred = np.where(_skip_allowed(states) > 0, 0.0, -np.inf)
    # The best way to each state of each frame, with two columns of nothing before the states.
    best = np.full((len(shares), len(texts), states.shape[1] + 2), -np.inf)
    best[0, :, 2:4] = shares[0, :, :2]
    for frame in range(1, len(shares)):
        before, here = best[frame - 1], best[frame, :, 2:]
        np.add(before[:, :-2], barred, out=here)
        np.maximum(here, before[:, 1:-1], out=here)
        np.maximum(here, before[:, 2:], out=here)
        here += shares[frame]
    path = np.array(
        [_backtrace(best[:, place], barred[place].tolist()) for place in range(len(texts))]
    ).T
    on_digit = path[:, :, None] == np.arange(1, states.shape[1], 2)
    with np.errstate(invalid="ignore"):
        return np.asarray((on_digit * places[:, None, None]).sum(axis=0) / on_digit.sum(axis=0))


def _backtrace(best: NDArray[np.float64], barred: Sequence[float]) -> list[int]:
    """The states on the best way through all frames.

    The scores of all ways, (T, S + 2) -> T states.
    """
    scores = best.tolist()
    last = scores[-1]
    state = len(last) - 3 - (last[-2] > last[-1])
    path = [state]
    for before in reversed(scores[:-1]):
        stay, step, jump = before[state + 2], before[state + 1], before[state] + barred[state]
        state -= 0 if stay >= max(step, jump) else 1 if step >= jump else 2
        path.append(state)
    return path[::-1]
