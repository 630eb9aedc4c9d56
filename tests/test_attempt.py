"""The readings of a number: its best string, and others that the page may prefer."""

from dataclasses import replace

import numpy as np
import pytest

from tests.test_mail_reader import write
from zipocr.attempt import (
    MAX_ALTERNATIVES,
    MIN_ALTERNATIVE,
    Attempt,
    alternatives,
    judged_with,
    with_strings,
)
from zipocr.models.model_file import load_model
from zipocr.reader import Reader
from zipocr.types import Place, Reason, Unread, ZipReading

LISTED = {"12207": Place(city="Albany", state="NY"), "12201": Place(city="Albany", state="NY")}


@pytest.fixture(scope="module")
def attempt() -> Attempt:
    crop = np.full((100, 330), 235, np.uint8)
    write(crop, ("12207",), 60, 75, 2.0)
    return Reader(load_model("mail")).attempt(crop)


def with_likely(attempt: Attempt, *texts: str, confidence: float = 0.6) -> Attempt:
    """The attempt with these strings, each half as probable as the one before."""
    assert attempt.fused is not None
    assert isinstance(attempt.reading, ZipReading)
    best = attempt.fused.best
    ranked = tuple(
        replace(best, text=text, score=best.score - place * np.log(2))
        for place, text in enumerate(texts)
    )
    return replace(
        attempt,
        fused=replace(attempt.fused, ranked=ranked, without_prior=ranked),
        reading=replace(attempt.reading, zip=texts[0][:5], confidence=confidence),
    )


def test_other_strings_share_what_the_best_one_leaves(attempt: Attempt) -> None:
    found = list(alternatives(with_likely(attempt, "12207", "12201", "12267"), LISTED))
    readings = [one.reading for one in found]
    assert [one.zip for one in readings if isinstance(one, ZipReading)] == [
        "12207", "12201", "12267",
    ]  # fmt: skip
    assert [round(one.confidence, 3) for one in found] == [0.6, 0.267, 0.133]
    second = readings[1]
    assert isinstance(second, ZipReading)
    assert (second.city, second.runner_up) == ("Albany", "12207")
    assert found[1].fused is not None
    assert found[1].fused.best.text == "12201"


def test_strings_that_differ_only_in_the_add_on_are_one_alternative(attempt: Attempt) -> None:
    strings = with_likely(attempt, "12207", "122071234", "12201", "122014321")
    assert [one.fused.best.text for one in alternatives(strings, LISTED) if one.fused] == [
        "12207", "12201",
    ]  # fmt: skip


def test_improbable_strings_and_more_than_a_few_are_left_out(attempt: Attempt) -> None:
    many = [f"1220{digit}" for digit in range(9)]
    assert len(list(alternatives(with_likely(attempt, *many), LISTED))) == 1 + MAX_ALTERNATIVES
    sure = with_likely(attempt, "12207", "12201", confidence=1 - MIN_ALTERNATIVE / 2)
    assert len(list(alternatives(sure, LISTED))) == 1


def test_an_unread_number_has_no_alternatives(attempt: Attempt) -> None:
    unread = replace(attempt, reading=Unread(reason=Reason.NOT_FIVE_DIGITS), fused=None)
    assert list(alternatives(unread, LISTED)) == [unread]


def test_evidence_from_outside_raises_or_lowers_all_probabilities(attempt: Attempt) -> None:
    reading = attempt.reading
    assert isinstance(reading, ZipReading)
    reading = replace(reading, confidence=0.6, runner_up_confidence=0.3)
    up, down = reading.with_confidence(0.8), reading.with_confidence(0.3)
    assert (up.confidence, down.confidence) == pytest.approx((0.8, 0.3))
    assert (up.runner_up_confidence, down.runner_up_confidence) == pytest.approx((0.15, 0.15))
    for own, higher, lower in zip(reading.digits, up.digits, down.digits, strict=True):
        assert 1 - higher.probability == pytest.approx((1 - own.probability) / 2)
        assert lower.probability == pytest.approx(own.probability / 2)
        assert higher.runner_up_probability == pytest.approx(own.runner_up_probability / 2)


def test_strings_from_the_town_come_first_however_improbable_but_only_a_few(
    attempt: Attempt,
) -> None:
    strings = with_likely(attempt, "12207", *(f"1220{digit}" for digit in range(6)), "12267")
    asked = ("12267", "12204", "12203", "12205")
    found = [one.fused.best.text for one in alternatives(strings, LISTED, asked) if one.fused]
    assert found[:4] == ["12207", "12203", "12204", "12205"]
    assert len(found) == len(set(found)) == 1 + MAX_ALTERNATIVES


def test_more_strings_do_not_depose_the_one_that_was_read(attempt: Attempt) -> None:
    own, other = with_likely(attempt, "12207", "12201"), with_likely(attempt, "12267", "12207")
    assert other.fused is not None
    more = with_strings(own, other.fused)
    assert more.fused is not None
    assert [one.text for one in more.fused.ranked] == ["12207", "12267"]
    assert more.reading is own.reading
    assert with_strings(replace(own, fused=None), other.fused).fused is None


def test_what_a_page_says_of_other_strings_tells_which_digits_are_in_doubt(
    attempt: Attempt,
) -> None:
    reading = attempt.reading
    assert isinstance(reading, ZipReading)
    found = judged_with(reading, 0.6, [("12267", 0.3), ("52207", 0.05)])
    assert (found.confidence, found.runner_up, found.runner_up_confidence) == (0.6, "12267", 0.3)
    assert [round(one.probability, 2) for one in found.digits] == [0.9, 0.95, 0.95, 0.65, 0.95]
    assert (found.digits[3].runner_up, found.digits[0].runner_up) == (6, 5)
    assert judged_with(reading, 0.5, []) == reading.with_confidence(0.5)
