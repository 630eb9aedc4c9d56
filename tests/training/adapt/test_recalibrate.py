import numpy as np
import pytest

from zipocr.decode.confidence import FEATURES, ConfidenceModel
from zipocr.models.model_file import TABLES
from zipocr.training.adapt.recalibrate import MIN_PAGES, fit_odds, merged, recalibrated
from zipocr.training.benchmark.metrics import Answer
from zipocr.types import Model


def answers(count: int, *, confidence: float, right: float) -> list[Answer]:
    return [
        Answer(
            kind="", is_right=place < right * count, confidence=confidence, accepted=True, place=0
        )
        for place in range(count)
    ]


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    """What a model knows of confidence."""
    fitted = np.linspace(0.5, 1.0, FEATURES + 1).astype(np.float32)
    tables = dict.fromkeys(TABLES, np.array([[0.01, 0.9], [0.1, 0.5]]))
    return {"confidence_listed": fitted, "confidence_unlisted": fitted, **tables}


def test_a_confidence_that_is_too_high_comes_down_to_the_truth(arrays):
    found, notes = recalibrated(
        arrays,
        {
            "unlisted": [
                *answers(400, confidence=0.99, right=0.8),
                *answers(200, confidence=0.6, right=0.3),
            ]
        },
    )
    fitted = found["confidence_unlisted"].astype(float)
    old = arrays["confidence_unlisted"].astype(float)
    slope = fitted[0] / old[0]
    shift = fitted[-1] - slope * old[-1]
    sure = 1 / (1 + np.exp(-(slope * np.log(0.99 / 0.01) + shift)))
    assert sure == pytest.approx(0.8, abs=0.05)
    assert "600 pages" in notes[0]


def test_the_model_s_own_probability_is_bent_by_what_was_found(arrays):
    found, _ = recalibrated(
        arrays,
        {
            "listed": [
                *answers(300, confidence=0.9, right=0.5),
                *answers(9, confidence=0.1, right=0.0),
            ]
        },
    )
    seen = np.zeros(len(arrays["confidence_listed"]) - 1, np.float32)
    before, after = (
        ConfidenceModel.from_model(
            Model(arrays={**arrays, **new}, card={}), use_directory=True
        ).probability(seen)
        for new in ({}, found)
    )
    assert after < before


def test_a_few_pages_pull_little_and_truth_leaves_all_as_it_is():
    few, many = (
        fit_odds(np.full(count, 0.99), np.arange(count) < count // 2) for count in (4, 400)
    )
    assert many[0] * np.log(99) + many[1] < few[0] * np.log(99) + few[1] < np.log(99)
    confidence = np.repeat([0.1, 0.5, 0.9], 200)
    right = np.tile(np.arange(10), 60) < np.repeat([1, 5, 9], 200)
    assert fit_odds(confidence, right) == pytest.approx((1, 0), abs=0.02)


@pytest.mark.parametrize("right", [0.0, 0.5, 1.0])
def test_too_few_pages_or_such_as_tell_nothing_change_nothing(arrays, right):
    count = MIN_PAGES - 1 if right == 0.5 else MIN_PAGES
    found, notes = recalibrated(arrays, {"listed": answers(count, confidence=0.9, right=right)})
    assert not found
    assert "too few" in notes[0]


def test_no_certainty_is_claimed_that_the_pages_do_not_show(arrays):
    strict = {**arrays, "acceptance_unlisted": np.array([[0.001, 0.9], [0.01, 0.8]])}
    wrong = [*answers(300, confidence=0.95, right=0.9), *answers(300, confidence=0.5, right=0.5)]
    found, notes = recalibrated(strict, {"unlisted": wrong})
    table = found["acceptance_unlisted"]
    assert table[:, 0].tolist() == [0.001, 0.01, 0.2]
    # What is asked of a fifth of errors is asked of the stricter ones too.
    assert (table[:2, 1] >= table[2, 1]).all()
    assert "thresholds for errors below 0.2 are the base model's" in notes[0]


def test_thresholds_of_one_s_own_take_the_place_of_the_base_s_and_never_fall_with_strictness():
    base = np.array([[0.01, 0.97], [0.02, 0.9], [0.1, 0.5]])
    assert merged(base, np.array([[0.02, 0.99], [0.05, 0.4]])).tolist() == [
        [0.01, 0.99],
        [0.02, 0.99],
        [0.05, 0.5],
        [0.1, 0.5],
    ]
    assert merged(base, np.zeros((0, 2))).tolist() == base.tolist()
    assert merged(np.zeros((0, 2)), base).tolist() == base.tolist()
