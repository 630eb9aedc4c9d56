import csv
import pickle
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawings import lay, write
from hypothesis import given, settings
from hypothesis import strategies as st

from zipocr.attempt import Classified
from zipocr.decode.directory import places
from zipocr.decode.fusion import posterior
from zipocr.errors import ModelError
from zipocr.line.line_image import LineImage
from zipocr.line.network import (
    BLANK,
    CLASSES,
    FIRST_DIGIT,
    SECOND,
    THIRD,
    array_shapes,
    ranges_name,
)
from zipocr.line.recognize import LineReading
from zipocr.models.model_file import load_model
from zipocr.preprocess.page import prepare
from zipocr.reader import (
    ALIGNED,
    CERTAIN_CONFIDENCE,
    MIN_RETRY_PROBABILITY,
    PROMISING_CONFIDENCE,
    RETRY_BELOW,
    SECOND_PASS_SCALE,
    Attempt,
    Reader,
    draw_regions,
    may_be_dots,
)
from zipocr.segment.regions import SAME_PLACE
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
    """Digits in OpenCV's built-in font."""
    page = np.full((90, 60 + 40 * len(text)), 240, np.uint8)
    for place, letter in enumerate(text):
        cv2.putText(
            page, letter, (30 + 40 * place, 68), cv2.FONT_HERSHEY_SIMPLEX, 2, 20, 4, cv2.LINE_AA
        )
    return page


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("mail")


@pytest.fixture(scope="module")
def reader(model) -> Reader:
    return Reader(model)


@pytest.fixture(scope="module")
def plain_reader(model) -> Reader:
    return Reader(model, use_directory=False)


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
    """Nine digits, the last four set apart, with or without a dash between."""
    written = write("023466064", gap=[14, 14, 14, 14, 46, 14, 14, 14])
    cover, box = written.cover.copy(), written.boxes[4]
    if dash:
        cover[box.top + 20 : box.top + 25, box.right + 15 : box.right + 31] = 1
    return lay(cover, 235)


@pytest.mark.parametrize("dash", [True, False])
def test_nine_digits_are_a_zip_and_four_more_throughout_the_trace(reader, dash):
    trace = reader.trace(dashed_page(dash=dash))
    reading = trace.reading
    assert isinstance(reading, ZipReading)
    assert (len(reading.zip), len(reading.plus4)) == (5, 4)
    assert len(trace.regions) == len(trace.grids) == len(reading.digits) == 9
    assert "".join(str(one.digit) for one in reading.digits) == reading.zip + reading.plus4
    listed = places().get(reading.zip)
    assert (reading.city, Reason.NOT_IN_DIRECTORY in reading.reasons) == (
        listed.city if listed else "",
        listed is None,
    )
    assert reading.runner_up == "" or len(reading.runner_up.replace("-", "")) in {5, 9}
    assert min(one.probability for one in reading.digits) >= reading.confidence - 1e-6
    regions = [region.box for region in trace.regions]
    assert [box.left for box in regions] == sorted(box.left for box in regions)
    assert all(box.height > 12 for box in regions)


@pytest.mark.parametrize("page", PAGES)
def test_written_digits_are_found_where_they_are(reader, page):
    trace = reader.trace(PAGES[page])
    assert isinstance(trace.reading, ZipReading)
    centres = [(region.box.left + region.box.right) / 2 for region in trace.regions]
    assert len(centres) == 5
    assert centres == sorted(centres)
    apart = np.diff(centres)
    assert apart.max() < 1.6 * apart.min()


def test_most_written_digits_are_read_correctly(reader):
    texts = ["02346", "90210", "33301", "60614", "78735"]
    read = [reader.read(lay(write(text).cover, 235)).zip for text in texts]
    assert (
        np.mean([one == other for one, other in zip("".join(read), "".join(texts), strict=True)])
        > 0.6
    )


