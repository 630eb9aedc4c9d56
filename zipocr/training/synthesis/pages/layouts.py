"""Where things stand on each kind of page."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np

from zipocr.training.synthesis.doodles import draw_doodle
from zipocr.training.synthesis.negatives import photographs
from zipocr.training.synthesis.pages import furniture
from zipocr.training.synthesis.pages.addresses import (
    Address,
    Line,
    draw_presort,
    draw_sender,
    draw_street,
    plain,
)
from zipocr.training.synthesis.pages.canvas import Canvas, Writing
from zipocr.training.synthesis.pages.handwriting import DigitsOfWriters, Penman
from zipocr.training.synthesis.pages.typesetting import draw_print_face, set_lines, worn
from zipocr.training.synthesis.scene_parameters import Rng
from zipocr.training.synthesis.wording import (
    Part,
    draw_name,
    draw_text,
    number_text,
    one_of,
    town_words,
)

_NOTES: Mapping[Part, tuple[str, ...]] = {
    "train": ("RETURN SERVICE REQUESTED", "DO NOT BEND", "Important tax document", "AIR MAIL"),
    "test": ("CHANGE SERVICE REQUESTED", "Time sensitive material", "PHOTOS", "Second notice"),
}
_FIELDS: Mapping[Part, tuple[str, ...]] = {
    "train": (
        "TRACKING # {long}", "WT {two} LBS", "ZONE {one}", "ORDER NO {number}", "SHIP DATE {date}",
        "PO# {number}", "ROUTE {three}", "BOX 1 OF {one}", "PRIORITY MAIL 2-DAY", "INV {number}",
        "PHONE {phone}",
    ),
    "test": (
        "USPS TRACKING {long}", "Weight: {one}.{two} kg", "Zone {two}", "Order: {number}",
        "Date {date}", "Customer {number}", "Carrier route C{three}", "Package {one}/{one}",
        "GROUND ADVANTAGE", "Invoice no. {number}", "Tel. {phone}",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a layout draws from: chance, the part, the writers, the destination.

    ``wear`` names what a bad printer leaves of print, empty for a good one.
    """

    rng: Rng
    part: Part
    writers: DigitsOfWriters
    address: Address
    wear: str = ""

    def paper(self) -> float:
        """Gray of some paper: white, toned, coloured, kraft."""
        ranges = ((236, 256), (205, 236), (165, 205), (120, 165))
        low, high = ranges[int(self.rng.choice(4, p=[0.42, 0.28, 0.15, 0.15]))]
        return float(self.rng.uniform(low, high))

    def ink(self, paper: float) -> float:
        """Gray of ink that can be seen on a paper, now and then just so."""
        if self.rng.random() < 0.08:
            return paper - float(self.rng.uniform(38, 65))
        return float(self.rng.uniform(0, max(10.0, min(110.0, paper - 75))))

    def printed(self, height: float, *, monospaced: float = 0.2) -> Writing:
        """The destination in print."""
        return self.printed_lines(self.address.lines, height, monospaced=monospaced)

    def printed_lines(
        self, lines: tuple[Line, ...], height: float, *, monospaced: float = 0.2
    ) -> Writing:
        """Lines in print."""
        rng = self.rng
        writing = set_lines(
            rng, lines, draw_print_face(rng, self.part, monospaced=monospaced), height,
            leading=float(rng.uniform(1.5, 2.4)), is_centred=bool(rng.random() < 0.07),
        )  # fmt: skip
        return worn(rng, writing, self.wear) if self.wear else writing

    def penman(self, height: float) -> Penman:
        """Somebody who can write the destination by hand."""
        needed = self.address.zip + self.address.plus4
        return Penman(self.rng, self.writers, self.part, height=height, needed=needed)


Layout: TypeAlias = Callable[[Desk], Canvas]


def printed_envelope(desk: Desk) -> Canvas:
    """An envelope with a printed address."""
    rng = desk.rng
    page, ink = _envelope(desk)
    block = desk.printed(float(rng.uniform(15, 34)))
    _lay_destination(desk, page, block, ink)
    return page


