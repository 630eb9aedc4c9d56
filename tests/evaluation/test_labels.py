"""Label files: what is accepted, what is rejected, and how labels are matched to results."""

from pathlib import Path

import numpy as np
import pytest
from madeup import row

from zipocr.errors import InputError
from zipocr.evaluation.labels import Label, group_by, match, read_labels, to_batch, to_cases
from zipocr.results.cells import to_cell
from zipocr.results.row import Row
from zipocr.types import Status

CORRECTIONS = "file,page,read_zip,zip,decision,drawn,time\n"
TIME = "2026-11-24T08:00:00+00:00"


@pytest.fixture
def read(tmp_path: Path):
    def read(text: str | bytes) -> list[Label]:
        path = tmp_path / "labels.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_labels(path)

    return read


def pages_of(labels: list[Label]) -> list[tuple[str, int, str, bool]]:
    return [(label.file, label.page, label.truth, label.is_whole) for label in labels]


def test_only_the_file_and_zip_columns_are_required(read):
    assert pages_of(read("file,zip\na.png,02108\nb/c.tif,\n")) == [
        ("a.png", 1, "02108", False),
        ("b/c.tif", 1, "", True),
    ]


@pytest.mark.parametrize(
    ("text", "truth", "is_whole"),
    [
        ("file,zip\na,02108-1234\n", "021081234", True),
        ("file,zip,plus4\na,02108,0234\n", "021080234", True),
        ("file,zip,plus4\na,02108,\n", "02108", True),
        ("file,zip,plus4\na,02108-0234,0234\n", "021080234", True),
        ("file,zip,plus4\na,,\n", "", True),
    ],
)
def test_a_zip_plus4_may_be_in_one_column_or_two(read, text, truth, is_whole):
    assert pages_of(read(text)) == [("a", 1, truth, is_whole)]


def test_spreadsheet_artifacts_are_tolerated(read):
    text = "\ufeffFile, Page ,ZIP,kind,\r\n a.png , 2 ,02108,white,,,\r\n\r\n,,,\r\n"
    found = read(text)
    assert pages_of(found) == [("a.png", 2, "02108", False)]
    assert found[0].columns["kind"] == "white"


