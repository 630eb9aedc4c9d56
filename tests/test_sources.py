"""Where crops are looked for, and that no name leads anywhere else."""

import json
import os
from pathlib import Path

import pytest

from zipocr.images import list_inputs
from zipocr.sources import inside, sources_of


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def save(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.fsencode(path.name))
    return path


def tell(results: Path, folder: Path, *paths: str) -> Path:
    """Write what a scan leaves beside its results."""
    results.with_name(results.name + ".json").write_text(json.dumps({"folder": str(folder), "paths": list(paths)}))
    return results


@pytest.mark.parametrize(
    "paths",
    [
        ["in"],
        ["in", "more"],
        ["in", "one.png"],
        ["one.png"],
        ["a/in", "b/in"],
        ["in/"],
        ["."],
        [".", "more"],
        ["b/in", "in/a.png", "one.png", "a/in/a.png"],
    ],
)
def test_every_row_of_a_scan_finds_its_file(here: Path, monkeypatch: pytest.MonkeyPatch, paths: list[str]) -> None:
    scanned = here / "scanned"
    for name in ("in/a.png", "in/x/a.png", "more/a.png", "one.png", "a/in/a.png", "b/in/a.png"):
        save(scanned / name)
    monkeypatch.chdir(scanned)
    files = list_inputs([Path(path) for path in paths]).files
    monkeypatch.chdir(here / "work")
    sources = sources_of(tell(here / "results.csv", scanned, *paths), None)
    assert files
    for file in files:
        found = sources.find(file.name)
        assert found is not None
        assert found.samefile(scanned / file.path)


def test_without_a_word_beside_the_results_the_current_folder_counts(here: Path) -> None:
    save(here / "work" / "a.png")
    assert sources_of(here / "results.csv", None).find("a.png") == Path("a.png")
    (here / "results.csv.json").write_text("[")
    assert sources_of(here / "results.csv", None).find("a.png") == Path("a.png")
    (here / "results.csv.json").write_text('{"folder": 7, "paths": "x"}')
    assert sources_of(here / "results.csv", None).find("a.png") == Path("a.png")


def test_a_folder_that_is_given_is_the_only_one(here: Path) -> None:
    save(here / "work" / "a.png")
    save(here / "other" / "b.png")
    sources = sources_of(tell(here / "results.csv", here, "work"), here / "other")
    assert sources.find("a.png") is None
    assert sources.find("b.png") == here / "other" / "b.png"


@pytest.mark.parametrize("name", ["../a.png", "x/../../a.png", "/etc/passwd", "..", "", "x\0y", "c:a.png", "\\\\host\\share\\a.png", "."])
def test_no_name_leads_out_of_its_folder(here: Path, name: str) -> None:
    save(here / "a.png")
    assert inside(here / "work", name) in {None, here / "work"}
    assert sources_of(here / "results.csv", here / "work").find(name) is None
    assert sources_of(tell(here / "results.csv", here, "work"), None).find(name) is None


def test_a_name_behind_that_of_a_path_does_not_lead_out_either(here: Path) -> None:
    save(here / "secret.png")
    for folder in ("one", "two"):
        save(here / folder / "a.png")
    sources = sources_of(tell(here / "results.csv", here, "one", "two"), None)
    assert sources.find("one/a.png") is not None
    assert sources.find("one/../secret.png") is None


def test_names_that_are_no_text_are_found(here: Path) -> None:
    name = os.fsdecode(b"\xff \\.png")
    try:
        save(here / "work" / name)
    except OSError:
        pytest.skip("this file system takes no such names")
    found = sources_of(here / "results.csv", None).find(name)
    assert found is not None
    assert found.read_bytes() == b"\xff \\.png"
