import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from zipocr.evaluation.error_rates import (
    accepting,
    calibration_error,
    exact_interval,
    half_width,
    labels_needed,
    reliability,
    risk_coverage,
    upper_bound,
    wilson,
)

confidences = st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0]) | st.floats(0, 1)
answers = st.lists(
    st.tuples(confidences, st.booleans(), st.integers(1, 4)), min_size=1, max_size=60
)


def columns(found):
    confidence, right, weights = zip(*found, strict=True)
    return np.array(confidence, float), np.array(right, bool), np.array(weights, float)


@given(st.integers(0, 300), st.integers(1, 300))
def test_intervals_match_scipy(wrong, count):
    wrong = min(wrong, count)
    exact, approximate = (
        binomtest(wrong, count).proportion_ci(0.95, "exact"),
        binomtest(wrong, count).proportion_ci(0.95, "wilson"),
    )
    found = exact_interval(wrong, count)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))
    assert (wilson(wrong / count, count).low, wilson(wrong / count, count).high) == pytest.approx(
        (approximate.low, approximate.high), abs=2e-5
    )


def test_without_samples_the_interval_is_0_to_1():
    assert (exact_interval(0, 0).low, exact_interval(0, 0).high) == (0, 1)


def test_half_width_is_half_the_wilson_interval():
    assert wilson(0.9, 100).high - wilson(0.9, 100).low == pytest.approx(2 * half_width(0.9, 100))


@given(answers)
def test_a_weight_of_n_equals_n_repeated_answers(found):
    confidence, right, weights = columns(found)
    times = weights.astype(int)
    repeated = np.repeat(confidence, times), np.repeat(right, times)
    for risk in (0.0, 0.1, 0.5):
        assert risk_coverage(confidence, right, risk, weights) == risk_coverage(*repeated, risk)
    one, other = accepting(confidence, right, weights), accepting(*repeated)
    assert np.array_equal(one.threshold, other.threshold)
    assert np.array_equal(one.wrong / one.count, other.wrong / other.count)
    assert [(bin_.confidence, bin_.right) for bin_ in reliability(confidence, right, weights)] == [
        (pytest.approx(bin_.confidence), pytest.approx(bin_.right))
        for bin_ in reliability(*repeated)
    ]


@given(answers, st.sampled_from([1.0, 2.5, 40.0]))
def test_uniform_weights_keep_the_calibration_error_and_scale_the_coverage(found, weight):
    confidence, right, _ = columns(found)
    same = np.full(len(right), weight)
    assert calibration_error(confidence, right, same) == pytest.approx(
        calibration_error(confidence, right)
    )
    assert risk_coverage(confidence, right, 0.1, same) == pytest.approx(
        weight * risk_coverage(confidence, right, 0.1)
    )


@given(answers)
def test_thresholds_decrease_while_acceptance_grows(found):
    confidence, right, _ = columns(found)
    curve = accepting(confidence, right)
    assert (np.diff(curve.threshold) < 0).all()
    assert curve.count[-1] == len(found)
    for threshold, count, wrong in zip(curve.threshold, curve.count, curve.wrong, strict=True):
        taken = confidence >= threshold
        assert (taken.sum(), (~right[taken]).sum()) == (count, wrong)


@pytest.mark.parametrize("error", [0.2, 0.01, 0.001])
def test_labels_needed_is_the_smallest_count_that_meets_the_bound(error):
    count = labels_needed(error)
    enough, less = upper_bound(np.zeros(2), np.array([count, count - 1.0]))
    assert enough <= error < less
    assert labels_needed(1.0) == 1
