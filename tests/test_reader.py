import csv
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawings import lay, write
from hypothesis import given, settings
from hypothesis import strategies as st
from zipocr.decode.strings import Candidate
from zipocr.looking import SHUT
from zipocr.pooling import SUPPORT, UNSEEN, View

from zipocr.directory import places
from zipocr.errors import ModelError
from zipocr.model_file import load_model
from zipocr.reader import Reader
from zipocr.types import GrayImage, Model, Place, Reason, Unread, ZipReading

PAGES = {
    "written": lay(write("02346").cover, 235),
    "kraft": lay(write("90210").cover, 165),
    "noisy": lay(write("33301").cover, 225, noise=12),
    "small": lay(write("60614", height=22, width=14, gap=8, margin=10, stroke=3).cover, 235),
    "large": lay(write("60614", height=120, width=75, gap=40, margin=50, stroke=13).cover, 235),
    "leaning": lay(write("71417", slant=0.3).cover, 235),
}
shapes = st.tuples(st.integers(1, 20), st.integers(1, 30))


def printed(text: str) -> GrayImage:
    """Digits in OpenCV's own type."""
    page = np.full((90, 60 + 40 * len(text)), 240, np.uint8)
    for place, letter in enumerate(text):
        cv2.putText(page, letter, (30 + 40 * place, 68), cv2.FONT_HERSHEY_SIMPLEX, 2, 20, 4, cv2.LINE_AA)
    return page


@pytest.fixture(scope="module")
def reader(tiny) -> Reader:
    return Reader(tiny.model)


@pytest.fixture(scope="module")
def plain_reader(tiny) -> Reader:
    return Reader(tiny.model, use_directory=False)


def same(one: GrayImage, other: GrayImage) -> bool:
    return one.dtype == other.dtype and np.array_equal(one, other)


@pytest.mark.parametrize("text", ["02346", "90210"])
def test_five_printed_digits_are_read_as_five_digits(reader, text):
    trace = reader.trace(printed(text))
    assert isinstance(trace.reading, ZipReading)
    assert len(trace.reading.zip) == 5
    assert trace.reading.zip.isdigit()
    assert len(trace.regions) == len(trace.grids) == len(trace.reading.digits) == 5


def dashed_page(*, dash: bool) -> GrayImage:
    """Nine digits, the last four apart, with a dash between or without."""
    written = write("023466064", gap=[14, 14, 14, 14, 46, 14, 14, 14])
    cover, box = written.cover.copy(), written.boxes[4]
    if dash:
        cover[box.top + 20 : box.top + 25, box.right + 15 : box.right + 31] = 1
    return lay(cover, 235)


@pytest.mark.parametrize("dash", [True, False])
def test_nine_digits_are_a_zip_and_four_more_wherever_they_are_looked_up(reader, dash):
    trace = reader.trace(dashed_page(dash=dash))
    reading = trace.reading
    assert isinstance(reading, ZipReading)
    assert (len(reading.zip), len(reading.plus4)) == (5, 4)
    assert len(trace.regions) == len(trace.grids) == len(reading.digits) == 9
    assert "".join(str(one.digit) for one in reading.digits) == reading.zip + reading.plus4
    listed = places().get(reading.zip)
    assert (reading.city, Reason.NOT_IN_DIRECTORY in reading.reasons) == (listed.city if listed else "", listed is None)
    assert reading.runner_up == "" or len(reading.runner_up.replace("-", "")) in {5, 9}
    assert min(one.probability for one in reading.digits) >= reading.confidence - 1e-6
    regions = [region.box for region in trace.regions]
    assert [box.left for box in regions] == sorted(box.left for box in regions)
    assert all(box.height > 30 for box in regions)


@pytest.mark.parametrize("page", PAGES)
def test_written_digits_are_found_where_they_are(reader, page):
    trace = reader.trace(PAGES[page])
    assert isinstance(trace.reading, ZipReading)
    centres = [(region.box.left + region.box.right) / 2 for region in trace.regions]
    assert len(centres) == 5
    assert centres == sorted(centres)
    apart = np.diff(centres)
    assert apart.max() < 1.6 * apart.min()


def test_most_written_digits_are_read_right(reader):
    texts = ["02346", "90210", "33301", "60614", "78735"]
    read = [reader.read(lay(write(text).cover, 235)).zip for text in texts]
    assert np.mean([one == other for one, other in zip("".join(read), "".join(texts), strict=True)]) > 0.6


