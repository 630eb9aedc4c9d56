from collections.abc import Sequence

from zipocr.batch.read_files import FileResult
from zipocr.cli.runs import MIN_UPSIDE_DOWN, Tally
from zipocr.results.row import to_row
from zipocr.types import Reason, ZipReading


def outcome(number: int, reasons: Sequence[Reason] = (), name: str = "crop") -> FileResult:
    reading = ZipReading(
        zip="02108",
        confidence=0.99,
        digits=(),
        runner_up="",
        runner_up_confidence=0.0,
        reasons=tuple(reasons),
        city="Boston",
        state="MA",
        rotation=180 if Reason.TURNED_180 in reasons else 0,
    )
    return FileResult.of([to_row(f"{name}-{number}.png", 1, reading, min_confidence=0.9)])


def summary(outcomes: Sequence[FileResult]) -> str:
    tally = Tally(skipped=0)
    for one in outcomes:
        tally.add(one)
    return "\n".join(tally.lines(seconds=1.0))


def test_a_stack_that_was_fed_upside_down_is_reported():
    turned = [outcome(number, [Reason.TURNED_180]) for number in range(MIN_UPSIDE_DOWN)]
    upright = [outcome(number) for number in range(MIN_UPSIDE_DOWN)]
    assert f"{len(turned)} of {2 * len(turned)} ZIPs were upside down" in summary(turned + upright)


def test_fewer_upside_down_crops_are_not_reported():
    turned = [outcome(number, [Reason.TURNED_180]) for number in range(MIN_UPSIDE_DOWN)]
    upright = [outcome(number) for number in range(MIN_UPSIDE_DOWN + 1)]
    assert "upside down" not in summary(turned + upright)
    assert "upside down" not in summary(turned[1:])


def test_a_file_named_like_the_reason_does_not_count():
    names = [outcome(number, name="turned_180") for number in range(2 * MIN_UPSIDE_DOWN)]
    assert "upside down" not in summary(names)


def test_a_page_no_longer_counts_as_upside_down_once_its_file_has_changed():
    turned = [outcome(number, [Reason.TURNED_180]) for number in range(MIN_UPSIDE_DOWN)]
    tally = Tally(skipped=0)
    for one in turned:
        tally.add(one)
    tally.take_back(turned[0], is_earlier=False)
    assert "upside down" not in "\n".join(tally.lines(seconds=1.0))
    tally.add(turned[0])
    assert "upside down" in "\n".join(tally.lines(seconds=1.0))
