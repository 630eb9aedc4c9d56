import json
import logging
import os
import sys
from pathlib import Path

import fakes
import pytest
import scanner
from click.testing import CliRunner, Result
from PIL import Image
from terminals import seen_on_a_terminal

from zipocr.cli import main
from zipocr.cli.logs import LOG
from zipocr.errors import OutputError


@pytest.fixture(autouse=True)
def _moody_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zipocr.batch.read_files.start_reading", fakes.start_moody)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two good pages and two bad ones, each in its own file."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name, ink in {"a.png": 7, "b\n=.png": fakes.FAULT, "d.png": 8}.items():
        Image.fromarray(fakes.page(ink=ink)).save(folder / name)
    (folder / "c.png").write_text("no image")
    return folder


def scan(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["scan", *map(os.fspath, words)], catch_exceptions=False)


def logged(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_log_file_holds_json_lines_and_every_warning_names_its_file(
    folder: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    scan(folder, "-o", tmp_path / "o.csv", "--log-file", log)
    lines = logged(log)
    assert all({"time", "level", "message"} <= line.keys() for line in lines)
    warnings = [line for line in lines if line["level"] == "warning"]
    assert [(line["file"], line["page"], line["reason"]) for line in warnings] == [
        ("b\n=.png", 1, "program_error"),
        ("c.png", 1, "unreadable_file"),
    ]
    assert all(
        str(line["message"]).startswith(("b\\x0a=.png, page 1: ", "c.png, page 1: "))
        for line in warnings
    )
    assert "read 2, to review 0, unread 0, failed 2" in str(lines[-2]["message"])
    scan(folder, "-o", tmp_path / "o.csv", "--force", "--log-file", log, "-vv")
    assert logged(log)[: len(lines)] == lines
    assert [line["zip"] for line in logged(log)[len(lines) :] if line["level"] == "debug"] == [
        "00007",
        "00008",
    ]


def test_the_error_that_ends_a_run_is_logged(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "o.csv").touch()
    assert (
        scan(folder, "-o", tmp_path / "o.csv", "--log-file", tmp_path / "log").exit_code
        == OutputError.exit_code
    )
    assert [line["level"] for line in logged(tmp_path / "log")] == ["error"]
    assert "--force" in str(logged(tmp_path / "log")[0]["message"])


@pytest.mark.parametrize(
    ("words", "said"), [([], 0), (["-v"], 2), (["-vv"], 4), (["-v", "--quiet"], 0)]
)
def test_verbose_reports_more_as_it_happens(folder: Path, words: list[str], said: int) -> None:
    lines = scan(folder, *words).stderr.splitlines()
    assert sum(", page 1: " in line for line in lines) == said
    if said:
        assert lines[0] == "INFO: reading 4 files, of which 0 are finished"
        assert "WARNING: c.png, page 1: " in "\n".join(lines)


def test_a_terminal_shows_the_log_and_the_progress_bar(folder: Path) -> None:
    seen = seen_on_a_terminal(
        [sys.executable, "-P", scanner.__file__, "scan", "-v", folder], status=1
    )
    assert "WARNING" in seen
    assert "c.png, page 1:" in seen
    assert "reading" in seen


def test_a_log_file_that_cannot_be_opened_is_an_output_error(folder: Path, tmp_path: Path) -> None:
    result = scan(folder, "--log-file", tmp_path / "missing" / "log")
    assert (result.exit_code, result.stdout) == (OutputError.exit_code, "")
    assert result.stderr.startswith("zipocr: Cannot write")


@pytest.mark.posix
def test_a_log_to_a_pipe_without_a_reader_is_refused(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    result = scan(folder, "--log-file", tmp_path / "log")
    assert result.exit_code == OutputError.exit_code
    assert "a pipe, not a file" in result.stderr


def test_a_log_file_on_a_full_disk_does_not_end_the_run(folder: Path, tmp_path: Path) -> None:
    result = scan(folder, "-o", tmp_path / "o.csv", "--log-file", "/dev/full")
    assert result.exit_code == 1
    assert result.stderr.count("cannot write to the log file") == 1
    assert (tmp_path / "o.csv").exists()


def test_no_log_handler_is_left_behind(folder: Path, tmp_path: Path) -> None:
    before = list(LOG.handlers)
    scan(folder, "--log-file", tmp_path / "log", "-v")
    assert before == LOG.handlers
    assert logging.getLogger("zipocr") is LOG
