"""Evaluation metrics, checked against an independent scorer and direct counts."""

import madeup
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from zipocr.evaluation.error_rates import RISKS, wilson
from zipocr.evaluation.metrics import Case, Population, evaluate
from zipocr.types import Status

# Output of an independent scorer for the same rows and labels.
SCORED = {
    "a": (
        80,
        0.775,
        0.09026952577493426,
        0.4375,
        0.4375,
        0.7875,
        0.12698412698412698,
        0.06627222222222223,
        0.1,
    ),
    "b": (
        80,
        0.7875,
        0.08855043200571042,
        0.4875,
        0.4875,
        0.7875,
        0.11111111111111116,
        0.09481081081081082,
        0.075,
    ),
    "c": (80, 0.8, 0.08671855708643902, 0.4625, 0.4625, 0.8, 0.109375, 0.07525466666666668, 0.0625),
    "all": (
        240,
        0.7875,
        0.05154542666527886,
        0.4708333333333333,
        0.44166666666666665,
        0.7916666666666666,
        0.11578947368421055,
        0.05596515837104073,
        0.07916666666666672,
    ),
}


def case(
    read: str = "02108",
    truth: str = "02108",
    confidence: float | None = 0.9,
    *,
    status: Status = Status.READ,
    **more,
) -> Case:
    return Case(
        file=more.pop("file", "x.png"),
        page=1,
        read=read,
        truth=truth,
        confidence=confidence,
        status=status,
        **more,
    )


def right(confidence: float = 0.9, **more) -> Case:
    return case(confidence=confidence, **more)


def wrong(confidence: float = 0.9, **more) -> Case:
    return case(read="02109", confidence=confidence, **more)


def test_metrics_match_an_independent_scorer():
    found = evaluate(madeup.cases(), max_error=0.01)
    for name, figures in (*found.groups.items(), ("all", found.figures)):
        width = (figures.exact_interval.high - figures.exact_interval.low) / 2
        values = (
            figures.count,
            figures.exact,
            width,
            *figures.at_risk,
            figures.accepted,
            figures.wrong,
            figures.ece,
            figures.unread,
        )
        assert values == pytest.approx(SCORED[name])
    assert found.groups.keys() == {"a", "b", "c"}
    assert RISKS == (0.01, 0.001)


def test_a_single_group_is_not_reported():
    assert evaluate([right(group="a"), wrong(group="a")], max_error=0.01).groups == {}


@pytest.mark.parametrize(
    ("read", "truth", "is_whole", "is_right"),
    [
        ("02108", "02108", False, True),
        ("021081234", "02108", False, True),
        ("021081234", "02108", True, False),
        ("021081234", "021081234", True, True),
        ("021081235", "021081234", True, False),
        ("02108", "021081234", True, False),
        ("02109", "02108", False, False),
        ("", "02108", False, False),
        ("", "", True, True),
        ("02108", "", True, False),
    ],
)
def test_all_known_digits_must_be_right(read, truth, is_whole, is_right):
    one = case(read, truth, is_whole=is_whole)
    assert one.is_right is is_right
    assert evaluate([one], max_error=0.01).figures.exact == is_right


def test_digits_are_compared_by_position_up_to_the_shorter_string():
    found = evaluate(
        [
            case("12345", "12845"),
            case("123456789", "123456780", is_whole=True),
            case("", "11111"),
            case("11111", ""),
        ],
        max_error=0.1,
    )
    assert [(one.place, one.count, one.right) for one in found.places] == [
        *((place, 2, 0.5 if place == 3 else 1) for place in range(1, 6)),
        *((place, 1, 0 if place == 9 else 1) for place in range(6, 10)),
    ]
    assert found.confusion.sum() == 14
    assert (found.confusion[8, 3], found.confusion[0, 9], np.trace(found.confusion)) == (1, 1, 12)


def test_the_worst_errors_are_the_most_confident_and_exclude_unread_pages():
    cases = [
        wrong(0.3, file="c"),
        wrong(0.9, file="b"),
        wrong(0.9, file="a"),
        right(0.99),
        case("", "02108", None, status=Status.UNREAD),
    ]
    found = evaluate(cases, max_error=0.01, worst=2)
    assert [(one.file, one.confidence) for one in found.worst] == [("a", 0.9), ("b", 0.9)]
    assert found.errors == 4


