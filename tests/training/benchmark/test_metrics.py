import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zipocr.evaluation.error_rates import half_width
from zipocr.training.benchmark.metrics import Answer, change, reliability, score, score_by_kind


def answer(
    confidence: float | None,
    *,
    right: bool = False,
    kind: str = "",
    accepted: bool = False,
    place: int | None = None,
) -> Answer:
    return Answer(
        kind=kind,
        is_right=right,
        confidence=confidence,
        accepted=accepted,
        place=0 if right else place,
    )


read = st.builds(
    lambda confidence, right, accepted, place: answer(
        confidence, right=right, accepted=accepted, place=place
    ),
    st.sampled_from([0.0, 0.1234, 0.5, 0.9, 0.99, 0.999, 1.0])
    | st.floats(0, 1).map(lambda value: round(value, 4)),
    st.booleans(),
    st.booleans(),
    st.none() | st.integers(1, 11),
)
answers = st.lists(read | st.just(answer(None)), min_size=1, max_size=80)


def largest_acceptable(found: list[Answer], risk: float) -> int:
    """The largest set that a threshold accepts at that error, by trying all thresholds."""
    sizes = [0]
    for threshold in {one.confidence for one in found if one.confidence is not None}:
        taken = [one for one in found if one.confidence is not None and one.confidence >= threshold]
        if sum(not one.is_right for one in taken) <= risk * len(taken):
            sizes.append(len(taken))
    return max(sizes)


def error_by_hand(found: list[Answer]) -> float:
    """Expected calibration error, a bin after the other.

    15 of equal count, in which equal confidences share their mean truth.
    """
    sure = sorted(
        (one for one in found if one.confidence is not None), key=lambda one: -one.confidence
    )
    truths = {}
    for one in sure:
        alike = [other.is_right for other in sure if other.confidence == one.confidence]
        truths[one.confidence] = sum(alike) / len(alike)
    total = 0.0
    for number in range(15):
        own = sure[number * len(sure) // 15 : (number + 1) * len(sure) // 15]
        if own:
            mean_confidence = sum(one.confidence for one in own) / len(own)
            mean_truth = sum(truths[one.confidence] for one in own) / len(own)
            total += abs(mean_confidence - mean_truth) * len(own)
    return total / len(sure) if sure else 0.0


@given(answers)
def test_every_figure_is_what_a_direct_computation_gives(found):
    figures = score(found)
    taken = [one for one in found if one.accepted]
    assert figures.count == len(found)
    assert figures.exact == pytest.approx(sum(one.is_right for one in found) / len(found))
    assert figures.at_risk == pytest.approx(
        [largest_acceptable(found, risk) / len(found) for risk in (0.01, 0.001)]
    )
    assert figures.accepted == pytest.approx(len(taken) / len(found))
    assert figures.wrong == pytest.approx(
        sum(not one.is_right for one in taken) / len(taken) if taken else 0.0
    )
    assert figures.ece == pytest.approx(error_by_hand(found))
    assert figures.unread == pytest.approx(
        sum(one.confidence is None for one in found) / len(found)
    )
    within = [[one.place is not None and one.place < most for one in found] for most in (2, 12)]
    assert figures.within == pytest.approx([sum(hits) / len(found) for hits in within])


@given(answers, st.randoms())
def test_the_order_of_the_crops_means_nothing(found, chance):
    shuffled = list(found)
    chance.shuffle(shuffled)
    one, other = score(shuffled), score(found)
    assert replace(one, ece=0.0) == replace(other, ece=0.0)
    assert one.ece == pytest.approx(other.ece)


def test_half_widths_are_those_of_wilson():
    # The figure of R's prop.test(90, 100, correct=FALSE): 0.8256 to 0.9448.
    assert half_width(0.9, 100) == pytest.approx((0.9448 - 0.8256) / 2, abs=1e-4)
    assert score([answer(0.9, right=True)] * 90 + [answer(0.9)] * 10).half_width == pytest.approx(
        half_width(0.9, 100)
    )


def test_one_wrong_in_a_hundred_may_be_accepted_at_one_per_cent_but_not_at_one_in_a_thousand():
    found = [answer(0.9, right=True)] * 99 + [answer(0.8)] + [answer(0.7)] * 10
    assert score(found).at_risk == (100 / 110, 99 / 110)


def test_equal_confidences_stand_or_fall_together():
    assert score([answer(0.9, right=True)] * 50 + [answer(0.9)]).at_risk == (0, 0)


def test_a_perfectly_calibrated_reader_has_no_error_and_a_boastful_one_all_of_it():
    assert score([answer(0.5, right=number % 2 == 0) for number in range(30)]).ece == pytest.approx(
        0
    )
    assert score([answer(1.0)] * 30).ece == pytest.approx(1)


def test_unread_crops_are_wrong_and_nothing_else():
    figures = score([answer(None)] * 3)
    assert (
        figures.exact,
        figures.accepted,
        figures.wrong,
        figures.ece,
        figures.unread,
        figures.within,
    ) == (0, 0, 0, 0, 1, (0, 0))


def test_each_kind_is_scored_alone_and_one_kind_not_at_all():
    found = [
        answer(0.9, right=True, kind="white"),
        answer(0.9, kind="kraft"),
        answer(0.9, right=True, kind="kraft"),
    ]
    assert {kind: one.exact for kind, one in score_by_kind(found).items()} == {
        "kraft": 0.5,
        "white": 1.0,
    }
    assert score_by_kind(found[1:]) == {}


@given(answers)
def test_the_bins_of_the_reliability_table_hold_every_reading_once(found):
    bins = reliability(found)
    sure = [one for one in found if one.confidence is not None]
    assert sum(one.count for one in bins) == len(sure)
    assert math.fsum(one.count * one.right for one in bins) == pytest.approx(
        sum(one.is_right for one in sure)
    )
    assert math.fsum(one.count * one.confidence for one in bins) == pytest.approx(
        math.fsum(one.confidence for one in sure)
    )
    assert all(high.confidence >= low.confidence for low, high in pairwise(bins))
    assert len(bins) <= 10


def test_a_bin_is_a_tenth_wide():
    assert [
        (one.count, one.confidence)
        for one in reliability(
            [answer(0.0), answer(0.0999), answer(0.1), answer(0.95), answer(1.0)]
        )
    ] == [
        (2, pytest.approx(0.04995)),
        (1, pytest.approx(0.1)),
        (2, pytest.approx(0.975)),
    ]


def test_a_change_counts_only_the_crops_that_changed():
    before = [answer(0.9, right=number < 80) for number in range(100)]
    now = [replace(one, is_right=one.is_right or number >= 90) for number, one in enumerate(before)]
    found = change(now, before)
    assert (found.now, found.difference) == (pytest.approx(0.9), pytest.approx(0.1))
    assert found.half_width == pytest.approx(1.96 * math.sqrt(0.1 * 0.9 / 100))
    assert change(before, before).half_width == 0
