import os
import re
import string
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import fakes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from threadpoolctl import threadpool_info

from zipocr.batch.backends import Backend
from zipocr.batch.backends.processes import ProcessBackend
from zipocr.batch.backends.serial import SerialBackend
from zipocr.batch.read_files import (
    BatchSettings,
    FileReader,
    FileResult,
    join_results,
    read_files,
    sheet_name,
    start_reading,
    use_one_thread,
)
from zipocr.errors import ModelError, OutputError
from zipocr.images.decode import read_pages
from zipocr.images.listing import ImageFile
from zipocr.models.model_file import load_model
from zipocr.types import GrayImage, Reason, Status, Unread, ZipReading

SETTINGS = BatchSettings(
    model="mail",
    max_error=0.01,
    min_confidence=0.5,
    use_directory=True,
    directory=None,
    max_pixels=10_000,
    debug=None,
)


def save(path: Path, *pages: GrayImage) -> ImageFile:
    first, *others = map(Image.fromarray, pages)
    if others:
        first.save(path, save_all=True, append_images=others)
    else:
        first.save(path)
    return ImageFile(place=str(path), name=path.name)


def read(file: ImageFile, *, debug: Path | None = None) -> FileResult:
    return FileReader(
        reader=fakes.FakeReader(), min_confidence=0.5, max_pixels=10_000, debug=debug
    )(file)


def test_every_page_gets_a_row(tmp_path: Path) -> None:
    pages = [
        fakes.page(60, ink=7),
        fakes.page(40, ink=8),
        fakes.page(60, ink=255),
        fakes.page(200, 200),
    ]
    outcome = read(save(tmp_path / "four.tif", *pages))
    assert [(row.file, row.page, row.zip, row.status) for row in outcome.rows] == [
        ("four.tif", 1, "00007", Status.READ),
        ("four.tif", 2, "00008", Status.REVIEW),
        ("four.tif", 3, "", Status.UNREAD),
        ("four.tif", 4, "", Status.UNREAD),
    ]
    assert [row.reason for row in outcome.rows] == [
        (),
        (Reason.LOW_CONFIDENCE,),
        (Reason.NO_INK,),
        (Reason.TOO_LARGE,),
    ]
    assert outcome.counts == ("read", "review", "unread", "failed")
    assert len(outcome.failures) == 1


def test_a_page_without_ink_is_not_a_failure(tmp_path: Path) -> None:
    assert read(save(tmp_path / "white.png", fakes.page(ink=255))).failures == ()


def test_a_file_that_cannot_be_opened_gets_one_row(tmp_path: Path) -> None:
    outcome = read(ImageFile(place=str(tmp_path / "gone.png"), name="gone.png"))
    assert [(row.file, row.page, row.reason) for row in outcome.rows] == [
        ("gone.png", 1, (Reason.UNREADABLE_FILE,))
    ]
    assert outcome.failures == ("No such file or directory",)


def test_debug_pictures_are_drawn_for_pages_and_change_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "zipocr.drawing.debug_sheet.draw_sheet",
        lambda trace, *, title: np.full((9, len(title), 3), trace.page.min(), np.uint8),
    )
    file = replace(
        save(tmp_path / "x.tif", fakes.page(ink=7), fakes.page(ink=9), fakes.page(200, 200)),
        name="a/é \udcff.tif",
    )
    debug = tmp_path / "new" / "debug"
    assert read(file, debug=debug) == read(file)
    assert sorted(path.name for path in debug.iterdir()) == [
        sheet_name(file.name, 1),
        sheet_name(file.name, 2),
    ]
    drawn = cv2.imread(os.fspath(debug / sheet_name(file.name, 2)))
    assert drawn is not None
    assert drawn.max() == 9


def test_an_error_in_the_reader_costs_one_row_and_is_named(tmp_path: Path) -> None:
    file = save(
        tmp_path / "x.tif", fakes.page(ink=7), fakes.page(ink=fakes.FAULT), fakes.page(ink=8)
    )
    outcome = FileReader(reader=fakes.MoodyReader(), min_confidence=0.5, max_pixels=10_000)(file)
    assert [(row.zip, row.reason) for row in outcome.rows] == [
        ("00007", ()),
        ("", (Reason.PROGRAM_ERROR,)),
        ("00008", ()),
    ]
    assert re.fullmatch(
        r"KeyError\('a fault of the reader'\) at fakes\.py:\d+; please report it",
        outcome.failures[0],
    )


def test_running_out_of_memory_costs_one_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = save(tmp_path / "x.tif", fakes.page(ink=7), fakes.page(ink=9), fakes.page(ink=8))

    class Greedy(fakes.FakeReader):
        def read(self, page: GrayImage) -> ZipReading | Unread:
            return super().read(np.zeros(1 << 60, np.uint8) if page.min() == 9 else page)

    outcome = FileReader(reader=Greedy(), min_confidence=0.5, max_pixels=10_000)(file)
    assert [row.reason for row in outcome.rows] == [(), (Reason.OUT_OF_MEMORY,), ()]
    monkeypatch.setattr("zipocr.images.decode._read", lambda _: bytes(1 << 60))
    assert [row.reason for row in read(file).rows] == [(Reason.OUT_OF_MEMORY,)]