def hand_envelope(desk: Desk) -> Canvas:
    """An envelope with an address by hand."""
    rng = desk.rng
    penman = desk.penman(float(rng.uniform(26, 58)))
    page, ink = _envelope(desk, penman)
    leading = float(rng.uniform(1.7, 2.9))
    block = penman.write(desk.address.lines, leading=leading, indent=_indent(rng))
    _lay_destination(desk, page, block, ink, rules=leading * penman.height)
    return page


def window(desk: Desk) -> Canvas:
    """An envelope with a window or a pasted label for the address."""
    rng = desk.rng
    page, _ = _envelope(desk)
    paper = float(rng.uniform(200, 255))
    height = float(rng.uniform(14, 30))
    block = desk.printed(height, monospaced=0.4)
    block = block.fitted(page.height * 0.4, page.width * 0.5)
    label = _framed_block(desk, block, paper, desk.ink(paper), sides=(0.5, 4))
    _add_codes(desk, label, block)
    if rng.random() < 0.08:
        label.invert()
    edge = max(1.0, float(rng.uniform(1, 4)))
    label.ink(furniture.frame(label.image.shape, edge), 0, 0, float(rng.uniform(60, 190)))
    top, left = _place(desk, page, label.height, label.width)
    page.paste(label, top, left, float(rng.choice([0, rng.normal(0, 2.5), rng.uniform(-10, 10)])))
    return page


def parcel_label(desk: Desk) -> Canvas:
    """A label with sender, destination, codes and numbers in boxes."""
    rng, part = desk.rng, desk.part
    width = round(float(rng.uniform(800, 1500)))
    height = round(width * float(rng.uniform(0.6, 1.5)))
    paper = float(rng.uniform(190, 255))
    page, ink = Canvas((height, width), paper), float(rng.uniform(0, 60))
    size = width * float(rng.uniform(0.014, 0.022))
    mono = 0.45
    rows: list[Writing] = [
        desk.printed_lines(plain(draw_sender(rng, part)), size * 0.8, monospaced=mono),
        desk.printed(size * float(rng.uniform(1, 1.7)), monospaced=mono),
        *(_field_row(desk, size * float(rng.uniform(0.7, 1.3))) for _ in range(3)),
    ]
    order = [0, 1, 2, 3, 4] if rng.random() < 0.6 else rng.permutation(5).tolist()
    top, gap = height * 0.03, height * float(rng.uniform(0.01, 0.03))
    for place in order:
        block = rows[place].fitted(height * 0.27, width * 0.88)
        left = width * float(rng.uniform(0.03, 0.1))
        page.lay(block, top, left, ink)
        top += block.cover.shape[0] + gap
        if rng.random() < 0.6:
            page.ink(np.ones((max(2, round(width / 300)), width), np.float32), top, 0, ink)
            top += gap
        if top > height * 0.95:
            page = _extended(page, round(height * 0.3), paper)
    if rng.random() < 0.7 and top < page.height - 0.1 * height:
        code = furniture.solid_bar_code(rng, height * 0.12, width * float(rng.uniform(0.5, 0.85)))
        page.ink(code, top, width * 0.08, ink)
    if rng.random() < 0.5:
        page.ink(furniture.frame(page.image.shape, width / 250), 0, 0, ink)
    if rng.random() < 0.05:
        page.invert()
    return page


def printed_block(desk: Desk) -> Canvas:
    """A printed address, cut out."""
    rng = desk.rng
    paper = desk.paper()
    height = float(rng.uniform(15, 34))
    block = desk.printed(height, monospaced=0.3)
    page = _framed_block(desk, block, paper, desk.ink(paper), sides=(0.3, 5))
    _add_codes(desk, page, block)
    return page


def printed_line(desk: Desk) -> Canvas:
    """The last line of a printed address."""
    rng = desk.rng
    paper = desk.paper()
    block = desk.printed_lines(_last_line(desk), float(rng.uniform(16, 36)), monospaced=0.3)
    return _framed_block(desk, block, paper, desk.ink(paper), sides=(0.0, 2.0))


def hand_block(desk: Desk) -> Canvas:
    """An address by hand, cut out."""
    rng = desk.rng
    paper = desk.paper()
    penman = desk.penman(float(rng.uniform(26, 58)))
    leading = float(rng.uniform(1.6, 2.8))
    block = penman.write(desk.address.lines, leading=leading, indent=_indent(rng))
    page = _framed_block(desk, block, paper, desk.ink(paper), sides=(0.3, 2.5))
    if rng.random() < 0.2:
        _rule(rng, page, leading * penman.height, rng.uniform(90, 190))
    return page


