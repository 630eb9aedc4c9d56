import csv
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import corpus
import fakes
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from terminals import seen_on_a_terminal

import zipocr
from zipocr.batch.backend_choice import SERIAL_UP_TO
from zipocr.batch.backends.processes import DEFAULT_MAX_MEMORY, DEFAULT_TIMEOUT, ProcessBackend
from zipocr.batch.backends.serial import SerialBackend
from zipocr.cli import COMMANDS, CommandGroup, main
from zipocr.cli.backends import choose_backend
from zipocr.cli.model import card_lines
from zipocr.cli.runs import FAILURES_NAMED
from zipocr.cli.scan import scan
from zipocr.config import ScanConfig
from zipocr.errors import InputError, ModelError, OutputError, ZipocrError
from zipocr.images.listing import ImageFile, Listing, list_inputs
from zipocr.models.model_file import model_digest
from zipocr.output.run import FileOutput
from zipocr.results.formats import read_results
from zipocr.results.row import COLUMNS
from zipocr.types import Model, Reason, Status

HEADER = ",".join(COLUMNS)
HEAVY = {"numpy", "cv2", "onnxruntime", "sklearn", "PIL", "rich", "matplotlib"}


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(
        main, [os.fspath(argument) for argument in arguments], catch_exceptions=False
    )


def save(path: Path, height: int = 60, *, ink: int = 7) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(fakes.page(height, ink=ink)).save(path)
    return path


@pytest.fixture(autouse=True)
def _fake_reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most tests do not depend on what is read; those marked `real` use the real reader."""
    if "real" not in request.keywords:
        monkeypatch.setattr("zipocr.batch.read_files.start_reading", fakes.start_fake)


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
def test_an_error_the_user_can_fix_is_one_line_with_its_exit_code(kind: type[ZipocrError]) -> None:
    result = CliRunner().invoke(group_with(fail_with(kind("Do this."))), ["work"])
    assert (result.exit_code, result.stdout, result.stderr) == (
        kind.exit_code,
        "",
        "zipocr: Do this.\n",
    )


def test_an_interrupt_exits_with_130() -> None:
    result = CliRunner().invoke(group_with(fail_with(KeyboardInterrupt())), ["work"])
    assert (result.exit_code, result.stderr) == (130, "zipocr: interrupted\n")


def test_a_bug_gives_a_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        CliRunner().invoke(
            group_with(fail_with(ZeroDivisionError())), ["work"], catch_exceptions=False
        )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    result = invoke(name, "--help")
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: main {name}")


def test_an_unknown_command_is_a_usage_error() -> None:
    assert invoke("scann", "x").exit_code == 2


def test_the_version_is_printed() -> None:
    assert invoke("--version").output == f"zipocr, version {zipocr.__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["scan", "--help"], ["scan", "missing.png"]]
)
def test_help_and_usage_errors_import_nothing_heavy(arguments: list[str]) -> None:
    program = f"""
import sys
from zipocr.cli import main
try:
    main({arguments!r})
