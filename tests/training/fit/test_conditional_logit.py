"""The choice among alternatives is learnt, and "none of these" with it."""

import numpy as np
import pytest

from zipocr.locate.choice_model import ChoiceModel
from zipocr.training.fit.conditional_logit import Choice, fit_choice_model


def choices(rng: np.random.Generator, count: int) -> list[Choice]:
    """Of each few alternatives the one with the largest product is right, if that is over 1."""
    found = []
    for _ in range(count):
        features = rng.normal((5, -3), 1.5, (int(rng.integers(1, 6)), 2))
        value = (features[:, 0] - 5) * (features[:, 1] + 3)
        right = int(value.argmax()) if value.max() > 1 else len(features)
        found.append(Choice(features=features, right=right))
    return found


def share_right(model: ChoiceModel, some: list[Choice]) -> float:
    chosen = []
    for one in some:
        shares = model.probabilities(one.features.tolist())
        chosen.append(int(np.argmax([*shares, 1 - sum(shares)])) == one.right)
    return float(np.mean(chosen))


def test_a_hidden_layer_learns_what_no_sum_of_features_tells() -> None:
    rng = np.random.default_rng(1)
    learnt, held = choices(rng, 1500), choices(rng, 500)
    linear = fit_choice_model(learnt, hidden=0, ridge=1e-4, seed=1)
    deep = fit_choice_model(learnt, hidden=8, ridge=1e-4, seed=1)
    assert share_right(deep, held) > 0.9
    assert share_right(linear, held) < 0.7


def test_the_same_seed_gives_the_same_model() -> None:
    some = choices(np.random.default_rng(2), 100)
    first, second = (fit_choice_model(some, hidden=4, ridge=1e-3, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.pack(), second.pack())


def test_a_model_is_the_same_after_it_was_packed() -> None:
    some = choices(np.random.default_rng(4), 100)
    model = fit_choice_model(some, hidden=4, ridge=1e-3, seed=3)
    unpacked = ChoiceModel.from_array(model.pack())
    features = some[0].features.tolist()
    assert unpacked.probabilities(features) == pytest.approx(model.probabilities(features), 1e-4)


def test_a_strong_pull_leaves_but_the_constant() -> None:
    some = choices(np.random.default_rng(5), 300)
    model = fit_choice_model(some, hidden=4, ridge=1e3, seed=3)
    assert np.abs(model.direct[:-1]).max() < 1e-3
    assert np.abs(model.outer).max() < 1e-2


def test_probabilities_of_nothing_are_nothing() -> None:
    model = ChoiceModel.from_array(np.zeros((1, 4), np.float32))
    assert model.probabilities([]) == []
    assert model.probabilities([[1.0, 2.0]]) == [0.5]