def hand_line(desk: Desk) -> Canvas:
    """The last line of an address by hand."""
    rng = desk.rng
    paper = desk.paper()
    penman = desk.penman(float(rng.uniform(28, 62)))
    lines = _last_line(desk)
    block = penman.write(lines, leading=float(rng.uniform(1.6, 2.4)))
    page = _framed_block(desk, block, paper, desk.ink(paper), sides=(0.1, 1.4))
    if rng.random() < 0.2:
        _rule(rng, page, 2.2 * penman.height, rng.uniform(90, 190))
    return page


def text_page(desk: Desk) -> Canvas:
    """A page of running text that is no mail, with a number here and there."""
    rng, part = desk.rng, desk.part
    page = Canvas((round(rng.uniform(1000, 1700)), round(rng.uniform(900, 1500))), desk.paper())
    ink = float(rng.uniform(0, 90))
    size = float(rng.uniform(12, 24))
    words = town_words(part)
    top, count = page.height * 0.05, round(page.width * 0.8 / (size * 5.5))
    while top < page.height * 0.85:
        lines = [
            " ".join(_text_word(rng, words) for _ in range(max(2, count)))
            for _ in range(int(rng.integers(2, 9)))
        ]
        block = desk.printed_lines(plain(lines), size, monospaced=0.1)
        page.lay(block.fitted(page.height, page.width * 0.9), top, page.width * 0.06, ink)
        top += block.cover.shape[0] + size * float(rng.uniform(0.5, 3))
    return page


def form(desk: Desk) -> Canvas:
    """A form with names of fields, boxes, numbers, ticks."""
    rng, part = desk.rng, desk.part
    page = Canvas((round(rng.uniform(900, 1600)), round(rng.uniform(1000, 1600))), desk.paper())
    ink, size = float(rng.uniform(0, 100)), float(rng.uniform(13, 22))
    top = page.height * 0.04
    while top < page.height * 0.92:
        row = _field_row(desk, size).fitted(page.height * 0.1, page.width * 0.9)
        page.ink(row.cover, top, page.width * float(rng.uniform(0.04, 0.1)), ink)
        if rng.random() < 0.5:
            box = (round(size * 2.6), round(page.width * float(rng.uniform(0.2, 0.8))))
            page.ink(furniture.frame(box, 2), top - size * 0.2, page.width * 0.05, ink)
        top += size * float(rng.uniform(2.4, 4.5))
    del part
    return page


