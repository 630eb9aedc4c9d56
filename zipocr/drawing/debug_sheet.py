"""Debug sheets: every step of a reading in one picture, from the `Trace` that gave its row.

A sheet is built from blocks: small pictures, stacked or side by side on white paper. No function
knows where on the sheet it draws. Pictures are ``(H, W, 3) uint8`` in OpenCV's order blue, green,
red. This module opens no files.
"""

import unicodedata
from collections.abc import Sequence
from itertools import cycle
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.types import (
    ZIP_LENGTH,
    Box,
    DigitGrid,
    DigitReading,
    GrayImage,
    Overview,
    Sighting,
    Trace,
    Unread,
    ZipReading,
    dashed,
)

Picture: TypeAlias = NDArray[np.uint8]
Colour: TypeAlias = tuple[int, int, int]

# Okabe and Ito's palette, distinct for colour-blind readers, ordered so that neighbours differ in
# lightness, too. The four digits of a ZIP+4 start over.
REGION_COLOURS: tuple[Colour, ...] = (
    (178, 114, 0),
    (0, 159, 230),
    (115, 158, 0),
    (167, 121, 204),
    (0, 94, 213),
)
PAPER: Colour = (255, 255, 255)
PANEL: Colour = (242, 243, 243)
HAIRLINE: Colour = (214, 216, 216)
INK: Colour = (38, 34, 32)
EDGE: Colour = (184, 188, 190)
QUIET: Colour = (122, 116, 112)
NOTICE: Colour = (204, 236, 255)
MARGIN = 40
GAP = 20
CONTENT_WIDTH = 1160
HALF_WIDTH = (CONTENT_WIDTH - GAP) // 2
CARD_WIDTH = (CONTENT_WIDTH - 4 * GAP) // 5
SMALL_PANEL_HEIGHT = 190
LARGE_PANEL_HEIGHT = 300
PAGE_PANEL_HEIGHT = 560
PANEL_PADDING = 10
# A page of a few pixels is not enlarged to fill its panel.
MAX_ENLARGEMENT = 12.0
CELL = 26
MAX_THIN = 28

SHADES = " .,:;-~=+*ox%&#8@"
TEXT_GAP = "   "
TEXT_COLUMNS = 5 * 16 + 4 * len(TEXT_GAP)


def draw_sheet(trace: Trace, *, title: str) -> Picture:
    """Draw all steps of a reading on one sheet.

    Parameters
    ----------
    trace : Trace
        The trace of a reading; not modified.
    title : str
        The heading, such as the file's name; characters that cannot be drawn are replaced.

    Returns
    -------
    Picture
        ``(H, 1240, 3) uint8``, blue, green, red; H depends on the shape of the page.
    """
    height, width = trace.size or trace.page.shape
    blocks = [_header(title, f"{width} x {height} px")]
    if trace.overview:
        blocks.append(draw_overview(trace.overview))
    # A page without a number has nothing more to show.
    if trace.regions or not trace.overview:
        name = "Number" if trace.overview and trace.overview.sightings else "Crop"
        ink = np.where(trace.ink, 0, 255).astype(np.uint8)
        panels = [_panel(name, _to_picture(trace.page)), _panel("Ink", _to_picture(ink))]
        blocks += [_beside(panels), _regions_block(trace)]
    if isinstance(trace.reading, Unread):
        blocks.append(_unread_block(trace.reading))
    else:
        blocks.append(_cards_block(trace.grids, trace.reading.digits))
        blocks.append(_zip_block(trace.reading))
    content = _stack(blocks, gap=GAP + 4)
    paper = _blank(
        content.shape[0] + 2 * MARGIN - 8, max(content.shape[1], CONTENT_WIDTH) + 2 * MARGIN
    )
    return _placed(paper, content, top=MARGIN - 8, left=MARGIN)


def draw_grid(grid: DigitGrid, *, cell: int = CELL) -> Picture:
    """Draw an 8x8 grid as squares, 0 white to 16 black, with hairlines between them.

    Parameters
    ----------
    grid : DigitGrid
        ``(8, 8) uint8``, 0 paper to 16 ink.
    cell : int
        Pixels from one square to the next.

    Returns
    -------
    Picture
        ``(8 * cell + 1, 8 * cell + 1, 3) uint8``; row r of the grid fills ``[r * cell + 1 : (r + 1)
        * cell]``, columns likewise.
    """
    shades = np.rint(255 - grid.astype(np.float64) * (255 / 16)).clip(0, 255).astype(np.uint8)
    picture = _blank(8 * cell + 1, 8 * cell + 1, HAIRLINE)
    for row, column in np.ndindex(8, 8):
        picture[row * cell + 1 : (row + 1) * cell, column * cell + 1 : (column + 1) * cell] = (
            shades[row, column]
        )
    return picture