def test_failing_to_write_debug_pictures_ends_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "zipocr.drawing.debug_sheet.draw_sheet", lambda *_, **__: np.zeros((9, 9, 3), np.uint8)
    )
    (tmp_path / "debug").touch()
    with pytest.raises(OutputError):
        read(save(tmp_path / "x.png", fakes.page()), debug=tmp_path / "debug")


def test_a_file_can_be_read_starting_at_any_page(tmp_path: Path) -> None:
    file = save(tmp_path / "x.tif", *(fakes.page(ink=ink) for ink in (7, 8, 9)))
    reader, whole = (
        FileReader(reader=fakes.FakeReader(), min_confidence=0.5, max_pixels=10_000),
        read(file),
    )
    for first in range(1, 6):
        begun: list[None] = []
        steps = list(reader.steps(file, first=first, begin=lambda begun=begun: begun.append(None)))
        assert join_results(steps).rows == whole.rows[first - 1 :]
        assert join_results(steps).counts == whole.counts[first - 1 :]
        assert len(begun) == len(steps)


@pytest.mark.parametrize("drawn", [False, True])
def test_files_read_together_give_the_same_rows_as_alone(
    drawn: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "zipocr.drawing.debug_sheet.draw_sheet", lambda *_, **__: np.zeros((9, 9, 3), np.uint8)
    )
    files = [
        save(tmp_path / "a.png", fakes.page(ink=7)),
        ImageFile(place=str(tmp_path / "gone.png"), name="gone.png"),
        save(
            tmp_path / "b.tif",
            fakes.page(ink=8),
            fakes.page(200, 200),
            fakes.page(ink=fakes.FAULT),
            fakes.page(ink=255),
        ),
        save(tmp_path / "c.png", fakes.page(40, ink=9)),
    ]
    reader = FileReader(
        reader=fakes.MoodyReader(),
        min_confidence=0.5,
        max_pixels=10_000,
        debug=tmp_path / "debug" if drawn else None,
    )
    found = [one for some in reader.together(files) for one in some]
    assert found == [
        (place, outcome) for place, file in enumerate(files) for outcome in reader.steps(file)
    ]
    assert len(found) == 7
    assert (tmp_path / "debug").exists() == drawn


