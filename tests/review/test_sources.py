import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reviewing import write_page

from zipocr.config import ScanConfig
from zipocr.images import list_inputs
from zipocr.review.sources import Finder, Origin, read_origin


@pytest.mark.parametrize(
    "paths",
    [
        ["in"],
        ["in", "other"],
        ["a/x", "b/x"],
        ["in/a.png"],
        ["in/a.png", "other/b.png", "a"],
        ["."],
        [".", "a/x"],
    ],
)
def test_every_file_of_a_scan_is_found_again_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paths: list[str]) -> None:
    for name in ("in/a.png", "in/deep/é\\n.png", "other/b.png", "a/x/1.png", "b/x/1.png"):
        write_page(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    listed = list_inputs([Path(path) for path in paths]).files
    monkeypatch.chdir("/")
    finder = Finder(Origin(folder=tmp_path, paths=tuple(Path(path) for path in paths)))
    assert listed
    assert [finder.find(file.name) for file in listed] == [(tmp_path / file.path).resolve() for file in listed]


@pytest.fixture
def finder(tmp_path: Path) -> Finder:
    write_page(tmp_path / "in" / "a.png")
    write_page(tmp_path / "secret.png")
    (tmp_path / "in" / "out.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "in" / "up").symlink_to(tmp_path)
    (tmp_path / "in" / "circle.png").symlink_to(tmp_path / "in" / "circle.png")
    return Finder(Origin(folder=tmp_path, paths=(Path("in"),)))


@pytest.mark.parametrize(
    "name",
    [
        "../secret.png", "./../secret.png", "a.png/../../secret.png", "up/secret.png", "out.png", "circle.png", "", ".", "..", "/", "//",
        "/etc/passwd", "/etc/../etc/passwd", "a.png\0", "\0", "a" * 5000, "missing.png", "..\\secret.png", "~/x.png", "in/a.png",
    ],
)  # fmt: skip
def test_no_name_leads_out_of_the_folder(finder: Finder, tmp_path: Path, name: str) -> None:
    assert finder.find(name) is None
    assert Finder(Origin(folder=Path("/")), tmp_path / "in").find(name) is None
    assert finder.find("a.png") is not None


def test_an_absolute_name_is_not_found(finder: Finder, tmp_path: Path) -> None:
    assert finder.find(str(tmp_path / "secret.png")) is None


@given(st.text(st.sampled_from("./a\\\0px~ ")) | st.text())
def test_whatever_is_found_is_below(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    base = tmp_path_factory.getbasetemp().resolve()
    found = Finder(Origin(folder=Path("/")), base).find(name.encode("utf-8", "surrogatepass").decode(errors="surrogateescape"))
    assert found is None or (found.is_relative_to(base) and found != base)


def facts(**changes: object) -> dict[str, object]:
    options = {"use_directory": True, "max_pixels": 999}
    return {"folder": "/scans", "paths": ["in"], "model_name": "digits", "directory_file": None, "options": options, **changes}


def told(tmp_path: Path, text: str) -> Origin:
    (tmp_path / "r.csv.json").write_text(text)
    return read_origin(tmp_path / "r.csv")


def test_the_origin_is_what_is_told_beside_the_results(tmp_path: Path) -> None:
    assert told(tmp_path, json.dumps(facts())) == Origin(folder=Path("/scans"), paths=(Path("in"),), model="digits", max_pixels=999)
    own = told(tmp_path, json.dumps(facts(directory_file="ours.csv", folder="/a\\\\b", options={"use_directory": False, "max_pixels": -1})))
    assert own == Origin(
        folder=Path("/a\\b"), paths=(Path("in"),), model="digits", directory=Path("/a\\b/ours.csv"), use_directory=False, max_pixels=1
    )


def test_a_model_file_is_looked_for_where_the_scan_ran(tmp_path: Path) -> None:
    (tmp_path / "mine.npz").touch()
    assert told(tmp_path, json.dumps(facts(folder=str(tmp_path), model_name="mine.npz"))).model == str(tmp_path / "mine.npz")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "nonsense", '"text"', json.dumps(facts(paths=3)), json.dumps(facts(folder=None)), "[" * 10**5]
)
def test_what_cannot_be_believed_leaves_the_defaults(tmp_path: Path, text: str) -> None:
    assert told(tmp_path, text) == Origin(folder=Path.cwd(), model=ScanConfig().model, max_pixels=ScanConfig().max_pixels)


def test_without_anything_beside_the_results_the_current_folder_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = write_page(tmp_path / os.fsdecode(b"\xff.png"))
    assert Finder(read_origin(tmp_path / "r.csv")).find(page.name) == page
