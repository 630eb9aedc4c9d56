import fakes
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zipocr.results.row import to_row, unread_row
from zipocr.types import Reason, Status


@pytest.mark.parametrize(
    ("confidence", "status", "reasons"),
    [
        (0.9, Status.READ, ()),
        (0.89996, Status.READ, ()),
        (0.8999, Status.REVIEW, (Reason.LOW_CONFIDENCE,)),
    ],
)
def test_the_threshold_is_compared_with_the_confidence_as_written(
    confidence: float, status: Status, reasons: tuple[Reason, ...]
) -> None:
    row = to_row("x", 1, fakes.zip_reading("12345", confidence=confidence), min_confidence=0.9)
    assert (row.status, row.reason) == (status, reasons)


@pytest.mark.parametrize(
    ("reasons", "required", "status"),
    [
        ((Reason.NOT_IN_DIRECTORY,), False, Status.READ),
        ((Reason.NOT_IN_DIRECTORY,), True, Status.REVIEW),
        ((Reason.DIRECTORY_CHOICE,), True, Status.READ),
    ],
)
def test_an_unlisted_zip_counts_as_read_unless_listing_is_required(
    reasons: tuple[Reason, ...],
    required: bool,
    status: Status,
) -> None:
    reading = fakes.zip_reading("00000", confidence=0.995, reasons=reasons)
    row = to_row("x", 1, reading, min_confidence=0.9, require_listed=required)
    assert (row.status, row.reason, row.confidence) == (status, reasons, 0.995)


@given(st.lists(st.sampled_from(Reason), unique=True), st.booleans())
def test_reasons_have_a_fixed_order(reasons: list[Reason], low: bool) -> None:
    reading = fakes.zip_reading("12345", confidence=0.1 if low else 0.9, reasons=tuple(reasons))
    row = to_row("x", 1, reading, min_confidence=0.5)
    assert set(row.reason) == {*reasons, *([Reason.LOW_CONFIDENCE] if low else [])}
    assert list(row.reason) == sorted(row.reason, key=list(Reason).index)


def test_a_missing_runner_up_has_no_confidence() -> None:
    row = to_row("x.png", 1, fakes.zip_reading("02108"), min_confidence=0.5)
    assert row.runner_up_confidence is None
    assert unread_row("x", 1, Reason.NO_INK).confidence is None
