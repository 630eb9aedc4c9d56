"""Layouts of parts cropped from a page by other programs: address blocks and last lines."""

import numpy as np

from zipocr.training.synthesis.pages import furniture
from zipocr.training.synthesis.pages.addresses import Line, draw_presort, draw_street, plain
from zipocr.training.synthesis.pages.canvas import Canvas
from zipocr.training.synthesis.pages.desk import (
    Desk,
    capital_height,
    draw_rules,
    framed,
    mark_zip,
    with_bar_code,
)
from zipocr.training.synthesis.wording import draw_name, draw_text, one_of


def printed_block(desk: Desk) -> Canvas:
    """Compose a printed address."""
    rng, lines = desk.rng, desk.address.lines
    if rng.random() < 0.12:
        lines = (*plain([draw_presort(rng, desk.part)]), *lines)
    paper = desk.paper()
    height = capital_height(rng, lines, low=14, high=60)
    block = desk.printed(lines, height, monospaced=0.3)
    page = framed(rng, block, paper, desk.ink(paper), sides=(0.3, 5))
    _add_neighbours(desk, page, block.height)
    return with_bar_code(rng, page) if rng.random() < 0.35 else page


def printed_line(desk: Desk) -> Canvas:
    """Compose the last line of a printed address."""
    rng, lines = desk.rng, _last_line(desk)
    paper = desk.paper()
    block = desk.printed(lines, capital_height(rng, lines, low=14, high=60), monospaced=0.3)
    return framed(rng, block, paper, desk.ink(paper), sides=(0.0, 2.0))


def hand_block(desk: Desk) -> Canvas:
    """Compose a handwritten address."""
    rng, lines = desk.rng, desk.address.lines
    paper = desk.paper()
    penman = desk.penman(capital_height(rng, lines, low=24, high=80))
    block, ink = desk.written(penman, lines), desk.ink(paper)
    page = framed(rng, block, paper, ink, sides=(0.3, 2.5))
    if rng.random() < 0.2:
        draw_rules(rng, page, float(rng.uniform(1.6, 2.8)) * penman.height)
    if rng.random() < 0.08:
        mark_zip(rng, page, ink)
    _add_neighbours(desk, page, block.height)
    return page


def hand_line(desk: Desk) -> Canvas:
    """Compose the last line of a handwritten address."""
    rng, lines = desk.rng, _last_line(desk)
    paper = desk.paper()
    penman = desk.penman(capital_height(rng, lines, low=24, high=80))
    block, ink = desk.written(penman, lines), desk.ink(paper)
    page = framed(rng, block, paper, ink, sides=(0.1, 1.4))
    if rng.random() < 0.2:
        draw_rules(rng, page, 2.2 * penman.height)
    if rng.random() < 0.1:
        mark_zip(rng, page, ink)
    return page


def _last_line(desk: Desk) -> tuple[Line, ...]:
    """Return the line with the ZIP or, if there is none, the town's or another line."""
    rng, part, address = desk.rng, desk.part, desk.address
    if address.zip or address.is_redacted:
        return address.last_line().lines
    if rng.random() < 0.5:
        return address.lines[-1:]
    texts = (draw_street(rng, part), draw_text(rng, "phone", part), draw_name(rng, part))
    return plain([one_of(rng, texts)])


def _add_neighbours(desk: Desk, page: Canvas, height: float) -> None:
    """Add remains of a stamp, a postmark or other lines at the upper and lower edges."""
    rng = desk.rng
    if rng.random() > 0.2:
        return
    gray = float(rng.uniform(0, 110))
    if rng.random() < 0.5:
        mark = furniture.worn_away(rng, furniture.postmark(rng, desk.part, 6 * height))
        top, left = -mark.shape[0] * rng.uniform(0.75, 0.95), page.width - 0.7 * mark.shape[1]
        page.ink(mark, float(top), left, gray)
        return
    words = desk.printed(plain([draw_street(rng, desk.part)]), height * float(rng.uniform(0.6, 1)))
    rows = np.flatnonzero(words.cover.max(axis=1) > 0)
    seen = max(3, round(height * float(rng.uniform(0.1, 0.4))))
    page.ink(
        words.cover[: rows[-1] + 1], seen - rows[-1], page.width * rng.uniform(-0.3, 0.6), gray
    )