@pytest.mark.real
@pytest.mark.parametrize("at_once", [1, 2, 5, 16])
def test_rows_are_byte_identical_however_many_pages_are_read_at_once(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clear, doubtful and rotated pages, and some without a ZIP."""
    samples = Path(__file__).parents[2] / "sample_scans"
    names = [
        f"{kind}/{kind}-{number:02}.png" for kind in ("white", "kraft") for number in (1, 2, 3)
    ]
    names += ["no-zip/blank-01.png", "no-zip/word-03.png"]
    files = [ImageFile(place=str(samples / name), name=name) for name in names]
    reader = replace(start_reading(SETTINGS), max_pixels=10_000_000)
    alone = [outcome for file in files for outcome in reader.steps(file)]
    monkeypatch.setattr("zipocr.batch.read_files.AT_ONCE", at_once)
    monkeypatch.setattr("zipocr.batch.read_files.SECONDS_AT_ONCE", 60.0)
    for order in (files, files[::-1]):
        found = {
            order[place].name: outcome for some in reader.together(order) for place, outcome in some
        }
        assert [repr(found[file.name].rows) for file in files] == [repr(one.rows) for one in alone]


def test_a_file_finished_before_its_worker_died_on_another_one_has_its_rows_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zipocr.batch.read_files.start_reading", fakes.start_moody)
    (tmp_path / "bad.png").write_bytes(b"no image")
    files = [
        save(tmp_path / "a.tif", *[fakes.page()] * 15),
        ImageFile(place=str(tmp_path / "bad.png"), name="bad.png"),
        save(tmp_path / "z.png", fakes.page(ink=fakes.KILL)),
    ]
    outcomes = list(read_files(files, SETTINGS, backend=ProcessBackend(jobs=1)))
    assert [[row.page for row in outcome.rows] for outcome in outcomes] == [
        list(range(1, 16)),
        [1],
        [1],
    ]
    assert [outcome.rows[-1].reason for outcome in outcomes] == [
        (),
        (Reason.UNREADABLE_FILE,),
        (Reason.WORKER_DIED,),
    ]


def test_pages_are_freed_before_the_next_ones_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before: list[weakref.ref[GrayImage]] = []

    def read_next(path: Path, **options: Any) -> Iterator[GrayImage | Unread]:
        assert not any(one() is not None for one in before)
        for page in read_pages(path, **options):
            before.append(weakref.ref(page))
            yield page
            del page

    monkeypatch.setattr("zipocr.batch.read_files.AT_ONCE", 1)
    monkeypatch.setattr("zipocr.batch.read_files.read_pages", read_next)
    files = [save(tmp_path / f"{number}.png", fakes.page()) for number in range(6)]
    reader = FileReader(reader=fakes.FakeReader(), min_confidence=0.5, max_pixels=10_000)
    outcomes = [one for some in reader.together(files) for one in some]
    assert len(outcomes) == len(before) == 6
    assert not any(outcome.failures for _, outcome in outcomes)


@pytest.mark.parametrize(
    ("limit", "value", "sizes"),
    [
        ("AT_ONCE", 16, [16, 16, 8]),
        ("PIXELS_AT_ONCE", 3 * 60 * 90, [3] * 13 + [1]),
        ("SECONDS_AT_ONCE", 0.0, [1] * 40),
    ],
)
def test_pages_read_at_once_are_limited_by_count_pixels_and_time(
    limit: str, value: float, sizes: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    class Counting(fakes.FakeReader):
        def read_each(self, pages: Sequence[GrayImage]) -> list[ZipReading | Unread]:
            seen.append(len(pages))
            return super().read_each(pages)

    monkeypatch.setattr("zipocr.batch.read_files.SECONDS_AT_ONCE", 60.0)
    monkeypatch.setattr(f"zipocr.batch.read_files.{limit}", value)
    files = [save(tmp_path / "x.tif", *[fakes.page()] * 39), save(tmp_path / "y.png", fakes.page())]
    assert (
        sum(
            map(
                len,
                FileReader(reader=Counting(), min_confidence=0.5, max_pixels=10_000).together(
                    files
                ),
            )
        )
        == 40
    )
    assert seen == sizes


@given(
    st.tuples(st.text(min_size=1), st.integers(1, 999)),
    st.tuples(st.text(min_size=1), st.integers(1, 999)),
)
def test_sheets_of_different_pages_have_different_names(
    one: tuple[str, int], other: tuple[str, int]
) -> None:
    assert (sheet_name(*one).lower() == sheet_name(*other).lower()) == (one == other)


@given(st.text(st.characters(exclude_categories=())), st.integers(1))
def test_a_sheet_name_is_safe(name: str, page: int) -> None:
    sheet = sheet_name(name, page)
    assert set(sheet) <= {*string.ascii_letters, *string.digits, "_", "-", "."}
    assert len(sheet_name(name, page % 10_000)) <= 120
    assert not sheet.startswith(".")


@pytest.mark.parametrize(
    "pair",
    [("a.png", "A.png"), ("a/b.png", "a__b.png"), ("x" * 300, "x" * 301), ("ä.png", "ö.png")],
)
def test_similar_names_get_their_own_sheets(pair: tuple[str, str]) -> None:
    first, second = (sheet_name(name, 1).lower() for name in pair)
    assert first != second


def test_a_sheet_name_shows_its_file_and_page() -> None:
    assert re.fullmatch(
        r"batch__scan_7\.png-p2-[0-9a-f]{12}\.png", sheet_name("batch/scan 7.png", 2)
    )


@pytest.mark.parametrize("backend", [SerialBackend(), ProcessBackend(jobs=2)])
def test_results_come_in_the_order_of_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: Backend
) -> None:
    monkeypatch.setattr("zipocr.batch.read_files.start_reading", fakes.start_fake)
    files = [save(tmp_path / f"{number}.png", fakes.page(ink=number)) for number in range(10)]
    outcomes = list(read_files(files, SETTINGS, backend=backend))
    assert [row.zip for outcome in outcomes for row in outcome.rows] == [
        f"{number:05d}" for number in range(10)
    ]


@pytest.mark.parametrize("backend", [SerialBackend(), ProcessBackend(jobs=1)])
def test_a_missing_model_ends_the_batch_with_a_model_error(
    tmp_path: Path, backend: Backend
) -> None:
    file = save(tmp_path / "x.png", fakes.page())
    settings = replace(SETTINGS, model=str(tmp_path / "missing.npz"))
    with pytest.raises(ModelError, match="missing"):
        list(read_files([file], settings, backend=backend))


def test_the_reading_process_uses_one_thread() -> None:
    use_one_thread()
    pools = threadpool_info()
    assert pools
    assert all(pool["num_threads"] == 1 for pool in pools)
    assert cv2.getNumThreads() == 1


def test_the_threshold_comes_from_the_model_unless_given() -> None:
    arrays = load_model("mail").arrays
    for use_directory, name in ((True, "acceptance_listed"), (False, "acceptance_unlisted")):
        for error, threshold in arrays[name].tolist():
            settings = replace(
                SETTINGS, max_error=error, min_confidence=None, use_directory=use_directory
            )
            assert start_reading(settings).min_confidence == threshold
    assert start_reading(replace(SETTINGS, min_confidence=0.0)).min_confidence == 0


def test_a_max_error_below_what_the_model_supports_ends_the_batch(tmp_path: Path) -> None:
    settings = replace(SETTINGS, max_error=1e-6, min_confidence=None)
    with pytest.raises(ModelError, match="--max-error"):
        list(
            read_files([save(tmp_path / "x.png", fakes.page())], settings, backend=SerialBackend())
        )
