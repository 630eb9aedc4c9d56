import io
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Timer

import numpy as np
import pytest
from drawings import lay, write
from PIL import Image
from reviewing import ROOT, row, unread, write_page

from zipocr.drawing.page_view import WIDTH
from zipocr.images.lookup import Origin, SearchRoot, Sources
from zipocr.mail_reader import MailReader
from zipocr.results.row import Row
from zipocr.review.preview import (
    MAX_SIDE,
    TILE,
    BackgroundThread,
    LruCache,
    PreviewLoader,
    draw_tiles,
)
from zipocr.review.words import NOT_OPENED, NOT_READ_AGAIN, WHY
from zipocr.types import Box, Place, Reason, Region

UNLIMITED = 10**9


def make_loader(
    folder: Path,
    *rows: Row,
    max_pixels: int = UNLIMITED,
    model: str = "digits",
    directory: Path | None = None,
) -> PreviewLoader:
    origin = Origin(max_pixels=max_pixels, directory=directory)
    return PreviewLoader(rows, Sources(roots=(SearchRoot(path=folder),)), origin, model)


@pytest.fixture
def zip_scan(tmp_path: Path) -> Path:
    path = tmp_path / "zip.png"
    Image.fromarray(lay(write("10001").cover, 230)).save(path)
    return path


@pytest.fixture
def loader(tmp_path: Path, zip_scan: Path) -> Iterator[PreviewLoader]:
    loader = make_loader(
        tmp_path, row(zip_scan.name, "10001"), unread("missing.png"), row(zip_scan.name, page=2)
    )
    yield loader
    loader.close()


def pixels(png: bytes) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_every_reason_is_explained_in_plain_english() -> None:
    assert WHY.keys() == set(Reason)
    assert all(words.endswith(".") and "_" not in words for words in WHY.values())


@pytest.mark.real
def test_a_page_is_shown_with_its_digits_and_other_readings(
    loader: PreviewLoader, zip_scan: Path
) -> None:
    crop, look = loader.crop(0), loader.look(0)
    assert isinstance(crop, bytes)
    assert np.array_equal(pixels(crop), np.asarray(Image.open(zip_scan)))
    assert look.zip == "10001"
    assert pixels(look.tiles).shape == (TILE, 5 * TILE)
    lefts = [shape.left for shape in look.shapes]
    assert lefts == sorted(lefts)
    assert all(
        0 <= shape.left < shape.left + shape.width <= 1
        and 0 <= shape.top < shape.top + shape.height <= 1
        for shape in look.shapes
    )
    assert look.strings[0][0] == "10001"
    assert 1 <= len(look.strings) <= 5
    assert len({text for text, _ in look.strings}) == len(look.strings)


def test_a_page_that_cannot_be_shown_says_why(loader: PreviewLoader) -> None:
    assert "no such file" in str(loader.crop(1))
    assert "not have this page" in str(loader.crop(2))
    assert loader.look(1).trouble == loader.crop(1)


