"""The result formats that the commands read and write."""

import csv
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import fakes
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from reviewing import row, write_results

from zipocr.cli import main
from zipocr.results.formats import read_results
from zipocr.results.row import COLUMNS

TIME = "2026-01-31T12:00:00+00:00"
FORMATS = pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "sqlite", "db"])


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zipocr.batch.read_files.start_reading", fakes.start_fake)


def invoke(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)


def save(folder: Path) -> Path:
    folder.mkdir()
    for ink in (5, 42):
        Image.fromarray(fakes.page(ink=ink)).save(folder / f"{ink}.png")
    return folder


@FORMATS
def test_scan_chooses_the_format_by_suffix_and_writes_metadata_beside_it(
    tmp_path: Path, ending: str
) -> None:
    pytest.importorskip("pyarrow")
    output = tmp_path / f"x.{ending}"
    done = invoke("scan", save(tmp_path / "in"), "-o", output)
    assert (done.exit_code, done.stdout) == (0, "")
    assert [(one.file, one.zip) for one in read_results(output)] == [
        ("42.png", "00042"),
        ("5.png", "00005"),
    ]
    metadata = json.loads((tmp_path / f"x.{ending}.json").read_text())
    assert metadata["results"]["file"] == f"x.{ending}"
    again = invoke("scan", tmp_path / "in", "-o", output, "--resume")
    assert "is complete already" in again.stderr
    assert invoke("scan", tmp_path / "in", "-o", output).exit_code == 5


def test_standard_output_uses_the_named_format(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    folder = save(tmp_path / "in")
    plain = list(csv.DictReader(io.StringIO(invoke("scan", folder).stdout)))
    lines = invoke("scan", folder, "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["zip"] for line in lines] == [one["zip"] for one in plain]
    for name in ("parquet", "sqlite"):
        (tmp_path / "x").write_bytes(invoke("scan", folder, "--format", name).stdout_bytes)
        assert [one.zip for one in read_results(tmp_path / "x")] == ["00042", "00005"]


def test_an_unclear_format_is_a_usage_error_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save(tmp_path / "in")
    results = write_results(tmp_path / "results.csv", [row()])
    (tmp_path / "c.csv").write_text("file,page,read_zip,zip,decision,drawn,time\n")
    monkeypatch.setattr("zipocr.images.listing.list_inputs", None)
    for words in (
        ("scan", folder, "-o", tmp_path / "x.txt"),
        ("watch", folder, "-o", tmp_path / "x"),
        ("apply", results, tmp_path / "c.csv", "-o", tmp_path / "x.xls"),
        ("merge", folder, "-o", tmp_path / "x.arrow"),
    ):
        done = invoke(*words)
        assert done.exit_code == 2, words
        assert "Use one of .csv, .jsonl" in " ".join(done.stderr.split())
    done = invoke("scan", folder, "-o", tmp_path / "x.csv", "--format", "jsonl")
    assert done.exit_code == 2
    assert "is csv by its name, and jsonl is asked for" in " ".join(done.stderr.split())


def test_a_missing_package_is_reported_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zipocr.results.formats.find_spec", lambda _: None)
    monkeypatch.setattr("zipocr.images.listing.list_inputs", None)
    done = invoke("scan", save(tmp_path / "in"), "-o", tmp_path / "x.parquet")
    assert done.exit_code == 2
    assert "pip install 'zipocr[parquet]'" in done.stderr


@FORMATS
def test_every_command_reads_what_scan_writes(tmp_path: Path, ending: str) -> None:
    pytest.importorskip("pyarrow")
    images, results = save(tmp_path / "in"), tmp_path / f"x.{ending}"
    invoke("scan", images, "-o", results)
    labels = tmp_path / "labels.csv"
    labels.write_text("file,zip\n5.png,00005\n42.png,00043\n")
    assert "2 were labelled" in invoke("evaluate", results, labels).stdout
    assert "2 linked" in invoke("sort", results, "--into", tmp_path / "sorted").stderr
    reviewed = invoke("review", results, "--labels-out", tmp_path / "none.csv", "--no-browser")
    assert "nothing to review" in reviewed.stderr
    corrections = tmp_path / "c.csv"
    corrections.write_text(
        f"file,page,read_zip,zip,decision,drawn,time\n42.png,1,00042,00043,corrected,audit,{TIME}\n"
    )
    for other in ("csv", "jsonl", "parquet", "db"):
        final = tmp_path / f"final.{other}"
        done = invoke("apply", results, corrections, "-o", final, "--no-directory")
        assert "corrected 1, untouched 1" in done.stderr
        assert [one.zip for one in read_results(final)] == ["00043", "00005"]


def test_a_database_can_be_queried_with_sql(tmp_path: Path) -> None:
    invoke("scan", save(tmp_path / "in"), "-o", tmp_path / "x.sqlite")
    with closing(sqlite3.connect(tmp_path / "x.sqlite")) as database:
        found = database.execute("SELECT * FROM pages WHERE confidence > 0.5 ORDER BY zip")
        assert [name for name, *_ in found.description] == list(COLUMNS)
        assert [one[2] for one in found] == ["00005", "00042"]
