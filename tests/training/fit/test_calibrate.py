from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from zipocr.evaluation.error_rates import upper_bound
from zipocr.models.model_file import ARRAYS, NETWORK, SHAPES, TABLES
from zipocr.preprocess.page import prepare
from zipocr.reader import Reader
from zipocr.training.fit.calibrate import (
    ERRORS,
    MIN_WRITERS,
    ScoredReading,
    acceptance_table,
    bound_by_writer,
    calibrate,
    confidences,
    cross_fitted,
    fit_confidence,
    like_mail,
    mail_weights,
    raised_to,
    score_strings,
    strictest,
)
from zipocr.training.synthesis.compose import Composer
from zipocr.training.synthesis.negatives import Negatives

# Mostly right, so that there is something to promise, and often equally sure.
answers = st.lists(
    st.tuples(st.floats(0, 1) | st.sampled_from([0.25, 0.5]), st.integers(0, 20).map(bool)),
    min_size=1,
    max_size=150,
)


def reading(features: list[float], *, right: bool) -> ScoredReading:
    seen = np.array(features, np.float32)
    return ScoredReading(features=seen, truth="02108", writer=0, is_right=right)


def test_confidence_rises_with_features_that_go_with_being_right():
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(800, 2))
    readings = [
        reading(row.tolist(), right=bool(rng.random() < 1 / (1 + np.exp(-3 * row[0]))))
        for row in seen
    ]
    fitted = fit_confidence(readings, np.ones(len(readings)))
    assert fitted.shape == (3,)
    assert fitted[0] > 5 * abs(fitted[1])
    sure = confidences(readings, fitted)
    assert ((sure >= 0) & (sure <= 1)).all()
    right = np.array([one.is_right for one in readings])
    assert sure.mean() == pytest.approx(right.mean(), abs=0.02)
    assert sure[right].mean() > sure[~right].mean() + 0.3


