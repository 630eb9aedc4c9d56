import csv
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

import click
import corpus
import fakes
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import zipocr
from zipocr.cli import COMMANDS, CommandGroup, main
from zipocr.cli.model import passport_lines
from zipocr.cli.scan import FAILURES_NAMED, scan
from zipocr.config import ScanConfig
from zipocr.errors import ModelError, OutputError, ZipocrError
from zipocr.images import Listing, list_inputs
from zipocr.results import COLUMNS, read_results
from zipocr.types import Model, Status

HEADER = ",".join(COLUMNS)
HEAVY = {"numpy", "cv2", "sklearn", "PIL", "rich", "zipcodes", "matplotlib"}


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [os.fspath(argument) for argument in arguments], catch_exceptions=False)


def save(path: Path, height: int = 60, *, ink: int = 7) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(fakes.page(height, ink=ink)).save(path)
    return path


@pytest.fixture(autouse=True)
def _fake_reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most promises of the command do not depend on what is read; tests marked `real` read."""
    if "real" not in request.keywords:
        monkeypatch.setattr("zipocr.batch.start_reading", fakes.start_fake)


def group_with(work: Callable[[], None]) -> click.Group:
    class OneCommand(CommandGroup):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
            return click.Command(cmd_name, callback=work)

    return OneCommand()


def fail_with(error: BaseException) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize("kind", ZipocrError.__subclasses__())
def test_an_error_the_user_can_cure_is_one_line_and_its_code(kind: type[ZipocrError]) -> None:
    result = CliRunner().invoke(group_with(fail_with(kind("Do this."))), ["work"])
    assert (result.exit_code, result.stdout, result.stderr) == (kind.exit_code, "", "zipocr: Do this.\n")


def test_an_interruption_is_130() -> None:
    result = CliRunner().invoke(group_with(fail_with(KeyboardInterrupt())), ["work"])
    assert (result.exit_code, result.stderr) == (130, "zipocr: interrupted\n")


def test_a_bug_is_a_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        CliRunner().invoke(group_with(fail_with(ZeroDivisionError())), ["work"], catch_exceptions=False)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    result = invoke(name, "--help")
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: main {name}")


def test_an_unknown_command_is_a_usage_error() -> None:
    assert invoke("scann", "x").exit_code == 2


def test_the_version_is_told() -> None:
    assert invoke("--version").output == f"zipocr, version {zipocr.__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["scan", "--help"], ["scan", "missing.png"]])
def test_help_and_usage_errors_import_nothing_heavy(arguments: list[str]) -> None:
    program = f"""
import sys
from zipocr.cli import main
try:
    main({arguments!r})
