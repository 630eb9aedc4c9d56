"""The shipped models read the frozen strings as well as when they were measured."""

from pathlib import Path

import pytest

from zipocr.batch.backends import usable_cores
from zipocr.models.model_file import SHIPPED, load_model
from zipocr.training.benchmark import false_reads
from zipocr.training.benchmark.accuracy import BEST, FLOOR_STEPS
from zipocr.training.benchmark.measure import judges, load_labels, read_crops
from zipocr.training.benchmark.metrics import score

LABELS = Path(__file__).parent / "strings" / "labels.csv"
# As `make accuracy` prints it: exact with the directory and without it, and the wrong share of
# those accepted with it.
MEASURED = {"mail": (0.9579, 0.948, 0.0028), "digits": (0.6733, 0.6139, 0.1538)}
# Likewise the share of pages with too few or too many digits that counted as read.
FALSE_READS = 0.0


def slack(share: float, count: int) -> float:
    """Three standard errors of a share of `count`.

    Even if the share is 0 or 1, one more could have gone the other way.
    """
    share = min(max(share, 1 / count), 1 - 1 / count)
    return 3 * (share * (1 - share) / count) ** 0.5


@pytest.mark.real
@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_reads_no_worse_than_measured(name):
    crops = load_labels(LABELS)[:: FLOOR_STEPS[name]]
    with_it, without = (
        score(answers)
        for answers in read_crops(judges(load_model(name)), crops, jobs=usable_cores())
    )
    exact, exact_without, wrong = MEASURED[name]
    assert with_it.exact >= exact - slack(exact, with_it.count)
    assert without.exact >= exact_without - slack(exact_without, without.count)
    assert with_it.wrong <= wrong + slack(wrong, round(with_it.accepted * with_it.count))


@pytest.mark.real
def test_no_more_pages_without_a_zip_count_as_read_than_measured(all_digits):
    share = false_reads.floor(judges(load_model(BEST))[0], all_digits, jobs=usable_cores())
    assert share <= FALSE_READS + slack(
        FALSE_READS, false_reads.FLOOR_EACH * len(false_reads.FLOOR_KINDS)
    )


def test_slack_is_three_standard_errors_and_never_zero():
    assert slack(0.9, 100) == pytest.approx(0.09)
    assert slack(0.0, 100) == pytest.approx(slack(1.0, 100))
    assert slack(0.0, 100) == pytest.approx(3 * (0.01 * 0.99 / 100) ** 0.5)