@pytest.mark.parametrize("page", PAGES)
def test_a_trace_matches_its_reading(reader, page):
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
def test_reading_and_tracing_agree(reader, page):
    assert reader.read(PAGES[page]) == reader.trace(PAGES[page]).reading


def test_the_same_page_always_reads_the_same_and_is_not_modified(model, reader):
    page = PAGES["noisy"].copy()
    first = reader.trace(page)
    reader.read(PAGES["kraft"])
    second, other = reader.trace(page), Reader(model).trace(page)
    assert np.array_equal(page, PAGES["noisy"])
    assert first.reading == second.reading == other.reading
    assert first.candidates == second.candidates == other.candidates
    assert all(same(one, two) for one, two in zip(first.grids, other.grids, strict=True))


def test_a_page_that_is_a_view_of_a_larger_array_is_read_like_its_copy(reader):
    page = PAGES["kraft"]
    wide = np.zeros((page.shape[0] + 6, page.shape[1] + 6), np.uint8)
    wide[3:-3, 3:-3] = page
    assert reader.read(wide[3:-3, 3:-3]) == reader.read(page)


@pytest.mark.parametrize("page", PAGES)
def test_probabilities_are_valid(reader, page):
    reading = reader.read(PAGES[page])
    assert 0 <= reading.confidence <= 1
    assert 0 <= reading.runner_up_confidence <= 1 - reading.confidence + 1e-9
    for one in reading.digits:
        assert 0 <= one.runner_up_probability <= 1
        assert 0 < one.probability <= 1
        assert one.runner_up != one.digit
        assert one.probability + one.runner_up_probability <= 1 + 1e-5


@pytest.mark.parametrize("text", ["02108", "94110", "73301"])
def test_probabilities_of_strings_and_digits_are_consistent(reader, text):
    read = reader.read(lay(write(text).cover, 230))
    assert min(digit.probability for digit in read.digits) >= read.confidence - 1e-6
    assert read.runner_up_confidence <= min(read.confidence, 1 - read.confidence) + 1e-6


@pytest.mark.parametrize("page", PAGES)
def test_the_runner_up_is_a_different_zip(reader, page):
    reading = reader.read(PAGES[page])
    assert reading.runner_up != reading.zip
    assert reading.runner_up == "" or (len(reading.runner_up) == 5 and reading.runner_up.isdigit())


@pytest.mark.parametrize("page", PAGES)
def test_a_reading_reports_what_the_directory_lists(reader, page):
    reading = reader.read(PAGES[page])
    listed = places().get(reading.zip)
    assert (Reason.NOT_IN_DIRECTORY in reading.reasons) == (listed is None)
    assert (reading.city, reading.state) == ((listed.city, listed.state) if listed else ("", ""))
    assert Reason.LOW_CONFIDENCE not in reading.reasons


@pytest.mark.parametrize("page", PAGES)
def test_without_the_directory_nothing_is_reported_about_it(plain_reader, page):
    reading = plain_reader.read(PAGES[page])
    assert len(reading.zip) == 5
    assert (reading.city, reading.state, reading.reasons) == ("", "", ())


def test_a_choice_made_by_the_directory_is_reported(model, plain_reader):
    """The runners-up are put on the list, and the best readings are not."""
    pages = [doubtful(number) for number in range(12)]
    plain = [plain_reader.read(page) for page in pages]
    own = {
        one.runner_up: Place(city="Here", state="QQ") for one in plain if len(one.runner_up) == 5
    }
    reader = Reader(model, directory=own)
    for page in pages:
        attempt = reader.attempt(page)
        reading, before = attempt.reading, attempt.fused.without_prior[0].text
        assert (Reason.DIRECTORY_CHOICE in reading.reasons) == (
            reading.zip + reading.plus4 != before
        )
        assert (Reason.NOT_IN_DIRECTORY in reading.reasons) == (reading.zip not in own)
        assert (reading.city, reading.state) == (("Here", "QQ") if reading.zip in own else ("", ""))


