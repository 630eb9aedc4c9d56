"""Common parts of layouts: randomness, paper and ink, the destination's text, rows of fields."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zipocr.training.synthesis.pages import furniture
from zipocr.training.synthesis.pages.addresses import Address, Line, plain
from zipocr.training.synthesis.pages.canvas import Canvas, Writing
from zipocr.training.synthesis.pages.handwriting import DigitsOfWriters, Penman
from zipocr.training.synthesis.pages.typesetting import draw_print_face, set_lines, worn
from zipocr.training.synthesis.scene_parameters import Rng
from zipocr.training.synthesis.wording import Part, draw_text, number_text, one_of

_PAPERS = ((236, 256), (205, 236), (165, 205), (120, 165))
_FIELDS: Mapping[Part, tuple[str, ...]] = {
    "train": (
        "TRACKING # {long}", "WT {two} LBS", "ZONE {one}", "ORDER NO {number}", "SHIP DATE {date}",
        "PO# {number}", "ROUTE {three}", "BOX 1 OF {one}", "PRIORITY MAIL 2-DAY", "INV {number}",
        "PHONE {phone}", "{number}", "SKU {number}-{three}",
    ),
    "test": (
        "USPS TRACKING {long}", "Weight: {one}.{two} kg", "Zone {two}", "Order: {number}",
        "Date {date}", "Customer {number}", "Carrier route C{three}", "Package {one}/{one}",
        "GROUND ADVANTAGE", "Invoice no. {number}", "Tel. {phone}", "{number}", "Lot {number}",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The inputs of a layout: random generator, part, writers, destination.

    ``wear`` names the degradation by a bad printer, empty for a good one.
    """

    rng: Rng
    part: Part
    writers: DigitsOfWriters
    address: Address
    wear: str = ""

    def paper(self) -> float:
        """Draw the gray level of paper: white, toned, coloured, kraft."""
        low, high = _PAPERS[int(self.rng.choice(4, p=[0.42, 0.28, 0.15, 0.15]))]
        return float(self.rng.uniform(low, high))

    def ink(self, paper: float) -> float:
        """Draw the gray level of ink visible on a paper, sometimes barely."""
        if self.rng.random() < 0.08:
            return paper - float(self.rng.uniform(40, 65))
        return float(self.rng.uniform(0, max(10.0, min(110.0, paper - 75))))

    def printed(self, lines: Sequence[Line], height: float, *, monospaced: float = 0.2) -> Writing:
        """Return printed lines."""
        rng = self.rng
        writing = set_lines(
            rng,
            lines,
            draw_print_face(rng, self.part, monospaced=monospaced),
            height,
            leading=float(rng.uniform(1.5, 2.4)),
            is_centred=bool(rng.random() < 0.07),
        )
        return self.finished(worn(rng, writing, self.wear) if self.wear else writing)

    def penman(self, height: float, files: Sequence[Path] = ()) -> Penman:
        """Draw a penman with all digits of the destination; ``files`` as in `Penman`."""
        needed = self.address.zip + self.address.plus4
        return Penman(self.rng, self.writers, self.part, height=height, needed=needed, files=files)

    def written(self, penman: Penman, lines: Sequence[Line]) -> Writing:
        """Return handwritten lines, sometimes each indented further than the one before."""
        rng = self.rng
        indent = float(rng.choice([0, 0, rng.uniform(0.2, 1.6)]))
        leading = float(rng.uniform(1.6, 2.8))
        return self.finished(penman.write(lines, leading=leading, indent=indent))

    def finished(self, writing: Writing) -> Writing:
        """Return the writing, its ZIP blacked out if the destination is redacted."""
        return writing.redacted() if self.address.is_redacted else writing

    def field_row(self, height: float, *, count: int = 2) -> Writing:
        """Return up to ``count`` fields of a label or form side by side."""
        rng, part = self.rng, self.part
        texts = [
            one_of(rng, _FIELDS[part]).format(
                long=" ".join(number_text(rng, 4) for _ in range(5)),
                number=number_text(rng, 4, 5, 5, 5, 6, 8),
                one=rng.integers(1, 10),
                two=number_text(rng, 2),
                three=number_text(rng, 3),
                date=draw_text(rng, "date", part),
                phone=draw_text(rng, "phone", part),
            )
            for _ in range(int(rng.integers(1, count + 1)))
        ]
        return self.printed(plain(["     ".join(texts)]), height, monospaced=0.4)


def capital_height(rng: Rng, lines: Sequence[Line], *, low: float, high: float) -> float:
    """Draw a height of capitals, within limits, for a longest line of 450 to 1,250 pixels."""
    letters = max(len(line.text) for line in lines)
    return float(np.clip(rng.uniform(450, 1250) / (0.85 * max(letters, 6)), low, high))


def framed(
    rng: Rng, block: Writing, paper: float, ink: float, *, sides: tuple[float, float]
) -> Canvas:
    """Return a sheet with a block, and margins around it in text heights."""
    top, right, bottom, left = rng.uniform(*sides, 4) * block.height + 3
    rows, columns = block.cover.shape
    page = Canvas((round(top + rows + bottom), round(left + columns + right)), paper)
    page.lay(block, top, left, ink)
    return page


def with_bar_code(rng: Rng, page: Canvas) -> Canvas:
    """Return the sheet with a barcode of separate bars above or below its content."""
    width = page.width * float(rng.uniform(0.45, 1.0))
    code = furniture.bar_code(rng, max(width, 160))
    rows, left = code.shape[0] + 8, page.width * float(rng.uniform(0, 0.12))
    if rng.random() < 0.6:
        longer = page.extended(0, rows)
        longer.ink(code, page.height, left, float(rng.uniform(0, 60)))
    else:
        longer = page.extended(rows, 0)
        longer.ink(code, 4, left, float(rng.uniform(0, 60)))
    return longer


def draw_rules(rng: Rng, page: Canvas, pitch: float) -> None:
    """Rule a sheet with horizontal lines, ``pitch`` pixels apart."""
    line, gray = np.ones((int(rng.integers(1, 4)), page.width), np.float32), rng.uniform(80, 190)
    for top in np.arange(float(rng.uniform(0, pitch)), page.height, pitch):
        page.ink(line, float(top), 0, float(gray))


def mark_zip(rng: Rng, page: Canvas, ink: float) -> None:
    """Underline the ZIP, or draw a box around it."""
    if page.zip_outline is None:
        return
    (left, top), (right, bottom) = page.zip_outline.min(axis=0), page.zip_outline.max(axis=0)
    reach = (bottom - top) * float(rng.uniform(0.12, 0.35)) + 2
    width = max(1.0, float(rng.uniform(0.02, 0.07)) * (bottom - top))
    if rng.random() < 0.6:
        line = np.ones((max(1, round(width)), round(right - left + 2 * reach)), np.float32)
        page.ink(line, bottom + reach / 2, left - reach, ink)
    else:
        shape = (round(bottom - top + 2 * reach), round(right - left + 2 * reach))
        page.ink(furniture.frame(shape, width), top - reach, left - reach, ink)
