"""Layouts of pages that are not mail: running text, forms, notes, receipts, pictures."""

from collections.abc import Sequence

import cv2
import numpy as np

from zipocr.training.synthesis.doodles import draw_doodle
from zipocr.training.synthesis.negatives import photographs
from zipocr.training.synthesis.pages import furniture
from zipocr.training.synthesis.pages.addresses import Line, plain
from zipocr.training.synthesis.pages.canvas import Canvas
from zipocr.training.synthesis.pages.desk import Desk, draw_rules
from zipocr.training.synthesis.pages.typesetting import draw_print_face, set_lines
from zipocr.training.synthesis.scene_parameters import Rng
from zipocr.training.synthesis.wording import draw_text, number_text, one_of, town_words


def text_page(desk: Desk) -> Canvas:
    """Compose a page of running text, with a few numbers."""
    rng = desk.rng
    page = _sheet(desk)
    ink, size = float(rng.uniform(0, 90)), float(rng.uniform(12, 24))
    face, words = draw_print_face(rng, desk.part, monospaced=0.1), town_words(desk.part)
    top, count = page.height * 0.05, round(page.width * 0.8 / (size * 7.5))
    while top < page.height * 0.85:
        lines = plain([_sentence(rng, words, count) for _ in range(int(rng.integers(2, 9)))])
        block = set_lines(rng, lines, face, size, leading=float(rng.uniform(1.6, 2.2)))
        page.lay(block.fitted(page.height, page.width * 0.9), top, page.width * 0.06, ink)
        top += block.cover.shape[0] + size * float(rng.uniform(0.5, 3))
    return page


def form(desk: Desk) -> Canvas:
    """Compose a form with field names, boxes and entries."""
    rng = desk.rng
    page = _sheet(desk)
    ink, size = float(rng.uniform(0, 100)), float(rng.uniform(13, 22))
    penman = desk.penman(size * 1.6)
    top, left = page.height * 0.04, page.width * float(rng.uniform(0.04, 0.1))
    while top < page.height * 0.92:
        row = desk.field_row(size).fitted(page.height * 0.1, page.width * 0.6)
        page.ink(row.cover, top, left, ink)
        right = left + row.cover.shape[1] + 2 * size
        if rng.random() < 0.3:
            entry = penman.write(_entry(desk), leading=2)
            page.ink(entry.fitted(size * 3, page.width - right).cover, top, right, ink)
        if rng.random() < 0.5:
            box = (round(size * 2.6), round(page.width * float(rng.uniform(0.2, 0.8))))
            page.ink(furniture.frame(box, 2), top - size * 0.2, left - size, ink)
        top += size * float(rng.uniform(2.6, 4.5))
    return page


def notes(desk: Desk) -> Canvas:
    """Compose handwritten notes with numbers, on ruled or plain paper."""
    rng = desk.rng
    paper = desk.paper()
    penman = desk.penman(float(rng.uniform(26, 50)))
    lines = [line for _ in range(int(rng.integers(3, 11))) for line in _entry(desk)]
    block = penman.write(lines, leading=float(rng.uniform(1.6, 2.6)))
    shape = np.array(block.cover.shape) * rng.uniform(1.1, 1.5, 2)
    page = Canvas((round(shape[0]), round(shape[1])), paper)
    page.ink(block.cover, page.height * 0.05, page.width * 0.05, desk.ink(paper))
    if rng.random() < 0.5:
        draw_rules(rng, page, 2.1 * penman.height)
    return page


def receipt(desk: Desk) -> Canvas:
    """Compose a receipt: goods, prices, numbers, in one narrow column of monospaced type."""
    rng, part = desk.rng, desk.part
    width = int(rng.integers(24, 40))
    lines = [one_of(rng, town_words(part)).upper().center(width), draw_text(rng, "date", part)]
    for _ in range(int(rng.integers(6, 22))):
        good, price = one_of(rng, town_words(part)), draw_text(rng, "price", part)
        code = number_text(rng, 4, 5, 6) if rng.random() < 0.4 else ""
        lines.append(f"{code} {good}".ljust(width - len(price)) + price)
    lines += [f"TOTAL {draw_text(rng, 'price', part)}".rjust(width), number_text(rng, 5, 6, 12)]
    block = desk.printed(plain(lines), float(rng.uniform(14, 26)), monospaced=1.0)
    size = np.array(block.cover.shape) + rng.uniform(20, 200, 2)
    page = Canvas((round(size[0]), round(size[1])), desk.paper())
    page.ink(block.cover, 15, 15, float(rng.uniform(0, 110)))
    return page


def photograph(desk: Desk) -> Canvas:
    """Compose a picture of anything but mail."""
    rng, part = desk.rng, desk.part
    shape = (round(rng.uniform(500, 1300)), round(rng.uniform(700, 1900)))
    page = Canvas(shape, float(rng.uniform(80, 250)))
    if rng.random() < 0.4:
        kind = str(rng.choice(["texture", "doodle", "noise", "gradient", "signature"]))
        small = (shape[0] // 2, shape[1] // 2)
        cover = draw_doodle(rng, kind, part, small, float(rng.uniform(2, 8)))
        large = np.asarray(cv2.resize(cover, shape[::-1]), np.float32)
        page.ink(large, 0, 0, float(rng.uniform(0, 90)))
        return page
    source = photographs(part)[int(rng.integers(len(photographs(part))))]
    tall, wide = (int(rng.integers(side // 3, side + 1)) for side in source.shape)
    top = int(rng.integers(source.shape[0] - tall + 1))
    left = int(rng.integers(source.shape[1] - wide + 1))
    view = source[top : top + tall, left : left + wide]
    page.image = np.array(cv2.resize(view, shape[::-1]), np.uint8)
    return page


def _sheet(desk: Desk) -> Canvas:
    rng = desk.rng
    return Canvas((round(rng.uniform(900, 1600)), round(rng.uniform(900, 1500))), desk.paper())


def _sentence(rng: Rng, words: tuple[str, ...], count: int) -> str:
    return " ".join(_text_word(rng, words) for _ in range(max(2, count)))


def _text_word(rng: Rng, words: tuple[str, ...]) -> str:
    if rng.random() < 0.04:
        return number_text(rng, 1, 2, 3, 4, 5, 6)
    word = one_of(rng, words)
    return word if rng.random() < 0.15 else word.lower()


def _entry(desk: Desk) -> Sequence[Line]:
    """Draw an entry: words, a number, or both."""
    rng, part = desk.rng, desk.part
    number, word = number_text(rng, 1, 2, 3, 5, 5, 6, 7), one_of(rng, town_words(part))
    count = number_text(rng, 1, 2, 3, 4, 6)  # five digits would look like the end of an address
    kind = str(rng.choice(["phone", "date", "price", "words"]))
    texts = (number, word, f"{word} {count}", f"{count} {word}", draw_text(rng, kind, part))
    return plain([one_of(rng, texts)])