def photograph(desk: Desk) -> Canvas:
    """A picture of anything but mail."""
    rng, part = desk.rng, desk.part
    shape = (round(rng.uniform(500, 1300)), round(rng.uniform(700, 1900)))
    page = Canvas(shape, float(rng.uniform(80, 250)))
    if rng.random() < 0.3:
        kind = str(rng.choice(["texture", "doodle", "noise", "gradient"]))
        small = (shape[0] // 2, shape[1] // 2)
        cover = draw_doodle(rng, kind, part, small, float(rng.uniform(2, 8)))
        large = np.asarray(cv2.resize(cover, shape[::-1]), np.float32)
        page.ink(large, 0, 0, float(rng.uniform(0, 90)))
        return page
    source = photographs(part)[int(rng.integers(len(photographs(part))))]
    tall = int(rng.integers(source.shape[0] // 3, source.shape[0] + 1))
    wide = int(rng.integers(source.shape[1] // 3, source.shape[1] + 1))
    top = int(rng.integers(source.shape[0] - tall + 1))
    left = int(rng.integers(source.shape[1] - wide + 1))
    view = source[top : top + tall, left : left + wide]
    page.image = np.asarray(cv2.resize(view, shape[::-1]), np.uint8)
    return page


def _text_word(rng: Rng, words: tuple[str, ...]) -> str:
    if rng.random() < 0.04:
        return number_text(rng, 1, 2, 3, 4, 5, 6)
    word = one_of(rng, words)
    return word if rng.random() < 0.15 else word.lower()


def _field_row(desk: Desk, size: float) -> Writing:
    """One or two fields of a label beside each other."""
    rng, part = desk.rng, desk.part
    texts = [
        one_of(rng, _FIELDS[part]).format(
            long=" ".join(number_text(rng, 4) for _ in range(5)),
            number=number_text(rng, 4, 5, 5, 6, 8),
            one=rng.integers(1, 10), two=number_text(rng, 2), three=number_text(rng, 3),
            date=draw_text(rng, "date", part), phone=draw_text(rng, "phone", part),
        )
        for _ in range(int(rng.integers(1, 3)))
    ]  # fmt: skip
    return desk.printed_lines(plain(["     ".join(texts)]), size, monospaced=0.4)


def _extended(page: Canvas, more: int, gray: float) -> Canvas:
    """The sheet with more rows below."""
    longer = Canvas((page.height + more, page.width), gray)
    longer.image[: page.height], longer.zip_outline = page.image, page.zip_outline
    return longer


def _last_line(desk: Desk) -> tuple[Line, ...]:
    """The line with the ZIP; where the page has none, its town or another line."""
    rng, part, address = desk.rng, desk.part, desk.address
    if address.zip:
        return address.last_line().lines
    if rng.random() < 0.5:
        return address.lines[-1:]
    texts = (draw_street(rng, part), draw_text(rng, "phone", part), draw_name(rng, part))
    return plain([one_of(rng, texts)])


def _indent(rng: Rng) -> float:
    """How far each line begins behind the one before, in heights."""
    return float(rng.choice([0, 0, rng.uniform(0.2, 1.6)]))


def _framed_block(
    desk: Desk, block: Writing, paper: float, ink: float, *, sides: tuple[float, float]
) -> Canvas:
    """A sheet with a block and margins of so many heights around it."""
    top, right, bottom, left = desk.rng.uniform(*sides, 4) * block.height + 3
    rows, columns = block.cover.shape
    page = Canvas((round(top + rows + bottom), round(left + columns + right)), paper)
    page.lay(block, top, left, ink)
    return page


def _add_codes(desk: Desk, page: Canvas, block: Writing) -> None:
    """Bars above or below a block, where there is room, and a line of codes."""
    rng = desk.rng
    if rng.random() < 0.5:
        code = furniture.bar_code(rng, page.width * float(rng.uniform(0.4, 0.8)))
        rows = code.shape[0] + 6
        gray = float(rng.uniform(0, 60))
        is_below = rng.random() < 0.6
        paper = float(page.image[0, 0])
        longer = _extended(page, rows, paper)
        if not is_below:
            longer.image = np.asarray(np.roll(longer.image, rows, axis=0), np.uint8)
            if longer.zip_outline is not None:
                longer.zip_outline = longer.zip_outline + (0, rows)
        page.image, page.zip_outline = longer.image, longer.zip_outline
        page.ink(code, page.height - rows if is_below else 3, block.height, gray)


def _rule(rng: Rng, page: Canvas, pitch: float, gray: float) -> None:
    """Draw level lines, all over the sheet."""
    line = np.ones((int(rng.integers(1, 4)), page.width), np.float32)
    for top in np.arange(float(rng.uniform(0, pitch)), page.height, pitch):
        page.ink(line, float(top), 0, float(gray))


def _envelope(desk: Desk, penman: Penman | None = None) -> tuple[Canvas, float]:
    """An envelope with all but its destination; also the gray of the ink."""
    rng, part = desk.rng, desk.part
    width = round(float(rng.uniform(1500, 2600)))
    height = round(float(np.clip(width * rng.uniform(0.42, 0.72), 700, 1300)))
    paper = desk.paper()
    page, ink = Canvas((height, width), paper), desk.ink(paper)
    if rng.random() < 0.72:
        _add_sender(desk, page, ink, penman)
    _add_postage(desk, page)
    if rng.random() < 0.25:
        note = desk.printed_lines(plain([one_of(rng, _NOTES[part])]), float(rng.uniform(14, 26)))
        top = height * float(rng.choice([0.3, 0.9])) - note.cover.shape[0] / 2
        page.ink(note.cover, top, width * float(rng.uniform(0.03, 0.6)), ink)
    if rng.random() < 0.35:
        code = furniture.bar_code(rng, float(rng.uniform(500, 800)))
        page.ink(code, height - code.shape[0] * 2.0, width - code.shape[1] - 40, 20)
    return page, ink


def _add_sender(desk: Desk, page: Canvas, ink: float, penman: Penman | None) -> None:
    """A return address, at the top left as a rule."""
    rng = desk.rng
    lines = plain(draw_sender(rng, desk.part))
    if penman is not None and rng.random() < 0.7:
        block = penman.write(lines, leading=float(rng.uniform(1.6, 2.2)))
        block = block.resized(0.65, 0.65)
    else:
        block = desk.printed_lines(lines, float(rng.uniform(11, 22)))
    block = block.fitted(page.height * 0.3, page.width * 0.38)
    left = page.width * float(
        rng.choice([rng.uniform(0.01, 0.07), rng.uniform(0, 0.5)], p=[0.9, 0.1])
    )
    page.ink(block.cover, page.height * float(rng.uniform(0.01, 0.07)), left, ink)


def _add_postage(desk: Desk, page: Canvas) -> None:
    """Stamps with a postmark, or an imprint, at the top right."""
    rng, part = desk.rng, desk.part
    right, top = page.width * float(rng.uniform(0.93, 0.99)), page.height * rng.uniform(0.02, 0.06)
    if rng.random() < 0.4:
        imprint = furniture.draw_imprint(rng, part, float(rng.uniform(10, 20)))
        ink = 1 - np.asarray(imprint.image, np.float32) / np.float32(255)
        page.ink(ink, top, right - imprint.width, float(rng.uniform(10, 90)))
        return
    size = float(rng.uniform(130, 230))
    for place in range(int(rng.integers(0, 3))):
        stamp = furniture.draw_stamp(rng, part, size)
        page.paste(stamp, top, right - (place + 1) * size * 1.1, float(rng.normal(0, 2)))
    if rng.random() < 0.75:
        mark = furniture.worn_away(rng, furniture.postmark(rng, part, size * 1.1))
        left = right - mark.shape[1] - size * float(rng.uniform(-0.3, 0.6))
        page.ink(mark, top + size * float(rng.uniform(-0.1, 0.3)), left, float(rng.uniform(10, 90)))


def _place(desk: Desk, page: Canvas, rows: int, columns: int) -> tuple[float, float]:
    """Top and left of a destination: where it belongs, or anywhere below the postage."""
    rng = desk.rng
    free = (max(8, page.height - rows), max(8, page.width - columns))
    if rng.random() < 0.75:
        down, along = rng.uniform(0.42, 0.95), rng.uniform(0.3, 0.9)
    else:
        down, along = rng.uniform(0.35, 1.0), rng.uniform(0.02, 0.98)
    return free[0] * float(down), free[1] * float(along)


def _lay_destination(
    desk: Desk, page: Canvas, block: Writing, ink: float, *, rules: float = 0.0
) -> None:
    """Lay a destination's block on an envelope, with bars, codes or rules around it."""
    rng = desk.rng
    block = block.fitted(page.height * 0.5, page.width * 0.6)
    rows, columns = block.cover.shape
    top, left = _place(desk, page, rows, columns)
    if rules and rng.random() < 0.2:
        long = np.ones((int(rng.integers(1, 4)), round(columns * 1.1)), np.float32)
        for place in range(1, 1 + round(rows / rules)):
            page.ink(long, top + place * rules, left, float(rng.uniform(80, 190)))
    if not rules and rng.random() < 0.3:
        code = furniture.bar_code(rng, float(rng.uniform(0.7, 1.3)) * max(columns, 300))
        above = top - code.shape[0] - 8
        page.ink(code, above if rng.random() < 0.5 else top + rows + 4, left, ink)
    if not rules and rng.random() < 0.15:
        codes = desk.printed_lines(plain([draw_presort(rng, desk.part)]), block.height)
        page.ink(codes.cover, top - 2.1 * block.height, left, ink)
    page.lay(block, top, left, ink)


LAYOUTS: Mapping[str, Layout] = {
    "printed_envelope": printed_envelope,
    "printed_block": printed_block,
    "printed_line": printed_line,
    "window": window,
    "parcel_label": parcel_label,
    "hand_envelope": hand_envelope,
    "hand_block": hand_block,
    "hand_line": hand_line,
    "text_page": text_page,
    "form": form,
    "photograph": photograph,
}
"""What draws each kind; ``low_quality`` is any printed one, badly printed or scanned."""
