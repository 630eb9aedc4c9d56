"""Layout of parcel labels: sender, destination, codes, and numbers other than ZIPs."""

from collections.abc import Mapping, Sequence

import numpy as np

from zipocr.training.synthesis.pages import furniture
from zipocr.training.synthesis.pages.addresses import draw_sender, plain
from zipocr.training.synthesis.pages.canvas import Canvas, Writing
from zipocr.training.synthesis.pages.desk import Desk
from zipocr.training.synthesis.wording import Part, number_text, one_of

_HEADS: Mapping[Part, tuple[str, ...]] = {
    "train": ("SHIP TO:", "TO", "DELIVER TO:"),
    "test": ("Recipient", "SHIP TO", "Consignee:"),
}
_MONOSPACED = 0.45


def parcel_label(desk: Desk) -> Canvas:
    """Compose a label with its rows in the usual or a random order."""
    rng = desk.rng
    width = round(float(rng.uniform(800, 1500)))
    page = Canvas((round(width * float(rng.uniform(0.6, 1.5))), width), rng.uniform(190, 255))
    ink, size = float(rng.uniform(0, 60)), width * float(rng.uniform(0.014, 0.022))
    rows = _rows(desk, size)
    places = range(len(rows)) if rng.random() < 0.6 else rng.permutation(len(rows)).tolist()
    page, top = _stacked(desk, page, [rows[place] for place in places], ink)
    if rng.random() < 0.75:
        page = _with_code(desk, page, top, ink)
    if rng.random() < 0.5:
        page.ink(furniture.frame(page.image.shape, width / 250), 0, 0, ink)
    if rng.random() < 0.05:
        page.invert()
    return page


def _rows(desk: Desk, size: float) -> list[Writing]:
    """Return the rows: sender, destination and fields."""
    rng, part = desk.rng, desk.part
    sender = plain(draw_sender(rng, part))
    lines = desk.address.lines
    if rng.random() < 0.4:
        lines = (*plain([one_of(rng, _HEADS[part])]), *lines)
    rows = [
        desk.printed(sender, size * 0.8, monospaced=_MONOSPACED),
        desk.printed(lines, size * float(rng.uniform(1, 1.8)), monospaced=_MONOSPACED),
    ]
    fields = int(rng.integers(1, 5))
    rows += [desk.field_row(size * float(rng.uniform(0.7, 1.3))) for _ in range(fields)]
    if rng.random() < 0.25:
        route = plain([number_text(rng, 2, 3, 4)])
        rows.append(desk.printed(route, size * float(rng.uniform(2, 4))))
    return rows


def _stacked(desk: Desk, page: Canvas, rows: Sequence[Writing], ink: float) -> tuple[Canvas, float]:
    """Stack rows on the sheet, extended as needed; return also where they end."""
    rng, height, width = desk.rng, page.height, page.width
    top, gap = height * 0.03, height * float(rng.uniform(0.01, 0.03))
    is_lined = rng.random() < 0.7
    for row in rows:
        block = row.fitted(height * 0.27, width * 0.88)
        missing = round(top + block.cover.shape[0] + 2 * gap - page.height)
        page = page.extended(0, missing) if missing > 0 else page
        page.lay(block, top, width * float(rng.uniform(0.03, 0.1)), ink)
        top += block.cover.shape[0] + gap
        if is_lined and rng.random() < 0.8:
            page.ink(np.ones((max(2, round(width / 300)), width), np.float32), top, 0, ink)
            top += gap
    return page, top


def _with_code(desk: Desk, page: Canvas, top: float, ink: float) -> Canvas:
    """Return the label with a barcode below, or a matrix code at the right."""
    rng, width = desk.rng, page.width
    if rng.random() < 0.7:
        code = furniture.solid_bar_code(rng, width * 0.12, width * float(rng.uniform(0.5, 0.85)))
    else:
        code = furniture.matrix_code(rng, width * 0.2)
    missing = round(top + code.shape[0] * 1.15 - page.height)
    page = page.extended(0, missing) if missing > 0 else page
    page.ink(code, top, width * float(rng.choice([0.08, 0.3])), ink)
    return page
