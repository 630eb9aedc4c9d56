"""Handwritten lines: letters from a handwriting typeface, digits by one writer."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from zipocr.training.data.datasets import INK_HEIGHT, DigitSet
from zipocr.training.synthesis.augment import augment_glyph, stroke_width
from zipocr.training.synthesis.pages.addresses import Line
from zipocr.training.synthesis.pages.canvas import (
    Outline,
    Writing,
    ink_outline,
    joined_outline,
)
from zipocr.training.synthesis.pages.faces import CURSIVE, handwriting_files
from zipocr.training.synthesis.pages.furniture import frame
from zipocr.training.synthesis.pages.typesetting import capital_share
from zipocr.training.synthesis.scene_parameters import Pen, Rng, draw_kind, draw_scene
from zipocr.training.synthesis.strokes import Coverage, Piece, draw_strokes, set_side_by_side
from zipocr.training.synthesis.typefaces import open_font
from zipocr.training.synthesis.wording import Part

_HANDS = {
    "plain": 6, "slanted": 3, "touching": 4, "close": 3, "broken": 1, "split": 1, "faint": 0.5,
    "blurred": 0.5,
}  # fmt: skip
"""Weights of the kinds of hands, as in composed crops."""
_LETTER_SIZE = 60  # height of capitals for rendering words
_WIDEST_STROKE = 6.5  # at that height; wider ones would fill the counters of small letters
_CELLED = 0.06  # share of pages with the ZIP in printed boxes
_RUNS = re.compile(r"\d+|[^\d\s]+|\s+")


class DigitsOfWriters:
    """Digits by writer, so that all digits of a page are by one writer."""

    def __init__(self, digits: DigitSet) -> None:
        self.digits = digits
        order = np.argsort(digits.writers, kind="stable")
        self.names, starts = np.unique(digits.writers[order], return_index=True)
        self._rows = np.split(order, starts[1:])

    def draw_writer(self, rng: Rng, text: str) -> list[NDArray[np.int_]]:
        """Draw a writer with all digits of a text, and return the rows of each digit."""
        wanted = sorted({int(letter) for letter in text})
        for place in rng.permutation(len(self._rows)):
            rows = self._rows[place]
            by_label = [rows[self.digits.labels[rows] == label] for label in range(10)]
            if all(len(by_label[label]) for label in wanted):
                return by_label
        message = f"no writer wrote all the digits of {text}"
        raise ValueError(message)


class Penman:
    """The hand of a page: one typeface for letters, one writer's digits, one pen.

    ``height`` is the height of capitals in pixels; ``needed`` are digits that must be the writer's,
    while others may come from the typeface. ``files`` are those of the typefaces to draw from, by
    default the part's.
    """

    def __init__(
        self,
        rng: Rng,
        writers: DigitsOfWriters,
        part: Part,
        *,
        height: float,
        needed: str,
        files: Sequence[Path] = (),
    ) -> None:
        self.rng, self.digits = rng, writers.digits
        self.rows = writers.draw_writer(rng, needed)
        files = files or handwriting_files(part)
        self.face: Path = files[int(rng.integers(len(files)))]
        self._is_cursive = any(self.face.name.startswith(name) for name in CURSIVE)
        scene = draw_scene(rng, draw_kind(rng, _HANDS))
        self.pen: Pen = replace(scene.pen, wear="")
        self.height = height
        plain = replace(
            scene.hand,
            tilt=0.0,
            pitch=0.0,
            separator="",
            tail="",
            ligatures=0,
            printed=False,
            spacing=min(scene.hand.spacing, 0.3),
            spacing_jitter=min(scene.hand.spacing_jitter, 0.1),
        )
        self._digits_hand = replace(plain, height=height * float(rng.uniform(0.8, 1.2)))
        self._letters_hand = replace(
            plain, height=height, level=0.0, slant=plain.slant * 0.6, size_jitter=0.05
        )
        stroke = self._stroke_of_digits() * float(rng.uniform(0.6, 1.05))
        self._stroke = min(stroke, _WIDEST_STROKE)
        self._cell = float(rng.uniform(1.0, 1.6)) if rng.random() < _CELLED else 0.0
        self._blank = float(rng.uniform(0.35, 0.8))
        self._wander = float(rng.uniform(0.0, 0.08))

    def write(self, lines: Sequence[Line], *, leading: float, indent: float = 0.0) -> Writing:
        """Write lines below one another; ``leading`` and ``indent`` in heights of capitals."""
        pieces: list[Piece] = []
        marked: list[bool] = []
        for place, line in enumerate(lines):
            left = self.height * (indent * place + float(self.rng.normal(0, 0.25)))
            baseline = self.height * leading * place + float(self.rng.normal(0, 0.08 * self.height))
            self._write_line(line, left, baseline, pieces, marked)
        return _joined(pieces, marked, self.height)

    def _write_line(
        self, line: Line, left: float, baseline: float, pieces: list[Piece], marked: list[bool]
    ) -> None:
        """Append a line's pieces, and whether each belongs to the ZIP."""
        rng, slope = self.rng, float(self.rng.normal(0, 0.012))
        right, start = left, line.zip_at[0]
        for run in _RUNS.finditer(line.text):
            text, is_zip = run[0], start <= run.start() < line.zip_at[1]
            if text.isspace():
                right += self._blank * self.height * len(text) * float(rng.uniform(0.8, 1.25))
                continue
            foot = baseline - slope * (right - left)
            foot += float(rng.normal(0, self._wander)) * self.height
            drawn = self._drawn(text, is_zip=is_zip)
            if is_zip and self._cell and text.isdigit():
                boxes = _cells(len(text), self._cell, self._digits_hand.height)
                pieces.append(_moved(boxes, foot, right))
                marked.append(False)
            for piece in drawn:
                pieces.append(_moved(piece, foot, right))
                marked.append(is_zip)
            right += max(piece.left + piece.cover.shape[1] for piece in drawn)
            right += float(rng.uniform(0.04, 0.16)) * self.height

    def _drawn(self, text: str, *, is_zip: bool) -> list[Piece]:
        """Draw a run of digits or of other non-blank characters, with the baseline at row 0."""
        if self._has(text):
            return self._digits(text, cell=self._cell if is_zip else 0.0)
        return self._letters(text.title() if self._is_cursive and text.isupper() else text)

    def _has(self, text: str) -> bool:
        return text.isdigit() and all(len(self.rows[int(digit)]) for digit in text)

    def _digits(self, text: str, *, cell: float) -> list[Piece]:
        """Draw digits of the writer, with the baseline at row 0; ``cell`` is a box's width or 0."""
        rng, hand = self.rng, replace(self._digits_hand, pitch=cell)
        rows = [int(rng.choice(self.rows[int(digit)])) for digit in text]
        glyphs = [
            augment_glyph(rng, self.digits.images[row], int(self.digits.labels[row]), strength=0.5)
            for row in rows
        ]
        hand = replace(hand, contacts=0 if cell else min(hand.contacts, len(text) - 1))
        covers = [draw_strokes(rng, glyph, hand, self.pen) for glyph in glyphs]
        placed = set_side_by_side(rng, covers, hand)
        foot = round(float(np.median([piece.top + piece.cover.shape[0] for piece in placed])))
        first = 0 if cell else min(piece.left for piece in placed)
        return [
            Piece(cover=piece.cover, top=piece.top - foot, left=piece.left - first)
            for piece in placed
        ]

    def _stroke_of_digits(self) -> float:
        """Width of the writer's strokes at the size for rendering words."""
        rows = [int(rows[0]) for rows in self.rows if len(rows)][:4]
        widths = [stroke_width(self.digits.images[row]) for row in rows]
        return float(np.median(widths)) * _LETTER_SIZE / INK_HEIGHT

    def _letters(self, text: str) -> list[Piece]:
        """Draw a word with the baseline at row 0."""
        glyph, below = _rendered(self.face, text)
        glyph = _thickened(glyph, self._stroke)
        cover = draw_strokes(self.rng, glyph, self._letters_hand, self.pen, size=_LETTER_SIZE)
        return [Piece(cover=cover, top=round((below - 1) * cover.shape[0]), left=0)]


