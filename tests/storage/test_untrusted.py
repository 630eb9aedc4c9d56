"""Files that others created or changed.

Each command that reads one responds at once with a readable message and prints no raw contents.
"""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import fakes
import numpy as np
import pytest
from click.testing import CliRunner, Result
from madeup import row

from zipocr.cli import main
from zipocr.errors import ExitCode, InputError, OutputError, ZipocrError, printable
from zipocr.models.model_file import save_model
from zipocr.results.csv_file import format_rows
from zipocr.results.formats import open_results
from zipocr.results.row import COLUMNS, Row
from zipocr.storage.untrusted import MAX_DEPTH, open_plain, parse_json, read_plain
from zipocr.types import Status

ESC = "\x1b[31m"
GOOD = row("a.png", "02108", 0.9)
CORRECTIONS = "file,page,read_zip,zip,decision,drawn,time\na.png,1,02108,02108,confirmed,doubt,2026-01-31T12:00:00+00:00\n"


def invoke(*arguments: str | Path) -> Result:
    done = CliRunner().invoke(
        main, [os.fspath(argument) for argument in arguments], catch_exceptions=False
    )
    assert "\x1b" not in done.output
    return done


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results of one page, with its labels and corrections."""
    monkeypatch.chdir(tmp_path)
    save([GOOD])
    Path("labels.csv").write_text("file,zip\na.png,02108\n")
    Path("corrections.csv").write_text(CORRECTIONS)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_text("a.png")
    return tmp_path


def save(rows: list[Row], name: str = "results.csv") -> None:
    with open_results(name) as results:
        results.write(rows)


READERS = [
    ["evaluate", "results.csv", "labels.csv"],
    ["apply", "results.csv", "corrections.csv", "-o", "new.csv"],
    ["sort", "results.csv", "--into", "sorted", "--images", "in", "--by", "zip3"],
    ["review", "results.csv", "--no-browser"],
]
STRANGE: list[dict[str, Any]] = [
    {"zip": "3123"},
    {"zip": "../"},
    {"zip": "<b>02108</b>"},
    {"zip": ESC},
    {"zip": "021080"},
    {"zip": "٠٢١٠٨"},
    {"zip": ""},
    {"plus4": "123"},
    {"plus4": "x"},
    {"confidence": float("nan")},
    {"confidence": float("inf")},
    {"confidence": -1.0},
    {"confidence": None},
    {"digit_confidences": (float("nan"),) * 5},
    {"runner_up": "2109"},
    {"runner_up": ESC},
    {"status": Status.UNREAD},
    {"page": 0},
]


@pytest.mark.parametrize("words", READERS, ids=lambda words: words[0])
@pytest.mark.parametrize("changes", STRANGE, ids=str)
def test_a_row_zipocr_would_not_write_is_refused_with_its_line_number(
    folder: Path, words: list[str], changes: dict[str, Any]
) -> None:
    (folder / "results.csv").write_text(
        f"{','.join(COLUMNS)}\n"
        + format_rows([replace(GOOD, file="b.png"), replace(GOOD, **changes)])
    )
    done = invoke(*words)
    assert done.exit_code == InputError.exit_code, done.output
    assert "results.csv, line 3: " in done.stderr
    assert "Recreate the results with zipocr scan." in done.stderr
    assert not (folder / "sorted").exists()
    assert not (folder / "new.csv").exists()


def test_a_leading_zero_lost_in_a_spreadsheet_is_reported_with_the_fix(folder: Path) -> None:
    save([replace(GOOD, zip="3123")])
    assert (
        "line 2: 3123 has less than five digits. A spreadsheet has removed leading zeros: "
        "write 03123" in invoke(*READERS[2]).stderr
    )
    assert (folder / "results.csv").exists()


@pytest.mark.parametrize("text", [b"\xff,1,,,,unread,no_ink,,,,,\n", b'"a.png\n', b"a.png,1\n"])
def test_a_line_that_is_not_a_row_is_reported_by_number(folder: Path, text: bytes) -> None:
    (folder / "results.csv").write_bytes(",".join(COLUMNS).encode() + b"\n" + text)
    assert "results.csv, line 2: " in invoke(*READERS[0]).stderr


WAITING = [
    (0, "labels.csv", ["evaluate", "results.csv", "labels.csv"], ExitCode.INPUT),
    (1, "results.csv", ["evaluate", "results.csv", "labels.csv"], ExitCode.INPUT),
    (
        2,
        "corrections.csv",
        ["apply", "results.csv", "corrections.csv", "-o", "new.csv"],
        ExitCode.INPUT,
    ),
    (3, "results.csv.json", ["sort", "results.csv", "--into", "sorted"], ExitCode.INPUT),
    (4, "list.csv", ["scan", "in", "--directory", "list.csv"], ExitCode.INPUT),
    (5, "files.txt", ["scan", "--manifest", "files.txt", "--out-dir", "parts"], ExitCode.INPUT),
    (6, "out.csv.journal", ["scan", "in", "-o", "out.csv"], ExitCode.OUTPUT),
    (7, "model.npz", ["model", "model.npz"], ExitCode.MODEL),
    (
        8,
        "corrections.csv",
        [
            "review",
            "results.csv",
            "--no-browser",
            "--labels-out",
            "corrections.csv",
            "--audit",
            "1",
        ],
        ExitCode.OUTPUT,
    ),
    (9, "digits.npz", ["train", "--data", "digits.npz", "-o", "model.npz"], ExitCode.USAGE),
]


@pytest.mark.posix
@pytest.mark.parametrize(
    ("name", "words", "code"),
    [case[1:] for case in WAITING],
    ids=[f"{case[0]}-{case[1]}" for case in WAITING],
)
def test_a_pipe_is_refused_at_once(folder: Path, name: str, words: list[str], code: int) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    done = invoke(*words)
    assert done.exit_code == code
    assert name in done.stderr
    if code != ExitCode.USAGE:
        assert "a pipe, socket or device, not a file" in done.stderr


HEADERS: list[tuple[str, str, list[str]]] = [
    ("labels.csv", f"file,zip,{ESC},{ESC}\n", ["evaluate", "results.csv", "labels.csv"]),
    (
        "labels.csv",
        f"file,zip,{ESC}\na.png,02108,x\n",
        ["evaluate", "results.csv", "labels.csv", "--by", "kind"],
    ),
    (
        "labels.csv",
        f"file,zip,kind\na.png,02108,{ESC}\n",
        ["evaluate", "results.csv", "labels.csv", "--by", "kind"],
    ),
    (
        "corrections.csv",
        f"file,{ESC}\n",
        ["apply", "results.csv", "corrections.csv", "-o", "new.csv"],
    ),
    (
        "results.csv.json",
        json.dumps({"paths": 1, ESC: ESC}),
        ["sort", "results.csv", "--into", "sorted"],
    ),
    ("list.csv", f"zip,{ESC}\n", ["scan", "in", "--directory", "list.csv"]),
    ("files.txt", f"path,{ESC}\n\n,x\n", ["scan", "--manifest", "files.txt", "--out-dir", "parts"]),
]


@pytest.mark.parametrize(("name", "text", "words"), HEADERS)
def test_control_characters_in_files_are_not_printed_raw(
    folder: Path, name: str, text: str, words: list[str]
) -> None:
    (folder / name).write_text(text)
    assert invoke(*words).output  # checked by `invoke`


def test_control_characters_in_file_names_are_not_printed_raw(folder: Path) -> None:
    name = f"{ESC}\udcff\u202e.png"
    (folder / "in" / name).write_text("x")
    save([replace(GOOD, file=name)])
    done = invoke(*READERS[2], "--dry-run")
    assert r"in/\x1b[31m\xff\u202e.png -> sorted/021/\x1b" in done.stdout.replace(
        "\u202e", r"\u202e"
    )
    for words in (
        ["inspect", f"in/{name}"],
        ["scan", f"missing{ESC}"],
        ["model", ESC],
        ["train", "--data", ESC],
        READERS[2],
    ):
        assert invoke(*words).output


def test_control_characters_in_parquet_and_model_files_are_not_printed_raw(folder: Path) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.table({ESC: ["x"]}), folder / "files.parquet")
    assert r"\x1b[31m" in invoke("scan", "--manifest", "files.parquet", "--out-dir", "parts").stderr
    save_model(folder / "model.npz", fakes.bare_model({ESC: {ESC: ESC}}))
    assert r"\x1b[31m: \x1b[31m" in invoke("model", "model.npz").stdout


def test_logs_are_printable(folder: Path) -> None:
    name = f"{ESC}.png"
    (folder / "in" / name).write_text("no image")
    done = invoke("scan", "in", "-vv", "--log-file", "log.jsonl", "-o", "out.csv")
    assert r"\x1b[31m.png" in done.stderr
    assert "\x1b" not in (folder / "log.jsonl").read_text()


def deep(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


def test_parsing_json_gives_an_object_or_a_value_error() -> None:
    assert parse_json(deep(MAX_DEPTH))
    for text in (
        deep(MAX_DEPTH + 1),
        deep(100_000),
        "[" * 100_000,
        "[]",
        "1",
        "",
        "{",
        '{"a": ' + "9" * 5000 + "}",
        b"\xff",
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - with any message
            parse_json(text)


@pytest.mark.parametrize("card", [deep(100_000), deep(500), "[" * 100_000, "[]", '"x"', "{}"])
def test_an_invalid_model_card_gets_a_readable_error(folder: Path, card: str) -> None:
    save_model(folder / "model.npz", fakes.bare_model({}))
    with ZipFile(folder / "model.npz") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    changed = BytesIO()
    np.save(changed, np.array(card))
    with ZipFile(folder / "model.npz", "w") as archive:
        for name, data in {**members, "passport.npy": changed.getvalue()}.items():
            archive.writestr(name, data)
    done = invoke("model", "model.npz")
    assert done.exit_code == ExitCode.MODEL
    assert "damaged model card" in done.stderr


@pytest.mark.posix
def test_only_plain_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"data")
    (tmp_path / "link").symlink_to("file")
    assert read_plain(tmp_path / "file") == read_plain(tmp_path / "link") == b"data"
    for name, message in (
        ("pipe", "a pipe"),
        (".", "a folder"),
        ("/dev/zero", "a pipe"),
        ("missing", "No such file"),
    ):
        with pytest.raises(OSError, match=message):
            open_plain(tmp_path / name)


@pytest.mark.parametrize("kind", [InputError, OutputError, ZipocrError])
def test_error_messages_are_printable_and_escaped_once(kind: type[ZipocrError]) -> None:
    error = kind(f"a\\b{ESC}\n\x9b\udcff\ud800\u2028")
    assert str(error) == r"a\b\x1b[31m\x0a\x9b\xff\ud800\u2028"
    assert printable(str(error)) == str(error)
    assert str(kind(str(error))) == str(error)


def foreign_arrays() -> dict[str, Callable[[], dict[str, Any]]]:
    good = {
        "X": np.zeros((9, 28, 28), np.uint8),
        "y": np.zeros(9, np.uint8),
        "writer": np.arange(9),
    }
    return {
        "pickled": lambda: {**good, "y": np.array([{}] * 9, dtype=object)},
        "text": lambda: {**good, "y": np.array(["x"] * 9)},
        "text pixels": lambda: {**good, "X": np.full((9, 28, 28), "x")},
        "floats": lambda: {**good, "X": np.full((9, 28, 28), 0.5)},
        "too bright": lambda: {**good, "X": np.full((9, 28, 28), 256)},
        "no digits": lambda: {**good, "y": np.full(9, 10)},
        "negative": lambda: {**good, "y": np.full(9, -1)},
        "writers": lambda: {**good, "writer": np.full(9, 2**40)},
        "one writer": lambda: {**good, "writer": np.zeros(())},
        "empty": lambda: {name: array[:0] for name, array in good.items()},
    }


@pytest.mark.parametrize("kind", foreign_arrays())
def test_invalid_training_data_gets_a_readable_error(folder: Path, kind: str) -> None:
    np.savez(folder / "data.npz", **foreign_arrays()[kind]())
    done = invoke("train", "--data", "data.npz", "--tune")
    assert done.exit_code == InputError.exit_code
    assert "data.npz" in done.stderr


def test_training_data_too_large_for_memory_is_refused_without_reading_it(folder: Path) -> None:
    header = BytesIO()
    np.lib.format.write_array_header_2_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (10**9, 28, 28)}
    )
    with ZipFile(folder / "data.npz", "w") as archive:
        for name in ("X", "y", "writer"):
            archive.writestr(f"{name}.npy", header.getvalue())
    done = invoke("train", "--data", "data.npz", "--tune")
    assert done.exit_code == InputError.exit_code
    (folder / "data.npz").write_bytes((folder / "data.npz").read_bytes()[:-30])
    assert invoke("train", "--data", "data.npz", "--tune").exit_code in {
        ExitCode.INPUT,
        ExitCode.USAGE,
    }
