"""Where crops are looked up, and that no name leads anywhere else."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zipocr.errors import InputError
from zipocr.images.listing import list_inputs
from zipocr.images.lookup import (
    Origin,
    SearchRoot,
    Sources,
    read_origin,
    read_provenance,
    safe_join,
    sources_of,
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def save(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.fsencode(path.name))
    return path


def write_origin(results: Path, folder: Path, *paths: str) -> Path:
    """Write the metadata that a scan leaves beside its results."""
    results.with_name(results.name + ".json").write_text(
        json.dumps({"folder": str(folder), "paths": list(paths)})
    )
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
def test_every_row_of_a_scan_finds_its_file(
    here: Path, monkeypatch: pytest.MonkeyPatch, paths: list[str]
) -> None:
    scanned = here / "scanned"
    for name in ("in/a.png", "in/x/a.png", "more/a.png", "one.png", "a/in/a.png", "b/in/a.png"):
        save(scanned / name)
    monkeypatch.chdir(scanned)
    files = list_inputs([Path(path) for path in paths]).files
    monkeypatch.chdir(here / "work")
    sources = sources_of(write_origin(here / "results.csv", scanned, *paths), None)
    assert files
    for file in files:
        found = sources.find(file.name)
        assert found is not None
        assert found.samefile(scanned / file.path)


def test_without_metadata_beside_the_results_the_current_folder_is_searched(here: Path) -> None:
    save(here / "work" / "a.png")
    assert sources_of(here / "results.csv", None).find("a.png") == Path("a.png")
    (here / "results.csv.json").write_text('{"zipocr": "1", "command": "apply"}')
    assert sources_of(here / "results.csv", None).find("a.png") == Path("a.png")
    assert read_origin(here / "results.csv") == Origin()


def test_a_folder_that_is_given_is_the_only_one_searched(here: Path) -> None:
    save(here / "work" / "a.png")
    save(here / "other" / "b.png")
    sources = sources_of(write_origin(here / "results.csv", here, "work"), here / "other")
    assert sources.find("a.png") is None
    assert sources.find("b.png") == here / "other" / "b.png"


@pytest.mark.parametrize(
    "name",
    [
        "../a.png",
        "x/../../a.png",
        "/etc/passwd",
        "..",
        "",
        "x\0y",
        "c:a.png",
        "\\\\host\\share\\a.png",
        ".",
    ],
)
def test_no_name_escapes_its_folder(here: Path, name: str) -> None:
    save(here / "a.png")
    assert safe_join(here / "work", name) in {None, here / "work"}
    assert sources_of(here / "results.csv", here / "work").find(name) is None
    assert sources_of(write_origin(here / "results.csv", here, "work"), None).find(name) is None


def test_a_name_after_that_of_a_path_does_not_escape_either(here: Path) -> None:
    save(here / "secret.png")
    for folder in ("one", "two"):
        save(here / folder / "a.png")
    sources = sources_of(write_origin(here / "results.csv", here, "one", "two"), None)
    assert sources.find("one/a.png") is not None
    assert sources.find("one/../secret.png") is None


def test_names_that_are_not_text_are_found(here: Path) -> None:
    name = os.fsdecode(b"\xff \\.png")
    try:
        save(here / "work" / name)
    except OSError:
        pytest.skip("this file system takes no such names")
    found = sources_of(here / "results.csv", None).find(name)
    assert found is not None
    assert found.read_bytes() == b"\xff \\.png"


@pytest.fixture
def linked(tmp_path: Path) -> Sources:
    """A folder with links, some of which lead outside."""
    save(tmp_path / "in" / "a.png")
    save(tmp_path / "secret.png")
    for name, target in (
        ("out.png", tmp_path / "secret.png"),
        ("up", tmp_path),
        ("circle.png", tmp_path / "in" / "circle.png"),
        ("same.png", Path("a.png")),
    ):
        (tmp_path / "in" / name).symlink_to(target)
    return Sources(roots=(SearchRoot(path=tmp_path / "in"),))


@pytest.mark.parametrize(
    "name",
    [
        "../secret.png", "./../secret.png", "a.png/../../secret.png", "up/secret.png", "out.png", "circle.png", "", ".", "..", "/", "//",
        "/etc/passwd", "/etc/../etc/passwd", "a.png\0", "\0", "a" * 5000, "missing.png", "..\\secret.png", "~/x.png", "in/a.png",
    ],
)  # fmt: skip
def test_no_name_or_link_escapes(linked: Sources, name: str) -> None:
    assert linked.find(name) is None
    assert linked.find("a.png") is not None


def test_a_link_that_stays_inside_is_followed(linked: Sources, tmp_path: Path) -> None:
    assert linked.find("same.png") == tmp_path / "in" / "same.png"


@given(st.text(st.sampled_from("./a\\\0px~ ")) | st.text())
def test_anything_found_is_inside_the_folder(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    base = tmp_path_factory.getbasetemp()
    found = Sources(roots=(SearchRoot(path=base),)).find(
        name.encode("utf-8", "surrogatepass").decode(errors="surrogateescape")
    )
    assert found is None or found.resolve().is_relative_to(base.resolve())


def facts(**changes: object) -> dict[str, object]:
    options = {"use_directory": True, "max_pixels": 999}
    return {
        "folder": "/scans",
        "paths": ["in"],
        "model_name": "digits",
        "directory_file": None,
        "options": options,
        **changes,
    }


def origin_of(tmp_path: Path, text: str) -> Origin:
    (tmp_path / "r.csv.json").write_text(text)
    return read_origin(tmp_path / "r.csv")


def test_the_origin_is_read_from_the_metadata_beside_the_results(tmp_path: Path) -> None:
    assert origin_of(tmp_path, json.dumps(facts())) == Origin(model="digits", max_pixels=999)
    own = origin_of(
        tmp_path,
        json.dumps(
            facts(
                directory_file="ours.csv",
                folder="/a\\\\b",
                options={"use_directory": False, "max_pixels": -1},
            )
        ),
    )
    assert own == Origin(
        model="digits", directory=Path("/a\\b/ours.csv"), use_directory=False, max_pixels=1
    )


def test_a_model_file_is_looked_up_where_the_scan_ran(tmp_path: Path) -> None:
    (tmp_path / "mine.npz").touch()
    assert origin_of(
        tmp_path, json.dumps(facts(folder=str(tmp_path), model_name="mine.npz"))
    ).model == str(tmp_path / "mine.npz")


DEEP = ["[" * 10**5, '{"a":' * 10**5, '{"a":' * 500 + "1" + "}" * 500]
DAMAGED = ["", "[]", "nonsense", '"text"', '{"a": ' + "9" * 5000 + "}", "\udcff", *DEEP]
OTHER = [
    {"paths": 3},
    {"paths": [1]},
    {"folder": None},
    {"model_name": {}},
    {"options": []},
    {"zipocr": 1},
    {"directory_file": 7},
]


@pytest.mark.parametrize("text", [*DAMAGED, *(json.dumps(facts(**changes)) for changes in OTHER)])
def test_foreign_metadata_beside_results_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.csv.json").write_bytes(os.fsencode(text))
    with pytest.raises(
        InputError, match=r"r\.csv\.json does not describe how the results were made .*Move it away"
    ):
        read_provenance(tmp_path / "r.csv")


@pytest.mark.posix
def test_a_pipe_beside_results_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "r.csv.json")
    with pytest.raises(InputError, match="a pipe"):
        read_provenance(tmp_path / "r.csv")
