"""Single lines of addresses, in print and by hand, to train networks on."""

from dataclasses import dataclass, replace

import numpy as np

from zipocr.training.data.datasets import DigitSet
from zipocr.training.synthesis.pages.addresses import Address, Line, draw_destination
from zipocr.training.synthesis.pages.canvas import Canvas, Writing
from zipocr.training.synthesis.pages.desk import Desk, capital_height
from zipocr.training.synthesis.pages.faces import more_handwriting_files
from zipocr.training.synthesis.pages.handwriting import DigitsOfWriters
from zipocr.training.synthesis.pages.surfaces import (
    as_cropped,
    draw_low_quality,
    draw_scanning,
    scanned,
)
from zipocr.training.synthesis.pages.typesetting import WEARS
from zipocr.training.synthesis.scene_parameters import Rng
from zipocr.training.synthesis.wording import one_of, town_words
from zipocr.types import GrayImage

# Shares of lines by hand, of poor print or scans, of lines with a town, and of meaningless words,
# which keep the network from learning the towns by heart.
BY_HAND, LOW_QUALITY, TOWNS, MEANINGLESS = 0.6, 0.25, 0.55, 0.15
# Width of a sheet, in widths of its line; on a wide one, no word counts as a picture.
SHEET = 3.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LetterLine:
    """A page with one line, ``(H, W) uint8``, and its text."""

    image: GrayImage
    text: str


class LetterLines:
    """Composer of lines by number: the n-th is the same in every process and order.

    ``by_hand`` is the share of handwritten lines, ``with_zip`` that of lines with a ZIP, and
    ``sheet`` the width of the sheet in widths of its line.
    """

    def __init__(
        self,
        digits: DigitSet,
        *,
        seed: int,
        by_hand: float = BY_HAND,
        with_zip: float = 0.0,
        sheet: float = SHEET,
    ) -> None:
        self.seed, self.by_hand, self.with_zip, self.sheet = seed, by_hand, with_zip, sheet
        self._writers = DigitsOfWriters(digits)

    def nth(self, number: int) -> LetterLine:
        """Return the line with this number."""
        rng = np.random.default_rng((self.seed, number))
        if self.with_zip and rng.random() < self.with_zip:
            address = _draw_zip_line(rng)
        else:
            address = Address(lines=(Line(text=_draw_text(rng)),), zip="", plus4="")
        (line,) = address.lines
        desk = Desk(rng=rng, part="train", writers=self._writers, address=address)
        is_by_hand, is_poor = rng.random() < self.by_hand, rng.random() < LOW_QUALITY
        if is_poor and not is_by_hand:
            desk = replace(desk, wear=str(rng.choice(WEARS)))
        scanning = draw_low_quality(rng) if is_poor else draw_scanning(rng)
        block, paper = (_by_hand if is_by_hand else _in_print)(desk, line)
        canvas = _on_sheet(desk, block, paper, self.sheet)
        view = as_cropped(canvas, angle=float(np.clip(rng.normal(0, 1.5), -8, 8)))
        return LetterLine(image=scanned(rng, view, scanning).image, text=line.text)


def _draw_text(rng: Rng) -> str:
    """Draw a line: a town and its state, any line of an address, or meaningless words."""
    if rng.random() < MEANINGLESS:
        words = [one_of(rng, town_words("train")) for _ in range(int(rng.integers(1, 4)))]
        text = " ".join("".join(rng.permutation(list(word)).tolist()) for word in words)
        return one_of(rng, (text.upper(), text.lower(), text.title()))
    address = draw_destination(rng, "train", after=0.0)
    if rng.random() < TOWNS:
        return address.without_zip().lines[-1].text
    return one_of(rng, tuple(line.text for line in address.lines if line.text))


def _draw_zip_line(rng: Rng) -> Address:
    """Draw the line of an address with its ZIP."""
    address = draw_destination(rng, "train", after=0.0)
    line = next(line for line in address.lines if line.zip_at[0] < line.zip_at[1])
    return replace(address, lines=(line,))


def _by_hand(desk: Desk, line: Line) -> tuple[Writing, float]:
    rng, paper = desk.rng, desk.paper()
    height = capital_height(rng, [line], low=15, high=70)
    penman = desk.penman(height, more_handwriting_files())
    return desk.written(penman, [line]), paper


def _in_print(desk: Desk, line: Line) -> tuple[Writing, float]:
    rng, paper = desk.rng, desk.paper()
    height = capital_height(rng, [line], low=12, high=50)
    return desk.printed([line], height, monospaced=0.3), paper


def _on_sheet(desk: Desk, block: Writing, paper: float, sheet: float) -> Canvas:
    """Lay a line on a sheet, ``sheet`` times as wide."""
    rows, columns = block.cover.shape
    margin = block.height * float(desk.rng.uniform(0.3, 1.4)) + 3
    page = Canvas((round(rows + 2 * margin), round(sheet * columns + 2 * margin)), paper)
    page.lay(block, margin, margin, desk.ink(paper))
    return page
