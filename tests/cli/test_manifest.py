import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import fakes
import pytest
import scanner
import waiting
from click.testing import CliRunner, Result
from PIL import Image

from zipocr.cli import main
from zipocr.errors import BackendError, ExitCode, InputError, OutputError
from zipocr.images.listing import ImageFile

parquet = pytest.importorskip("pyarrow.parquet")

from zipocr.results.parquet_file import read_facts, write_part  # noqa: E402 - needs the extra

COUNT = 23
SIZE = 10
DEADLINE = 120


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(
        main, [os.fspath(argument) for argument in arguments], catch_exceptions=False
    )


@pytest.fixture(autouse=True)
def _fake_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zipocr.batch.read_files.start_reading", fakes.start_fake)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A folder of crops, one damaged and one of three pages, with a manifest."""
    return make_scans(tmp_path / "in", gray=None)


def make_scans(folder: Path, *, gray: int | None, count: int = COUNT) -> Path:
    folder.mkdir()
    for number in range(count):
        Image.fromarray(fakes.page(ink=number if gray is None else gray)).save(
            folder / f"{number:03}.png"
        )
    if gray is None:
        (folder / "007.png").write_text("no image")
        Image.fromarray(fakes.page(ink=7)).save(
            folder / "012.tif",
            save_all=True,
            append_images=[Image.fromarray(fakes.page(ink=8))] * 2,
        )
        (folder / "012.png").unlink()
    names = sorted(path.name for path in folder.iterdir())
    (folder / "list.txt").write_text("".join(f"{name}\n" for name in names))
    return folder


def scan(scans: Path, parts: Path, *words: str, backend: str = "serial") -> Result:
    return invoke(
        "scan",
        "--manifest",
        scans / "list.txt",
        "--out-dir",
        parts,
        "--shard-size",
        str(SIZE),
        "--backend",
        backend,
        *words,
    )


def part(parts: Path, number: int) -> Path:
    return parts / f"part-{number:07}.parquet"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_merged_parts_are_byte_for_byte_a_plain_scan(scans: Path, tmp_path: Path) -> None:
    done = scan(scans, tmp_path / "parts")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "failed: 007.png: " in done.stderr
    assert f"failed 1; {COUNT + 2} crops in " in done.stderr
    assert sorted(contents(tmp_path / "parts")) == [
        part(tmp_path, number).name for number in (1, 2, 3)
    ]
    assert invoke("scan", scans, "-o", tmp_path / "plain.csv", "--backend", "serial").exit_code == 1
    merged = invoke("merge", tmp_path / "parts", "-o", tmp_path / "merged.csv")
    assert (merged.exit_code, merged.stdout, merged.stderr) == (
        0,
        "",
        f"{COUNT + 2} rows of 3 parts\n",
    )
    assert (tmp_path / "merged.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()
    assert (
        invoke("merge", tmp_path / "parts", "-o", "-").stdout
        == (tmp_path / "plain.csv").read_text()
    )


def test_parts_can_be_merged_into_one_parquet_file(scans: Path, tmp_path: Path) -> None:
    scan(scans, tmp_path / "parts")
    assert invoke("merge", tmp_path / "parts", "-o", tmp_path / "all.parquet").exit_code == 0
    rows = [
        row
        for number in (1, 2, 3)
        for row in parquet.read_table(part(tmp_path / "parts", number)).to_pylist()
    ]
    assert parquet.read_table(tmp_path / "all.parquet").to_pylist() == rows
    facts = read_facts(tmp_path / "all.parquet")
    assert facts is not None
    assert facts["counts"]["failed"] == 1
    assert "shard" not in facts


def test_a_second_run_makes_only_the_missing_parts(scans: Path, tmp_path: Path) -> None:
    scan(scans, tmp_path / "parts")
    before = contents(tmp_path / "parts")
    for path in scans.glob("00*"):  # reading the first part again would fail
        fakes.spoil(path)
    part(tmp_path / "parts", 2).unlink()
    done = scan(scans, tmp_path / "parts")
    assert f"{COUNT + 2} crops, 13 of them before, in " in done.stderr
    assert contents(tmp_path / "parts") == before
    done = scan(scans, tmp_path / "parts")
    assert (done.exit_code, done.stderr) == (1, f"{tmp_path}/parts is complete already\n")


def test_a_part_whose_files_have_changed_is_remade(scans: Path, tmp_path: Path) -> None:
    scan(scans, tmp_path / "parts")
    before = contents(tmp_path / "parts")
    Image.fromarray(fakes.page(ink=99)).save(scans / "015.png")
    done = scan(scans, tmp_path / "parts")
    assert "remade, since their files have changed: 1 parts" in done.stderr
    assert f"{COUNT + 2} crops, 13 of them before, in " in done.stderr
    after = contents(tmp_path / "parts")
    assert [name for name in after if after[name] != before[name]] == [part(tmp_path, 2).name]
    rows = parquet.read_table(part(tmp_path / "parts", 2)).to_pylist()
    assert {row["file"]: row["zip"] for row in rows}["015.png"] == "00099"
    assert "is complete already" in scan(scans, tmp_path / "parts").stderr


def test_a_part_identifies_its_run(scans: Path, tmp_path: Path) -> None:
    scan(scans, tmp_path / "parts")
    facts = read_facts(part(tmp_path / "parts", 1))
    assert facts is not None
    identity = facts["identity"]
    assert (facts["shard"], facts["shards"], facts["counts"]) == (
        1,
        3,
        {"failed": 1, "read": SIZE - 1},
    )
    assert len(identity["inputs"]["manifest"]["sha256"]) == len(identity["model"]["sha256"]) == 64
    assert {"zipocr", "options", "libraries"} <= identity.keys()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--min-confidence", "0.9"], "options min_confidence was None and is 0.9"),
        (["--model", "digits"], "model sha256 was"),
        (["--shard-size", "9"], f"inputs shard_size was {SIZE} and is 9"),
        ([], "inputs manifest sha256 was"),
    ],
)
def test_a_different_run_is_refused_and_changes_nothing(
    scans: Path, tmp_path: Path, change: list[str], said: str
) -> None:
    scan(scans, tmp_path / "parts")
    before = contents(tmp_path / "parts")
    if not change:
        (scans / "list.txt").write_text(
            (scans / "list.txt").read_text().replace("001.png", "002.png")
        )
    done = scan(scans, tmp_path / "parts", *change)
    assert done.exit_code == OutputError.exit_code
    assert said in done.stderr
    assert contents(tmp_path / "parts") == before
    assert scan(scans, tmp_path / "parts", *change, "--force").exit_code == 1
    assert invoke("merge", tmp_path / "parts", "-o", tmp_path / "merged.csv").exit_code == 0


