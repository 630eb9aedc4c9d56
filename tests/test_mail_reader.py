"""Whole pages: which ZIP is the destination's, where it is, and what is reported about it."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from zipocr import mail_reader
from zipocr.decode.directory import places
from zipocr.locate import find
from zipocr.locate.find import Located
from zipocr.locate.page_ink import PageInk, find_ink
from zipocr.mail_reader import MailReader
from zipocr.models.model_file import SEARCH, load_model
from zipocr.page_attempt import to_reading
from zipocr.preprocess.rotate import rotate, turn_back
from zipocr.types import Box, Place, Reason, Unread, ZipReading

SENDER = ("R. MILLER", "48 ELM ROAD", "BOSTON MA 02108")
DESTINATION = ("JANE DOE", "12 MAIN STREET", "ALBANY NY 12207")
SHAPE = (900, 1900)


@pytest.fixture(scope="module")
def reader() -> MailReader:
    return MailReader(load_model("mail"))


def write(page: np.ndarray, lines: tuple[str, ...], left: int, top: int, size: float = 1.1) -> None:
    for number, text in enumerate(lines):
        at = left, top + round(44 * size * number)
        cv2.putText(page, text, at, cv2.FONT_HERSHEY_DUPLEX, size, 40, 2, cv2.LINE_AA)


def envelope(destination: tuple[str, ...] = DESTINATION) -> np.ndarray:
    page = np.full(SHAPE, 235, np.uint8)
    write(page, SENDER, 60, 90, 0.8)
    write(page, destination, 820, 500)
    return page


def read(reader: MailReader, page: np.ndarray) -> ZipReading:
    reading = reader.read(page)
    assert isinstance(reading, ZipReading)
    return reading


def test_the_destinations_zip_is_read_and_not_the_senders(reader: MailReader) -> None:
    reading = read(reader, envelope())
    assert reading.zip == "12207"
    assert (reading.city, reading.state) == ("Albany", "NY")
    assert reading.confidence > 0.7


def test_the_box_encloses_the_zip_on_the_page(reader: MailReader) -> None:
    page = envelope()
    box = read(reader, page).box
    assert box is not None
    inside = page[box.top : box.bottom, box.left : box.right]
    bare = page.copy()
    bare[box.top - 2 : box.bottom + 2, box.left - 2 : box.right + 2] = 235
    assert inside.min() < 100
    assert np.ptp(bare[565:630, box.left : box.right]) == 0


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_rotated_envelope_is_read_and_its_box_refers_to_the_original_page(
    reader: MailReader, degrees: int
) -> None:
    upright, turned = envelope(), rotate(envelope(), degrees)
    reading, straight = read(reader, turned), read(reader, upright)
    assert (reading.zip, reading.rotation) == ("12207", 360 - degrees)
    assert Reason(f"turned_{360 - degrees}") in reading.reasons
    assert reading.box is not None
    assert straight.box is not None
    marked = np.zeros(upright.shape, np.uint8)
    marked[straight.box.top : straight.box.bottom, straight.box.left : straight.box.right] = 1
    there = rotate(marked, degrees)[
        reading.box.top : reading.box.bottom, reading.box.left : reading.box.right
    ]
    assert there.sum() > 0.9 * marked.sum()


def test_an_envelope_without_a_destination_zip_is_not_read(reader: MailReader) -> None:
    reading = reader.read(envelope(("JANE DOE", "12 MAIN STREET", "ALBANY NY")))
    assert isinstance(reading, Unread) or reading.confidence < 0.5


def test_a_page_of_text_has_no_destination(reader: MailReader) -> None:
    page = np.full((1200, 900), 240, np.uint8)
    write(
        page,
        ("IT WAS A BRIGHT", "COLD DAY IN APRIL", "AND THE CLOCKS", "WERE STRIKING") * 5,
        60,
        80,
    )
    assert reader.read(page) == Unread(reason=Reason.NO_DESTINATION_ZIP)


@pytest.mark.parametrize(
    ("lines", "confidence", "is_reported"),
    [(19, 0.19, False), (19, 0.21, True), (20, 0.49, False), (20, 0.51, True)],
)
def test_among_many_lines_a_number_must_be_likelier_right_than_not(
    reader: MailReader, lines: int, confidence: float, is_reported: bool
) -> None:
    search = reader.search(envelope())
    layout = search.located.layout
    one = replace(
        search,
        located=replace(search.located, layout=replace(layout, lines=[layout.lines[0]] * lines)),
        candidates=search.candidates[:1],
        probabilities=(confidence,),
    )
    reading = to_reading(one, SHAPE)
    assert (reading is not None) == is_reported
    assert reading is None or reading.confidence == confidence


@pytest.fixture
def located(reader: MailReader, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rotations of the versions of a page that the reader searches."""
    rotations: list[int] = []

    def locate(page: np.ndarray, ink: PageInk, rotation: int) -> Located:
        rotations.append(rotation)
        return MailReader.locate(reader, page, ink, rotation)

    monkeypatch.setattr(reader, "locate", locate)
    return rotations


