"""The shipped models read the same as when ``make golden`` was last run."""

import golden
import pytest

from zipocr.models.model_file import SHIPPED

SHOWN = 10
HEAD = "file,page,zip,confidence,digit_confidences\n"
KNOWN = HEAD + "a.png,1,12345,0.9000,0.9000;1.0000\n"


@pytest.mark.real
@pytest.mark.parametrize("directory", golden.DIRECTORY)
@pytest.mark.parametrize("model", SHIPPED)
def test_a_shipped_model_reads_the_same_as_before(model: str, directory: str) -> None:
    known = golden.golden_file(model, directory).read_text(encoding="utf-8")
    changes = golden.changes(known, golden.read_scans(model, directory), within=golden.tolerance())
    if changes:
        first = "\n".join(changes[:SHOWN])
        message = f"{len(changes)} rows changed; where that is wanted, run make golden. The first:"
        pytest.fail(f"{message}\n{first}", pytrace=False)


@pytest.mark.parametrize(
    ("row", "change"),
    [
        ("a.png,1,12345,0.9000,0.9000;1.0000", ""),
        ("a.png,1,12345,0.9200,0.8800;1.0000", ""),
        ("a.png,1,12345,0.9201,0.9000;1.0000", "confidence '0.9000' -> '0.9201'"),
        ("a.png,1,12345,,0.9000;1.0000", "confidence '0.9000' -> ''"),
        ("a.png,1,12345,0.9000,0.9000", "digit_confidences '0.9000;1.0000' -> '0.9000'"),
        ("a.png,1,12346,0.9000,0.9000;1.0000", "zip '12345' -> '12346'"),
    ],
)
def test_only_probabilities_may_differ_and_only_by_a_little(row: str, change: str) -> None:
    found = golden.changes(KNOWN, f"{HEAD}{row}\n", within=golden.ROUNDING)
    assert found == ([f"a.png page 1: {change}"] if change else [])


def test_no_digit_may_differ_where_the_rows_were_made() -> None:
    assert golden.changes(KNOWN, KNOWN.replace("0.9000;", "0.9001;"), within=0)


def test_new_and_missing_rows_are_reported() -> None:
    found = golden.changes(KNOWN, HEAD + "b.png,1,12345,0.9000,0.9000;1.0000\n", within=0)
    assert found == ["a.png page 1: is gone", "b.png page 1: is new"]
