from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reviewing import row, unread

from zipocr.results.corrections import SampledAs, Verdict
from zipocr.review.queue import Queue, line_up
from zipocr.types import Reason, Status

READ = [row(f"read-{number}.png", confidence=0.99, status=Status.READ) for number in range(60)]
DOUBTFUL = [row(f"{number}.png", confidence=number / 100) for number in range(40)]


def test_the_least_confident_come_first_and_pages_without_a_zip_before_them() -> None:
    rows = [
        row("b.png", confidence=0.7),
        row("c.png", confidence=0.2),
        READ[0],
        unread("a.png"),
        row("d.png", confidence=0.2),
    ]
    assert [item.row.file for item in line_up(rows)] == ["a.png", "c.png", "d.png", "b.png"]
    assert {item.drawn for item in line_up(rows)} == {SampledAs.DOUBT}


def test_the_last_of_several_rows_about_a_page_counts() -> None:
    rows = [
        row("a.png", "02108"),
        row("a.png", "02109"),
        row("a.png", "10001", page=2),
        row("b.png"),
        READ[0],
    ]
    again = row("b.png", "10001", confidence=1.0, status=Status.READ)
    assert [item.read_zip for item in line_up([*rows, again])] == ["02109", "10001"]


def test_nine_digits_are_shown_with_a_dash() -> None:
    assert line_up([row(zip_="02108-1234")])[0].read_zip == "02108-1234"
    assert line_up([unread("a.png", Reason.NO_INK)])[0].read_zip == ""


@given(st.integers(0, 80), st.integers(0, 5), st.integers(0, 40))
def test_the_sample_is_drawn_from_read_pages_and_keeps_the_order_of_the_rest(
    audit: int, seed: int, doubtful: int
) -> None:
    items = line_up([*READ, *DOUBTFUL[:doubtful]], audit=audit, seed=seed)
    drawn = [item.row for item in items if item.drawn is SampledAs.AUDIT]
    assert len({each.file for each in drawn}) == len(drawn) == min(audit, len(READ))
    assert all(each.status is Status.READ for each in drawn)
    assert [item.row for item in items if item.drawn is SampledAs.DOUBT] == DOUBTFUL[:doubtful]
    assert items == line_up([*READ, *DOUBTFUL[:doubtful]], audit=audit, seed=seed)


@pytest.mark.parametrize("seed", range(5))
def test_the_sample_is_spread_over_the_whole_order(seed: int) -> None:
    items = line_up([*READ, *DOUBTFUL], audit=10, seed=seed)
    assert [
        sum(item.drawn is SampledAs.AUDIT for item in items[first : first + 5])
        for first in range(0, 50, 5)
    ] == [1] * 10


def test_no_position_in_the_order_reveals_the_sample() -> None:
    places = Counter(
        number % 5
        for seed in range(400)
        for number, item in enumerate(line_up([*READ, *DOUBTFUL], audit=10, seed=seed))
        if item.drawn is SampledAs.AUDIT
    )
    assert all(700 < count < 900 for count in places.values())


def test_the_sample_does_not_favour_any_page() -> None:
    chosen = Counter(
        item.row.file
        for seed in range(300)
        for item in line_up([*READ, *DOUBTFUL], audit=6, seed=seed)
        if item.drawn is SampledAs.AUDIT
    )
    assert len(chosen) == len(READ)
    assert max(chosen.values()) < 3 * 300 * 6 / len(READ)


def test_a_settled_page_does_not_come_back_until_it_is_undone() -> None:
    queue = Queue(4)
    assert queue.coming(2) == [0, 1]
    queue.settle(1, Verdict.CONFIRMED)
    queue.settle(0, Verdict.SKIPPED)
    assert queue.coming(9) == [2, 3]
    assert queue.latest == 0
    queue.settle(0, Verdict.UNDONE)
    assert (queue.coming(9), queue.latest) == ([0, 2, 3], 1)
    queue.settle(1, Verdict.UNDONE)
    assert (queue.coming(9), queue.latest) == ([0, 1, 2, 3], None)


def test_skipped_pages_come_back_only_when_reopened() -> None:
    queue = Queue(3)
    for number, verdict in enumerate((Verdict.SKIPPED, Verdict.CORRECTED, Verdict.SKIPPED)):
        queue.settle(number, verdict)
    assert queue.coming(9) == []
    queue.reopen_skipped()
    assert queue.coming(9) == [0, 2]
    queue.settle(0, Verdict.NOT_A_ZIP)
    queue.settle(2, Verdict.SKIPPED)
    assert queue.coming(9) == []
    assert queue.counts == {Verdict.NOT_A_ZIP: 1, Verdict.CORRECTED: 1, Verdict.SKIPPED: 1}