def test_the_packaged_directory_passed_as_a_custom_list_reads_the_same(model, reader):
    own = Reader(model, directory=dict(places()))
    assert [own.read(page) for page in PAGES.values()] == [
        reader.read(page) for page in PAGES.values()
    ]


def doubtful(number: int) -> GrayImage:
    return lay(write(f"{number * 4973 % 100_000:05d}", stroke=3 + number % 4).cover, 200, noise=8)


def test_only_listed_strings_gain_and_without_a_directory_none_do(reader, plain_reader):
    for number in range(4):
        listed, plain = (one.attempt(doubtful(number)).fused for one in (reader, plain_reader))
        assert listed is not None
        assert plain is not None
        assert plain.without_prior == plain.ranked
        assert {one.text for one in listed.ranked} == {one.text for one in listed.without_prior}
        worth = {one.text: one.score for one in listed.without_prior}
        gains = {one.text[:5] in places(): one.score - worth[one.text] for one in listed.ranked}
        assert gains.get(False, 0.0) == 0
        assert gains.get(True, 1.0) > 0


def test_every_string_from_either_reader_is_a_candidate_exactly_once(plain_reader):
    fused = plain_reader.attempt(doubtful(3)).fused
    texts = [one.text for one in fused.ranked]
    assert len(texts) == len(set(texts))
    assert set(fused.classified.line.strings) <= set(texts)
    best = fused.classified.log_likelihoods.argmax(axis=1)
    for regions in fused.classified.segmentation.strings:
        assert not regions or "".join(str(best[one]) for one in regions) in texts
    assert len(fused.classified.segmentation.strings) <= ALIGNED


@pytest.mark.parametrize("page", PAGES)
def test_a_doubtful_line_is_read_twice_and_a_clear_one_once(plain_reader, page):
    prepared = prepare(PAGES[page])
    (line,) = plain_reader.read_lines([prepared.ink])
    assert not line.is_twice
    (classified,) = plain_reader.classify_each([Classified(ink=prepared.ink, line=line)])
    first = plain_reader.fuse(classified)
    doubt = posterior(first.ranked)[0] * line.shaped < plain_reader.second_pass.below
    doubt = doubt and plain_reader.confidence(first) < CERTAIN_CONFIDENCE
    (fused,) = plain_reader.fuse_each([prepared.ink], [line])
    assert plain_reader.needs_second_pass(line, first) == doubt == fused.classified.line.is_twice


def test_a_large_page_is_retried_at_a_lower_resolution(plain_reader):
    dark = np.full((1200, 1000), 30, np.uint8)
    dark[500:700, 300:700] = 220
    attempt = plain_reader.attempt(dark)
    versions = list(plain_reader.versions(attempt))
    assert versions
    assert max(version.size for version in versions) == attempt.prepared.page.size // 4


def light_on_grey() -> GrayImage:
    written = write("02346").cover
    paper, dark = lay(written, 150, ink=250, noise=4), lay(written, 20, ink=250, noise=4)
    return np.where(np.arange(paper.shape[1]) < 0.85 * paper.shape[1], paper, dark)


def test_light_writing_on_grey_paper_beside_a_shadow_is_read(plain_reader):
    page = light_on_grey()
    (upright,) = plain_reader.read_upright([prepare(page)])
    assert upright.confidence < RETRY_BELOW
    reading = plain_reader.read(page)
    assert not isinstance(reading, Unread)
    assert reading.zip == "02346"


@pytest.mark.parametrize("reason", [None, Reason.NO_INK, Reason.SEVERAL_LINES])
def test_light_writing_on_grey_paper_is_sought_on_lines_only(plain_reader, reason):
    (upright,) = plain_reader.read_upright([prepare(light_on_grey())])
    upright = replace(upright, prepared=replace(upright.prepared, reason=reason))
    found = any(
        np.array_equal(one, 255 - upright.prepared.page) for one in plain_reader.versions(upright)
    )
    assert found == (reason is not Reason.SEVERAL_LINES)


