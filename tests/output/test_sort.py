"""Where crops are sorted to, and that nothing else is touched."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from madeup import row

from zipocr.cli import main
from zipocr.cli.sort import BY
from zipocr.output.sort import GroupBy, folder_of
from zipocr.results.formats import open_results
from zipocr.results.row import Row
from zipocr.types import Status

BOSTON = replace(row("a.png", "02108", 0.9), city="Boston", state="MA")
DOUBTFUL = replace(row("b.png", "02108", 0.3), state="MA")
UNREAD = row("c.png", "", 0)
UNLISTED = row("d.png", "99999", 0.9)


class Sorter:
    """Runs the command in its own folder, on images whose contents are their names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images = folder / "images"
        self.into = folder / "sorted"
        self.images.mkdir()

    def save(self, *names: str) -> None:
        for name in names:
            path = self.images / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.fsencode(name))

    def run(self, rows: list[Row], *options: str) -> Result:
        with open_results(str(self.folder / "results.csv")) as writer:
            writer.write(rows)
        words = [
            "sort",
            str(self.folder / "results.csv"),
            "--into",
            str(self.into),
            "--images",
            str(self.images),
            *options,
        ]
        return CliRunner().invoke(main, words)

    def found(self) -> dict[str, str]:
        """The contents of all files below the folder, by path."""
        files = (path for path in self.into.rglob("*") if path.is_file())
        return {path.relative_to(self.into).as_posix(): path.read_text() for path in sorted(files)}


@pytest.fixture
def sorter(tmp_path: Path) -> Sorter:
    return Sorter(tmp_path)


@pytest.mark.parametrize(
    ("by", "folders"),
    [
        ("status", ["read", "review", "unread", "read"]),
        ("zip3", ["021", "review", "unread", "999"]),
        ("zip5", ["02108", "review", "unread", "99999"]),
        ("state", ["MA", "review", "unread", "unlisted"]),
    ],
)
def test_only_read_pages_are_sorted_by_their_zip(
    sorter: Sorter, by: str, folders: list[str]
) -> None:
    rows = [BOSTON, DOUBTFUL, UNREAD, UNLISTED]
    sorter.save(*(one.file for one in rows))
    done = sorter.run(rows, "--by", by)
    assert (done.exit_code, done.stdout) == (0, "")
    assert sorter.found() == {
        f"{folder}/{one.file}": one.file for folder, one in zip(folders, rows, strict=True)
    }


def test_the_command_offers_every_grouping() -> None:
    assert list(BY) == [by.value for by in GroupBy]


@pytest.mark.parametrize("state", ["..", "../x", "/", "M", "", "ma", "MA/..", "."])
def test_a_state_from_a_foreign_file_cannot_name_a_folder_elsewhere(state: str) -> None:
    assert folder_of(replace(BOSTON, state=state), GroupBy.STATE) == "unlisted"


@pytest.mark.parametrize("digits", ["../..", "/etc", ".."])
def test_a_zip_from_a_foreign_file_cannot_name_a_folder_elsewhere(digits: str) -> None:
    for by in (GroupBy.ZIP3, GroupBy.ZIP5):
        assert folder_of(replace(BOSTON, zip=digits), by) == "unread"


def test_files_are_hard_linked_and_take_no_space(sorter: Sorter) -> None:
    sorter.save("a.png")
    sorter.run([BOSTON])
    assert (sorter.into / "read" / "a.png").samefile(sorter.images / "a.png")


def test_copies_are_separate_files_with_the_mtime_of_the_original(sorter: Sorter) -> None:
    sorter.save("a.png")
    os.utime(sorter.images / "a.png", (1e9, 1e9))
    sorter.run([BOSTON], "--copy")
    copy = sorter.into / "read" / "a.png"
    assert not copy.samefile(sorter.images / "a.png")
    assert (copy.read_text(), copy.stat().st_mtime) == ("a.png", 1e9)
    assert os.listdir(sorter.into / "read") == ["a.png"]  # noqa: PTH208 - nothing else is left


@pytest.mark.posix
def test_a_symlink_to_an_image_is_resolved(sorter: Sorter) -> None:
    sorter.save("real/a.png")
    (sorter.images / "a.png").symlink_to("real/a.png")
    sorter.run([BOSTON])
    assert not (sorter.into / "read" / "a.png").is_symlink()
    assert sorter.found() == {"read/a.png": "real/a.png"}


def test_the_first_of_several_files_with_the_same_name_keeps_it(sorter: Sorter) -> None:
    names = ["x/a.png", "y/a.png", "y/a-2.png", "z/A.png"]
    sorter.save(*names)
    done = sorter.run([replace(BOSTON, file=name) for name in names])
    assert sorter.found() == {
        "read/a.png": "x/a.png",
        "read/a-2.png": "y/a.png",
        "read/a-2-2.png": "y/a-2.png",
        "read/A-3.png": "z/A.png",
    }
    assert [line for line in done.stderr.splitlines() if line.startswith("renamed: ")] == [
        f"renamed: {sorter.images / 'y/a.png'} to read/a-2.png",
        f"renamed: {sorter.images / 'y/a-2.png'} to read/a-2-2.png",
        f"renamed: {sorter.images / 'z/A.png'} to read/A-3.png",
    ]


def test_files_with_the_same_name_in_different_folders_keep_it(sorter: Sorter) -> None:
    sorter.save("x/a.png", "y/a.png")
    sorter.run([replace(BOSTON, file="x/a.png"), replace(DOUBTFUL, file="y/a.png")])
    assert sorter.found() == {"read/a.png": "x/a.png", "review/a.png": "y/a.png"}