def test_the_suggested_threshold_is_the_lowest_the_exact_bound_allows():
    cases = [right(1 - number / 1000) for number in range(400)] + [
        wrong(0.55),
        right(0.5),
        wrong(0.4),
    ]
    found = evaluate(cases, max_error=0.012)
    point = found.suggestion.point
    assert point is not None
    # 401 right and 1 wrong; a second error would be too many.
    assert point.threshold == 0.5
    assert point.wrong == pytest.approx(1 / 402)
    assert point.bound == pytest.approx(binomtest(1, 402).proportion_ci(0.9, "exact").high)
    assert binomtest(2, 403).proportion_ci(0.9, "exact").high > 0.012
    assert point.accepted == pytest.approx(402 / 403)


def test_too_few_labels_give_no_threshold_but_the_number_needed():
    few = evaluate([right()] * 298, max_error=0.01).suggestion
    assert (few.point, few.lacks_labels, few.checked, few.needed) == (None, True, 298, 299)
    assert few.surest is not None
    assert 0.01 < few.surest.bound < 0.0101
    enough = evaluate([right()] * 299, max_error=0.01).suggestion
    assert enough.point is not None
    assert enough.point.threshold == 0.9


def test_too_many_errors_are_not_reported_as_too_few_labels():
    found = evaluate(
        [wrong(0.99), *[right()] * 400, wrong(0.8)] * 2 + [wrong(1.0)] * 9, max_error=0.01
    ).suggestion
    assert (found.point, found.lacks_labels) == (None, False)


def test_without_any_reading_no_threshold_is_suggested():
    found = evaluate([case("", "02108", None, status=Status.UNREAD)], max_error=0.01)
    assert (
        found.suggestion.point,
        found.suggestion.surest,
        found.curve.threshold.size,
        found.bins,
    ) == (None, None, 0, ())
    assert (found.figures.exact, found.figures.unread, found.figures.wrong, found.figures.ece) == (
        0,
        1,
        0,
        0,
    )


def batch(read: int, doubtful: int, *, sure: float = 0.9) -> Population:
    return Population(read=np.full(read, sure), doubtful=np.full(doubtful, 0.2))


def audited(count: int, wrong_ones: int, sure: float = 0.9) -> list[Case]:
    return [
        (wrong if number < wrong_ones else right)(sure, is_audit=True) for number in range(count)
    ]


def doubts(count: int, wrong_ones: int) -> list[Case]:
    return [
        (wrong if number < wrong_ones else right)(0.2, status=Status.REVIEW, is_doubt=True)
        for number in range(count)
    ]


def test_an_audited_page_represents_the_pages_it_was_sampled_from():
    found = evaluate([*audited(100, 2), *doubts(200, 80)], max_error=0.01, batch=batch(800, 200))
    # 2 % of 800 and 80 of 200 are wrong.
    assert found.figures.exact == pytest.approx(1 - (16 + 80) / 1000)
    assert found.figures.accepted == pytest.approx(0.8)
    assert found.figures.wrong == pytest.approx(0.02)
    assert found.figures.at_risk == (0, 0)
    assert found.confusion.sum() == pytest.approx(5000)
    assert found.estimate is not None
    assert (found.estimate.pages, found.estimate.undecided) == (1000, 0)


def test_a_batch_interval_combines_the_exact_audit_interval_with_known_decisions():
    found = evaluate([*audited(100, 2), *doubts(200, 80)], max_error=0.01, batch=batch(800, 200))
    exact = binomtest(2, 100).proportion_ci(0.95, "exact")
    interval = found.figures.exact_interval
    assert interval.low == pytest.approx((800 * (1 - exact.high) + 120) / 1000)
    # The lower bound of the audit alone would allow fewer than the two errors it found.
    assert 800 * exact.low < 2
    assert interval.high == pytest.approx((798 + 120) / 1000)
    assert (found.figures.wrong_interval.low, found.figures.wrong_interval.high) == pytest.approx(
        (exact.low, exact.high)
    )