@pytest.mark.parametrize("reason", sorted(NOT_OPENED))
def test_a_file_that_may_crash_the_server_is_not_opened(
    tmp_path: Path, reason: Reason, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        pytest.fail("it was opened")

    write_page(tmp_path / "a.png")
    monkeypatch.setattr("zipocr.images.decode.read_pages", fail)
    loader = make_loader(tmp_path, unread("a.png", reason))
    assert WHY[reason] in str(loader.crop(0))
    assert loader.look(0).trouble
    loader.close()


def test_a_page_with_a_program_error_is_shown_but_not_reread(tmp_path: Path) -> None:
    assert Reason.PROGRAM_ERROR in NOT_READ_AGAIN
    write_page(tmp_path / "a.png")
    loader = make_loader(tmp_path, unread("a.png", Reason.PROGRAM_ERROR), model="missing.npz")
    assert isinstance(loader.crop(0), bytes)
    assert "not read again" in loader.look(0).trouble
    loader.close()


def test_damaged_and_too_large_files_say_so(tmp_path: Path) -> None:
    (tmp_path / "damaged.png").write_bytes(b"no image")
    write_page(tmp_path / "large.png")
    loader = make_loader(tmp_path, unread("damaged.png"), unread("large.png"), max_pixels=100)
    assert str(loader.crop(0)).startswith(WHY[Reason.UNREADABLE_FILE])
    assert str(loader.crop(1)).startswith(WHY[Reason.TOO_LARGE])
    loader.close()


def test_an_unusable_model_leaves_the_page_without_its_digits(
    tmp_path: Path, zip_scan: Path
) -> None:
    loader = make_loader(tmp_path, row(zip_scan.name), model=str(tmp_path / "missing.npz"))
    assert "no model" in loader.look(0).trouble
    assert isinstance(loader.crop(0), bytes)
    loader.close()


def test_an_error_while_rereading_is_reported_and_does_no_harm(
    tmp_path: Path,
    zip_scan: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        message = "a fault"
        raise KeyError(message)

    monkeypatch.setattr("zipocr.mail_reader.MailReader.trace", fail)
    loader = make_loader(tmp_path, row(zip_scan.name))
    assert "bug" in loader.look(0).trouble
    assert "zip.png" in caplog.text
    loader.close()


@pytest.mark.real
def test_a_zip_that_was_read_without_regions_is_shown_without_digits(
    tmp_path: Path, zip_scan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = MailReader.trace
    monkeypatch.setattr(
        MailReader, "trace", lambda reader, page: replace(trace(reader, page), regions=(), grids=())
    )
    loader = make_loader(tmp_path, row(zip_scan.name))
    look = loader.look(0)
    assert (look.zip, look.shapes, look.tiles, look.trouble) == ("10001", (), b"", "")
    loader.close()


def test_large_pages_are_scaled_down(tmp_path: Path) -> None:
    Image.new("L", (3 * MAX_SIDE, 60), 255).save(tmp_path / "wide.png")
    loader = make_loader(tmp_path, unread("wide.png"))
    crop = loader.crop(0)
    assert isinstance(crop, bytes)
    assert pixels(crop).shape == (20, MAX_SIDE)
    loader.close()


def test_places_come_from_the_user_s_own_list_if_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "ours.csv").write_text("zip,city,state\n02108,Ourtown,MA\n")
    own, packaged = make_loader(tmp_path, directory=tmp_path / "ours.csv"), make_loader(tmp_path)
    assert own.place("02108-1234") == Place(city="Ourtown", state="MA")
    assert own.place("10001") is None
    assert packaged.place("10001") == Place(city="New York", state="NY")
    lost = make_loader(tmp_path, directory=tmp_path / "gone.csv")
    assert lost.place("10001") == Place(city="New York", state="NY")


def test_a_digit_is_cut_out_on_white_with_its_surroundings_faint() -> None:
    page = np.full((60, 80), 200, np.uint8)
    page[10:50, 10:20] = page[10:50, 26:30] = 20
    ink = np.zeros((40, 30), bool)
    ink[:, :10] = True
    tile = draw_tiles(page, [Region(box=Box(top=10, left=10, bottom=50, right=40), ink=ink)])
    assert tile.shape == (TILE, TILE)
    assert tile[TILE // 2, 30] < 60
    assert 180 < tile[TILE // 2, 68] < 230
    assert (tile[:4] == 255).all()


def test_recent_values_are_computed_once_and_old_ones_dropped() -> None:
    made: list[int] = []
    recent: LruCache[int, int] = LruCache(lambda key: made.append(key) or key * 10, most=2)  # type: ignore[func-returns-value]
    assert [recent.get(key) for key in (1, 2, 1, 3, 1, 2)] == [10, 20, 10, 30, 10, 20]
    assert made == [1, 2, 3, 2]


def test_a_worker_runs_tasks_in_order_and_survives_an_error() -> None:
    worker, done = BackgroundThread(), []
    fault = worker.submit(lambda: done.append(1) or 1 / 0)
    last = worker.submit(lambda: [*done, 2])
    assert last.result(timeout=60) == [1, 2]
    with pytest.raises(ZeroDivisionError):
        fault.result(timeout=60)
    worker.close()


def test_closing_waits_for_the_task_being_done_and_drops_the_rest() -> None:
    worker, begun, may_end = BackgroundThread(), Event(), Event()
    doing = worker.submit(lambda: (begun.set(), may_end.wait()))
    pending = worker.submit(lambda: None)
    begun.wait()
    Timer(0.05, may_end.set).start()
    worker.close()
    assert doing.done()
    assert not pending.done()


def test_the_program_exits_even_if_a_worker_is_busy() -> None:
    program = """
import threading
from zipocr.review.preview import BackgroundThread
begun = threading.Event()
BackgroundThread().submit(lambda: (begun.set(), threading.Event().wait()))
begun.wait()
"""
    subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.real
def test_a_page_with_a_box_is_shown_with_its_zip_enlarged(tmp_path: Path) -> None:
    page = np.full((700, 1500), 235, np.uint8)
    zip_ = lay(write("12207").cover, 235)
    page[500 : 500 + zip_.shape[0], 900 : 900 + zip_.shape[1]] = zip_
    Image.fromarray(page).save(tmp_path / "page.png")
    box = Box(top=500, left=900, bottom=500 + zip_.shape[0], right=900 + zip_.shape[1])
    boxed = replace(row("page.png"), box=box)
    loader = make_loader(
        tmp_path, boxed, replace(boxed, box=Box(top=0, left=0, bottom=9, right=9999))
    )
    large, whole = (pixels(png) for png in map(loader.crop, range(2)) if isinstance(png, bytes))
    assert large.shape[1] == WIDTH
    assert np.array_equal(whole, page)
    loader.close()