@pytest.mark.parametrize("degrees", [0, 180])
def test_a_long_page_is_searched_in_one_orientation_only(
    reader: MailReader, located: list[int], monkeypatch: pytest.MonkeyPatch, degrees: int
) -> None:
    monkeypatch.setattr(find, "LONG", 10.0)
    assert reader.search(rotate(envelope(), degrees)).ranked[0][0].zip == "12207"
    assert located == [degrees]


@pytest.mark.parametrize(("long", "versions"), [(10.0, [0]), (1e6, [0, 180, 0, 180])])
def test_a_long_page_in_doubt_is_searched_in_one_version_only(
    reader: MailReader,
    located: list[int],
    monkeypatch: pytest.MonkeyPatch,
    long: float,
    versions: list[int],
) -> None:
    monkeypatch.setattr(find, "LONG", long)
    monkeypatch.setattr(reader, "orientation_log_odds", lambda _: 0.0)
    monkeypatch.setattr(mail_reader, "may_be_light_on_dark", lambda _: True)
    reader.search(envelope(("JANE DOE", "12 MAIN STREET", "ALBANY NY")))
    assert located == versions


@pytest.mark.parametrize("count", [find.MANY_LINES, 1])
def test_a_page_of_very_many_lines_is_long(count: int) -> None:
    page = np.full((2000, 1900), 235, np.uint8)
    for place in range(count):
        write(page, ("ONE",), 60 + 600 * (place % 3), 40 + 46 * (place // 3), 0.8)
    assert find.is_long(find_ink(page)) == (count > 1)


def test_the_zip_after_the_city_in_a_last_line_is_read(reader: MailReader) -> None:
    page = np.full((130, 900), 235, np.uint8)
    write(page, ("ALBANY, NY 12207",), 40, 90, 1.6)
    reading = read(reader, page)
    assert reading.zip == "12207"
    assert reading.box is not None
    assert reading.box.left > 300


def test_a_tight_crop_has_no_box(reader: MailReader) -> None:
    page = np.full((100, 330), 235, np.uint8)
    write(page, ("12207",), 60, 75, 2.0)
    reading = read(reader, page)
    assert (reading.zip, reading.box) == ("12207", None)


def test_pages_read_together_are_read_as_if_alone(reader: MailReader) -> None:
    crop = np.full((100, 330), 235, np.uint8)
    write(crop, ("12207",), 60, 75, 2.0)
    pages = [envelope(), crop, np.full((400, 900), 255, np.uint8), rotate(envelope(), 180)]
    assert reader.read_each(pages) == [reader.read(page) for page in pages]


def test_the_trace_shows_the_page_and_what_was_considered(reader: MailReader) -> None:
    page = envelope()
    trace = reader.trace(page)
    assert trace.reading == reader.read(page)
    assert trace.overview is not None
    assert trace.overview.page is page
    first, second = trace.overview.sightings[:2]
    assert (first.text, second.text) == ("12207", "02108")
    assert first.probability > second.probability
    assert not first.weakness
    assert second.weakness
    assert len(trace.overview.lines) == 6


def test_a_model_without_a_search_reads_only_crops() -> None:
    model = load_model("mail")
    bare = {name: array for name, array in model.arrays.items() if name not in SEARCH}
    reading = MailReader(replace(model, arrays=bare)).read(envelope())
    assert reading == Unread(reason=Reason.SEVERAL_LINES)


def test_boxes_are_rotated_back() -> None:
    shape = (30, 50)
    page = np.zeros(shape, np.uint8)
    page[4:9, 10:22] = 1
    for degrees in (0, 90, 180, 270):
        rows, columns = np.nonzero(rotate(page, degrees))
        turned = Box(
            top=int(rows.min()), left=int(columns.min()),
            bottom=int(rows.max()) + 1, right=int(columns.max()) + 1,
        )  # fmt: skip
        assert turn_back(turned, degrees, shape) == Box(top=4, left=10, bottom=9, right=22)


@pytest.mark.parametrize("digits", ["1 2207", "4 12207", "41 12207"])
def test_a_number_of_the_wrong_length_is_not_a_zip_even_if_five_digits_are_set_apart(
    reader: MailReader, digits: str
) -> None:
    page = np.full((110, 480), 235, np.uint8)
    write(page, (digits,), 40, 80, 2.0)
    reading = reader.read(page)
    assert isinstance(reading, Unread) or reading.box is None


def with_unclear_end(town: str) -> np.ndarray:
    """An envelope whose ZIP ends in a 7 with half a bar, which may be a 1."""
    page = envelope((*DESTINATION[:2], town))
    left = 820 + cv2.getTextSize(town, cv2.FONT_HERSHEY_DUPLEX, 1.1, 2)[0][0] + 2
    foot = 500 + round(44 * 1.1 * 2)
    cv2.putText(page, "7", (left, foot), cv2.FONT_HERSHEY_DUPLEX, 1.1, 40, 2, cv2.LINE_AA)
    page[foot - 32 : foot - 16, left - 2 : left + 10] = 235
    return page


@pytest.mark.parametrize(
    ("town", "expected", "is_decided_by_town"),
    [("CENTRALIA WA 9853", "98531", False), ("COSMOPOLIS WA 9853", "98537", True)],
)
def test_the_town_decides_what_digits_leave_open(
    reader: MailReader, town: str, expected: str, is_decided_by_town: bool
) -> None:
    reading = read(reader, with_unclear_end(town))
    assert reading.zip == expected
    assert (Reason.TOWN_CHOICE in reading.reasons) == is_decided_by_town
    assert Reason.SEVERAL_CANDIDATES not in reading.reasons


def test_a_town_confirms_its_zip_and_another_one_casts_doubt_on_it(reader: MailReader) -> None:
    own, other = (
        read(reader, envelope((*DESTINATION[:2], f"{town} 12207"))).confidence
        for town in ("ALBANY NY", "DENVER CO")
    )
    assert own > 0.97
    assert other < 0.9


def test_the_town_is_not_read_without_a_directory() -> None:
    reader = MailReader(load_model("mail"), use_directory=False)
    attempt = reader.attempt(with_unclear_end("COSMOPOLIS WA 9853"))
    assert attempt.search is not None
    assert not any(one.is_alternative or any(one.town) for one in attempt.search.candidates)


def test_a_zip_of_the_town_that_neither_reader_proposes_is_considered(
    reader: MailReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zipocr.attempt.MAX_ALTERNATIVES", 1)
    attempt = reader.attempt(envelope((*DESTINATION[:2], "COSMOPOLIS WA 98531")))
    assert attempt.search is not None
    texts = [one.zip for one in attempt.search.candidates if one.is_alternative]
    assert "98537" in texts


def test_a_list_without_towns_raises_no_confidence() -> None:
    listed = {one: Place(city="", state="") for one in places()}
    reader = MailReader(load_model("mail"), directory=listed)
    for city in ("ALBANY NY 12207", "COSMOPOLIS WA 98537"):
        attempt = reader.attempt(envelope((*DESTINATION[:2], city)))
        assert isinstance(attempt.reading, ZipReading)
        assert attempt.search is not None
        best = attempt.search.ranked[0][0].attempt
        assert attempt.reading.confidence <= best.confidence
        assert Reason.TOWN_CHOICE not in attempt.reading.reasons


def test_a_zip_of_the_town_is_considered_even_if_a_short_list_favours_it() -> None:
    listed = {one: places()[one] for one in ("98537", "12207", "02108")}
    reader = MailReader(load_model("mail"), directory=listed)
    attempt = reader.attempt(envelope((*DESTINATION[:2], "COSMOPOLIS WA 98531")))
    assert attempt.search is not None
    assert "98537" in {one.zip for one in attempt.search.candidates}


def test_the_runner_up_is_the_next_string_of_the_page(reader: MailReader) -> None:
    attempt = reader.attempt(with_unclear_end("COSMOPOLIS WA 9853"))
    assert attempt.search is not None
    assert isinstance(attempt.reading, ZipReading)
    best, *others = attempt.search.ranked
    next_one, share = next(each for each in others if each[0].span is best[0].span)
    assert (attempt.reading.runner_up, next_one.zip) == ("98531", "98531")
    assert attempt.reading.runner_up_confidence == pytest.approx(share)
    sure = [one.probability for one in attempt.reading.digits]
    assert min(sure) == sure[4] < sure[0]


def test_a_zip_that_two_numbers_share_outweighs_another_string_of_one(reader: MailReader) -> None:
    search = reader.attempt(envelope()).search
    assert search is not None
    best = search.candidates[0]
    reading = best.attempt.reading
    assert isinstance(reading, ZipReading)
    longer = replace(best.span, last=best.span.last + 1)
    other = replace(best, attempt=replace(best.attempt, reading=replace(reading, zip="12201")))
    twice = replace(search, candidates=(best, other, replace(best, span=longer)),
                    probabilities=(0.3, 0.35, 0.3))  # fmt: skip
    assert [(one.zip, share) for one, share in twice.ranked] == [
        ("12207", 0.6), ("12207", 0.6), ("12201", 0.35),
    ]  # fmt: skip
    assert [one.span for one, _ in twice.distinct] == [best.span, longer]
