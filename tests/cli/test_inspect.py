"""What ``zipocr inspect`` guarantees; a fake does the reading."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import corpus
import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from zipocr.cli import main
from zipocr.types import Model, Place, Reason, Trace, Unread

Run = Callable[..., Result]


class FakeReader:
    """Finds no ink on any page, and remembers how it was made."""

    made: list["FakeReader"]

    def __init__(
        self, model: Model, *, use_directory: bool, directory: Mapping[str, Place] | None
    ) -> None:
        self.model = model
        self.use_directory = use_directory
        self.directory = directory
        FakeReader.made.append(self)

    def trace(self, page: NDArray[np.uint8]) -> Trace:
        """Return the trace of a page without ink."""
        unread = Unread(reason=Reason.NO_INK)
        return Trace(page=page, ink=page < 0, candidates=(), regions=(), grids=(), reading=unread)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    FakeReader.made = []
    reader, model_file = ModuleType("zipocr.mail_reader"), ModuleType("zipocr.models.model_file")
    reader.MailReader = FakeReader  # type: ignore[attr-defined]
    model_file.load_model = lambda name: Model(arrays={}, card={"name": name})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "zipocr.mail_reader", reader)
    monkeypatch.setitem(sys.modules, "zipocr.models.model_file", model_file)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    return lambda *arguments: CliRunner().invoke(main, ["inspect", *map(str, arguments)])


def write_image(path: Path, shade: int = 200) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(".png", np.full((20, 60), shade, np.uint8))
    assert done
    path.write_bytes(data.tobytes())
    return path


def write_pages(path: Path, count: int) -> Path:
    done, data = cv2.imencodemulti(".tiff", [np.full((20, 60), 200, np.uint8)] * count)
    assert done
    path.write_bytes(data.tobytes())
    return path


def test_a_sheet_is_written_for_every_page_and_its_path_printed(run: Run, tmp_path: Path) -> None:
    result = run(
        write_image(tmp_path / "a.png"), write_pages(tmp_path / "b.tif", 2), "-o", "sheets/new"
    )
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        str(Path("sheets/new") / name)
        for name in ("a-p1.zipocr.png", "b-p1.zipocr.png", "b-p2.zipocr.png")
    ]
    for line in result.stdout.splitlines():
        sheet = cv2.imdecode(np.fromfile(line, np.uint8), cv2.IMREAD_COLOR)
        assert sheet is not None
        assert sheet.shape[1] == 1240


def test_sheets_go_to_the_current_folder_by_default(run: Run, tmp_path: Path) -> None:
    assert run(write_image(tmp_path / "in" / "a.png")).stdout == "a-p1.zipocr.png\n"
    assert (tmp_path / "a-p1.zipocr.png").is_file()


def test_images_of_the_same_name_get_a_sheet_each(run: Run, tmp_path: Path) -> None:
    result = run(
        write_image(tmp_path / "x" / "a.png"),
        write_image(tmp_path / "y" / "a.png"),
        write_pages(tmp_path / "a.tif", 1),
    )
    assert result.stdout.splitlines() == [
        "a-p1.zipocr.png",
        "a-p1-2.zipocr.png",
        "a-p1-3.zipocr.png",
    ]


def test_an_image_given_twice_is_drawn_once(run: Run, tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.png")
    assert run(image, image).stdout.splitlines() == ["a-p1.zipocr.png"]


def test_no_input_is_overwritten(run: Run, tmp_path: Path) -> None:
    image, like_a_sheet = (
        write_image(tmp_path / "a.png"),
        write_image(tmp_path / "a-p1.zipocr.png", shade=90),
    )
    before = like_a_sheet.read_bytes()
    result = run(image, like_a_sheet)
    assert result.stdout.splitlines() == ["a-p1-2.zipocr.png", "a-p1.zipocr-p1.zipocr.png"]
    assert like_a_sheet.read_bytes() == before


@pytest.mark.posix
def test_no_input_is_overwritten_through_a_link(run: Run, tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.png")
    before = image.read_bytes()
    (tmp_path / "a-p1.zipocr.png").symlink_to(image)
    assert run(image).stdout.splitlines() == ["a-p1-2.zipocr.png"]
    assert image.read_bytes() == before


def test_text_is_printed_instead_of_sheets(run: Run, tmp_path: Path) -> None:
    result = run("--text", write_image(tmp_path / "in" / "a.png"), "-o", "sheets")
    assert result.exit_code == 0
    assert result.stdout == "a.png  page 1\n\nunread  no_ink\n\n"
    assert not (tmp_path / "sheets").exists()


def test_a_file_that_cannot_be_opened_fails_alone(run: Run, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    result = run(broken, write_image(tmp_path / "a.png"))
    assert result.exit_code == 1
    assert result.stdout == "a-p1.zipocr.png\n"
    assert "broken.png, page 1: unreadable_file" in result.stderr


def test_a_page_over_the_limit_is_not_decoded(run: Run, tmp_path: Path) -> None:
    result = run(write_image(tmp_path / "a.png"), "--max-pixels", 1000)
    assert result.exit_code == 1
    assert "too_large" in result.stderr
    assert not result.stdout


def test_a_missing_path_is_a_usage_error_before_anything_is_read(run: Run, tmp_path: Path) -> None:
    result = run(write_image(tmp_path / "a.png"), tmp_path / "missing.png")
    assert result.exit_code == 2
    assert "missing.png" in result.stderr
    assert not FakeReader.made
    assert not list(tmp_path.glob("*.zipocr.png"))


def test_a_folder_that_cannot_be_created_is_an_output_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run(write_image(tmp_path / "a.png"), "-o", tmp_path / "file" / "sheets")
    assert result.exit_code == 5
    assert "Choose another place with -o" in result.stderr


def test_model_and_directory_reach_the_reader(run: Run, tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.png")
    (tmp_path / "list.txt").write_text("02108\n")
    run(image)
    run(image, "--model", "digits", "--no-directory")
    run(image, "--directory", tmp_path / "list.txt")
    assert [
        (reader.model.card["name"], reader.use_directory, reader.directory)
        for reader in FakeReader.made
    ] == [
        ("mail", True, None),
        ("digits", False, None),
        ("mail", True, {"02108": Place(city="", state="")}),
    ]


@pytest.mark.parametrize(
    ("content", "words", "code", "cure"),
    [
        ("02108\n", ["--no-directory"], 2, "give one of them"),
        ("2108\n", [], 3, "write 02108"),
    ],
)
def test_an_unusable_list_is_refused_before_anything_is_read(
    run: Run, tmp_path: Path, content: str, words: list[str], code: int, cure: str
) -> None:
    (tmp_path / "list.txt").write_text(content)
    result = run(write_image(tmp_path / "a.png"), "--directory", tmp_path / "list.txt", *words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert cure in result.stderr
    assert not FakeReader.made


@pytest.mark.skipif(os.name == "nt", reason="file names are Unicode there")
def test_a_non_utf8_name_is_printed_as_rows_write_it(run: Run, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    try:
        image = write_image(tmp_path / f"{name}.png")
    except OSError:
        pytest.skip("the file system takes valid UTF-8 only")
    result = run(image)
    assert result.exit_code == 0
    assert result.stdout_bytes == b"caf\\xe9-p1.zipocr.png\n"
    assert (tmp_path / f"{name}-p1.zipocr.png").is_file()
    assert run("--text", image).exit_code == 0


@pytest.mark.real
@pytest.mark.posix
def test_a_file_that_hangs_or_blows_up_costs_only_its_own_sheet(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(corpus.endless_pdf())
    image = write_image(tmp_path / "b.png")
    words = ["inspect", tmp_path / "a.pdf", image, "-o", tmp_path, "--timeout", 3]
    result = CliRunner().invoke(main, list(map(str, words)))
    assert result.exit_code == 1
    assert "a.pdf, page 1: timeout, not read within 3 s (--timeout)" in result.stderr
    assert result.stdout.splitlines() == [str(tmp_path / "b-p1.zipocr.png")]
