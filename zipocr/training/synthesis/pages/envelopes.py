"""Layouts of whole envelopes (printed, handwritten, with a window or a label) and postcards."""

from collections.abc import Mapping

import numpy as np

from zipocr.training.synthesis.pages import furniture
from zipocr.training.synthesis.pages.addresses import Line, draw_presort, draw_sender, plain
from zipocr.training.synthesis.pages.canvas import Canvas, Writing
from zipocr.training.synthesis.pages.desk import Desk, framed, mark_zip, with_bar_code
from zipocr.training.synthesis.pages.handwriting import Penman
from zipocr.training.synthesis.scene_parameters import Rng
from zipocr.training.synthesis.wording import Part, one_of, town_words

_NOTES: Mapping[Part, tuple[str, ...]] = {
    "train": ("RETURN SERVICE REQUESTED", "DO NOT BEND", "Important tax document", "AIR MAIL"),
    "test": ("CHANGE SERVICE REQUESTED", "Time sensitive material", "PHOTOS", "Second notice"),
}


def printed_envelope(desk: Desk) -> Canvas:
    """Compose an envelope with a printed address."""
    page, ink = _envelope(desk)
    if not _is_bare(desk):
        block = desk.printed(desk.address.lines, float(desk.rng.uniform(15, 34)))
        laid, place = _lay_destination(desk, page, block, ink)
        if desk.rng.random() < 0.35:
            _add_codes(desk, page, laid, place, ink)
    return page


def hand_envelope(desk: Desk) -> Canvas:
    """Compose an envelope or a postcard with a handwritten address."""
    rng = desk.rng
    penman = desk.penman(float(rng.uniform(26, 58)))
    if rng.random() < 0.15:
        return _postcard(desk, penman)
    page, ink = _envelope(desk, penman)
    if not _is_bare(desk):
        block = desk.written(penman, desk.address.lines)
        _lay_destination(desk, page, block, ink, is_ruled=rng.random() < 0.2)
        if rng.random() < 0.08:
            mark_zip(rng, page, ink)
    return page


def window(desk: Desk) -> Canvas:
    """Compose an envelope with a window or a pasted label for the address."""
    rng = desk.rng
    page, _ = _envelope(desk)
    if _is_bare(desk):
        return page
    paper = float(rng.uniform(200, 255))
    height = float(rng.uniform(14, 30))
    block = desk.printed(desk.address.lines, height, monospaced=0.4)
    block = block.fitted(page.height * 0.36, page.width * 0.5)
    label = framed(rng, block, paper, desk.ink(paper), sides=(0.5, 4))
    if rng.random() < 0.5:
        label = with_bar_code(rng, label)
    if rng.random() < 0.08:
        label.invert()
    edge = furniture.frame(label.image.shape, max(1.0, float(rng.uniform(1, 4))))
    label.ink(edge, 0, 0, float(rng.uniform(60, 190)))
    top, left = _place(rng, page, label.height, label.width)
    page.paste(label, top, left, float(rng.choice([0, rng.normal(0, 2.5), rng.uniform(-10, 10)])))
    return page


def _is_bare(desk: Desk) -> bool:
    """Draw whether a destination without a ZIP is left out altogether."""
    return not desk.address.zip and desk.rng.random() < 0.15


def _envelope(desk: Desk, penman: Penman | None = None) -> tuple[Canvas, float]:
    """Compose an envelope except its destination; return also the gray level of the ink."""
    rng = desk.rng
    width = round(float(rng.uniform(1500, 2600)))
    height = round(float(np.clip(width * rng.uniform(0.42, 0.76), 700, 1300)))
    paper = desk.paper()
    page, ink = Canvas((height, width), paper), desk.ink(paper)
    if rng.random() < 0.72:
        _add_sender(desk, page, ink, penman)
    if rng.random() < 0.06 and penman is None:
        _add_reply_marks(rng, page)
    elif rng.random() < 0.93:
        _add_postage(desk, page)
    if rng.random() < 0.25:
        _add_note(desk, page, ink)
    if rng.random() < 0.35:
        code = furniture.bar_code(rng, float(rng.uniform(500, 800)))
        page.ink(code, height - code.shape[0] * 2.0, width - code.shape[1] - 40, 20)
    return page, ink


def _add_sender(desk: Desk, page: Canvas, ink: float, penman: Penman | None) -> None:
    """Add a return address, usually at the top left."""
    rng = desk.rng
    lines = plain(draw_sender(rng, desk.part))
    if penman is not None and rng.random() < 0.7:
        block = penman.write(lines, leading=float(rng.uniform(1.6, 2.2))).resized(0.65, 0.65)
    else:
        block = desk.printed(lines, float(rng.uniform(11, 22)))
    block = block.fitted(page.height * 0.3, page.width * 0.38)
    along = rng.uniform(0.01, 0.07) if rng.random() < 0.9 else rng.uniform(0, 0.5)
    page.ink(block.cover, page.height * float(rng.uniform(0.01, 0.07)), page.width * along, ink)