def grids_as_text(trace: Trace, *, columns: int = TEXT_COLUMNS) -> str:
    """Format the grids side by side as text, the reading below each, and the ZIP at the end.

    Parameters
    ----------
    trace : Trace
        The trace of a reading; not modified.
    columns : int
        Width of the terminal; grids that do not fit side by side follow below.

    Returns
    -------
    str
        Lines without a trailing newline. A cell is two characters of a ramp of 17 shades, blank for
        paper to ``@`` for ink.
    """
    reading = trace.reading
    if isinstance(reading, Unread):
        return "unread  " + _reason_and_detail(reading)
    cards = [
        _card_lines(grid, digit) for grid, digit in zip(trace.grids, reading.digits, strict=False)
    ]
    abreast = max(1, (columns + len(TEXT_GAP)) // (16 + len(TEXT_GAP)))
    rows = [
        TEXT_GAP.join(row)
        for first in range(0, len(cards), abreast)
        for row in zip(*cards[first : first + abreast], strict=True)
    ]
    return "\n".join(line.rstrip() for line in [*rows, *_zip_lines(reading)])


def _card_lines(grid: DigitGrid, reading: DigitReading) -> list[str]:
    """Format one digit as lines of 16 characters: its grid, the reading and the runner-up."""
    digit = f"{reading.digit}       {reading.probability:.4f}"
    runner_up = f"next {reading.runner_up}  {reading.runner_up_probability:.4f}"
    return [line.ljust(16) for line in [*map(_shaded, grid), "", digit, runner_up, ""]]


def _shaded(cells: NDArray[np.uint8]) -> str:
    return "".join(2 * SHADES[min(int(value), 16)] for value in cells)


def _zip_lines(reading: ZipReading) -> list[str]:
    lines = [f"{_written(reading)}  confidence {reading.confidence:.4f}  {_place(reading)}"]
    if reading.runner_up:
        lines.append(f"{reading.runner_up}  runner-up  {reading.runner_up_confidence:.4f}")
    if reading.reasons:
        lines.append("reasons  " + ";".join(reading.reasons))
    return lines


def _written(reading: ZipReading) -> str:
    return dashed(reading.zip + reading.plus4)


def _place(reading: ZipReading) -> str:
    return ", ".join(part for part in (reading.city, reading.state) if part)


def _reason_and_detail(unread: Unread) -> str:
    return f"{unread.reason}: {unread.detail}" if unread.detail else str(unread.reason)


def _header(title: str, note: str) -> Picture:
    right = _text(note, 16, QUIET)
    left = _text(_shortened(title, 24, CONTENT_WIDTH - right.shape[1] - GAP), 24, INK, strong=True)
    # Both texts share a baseline.
    line = _ends(left, _lowered(right, _base_line(24) - _base_line(16)))
    return _stack([line, _blank(1, CONTENT_WIDTH, HAIRLINE)], gap=10)


def _panel(caption: str, picture: Picture) -> Picture:
    """Put a picture of any size into a captioned panel of half the sheet's width."""
    scaled = _scaled(picture, _fit(picture.shape[:2], HALF_WIDTH, SMALL_PANEL_HEIGHT))
    return _stack([_text(caption, 16, QUIET), _mounted(scaled, HALF_WIDTH)], gap=6)


def draw_overview(overview: Overview) -> Picture:
    """Draw a whole page: its text lines, the numbers on it by rank, and what became of each."""
    size = _fit(overview.page.shape, CONTENT_WIDTH, PAGE_PANEL_HEIGHT)
    picture = _scaled(_faded(_to_picture(overview.page)), size)
    for line in overview.lines:
        _draw_rectangle(picture, line, HAIRLINE, overview.page.shape, thickness=1)
    shown = list(zip(overview.sightings, cycle(REGION_COLOURS), strict=False))
    for rank, (sighting, colour) in reversed(list(enumerate(shown, start=1))):
        corner = _draw_rectangle(picture, sighting.box, colour, overview.page.shape)
        cv2.putText(
            picture, str(rank), (corner[0], max(corner[1] - 5, 12)), *_font(18, strong=True)[:2],
            colour, 1, cv2.LINE_AA,
        )  # fmt: skip
    lines = len(overview.lines)
    caption = f"Page:  {_counted(lines, 'line')}" if lines else "Page as it came"
    rows = [
        _sighting(rank, sighting, colour) for rank, (sighting, colour) in enumerate(shown, start=1)
    ]
    blocks = [_text(caption, 16, QUIET), _mounted(picture, CONTENT_WIDTH), *rows]
    return _stack(blocks, gap=6)


def _sighting(rank: int, sighting: Sighting, colour: Colour) -> Picture:
    """Describe a number on a page, and why it is less likely to be the destination's ZIP."""
    words = (
        f"{sighting.text or 'unread'}   destination {sighting.place:.4f}"
        f"   right {sighting.probability:.4f}"
    )
    if sighting.weakness:
        words += f"   less likely by its {sighting.weakness}"
    return _beside([_text(str(rank), 18, colour, strong=True), _text(words, 18, INK)], gap=12)


def _regions_block(trace: Trace) -> Picture:
    size = _fit(trace.page.shape, CONTENT_WIDTH, LARGE_PANEL_HEIGHT)
    picture = _scaled(_tinted(trace), size)
    for region, colour in zip(trace.regions, cycle(REGION_COLOURS), strict=False):
        _draw_rectangle(picture, region.box, colour, trace.page.shape)
    caption = f"Regions:  {_counted(len(trace.candidates), 'candidate')}"
    return _stack([_text(caption, 16, QUIET), _mounted(picture, CONTENT_WIDTH)], gap=6)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _tinted(trace: Trace) -> Picture:
    """Fade the page, so that lines stand out, and colour the ink of the chosen regions."""
    picture = _faded(_to_picture(trace.page))
    for region, colour in zip(trace.regions, cycle(REGION_COLOURS), strict=False):
        box = region.box
        part = picture[box.top : box.bottom, box.left : box.right]
        part[region.ink] = np.rint(0.7 * np.array(colour) + 0.3 * 255).astype(np.uint8)
    return picture


def _faded(picture: Picture) -> Picture:
    faded: Picture = np.rint(255 - (255 - picture.astype(np.float32)) * 0.45).astype(np.uint8)
    return faded


def _draw_rectangle(
    picture: Picture, box: Box, colour: Colour, shape: tuple[int, ...], *, thickness: int = 2
) -> tuple[int, int]:
    """Draw a box of a page of this shape into its picture; return the box's top left corner."""
    down, across = picture.shape[0] / shape[0], picture.shape[1] / shape[1]
    top_left = round(box.left * across), round(box.top * down)
    bottom_right = (
        max(round(box.right * across) - 1, top_left[0]),
        max(round(box.bottom * down) - 1, top_left[1]),
    )
    cv2.rectangle(picture, top_left, bottom_right, colour, thickness, cv2.LINE_8)
    return top_left


def _cards_block(grids: Sequence[DigitGrid], digits: Sequence[DigitReading]) -> Picture:
    """Show the five digits of the ZIP side by side, and below them the four of a ZIP+4."""
    cards = [_card(*each) for each in zip(grids, digits, cycle(REGION_COLOURS), strict=False)]
    rows = [
        _beside(cards[first : first + ZIP_LENGTH]) for first in range(0, len(cards), ZIP_LENGTH)
    ]
    return _stack(rows, gap=GAP)


def _card(grid: DigitGrid, reading: DigitReading, colour: Colour) -> Picture:
    """Show one digit: its grid in its colour, the reading, its probability and the runner-up."""
    framed = cv2.copyMakeBorder(draw_grid(grid), 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=colour)
    words = _stack(
        [
            _text(f"{reading.probability:.4f}", 22, INK, strong=True),
            _beside(
                [
                    _text("next", 16, QUIET),
                    _text(f"{reading.runner_up}   {reading.runner_up_probability:.4f}", 16, INK),
                ],
                gap=6,
            ),
        ],
        gap=0,
    )
    digit = _text(str(reading.digit), 52, INK, strong=True)
    below = _beside([digit, _lowered(words, (digit.shape[0] - words.shape[0]) // 2 + 2)], gap=14)
    bar = _bar(reading.probability, framed.shape[1], colour)
    return _stack([_as_uint8(framed), bar, below, _blank(1, CARD_WIDTH)], gap=6)


def _bar(share: float, width: int, colour: Colour) -> Picture:
    bar = _blank(6, width, HAIRLINE)
    bar[:, : round(min(max(share, 0.0), 1.0) * width)] = colour
    return bar


def _zip_block(reading: ZipReading) -> Picture:
    confidence = _text(f"{reading.confidence:.4f}", 32, INK, strong=True)
    fields = [
        _field("ZIP", _digits(_written(reading), 64, strong=True)),
        _field(
            "Confidence", _stack([confidence, _bar(reading.confidence, CARD_WIDTH, INK)], gap=6)
        ),
    ]
    if reading.runner_up:
        runner_up = [
            _digits(reading.runner_up, 32),
            _text(f"{reading.runner_up_confidence:.4f}", 16, QUIET),
        ]
        fields.append(_field("Runner-up", _stack(runner_up, gap=0)))
    if _place(reading):
        fields.append(
            _field(
                "Place",
                _stack(
                    [_text(line, 22, INK) for line in _wrapped(_place(reading), 22, 220)[:2]], gap=0
                ),
            )
        )
    if reading.reasons:
        fields.append(
            _field("Reasons", _stack([_chip(reason) for reason in reading.reasons], gap=6))
        )
    # Nine digits may leave less room between the fields.
    room = CONTENT_WIDTH - sum(field.shape[1] for field in fields)
    return _stack(
        [
            _blank(1, CONTENT_WIDTH, HAIRLINE),
            _beside(fields, gap=min(2 * GAP + 4, room // (len(fields) - 1))),
        ],
        gap=16,
    )


def _digits(words: str, size: int, *, strong: bool = False) -> Picture:
    """Draw five digits at a size; nine are smaller, on a line of the same height."""
    smaller = size if len(words) <= ZIP_LENGTH else 3 * size // 4
    text = _text(words, smaller, INK, strong=strong)
    return _placed(
        _blank(round(1.3 * size), text.shape[1]), text, top=_base_line(size) - _base_line(smaller)
    )


def _unread_block(unread: Unread) -> Picture:
    fields = [
        _field("ZIP", _text("unread", 52, INK, strong=True)),
        _field("Reason", _chip(unread.reason)),
    ]
    if unread.detail:
        detail = _wrapped(unread.detail, 18, 560)[:4]
        fields.append(_field("Detail", _stack([_text(line, 18, INK) for line in detail], gap=0)))
    return _stack([_blank(1, CONTENT_WIDTH, HAIRLINE), _beside(fields, gap=2 * GAP + 4)], gap=16)


def _field(label: str, value: Picture) -> Picture:
    return _stack([_text(label, 16, QUIET), value], gap=8)


def _chip(words: str) -> Picture:
    text = _text(words, 16, INK, on=NOTICE)
    return _placed(_blank(text.shape[0] + 6, text.shape[1] + 18, NOTICE), text, top=3, left=10)


def _text(
    words: str, size: int, colour: Colour, *, strong: bool = False, on: Colour = PAPER
) -> Picture:
    """Draw one line of text of ``size`` pixels.

    The block's height depends on the size alone, so that baselines align.
    """
    words = _drawable(words)
    font, scale, thickness = _font(size, strong=strong)
    picture = _blank(round(1.3 * size), max(_text_width(words, size, strong=strong), 1), on)
    cv2.putText(picture, words, (0, _base_line(size)), font, scale, colour, thickness, cv2.LINE_AA)
    return picture


def _base_line(size: int) -> int:
    return round(0.87 * size)


def _font(size: int, *, strong: bool) -> tuple[int, float, int]:
    font = cv2.FONT_HERSHEY_DUPLEX if strong else cv2.FONT_HERSHEY_SIMPLEX
    # OpenCV 4 draws strokes, which look thin in large letters; OpenCV 5 uses a bolder font for a
    # thickness of 2.
    return font, size / 30, 2 if strong and size > MAX_THIN else 1


def _text_width(words: str, size: int, *, strong: bool = False) -> int:
    (width, _), _ = cv2.getTextSize(words, *_font(size, strong=strong))
    return int(width) + 2


def _drawable(words: str) -> str:
    """Strip accents, and replace what the font lacks by ``?``: OpenCV 4 draws ASCII only."""
    bare = "".join(
        each for each in unicodedata.normalize("NFKD", words) if not unicodedata.combining(each)
    )
    return "".join(each if " " <= each <= "~" else "?" for each in bare)


def _shortened(words: str, size: int, width: int) -> str:
    """Elide the middle of a text that is too wide, since paths differ at their ends."""
    words = _drawable(words)
    if _text_width(words, size, strong=True) <= width:
        return words
    # No letter is narrower than 2 pixels, which bounds the work for a very long title.
    kept = min(len(words), width // 2)
    while kept > 0 and _text_width(_without_middle(words, kept), size, strong=True) > width:
        kept -= 1
    return _without_middle(words, kept)


def _without_middle(words: str, kept: int) -> str:
    head = kept // 2
    return words[:head] + " ... " + words[len(words) - (kept - head) :]


def _wrapped(words: str, size: int, width: int) -> list[str]:
    """Break a text into lines that fit, between words where possible."""
    lines = [""]
    for word in _drawable(" ".join(words.split())).split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if _text_width(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(_shortened(word, size, width))
    return [line for line in lines if line] or [""]


def _fit(shape: tuple[int, ...], width: int, height: int) -> tuple[int, int]:
    """Return the ``(height, width)`` at which a page fits its panel undistorted."""
    room = width - 2 * PANEL_PADDING
    scale = min(room / shape[1], height / shape[0], MAX_ENLARGEMENT)
    return max(1, min(height, round(shape[0] * scale))), max(1, min(room, round(shape[1] * scale)))


def _scaled(picture: Picture, size: tuple[int, int]) -> Picture:
    # This keeps pixels square and sharp when enlarging, and thin strokes when shrinking.
    return _as_uint8(cv2.resize(picture, (size[1], size[0]), interpolation=cv2.INTER_AREA))


def _mounted(picture: Picture, width: int) -> Picture:
    """Centre a picture on a panel, with a hairline, since pages may be as light as the panel."""
    left = (width - picture.shape[1]) // 2
    pad = PANEL_PADDING
    panel = _placed(_blank(picture.shape[0] + 2 * pad, width, PANEL), picture, top=pad, left=left)
    cv2.rectangle(
        panel, (left - 1, pad - 1), (left + picture.shape[1], pad + picture.shape[0]), EDGE, 1
    )
    return panel


def _to_picture(image: GrayImage) -> Picture:
    return np.repeat(image[:, :, None], 3, axis=2)


def _blank(height: int, width: int, colour: Colour = PAPER) -> Picture:
    return np.full((height, width, 3), colour, np.uint8)


def _placed(on: Picture, picture: Picture, *, top: int = 0, left: int = 0) -> Picture:
    """Paste a picture onto a larger one, which is modified and returned."""
    on[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return on


def _lowered(picture: Picture, by: int) -> Picture:
    return _placed(_blank(by + picture.shape[0], picture.shape[1]), picture, top=by)


def _ends(left: Picture, right: Picture) -> Picture:
    """Place two pictures at the ends of a line as wide as the sheet's content."""
    line = _placed(_blank(max(left.shape[0], right.shape[0]), CONTENT_WIDTH), left)
    return _placed(line, right, left=CONTENT_WIDTH - right.shape[1])


def _stack(pictures: Sequence[Picture], *, gap: int) -> Picture:
    """Stack pictures, aligned on the left."""
    whole = _blank(
        sum(each.shape[0] for each in pictures) + gap * (len(pictures) - 1),
        max(each.shape[1] for each in pictures),
    )
    top = 0
    for each in pictures:
        _placed(whole, each, top=top)
        top += each.shape[0] + gap
    return whole


def _beside(pictures: Sequence[Picture], *, gap: int = GAP) -> Picture:
    """Place pictures side by side, aligned at the top."""
    whole = _blank(
        max(each.shape[0] for each in pictures),
        sum(each.shape[1] for each in pictures) + gap * (len(pictures) - 1),
    )
    left = 0
    for each in pictures:
        _placed(whole, each, left=left)
        left += each.shape[1] + gap
    return whole


def _as_uint8(picture: NDArray[np.generic]) -> Picture:
    # OpenCV's annotations only say "some array".
    return picture.astype(np.uint8, copy=False)