def test_a_line_that_may_have_another_number_of_digits_is_read_twice(plain_reader, monkeypatch):
    ink = prepare(PAGES["written"]).ink
    (line,) = plain_reader.read_lines([ink])
    fused = plain_reader.fuse(plain_reader.classify_each([Classified(ink=ink, line=line)])[0])
    sure = replace(fused, ranked=(replace(fused.best, score=9.0),))
    monkeypatch.setattr(plain_reader, "confidence", lambda _: 0.9)
    assert not plain_reader.needs_second_pass(replace(line, shaped=0.99), sure)
    assert plain_reader.needs_second_pass(replace(line, shaped=0.5), sure)


@pytest.mark.parametrize(
    ("confidence", "is_retry", "again"),
    [
        (CERTAIN_CONFIDENCE, False, False),
        (CERTAIN_CONFIDENCE - 0.01, False, True),
        (0.01, False, True),
        (PROMISING_CONFIDENCE - 0.01, True, False),
        (PROMISING_CONFIDENCE, True, True),
    ],
)
def test_a_line_in_doubt_is_read_again_unless_it_is_certain_or_unpromising(
    plain_reader, monkeypatch, confidence, is_retry, again
):
    ink = prepare(PAGES["written"]).ink
    (line,) = plain_reader.read_lines([ink])
    fused = plain_reader.fuse(plain_reader.classify_each([Classified(ink=ink, line=line)])[0])
    doubtful = replace(fused, ranked=(fused.best,) * 2)
    monkeypatch.setattr(plain_reader, "confidence", lambda _: confidence)
    assert plain_reader.needs_second_pass(line, doubtful, is_retry=is_retry) == again
    assert not plain_reader.needs_second_pass(line, None, is_retry=True)


@pytest.mark.parametrize("probability", [MIN_RETRY_PROBABILITY, MIN_RETRY_PROBABILITY - 0.01])
def test_a_retried_page_is_unread_if_the_network_sees_no_probable_string(
    plain_reader, monkeypatch, probability
):
    prepared = prepare(PAGES["written"])
    (line,) = plain_reader.read_lines([prepared.ink])
    weak = replace(line, strings={"02346": probability})
    monkeypatch.setattr(plain_reader, "read_lines", lambda _: [weak])
    (again,) = plain_reader.read_upright([prepared], is_retry=True)
    assert isinstance(again.reading, Unread) == (probability < MIN_RETRY_PROBABILITY)
    (first,) = plain_reader.read_upright([prepared])
    assert not isinstance(first.reading, Unread)


def test_a_line_that_is_read_again_keeps_its_regions_and_gets_those_of_new_strings(
    plain_reader, monkeypatch
):
    ink = prepare(PAGES["written"]).ink
    (line,) = plain_reader.read_lines([ink])
    (first,) = plain_reader.classify_each([Classified(ink=ink, line=line)])
    (same,) = plain_reader.classify_each([first])
    assert same.segmentation.regions == first.segmentation.regions
    (columns,) = line.centres(["02346"])
    beside = {"13579": columns + 2 * SAME_PLACE * ink.text_height}
    new = replace(line, strings={"13579": 0.9, **line.strings}, aligned=line.aligned | beside)
    drawn = []
    monkeypatch.setattr(
        "zipocr.reader.draw_regions", lambda *some: drawn.append(some) or draw_regions(*some)
    )
    (more,) = plain_reader.classify_each([replace(first, line=new)])
    count = len(first.bitmaps)
    ((_, regions),) = drawn
    assert len(regions) == 5
    assert more.segmentation.regions == (*first.segmentation.regions, *regions)
    assert len(more.bitmaps) == len(more.log_likelihoods) == count + 5
    assert np.array_equal(more.bitmaps[:count], first.bitmaps)
    assert np.array_equal(more.log_likelihoods[:count], first.log_likelihoods)
    assert more.segmentation.strings[-1] == tuple(range(count, count + 5))