def _add_note(desk: Desk, page: Canvas, ink: float) -> None:
    """Add words in capitals for the post office or the addressee."""
    rng = desk.rng
    words = plain([one_of(rng, _NOTES[desk.part])])
    note = desk.printed(words, float(rng.uniform(14, 26)))
    top = page.height * float(rng.choice([0.3, 0.9])) - note.cover.shape[0] / 2
    page.ink(note.cover, top, page.width * float(rng.uniform(0.03, 0.6)), ink)


def _add_reply_marks(rng: Rng, page: Canvas) -> None:
    """Add vertical bars at the top and horizontal ones at the right, as on business reply mail."""
    bar = np.ones((round(page.height * 0.1), max(3, page.width // 250)), np.float32)
    left = page.width * float(rng.uniform(0.55, 0.7))
    for place in (0, 1, 4, 7, 8):
        page.ink(bar, 0, left + place * page.width / 80, 20)
    level = np.ones((max(3, page.height // 120), round(page.width * 0.07)), np.float32)
    for place in range(8):
        page.ink(level, page.height * (0.25 + 0.03 * place), page.width * 0.9, 20)


def _add_postage(desk: Desk, page: Canvas) -> None:
    """Add stamps with a postmark, or an imprint, at the top right."""
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


def _place(rng: Rng, page: Canvas, rows: int, columns: int) -> tuple[float, float]:
    """Draw top and left of a destination: the usual position, or anywhere below the postage."""
    free = (max(8, page.height - rows), max(8, page.width - columns))
    if rng.random() < 0.75:
        down, along = rng.uniform(0.42, 0.95), rng.uniform(0.3, 0.9)
    else:
        down, along = rng.uniform(0.35, 1.0), rng.uniform(0.02, 0.98)
    return free[0] * float(down), free[1] * float(along)


def _lay_destination(
    desk: Desk, page: Canvas, block: Writing, ink: float, *, is_ruled: bool = False
) -> tuple[Writing, tuple[float, float]]:
    """Lay a destination's block on an envelope; return the block as laid, and its top and left."""
    rng = desk.rng
    block = block.fitted(page.height * 0.5, page.width * 0.6)
    rows, columns = block.cover.shape
    top, left = _place(rng, page, rows, columns)
    if is_ruled:
        long = np.ones((int(rng.integers(1, 4)), round(columns * 1.1)), np.float32)
        gray, count = float(rng.uniform(80, 190)), len(desk.address.lines)
        for place in range(1, 1 + count):
            page.ink(long, top + place * rows / count, left, gray)
    page.lay(block, top, left, ink)
    return block, (top, left)


def _add_codes(
    desk: Desk, page: Canvas, block: Writing, place: tuple[float, float], ink: float
) -> None:
    """Add a barcode or mailer codes right above or below the address."""
    rng = desk.rng
    top, left = place
    if rng.random() < 0.35:
        codes = desk.printed(plain([draw_presort(rng, desk.part)]), block.height)
        page.ink(codes.cover, top - codes.cover.shape[0] + 0.6 * block.height, left, ink)
        return
    code = furniture.bar_code(rng, float(rng.uniform(350, 800)))
    gap = block.height * float(rng.uniform(-0.3, 1.5))
    below = top + block.cover.shape[0] + gap
    page.ink(code, top - code.shape[0] - gap if rng.random() < 0.5 else below, left, ink)


def _postcard(desk: Desk, penman: Penman) -> Canvas:
    """Compose a postcard: message at the left, address at the right, a line between."""
    rng, part = desk.rng, desk.part
    width = round(float(rng.uniform(1100, 1500)))
    height = round(width * float(rng.uniform(0.62, 0.72)))
    paper = desk.paper()
    page, ink = Canvas((height, width), paper), desk.ink(paper)
    words, line = town_words(part), []
    for _ in range(int(rng.integers(5, 10))):
        text = " ".join(one_of(rng, words).lower() for _ in range(int(rng.integers(2, 4))))
        line.append(Line(text=text))
    message = penman.write(line, leading=float(rng.uniform(1.5, 2.1)))
    page.ink(message.fitted(height * 0.85, width * 0.46).cover, height * 0.08, width * 0.02, ink)
    page.ink(np.ones((round(height * 0.8), 3), np.float32), height * 0.1, width * 0.5, 110)
    block = desk.written(penman, desk.address.lines).fitted(height * 0.5, width * 0.44)
    _add_postage(desk, page)
    page.lay(block, (height - block.cover.shape[0]) * rng.uniform(0.6, 0.95), width * 0.53, ink)
    return page