@pytest.mark.parametrize("page", PAGES)
def test_a_trace_holds_what_its_reading_says(reader, page):
    trace = reader.trace(PAGES[page])
    reading = trace.reading
    assert [one.digit for one in reading.digits] == [int(letter) for letter in reading.zip]
    assert trace.ink.shape == trace.page.shape
    for region, grid in zip(trace.regions, trace.grids, strict=True):
        box = region.box
        assert 0 <= box.top < box.bottom <= trace.page.shape[0]
        assert 0 <= box.left < box.right <= trace.page.shape[1]
        assert box in trace.candidates
        assert not (region.ink & ~trace.ink[box.top : box.bottom, box.left : box.right]).any()
        assert (grid.shape, grid.dtype) == ((8, 8), np.uint8)
        assert 0 < grid.max() <= 16


@pytest.mark.parametrize("page", PAGES)
def test_cuts_are_lines_from_the_top_of_the_page_to_its_bottom(reader, page):
    trace = reader.trace(PAGES[page])
    assert len(trace.cuts) >= 4
    for cut in trace.cuts:
        assert cut.columns.shape == (trace.page.shape[0],)
        assert (cut.columns >= 0).all()
        assert (cut.columns <= trace.page.shape[1]).all()
        assert cut.cost >= 0


@pytest.mark.parametrize("written", [write("02346"), write("71417", gap=-4, slant=0.4)], ids=["upright", "leaning"])
def test_a_cut_between_digits_apart_has_them_on_its_sides(plain_reader, written):
    page = lay(written.cover, 235)
    trace = plain_reader.trace(page)
    assert trace.page.shape == page.shape
    columns = np.arange(page.shape[1])
    lefts = [columns < cut.columns[:, None] for cut in trace.cuts]
    for one, other in pairwise(written.digits):
        assert any((one & left).sum() > 0.97 * one.sum() and (other & left).sum() < 0.03 * other.sum() for left in lefts)


@pytest.mark.parametrize("page", PAGES)
def test_reading_and_tracing_say_the_same(reader, page):
    assert reader.read(PAGES[page]) == reader.trace(PAGES[page]).reading


def test_the_same_page_is_read_the_same_and_is_not_changed(tiny, reader):
    page = PAGES["noisy"].copy()
    first = reader.trace(page)
    reader.read(PAGES["kraft"])
    second, other = reader.trace(page), Reader(tiny.model).trace(page)
    assert np.array_equal(page, PAGES["noisy"])
    assert first.reading == second.reading == other.reading
    assert first.candidates == second.candidates == other.candidates
    assert all(same(one, two) for one, two in zip(first.grids, other.grids, strict=True))


def test_a_page_out_of_the_middle_of_a_larger_array_is_read_like_its_copy(reader):
    page = PAGES["kraft"]
    wide = np.zeros((page.shape[0] + 6, page.shape[1] + 6), np.uint8)
    wide[3:-3, 3:-3] = page
    assert reader.read(wide[3:-3, 3:-3]) == reader.read(page)


@pytest.mark.parametrize("page", PAGES)
def test_probabilities_are_probabilities(reader, page):
    reading = reader.read(PAGES[page])
    assert 0 <= reading.confidence <= 1
    assert 0 <= reading.runner_up_confidence <= 1 - reading.confidence + 1e-9
    for one in reading.digits:
        assert 0 <= one.runner_up_probability <= 1
        assert 0 < one.probability <= 1
        assert one.runner_up != one.digit
        assert one.probability + one.runner_up_probability <= 1 + 1e-5


@pytest.mark.parametrize("text", ["02108", "94110", "73301"])
def test_no_string_and_no_digit_is_surer_than_it_can_be(reader, text):
    read = reader.read(lay(write(text).cover, 230))
    assert min(digit.probability for digit in read.digits) >= read.confidence - 1e-6
    assert read.runner_up_confidence <= min(read.confidence, 1 - read.confidence) + 1e-6


@pytest.mark.parametrize("page", PAGES)
def test_the_runner_up_is_another_zip(reader, page):
    reading = reader.read(PAGES[page])
    assert reading.runner_up != reading.zip
    assert reading.runner_up == "" or (len(reading.runner_up) == 5 and reading.runner_up.isdigit())


@pytest.mark.parametrize("page", PAGES)
def test_the_directory_is_told_of_what_is_read(reader, page):
    reading = reader.read(PAGES[page])
    listed = places().get(reading.zip)
    assert (Reason.NOT_IN_DIRECTORY in reading.reasons) == (listed is None)
    assert (reading.city, reading.state) == ((listed.city, listed.state) if listed else ("", ""))
    assert Reason.LOW_CONFIDENCE not in reading.reasons


@pytest.mark.parametrize("page", PAGES)
def test_without_the_directory_nothing_is_said_of_it(plain_reader, page):
    reading = plain_reader.read(PAGES[page])
    assert len(reading.zip) == 5
    assert (reading.city, reading.state, reading.reasons) == ("", "", ())