def test_an_audit_of_all_pages_leaves_no_uncertainty():
    found = evaluate([*audited(50, 5), *doubts(10, 5)], max_error=0.01, batch=batch(50, 10))
    assert found.figures.exact_interval.low == pytest.approx(50 / 60)
    assert found.figures.exact_interval.high == pytest.approx(50 / 60)
    assert found.curve.bound[-1] == pytest.approx(10 / 60)


def test_undecided_pages_widen_the_interval():
    found = evaluate([*audited(50, 0), *doubts(10, 4)], max_error=0.01, batch=batch(50, 40))
    assert found.figures.exact == pytest.approx((50 + 0.6 * 40) / 90)
    assert found.figures.exact_interval.low == pytest.approx(56 / 90)
    assert found.figures.exact_interval.high == pytest.approx(86 / 90)


def test_an_audit_alone_covers_only_the_pages_that_were_read():
    found = evaluate(audited(100, 1), max_error=0.01, batch=batch(1000, 500))
    assert found.estimate is not None
    assert (found.estimate.pages, found.estimate.decided) == (1000, 0)
    assert (found.figures.exact, found.figures.accepted) == (pytest.approx(0.99), 1)


def test_an_evaluation_of_doubtful_pages_alone_is_flagged():
    assert evaluate(doubts(9, 3), max_error=0.01, batch=batch(10, 9)).is_of_doubt
    assert not evaluate(
        [*doubts(9, 3), *audited(5, 0)], max_error=0.01, batch=batch(10, 9)
    ).is_of_doubt
    assert not evaluate([right()], max_error=0.01).is_of_doubt


def test_the_bound_for_a_batch_depends_on_the_size_of_its_audit():
    found = evaluate(
        [*audited(300, 0), *doubts(50, 50)], max_error=0.01, batch=batch(9000, 50)
    ).suggestion
    assert found.point is not None
    assert (found.point.threshold, found.checked) == (0.9, 300)
    assert found.point.bound == pytest.approx(binomtest(0, 300).proportion_ci(0.9, "exact").high)
    assert found.point.accepted == pytest.approx(9000 / 9050)
    few = evaluate(
        [*audited(200, 0), *doubts(150, 50)], max_error=0.01, batch=batch(9000, 150)
    ).suggestion
    assert (few.point, few.lacks_labels) == (None, True)


def test_undecided_pages_below_the_threshold_of_the_results_count_as_wrong():
    decided = [right(0.5, status=Status.REVIEW, is_doubt=True)] * 30
    all_of_them = Population(
        read=np.full(1000, 0.9), doubtful=np.append(np.full(40, 0.5), np.full(10, np.nan))
    )
    found = evaluate([*audited(1000, 0), *decided], max_error=0.01, batch=all_of_them)
    assert found.curve.threshold.tolist() == [0.9, 0.5]
    assert found.curve.bound.tolist() == [0, pytest.approx(10 / 1040)]


@given(
    st.integers(1, 60),
    st.integers(0, 60),
    st.integers(0, 40),
    st.integers(0, 40),
    st.integers(0, 50),
    st.integers(0, 50),
)
def test_estimates_lie_within_their_intervals(
    audits, audit_errors, decided, decided_errors, more_read, more_doubtful
):
    cases = [
        *audited(audits, min(audit_errors, audits)),
        *doubts(decided, min(decided_errors, decided)),
    ]
    found = evaluate(
        cases, max_error=0.01, batch=batch(audits + more_read, decided + more_doubtful)
    )
    figures = found.figures
    assert 0 <= figures.exact_interval.low <= figures.exact + 1e-12
    assert figures.exact <= figures.exact_interval.high + 1e-12 <= 1 + 1e-9
    assert (found.curve.bound + 1e-12 >= found.curve.wrong).all()


def test_groups_of_a_batch_are_evaluated_on_their_own_labels():
    cases = [
        *(right(is_audit=True, group="a") for _ in range(40)),
        *(wrong(0.2, status=Status.REVIEW, group="b") for _ in range(10)),
    ]
    found = evaluate(cases, max_error=0.01, batch=batch(400, 10))
    assert found.groups["a"].exact_interval == wilson(1.0, 40)
    assert found.groups["b"].exact == 0
