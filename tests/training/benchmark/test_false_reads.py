import numpy as np
import pytest

from zipocr.training.benchmark.false_reads import (
    GROUPS,
    Tally,
    compact_table,
    count_false_pages,
    count_false_reads,
    full_table,
    together,
)
from zipocr.training.benchmark.measure import Judge
from zipocr.training.synthesis.negatives import QUOTAS
from zipocr.types import GrayImage, Reason, Unread, ZipReading

KINDS = ("blank", "six")


class SeesSizes:
    """Reads low pages with confidence, wide ones without, and others not at all."""

    def read(self, page: GrayImage) -> ZipReading | Unread:
        if page.shape[0] % 3 == 0:
            return Unread(reason=Reason.NO_INK)
        sure = 0.9 if page.shape[0] % 3 == 1 else 0.2
        return ZipReading(
            zip="02108",
            confidence=sure,
            digits=(),
            runner_up="",
            runner_up_confidence=0.0,
            reasons=(),
            city="",
            state="",
        )


def tallies(digits, *, each: int, least: float, kinds=KINDS) -> list[Tally]:
    return count_false_reads(
        Judge(reader=SeesSizes(), least=least), digits, each=each, jobs=1, kinds=kinds
    )


def test_every_page_is_counted_once_under_its_kind(all_digits):
    found = tallies(all_digits, each=12, least=0.5)
    assert [(one.kind, one.count) for one in found] == [("blank", 12), ("six", 12)]
    assert all(min(one.read, one.review, one.unread) > 0 for one in found)


def test_pages_of_mail_are_counted_by_their_kinds(all_digits, monkeypatch):
    quotas = {"printed_line": 1.0, "form": 1.0}
    monkeypatch.setattr("zipocr.training.benchmark.false_reads.PAGE_QUOTAS", quotas)
    found = count_false_pages(
        Judge(reader=SeesSizes(), least=0.5), all_digits.take(np.arange(600)), each=3, jobs=1
    )
    assert [(one.kind, one.count) for one in found] == [("printed_line", 3), ("form", 3)]
    lines = compact_table(found)
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| mail: printed line", "| mail: form", "| all",
    ]  # fmt: skip


def test_what_is_read_below_the_threshold_is_for_review(all_digits):
    above, below = tallies(all_digits, each=12, least=0.5), tallies(all_digits, each=12, least=0.95)
    assert [one.read for one in below] == [0, 0]
    assert [one.review for one in below] == [one.read + one.review for one in above]


def test_a_kind_is_the_same_whichever_others_are_read(all_digits):
    assert (
        tallies(all_digits, each=6, least=0.5)[1]
        == tallies(all_digits, each=6, least=0.5, kinds=("six",))[0]
    )


def test_the_readme_groups_every_kind_once():
    grouped = [kind for kinds in GROUPS.values() for kind in kinds]
    assert sorted(grouped) == sorted(QUOTAS)


def test_tables_sum_up():
    found = [
        Tally(kind="blank", read=0, review=1, unread=3),
        Tally(kind="six", read=2, review=1, unread=1),
    ]
    assert together("all", found) == Tally(kind="all", read=2, review=2, unread=4)
    assert full_table(found)[-1].split() == ["all", "8", "2", "2", "4", "0.250"]
    lines = compact_table(found)
    assert lines[2] == "| six digits by hand | 4 | 2 | 1 | 1 | 0.500 |"
    assert lines[-1] == "| all | 8 | 2 | 2 | 4 | 0.250 |"
    assert len(lines) == 5


@pytest.mark.real
def test_the_shipped_model_reads_no_zip_from_bare_paper(all_digits):
    from zipocr.models.model_file import load_model
    from zipocr.training.benchmark.measure import judges

    [found] = count_false_reads(
        judges(load_model("mail"))[0],
        all_digits.take(np.arange(300)),
        each=6,
        jobs=1,
        kinds=("blank",),
    )
    assert (found.read, found.count) == (0, 6)
