"""Debug sheets, tested independently of the font of the installed OpenCV."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from zipocr.drawing.debug_sheet import REGION_COLOURS, SHADES, draw_grid, draw_sheet, grids_as_text
from zipocr.types import Box, DigitReading, Reason, Region, Trace, Unread, ZipReading

WIDTH = 1240
READING = ZipReading(
    zip="02108",
    confidence=0.9312,
    digits=tuple(
        DigitReading(
            digit=int(digit), probability=probability, runner_up=other, runner_up_probability=rest
        )
        for digit, probability, other, rest in zip(
            "02108",
            (0.9981, 0.9342, 1.0, 0.6121, 0.8712),
            (6, 7, 7, 8, 3),
            (0.001, 0.05, 0.0, 0.31, 0.1),
            strict=True,
        )
    ),
    runner_up="02103",
    runner_up_confidence=0.0412,
    reasons=(),
    city="Boston",
    state="MA",
)
RING = np.array(
    [
        [0, 0, 4, 16, 16, 4, 0, 0],
        [0, 4, 16, 8, 8, 16, 4, 0],
        [0, 12, 12, 0, 0, 12, 12, 0],
        [0, 16, 4, 0, 0, 4, 16, 0],
        [0, 16, 4, 0, 0, 4, 16, 0],
        [0, 12, 12, 0, 0, 12, 12, 0],
        [0, 4, 16, 8, 8, 16, 4, 0],
        [0, 0, 4, 16, 16, 4, 0, 0],
    ],
    np.uint8,
)
RAMP = np.arange(64, dtype=np.uint8).reshape(8, 8) % 17


def make_trace(*, height: int = 60, width: int = 200) -> Trace:
    """Five bars of ink on light paper, a fifth of the width apart."""
    page = np.full((height, width), 230, np.uint8)
    ink = np.zeros((height, width), np.bool_)
    regions = []
    for place in range(5):
        left = place * width // 5
        box = Box(
            top=height // 4,
            left=left,
            bottom=height // 4 + max(height // 2, 1),
            right=left + max(width // 10, 1),
        )
        page[box.top : box.bottom, box.left : box.right] = 40
        ink[box.top : box.bottom, box.left : box.right] = True
        regions.append(Region(box=box, ink=np.ones((box.height, box.width), np.bool_)))
    boxes = tuple(region.box for region in regions)
    grids = (RING, RAMP, RING, RAMP, RING)
    return Trace(
        page=page, ink=ink, candidates=boxes, regions=tuple(regions), grids=grids, reading=READING
    )


def with_plus4(trace: Trace) -> Trace:
    """Nine bars instead of five, read as a ZIP+4."""
    boxes = [Box(top=15, left=place * 22, bottom=45, right=place * 22 + 12) for place in range(9)]
    reading = replace(
        READING, plus4="1234", digits=(*READING.digits, *READING.digits[:4]), runner_up="02103-1234"
    )
    regions = tuple(
        Region(box=box, ink=np.ones((box.height, box.width), np.bool_)) for box in boxes
    )
    return replace(trace, regions=regions, grids=(RING, RAMP) * 4 + (RING,), reading=reading)


def make_unread(trace: Trace, reason: Reason = Reason.NOT_FIVE_DIGITS, detail: str = "") -> Trace:
    return replace(trace, regions=(), grids=(), reading=Unread(reason=reason, detail=detail))


def count_pixels(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> int:
    return int(np.all(picture == colour, axis=2).sum())


def count_copies(sheet: NDArray[np.uint8], picture: NDArray[np.uint8]) -> int:
    """How often a picture appears on the sheet, pixel for pixel."""
    differences = cv2.matchTemplate(sheet, picture, cv2.TM_SQDIFF)
    height, width = picture.shape[:2]
    near = np.argwhere(differences < 1e-4 * differences.max())  # large sheets have rounding errors
    return sum(
        np.array_equal(sheet[top : top + height, left : left + width], picture)
        for top, left in near.tolist()
    )


def holds(sheet: NDArray[np.uint8], picture: NDArray[np.uint8]) -> bool:
    """Whether a picture appears anywhere on the sheet, pixel for pixel."""
    differences = cv2.matchTemplate(sheet, picture, cv2.TM_SQDIFF)
    _, _, (left, top), _ = cv2.minMaxLoc(differences)
    return np.array_equal(
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]], picture
    )


def test_a_sheet_is_a_colour_picture_of_fixed_width() -> None:
    sheet = draw_sheet(make_trace(), title="a.png")
    assert sheet.dtype == np.uint8
    assert sheet.shape[1:] == (WIDTH, 3)


def test_margins_stay_empty() -> None:
    trace = replace(make_trace(), reading=replace(READING, city="W" * 90, reasons=tuple(Reason)))
    sheet = draw_sheet(trace, title="x" * 500)
    for margin in (sheet[:20], sheet[-20:], sheet[:, :30], sheet[:, -30:]):
        assert (margin == 255).all()


def test_margins_stay_empty_for_a_zip_plus4_too() -> None:
    trace = with_plus4(make_trace())
    sheet = draw_sheet(
        replace(trace, reading=replace(trace.reading, city="W" * 90, reasons=tuple(Reason)[:3])),
        title="x" * 500,
    )
    assert sheet.shape[1] == WIDTH
    for margin in (sheet[:20], sheet[-20:], sheet[:, :30], sheet[:, -30:]):
        assert (margin == 255).all()


def test_nine_digits_are_drawn_in_two_rows_each_with_its_grid_and_colour() -> None:
    five, nine = (
        draw_sheet(trace, title="a.png") for trace in (make_trace(), with_plus4(make_trace()))
    )
    assert nine.shape[0] > five.shape[0] + 250
    assert [count_copies(sheet, draw_grid(RING)) for sheet in (five, nine)] == [3, 5]
    assert [count_copies(sheet, draw_grid(RAMP)) for sheet in (five, nine)] == [2, 4]
    frames = [[count_pixels(sheet, colour) for colour in REGION_COLOURS] for sheet in (five, nine)]
    more = [other - one for one, other in zip(*frames, strict=True)]
    assert min(more[:4]) > 1000
    assert abs(more[4]) < 1000


def test_every_cell_has_the_shade_of_its_ink() -> None:
    cell = 10
    picture = draw_grid(RAMP, cell=cell)
    assert picture.shape == (8 * cell + 1, 8 * cell + 1, 3)
    for row, column in np.ndindex(8, 8):
        square = picture[row * cell + 1 : (row + 1) * cell, column * cell + 1 : (column + 1) * cell]
        assert (square == round(255 - int(RAMP[row, column]) * 255 / 16)).all()


def test_the_sheet_shows_every_grid() -> None:
    sheet = draw_sheet(make_trace(), title="a.png")
    assert holds(sheet, draw_grid(RING))
    assert holds(sheet, draw_grid(RAMP))


@pytest.mark.parametrize("colour", REGION_COLOURS)
def test_every_digit_has_its_colour_on_the_page_and_around_its_grid(
    colour: tuple[int, int, int],
) -> None:
    trace = make_trace()
    sheet, without_regions, unread = (
        draw_sheet(each, title="a.png")
        for each in (trace, replace(trace, regions=()), make_unread(trace))
    )
    assert count_pixels(sheet, colour) > count_pixels(without_regions, colour) > 0
    assert count_pixels(unread, colour) == 0


def test_region_colours_differ() -> None:
    assert len(set(REGION_COLOURS)) == 5


def test_a_changed_reading_changes_the_sheet() -> None:
    trace = make_trace()
    sheets = [
        draw_sheet(replace(trace, reading=reading), title="a.png").tobytes()
        for reading in (
            READING,
            replace(READING, zip="02109"),
            replace(READING, confidence=0.1),
            replace(READING, city="Chicago"),
            replace(READING, runner_up=""),
            replace(READING, reasons=(Reason.NOT_IN_DIRECTORY,)),
        )
    ]
    assert len(set(sheets)) == len(sheets)


def test_the_sheet_of_an_unread_page_shows_the_reason() -> None:
    trace = make_trace()
    sheets = {draw_sheet(make_unread(trace, reason), title="a.png").tobytes() for reason in Reason}
    detailed = draw_sheet(make_unread(trace, detail="three digits " * 40), title="a.png")
    assert len(sheets) == len(Reason)
    assert detailed.shape[1] == WIDTH
    assert detailed.tobytes() not in sheets


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (1, 10_000), (10_000, 1), (3, 7), (40, 10_000), (2_000, 1_500)]
)
def test_pages_of_any_size_fit(height: int, width: int) -> None:
    empty = replace(
        make_unread(make_trace(), Reason.NO_INK),
        page=np.full((height, width), 255, np.uint8),
        ink=np.zeros((height, width), np.bool_),
    )
    sheet = draw_sheet(empty, title="odd")
    assert sheet.shape[1] == WIDTH
    assert sheet.shape[0] < 1300


@given(height=st.integers(4, 300), width=st.integers(10, 900))
@settings(max_examples=15, deadline=None)
def test_read_pages_of_any_size_fit(height: int, width: int) -> None:
    assert draw_sheet(make_trace(height=height, width=width), title="any").shape[1] == WIDTH


@given(title=st.text())
@settings(max_examples=25, deadline=None)
def test_any_title_can_be_drawn(title: str) -> None:
    assert draw_sheet(make_unread(make_trace()), title=title).shape[1] == WIDTH


def test_a_file_name_that_is_not_utf8_can_be_drawn() -> None:
    draw_sheet(make_trace(), title=b"caf\xe9.png".decode("utf-8", "surrogateescape"))


def test_the_same_trace_gives_the_same_sheet() -> None:
    assert np.array_equal(draw_sheet(make_trace(), title="a"), draw_sheet(make_trace(), title="a"))


def test_the_trace_is_not_changed() -> None:
    trace, fresh = make_trace(), make_trace()
    draw_sheet(trace, title="a.png")
    grids_as_text(trace)
    for changed, kept in [
        (trace.page, fresh.page),
        (trace.ink, fresh.ink),
        *zip(trace.grids, fresh.grids, strict=True),
        *((one.ink, other.ink) for one, other in zip(trace.regions, fresh.regions, strict=True)),
    ]:
        assert np.array_equal(changed, kept)


WIDE = """\
    ;;@@@@;;         ..,,::;;--~~==       ;;@@@@;;         ..,,::;;--~~==       ;;@@@@;;
  ;;@@++++@@;;     ++**ooxx%%&&##88     ;;@@++++@@;;     ++**ooxx%%&&##88     ;;@@++++@@;;
  %%%%    %%%%     @@  ..,,::;;--~~     %%%%    %%%%     @@  ..,,::;;--~~     %%%%    %%%%
  @@;;    ;;@@     ==++**ooxx%%&&##     @@;;    ;;@@     ==++**ooxx%%&&##     @@;;    ;;@@
  @@;;    ;;@@     88@@  ..,,::;;--     @@;;    ;;@@     88@@  ..,,::;;--     @@;;    ;;@@
  %%%%    %%%%     ~~==++**ooxx%%&&     %%%%    %%%%     ~~==++**ooxx%%&&     %%%%    %%%%
  ;;@@++++@@;;     ##88@@  ..,,::;;     ;;@@++++@@;;     ##88@@  ..,,::;;     ;;@@++++@@;;
    ;;@@@@;;       --~~==++**ooxx%%       ;;@@@@;;       --~~==++**ooxx%%       ;;@@@@;;