finally:
    print(*sorted({HEAVY!r}.intersection(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], check=False, capture_output=True, text=True
    )
    assert done.returncode == (2 if "missing.png" in arguments else 0)
    assert done.stderr.splitlines()[-1] == ""


def test_the_entry_point_imports_nothing_heavy_into_worker_processes() -> None:
    program = (
        "import sys, zipocr.__main__; "
        "print(*{'click', 'zipocr.cli', 'numpy'}.intersection(sys.modules))"
    )
    assert (
        subprocess.run(
            [sys.executable, "-P", "-c", program], check=True, capture_output=True, text=True
        ).stdout
        == "\n"
    )


def test_options_and_settings_have_the_same_names_and_defaults() -> None:
    options = {
        option.name: option.default for option in scan.params if isinstance(option, click.Option)
    }
    assert options == {field.name: field.default for field in fields(ScanConfig)}


def test_every_option_reaches_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[ScanConfig] = []
    monkeypatch.setattr("zipocr.cli.scan._scan", lambda _, config: seen.append(config))
    monkeypatch.setattr("zipocr.cli.scan.scan_manifest", lambda *words: seen.append(words[-1]))
    (tmp_path / "list.txt").touch()
    given = ScanConfig(
        output=str(tmp_path / "o.csv"),
        backend="processes",
        jobs=3,
        model="digits",
        min_confidence=0.25,
        no_directory=True,
        debug=tmp_path / "d",
        quiet=True,
        max_pixels=99,
        resume=True,
        force=True,
        timeout=2.5,
        max_memory_per_worker=1 << 30,
        verbose=2,
        log_file=tmp_path / "log",
    )
    # Options that contradict some of these.
    other = ScanConfig(
        max_error=0.2,
        directory=tmp_path / "list.txt",
        backend="dask",
        scheduler="tcp://localhost:1",
        manifest=tmp_path / "list.txt",
        out_dir=tmp_path / "parts",
        shard_size=7,
        require_listed=True,
        patience=2.0,
    )
    stdout = ScanConfig(format="jsonl")
    defaults = ScanConfig()
    assert all(
        len({getattr(one, field.name) for one in (given, other, stdout, defaults)}) >= 2
        for field in fields(ScanConfig)
    )
    words = [
        "--output",
        given.output,
        "--backend",
        "processes",
        "--jobs",
        "3",
        "--model",
        "digits",
        "--min-confidence",
        "0.25",
        "--no-directory",
    ]
    words += [
        "--debug",
        str(given.debug),
        "--quiet",
        "--max-pixels",
        "99",
        "--resume",
        "--force",
        "--timeout",
        "2.5",
    ]
    words += ["--max-memory-per-worker", "1G", "-vv", "--log-file", str(given.log_file)]
    monkeypatch.setattr(
        "zipocr.cli.scan.check_places", lambda *_: None
    )  # not all of these make sense together
    invoke("scan", save(tmp_path / "x.png"), *words)
    words = [
        "--max-error",
        "0.2",
        "--directory",
        str(other.directory),
        "--backend",
        "dask",
        "--scheduler",
        "tcp://localhost:1",
    ]
    words += [
        "--manifest",
        str(other.manifest),
        "--out-dir",
        str(other.out_dir),
        "--shard-size",
        "7",
    ]
    words += ["--require-listed", "--patience", "2"]
    invoke("scan", *words)
    invoke("scan", tmp_path / "x.png", "--format", "jsonl")
    invoke("scan", tmp_path / "x.png")
    assert seen == [given, other, stdout, defaults]


def test_a_scan_writes_rows_to_the_file_and_messages_to_stderr(tmp_path: Path) -> None:
    save(tmp_path / "in/a.png", 60, ink=7)
    save(tmp_path / "in/b.png", 40, ink=8)
    save(tmp_path / "in/c/d.png", ink=255)
    (tmp_path / "in/notes.txt").touch()
    output = tmp_path / "in" / "results.csv"
    for _ in range(2):
        result = invoke("scan", tmp_path / "in", "-o", output, "--force")
        assert (result.exit_code, result.stdout) == (0, "")
        assert [(row.file, row.zip, row.status) for row in read_results(output)] == [
            ("a.png", "00007", Status.READ),
            ("b.png", "00008", Status.REVIEW),
            ("c/d.png", "", Status.UNREAD),
        ]
    skipped, summary, then = result.stderr.splitlines()
    assert then.startswith(f"wrote {output}; next: zipocr review {output} --audit 100 (")
    assert skipped == "skipped 3 other files"
    assert summary.startswith("read 1, to review 1, unread 1, failed 0; 3 crops in ")


@pytest.mark.parametrize("words", [[], ["-o", "-"]])
def test_rows_go_to_standard_output_without_a_file(tmp_path: Path, words: list[str]) -> None:
    result = invoke("scan", save(tmp_path / "a.png"), *words)
    assert result.stdout.splitlines() == [
        HEADER,
        "a.png,1,00007,,0.6000,read,,0.9900;0.9900;0.9900;0.9900;0.9900,,,,,",
    ]


def test_a_file_that_cannot_be_opened_gets_a_row_and_sets_the_exit_code(tmp_path: Path) -> None:
    save(tmp_path / "in/a.png")
    (tmp_path / "in/b.png").write_text("no image")
    save(tmp_path / "in/c.png")
    result = invoke("scan", tmp_path / "in")
    assert result.exit_code == 1
    assert [line.split(",")[0] for line in result.stdout.splitlines()[1:]] == [
        "a.png",
        "b.png",
        "c.png",
    ]
    assert "failed: b.png: " in result.stderr
    assert "read 2, to review 0, unread 0, failed 1; 3 crops" in result.stderr


def test_a_page_that_is_too_large_counts_as_failed(tmp_path: Path) -> None:
    result = invoke("scan", save(tmp_path / "a.png"), "--max-pixels", "100")
    assert result.exit_code == 1
    assert ",unread,too_large," in result.stdout
    assert "(--max-pixels)" in result.stderr


def test_a_file_that_needs_a_missing_extra_is_named_with_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.pdf").write_bytes(corpus.written_pdf())
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    monkeypatch.delitem(sys.modules, "zipocr.images.pdf", raising=False)
    result = invoke("scan", tmp_path, "--backend", "serial")
    assert result.exit_code == 1
    assert ",unread,needs_pdf_extra," in result.stdout
    assert "failed: a.pdf: PDF needs an extra: pip install 'zipocr[pdf]'" in result.stderr


def test_a_file_that_vanishes_after_listing_gets_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.png", "c.png"):
        save(tmp_path / name)

    def list_and_lose(paths: Sequence[Path], *, exclude: Path | None) -> Listing:
        listing = list_inputs(paths, exclude=exclude)
        (tmp_path / "b.png").unlink()
        return listing

    monkeypatch.setattr("zipocr.images.listing.list_inputs", list_and_lose)
    result = invoke("scan", tmp_path)
    assert result.exit_code == 1
    assert [line.split(",")[5:7] for line in result.stdout.splitlines()[1:]] == [
        ["read", ""],
        ["unread", "unreadable_file"],
        ["read", ""],
    ]
    assert "failed: b.png: No such file or directory" in result.stderr


def test_a_file_replaced_between_an_interrupted_run_and_its_resumption_is_reread(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output, names = tmp_path / "out.csv", ["a.png", "b.png", "c.png", "d.png"]
    for number, name in enumerate(names):
        save(tmp_path / "in" / name, ink=number)
    real, left = FileOutput.write, [3]

    def write(*words: Any, **options: Any) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return real(*words, **options)

    with monkeypatch.context() as patch:
        patch.setattr(FileOutput, "write", write)
        assert "3 of 4 inputs are finished" in invoke("scan", tmp_path / "in", "-o", output).stderr
    save(tmp_path / "in" / "b.png", ink=42)
    fakes.spoil(tmp_path / "in" / "a.png")  # reading it again would fail
    result = invoke("scan", tmp_path / "in", "-o", output, "--resume")
    assert [row.zip for row in read_results(output)] == ["00000", "00042", "00002", "00003"]
    assert "read again, since they had changed: 1 files" in result.stderr
    assert "4 crops, 2 of them before, in " in result.stderr
    metadata = json.loads((tmp_path / "out.csv.json").read_text())
    assert metadata["input_versions"]["superseded"] == 1
    assert "is complete already" in invoke("scan", tmp_path / "in", "-o", output, "--resume").stderr
    save(tmp_path / "in" / "b.png", ink=43)
    result = invoke("scan", tmp_path / "in", "-o", output, "--resume")
    assert result.exit_code == OutputError.exit_code
    assert "inputs have changed" in result.stderr


def test_many_failures_are_counted_and_not_all_named(tmp_path: Path) -> None:
    for number in range(FAILURES_NAMED + 3):
        (tmp_path / f"{number}.png").touch()
    result = invoke("scan", tmp_path, "--jobs", "1")
    assert result.stderr.count("empty file") == FAILURES_NAMED
    assert "failed: 3 more" in result.stderr


def test_a_missing_path_is_a_usage_error_before_anything_is_read(tmp_path: Path) -> None:
    result = invoke(
        "scan", save(tmp_path / "a.png"), tmp_path / "missing.png", "-o", tmp_path / "results.csv"
    )
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


def test_an_unlisted_zip_goes_to_review_if_it_must_be_listed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading = fakes.zip_reading("00000", confidence=0.995, reasons=(Reason.NOT_IN_DIRECTORY,))
    monkeypatch.setattr(fakes.FakeReader, "read", lambda *_: reading)
    page = save(tmp_path / "a.png")
    assert ",0.9950,read,not_in_directory," in invoke("scan", page).stdout
    assert ",0.9950,review,not_in_directory," in invoke("scan", page, "--require-listed").stdout


@pytest.mark.parametrize(
    "words",
    [
        ["--max-error", "0.01", "--min-confidence", "0.5"],
        ["--max-error", "0"],
        ["--max-error", "1.01"],
        ["--max-error", "nan"],
        ["--min-confidence", "nan"],
        ["--directory", "list.txt", "--no-directory"],
        ["--require-listed", "--no-directory"],
        ["--directory", "missing.txt"],
        ["--directory", "."],
        ["--output", "list.txt", "--directory", "list.txt"],
    ],
)
def test_contradictory_or_meaningless_options_are_usage_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").write_text("00007\n")
    result = invoke("scan", save(tmp_path / "a.png"), "--quiet", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words[0] in result.stderr
    assert (tmp_path / "list.txt").read_text() == "00007\n"


@pytest.mark.parametrize("option", ["--max-error", "--min-confidence"])
def test_either_option_sets_the_threshold(tmp_path: Path, option: str) -> None:
    assert invoke("scan", save(tmp_path / "a.png"), option, "0.5").exit_code == 0


def test_a_max_error_below_what_the_model_supports_is_refused_before_the_output_is_touched(
    tmp_path: Path,
) -> None:
    output = tmp_path / "results.csv"
    output.write_text("older")
    result = invoke("scan", save(tmp_path / "a.png"), "--max-error", "1e-6", "-o", output)
    assert (result.exit_code, result.stdout) == (ModelError.exit_code, "")
    assert re.search(r"Ask for --max-error 0\.\d+, or", result.stderr)
    assert output.read_text() == "older"


def test_an_invalid_list_is_refused_before_the_output_is_touched(tmp_path: Path) -> None:
    output, listed = tmp_path / "results.csv", tmp_path / "list.csv"
    output.write_text("older")
    listed.write_text("zip,city\n2108,Boston\n")
    result = invoke("scan", save(tmp_path / "a.png"), "--directory", listed, "-o", output)
    assert (result.exit_code, result.stdout) == (InputError.exit_code, "")
    assert "line 2: 2108 has less than five digits" in result.stderr
    assert output.read_text() == "older"


@pytest.mark.parametrize("output", ["a.png", "new.PNG"])
def test_an_image_is_never_overwritten(tmp_path: Path, output: str) -> None:
    result = invoke("scan", save(tmp_path / "a.png"), "-o", tmp_path / output)
    assert result.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_an_input_given_without_a_suffix_is_never_overwritten(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png").rename(tmp_path / "scan")
    assert invoke("scan", path, "-o", path).exit_code == 2


def test_an_output_in_a_missing_folder_is_an_output_error(tmp_path: Path) -> None:
    result = invoke("scan", save(tmp_path / "a.png"), "-o", tmp_path / "missing" / "results.csv")
    assert result.exit_code == OutputError.exit_code
    assert result.stderr.startswith("zipocr: Cannot write")


def test_debug_pictures_are_not_scanned_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "zipocr.drawing.debug_sheet.draw_sheet",
        lambda _, *, title: np.zeros((9, len(title), 3), np.uint8),
    )
    save(tmp_path / "a.png")
    for _ in range(2):
        assert len(invoke("scan", tmp_path, "--debug", tmp_path / "debug").stdout.splitlines()) == 2
    assert len(list((tmp_path / "debug").iterdir())) == 1


def test_debug_pictures_cannot_go_into_the_scanned_folder(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    assert invoke("scan", tmp_path, "--debug", tmp_path / "." / "").exit_code == 2


def command(*words: str | Path) -> list[str | Path]:
    return [sys.executable, "-P", "-m", "zipocr", *words]


IN_C = """
import hashlib, sys
from zipocr.cli import interrupts
interrupts.PATIENCE_SECONDS = 0.05
with interrupts.graceful_shutdown():
    print("busy", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_program_while_a_library_blocks_python(
    number: signal.Signals, status: int
) -> None:
    with subprocess.Popen([sys.executable, "-P", "-c", IN_C], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"busy\n"
        process.send_signal(number)
        try:
            # Python handles the signal itself if it comes before the library is at work.
            assert process.wait(60) in {status, -number}
        finally:
            process.kill()


def test_small_images_need_no_worker_and_files_that_may_hang_get_one_with_limits(
    tmp_path: Path,
) -> None:
    config = ScanConfig()
    (tmp_path / "a.pdf").write_bytes(corpus.written_pdf())
    image, pdf = (
        ImageFile(place=str(path), name="x")
        for path in (save(tmp_path / "a.png"), tmp_path / "a.pdf")
    )
    assert isinstance(choose_backend(config, [image] * SERIAL_UP_TO, SERIAL_UP_TO), SerialBackend)
    for files in ([image, pdf], [image] * (SERIAL_UP_TO + 1)):
        backend = choose_backend(config, files, len(files))
        assert isinstance(backend, ProcessBackend)
        assert (backend.timeout, backend.max_memory) == (DEFAULT_TIMEOUT, DEFAULT_MAX_MEMORY)
    assert isinstance(choose_backend(ScanConfig(backend="serial"), [pdf], 1), SerialBackend)


def test_the_default_limits_are_in_the_help() -> None:
    helps = {
        option.name: option.help or "" for option in scan.params if isinstance(option, click.Option)
    }
    assert f"{DEFAULT_TIMEOUT:g}" in helps["timeout"]
    assert f"{DEFAULT_MAX_MEMORY >> 30}G" in helps["max_memory_per_worker"]


def test_a_closed_pipe_on_standard_output_is_not_an_error(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        command("scan", tmp_path), check=False, stdout=writing, stderr=subprocess.PIPE
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("words", [["scan", "in"], ["model"], ["inspect", "in/a.png", "--text"]])
def test_a_standard_output_closed_from_the_start_is_reported_as_an_error(
    tmp_path: Path, words: list[str]
) -> None:
    save(tmp_path / "in" / "a.png")
    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *command(*words)],
        check=False,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    assert done.returncode == OutputError.exit_code
    assert (
        done.stderr
        == b"zipocr: Standard output is closed. Redirect it, or write to a file with --output.\n"
    )


def test_writing_to_a_file_needs_no_standard_streams(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png")
    words = command("scan", "in", "-o", "results.csv")
    done = subprocess.run(
        ["sh", "-c", '"$@" <&- >&- 2>&-', "sh", *words], check=False, cwd=tmp_path
    )
    assert done.returncode == 0
    assert len(list(read_results(tmp_path / "results.csv"))) == 1


@pytest.mark.skipif(os.name == "nt", reason="file names are Unicode there")
def test_names_are_the_same_whatever_the_locale(tmp_path: Path) -> None:
    for name in (b"\xc3\xa9.png", b"\xff.png"):
        save(tmp_path / os.fsdecode(name))
    outputs = {
        subprocess.run(
            command("scan", tmp_path), check=True, capture_output=True, env={**os.environ, **locale}
        ).stdout
        for locale in (
            {"LC_ALL": "C.UTF-8"},
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        )
    }
    assert len(outputs) == 1
    assert [line.partition(b",")[0] for line in outputs.pop().splitlines()[1:]] == [
        b"\xc3\xa9.png",
        b"\\xff.png",
    ]


def test_standard_error_can_be_closed_or_full_and_never_leaks_into_the_rows(
    tmp_path: Path,
) -> None:
    """A newly opened file may take the descriptor of a closed stderr, which decoders write to."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("half gray.jpg", "flipped lzw.tif", "flipped g3.tif", "half gray.png"):
        (folder / name).write_bytes(corpus.damaged_files(corpus.draw_page())[name][0])
    for name, redirection in (("open", "2>/dev/null"), ("closed", "2>&-"), ("full", "2>/dev/full")):
        words = command(
            "scan",
            folder,
            "-o",
            tmp_path / f"{name}.csv",
            "--log-file",
            tmp_path / f"{name}.log",
            "-vv",
        )
        done = subprocess.run(
            ["sh", "-c", f'"$@" {redirection}', "sh", *words], check=False, stdout=subprocess.PIPE
        )
        assert (done.returncode, done.stdout) == (1, b"")
        assert all(
            json.loads(line)["message"]
            for line in (tmp_path / f"{name}.log").read_text().splitlines()
        )
    rows = (tmp_path / "open.csv").read_bytes()
    assert rows.count(b"\n") >= 5
    assert rows == (tmp_path / "closed.csv").read_bytes() == (tmp_path / "full.csv").read_bytes()


@pytest.mark.posix
def test_a_full_standard_output_is_an_output_error(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command("scan", tmp_path), check=False, stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == OutputError.exit_code
    assert (
        done.stderr
        == b"zipocr: Cannot write to standard output: No space left on device. Write to a file with --output.\n"
    )


@pytest.mark.real
def test_a_progress_bar_is_shown_on_a_terminal_unless_quiet(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    assert "reading" in seen_on_a_terminal(command("scan", tmp_path), status=1)
    assert seen_on_a_terminal(command("scan", tmp_path, "--quiet"), status=1) == ""


@pytest.mark.real
def test_rows_do_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    for number in range(24):
        picture = np.full((50, 260), 255, np.uint8)
        write_digits(picture, f"{number * 4_111:05d}")
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    outputs = []
    for jobs in ("1", "2", "3"):
        done = subprocess.run(
            command("scan", tmp_path, "--quiet", "--jobs", jobs), check=True, capture_output=True
        )
        outputs.append(done.stdout)
    rows = list(csv.DictReader(outputs[0].decode().splitlines()))
    assert len(rows) == 24
    assert sum(row["zip"] != "" for row in rows) >= 20
    assert outputs[1:] == outputs[:1] * 2


@pytest.mark.real
def test_the_user_s_own_list_is_used_in_every_process(tmp_path: Path) -> None:
    pages, listed = tmp_path / "pages", tmp_path / "list.csv"
    pages.mkdir()
    for number in range(12):
        picture = np.full((50, 260), 255, np.uint8)
        write_digits(picture, f"{number % 2}{number * 411:04d}")
        Image.fromarray(picture).save(pages / f"{number}.png")
    numbers = [f"{number % 2}{number * 411:04d}" for number in range(0, 12, 2)]
    listed.write_text(
        "zip,city,state\n" + "".join(f"{number},Town {number},QQ\n" for number in numbers)
    )
    outputs = []
    for jobs in ("1", "2"):
        words = ["--quiet", "--min-confidence", "0", "--jobs", jobs, "--directory", listed]
        outputs.append(
            subprocess.run(command("scan", pages, *words), check=True, capture_output=True).stdout
        )
    assert outputs[0] == outputs[1]
    rows = list(csv.DictReader(outputs[0].decode().splitlines()))
    known = [row for row in rows if row["zip"] in numbers]
    assert len(known) >= 4
    assert all((row["city"], row["state"]) == (f"Town {row['zip']}", "QQ") for row in known)
    others = [row for row in rows if row["zip"] not in numbers]
    assert others
    assert all((row["city"], "not_in_directory" in row["reason"]) == ("", True) for row in others)


def write_digits(picture: np.ndarray[tuple[int, int], np.dtype[np.uint8]], text: str) -> None:
    import cv2

    cv2.putText(picture, " ".join(text), (5, 40), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 0, 3)


@pytest.mark.real
def test_a_missing_model_is_a_model_error(tmp_path: Path) -> None:
    result = invoke(
        "scan",
        save(tmp_path / "a.png"),
        "--model",
        tmp_path / "none.npz",
        "-o",
        tmp_path / "results.csv",
    )
    assert result.exit_code == ModelError.exit_code
    assert not (tmp_path / "results.csv").exists()


@pytest.mark.real
@pytest.mark.parametrize("name", ["digits", "mail"])
def test_shipped_models_show_their_card(name: str) -> None:
    result = invoke("model", name)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"model: {name}\n")
    assert re.search(
        r"^confidence for --max-error:\n  with a directory: .*0\.01 from 0\.\d{4}",
        result.stdout,
        re.MULTILINE,
    )


def test_the_mail_model_is_shown_when_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = {
        "acceptance_listed": np.array([[0.01, 0.9], [0.1, 0.5]]),
        "acceptance_unlisted": np.zeros((0, 2)),
    }
    monkeypatch.setattr(
        "zipocr.models.model_file.load_model",
        lambda name: Model(arrays=arrays, card={"called": name}),
    )
    digest = model_digest("mail")
    assert invoke("model").stdout.splitlines() == [
        "model: mail",
        "called: mail",
        f"sha256 of the file: {digest}",
        "sha256 of the contents:",
        "confidence for --max-error:",
        "  with a directory: 0.01 from 0.9000, 0.1 from 0.5000",
        "  without: none",
    ]


def test_a_model_card_is_formatted_for_people() -> None:
    card = {"data": {"digits": 1_797, "writers": list(range(100))}, "note": "a\x1b[2Jb"}
    lines = "\n".join(card_lines(card)).splitlines()
    assert lines[:2] == ["data:", "  digits: 1797"]
    assert lines[2].startswith("  writers: 0, 1, 2")
    assert lines[-1] == r"note: a\x1b[2Jb"
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("words", [["-h"], ["scan", "-h"], ["train", "-h"]])
def test_help_has_a_short_option(words: list[str]) -> None:
    assert invoke(*words).stdout.startswith("Usage: ")


def test_a_mistyped_command_is_refused_with_a_suggestion() -> None:
    result = invoke("scna", "x")
    assert result.exit_code == 2
    assert "No such command 'scna'. Did you mean scan?" in result.stderr
    assert "'zipocr -h' lists the commands" in invoke("xyz").stderr


def test_the_help_truncates_no_command_summary() -> None:
    assert "..." not in invoke("--help").stdout.partition("Commands:")[2]


def test_one_crop_is_counted_in_the_singular(tmp_path: Path) -> None:
    assert "; 1 crop in " in invoke("scan", save(tmp_path / "a.png")).stderr


def test_an_output_among_the_inputs_is_not_called_an_image(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.touch()
    result = invoke("scan", save(tmp_path / "a.png"), path, "-o", path)
    assert result.exit_code == 2
    assert "is one of the files to read" in " ".join(result.stderr.split())


def test_files_that_are_read_twice_are_named(tmp_path: Path) -> None:
    save(tmp_path / "a" / "b" / "c.png")
    result = invoke("scan", tmp_path / "a", tmp_path / "a" / "b")
    assert "warning: a/b/c.png and b/c.png are the same file; it is read twice\n" in result.stderr
    assert result.stdout.count("c.png") == 2
    assert "warning" not in invoke("scan", tmp_path / "a").stderr
    assert "warning" not in invoke("scan", tmp_path / "a", tmp_path / "a").stderr


@pytest.mark.posix
@pytest.mark.parametrize("kind", ["link to a file", "link to a folder", "hard link"])
def test_a_file_under_two_unrelated_paths_is_named(tmp_path: Path, kind: str) -> None:
    image = save(tmp_path / "a" / "x.png")
    save(tmp_path / "a" / "y.png")
    other = tmp_path / "b"
    if kind == "hard link":
        other.mkdir()
        (other / "z.png").hardlink_to(image)
    elif kind == "link to a file":
        other.mkdir()
        (other / "z.png").symlink_to(image)
    else:
        other.symlink_to(tmp_path / "a")
    warnings = invoke("scan", tmp_path / "a", other).stderr
    if kind == "link to a folder":
        assert "a/x.png and b/x.png are the same file, and 1 more like it; each is read" in warnings
    else:
        assert "a/x.png and b/z.png are the same file; it is read twice" in warnings
    assert "warning" not in invoke("scan", tmp_path / "a", other, "--quiet").stderr


def test_the_help_of_watch_does_not_offer_standard_output() -> None:
    assert "standard output" not in invoke("watch", "-h").stdout.partition("--settle")[0]


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (["evaluate", "RESULTS", "RESULTS", "-o", "report"], "report"),
        (["train", "--holdout", "6", "--plot", "x.png"], "plots"),
    ],
)
def test_a_missing_extra_is_reported_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], extra: str
) -> None:
    (tmp_path / "RESULTS").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("zipocr.cli.formats.find_spec", lambda _: None)
    result = invoke(*words)
    assert result.exit_code == 2
    assert f"pip install 'zipocr[{extra}]'" in " ".join(result.stderr.split())