@pytest.mark.parametrize(("shown", "again"), [(2, False), (3, True)])
def test_a_line_without_five_digits_is_read_twice_if_some_may_touch(plain_reader, shown, again):
    ink = prepare(PAGES["written"]).ink
    (line,) = plain_reader.read_lines([ink])
    frames = np.zeros((2 * shown + 1, CLASSES), np.float32)
    frames[::2, BLANK], frames[1::2, FIRST_DIGIT] = 1, 1
    few = replace(line, frames=frames, strings={}, shaped=0.0)
    assert few.characters == shown
    assert plain_reader.needs_second_pass(few, None) == again


def test_a_third_network_reads_the_largest_digits():
    """The larger ones give the same output for every frame, the third one a digit."""
    model = load_model("digits")
    shapes = array_shapes(SECOND) | array_shapes(THIRD)
    arrays = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    arrays |= {
        ranges_name(name): np.ones_like(arrays[ranges_name(name)]) for name in (SECOND, THIRD)
    }
    arrays["third_network_out_biases"][FIRST_DIGIT] = 2.0
    reader = Reader(replace(model, arrays={**model.arrays, **arrays}), use_directory=False)
    ink = prepare(PAGES["written"]).ink
    (again,) = reader.read_lines_again([ink], reader.read_lines([ink]))
    larger, largest = again.again
    assert larger == pytest.approx(1 / CLASSES)
    assert largest[:, FIRST_DIGIT] == pytest.approx(np.exp(2) / (np.exp(2) + CLASSES - 1))


def test_a_second_network_reads_larger_digits_until_the_line_is_certain(monkeypatch):
    """This one gives the same output for every frame."""
    model = load_model("digits")
    blank = {name: np.zeros(shape, np.float32) for name, shape in array_shapes(SECOND).items()}
    blank[ranges_name(SECOND)] += 1
    with_second = replace(model, arrays={**model.arrays, **blank})
    ink = prepare(PAGES["written"]).ink
    plain, two = (Reader(one, use_directory=False) for one in (model, with_second))
    (line,) = plain.read_lines([ink])
    assert np.array_equal(line.frames, two.read_lines([ink])[0].frames)
    (again,) = plain.read_lines_again([ink], [line])
    assert [len(frames) / len(line.frames) for frames in again.again] == [
        pytest.approx(SECOND_PASS_SCALE, abs=0.05)
    ]
    for reader in (two, pickle.loads(pickle.dumps(two))):
        (unsure,) = reader.read_lines_again([ink], [line])
        larger, largest = unsure.again
        assert larger == pytest.approx(1 / CLASSES)
        assert largest == pytest.approx(1 / CLASSES)
        assert len(largest) > len(larger)
    monkeypatch.setattr(two, "second_pass", replace(two.second_pass, below=0.0))
    (certain,) = two.read_lines_again([ink], [line])
    assert len(certain.again) == 1


@pytest.mark.parametrize(
    ("shown", "is_possible"),
    [([], True), ([3, 0, 7], True), ([3, 3, 3], True), ([1, 2, 3, 4], False)],
)
def test_a_line_with_several_characters_is_not_taken_for_dots(shown, is_possible):
    classes = [one for character in shown for one in (BLANK, FIRST_DIGIT + character)] or [BLANK]
    frames = np.eye(CLASSES, dtype=np.float32)[classes]
    strip = LineImage(pixels=np.zeros((1, 1), np.uint8), to_page=np.zeros((2, 3)))
    line = LineReading(strip=strip, features=frames, frames=frames, strings={}, shaped=0.0)
    assert line.characters == len(shown)
    assert may_be_dots(line) == is_possible
    assert may_be_dots(None)


