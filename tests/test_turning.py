"""Rotated pages, and pages that are not a crop of a ZIP."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import fakes
import numpy as np
import pytest
from drawings import lay, write

from zipocr.attempt import Attempt
from zipocr.decode.orientation import CERTAIN, OrientationModel, Oriented
from zipocr.images.decode import read_pages
from zipocr.line.line_image import LineImage
from zipocr.line.network import CLASS_FEATURES, FIRST_DIGIT
from zipocr.line.recognize import LineReading
from zipocr.models.model_file import load_model
from zipocr.preprocess.page import InkPage, PreparedPage, prepare
from zipocr.preprocess.rotate import rotate
from zipocr.reader import MIN_ROTATED_CONFIDENCE, RETRY_BELOW, Reader
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
def test_most_sideways_pages_are_read_like_upright_ones_and_report_their_rotation(reader, turn):
    pages = [page_of(path) for path in CROPS]
    pairs = [(reader.read(page), reader.read(np.rot90(page, turn // 90))) for page in pages]
    noticed = [(one, other) for one, other in pairs if getattr(other, "rotation", 0) == turn]
    assert len(noticed) >= 2
    for one, other in noticed:
        assert (one.rotation, other.zip) == (0, one.zip)
        assert Reason(f"turned_{turn}") in other.reasons
        assert not any(reason.startswith("turned") for reason in one.reasons)


@pytest.mark.real
def test_most_upside_down_pages_are_detected_and_no_upright_page_is_rotated(reader):
    pages = [page_of(path) for path in sorted((SAMPLES / "white").iterdir())[:8]]
    pairs = [(reader.trace(page), reader.trace(np.rot90(page, 2))) for page in pages]
    noticed = [(one, other) for one, other in pairs if getattr(other.reading, "rotation", 0)]
    assert len(noticed) > len(pairs) / 2
    for _, other in noticed:
        assert other.reading.rotation == 180
        assert Reason.TURNED_180 in other.reading.reasons
    assert not any(getattr(one.reading, "rotation", 0) for one, _ in pairs)


def several(count: int) -> GrayImage:
    """Lines of five digits, one below the other."""
    cover = write("02346").cover
    return lay(np.vstack([cover] * count), 235)


@pytest.mark.real
@pytest.mark.parametrize("name", ["blank-01", "blank-02"])
def test_blank_paper_has_no_ink_however_noisy(reader, name):
    page = page_of(SAMPLES / "no-zip" / f"{name}.png")
    assert reader.read(page) == Unread(reason=Reason.NO_INK)
    assert reader.trace(page).reading == Unread(reason=Reason.NO_INK)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_pages_are_rotated_clockwise(degrees):
    page = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    expected = {
        0: [[1, 2, 3], [4, 5, 6]],
        90: [[4, 1], [5, 2], [6, 3]],
        180: [[6, 5, 4], [3, 2, 1]],
        270: [[3, 6], [2, 5], [1, 4]],
    }
    turned = rotate(page, degrees)
    assert turned.tolist() == expected[degrees]
    assert turned.flags.c_contiguous


@pytest.mark.parametrize("count", [3, 4])
def test_a_page_of_several_lines_is_not_read(reader, count):
    assert reader.read(several(count)) == Unread(reason=Reason.SEVERAL_LINES)
    assert reader.trace(several(count)).reading == Unread(reason=Reason.SEVERAL_LINES)


def test_a_single_line_is_read(reader):
    assert isinstance(reader.read(several(1)), ZipReading)


PAGE = lay(write("02346").cover, 235)
MODEL = load_model("mail")
# A line's first feature is its log odds; they have half the weight of those of the confidence.
ORIENTATION = {"orientation": np.eye(1, CLASS_FEATURES + 1)[0], "rotation": np.array([1.0, 0.5])}


def line_of(log_odds: float) -> LineReading:
    """A line of one frame, with these log odds of being upright."""
    nothing = np.zeros((1, 1), np.float32)
    strip = LineImage(pixels=nothing, to_page=np.zeros((2, 3)))
    frames = np.eye(1, 12, FIRST_DIGIT, dtype=np.float32)
    return LineReading(
        strip=strip, features=log_odds * np.eye(1, 96), frames=frames, strings={}, shaped=1.0
    )


class PresetReader(Reader):
    """Reads with a preset confidence and preset log odds of a line for each rotation."""

    def __init__(
        self, confidences: dict[int, float], log_odds: dict[int, float] | None = None
    ) -> None:
        super().__init__(Model(arrays={**MODEL.arrays, **ORIENTATION}, card=MODEL.card))
        self.confidences, self.odds = confidences, log_odds or {}
        self.seen: list[tuple[int, GrayImage]] = []

    def read_upright(
        self,
        pages: Sequence[PreparedPage],
        *,
        rotation: int = 0,
        is_retry: bool = False,  # noqa: ARG002
    ) -> list[Attempt]:
        self.seen += [(rotation, page.page) for page in pages]
        return [self.preset_attempt(page, rotation) for page in pages]

    def preset_attempt(self, page: PreparedPage, rotation: int) -> Attempt:
        confidence = self.confidences.get(rotation, 0.01)
        reading = replace(fakes.zip_reading("02346", confidence=confidence), rotation=rotation)
        line = line_of(self.odds.get(rotation, 0.0))
        return Attempt(prepared=page, rotation=rotation, line=line, fused=None, reading=reading)

    def read_lines(self, pages: Sequence[InkPage]) -> list[LineReading]:
        """Lines requested before they are read are those of the upside-down page."""
        return [line_of(self.odds.get(180, 0.0)) for _ in pages]

    def versions(self, upright: Attempt) -> tuple[GrayImage, ...]:  # noqa: ARG002
        """No other versions of a page: only its orientation is tested."""
        return ()

    def expected(self, *rotations: int) -> list[float]:
        """The probabilities of these orientations."""
        model = OrientationModel.from_model(Model(arrays=ORIENTATION, card={}))
        some = [
            Oriented(
                rotation=one,
                confidence=self.confidences.get(one, 0.01),
                log_odds=self.odds.get(one, 0.0),
            )
            for one in rotations
        ]
        return model.posterior(some)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_rotated_page_is_read_upright_and_reports_its_rotation(turn):
    reader = PresetReader({turn: 0.999, 0: 0.1})
    lying = rotate(PAGE, -turn)
    found = reader.read(lying)
    rotations = [rotation for rotation, _ in reader.seen]
    share = reader.expected(*rotations)[rotations.index(turn)]
    assert share >= MIN_ROTATED_CONFIDENCE
    assert (found.rotation, found.zip) == (turn, "02346")
    assert found.confidence == pytest.approx(0.999 * share)
    shown = next(page for rotation, page in reader.seen if rotation == turn)
    assert np.array_equal(shown, PAGE)


def test_confidence_accounts_for_the_chance_of_another_orientation():
    reader = PresetReader({0: 0.9, 180: 0.8})
    upright, _ = reader.expected(0, 180)
    found, alone = reader.read(PAGE), fakes.zip_reading("02346", confidence=0.9)
    assert found.rotation == 0
    assert 0.8 < upright < 0.95
    assert found.confidence == pytest.approx(0.9 * upright)
    for one, before in zip(found.digits, alone.digits, strict=True):
        assert one.probability == pytest.approx(before.probability * upright)
    assert found == alone.weighed(upright)


def test_a_page_that_is_probably_but_not_certainly_rotated_is_left_as_it_is():
    reader = PresetReader({0: 0.3, 180: 0.9})
    upright, turned = reader.expected(0, 180)
    assert upright < turned < MIN_ROTATED_CONFIDENCE
    found = reader.read(PAGE)
    assert (found.rotation, found.confidence) == (0, pytest.approx(0.3 * upright))


@pytest.mark.parametrize(("above", "rotation"), [(-0.01, 0), (0.01, 180)])
def test_a_page_is_rotated_only_if_its_zip_is_then_read_with_enough_confidence(above, rotation):
    reader = PresetReader({0: 0.01, 180: MIN_ROTATED_CONFIDENCE + above}, {0: -10.0, 180: 10.0})
    upright, turned = reader.expected(0, 180)
    assert turned > 0.999
    found = reader.read(PAGE)
    expected = reader.confidences[rotation] * (turned if rotation else upright)
    assert (found.rotation, found.confidence) == (rotation, pytest.approx(expected))


@pytest.mark.parametrize(
    ("odds", "count"),
    [
        ({0: CERTAIN}, 1),
        ({0: CERTAIN - 0.01}, 2),
        ({0: CERTAIN - 1, 180: -CERTAIN - 1}, 1),
        ({0: CERTAIN - 1, 180: -CERTAIN - 0.99}, 2),
        ({0: -CERTAIN, 180: -3 * CERTAIN}, 1),
        ({0: -CERTAIN, 180: CERTAIN}, 2),
    ],
)
def test_a_line_that_is_certainly_upright_is_not_read_upside_down(odds, count):
    reader = PresetReader({0: 0.9, 180: 0.9}, odds)
    found = reader.read(PAGE)
    assert [rotation for rotation, _ in reader.seen] == [0, 180][:count]
    assert (found.confidence == 0.9) == (count == 1)


@pytest.mark.parametrize(
    ("confidence", "is_tried"), [(RETRY_BELOW - 0.01, True), (RETRY_BELOW, False)]
)
def test_a_tall_page_is_tried_in_quarter_turns_when_in_doubt(confidence, is_tried):
    reader = PresetReader({0: confidence}, {0: CERTAIN})
    above = PAGE.shape[1] // 2
    reader.read(np.pad(PAGE, ((above, above), (0, 0)), constant_values=235))
    assert [rotation for rotation, _ in reader.seen] == ([0, 90, 270] if is_tried else [0])


@pytest.mark.parametrize("shape", [(50, 50), (50, 90)])
def test_a_page_no_taller_than_wide_is_not_tried_sideways(shape):
    reader = PresetReader({0: 0.1}, {0: CERTAIN})
    reader.read_prepared([prepare(np.full(shape, 235, np.uint8))])
    assert [rotation for rotation, _ in reader.seen] == [0, 180]


@pytest.mark.parametrize(
    ("reason", "seen"), [(Reason.NO_INK, [0, 180, 90, 270]), (Reason.SEVERAL_LINES, [0])]
)
def test_of_pages_without_a_line_only_those_without_ink_are_tried_in_other_orientations(
    reason, seen
):
    class Bare(PresetReader):
        def preset_attempt(self, page: PreparedPage, rotation: int) -> Attempt:
            found = super().preset_attempt(replace(page, reason=reason), rotation)
            return replace(found, line=None, reading=Unread(reason=reason))

    reader = Bare({})
    assert reader.read(rotate(PAGE, 90)) == Unread(reason=reason)
    assert [rotation for rotation, _ in reader.seen] == seen


def test_a_tall_page_whose_line_is_not_five_digits_is_tried_in_quarter_turns():
    class Wordy(PresetReader):
        def preset_attempt(self, page: PreparedPage, rotation: int) -> Attempt:
            unread = Unread(reason=Reason.NOT_FIVE_DIGITS)
            return replace(super().preset_attempt(page, rotation), reading=unread)

    reader = Wordy({}, {0: CERTAIN})
    assert reader.read(rotate(PAGE, 90)) == Unread(reason=Reason.NOT_FIVE_DIGITS)
    assert [rotation for rotation, _ in reader.seen] == [0, 180, 90, 270]


def test_an_upside_down_page_is_found_when_nothing_was_read_upright():
    class Blind(PresetReader):
        def preset_attempt(self, page: PreparedPage, rotation: int) -> Attempt:
            found = super().preset_attempt(page, rotation)
            unread = Unread(reason=Reason.NOT_FIVE_DIGITS)
            return found if rotation else replace(found, reading=unread)

    assert Blind({180: 0.99}, {180: 3.0, 0: -3.0}).read(PAGE).rotation == 180


def test_rotating_does_not_modify_the_page():
    page = np.rot90(PAGE).copy()
    before = page.copy()
    PresetReader({90: 0.999}).read(page)
    assert np.array_equal(page, before)


@pytest.mark.real
def test_negative_pages_are_read_like_positive_ones(reader):
    pages = [page_of(path) for path in sorted((SAMPLES / "shaded").iterdir())]
    # As the reader gets them if nothing was inverted before.
    pairs = [(reader.read(page), reader.read(cv2.bitwise_not(page))) for page in pages]
    read = [(one, other) for one, other in pairs if getattr(one, "confidence", 0) > RETRY_BELOW]
    assert len(read) >= 4
    assert sum(getattr(other, "zip", "") == one.zip for one, other in read) >= len(read) - 1


@pytest.mark.parametrize(
    ("confidence", "rotations"), [(RETRY_BELOW - 0.01, [0, 0, 180, 180]), (RETRY_BELOW, [0, 180])]
)
def test_other_versions_are_read_upside_down_if_the_upright_page_is_in_doubt(confidence, rotations):
    class Versioned(PresetReader):
        def versions(self, upright: Attempt) -> tuple[GrayImage, ...]:
            return (upright.prepared.page,) if upright.confidence < RETRY_BELOW else ()

    reader = Versioned({0: confidence, 180: 0.1})
    reader.read(PAGE)
    assert [rotation for rotation, _ in reader.seen] == rotations


@pytest.mark.real
def test_negative_pages_are_read_upside_down(reader):
    pages = [cv2.bitwise_not(page_of(path)) for path in sorted((SAMPLES / "white").iterdir())[:8]]
    pairs = [(reader.read(page), reader.read(np.rot90(page, 2))) for page in pages]
    read = [(one, other) for one, other in pairs if getattr(one, "confidence", 0) > RETRY_BELOW]
    assert len(read) >= 6
    assert sum(getattr(other, "zip", "") == one.zip for one, other in read) >= len(read) - 2


@pytest.mark.real
def test_a_page_read_with_confidence_is_not_tried_in_negative(reader, monkeypatch):
    tried = []
    monkeypatch.setattr("zipocr.reader.negative", lambda page: tried.append(page) or page)
    page = page_of(SAMPLES / "white" / "white-02.png")
    assert reader.attempt(page).confidence > RETRY_BELOW
    assert not tried


def dotted(text: str) -> GrayImage:
    """A line of type from a dot-matrix printer: dots with paper between them."""
    rows, (width, _) = 9, cv2.getTextSize(text, cv2.FONT_HERSHEY_PLAIN, 1, 1)[0]
    drawn = np.zeros((rows + 4, width + 6), np.uint8)
    cv2.putText(drawn, text, (3, rows + 2), cv2.FONT_HERSHEY_PLAIN, 1, 1)
    page = np.full((13 * len(drawn), 13 * drawn.shape[1]), 240, np.uint8)
    for row, column in np.argwhere(drawn):
        cv2.circle(page, (int(column) * 13 + 6, int(row) * 13 + 6), 4, 40, -1, cv2.LINE_AA)
    return page


@pytest.mark.real
def test_dots_are_joined_into_strokes_when_nothing_else_is_read(reader, monkeypatch):
    pages = [dotted(text) for text in ("27262", "58436", "46205", "90210")]
    read = [getattr(reader.read(page), "zip", "") for page in pages]
    monkeypatch.setattr("zipocr.reader.CLOSE_BELOW", 0.0)
    without = [getattr(reader.read(page), "zip", "") for page in pages]
    assert read == ["27262", "58436", "46205", "90210"]
    assert without != read


@pytest.mark.real
@pytest.mark.parametrize(("model", "least"), [("mail", 0.98), ("digits", 0.85)])
def test_lines_of_sample_scans_look_more_upright_than_upside_down(model, least):
    reader = Reader(load_model(model))
    orientation = OrientationModel.from_model(load_model(model))
    inks = [prepare(page_of(path)).ink for path in sorted(SAMPLES.glob("*/*.png"))]
    upright = [ink for ink in inks if ink]
    odds = [
        [orientation.log_odds(line.class_features) for line in reader.read_lines(pages)]
        for pages in (upright, [ink.rotated_180() for ink in upright])
    ]
    assert np.mean(np.greater(*odds)) >= least