0       0.9981     2       0.9342     1       1.0000     0       0.6121     8       0.8712
next 6  0.0010     next 7  0.0500     next 7  0.0000     next 8  0.3100     next 3  0.1000

02108  confidence 0.9312  Boston, MA
02103  runner-up  0.0412"""

NARROW_END = """\
    ;;@@@@;;
  ;;@@++++@@;;
  %%%%    %%%%
  @@;;    ;;@@
  @@;;    ;;@@
  %%%%    %%%%
  ;;@@++++@@;;
    ;;@@@@;;

8       0.8712
next 3  0.1000

02108  confidence 0.9312
reasons  directory_choice;not_in_directory"""


def test_text_shows_five_grids_their_readings_and_the_zip() -> None:
    assert grids_as_text(make_trace()) == WIDE


def test_text_of_a_zip_plus4_has_four_grids_below_the_five() -> None:
    lines = grids_as_text(with_plus4(make_trace())).splitlines()
    assert lines[: len(WIDE.splitlines()) - 2] == WIDE.splitlines()[:-2]
    assert len(lines) == 2 * (len(WIDE.splitlines()) - 2) + 2
    assert lines[-2:] == [
        "02108-1234  confidence 0.9312  Boston, MA",
        "02103-1234  runner-up  0.0412",
    ]


def test_text_for_a_narrow_terminal_wraps_the_grids() -> None:
    reasons = (Reason.DIRECTORY_CHOICE, Reason.NOT_IN_DIRECTORY)
    text = grids_as_text(
        replace(
            make_trace(), reading=replace(READING, city="", state="", runner_up="", reasons=reasons)
        ),
        columns=80,
    )
    assert (
        text.splitlines()[0]
        == "    ;;@@@@;;         ..,,::;;--~~==       ;;@@@@;;         ..,,::;;--~~=="
    )
    assert text.endswith("\n\n" + NARROW_END)


@pytest.mark.parametrize("columns", [0, 1, 16, 35, 80, 92, 300])
def test_text_fits_the_width_of_the_terminal(columns: int) -> None:
    reading = replace(READING, city="", state="")
    rows = grids_as_text(replace(make_trace(), reading=reading), columns=columns).splitlines()[:-2]
    assert max(map(len, rows)) <= max(columns, 16)


def test_every_ink_value_has_its_own_character() -> None:
    assert len(set(SHADES)) == len(SHADES) == 17


def test_text_of_an_unread_page_is_its_reason() -> None:
    trace = make_trace()
    assert grids_as_text(make_unread(trace, Reason.NO_INK)) == "unread  no_ink"
    assert grids_as_text(make_unread(trace, detail="3 found")) == "unread  not_five_digits: 3 found"