def test_a_damaged_or_foreign_part_is_refused(scans: Path, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    scan(scans, parts)
    shutil.copy(part(parts, 1), part(parts, 9))
    assert "part-0000009.parquet is not a part of this run" in scan(scans, parts).stderr
    part(parts, 9).unlink()
    shutil.copy(part(parts, 1), part(parts, 2))
    assert "part-0000002.parquet is not what its name says" in scan(scans, parts).stderr
    part(parts, 2).write_bytes(b"PAR1")
    done = scan(scans, parts)
    assert done.exit_code == OutputError.exit_code
    assert "part-0000002.parquet is not what its name says, or damaged" in done.stderr


def test_duplicate_missing_and_foreign_parts_are_not_merged(scans: Path, tmp_path: Path) -> None:
    parts, merge = (
        tmp_path / "parts",
        lambda: invoke("merge", tmp_path / "parts", "-o", tmp_path / "merged.csv"),
    )
    scan(scans, parts)
    shutil.copy(part(parts, 1), parts / "copy.parquet")
    done = merge()
    assert "copy.parquet and part-0000001.parquet are the same part" in done.stderr
    (parts / "copy.parquet").unlink()
    for number in (1, 2):
        part(parts, number).rename(tmp_path / f"{number}")
    assert "Of 3 parts 2 are missing: 1-2." in merge().stderr
    other = tmp_path / "other"
    scan(scans, other, "--min-confidence", "0.9")
    for number in (1, 2):
        shutil.copy(part(other, number), part(parts, number))
    assert (
        "part-0000003.parquet is of another run than part-0000001.parquet: options "
        "min_confidence was 0.9 and is None" in merge().stderr
    )
    write_part(part(parts, 1), [], {})
    assert "part-0000001.parquet is not a part that" in merge().stderr
    for path in parts.iterdir():
        path.unlink()
    done = merge()
    assert (done.exit_code, done.stderr.startswith("zipocr: There are no parts in ")) == (
        InputError.exit_code,
        True,
    )
    assert not (tmp_path / "merged.csv").exists()


def test_a_merged_output_is_overwritten_only_with_force(scans: Path, tmp_path: Path) -> None:
    scan(scans, tmp_path / "parts")
    output = tmp_path / "merged.csv"
    output.write_text("precious")
    assert invoke("merge", tmp_path / "parts", "-o", output).exit_code == OutputError.exit_code
    assert output.read_text() == "precious"
    assert invoke("merge", tmp_path / "parts", "-o", output, "--force").exit_code == 0
    assert output.read_text() != "precious"
    assert (
        invoke("merge", tmp_path / "parts", "-o", tmp_path / "parts" / "all.parquet").exit_code == 2
    )


@pytest.mark.parametrize("backend", ["auto", "processes", "dask"])
def test_parts_are_byte_identical_on_every_backend(
    scans: Path, tmp_path: Path, backend: str, request: pytest.FixtureRequest
) -> None:
    words = []
    if backend == "dask":
        pytest.importorskip("distributed")
        words = ["--scheduler", request.getfixturevalue("cluster").address]
    scan(scans, tmp_path / "serial")
    scan(scans, tmp_path / backend, *words, backend=backend)
    assert contents(tmp_path / backend) == contents(tmp_path / "serial")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--manifest", "list.txt"],
        ["--out-dir", "parts"],
        ["--manifest", "list.txt", "--out-dir", "parts", "000.png"],
        ["--manifest", "list.txt", "--out-dir", "parts", "-o", "out.csv"],
        ["--manifest", "list.txt", "--out-dir", "parts", "--resume"],
        ["--manifest", "missing.txt", "--out-dir", "parts"],
        ["--manifest", "list.txt", "--out-dir", "parts", "--shard-size", "0"],
        ["--manifest", "list.txt", "--out-dir", "list.txt"],
        ["000.png", "--scheduler", "tcp://localhost:1"],
        ["000.png", "--scheduler", "tcp://localhost:1", "--backend", "dask", "--jobs", "2"],
        ["000.png", "--backend", "serial", "--timeout", "3"],
        ["000.png", "--backend", "serial", "--max-memory-per-worker", "2G"],
        ["000.png", "--backend", "threads"],
    ],
)
def test_contradictory_or_incomplete_options_are_usage_errors(
    scans: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(scans)
    before = contents(scans)
    done = invoke("scan", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert contents(scans) == before


MANIFEST = ["--manifest", "list.txt", "--out-dir", "parts"]


@pytest.mark.parametrize(
    ("package", "words"), [("pyarrow", MANIFEST), ("distributed", ["000.png", "--backend", "dask"])]
)
def test_options_that_need_an_extra_say_how_to_install_it(
    scans: Path, monkeypatch: pytest.MonkeyPatch, package: str, words: list[str]
) -> None:
    monkeypatch.chdir(scans)
    for place in ("manifest", "backends"):
        monkeypatch.setattr(
            f"zipocr.cli.{place}.find_spec", lambda name: None if name == package else object()
        )
    done = invoke("scan", *words)
    assert done.exit_code == 2
    assert "pip install 'zipocr[" in done.stderr


def test_an_empty_manifest_gives_a_warning(scans: Path, tmp_path: Path) -> None:
    (scans / "list.txt").write_text("")
    done = scan(scans, tmp_path / "parts")
    assert (done.exit_code, list((tmp_path / "parts").iterdir())) == (0, [])
    assert "warning: no images found" in done.stderr


def test_files_are_consumed_only_as_fast_as_parts_are_written(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[ImageFile] = []
    most: list[int] = []

    def watched(files: Iterator[ImageFile], *words: Any, **options: Any) -> Any:
        return reads((taken.append(file) or file for file in files), *words, **options)

    def counted(path: Path, *words: Any) -> None:
        most.append(len(taken))
        write_part(path, *words)

    from zipocr.batch.read_files import read_files as reads

    monkeypatch.setattr("zipocr.batch.read_files.read_files", watched)
    monkeypatch.setattr("zipocr.output.shards.write_part", counted)
    scan(scans, tmp_path / "parts")
    assert most == [SIZE, 2 * SIZE, COUNT]


def test_a_manifest_that_shrinks_during_the_run_is_reported(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zipocr.images.manifest import Manifest

    files = Manifest.files
    monkeypatch.setattr(Manifest, "files", lambda self: iter(list(files(self))[:-1]))
    done = scan(scans, tmp_path / "parts")
    assert done.exit_code == InputError.exit_code
    assert "2 of 3 parts are finished; continue with the same command" in done.stderr
    assert "was changed meanwhile" in done.stderr


def test_a_part_written_right_before_an_interrupt_is_counted(
    scans: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def write_and_interrupt(*words: Any) -> None:
        write_part(*words)
        raise KeyboardInterrupt

    monkeypatch.setattr("zipocr.output.shards.write_part", write_and_interrupt)
    done = scan(scans, tmp_path / "parts")
    assert done.exit_code == ExitCode.INTERRUPTED
    assert "1 of 3 parts are finished; continue with the same command" in done.stderr
    assert part(tmp_path / "parts", 1).exists()


def test_a_part_whose_files_have_changed_does_not_count_as_finished(
    scans: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    scan(scans, tmp_path / "parts")
    Image.fromarray(fakes.page(ink=99)).save(scans / "015.png")
    monkeypatch.setattr("zipocr.output.shards.write_part", interrupt)
    done = scan(scans, tmp_path / "parts")
    assert "2 of 3 parts are finished; continue with the same command" in done.stderr


def start(
    folder: Path, parts: Path, *words: str | Path
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    command = [
        sys.executable,
        "-P",
        scanner.__file__,
        "scan",
        "--manifest",
        folder / "list.txt",
        "--out-dir",
        parts,
        "--shard-size",
        "20",
    ]
    return waiting.running([*command, *words])


@pytest.mark.posix
def test_a_killed_run_is_resumed_and_a_second_run_at_the_same_time_stops(tmp_path: Path) -> None:
    folder, parts = make_scans(tmp_path / "in", gray=fakes.SLOW, count=100), tmp_path / "parts"
    with start(folder, parts, "--jobs", "1") as process:
        until = time.monotonic() + DEADLINE
        while not part(parts, 1).exists():
            assert time.monotonic() < until
            time.sleep(0.01)
        process.send_signal(signal.SIGSTOP)
        with start(folder, parts) as second:
            assert b"Another run" in second.communicate(timeout=DEADLINE)[1]
        assert second.returncode == OutputError.exit_code
        process.kill()
    whole = {
        name: data
        for name, data in contents(parts).items()
        if name.endswith(".parquet") and not name.startswith(".")
    }
    assert 1 <= len(whole) < 5
    assert scan_more(folder, parts) == 0
    assert whole.items() <= contents(parts).items()
    assert sorted(contents(parts)) == [part(parts, number).name for number in range(1, 6)]


def scan_more(folder: Path, parts: Path) -> int:
    with start(folder, parts) as process:
        process.communicate(timeout=DEADLINE)
    return process.returncode


def test_a_backend_that_fails_keeps_the_existing_parts(scans: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    scan(scans, tmp_path / "parts")
    part(tmp_path / "parts", 2).unlink()
    before = contents(tmp_path / "parts")
    done = scan(scans, tmp_path / "parts", "--scheduler", "nonsense://x", backend="dask")
    assert done.exit_code == BackendError.exit_code
    assert contents(tmp_path / "parts") == before


FOREIGN_FACTS: list[dict[str, Any]] = [
    {},
    {"identity": None},
    {"identity": {"\x1b[31m": 1}},
    {"shard": 0},
    {"shard": True},
    {"shard": "1"},
    {"shard": 10**18, "shards": 10**18},
    {"shards": 10**18},
    {"shards": -1},
    {"counts": None},
    {"counts": {"read": -1}},
    {"counts": {"read": "x"}},
    {"counts": {"read": 5}},
]


@pytest.mark.parametrize("facts", FOREIGN_FACTS)
def test_parts_with_invalid_metadata_get_an_error_message(
    scans: Path, tmp_path: Path, facts: dict[str, Any]
) -> None:
    parts = tmp_path / "parts"
    scan(scans, parts)
    whole = {"identity": {}, "shard": 1, "shards": 3, "counts": {}}
    write_part(part(parts, 1), [], {**whole, **facts} if facts else {})
    merged = invoke("merge", parts, "-o", tmp_path / "merged.csv")
    again = scan(scans, parts)
    assert (merged.exit_code, again.exit_code) == (InputError.exit_code, OutputError.exit_code)
    assert "\x1b" not in merged.output + again.output
    assert not (tmp_path / "merged.csv").exists()


def test_missing_parts_are_named_however_large_the_gap(tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    for shard in (2, 5):
        write_part(
            part(parts, shard), [], {"identity": {}, "shard": shard, "shards": 10**15, "counts": {}}
        )
    merged = invoke("merge", parts, "-o", tmp_path / "merged.csv")
    assert f"Of {10**15} parts {10**15 - 2} are missing: 1, 3-4, 6-{10**15}." in merged.stderr