def test_a_multi_page_file_is_put_into_the_folder_of_each_page(sorter: Sorter) -> None:
    sorter.save("a.tif")
    pages = [
        replace(one, file="a.tif", page=page)
        for page, one in enumerate([BOSTON, DOUBTFUL, BOSTON], start=1)
    ]
    sorter.run(pages)
    assert sorter.found() == {
        "read/a-p1.tif": "a.tif",
        "review/a-p2.tif": "a.tif",
        "read/a-p3.tif": "a.tif",
    }


def test_missing_files_are_reported_and_the_rest_is_sorted(sorter: Sorter) -> None:
    sorter.save("a.png")
    done = sorter.run([BOSTON, DOUBTFUL])
    assert (done.exit_code, sorter.found()) == (1, {"read/a.png": "a.png"})
    assert "not found: b.png\n1 linked, 1 not found; read 1\n" in done.stderr


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "x/../../secret.png"])
def test_names_in_results_cannot_lead_outside_the_images(sorter: Sorter, name: str) -> None:
    (sorter.folder / "secret.png").write_text("secret")
    done = sorter.run([replace(BOSTON, file=name)], "--copy")
    assert (done.exit_code, sorter.found()) == (1, {})


def test_nothing_is_overwritten_and_nothing_is_half_done(sorter: Sorter) -> None:
    sorter.save("a.png", "b.png")
    (sorter.into / "review").mkdir(parents=True)
    (sorter.into / "review" / "b.png").write_text("mine")
    done = sorter.run([BOSTON, DOUBTFUL])
    assert (done.exit_code, "1 of the names are taken by other files" in done.stderr) == (5, True)
    assert sorter.found() == {"review/b.png": "mine"}


@pytest.mark.parametrize("options", [[], ["--copy"]])
def test_sorting_again_does_no_harm(sorter: Sorter, options: list[str]) -> None:
    sorter.save("a.png", "b.png")
    sorter.run([BOSTON], *options)
    done = sorter.run([BOSTON, DOUBTFUL], *options)
    assert done.exit_code == 0
    assert f"1 {'copied' if options else 'linked'}, 1 existed already, 0 not found" in done.stderr
    assert sorter.found() == {"read/a.png": "a.png", "review/b.png": "b.png"}


@pytest.mark.posix
def test_a_link_in_place_of_a_folder_is_not_followed(sorter: Sorter) -> None:
    sorter.save("a.png")
    (sorter.folder / "elsewhere").mkdir()
    sorter.into.mkdir()
    (sorter.into / "read").symlink_to(sorter.folder / "elsewhere")
    assert sorter.run([BOSTON]).exit_code == 5
    assert not any((sorter.folder / "elsewhere").iterdir())


@pytest.mark.posix
def test_a_link_in_place_of_a_file_is_not_followed(sorter: Sorter) -> None:
    sorter.save("a.png")
    (sorter.into / "read").mkdir(parents=True)
    (sorter.into / "read" / "a.png").symlink_to(sorter.folder / "target")
    assert sorter.run([BOSTON], "--copy").exit_code == 5
    assert not (sorter.folder / "target").exists()


def test_a_dry_run_prints_the_plan_and_changes_nothing(sorter: Sorter) -> None:
    sorter.save("a.png", "b.png")
    done = sorter.run([BOSTON, DOUBTFUL], "--dry-run")
    assert done.stdout.splitlines() == [
        f"{sorter.images / 'a.png'} -> {sorter.into / 'read' / 'a.png'}",
        f"{sorter.images / 'b.png'} -> {sorter.into / 'review' / 'b.png'}",
    ]
    assert "2 would be linked, 0 not found; read 1, review 1" in done.stderr
    assert not sorter.into.exists()


def test_copying_is_suggested_where_linking_is_impossible(
    sorter: Sorter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    sorter.save("a.png")
    monkeypatch.setattr("os.link", refuse)
    done = sorter.run([BOSTON])
    assert (done.exit_code, "give --copy" in done.stderr) == (5, True)
    assert sorter.run([BOSTON], "--copy").exit_code == 0
    assert sorter.found() == {"read/a.png": "a.png"}


def test_sorting_results_without_rows_succeeds(sorter: Sorter) -> None:
    done = sorter.run([])
    assert (done.exit_code, done.stderr) == (0, "0 linked, 0 not found; nothing\n")


def test_there_is_a_folder_for_every_status() -> None:
    assert {folder_of(one, GroupBy.STATUS) for one in (BOSTON, DOUBTFUL, UNREAD)} == {
        status.value for status in Status
    }


@pytest.mark.posix
@pytest.mark.parametrize("options", [[], ["--copy"], ["--dry-run"]])
def test_a_link_that_leads_outside_the_images_is_not_followed(
    sorter: Sorter, options: list[str]
) -> None:
    secret = sorter.folder / "secret"
    secret.write_text("secret")
    sorter.save("b.png")
    (sorter.images / "a.png").symlink_to(secret)
    done = sorter.run([BOSTON, DOUBTFUL], *options)
    assert done.exit_code == 1
    assert "not found: a.png" in done.stderr
    assert "secret" not in done.output
    assert sorter.found() == ({} if "--dry-run" in options else {"review/b.png": "b.png"})
    assert secret.stat().st_nlink == 1
