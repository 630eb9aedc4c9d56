"""Pages that lie otherwise than they are read, and pages that are no crop of a ZIP."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawings import lay, write

from zipocr.images import read_pages
from zipocr.model_file import load_model
from zipocr.prepare import to_glance_size, to_working_size
from zipocr.reader import UPRIGHT, Reader
from zipocr.types import GrayImage, Model, Reason, Unread, ZipReading

SAMPLES = Path(__file__).parents[1] / "sample_scans"
CROPS = [SAMPLES / kind / f"{kind}-02.png" for kind in ("white", "kraft", "slanted")]


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(load_model("mail"))


def page_of(path: Path) -> GrayImage:
    page = next(iter(read_pages(path, max_pixels=10_000_000)))
    assert not isinstance(page, Unread)
    return page


@pytest.mark.real
@pytest.mark.parametrize("turn", [90, 270])
@pytest.mark.parametrize("path", CROPS, ids=lambda path: path.stem)
def test_a_page_on_its_side_is_read_as_the_upright_one_and_says_so(reader, path, turn):
    page = page_of(path)
    upright = reader.read(page)
    assert isinstance(upright, ZipReading)
    assert upright.rotation == 0
    found = reader.read(np.rot90(page, turn // 90))
    assert isinstance(found, ZipReading)
    assert (found.zip, found.rotation) == (upright.zip, turn)
    assert Reason(f"turned_{turn}") in found.reasons
    assert not any(reason.startswith("turned") for reason in upright.reasons)


@pytest.mark.real
def test_most_pages_upside_down_are_noticed_and_then_read_as_upright_ones(reader):
    pages = [page_of(path) for path in sorted((SAMPLES / "white").iterdir()) + sorted((SAMPLES / "slanted").iterdir())]
    pairs = [(reader.trace(page), reader.trace(np.rot90(page, 2))) for page in pages]
    noticed = [(one, other) for one, other in pairs if other.reading.rotation == 180]
    assert len(noticed) > 0.6 * len(pairs)
    for one, other in noticed:
        assert np.array_equal(one.page, other.page)
        assert one.reading.zip == other.reading.zip
        assert Reason.TURNED_180 in other.reading.reasons
    assert not any(one.reading.rotation for one, _ in pairs)


class Watched(Reader):
    """Remembers what it looked at."""

    looks = ()

    def look(self, opened):
        self.looks = (*self.looks, opened)
        return super().look(opened)


@pytest.mark.real
def test_a_turned_page_is_read_at_a_glance_or_not_at_all():
    watched = Watched(load_model("mail"))
    pages = [np.rot90(page_of(path), 2) for path in sorted((SAMPLES / "slanted").iterdir())]
    found = [watched.attempt(page) for page in pages]
    assert all(one.views[0].is_glance for one in found if one.reading.rotation)
    lying = [page.tobytes() for page in pages]
    assert all(one.page.tobytes() in lying for one in watched.looks)


class Doubtful(Reader):
    """Is sure of nothing."""

    def _report(self, found):
        reading = super()._report(found)
        return ZipReading(**{name: getattr(reading, name) for name in reading.__slots__} | {"confidence": 0.3})


def test_what_no_turn_makes_surer_stays_as_it_lies(tiny):
    reading = Doubtful(tiny.model).read(lay(write("02346").cover, 235))
    assert isinstance(reading, ZipReading)
    assert reading.rotation == 0


def several(count: int) -> GrayImage:
    """Lines of five digits, one below the other."""
    cover = write("02346").cover
    return lay(np.vstack([cover] * count), 235)


@pytest.mark.real
@pytest.mark.parametrize("name", ["blank-01", "blank-02"])
def test_bare_paper_has_no_ink_however_noisy(reader, name):
    page = page_of(SAMPLES / "no-zip" / f"{name}.png")
    assert reader.read(page) == Unread(reason=Reason.NO_INK)
    assert reader.trace(page).reading == Unread(reason=Reason.NO_INK)


@pytest.mark.real
def test_what_is_no_zip_is_shown_at_working_size_all_the_same(reader):
    page = page_of(SAMPLES / "no-zip" / "word-03.png")
    trace = reader.trace(page)
    assert isinstance(trace.reading, Unread)
    assert trace.page.shape == to_working_size(page).page.shape != to_glance_size(page).page.shape


@pytest.mark.parametrize("count", [3, 4])
def test_a_page_of_several_lines_is_none_of_ours(tiny, count):
    reader = Reader(tiny.model)
    assert reader.read(several(count)) == Unread(reason=Reason.SEVERAL_LINES)
    assert reader.trace(several(count)).reading == Unread(reason=Reason.SEVERAL_LINES)


def test_one_line_is_one_line(tiny):
    assert isinstance(Reader(tiny.model).read(several(1)), ZipReading)


class KnowsThePage(Reader):
    """Is sure of one page, so far, and doubts everything else, so far."""

    def __init__(self, model: Model, page: GrayImage, *, sure: float = 0.999, doubt: float = 0.01) -> None:
        super().__init__(model)
        self.page, self.sure, self.doubt = page, sure, doubt

    def answer(self, views):
        reading, found = super().answer(views)
        known = bool(views) and np.array_equal(views[0].seen.page, self.page)
        return (reading if isinstance(reading, Unread) else replace(reading, confidence=self.sure if known else self.doubt)), found


PAGE = lay(write("02346").cover, 235)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_turned_page_is_read_upright_and_says_how_it_was_turned(tiny, turn):
    reader = KnowsThePage(tiny.model, PAGE)
    upright = reader.read(PAGE)
    # numpy turns counterclockwise; the rotation is told clockwise, as it takes to bring the page upright.
    found = reader.read(np.rot90(PAGE, turn // 90))
    assert (found.rotation, upright.rotation) == (turn, 0)
    assert found == replace(upright, rotation=turn, reasons=(*upright.reasons, Reason(f"turned_{turn}")))
    trace = reader.trace(np.rot90(PAGE, turn // 90))
    assert np.array_equal(trace.page, PAGE)
    assert trace.reading == found


def test_a_page_that_is_wider_than_tall_is_not_turned_on_its_side(tiny):
    assert PAGE.shape[0] < PAGE.shape[1]
    assert KnowsThePage(tiny.model, np.rot90(PAGE)).read(PAGE).rotation == 0


@pytest.mark.parametrize(("doubt", "sure"), [(0.01, 0.6), (0.98, 0.999)], ids=["no turn is sure", "sure as it lies"])
def test_a_page_is_not_turned_unless_it_is_doubtful_as_it_lies_and_sure_when_turned(tiny, doubt, sure):
    reading = KnowsThePage(tiny.model, PAGE, sure=sure, doubt=doubt).read(np.rot90(PAGE, 2))
    assert (reading.rotation, reading.confidence) == (0, doubt)
    assert not any(reason.startswith("turned") for reason in reading.reasons)


@pytest.mark.parametrize(
    ("turn", "doubt", "is_turned"),
    [(180, 0.7, False), (180, 0.3, True), (90, 0.7, True), (270, 0.7, True)],
    ids=["upside down, likelier as it lies", "upside down, hardly as it lies", "on one side", "on the other side"],
)
def test_pages_are_seldom_upside_down_and_so_it_takes_more_to_read_one_so(tiny, turn, doubt, is_turned):
    assert 0.3 / 0.7 < (0.98 / 0.02) / UPRIGHT < 0.7 / 0.3
    found = KnowsThePage(tiny.model, PAGE, sure=0.98, doubt=doubt).read(np.rot90(PAGE, turn // 90))
    assert found.rotation == turn * is_turned


def test_turning_does_not_change_the_page(tiny):
    page = np.rot90(PAGE).copy()
    before = page.copy()
    KnowsThePage(tiny.model, PAGE).read(page)
    assert np.array_equal(page, before)