def test_a_choice_of_the_directory_is_owned_up_to(reader, plain_reader):
    choices = 0
    for number in range(12):
        page = lay(write(f"{number * 4973 % 100_000:05d}", stroke=3 + number % 4).cover, 200, noise=8)
        reading, plain = reader.read(page), plain_reader.read(page)
        assert (Reason.DIRECTORY_CHOICE in reading.reasons) == (reading.zip != plain.zip)
        choices += reading.zip != plain.zip
        assert reading.zip == plain.zip or reading.zip in places()
    assert choices


def test_the_user_s_own_list_takes_the_place_of_the_directory(tiny, plain_reader):
    pages = [lay(write(f"{number * 4973 % 100_000:05d}", stroke=3 + number % 4).cover, 200, noise=8) for number in range(12)]
    plain = [plain_reader.read(page) for page in pages]
    # What came second is put on the list, and what came first is not.
    own = {one.runner_up: Place(city="Here", state="QQ") for one in plain if one.runner_up}
    reader = Reader(tiny.model, directory=own)
    chosen = 0
    for page, before in zip(pages, plain, strict=True):
        reading = reader.read(page)
        assert (Reason.DIRECTORY_CHOICE in reading.reasons) == (reading.zip != before.zip)
        assert (Reason.NOT_IN_DIRECTORY in reading.reasons) == (reading.zip not in own)
        assert (reading.city, reading.state) == (("Here", "QQ") if reading.zip in own else ("", ""))
        chosen += reading.zip != before.zip
    assert chosen > len(pages) / 2


def test_the_packaged_directory_as_a_list_of_one_s_own_reads_alike(tiny, reader):
    own = Reader(tiny.model, directory=dict(places()))
    assert [own.read(page) for page in PAGES.values()] == [reader.read(page) for page in PAGES.values()]


def seen_as(view: View, **scores: float) -> View:
    """The view with other strings (named d12345), from the regions of its best one."""
    edges = view.candidates[0].edges
    ordered = sorted(scores.items(), key=lambda item: -item[1])
    return replace(view, candidates=tuple(Candidate(text=name[1:], edges=edges, score=score) for name, score in ordered))


def test_a_string_takes_its_best_score_and_what_other_views_say_of_it(plain_reader):
    (view, *_) = plain_reader.look(plain_reader.open(PAGES["written"]))
    one, other = seen_as(view, d11111=-1.0, d22222=-1.2, d33333=-4.0), seen_as(view, d22222=-2.0, d44444=-30.0)
    found = plain_reader.pool([one, other])
    expected = {
        "11111": -1.0 - SUPPORT * UNSEEN,
        "22222": -1.2,
        "33333": -4.0 - SUPPORT * UNSEEN,
        "44444": -30.0 - SUPPORT * UNSEEN,
    }
    assert {candidate.text: candidate.score for candidate in found.plain} == pytest.approx(expected)
    assert [candidate.text for candidate in found.ranked] == sorted(expected, key=lambda text: -expected[text])
    assert found.view is one


def test_one_view_alone_keeps_its_scores(plain_reader):
    (view, *_) = plain_reader.look(plain_reader.open(PAGES["written"]))
    assert plain_reader.pool([view]).plain == tuple(sorted(view.candidates, key=lambda one: (-one.score, one.text)))


def test_what_the_gate_keeps_out_is_no_digit_and_could_be_any(tiny, plain_reader):
    held = tiny.held
    digits, validity = plain_reader.score(held.bitmaps, held.geometry)
    shut = digits.max(axis=1) - digits.min(axis=1) < 1e-6
    assert 0 < shut.sum() < len(shut)
    assert (validity[shut] <= -SHUT).all()
    assert np.exp(digits).sum(axis=1) == pytest.approx(1, abs=1e-4)


def test_looking_at_a_page_does_not_depend_on_the_directory(reader, plain_reader):
    views = [one.look(one.open(PAGES["noisy"])) for one in (reader, plain_reader)]
    assert views[0]
    assert [view.candidates for view in views[0]] == [view.candidates for view in views[1]]


@pytest.mark.parametrize("gray", [0, 90, 170, 255])
@pytest.mark.parametrize("shape", [(60, 200), (1, 1), (1, 50), (50, 1), (2, 2), (300, 900)])
def test_an_even_page_holds_no_ink(reader, shape, gray):
    trace = reader.trace(np.full(shape, gray, np.uint8))
    assert isinstance(trace.reading, Unread)
    # A black page may be taken for ink from end to end.
    assert trace.reading.reason is Reason.NO_INK or (gray == 0 and trace.reading.reason is Reason.NOT_FIVE_DIGITS)
    assert (trace.regions, trace.grids) == ((), ())
    assert trace.ink.shape == trace.page.shape


