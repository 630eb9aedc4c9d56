import contextlib
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zipocr.images.listing import SUFFIXES, list_inputs, stamp_of
from zipocr.results.row import row_names


def test_files_and_folders_are_listed_in_byte_order(tmp_path: Path) -> None:
    names = ["b.png", "a/z.JPG", "a.tiff", "a-1.webp", "a/ä.bmp", "B.tif", "a/b/c.jpeg"]
    for name in [*names, "notes.txt", "a/results.csv", "nothing"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    listing = list_inputs([tmp_path])
    assert [file.name for file in listing.files] == [
        "B.tif",
        "a-1.webp",
        "a.tiff",
        "a/b/c.jpeg",
        "a/z.JPG",
        "a/ä.bmp",
        "b.png",
    ]
    assert [file.path for file in listing.files] == [tmp_path / file.name for file in listing.files]
    assert listing.skipped == 3


def test_names_tell_several_paths_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ["one/x.png", "two/x.png", "two/deep/scans/y.png", "three/scans/y.png"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)

    def names(*paths: str) -> list[str]:
        return [file.name for file in list_inputs([Path(path) for path in paths]).files]

    assert names("one") == ["x.png"]
    assert names("one/x.png") == ["x.png"]
    assert names("one", "three") == ["one/x.png", "three/scans/y.png"]
    assert names("three", "one", "two/deep") == [
        "three/scans/y.png",
        "one/x.png",
        "deep/scans/y.png",
    ]
    assert names("one/x.png", "three/scans") == ["x.png", "scans/y.png"]
    assert names("one/x.png", "two/x.png") == ["one/x.png", "two/x.png"]
    assert names("two/deep/scans", "three/scans") == ["two/deep/scans/y.png", "three/scans/y.png"]
    assert names("one", "one") == ["x.png"]
    monkeypatch.chdir(tmp_path / "one")
    assert names(".", "../three") == ["one/x.png", "three/scans/y.png"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nested folders and files that share a few names."""
    top = tmp_path_factory.mktemp("tree") / "a"
    for folder in ("", "a", "b", "a/b", "b/a", "a/a", "b/a/b"):
        for name in ("1.png", "a.png", "b.png/1.png"):
            path = top / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return top


FOLDERS = ["", "a", "b", "a/b", "b/a", "a/a", "b/a/b", "b.png", "..", "../a"]
PLACES = [*FOLDERS, "1.png", "a/1.png", "b/1.png", "a/b/1.png", "a/b.png"]


@given(paths=st.lists(st.sampled_from(PLACES), min_size=1, max_size=5), is_absolute=st.booleans())
def test_different_files_have_different_names_whatever_paths_are_given(
    tree: Path,
    paths: list[str],
    is_absolute: bool,
) -> None:
    with contextlib.chdir(tree):
        files = list_inputs([tree / path if is_absolute else Path(path) for path in paths]).files
        assert len({file.name for file in files}) == len(files)
        listed = {os.path.realpath(file.place) for file in files}
    given_files = [found for path in paths for found in [tree / path, *(tree / path).rglob("*")]]
    assert listed == {os.path.realpath(found) for found in given_files if found.is_file()}


def test_a_name_is_not_confused_with_one_in_another_folder(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ["y/a/b.png", "a/b.png", "z/b.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    files = list_inputs([Path("y/a"), Path("a/b.png"), Path("z/b.png")]).files
    assert [(file.name, file.place) for file in files] == [(name, name) for name in names]


def test_many_paths_of_the_same_name_are_named_quickly() -> None:
    paths = [Path(f"{number}/x.png") for number in range(20_000)]
    began = time.process_time()
    assert row_names(paths) == [f"{number}/x.png" for number in range(20_000)]
    assert time.process_time() - began < 5


@pytest.mark.posix
def test_a_stamp_distinguishes_a_file_from_its_replacement(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    stamps = [stamp_of(str(path))]
    for text, changed in (("1", 5), ("12", 5), ("12", 6)):
        path.write_text(text)
        os.utime(path, ns=(changed, changed))
        stamps.append(stamp_of(str(path)))
    (tmp_path / "lost.png").symlink_to("nowhere")
    stamps.append(stamp_of(str(tmp_path / "lost.png")))
    assert stamps[0] == ""
    assert len(set(stamps)) == len(stamps)


def test_a_file_given_directly_is_listed_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "scan").touch()
    assert [file.name for file in list_inputs([tmp_path / "scan"]).files] == ["scan"]


def test_the_folder_of_debug_pictures_is_left_out(tmp_path: Path) -> None:
    for name in ["x.png", "debug/sheet.png", "a/debug/y.png"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    listing = list_inputs([tmp_path], exclude=tmp_path / "a" / ".." / "debug")
    assert [file.name for file in listing.files] == ["a/debug/y.png", "x.png"]
    assert listing.skipped == 0


@pytest.mark.posix
def test_a_non_image_with_an_image_suffix_is_listed_so_that_it_gets_a_row(
    tmp_path: Path,
) -> None:
    os.mkfifo(tmp_path / "endless.png")
    os.mkfifo(tmp_path / "endless")
    (tmp_path / "lost.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "link.png").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "empty.png").mkdir()
    (tmp_path / "full.png").mkdir()
    (tmp_path / "full.png" / "x.png").touch()
    listing = list_inputs([tmp_path])
    assert [file.name for file in listing.files] == [
        "empty.png",
        "endless.png",
        "full.png/x.png",
        "link.png",
        "loop.png",
        "lost.png",
    ]
    assert listing.skipped == 1


@pytest.mark.posix
def test_circular_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "x.png").touch()
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    assert [file.name for file in list_inputs([tmp_path]).files] == ["x.png"]


def test_a_folder_that_cannot_be_opened_gets_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "x.png").touch()
    scandir = os.scandir

    def guarded(path: str) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    assert [file.name for file in list_inputs([tmp_path]).files] == ["closed", "x.png"]


def test_suffixes_are_lower_case() -> None:
    assert all(suffix == suffix.lower() for suffix in SUFFIXES)


def test_a_folder_of_any_depth_is_listed(tmp_path: Path) -> None:
    levels = 1_050
    with contextlib.chdir(tmp_path):
        for _ in range(levels):
            Path("d").mkdir()
            os.chdir("d")
        Path("x.png").touch()
    (file,) = list_inputs([tmp_path]).files
    assert file.name == "d/" * levels + "x.png"
    subprocess.run(["rm", "-r", tmp_path / "d"], check=True)
