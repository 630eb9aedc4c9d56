from collections import defaultdict
from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zipocr.line.ctc import (
    BEAM,
    _align,
    _forward,
    _states,
    align_digits,
    collapse_blanks,
    log_probabilities,
    prefix_beam_search,
)
from zipocr.line.network import CLASSES


def frames_of(rng: np.random.Generator, count: int, classes: int) -> np.ndarray:
    """Random frames in which only the first few classes are probable."""
    shares = np.zeros((count, CLASSES))
    shares[:, :classes] = rng.random((count, classes)) ** 3
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)


def collapsed(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(
        label
        for place, label in enumerate(path)
        if label and (place == 0 or label != path[place - 1])
    )


def by_all_paths(frames: np.ndarray, classes: int) -> dict[tuple[int, ...], float]:
    found: dict[tuple[int, ...], float] = defaultdict(float)
    for path in product(range(classes), repeat=len(frames)):
        found[collapsed(path)] += float(
            np.prod([frames[place, label] for place, label in enumerate(path)])
        )
    return found


@given(seed=st.integers(0, 1000), count=st.integers(1, 6))
def test_probabilities_are_the_sums_over_all_paths(seed, count):
    frames = frames_of(np.random.default_rng(seed), count, 4)
    expected = {labels: share for labels, share in by_all_paths(frames, 4).items() if labels}
    texts = ["".join(str(label - 1) for label in labels) for labels in expected]
    assert np.exp(log_probabilities([frames], texts)[0]) == pytest.approx(
        list(expected.values()), rel=1e-4, abs=1e-9
    )


@given(seed=st.integers(0, 1000), count=st.integers(1, 5))
def test_without_pruning_the_beam_search_finds_all_labellings(seed, count):
    frames = frames_of(np.random.default_rng(seed), count, 3)
    expected = by_all_paths(frames, 3)
    found = prefix_beam_search(frames)
    assert len(found) <= BEAM
    if len(expected) <= BEAM:
        assert max(found, key=found.__getitem__) == max(expected, key=expected.__getitem__)
        for labels, share in found.items():
            assert share <= expected[labels] * (1 + 1e-5)
        assert sum(found.values()) == pytest.approx(1, abs=0.02)


def test_labellings_are_sorted_by_probability():
    shares = list(prefix_beam_search(frames_of(np.random.default_rng(3), 9, 8)).values())
    assert shares == sorted(shares, reverse=True)
    assert all(0 < share <= 1 for share in shares)


def spelt(text: str, gap: int) -> np.ndarray:
    """Frames that show each digit for two frames, with blanks before each and after the last."""
    path = [label for digit in text for label in [0] * gap + [int(digit) + 1] * 2] + [0] * gap
    frames = np.full((len(path), CLASSES), 1e-4, np.float32)
    frames[np.arange(len(path)), path] = 1
    return frames / frames.sum(axis=1, keepdims=True)


@given(text=st.text("0123456789", min_size=1, max_size=9), gap=st.integers(1, 4))
def test_digits_are_aligned_to_the_frames_that_show_them(text, gap):
    (places,) = align_digits(spelt(text, gap), [text])
    assert places == pytest.approx([gap + 0.5 + (gap + 2) * place for place in range(len(text))])


def test_strings_are_aligned_the_same_together_as_alone():
    frames = frames_of(np.random.default_rng(5), 30, 11)
    texts = ["02108", "11111", "90210"]
    together = np.stack(align_digits(frames, texts))
    alone = np.concatenate([align_digits(frames, [text]) for text in texts])
    assert together == pytest.approx(alone)


def test_a_string_too_long_for_the_frames_is_impossible_and_not_fully_aligned():
    frames = frames_of(np.random.default_rng(5), 6, 11)
    assert log_probabilities([frames], ["11111"])[0][0] < -60
    assert np.isnan(align_digits(frames, ["11111"])[0]).any()


def middles(path: tuple[int, ...]) -> list[float]:
    """The middle of each run of one class other than the blank."""
    runs = [
        (label, [place for place, _ in run])
        for label, run in groupby(enumerate(path), key=lambda item: item[1])
    ]
    return [float(np.mean(places)) for label, places in runs if label]


@given(
    seed=st.integers(0, 1000),
    count=st.integers(3, 6),
    text=st.sampled_from(["0", "01", "00", "10", "011", "000", "101"]),
)
def test_digits_are_aligned_along_the_most_likely_path(seed, count, text):
    frames = frames_of(np.random.default_rng(seed), count, 3)
    labels = tuple(int(digit) + 1 for digit in text)
    fitting = [path for path in product(range(3), repeat=count) if collapsed(path) == labels]
    (places,) = align_digits(frames, [text])
    if fitting:
        best = max(
            fitting,
            key=lambda path: float(
                np.prod([float(frames[place, label]) for place, label in enumerate(path)])
            ),
        )
        assert places == pytest.approx(middles(best))
    else:
        assert np.isnan(places).any()


@pytest.mark.parametrize(
    ("text", "frames"), [("11111", 9), ("000000000", 17), ("02108", 5), ("99", 3)]
)
def test_each_digit_needs_a_frame_and_repeated_digits_a_blank_between(text, frames):
    even = np.full((frames, CLASSES), 1 / CLASSES, np.float32)
    paths = log_probabilities([even], [text])[0][0] / np.log(CLASSES)
    assert paths == pytest.approx(-frames)  # only one path
    assert np.isfinite(align_digits(even, [text])).all()
    assert log_probabilities([even[1:]], [text])[0][0] < -60
    assert np.isnan(align_digits(even[1:], [text])).any()


@given(seed=st.integers(0, 200), text=st.text("01", min_size=5, max_size=5))
def test_beam_search_and_the_sum_over_all_paths_agree_on_clear_strings(seed, text):
    frames = (
        spelt(text, 2) + np.random.default_rng(seed).random((22, CLASSES)).astype(np.float32) * 1e-3
    )
    frames /= frames.sum(axis=1, keepdims=True)
    (labels, share), *_ = prefix_beam_search(frames).items()
    assert "".join(str(label - 1) for label in labels) == text
    assert share == pytest.approx(
        float(np.exp(log_probabilities([frames], [text])[0][0])), rel=1e-2
    )


@given(seed=st.integers(0, 100))
def test_strings_of_any_length_are_scored_the_same_together_as_alone(seed):
    frames = frames_of(np.random.default_rng(seed), 20, 11)
    texts = ["02108", "1", "021081234", "77", "11111", "02108"]
    assert log_probabilities([frames], texts)[0] == pytest.approx(
        [log_probabilities([frames], [text])[0][0] for text in texts]
    )
    assert len(log_probabilities([frames], [])[0]) == 0


def test_readings_of_any_length_are_scored_the_same_together_as_alone():
    rng = np.random.default_rng(9)
    readings, texts = (
        [frames_of(rng, length, CLASSES) for length in (12, 30, 21)],
        ["02108", "11111", "021081234"],
    )
    together = log_probabilities(readings, texts)
    assert together == pytest.approx(
        np.stack([log_probabilities([one], texts)[0] for one in readings])
    )


def test_frames_are_not_changed():
    frames = frames_of(np.random.default_rng(4), 12, CLASSES)
    before = frames.copy()
    prefix_beam_search(frames)
    log_probabilities([frames], ["02108"])
    align_digits(frames, ["02108"])
    assert np.array_equal(frames, before)


@given(seed=st.integers(0, 200), text=st.text("0123456789", min_size=5, max_size=5))
def test_collapsing_nearly_blank_frames_keeps_log_probabilities(seed, text):
    rng = np.random.default_rng(seed)
    frames = np.maximum(spelt(text, 4) - 1e-4, rng.random((34, CLASSES)) * 5e-5).astype(np.float32)
    frames /= frames.sum(axis=1, keepdims=True)
    # The changed digit is shown nowhere, so its paths go through single frames of this kind.
    other = text[:2] + str((int(text[2]) + 1) % 10) + text[3:]
    assert len(collapse_blanks(frames)) < len(frames)
    alone = np.log(
        _forward(
            frames[None].astype(np.float64), np.stack([_states(one) for one in (text, other)])
        )[0]
    )
    assert log_probabilities([frames], [text, other])[0] == pytest.approx(alone, abs=0.01)


@given(seed=st.integers(0, 2000), count=st.integers(1, 40), classes=st.integers(2, 11))
def test_the_greedy_string_is_aligned_as_by_the_viterbi_algorithm(seed, count, classes):
    rng = np.random.default_rng(seed)
    # Some frames hold only a blank, so that runs of them are collapsed.
    frames = frames_of(rng, count, classes)
    frames[rng.random(count) < 0.5] = np.eye(CLASSES, dtype=np.float32)[0]
    path = frames.argmax(axis=1)
    text = "".join(str(label - 1) for label, _ in groupby(path.tolist()) if label)
    (found,) = align_digits(frames, [text])
    assert found.tolist() == middles(tuple(path.tolist()))
    if text:
        assert found == pytest.approx(_align(frames, [text])[0])


def test_the_alignment_shortcut_does_not_depend_on_other_strings():
    frames = spelt("02108", 2)
    shortcut, other = align_digits(frames, ["02108", "02188"])
    assert shortcut.tolist() == align_digits(frames, ["02108"])[0].tolist()
    assert other == pytest.approx(align_digits(frames, ["02188"])[0])
    assert len(align_digits(frames, ["02188", "02108", "02108"])) == 3
    assert np.array_equal(align_digits(frames, ["02188", "02108"])[1], shortcut)


def test_aligning_no_strings_gives_nothing():
    assert align_digits(spelt("02108", 2), []) == []