def test_regions_are_drawn_with_their_stroke_edges_but_without_their_neighbours(
    plain_reader,
):
    ink = prepare(PAGES["written"]).ink
    fused = plain_reader.attempt(PAGES["written"]).fused
    regions = [fused.classified.segmentation.regions[one] for one in fused.best.regions]
    drawn = draw_regions(ink, regions)
    assert (drawn.shape, drawn.dtype) == ((5, 32, 32), np.uint8)
    assert np.array_equal(drawn[2], draw_regions(ink, regions[2:3])[0])
    assert draw_regions(ink, []).shape == (0, 32, 32)
    # Half a digit shows nothing of the other half.
    box, half = regions[3].box, (regions[3].box.width + 1) // 2
    piece = replace(
        regions[3], box=replace(box, right=box.left + half), ink=regions[3].ink[:, :half]
    )
    whole = plain_reader.attempt(PAGES["written"]).fused.classified.ink
    alone = np.zeros_like(whole.coverage)
    columns = slice(max(box.left - 1, 0), box.left + half)
    alone[:, columns] = whole.coverage[:, columns]
    assert np.array_equal(
        draw_regions(whole, [piece])[0], draw_regions(replace(whole, coverage=alone), [piece])[0]
    )


def test_no_regions_give_no_scores(plain_reader):
    assert plain_reader.classify(np.zeros((0, 32, 32), np.uint8)).shape == (0, 10)


def test_a_reading_does_not_depend_on_the_pages_read_with_it(reader):
    """Pages that need a second pass, another rotation or nothing at all are not mixed up."""
    pages = [
        doubtful(1),
        np.full((40, 90), 255, np.uint8),
        PAGES["kraft"],
        doubtful(3),
        PAGES["small"],
        lay(write("7").cover, 235),
    ]
    alone = [reader.read(page) for page in pages]
    for order in ([0, 1, 2, 3, 4, 5], [5, 3, 1, 0, 2, 4], [2, 2, 0]):
        assert reader.read_each([pages[place] for place in order]) == [
            alone[place] for place in order
        ]
    assert reader.read_each([]) == []


def test_a_trace_lists_the_best_strings_with_their_probabilities(reader):
    trace = reader.trace(doubtful(3))
    (first, confidence), *others = trace.strings
    assert (first, confidence) == (trace.reading.zip, pytest.approx(trace.reading.confidence))
    assert 0 < len(others) < 5
    assert [share for _, share in others] == sorted([share for _, share in others], reverse=True)
    assert others[0][0] == trace.reading.runner_up


def test_an_attempt_is_made_on_the_given_page(reader):
    attempt = reader.attempt(PAGES["kraft"])
    assert isinstance(attempt, Attempt)
    assert attempt.rotation == 0
    assert same(attempt.prepared.page, PAGES["kraft"])
    assert attempt.fused.classified.ink is attempt.prepared.ink
    assert attempt.reading == reader.read(PAGES["kraft"])


def test_an_attempt_at_a_blank_page_has_neither_line_nor_strings(reader):
    attempt = reader.attempt(np.full((40, 90), 255, np.uint8))
    assert (attempt.line, attempt.fused, attempt.confidence) == (None, None, 0)
    assert attempt.reading == Unread(reason=Reason.NO_INK)


@pytest.mark.parametrize("gray", [0, 90, 170, 255])
@pytest.mark.parametrize("shape", [(60, 200), (1, 1), (1, 50), (50, 1), (2, 2), (300, 900)])
def test_a_uniform_page_has_no_ink(reader, shape, gray):
    trace = reader.trace(np.full(shape, gray, np.uint8))
    assert isinstance(trace.reading, Unread)
    # An all-black page may be taken for ink from end to end.
    assert trace.reading.reason is Reason.NO_INK or (
        gray == 0 and trace.reading.reason is Reason.NOT_FIVE_DIGITS
    )
    assert (trace.regions, trace.grids) == ((), ())
    assert trace.ink.shape == trace.page.shape


