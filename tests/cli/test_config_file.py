"""Options from a file and from the environment."""

import json
from pathlib import Path
from typing import Any

import fakes
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from zipocr.cli import main
from zipocr.results.formats import read_results


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a page that is read with confidence 0.6."""
    monkeypatch.setattr("zipocr.batch.read_files.start_reading", fakes.start_fake)
    monkeypatch.chdir(tmp_path)
    Image.fromarray(fakes.page()).save("a.png")
    return tmp_path


def invoke(*words: str, **variables: str) -> Result:
    return CliRunner(env=variables).invoke(main, words, catch_exceptions=False)


def scan(*words: str, before: tuple[str, ...] = (), **variables: str) -> dict[str, Any]:
    """Scan, and return the JSON written beside the results."""
    done = invoke(*before, "scan", "a.png", "-o", "x.csv", "--force", *words, **variables)
    assert done.exit_code == 0, done.output
    metadata: dict[str, Any] = json.loads(Path("x.csv.json").read_text())
    return metadata


def write(text: str, name: str = "zipocr.toml") -> None:
    Path(name).write_text(text)


def test_the_command_line_overrides_the_environment_and_that_the_local_file() -> None:
    assert scan()["options"]["min_confidence"] is None
    write("[scan]\nmin-confidence = 0.1\njobs = 1\nmodel = 'digits'\n")
    metadata = scan()
    assert metadata["options"]["min_confidence"] == 0.1
    variables = {"ZIPOCR_SCAN_MIN_CONFIDENCE": "0.2"}
    assert scan(**variables)["options"]["min_confidence"] == 0.2
    metadata = scan("--min-confidence", "0.9", **variables)
    assert metadata["options"]["min_confidence"] == 0.9
    assert [row.status for row in read_results(Path("x.csv"))] == ["review"]


def test_the_results_record_where_each_option_came_from(here: Path) -> None:
    write("[scan]\njobs = 1\n")
    metadata = scan("--model", "digits", ZIPOCR_SCAN_MAX_PIXELS="5000000")
    origins = metadata["option_origins"]
    assert {name: origins[name] for name in ("jobs", "model", "max_pixels", "timeout")} == {
        "jobs": "file",
        "model": "command line",
        "max_pixels": "environment",
        "timeout": "default",
    }
    assert metadata["config_file"] == str(here / "zipocr.toml")
    Path("zipocr.toml").unlink()
    assert scan()["config_file"] is None


def test_a_named_file_replaces_the_local_one() -> None:
    write("[scan]\nmin-confidence = 0.1\n")
    write("[scan]\nmin_confidence = 0.3\nrequire-listed = true\n", "other.toml")
    metadata = scan(before=("--config", "other.toml"))
    assert (metadata["options"]["min_confidence"], metadata["options"]["require_listed"]) == (
        0.3,
        True,
    )
    metadata = scan(ZIPOCR_CONFIG="other.toml")
    assert metadata["options"]["min_confidence"] == 0.3
    assert invoke("--config", "missing.toml", "scan", "a.png").exit_code == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[scan]\njosb = 1",
            "zipocr.toml: josb in [scan] is not an option of scan. Did you",
        ),
        ("[scna]\njobs = 1", "zipocr.toml: [scna] is not a command. Did you mean scan?"),
        ("jobs = 1", "zipocr.toml: [jobs] is not a command. There are scan,"),
        ("scan = 1", "zipocr.toml: scan must be a table, [scan]."),
        ("[scan]\njobs = '1'", "jobs in [scan] must be a whole number, not '1'."),
        ("[scan]\njobs = true", "jobs in [scan] must be a whole number, not True."),
        ("[scan]\njobs = -1", "jobs in [scan]: -1 is not in the range x>=0."),
        ("[scan]\nmax-error = 2", "max-error in [scan]: 2.0 is not in the range"),
        ("[scan]\nquiet = 1", "quiet in [scan] must be true or false, not 1."),
        ("[scan]\nmodel = 3", "model in [scan] must be text in quotes, not 3."),
        ("[scan]\nbackend = 'x'", "backend in [scan]: 'x' is not one of"),
        ("[scan]\npaths = 'a.png'", "paths in [scan] is not an option of scan."),
        ("[scan]\nhelp = true", "help in [scan] is not an option of scan."),
        ("[scan]\nmodel = [['x']]", "model in [scan] must be text in quotes"),
        ("[scan", "zipocr.toml is not TOML in UTF-8"),
        ("x = " + "[" * 5000, "zipocr.toml is not TOML in UTF-8"),
    ],
)
def test_an_error_in_a_file_is_refused_with_its_name_and_key(text: str, said: str) -> None:
    write(text)
    done = invoke("scan", "a.png")
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in " ".join(done.stderr.split())


def test_a_typed_option_overrides_one_in_the_file_that_contradicts_it() -> None:
    write("[scan]\nmin-confidence = 0.9\nno-directory = true\nresume = true\n")
    metadata = scan("--max-error", "0.05", "--require-listed")
    assert metadata["options"]["min_confidence"] is None
    assert (metadata["options"]["use_directory"], metadata["options"]["require_listed"]) == (
        True,
        True,
    )
    write("[scan]\nmin-confidence = 0.9\nmax-error = 0.1\n")
    done = invoke("scan", "a.png")
    assert done.exit_code == 2
    assert "--max-error and --min-confidence both choose" in done.stderr


def test_typed_paths_override_the_manifest_in_the_file() -> None:
    write("[scan]\nmanifest = 'list.txt'\nout-dir = 'parts'\n")
    write("a.png\n", "list.txt")
    assert scan()["counts"] == {"read": 1}


def test_other_commands_read_their_own_table() -> None:
    write("[scan]\njobs = 1\n[sort]\nby = 'zip5'\n")
    scan()
    done = invoke("sort", "x.csv", "--into", "sorted")
    assert "00007 1" in done.stderr


def test_a_local_file_that_was_not_named_runs_no_program() -> None:
    write("[watch]\nexec = 'touch x'\n")
    done = invoke("watch", ".", "-o", "x.csv")
    assert done.exit_code == 2
    assert "exec in [watch] runs a program. Name the file with --config" in " ".join(
        done.stderr.split()
    )