finally:
    print(*sorted({HEAVY!r}.intersection(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-P", "-c", program], check=False, capture_output=True, text=True)
    assert done.returncode == (2 if "missing.png" in arguments else 0)
    assert done.stderr.splitlines()[-1] == ""


def test_options_and_settings_have_the_same_names_and_defaults() -> None:
    options = {option.name: option.default for option in scan.params if isinstance(option, click.Option)}
    assert options == {field.name: field.default for field in fields(ScanConfig)}


def test_every_option_reaches_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[ScanConfig] = []
    monkeypatch.setattr("zipocr.cli.scan._scan", lambda _, config: seen.append(config))
    given = ScanConfig(
        output=str(tmp_path / "o.csv"),
        jobs=3,
        model="digits",
        min_confidence=0.25,
        no_directory=True,
        debug=tmp_path / "d",
        quiet=True,
        max_pixels=99,
    )
    defaults = ScanConfig()
    assert all(getattr(given, field.name) != getattr(defaults, field.name) for field in fields(ScanConfig))
    words = ["--output", given.output, "--jobs", "3", "--model", "digits", "--min-confidence", "0.25", "--no-directory"]
    invoke("scan", save(tmp_path / "x.png"), *words, "--debug", tmp_path / "d", "--quiet", "--max-pixels", "99")
    invoke("scan", tmp_path / "x.png")
    assert seen == [given, defaults]


def test_a_scan_writes_rows_to_the_file_and_talk_to_stderr(tmp_path: Path) -> None:
    save(tmp_path / "in/a.png", 60, ink=7)
    save(tmp_path / "in/b.png", 40, ink=8)
    save(tmp_path / "in/c/d.png", ink=255)
    (tmp_path / "in/notes.txt").touch()
    output = tmp_path / "in" / "results.csv"
    for _ in range(2):
        result = invoke("scan", tmp_path / "in", "-o", output)
        assert (result.exit_code, result.stdout) == (0, "")
        assert [(row.file, row.zip, row.status) for row in read_results(output)] == [
            ("a.png", "00007", Status.READ),
            ("b.png", "00008", Status.REVIEW),
            ("c/d.png", "", Status.UNREAD),
        ]
    skipped, summary = result.stderr.splitlines()
    assert skipped == "skipped 2 other files"
    assert summary.startswith("read 1, to review 1, unread 1, failed 0; 3 crops in ")


@pytest.mark.parametrize("words", [[], ["-o", "-"]])
def test_rows_go_to_standard_output_without_a_file(tmp_path: Path, words: list[str]) -> None:
    result = invoke("scan", save(tmp_path / "a.png"), *words)
    assert result.stdout.splitlines() == [HEADER, "a.png,1,00007,0.6000,read,,0.9900;0.9900;0.9900;0.9900;0.9900,,,,"]


def test_a_file_that_cannot_be_opened_has_its_row_and_the_exit_code_tells(tmp_path: Path) -> None:
    save(tmp_path / "in/a.png")
    (tmp_path / "in/b.png").write_text("no image")
    save(tmp_path / "in/c.png")
    result = invoke("scan", tmp_path / "in")
    assert result.exit_code == 1
    assert [line.split(",")[0] for line in result.stdout.splitlines()[1:]] == ["a.png", "b.png", "c.png"]
    assert "failed: b.png: " in result.stderr
    assert "read 2, to review 0, unread 0, failed 1; 3 crops" in result.stderr


def test_a_page_that_is_too_large_counts_as_failed(tmp_path: Path) -> None:
    result = invoke("scan", save(tmp_path / "a.png"), "--max-pixels", "100")
    assert result.exit_code == 1
    assert ",unread,too_large," in result.stdout
    assert "(--max-pixels)" in result.stderr


def test_a_file_whose_extra_is_not_installed_is_named_with_the_way_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.pdf").write_bytes(corpus.written_pdf())
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    monkeypatch.delitem(sys.modules, "zipocr.pdf", raising=False)
    result = invoke("scan", tmp_path)
    assert result.exit_code == 1
    assert ",unread,needs_pdf_extra," in result.stdout
    assert "failed: a.pdf: PDF is read after: pip install 'zipocr[pdf]'" in result.stderr


def test_a_file_that_vanishes_after_it_was_listed_has_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.png", "b.png", "c.png"):
        save(tmp_path / name)

    def list_and_lose(paths: Sequence[Path], *, exclude: Path | None) -> Listing:
        listing = list_inputs(paths, exclude=exclude)
        (tmp_path / "b.png").unlink()
        return listing

    monkeypatch.setattr("zipocr.images.list_inputs", list_and_lose)
    result = invoke("scan", tmp_path)
    assert result.exit_code == 1
    assert [line.split(",")[4:6] for line in result.stdout.splitlines()[1:]] == [["read", ""], ["unread", "unreadable_file"], ["read", ""]]
    assert "failed: b.png: No such file or directory" in result.stderr


def test_many_failures_are_counted_and_not_all_named(tmp_path: Path) -> None:
    for number in range(FAILURES_NAMED + 3):
        (tmp_path / f"{number}.png").touch()
    result = invoke("scan", tmp_path, "--jobs", "1")
    assert result.stderr.count("empty file") == FAILURES_NAMED
    assert "failed: 3 more" in result.stderr


def test_a_missing_path_is_a_usage_error_before_anything_is_read(tmp_path: Path) -> None:
    result = invoke("scan", save(tmp_path / "a.png"), tmp_path / "missing.png", "-o", tmp_path / "results.csv")
    assert result.exit_code == 2
    assert "missing.png" in result.stderr
    assert not (tmp_path / "results.csv").exists()


def test_no_path_is_a_usage_error() -> None:
    assert invoke("scan").exit_code == 2


def test_an_empty_folder_gives_a_header_and_a_warning(tmp_path: Path) -> None:
    result = invoke("scan", tmp_path)
    assert (result.exit_code, result.stdout) == (0, HEADER + "\n")
    assert "warning: no images found" in result.stderr


def test_quiet_is_quiet(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "b.png").touch()
    (tmp_path / "c.txt").touch()
    result = invoke("scan", tmp_path, "--quiet")
    assert (result.exit_code, result.stderr) == (1, "")


def test_the_threshold_can_be_chosen(tmp_path: Path) -> None:
    result = invoke("scan", save(tmp_path / "a.png", 60), "--min-confidence", "0.61")
    assert ",review,low_confidence," in result.stdout


@pytest.mark.parametrize("output", ["a.png", "new.PNG"])
def test_an_image_is_never_overwritten(tmp_path: Path, output: str) -> None:
    result = invoke("scan", save(tmp_path / "a.png"), "-o", tmp_path / output)
    assert result.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_direct_input_without_a_suffix_is_never_overwritten(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png").rename(tmp_path / "scan")
    assert invoke("scan", path, "-o", path).exit_code == 2


def test_an_output_without_a_folder_is_an_output_error(tmp_path: Path) -> None:
    result = invoke("scan", save(tmp_path / "a.png"), "-o", tmp_path / "missing" / "results.csv")
    assert result.exit_code == OutputError.exit_code
    assert result.stderr.startswith("zipocr: Cannot write")


def test_debug_pictures_are_not_scanned_the_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zipocr.draw.draw_sheet", lambda _, *, title: np.zeros((9, len(title), 3), np.uint8))
    save(tmp_path / "a.png")
    for _ in range(2):
        assert len(invoke("scan", tmp_path, "--debug", tmp_path / "debug").stdout.splitlines()) == 2
    assert len(list((tmp_path / "debug").iterdir())) == 1


def test_debug_pictures_do_not_go_among_the_scans(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    assert invoke("scan", tmp_path, "--debug", tmp_path / "." / "").exit_code == 2


def command(*words: str | Path) -> list[str | Path]:
    return [sys.executable, "-P", "-m", "zipocr", *words]


def test_a_reader_of_standard_output_may_leave(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command("scan", tmp_path), check=False, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_standard_output_may_be_closed_from_the_start(tmp_path: Path) -> None:
    done = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *command("scan", tmp_path, "--quiet")], check=False, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_standard_output_is_an_output_error(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command("scan", tmp_path), check=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == OutputError.exit_code
    assert done.stderr == b"zipocr: Cannot write to standard output: No space left on device. Write to a file with --output.\n"


def scan_on_a_terminal(*words: str | Path) -> str:
    """Run a scan whose standard error is a terminal, and give what the terminal saw."""
    terminal, end = pty.openpty()
    with subprocess.Popen(command("scan", *words), stdout=subprocess.DEVNULL, stderr=end, env={**os.environ, "TERM": "xterm"}) as process:
        os.close(end)
        seen = b""
        try:
            while part := os.read(terminal, 65_536):
                seen += part
        except OSError:  # how Linux tells that the other end is closed
            pass
        assert process.wait() == 1
    os.close(terminal)
    return seen.decode()


@pytest.mark.real
def test_a_bar_is_shown_on_a_terminal_and_not_when_quiet(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    assert "reading" in scan_on_a_terminal(tmp_path)
    assert scan_on_a_terminal(tmp_path, "--quiet") == ""


@pytest.mark.real
def test_rows_do_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    for number in range(24):
        picture = np.full((50, 260), 255, np.uint8)
        write_digits(picture, f"{number * 4_111:05d}")
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    outputs = []
    for jobs in ("1", "2", "3"):
        done = subprocess.run(command("scan", tmp_path, "--quiet", "--jobs", jobs), check=True, capture_output=True)
        outputs.append(done.stdout)
    rows = list(csv.DictReader(outputs[0].decode().splitlines()))
    assert len(rows) == 24
    assert sum(row["zip"] != "" for row in rows) >= 20
    assert outputs[1:] == outputs[:1] * 2


def write_digits(picture: np.ndarray[tuple[int, int], np.dtype[np.uint8]], text: str) -> None:
    import cv2

    cv2.putText(picture, " ".join(text), (5, 40), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 0, 3)


@pytest.mark.real
def test_a_missing_model_is_a_model_error(tmp_path: Path) -> None:
    result = invoke("scan", save(tmp_path / "a.png"), "--model", tmp_path / "none.npz", "-o", tmp_path / "results.csv")
    assert result.exit_code == ModelError.exit_code
    assert not (tmp_path / "results.csv").exists()


@pytest.mark.real
@pytest.mark.parametrize("name", ["digits", "mail"])
def test_shipped_models_show_their_passport(name: str) -> None:
    result = invoke("model", name)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"model: {name}\n")
    assert "min_confidence: " in result.stdout


def test_the_model_of_the_mail_is_shown_when_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zipocr.model_file.load_model", lambda name: Model(arrays={}, passport={"called": name}))
    assert invoke("model").stdout == "model: mail\ncalled: mail\n"


def test_a_passport_is_laid_out_for_people() -> None:
    passport = {"data": {"digits": 1_797, "writers": list(range(100))}, "note": "a\x1b[2Jb"}
    lines = "\n".join(passport_lines(passport)).splitlines()
    assert lines[:2] == ["data:", "  digits: 1797"]
    assert lines[2].startswith("  writers: 0, 1, 2")
    assert lines[-1] == "note: a?[2Jb"
    assert max(map(len, lines)) <= 100
