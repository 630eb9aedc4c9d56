import numpy as np

from zipocr.line.network import CLASSES, array_names
from zipocr.training.adapt.network_adaptation import PULLS, LineAdaptationSet, best_pull, with_lines

WEIGHTS, BIASES = array_names("weights")[-1], array_names("biases")[-1]


def lore_of(rng: np.random.Generator, count: int) -> LineAdaptationSet:
    """Lines whose features show each class in a column of its own, but the 7 in that of the 1.

    A hand that the base misreads.
    """
    features, texts = [], []
    for _ in range(count):
        text = "".join(map(str, rng.integers(0, 10, 5)))
        seen = np.zeros((16, CLASSES), np.float32)
        seen[:, 0] = 4
        for place, digit in enumerate(text):
            seen[3 * place + 1] = 0
            seen[3 * place + 1, 1 + (1 if digit == "7" else int(digit))] = 4
            seen[3 * place + 1, 11] = 4 * (digit == "7")
        features.append(seen)
        texts.append(text)
    return LineAdaptationSet.of(features, texts)


def base() -> dict[str, np.ndarray]:
    return {
        WEIGHTS: np.eye(CLASSES, dtype=np.float16) * 2,
        BIASES: np.zeros(CLASSES, np.float32),
        "other": np.arange(3),
    }


def read(arrays: dict[str, np.ndarray], seen: np.ndarray) -> str:
    best = (seen @ arrays[WEIGHTS].astype(np.float32).T + arrays[BIASES]).argmax(axis=1)
    return "".join(str(label - 1) for label in best if 0 < label < 11)


def test_a_layer_learns_a_hand_that_it_misreads_and_leaves_the_rest_of_the_model():
    lore = lore_of(np.random.default_rng(0), 60)
    learnt = with_lines(base(), lore, 0.01)
    unseen = lore_of(np.random.default_rng(1), 30)
    right = [
        read(learnt, seen) == text for seen, text in zip(unseen.features, unseen.texts, strict=True)
    ]
    before = [
        read(base(), seen) == text for seen, text in zip(unseen.features, unseen.texts, strict=True)
    ]
    assert sum(right) > sum(before) + 5
    assert learnt["other"] is not None
    assert set(learnt) == set(base())


def test_the_pull_is_one_of_those_tried():
    lore = lore_of(np.random.default_rng(2), 20)
    assert best_pull(base(), lore, np.arange(len(lore)) % 4) in PULLS


def test_lines_that_were_not_seen_or_are_too_short_teach_nothing():
    lore = LineAdaptationSet.of(
        [None, np.zeros((4, 12), np.float32), np.zeros((40, 12), np.float32)],
        ["02108", "02108", "90210"],
    )
    assert (lore.texts, lore.owners.tolist()) == (("90210",), [2])
    nothing = lore.take(np.array([False]))
    assert len(nothing) == 0
    assert with_lines(base(), nothing, 1.0).keys() == base().keys()