def right_of(found: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    sure, right = (np.array(column) for column in zip(*found, strict=True))
    return sure, right.astype(bool)


def accepted(sure: np.ndarray, threshold: float) -> np.ndarray:
    """As a row decides it."""
    return np.array([round(one, 4) >= threshold for one in sure.tolist()])


def exact_bound(wrong: int, count: int) -> float:
    """SciPy's own; a one-sided 95 % bound is the upper end of a two-sided interval of 90 %."""
    return binomtest(wrong, count).proportion_ci(0.9, method="exact").high


@given(st.integers(0, 400), st.integers(1, 400))
def test_the_bound_is_the_exact_binomial_one(wrong, count):
    wrong = min(wrong, count)
    assert upper_bound(np.array([wrong]), np.array([count]))[0] == pytest.approx(
        exact_bound(wrong, count)
    )


@pytest.mark.parametrize(
    ("wrong", "count", "bound"),
    [(0, 299, 0.00997), (0, 298, 0.01000), (1, 473, 0.00999), (3, 3, 1.0)],
)
def test_the_bound_is_what_tables_say(wrong, count, bound):
    assert upper_bound(np.array([wrong]), np.array([count]))[0] == pytest.approx(bound, abs=6e-6)


@given(answers)
def test_every_row_keeps_its_promise_and_no_lower_threshold_does(found):
    sure, right = right_of(found)
    rows = dict(acceptance_table(sure, right).tolist())
    assert rows.keys() <= set(ERRORS)
    for error in ERRORS:
        keeping = [
            level
            for level in np.round(sure, 4).tolist()
            if exact_bound(
                int((~right[accepted(sure, level)]).sum()), int(accepted(sure, level).sum())
            )
            <= error
        ]
        assert rows.get(error) == (min(keeping) if keeping else None)


@given(answers)
def test_a_table_of_any_strings_can_stand_in_a_model(found):
    table = acceptance_table(*right_of(found))
    assert (table.dtype, table.shape[1]) == (np.float64, 2)
    assert (np.diff(table[:, 0]) > 0).all()
    assert (np.diff(table[:, 1]) <= 0).all()
    assert ((table[:, 1] >= 0) & (table[:, 1] <= 1)).all()
    assert np.array_equal(table, np.round(table, 4))


def test_an_error_takes_as_many_strings_as_it_is_small():
    for count, least in ((10, None), (14, 0.2), (59, 0.05), (299, 0.01), (2995, 0.001)):
        table = acceptance_table(np.linspace(0.5, 0.9, count), np.ones(count, bool))
        assert (table[0, 0] if len(table) else None) == least


def test_where_all_are_wrong_nothing_is_promised():
    assert acceptance_table(np.linspace(0.5, 0.9, 500), np.zeros(500, bool)).shape == (0, 2)


def test_equally_sure_readings_are_accepted_together_or_not_at_all():
    sure = np.repeat([0.9, 0.8], 300)
    right = np.arange(600) < 450
    assert acceptance_table(sure, right)[:4].tolist() == [
        [0.01, 0.9],
        [0.02, 0.9],
        [0.03, 0.9],
        [0.05, 0.9],
    ]
    assert len(acceptance_table(np.repeat(0.9, 600), right)) == 0


def test_the_order_of_the_strings_does_not_matter():
    rng = np.random.default_rng(0)
    sure = np.round(rng.random(2000), 2)
    right = rng.random(2000) < 0.8 + 0.2 * sure
    shuffled = rng.permutation(2000)
    table = acceptance_table(sure, right)
    assert len(table)
    assert np.array_equal(acceptance_table(sure[shuffled], right[shuffled]), table)


def test_confidence_in_a_string_comes_from_other_writers():
    rng = np.random.default_rng(0)
    # The features mean nothing, but each writer has a column of their own: who fits to it knows all
    # their strings.
    readings = [
        replace(reading((np.eye(10)[writer] * 5).tolist(), right=bool(writer % 2)), writer=writer)
        for writer in rng.integers(0, 10, 300)
    ]
    right = np.array([one.is_right for one in readings])
    known = confidences(readings, fit_confidence(readings, np.ones(300)))
    assert known[right].mean() > known[~right].mean() + 0.3
    fair = cross_fitted(readings, np.ones(300))
    assert fair[right].mean() < fair[~right].mean() + 0.1


def test_what_a_writer_wrote_does_not_change_the_confidence_in_it():
    rng = np.random.default_rng(0)
    readings = [
        replace(
            reading(rng.normal(size=3).tolist(), right=bool(rng.random() < 0.7)), writer=number % 7
        )
        for number in range(210)
    ]
    own = np.array([one.writer == 3 for one in readings])
    turned = [
        replace(one, is_right=not one.is_right) if one.writer == 3 else one for one in readings
    ]
    assert np.array_equal(
        cross_fitted(readings, np.ones(210))[own], cross_fitted(turned, np.ones(210))[own]
    )
    assert not np.array_equal(
        cross_fitted(readings, np.ones(210))[~own], cross_fitted(turned, np.ones(210))[~own]
    )


@pytest.mark.parametrize(
    ("listed", "others", "taken"), [(98, 60, 2), (980, 300, 20), (10, 5, 0), (980, 7, 7), (0, 5, 0)]
)
def test_a_sample_like_mail_has_two_unlisted_in_a_hundred(listed, others, taken):
    truths = ["02108"] * listed + ["00000"] * others
    np.random.default_rng(0).shuffle(truths)
    chosen = like_mail([replace(reading([0.0], right=True), truth=truth) for truth in truths])
    assert len(np.unique(chosen)) == len(chosen) == listed + taken
    assert [truths[place] for place in chosen].count("00000") == taken


def test_the_unlisted_of_a_sample_come_from_all_of_it():
    truths = ["02108", "00000"] * 980
    chosen = like_mail([replace(reading([0.0], right=True), truth=truth) for truth in truths])
    places = [place for place in chosen if truths[place] == "00000"]
    assert np.diff(places).max() < 2 * len(truths) / len(places)


def test_unlisted_strings_weigh_as_little_as_they_are_rare_on_mail():
    readings = [
        replace(reading([0.0], right=True), truth=text)
        for text in ["02108", "90210", "60614", "00000", "00001", "00002", "00003"]
    ]
    weights = mail_weights(readings)
    assert weights.sum() == pytest.approx(len(readings))
    assert 0.001 < weights[3:].sum() / weights.sum() < 0.1
    assert np.ptp(weights[:3]) == pytest.approx(0)
    assert mail_weights(readings[:3]) == pytest.approx(np.ones(3))


def test_confidence_follows_the_strings_that_weigh_more():
    rng = np.random.default_rng(0)
    readings = [
        reading([float(place % 2)], right=bool(rng.random() < 0.5 + 0.4 * (place % 2)))
        for place in range(400)
    ]
    right = np.array([one.is_right for one in readings])
    doubting, trusting = (
        fit_confidence(readings, np.where(right, weight, 1.0)) for weight in (0.3, 3.0)
    )
    assert confidences(readings, doubting).mean() < confidences(readings, trusting).mean() - 0.1


def test_the_bound_by_writer_is_that_of_a_ratio_of_totals():
    """Three writers with 4, 4 and 2 strings, of which 0, 1 and 0 are wrong."""
    writers = np.repeat([7, 9, 2], [4, 4, 2])
    right = np.ones(10, bool)
    right[5] = False
    (bound,) = bound_by_writer(np.full(10, 0.9), right, writers)
    squares = 0.4**2 + 0.6**2 + 0.2**2
    assert bound == pytest.approx(0.1 + 4.30265 * (squares * 3 / 2) ** 0.5 / 10)
    sure = np.where(np.arange(10) < 5, 0.9, 0.8)
    assert bound_by_writer(sure, right, writers) == pytest.approx([0.0, bound])


def test_errors_of_one_writer_prove_less_than_those_of_many():
    """30 of 6,000 strings are wrong, evenly spread over the confidences."""
    place = np.arange(6000)
    writers, sure = place % MIN_WRITERS, np.linspace(0.9, 0.5, len(place))
    by_many = place % 200 != place // 200 % MIN_WRITERS
    by_one = place % 200 != 3
    plain, strict = (
        dict(acceptance_table(sure, right, writers).tolist()) for right in (by_many, by_one)
    )
    assert (~by_many).sum() == (~by_one).sum() == 30
    assert set(writers[~by_one].tolist()) == {3}
    assert plain[0.01] == 0.5
    assert 0.01 not in strict
    few = writers % (MIN_WRITERS - 1)
    assert acceptance_table(sure, by_one, few).tolist() == acceptance_table(sure, by_one).tolist()


def test_few_strings_may_not_disprove_what_they_cannot_prove():
    sure, right = np.linspace(0.9, 0.5, 400), np.arange(400) < 390
    assert acceptance_table(sure, right, proven=False)[0].tolist() == [
        0.001,
        acceptable(sure, right, 0.001),
    ]
    assert acceptance_table(sure, right, proven=False)[-1, 1] == 0.5
    assert acceptance_table(sure, right)[0, 0] == 0.01
    wrong = np.zeros(400, bool)
    assert acceptance_table(sure, wrong, proven=False)[:, 0].tolist() == [0.1, 0.2]


def acceptable(sure: np.ndarray, right: np.ndarray, error: float) -> float:
    """The lowest threshold whose share of wrong strings is not shown to be above an error."""
    counts = np.arange(1, len(sure) + 1)
    lows = [
        binomtest(int(wrong), int(count)).proportion_ci(0.9, method="exact").low
        for wrong, count in zip(np.cumsum(~right), counts, strict=True)
    ]
    return float(sure[np.flatnonzero(np.array(lows) <= error)[-1]].round(4))


def test_thresholds_hold_on_the_worst_domain():
    first = np.array([[0.005, 0.99], [0.01, 0.9], [0.02, 0.8]])
    other = np.array([[0.01, 0.95], [0.02, 0.7], [0.03, 0.6]])
    assert strictest([first, other]).tolist() == [[0.01, 0.95], [0.02, 0.8]]
    assert strictest([first]).tolist() == first.tolist()
    assert strictest([first, np.empty((0, 2))]).shape == (0, 2)


def test_thresholds_are_raised_to_those_of_the_next_error_rate_that_is_known():
    table = np.array([[0.005, 0.97], [0.01, 0.9], [0.02, 0.7]])
    lowest = np.array([[0.01, 0.95], [0.02, 0.6]])
    assert raised_to(lowest, table).tolist() == [[0.005, 0.97], [0.01, 0.95], [0.02, 0.7]]
    assert raised_to(np.array([[0.01, 0.98]]), table)[0].tolist() == [0.005, 0.98]
    assert raised_to(np.empty((0, 2)), table).tolist() == table.tolist()
    assert raised_to(lowest, np.empty((0, 2))).shape == (0, 2)


def test_no_threshold_with_the_directory_is_below_that_without_it(tiny, all_digits):
    negatives = Negatives(all_digits, seed=3, part="train", kinds={"blank": 1.0})
    composer = Composer(all_digits, seed=11, kinds={"faint": 1, "white": 1})
    found, _ = calibrate(dict(tiny.model.arrays), {"any": composer}, negatives, 180, jobs=1)
    listed, unlisted = found["acceptance_listed"], dict(found["acceptance_unlisted"].tolist())
    shared = [(threshold, unlisted[error]) for error, threshold in listed if error in unlisted]
    assert shared
    assert all(threshold >= other for threshold, other in shared)


def test_a_domain_that_is_read_badly_raises_the_thresholds(tiny, all_digits):
    """Strings far from those of the first domain count, though they are few."""
    negatives = Negatives(all_digits, seed=3, part="train", kinds={"blank": 1.0})
    fitted = {name: tiny.model.arrays[name] for name in tiny.model.arrays}
    easy = Composer(all_digits, seed=11, kinds={"white": 1})
    hard = Composer(all_digits, seed=12, kinds={"faint": 1, "blurred": 1})
    alone, _ = calibrate(fitted, {"easy": easy}, negatives, 180, jobs=1)
    both, facts = calibrate(fitted, {"easy": easy, "hard": hard}, negatives, 180, jobs=1)
    assert facts["confidence_strings"] == 195
    assert {name.split(", ")[0] for name in facts if "read" in name} == {"easy", "hard"}
    assert not np.array_equal(alone["confidence_listed"], both["confidence_listed"])


def test_calibration_completes_a_model(tiny):
    arrays = tiny.model.arrays
    assert set(arrays) == {*ARRAYS, *NETWORK}
    assert all(arrays[name].shape == shape for name, shape in SHAPES.items())
    assert all(np.isfinite(array).all() for array in arrays.values())
    assert all(arrays[name].shape[1] == 2 for name in TABLES)
    facts = ("own, read with the directory", "own, read without it")
    assert all(0 <= tiny.facts[name] <= 1 for name in facts)


def test_the_tiny_model_reads_most_strings_like_those_it_learnt(tiny):
    assert tiny.facts["own, read without it"] > 0.5


def test_the_strings_asked_for_are_read_with_and_without_the_directory(tiny, all_digits):
    composer, numbers = Composer(all_digits, seed=11, kinds={"white": 1}), (2, 0)
    found = score_strings(tiny.model, composer, numbers, jobs=1)
    written = [composer.nth(number) for number in numbers]
    expected = [[(one.text, one.writer)] * 2 for one in written]
    assert [[(one.truth, one.writer) for one in pair] for pair in found] == expected
    for way, used in enumerate((True, False)):
        reader = Reader(tiny.model, use_directory=used)
        for composed, pair in zip(written, found, strict=True):
            fused = reader.read_upright([prepare(composed.image)])[0].fused
            assert fused is not None
            assert pair[way].is_right == (fused.best.text == composed.text)
            assert np.array_equal(pair[way].features, reader.features(fused))


def test_a_page_without_a_zip_is_never_read_right(tiny, all_digits):
    others = Negatives(all_digits, seed=3, part="train", kinds={"six": 1.0})
    found = score_strings(tiny.model, others, range(6), jobs=1)
    assert found
    assert not any(one.is_right for pair in found for one in pair)
