"""CTC decoding: n-best strings of a network's frames, their probabilities and alignments."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from zipocr.line.network import BLANK, CLASSES, FIRST_DIGIT
from zipocr.types import Floats

# Beam width, pruning ratio to the best prefix, and minimum class probability per frame.
BEAM = 16
PRUNE_RATIO = 1e-6
MIN_CLASS_PROBABILITY = 3e-4
# Lower bound of a string's probability, so that no string is quite impossible.
FLOOR = 1e-30


def prefix_beam_search(frames: Floats) -> dict[tuple[int, ...], float]:
    """Return the n-best labellings and their probabilities, most probable first.

    Parameters
    ----------
    frames : (T, 12) float32
        Probabilities of the classes.

    Returns
    -------
    dict
        From classes to probabilities, at most `BEAM`; their sum falls short of 1 by what was
        pruned.

    Notes
    -----
    Prefix beam search: a labelling's probability is the sum over all its alignments with the frames
    (Graves et al., 2006). Frames that are almost certainly blank separate independent parts, so
    each run of other frames is searched on its own, which is faster.
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
    """Return which frames may show anything but a blank: (T,)."""
    return np.asarray((frames[:, BLANK + 1 :] >= MIN_CLASS_PROBABILITY).any(axis=1))


def _followed(
    spelt: Mapping[tuple[int, ...], float], run: Mapping[tuple[int, ...], float]
) -> dict[tuple[int, ...], float]:
    """Combine the labellings of some frames with those of the run that follows after a blank.

    Returns the most probable ones, most probable first.
    """
    joined: dict[tuple[int, ...], float] = {}
    follow = list(run.items())
    least = PRUNE_RATIO * max(spelt.values()) * follow[0][1]
    for rank, (before, share) in enumerate(spelt.items(), start=1):
        # The pair of the i-th before and the j-th after has i j - 1 likelier pairs.
        for after, more in follow[: BEAM // rank]:
            both = share * more
            if both < least:
                break
            labels = before + after
            joined[labels] = joined.get(labels, 0.0) + both
    return _likeliest(joined)


def _likeliest(spelt: Mapping[tuple[int, ...], float]) -> dict[tuple[int, ...], float]:
    """Prune labellings to at most `BEAM`, most probable first, without those far behind."""
    least = PRUNE_RATIO * max(spelt.values())
    likely = [(-share, labels) for labels, share in spelt.items() if share >= least]
    return {labels: -share for share, labels in sorted(likely)[:BEAM]}


def _search(run: Sequence[Sequence[float]]) -> dict[tuple[int, ...], float]:
    """Return the most probable labellings of a run of frames, given all class probabilities."""
    # For each prefix, the probability of its paths that end in a blank, and of those that end in
    # its last class.
    first, *others = run
    kept: dict[tuple[int, ...], tuple[float, float]] = {(): (first[BLANK], 0.0)}
    kept |= {(label,): (0.0, share) for label, share in _active_classes(first)}
    for shares in others:
        kept = _extend(kept, shares)
    return _likeliest({prefix: blank + ending for prefix, (blank, ending) in kept.items()})


def _active_classes(shares: Sequence[float]) -> list[tuple[int, float]]:
    """Return the classes that a frame may show, except the blank, each with its probability."""
    return [
        (label, share)
        for label, share in enumerate(shares[BLANK + 1 :], start=BLANK + 1)
        if share >= MIN_CLASS_PROBABILITY
    ]


def _extend(
    kept: Mapping[tuple[int, ...], tuple[float, float]], shares: Sequence[float]
) -> dict[tuple[int, ...], tuple[float, float]]:
    """Extend prefixes by one frame.

    Returns the best of the unchanged prefixes and those longer by a class.
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
    """Return the log probability of each string in each reading: R of (T, 12), K strings -> (R, K).

    Notes
    -----
    Forward algorithm over alternating blanks and digits, for all strings of one length and all
    readings at once.
    """
    found = np.full((len(readings), len(texts)), np.log(FLOOR))
    frames = _of_one_length([collapse_blanks(reading)[0] for reading in readings])
    for length in {len(text) for text in texts}:
        places = [place for place, text in enumerate(texts) if len(text) == length]
        states = np.stack([_states(texts[place]) for place in places])
        found[:, places] = np.log(np.maximum(_forward(frames, states), FLOOR))
    return found


def collapse_blanks(frames: Floats) -> tuple[Floats, NDArray[np.float64]]:
    """Merge runs of frames that are almost certainly blank, and return the position of each.

    (T, 12) -> (T', 12), (T',). A merged frame may show each class at most once, which is the only
    likely case: neither two digits in such a run are likely, nor one that extends from a digit
    before it to a digit after it.
    """
    active = _active(frames)
    begins = np.append(True, active[1:] | active[:-1])
    begins[:-1] |= active[1:]
    firsts = np.flatnonzero(begins)
    condensed = np.add.reduceat(frames, firsts)
    condensed[:, BLANK] = np.multiply.reduceat(frames[:, BLANK], firsts)
    return condensed, (firsts + np.append(firsts[1:], len(frames)) - 1) / 2


def _of_one_length(readings: Sequence[Floats]) -> NDArray[np.float64]:
    """Pad readings to one length with blanks, which leave all probabilities unchanged.

    R times (T, 12) -> (R, maximum T, 12).
    """
    frames = np.zeros((len(readings), max(map(len, readings)), CLASSES))
    frames[:, :, BLANK] = 1
    for place, reading in enumerate(readings):
        frames[place, : len(reading)] = reading
    return frames


def _states(text: str) -> NDArray[np.intp]:
    """Return the CTC states of a string, its classes with blanks around and between: (2 N + 1,)."""
    states = np.full(2 * len(text) + 1, BLANK, np.intp)
    states[1::2] = [int(digit) + FIRST_DIGIT for digit in text]
    return states


def _forward(frames: NDArray[np.float64], states: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the probabilities of K state sequences in R readings: (R, T, 12), (K, S) -> (R, K)."""
    shares = np.ascontiguousarray(frames[:, :, states].swapaxes(0, 1))
    jumps = _skip_allowed(states)
    # Two columns of zeros before the states, for transitions from before the first.
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
    """Return 1 where a path may skip the blank before a state.

    That is before a digit that differs from its predecessor. (K, S).
    """
    jumps = np.zeros(states.shape)
    jumps[:, 3::2] = states[:, 3::2] != states[:, 1:-2:2]
    return jumps


def align_digits(frames: Floats, texts: Sequence[str]) -> list[NDArray[np.float64]]:
    """Align strings of one length with the frames (forced alignment).

    (T, 12), K strings of N digits -> K times (N,) frames, the middles of the digits' runs on the
    most probable path; some are NaN if there are too few frames for a string.
    """
    spelt, middles = _best_path(frames)
    others = [text for text in texts if text != spelt]
    found = dict(zip(others, _align(frames, others), strict=True)) if others else {}
    return [middles if text == spelt else found[text] for text in texts]


def _best_path(frames: Floats) -> tuple[str, NDArray[np.float64]]:
    """Return the greedy decoding, and the middles of its digits' runs.

    No other path is more probable, so it is that string's alignment as well.
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
    condensed, places = collapse_blanks(frames)
    shares = np.log(np.maximum(condensed.astype(np.float64)[:, states], FLOOR))
    barred = np.where(_skip_allowed(states) > 0, 0.0, -np.inf)
    # Score of the best path to each state of each frame, with two empty columns before the states.
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
    """Return the states on the best path through all frames.

    Takes the scores of the best paths, (T, S + 2) -> T states.
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