def _moved(piece: Piece, down: float, along: float) -> Piece:
    return replace(piece, top=piece.top + round(down), left=piece.left + round(along))


def _cells(count: int, wide: float, height: float) -> Piece:
    """Draw a row of boxes around digits with the baseline at row 0; widths are in heights."""
    rows, columns = round(1.45 * height), round(wide * height * count)
    cover = np.zeros((rows, columns), np.float32)
    for place in range(count):
        left, right = (round(wide * height * end) for end in (place, place + 1))
        cover[:, left:right] = frame((rows, right - left), max(1.0, 0.04 * height))
    return Piece(cover=cover, top=round(-1.22 * height), left=0)


def _rendered(face: Path, text: str) -> tuple[NDArray[np.uint8], float]:
    """Render a trimmed word, ``(h, w) uint8``; return also the share of rows below the baseline."""
    font = open_font(face, round(_LETTER_SIZE / capital_share(face)))
    left, top, right, bottom = font.getbbox(text, anchor="ls")
    size = (max(1, round(right - left)), max(1, round(bottom - top)))
    sheet = Image.new("L", size)
    ImageDraw.Draw(sheet).text((-left, -top), text, fill=255, font=font, anchor="ls")
    return np.asarray(sheet, np.uint8), float(bottom) / size[1]


def _thickened(glyph: NDArray[np.uint8], width: float) -> NDArray[np.uint8]:
    """Thicken the strokes of a word to about ``width`` if they are narrower."""
    more = round(width - stroke_width(glyph))
    if more < 1:
        return glyph
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (more + 1, more + 1))
    return np.asarray(cv2.dilate(np.pad(glyph, more), disc), np.uint8)


def _joined(pieces: Sequence[Piece], marked: Sequence[bool], height: float) -> Writing:
    """Draw all pieces on one layer."""
    top, left = min(piece.top for piece in pieces), min(piece.left for piece in pieces)
    bottom = max(piece.top + piece.cover.shape[0] for piece in pieces)
    right = max(piece.left + piece.cover.shape[1] for piece in pieces)
    cover: Coverage = np.zeros((bottom - top, right - left), np.float32)
    outline: Outline | None = None
    for piece, is_zip in zip(pieces, marked, strict=True):
        row, column = piece.top - top, piece.left - left
        window = cover[row : row + piece.cover.shape[0], column : column + piece.cover.shape[1]]
        np.maximum(window, piece.cover, out=window)
        if is_zip:
            outline = joined_outline(outline, ink_outline(piece.cover, row, column))
    return Writing(cover=cover, zip_outline=outline, height=height)