def test_shaded_paper_holds_no_ink(reader):
    page = np.broadcast_to(np.linspace(150, 240, 300), (90, 300)).astype(np.uint8)
    assert reader.read(page) == Unread(reason=Reason.NO_INK)


@pytest.mark.parametrize("noise", [2, 6, 12])
def test_the_noise_of_a_scanner_is_no_ink(reader, noise):
    page = lay(np.zeros((90, 300), np.float32), 225, noise=noise)
    assert reader.read(page) == Unread(reason=Reason.NO_INK)


@pytest.mark.parametrize("text", ["7", "1"])
def test_one_digit_is_not_read(reader, text):
    trace = reader.trace(lay(write(text).cover, 235))
    assert isinstance(trace.reading, Unread)
    assert trace.reading.reason is Reason.NOT_FIVE_DIGITS
    assert (trace.regions, trace.grids) == ((), ())
    assert trace.ink.any()


@given(shape=shapes, seed=st.integers(0, 99), levels=st.sampled_from([2, 256]))
@settings(max_examples=15)
def test_any_page_is_read_or_is_not_but_never_fails(reader, shape, seed, levels):
    page = np.random.default_rng(seed).integers(0, levels, shape, dtype=np.uint8) * np.uint8(255 // (levels - 1))
    before = page.copy()
    trace = reader.trace(page)
    assert np.array_equal(page, before)
    assert isinstance(trace.reading, ZipReading | Unread)
    assert trace.ink.shape == trace.page.shape
    read = trace.reading.zip + trace.reading.plus4 if isinstance(trace.reading, ZipReading) else ""
    assert len(trace.regions) == len(trace.grids) == len(read)
    assert len(read) in {0, 5, 9}


def test_a_model_for_other_settings_is_refused_with_the_cure(tiny):
    with pytest.raises(ModelError, match="zipocr train"):
        Reader(Model(arrays=tiny.model.arrays, passport={**tiny.model.passport, "settings": "0123456789abcdef"}))


@pytest.fixture(scope="module")
def shipped() -> Reader:
    return Reader(load_model("mail"))


@pytest.mark.real
@pytest.mark.parametrize("text", ["02346", "90210", "33301", "60614", "78735"])
def test_the_shipped_model_reads_clean_digits_without_a_mistake(shipped, text):
    assert shipped.read(printed(text)).zip == text
    assert shipped.read(lay(write(text).cover, 235)).zip == text


@pytest.mark.real
@pytest.mark.parametrize("dash", [True, False])
def test_the_shipped_model_reads_nine_clean_digits_with_a_dash_and_without(shipped, dash):
    read = shipped.read(dashed_page(dash=dash))
    assert (read.zip, read.plus4) == ("02346", "6064")


@pytest.mark.real
@pytest.mark.parametrize("kind", ["white", "kraft"])
def test_the_shipped_model_reads_nine_in_ten_of_the_plain_samples(shipped, kind):
    samples = Path(__file__).parents[1] / "sample_scans"
    with (samples / "labels.csv").open(encoding="utf-8", newline="") as table:
        rows = [row for row in csv.DictReader(table) if row["file"].startswith(f"{kind}/")]
    pages = [cv2.imdecode(np.frombuffer((samples / row["file"]).read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE) for row in rows]
    read = [shipped.read(page) for page in pages]
    assert len(rows) >= 10
    assert np.mean([getattr(one, "zip", "") == row["zip"] for one, row in zip(read, rows, strict=True)]) >= 0.9
    assert not any(getattr(one, "plus4", "") for one in read)


@pytest.mark.real
def test_the_shipped_model_reads_nine_digits_off_every_sample_of_them(shipped):
    crops = sorted((Path(__file__).parents[1] / "sample_scans" / "plus4").iterdir())
    pages = [cv2.imdecode(np.frombuffer(crop.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE) for crop in crops]
    assert len(crops) >= 6
    assert all(len(shipped.read(page).digits) == 9 for page in pages)


@pytest.mark.real
def test_the_shipped_model_reads_pages_at_once_as_it_reads_them_one_by_one(shipped):
    pages = [*PAGES.values(), np.full((40, 90), 255, np.uint8), printed("90210")]
    assert list(shipped.read_each(pages)) == [shipped.read(page) for page in pages]
    assert list(shipped.read_each([])) == []


@pytest.mark.real
@pytest.mark.parametrize("page", ["kraft", "noisy", "leaning"])
def test_the_shipped_model_gives_the_same_reading_again_and_in_a_trace(shipped, page):
    assert shipped.read(PAGES[page]) == shipped.read(PAGES[page]) == shipped.trace(PAGES[page]).reading