def test_shaded_paper_has_no_ink(reader):
    page = np.broadcast_to(np.linspace(150, 240, 300), (90, 300)).astype(np.uint8)
    assert reader.read(page) == Unread(reason=Reason.NO_INK)


@pytest.mark.parametrize("noise", [2, 6, 12])
def test_scanner_noise_is_not_ink(reader, noise):
    page = lay(np.zeros((90, 300), np.float32), 225, noise=noise)
    assert reader.read(page) == Unread(reason=Reason.NO_INK)


@pytest.mark.parametrize("text", ["7", "1"])
def test_a_single_digit_is_not_read(reader, text):
    trace = reader.trace(lay(write(text).cover, 235))
    assert isinstance(trace.reading, Unread)
    assert trace.reading.reason is Reason.NOT_FIVE_DIGITS
    assert (trace.regions, trace.grids) == ((), ())
    assert trace.ink.any()


@given(shape=shapes, seed=st.integers(0, 99), levels=st.sampled_from([2, 256]))
@settings(max_examples=15)
def test_any_page_is_read_or_unread_without_an_error(reader, shape, seed, levels):
    page = np.random.default_rng(seed).integers(0, levels, shape, dtype=np.uint8) * np.uint8(
        255 // (levels - 1)
    )
    before = page.copy()
    trace = reader.trace(page)
    assert np.array_equal(page, before)
    assert isinstance(trace.reading, ZipReading | Unread)
    assert trace.ink.shape == trace.page.shape
    read = trace.reading.zip + trace.reading.plus4 if isinstance(trace.reading, ZipReading) else ""
    assert len(trace.regions) == len(trace.grids) == len(read)
    assert len(read) in {0, 5, 9}


def test_a_model_for_other_settings_is_refused_and_retraining_is_suggested(model):
    with pytest.raises(ModelError, match="zipocr train"):
        Reader(Model(arrays=model.arrays, card={**model.card, "settings": "0123456789abcdef"}))


@pytest.fixture(scope="module")
def shipped(reader) -> Reader:
    return reader


@pytest.mark.real
@pytest.mark.parametrize("text", ["02346", "90210", "33301", "60614", "78735"])
def test_the_shipped_model_reads_clean_digits_without_a_mistake(shipped, text):
    assert shipped.read(printed(text)).zip == text
    assert shipped.read(lay(write(text).cover, 235)).zip == text


@pytest.mark.real
@pytest.mark.parametrize("dash", [True, False])
def test_the_shipped_model_reads_nine_clean_digits_with_or_without_a_dash(shipped, dash):
    read = shipped.read(dashed_page(dash=dash))
    assert (read.zip, read.plus4) == ("02346", "6064")


@pytest.mark.real
@pytest.mark.parametrize("kind", ["white", "kraft"])
def test_the_shipped_model_reads_nine_in_ten_of_the_plain_samples(shipped, kind):
    samples = Path(__file__).parents[1] / "sample_scans"
    with (samples / "labels.csv").open(encoding="utf-8", newline="") as table:
        rows = [row for row in csv.DictReader(table) if row["file"].startswith(f"{kind}/")]
    pages = [
        cv2.imdecode(
            np.frombuffer((samples / row["file"]).read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE
        )
        for row in rows
    ]
    read = [shipped.read(page) for page in pages]
    assert len(rows) >= 10
    assert (
        np.mean(
            [getattr(one, "zip", "") == row["zip"] for one, row in zip(read, rows, strict=True)]
        )
        >= 0.9
    )
    assert not any(getattr(one, "plus4", "") for one in read)


@pytest.mark.real
def test_the_shipped_model_reads_nine_digits_from_every_plus4_sample(shipped):
    crops = sorted((Path(__file__).parents[1] / "sample_scans" / "plus4").iterdir())
    pages = [
        cv2.imdecode(np.frombuffer(crop.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
        for crop in crops
    ]
    assert len(crops) >= 6
    assert all(len(shipped.read(page).digits) == 9 for page in pages)