def test_file_names_use_the_same_escaping_as_in_results(read):
    name = "=1\udcff\n.png"
    assert read(f"file,zip\n{to_cell(name)},02108\n")[0].file == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name,zip\na,02108\n",
            "no column file. Its first line must name the columns, at least file,zip",
        ),
        ("a.png,02108\n", "no column file and no column zip"),
        ("file;zip\na;02108\n", "save it as CSV with commas"),
        ("file,zip,zip\na,02108,02108\n", "two columns 'zip'"),
        ("", "no column file"),
        ("file,zip\n", "labels no page"),
        (
            "file,zip\na,2108\n",
            "line 2: 2108 has less than five digits. A spreadsheet has removed leading zeros: "
            "write 02108",
        ),
        ("file,zip\na,2108-0001\n", "write 02108-0001"),
        ("file,zip\na,021081234\n", "nine as 12345-6789"),
        ("file,zip\na,O2108\n", "'O2108' is not a ZIP"),
        (
            "file,zip,plus4\na,02108,34\n",
            "line 2: '34' in the column plus4 is not four digits. A spreadsheet has removed "
            "leading zeros: write 0034",
        ),
        ("file,zip,plus4\na,02108,x\n", "'x' in the column plus4 is not four digits"),
        ("file,zip,plus4\na,02108-1234,4321\n", "contradict each other"),
        ("file,zip,plus4\na,,1234\n", "'' is not a ZIP"),
        ("file,zip,page\na,02108,0\n", "'0' is not a page"),
        ("file,zip,page\na,02108,one\n", "'one' is not a page"),
        ("file,zip\n,02108\n", "the file has no name"),
        ("file,zip\na,b,02108\n", "3 cells under a header of 2. Quote names"),
        ("file,zip,drawn\na,02108,chance\n", "'chance' in the column drawn"),
        (
            "file,zip\na,02108\nb,02108\na,02109\n",
            "line 4: page 1 of a is labelled above, .*line 2. Keep one of the lines",
        ),
        ('file,zip\n"a,02108\n', "this is not CSV"),
        (b"file,zip\na,02108\n\xff,02108\n", "line 3: this is not UTF-8"),
    ],
)
def test_an_invalid_label_is_rejected_with_its_line_and_a_fix(read, text, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        read(text)


def test_an_unreadable_file_is_named_in_the_error(tmp_path):
    with pytest.raises(InputError, match=r"Cannot read .*nowhere\.csv"):
        read_labels(tmp_path / "nowhere.csv")


def test_corrections_can_be_read_as_labels(read):
    lines = [
        f"./=a.png,1,02109,02108,corrected,doubt,{TIME}",
        f"b.tif,2,02109-1234,02109-1234,confirmed,audit,{TIME}",
        f"c.png,1,02109,,not_a_zip,doubt,{TIME}",
        f"d.png,1,02109,,skipped,doubt,{TIME}",
        f"c.png,1,02109,02107,corrected,doubt,{TIME}",
    ]
    found = read(CORRECTIONS + "\n".join(lines) + "\n")
    assert pages_of(found) == [
        ("=a.png", 1, "02108", True),
        ("b.tif", 2, "021091234", True),
        ("c.png", 1, "02107", True),
    ]
    assert [(label.drawn, label.read) for label in found] == [
        ("doubt", "02109"),
        ("audit", "021091234"),
        ("doubt", "02109"),
    ]
    group_by(found, "decision")


def test_the_column_to_group_by_must_exist(read):
    found = read("file,zip,kind,writer\na,02108,white,7\n")
    group_by(found, "kind")
    with pytest.raises(
        InputError, match=r"no column stratum to group by\. Further columns: kind, writer"
    ):
        group_by(found, "stratum")


def rows_of(*names: str) -> list[Row]:
    return [row(name, "02108", 0.9) for name in names]


def matched(read, labelled: list[str], there: list[str]) -> list[str]:
    return [
        row.file
        for _, row in match(
            read("file,zip\n" + "".join(f"{name},02108\n" for name in labelled)), rows_of(*there)
        )
    ]


@pytest.mark.parametrize(
    ("labelled", "there", "found"),
    [
        (["b.png", "a.png"], ["a.png", "b.png", "c.png"], ["b.png", "a.png"]),
        (["labels/a.png"], ["scans/a.png"], ["scans/a.png"]),
        (["x/a.png", "y/a.png"], ["y/a.png", "x/a.png"], ["x/a.png", "y/a.png"]),
        (["x/a.png", "y/a.png"], ["in/y/a.png", "in/x/a.png"], ["in/x/a.png", "in/y/a.png"]),
        (["in/x/a.png", "in/y/a.png"], ["x/a.png", "y/a.png"], ["x/a.png", "y/a.png"]),
        (["a.png", "x/a.png"], ["a.png", "x/a.png"], ["a.png", "x/a.png"]),
        (["x\\\\a.png", "y\\\\a.png"], ["y/a.png", "x/a.png"], ["x/a.png", "y/a.png"]),
        (["x/a.png"], ["x/a.png", "y/a.png"], ["x/a.png"]),
    ],
)
def test_files_match_by_base_name_or_by_path_if_the_name_is_ambiguous(read, labelled, there, found):
    assert matched(read, labelled, there) == found


@pytest.mark.parametrize(
    ("labelled", "there", "message"),
    [
        (["a.png"], ["x/a.png", "y/a.png"], "a.png may be any of x/a.png, y/a.png. Write its path"),
        (
            ["x/a.png", "y/a.png"],
            ["a.png"],
            "x/a.png and y/a.png would both be a.png in the results",
        ),
        (
            ["x/a.png", "y/a.png"],
            ["x/a.png"],
            "1 of 2 labelled pages have no row in the results: y/a.png page 1",
        ),
        (
            ["a.png", *"bcde"],
            ["a.png"],
            "4 of 5 labelled pages have no row in the results: b page 1, c page 1, d page 1 "
            "and others. Scan them too",
        ),
        (["A.png"], ["a.png"], "1 of 1 labelled pages have no row"),
    ],
)
def test_an_ambiguous_or_missing_file_is_rejected_with_a_fix(read, labelled, there, message):
    with pytest.raises(InputError, match=message):
        matched(read, labelled, there)


def test_pages_of_one_file_are_matched_separately(read):
    there = [row("a.tif", "02108", 0.9, page=1), row("a.tif", "02109", 0.8, page=2)]
    found = match(read("file,zip,page\na.tif,02109,2\na.tif,02108,1\n"), there)
    assert [row.page for _, row in found] == [2, 1]
    with pytest.raises(InputError, match=r"a\.tif page 3"):
        match(read("file,zip,page\na.tif,02109,3\n"), there)


def test_results_with_a_duplicate_page_are_rejected(read):
    with pytest.raises(InputError, match=r"page 1 of a\.png twice"):
        matched(read, ["a.png"], ["a.png", "a.png"])


def test_a_case_holds_the_reading_and_the_ground_truth(read):
    found = match(
        read("file,zip,kind\na.png,02108-1234,white\nb.png,02108,kraft\n"),
        [row("a.png", "021081234", 0.7), row("b.png", "", 0)],
    )
    nine, none = to_cases(found, by="kind")
    assert (nine.read, nine.truth, nine.is_whole, nine.confidence, nine.status, nine.group) == (
        "021081234",
        "021081234",
        True,
        0.7,
        Status.READ,
        "white",
    )
    assert (none.read, none.confidence, none.status, none.is_right) == (
        "",
        None,
        Status.UNREAD,
        False,
    )
    assert {one.group for one in to_cases(found, by=None)} == {""}


AUDIT = f"a.png,1,02108,02108,confirmed,audit,{TIME}\n"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            AUDIT + f"b.png,1,02109,02108,corrected,audit,{TIME}\n",
            "b.png, page 1, was drawn as audit, and its status is review",
        ),
        (
            f"a.png,1,02108,02108,confirmed,doubt,{TIME}\nb.png,1,02109,02108,corrected,audit,{TIME}\n",
            "a.png, page 1, was drawn as doubt, and its status is read",
        ),
        (
            AUDIT + f"b.png,1,02107,02108,corrected,doubt,{TIME}\n",
            "b.png, page 1, was read as 02107 then, and as 02109 now",
        ),
        (
            AUDIT + f"b.png,1,,02108,corrected,doubt,{TIME}\n",
            "b.png, page 1, was read as nothing then, and as 02109 now",
        ),
    ],
)
def test_an_audit_of_different_results_is_rejected(read, lines, message):
    there = [row("a.png", "02108", 0.9), row("b.png", "02109", 0.3)]
    with pytest.raises(
        InputError,
        match=f"These labels were drawn from other results: {message}. Evaluate the results",
    ):
        to_cases(match(read(CORRECTIONS + lines), there), by=None)


def test_every_label_of_an_audit_needs_a_value_in_the_drawn_column(read):
    found = read("file,zip,drawn\na.png,02108,audit\nb.png,02109,\n")
    with pytest.raises(InputError, match="line 3: the column drawn is empty"):
        to_cases(match(found, rows_of("a.png", "b.png")), by=None)


def test_without_an_audit_the_drawn_column_may_be_empty(read):
    cases = to_cases(
        match(read("file,zip,drawn\na.png,02108,doubt\nb.png,02109,\n"), rows_of("a.png", "b.png")),
        by=None,
    )
    assert [(one.is_audit, one.is_doubt) for one in cases] == [(False, True), (False, False)]


def test_a_batch_holds_every_page_of_the_results():
    found = to_batch([row("a", "02108", 0.9), row("b", "02108", 0.3), row("c", "", 0)])
    assert found.read.tolist() == [0.9]
    assert np.array_equal(found.doubtful, [0.3, np.nan], equal_nan=True)
