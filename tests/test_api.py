import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import zipocr
from zipocr.cli import main
from zipocr.errors import InputError, ModelError
from zipocr.images.decode import read_pages
from zipocr.results.csv_file import format_rows
from zipocr.types import Reason, Status, Unread

SAMPLES = Path(__file__).parents[1] / "sample_scans"
WHITE = SAMPLES / "white" / "white-01.png"


@pytest.fixture(scope="module")
def reader() -> zipocr.Reader:
    return zipocr.Reader()


def page() -> np.ndarray:
    found = next(read_pages(WHITE, max_pixels=10_000_000))
    assert not isinstance(found, Unread)
    return found


def test_the_public_names_match_the_stub() -> None:
    stub = Path(zipocr.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    for name in zipocr.__all__:
        assert getattr(zipocr, name)
        assert f" as {name}\n" in stub or f"\n{name}: " in stub
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = zipocr.nothing  # type: ignore[attr-defined]


def test_importing_the_package_imports_nothing_else() -> None:
    program = "import sys; old = {*sys.modules}; import zipocr; print(*({*sys.modules} - old))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert {name.partition(".")[0] for name in done.stdout.split()} <= {
        "zipocr",
        "importlib",
        "warnings",
    }


@pytest.mark.real
def test_a_file_and_its_page_give_the_same_reading(reader: zipocr.Reader) -> None:
    (of_file,) = reader.read(WHITE)
    (of_page,) = reader.read(page())
    assert of_file.status is Status.READ
    assert (of_file.zip, of_file.confidence) == (of_page.zip, of_page.confidence)
    assert zipocr.read(WHITE) == [of_file]


@pytest.mark.real
def test_a_stack_has_a_reading_for_each_page(reader: zipocr.Reader) -> None:
    (stack,) = (SAMPLES / "stack").glob("*.tif")
    assert [one.page for one in reader.read(stack)] == list(range(1, 1 + len(reader.read(stack))))
    assert len(reader.read(stack)) > 1


@pytest.mark.real
def test_a_file_that_cannot_be_opened_gives_an_unread_reading_with_a_reason(
    reader: zipocr.Reader, tmp_path: Path
) -> None:
    (tmp_path / "words.png").write_text("words")
    for path in (tmp_path / "words.png", tmp_path / "missing.png", str(tmp_path)):
        (found,) = reader.read(path)
        assert (found.status, found.reason) == (Status.UNREAD, (Reason.UNREADABLE_FILE,))


@pytest.mark.real
@pytest.mark.parametrize("bad", [np.zeros((3, 3, 3), np.uint8), np.zeros((3, 3)), page()[:0]])
def test_an_array_that_is_not_a_page_is_refused(reader: zipocr.Reader, bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        reader.read(bad)


@pytest.mark.real
def test_files_are_read_with_the_same_rows_that_scan_writes(
    reader: zipocr.Reader, tmp_path: Path
) -> None:
    folder = SAMPLES / "printed"
    assert main(["scan", str(folder), "-o", str(tmp_path / "a.csv")], standalone_mode=False) in {
        None,
        0,
    }
    counts = zipocr.scan([folder], tmp_path / "b.csv")
    rows = list(reader.read_files([folder], jobs=2))
    text = (tmp_path / "a.csv").read_text(encoding="utf-8")
    assert text == (tmp_path / "b.csv").read_text(encoding="utf-8")
    assert text.partition("\n")[2] == format_rows(rows)
    assert zipocr.load_results(tmp_path / "a.csv") == rows
    assert sum(counts.values()) == len(rows)


@pytest.mark.real
def test_the_caller_sets_the_threshold(reader: zipocr.Reader) -> None:
    (found,) = zipocr.Reader(min_confidence=1.0).read(WHITE)
    assert found.status is Status.REVIEW
    assert found.zip == reader.read(WHITE)[0].zip


@pytest.mark.real
def test_results_are_compared_with_labels(reader: zipocr.Reader) -> None:
    rows = list(reader.read_files([SAMPLES]))
    found = zipocr.evaluate(rows, SAMPLES / "labels.csv")
    assert found.figures.exact > 0.9


@pytest.mark.real
def test_a_trace_can_be_drawn(reader: zipocr.Reader) -> None:
    sheet = zipocr.draw(reader.trace(page()), title="a page")
    assert sheet.ndim == 3
    assert sheet.dtype == np.uint8


def test_a_missing_model_directory_or_results_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        zipocr.Reader(str(tmp_path / "missing.npz"))
    with pytest.raises(InputError):
        zipocr.Reader(directory=tmp_path / "missing.csv")
    with pytest.raises(InputError):
        zipocr.load_results(tmp_path / "missing.csv")
