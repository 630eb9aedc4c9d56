"""Machine-printed digits: OCR-A and OCR-B, dot-matrix printers, seven-segment displays."""

from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.training.synthesis.scene_parameters import Rng
from zipocr.training.synthesis.skeletons import smooth_curve
from zipocr.training.synthesis.typefaces import (
    DIGIT_HEIGHT,
    FIVE_BY_SEVEN,
    Typeface,
    dot_grid,
    typefaces,
)

Glyph = NDArray[np.uint8]
# Shares of slashed zeros, and of unmarked zeros on a grid of five by seven pins.
SLASHED_ZEROS, BARE_ZEROS = 0.3, 0.5
_BARE_ZERO, _SLASH = "01110 10001 10001 10001 10001 10001 01110", " / 4,96 56,4"
# Strokes as in `skeletons`: points "x,y" in hundredths of a height, strokes separated by "/".
OCR_A = (
    "10,0 50,0 60,15 60,85 50,100 10,100 0,85 0,15 10,0",
    "10,0 32,0 32,100 / 5,100 60,100 60,72",
    "0,0 60,0 60,48 0,48 0,100 60,100",
    "0,0 55,0 55,48 / 18,48 60,48 60,100 0,100",
    "0,0 0,62 60,62 / 45,38 45,100",
    "60,0 0,0 0,42 60,42 60,100 0,100",
    "0,0 0,100 60,100 60,50 0,50",
    "0,22 0,0 60,0 60,25 32,52 32,100",
    "14,0 46,0 46,46 14,46 14,0 / 0,46 60,46 60,100 0,100 0,46",
    "60,100 60,0 0,0 0,48 60,48",
)
OCR_B = (
    "25,0 3,25 3,75 25,100 47,75 47,25 25,0",
    "6,22 28,0 / 28,0 28,100 / 5,100 50,100",
    "4,22 10,4 28,0 46,10 46,30 30,55 4,98 / 4,98 50,98",
    "4,0 46,0 / 46,0 24,36 / 24,36 44,48 48,72 36,96 18,100 2,90",
    "30,0 2,68 / 2,68 54,68 / 40,45 40,100",
    "44,0 10,0 / 10,0 8,42 / 8,42 30,40 46,55 46,82 28,100 4,94",
    "34,0 10,40 3,70 14,96 32,98 46,80 42,56 26,48 8,62",
    "2,0 48,0 / 48,0 26,45 20,100",
    "25,0 8,10 8,32 25,46 44,62 46,86 25,100 4,86 6,62 25,46 42,32 42,10 25,0",
    "16,100 40,58 47,30 36,4 18,2 4,20 8,44 24,52 42,38",
)
# Start and end of segments a to g of a display, in hundredths of a height; and segments by digit.
_SEGMENTS = {
    "a": "4,0 46,0", "b": "50,4 50,46", "c": "50,54 50,96", "d": "4,100 46,100",
    "e": "0,54 0,96", "f": "0,4 0,46", "g": "4,50 46,50",
}  # fmt: skip
_LIT = ["abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg"]
_UNIT = 20  # pixels from pin to pin


def draw_face(rng: Rng) -> Typeface:
    """Draw a random typeface; all of its digits come from one machine."""
    makers = (
        partial(_stroked, strokes=OCR_A, is_smooth=False),
        partial(_stroked, strokes=OCR_B, is_smooth=True),
        _displayed,
        _dotted,
    )
    glyphs = makers[int(rng.choice(len(makers), p=[0.2, 0.25, 0.05, 0.5]))](rng)
    widest = max(glyph.shape[1] for glyph in glyphs)
    pitch = (widest + DIGIT_HEIGHT * float(rng.uniform(0.1, 0.35))) / DIGIT_HEIGHT
    return Typeface(name="machine", glyphs=glyphs, pitch=pitch, writer=-1)


def _stroked(rng: Rng, strokes: Sequence[str], *, is_smooth: bool) -> tuple[Glyph, ...]:
    """Draw stroked digits of one width and proportion."""
    width, aspect = float(rng.uniform(0.08, 0.2)), float(rng.uniform(0.8, 1.25))
    if rng.random() < SLASHED_ZEROS:
        strokes = (strokes[0] + _SLASH, *strokes[1:])
    return tuple(_plotted(digit, width, aspect, is_smooth=is_smooth) for digit in strokes)


def _displayed(rng: Rng) -> tuple[Glyph, ...]:
    width, aspect = float(rng.uniform(0.06, 0.14)), float(rng.uniform(0.8, 1.2))
    lit = (" / ".join(_SEGMENTS[name] for name in names) for names in _LIT)
    return tuple(_plotted(digit, width, aspect, is_smooth=False) for digit in lit)


def _plotted(strokes: str, width: float, aspect: float, *, is_smooth: bool) -> Glyph:
    """Draw a digit of `DIGIT_HEIGHT` rows, cropped to the width of its ink."""
    thick = max(2, round(width * DIGIT_HEIGHT))
    inner = DIGIT_HEIGHT - thick
    canvas = np.zeros((DIGIT_HEIGHT, 2 * DIGIT_HEIGHT), np.uint8)
    for stroke in strokes.split("/"):
        points = np.array(
            [[float(one) / 100 for one in point.split(",")] for point in stroke.split()]
        )
        points = smooth_curve(points) if is_smooth else points
        placed = points * [inner * aspect, inner] + [DIGIT_HEIGHT / 2, thick / 2]
        fixed = np.round(placed * 16).astype(np.int32)[:, None]
        cv2.polylines(canvas, [fixed], False, 255, thick, cv2.LINE_AA, 4)
    columns = np.flatnonzero(canvas.max(axis=0))
    return canvas[:, columns[0] : columns[-1] + 1]


def _dotted(rng: Rng) -> tuple[Glyph, ...]:
    """Draw digits of equal dots, separate or merged, on the grid of one printer.

    Some pins print faintly.
    """
    grids = _pin_grids(rng)
    radius = float(rng.uniform(0.3, 0.62))
    force = np.clip(rng.normal(1.05, 0.2, max(grid.shape[0] for grid in grids)), 0.45, 1)
    wide = float(rng.uniform(0.75, 1.1))
    return tuple(_as_dots(rng, grid, radius, force, wide) for grid in grids)


def _pin_grids(rng: Rng) -> list[Glyph]:
    if rng.random() < 0.4:
        zero = _BARE_ZERO if rng.random() < BARE_ZEROS else FIVE_BY_SEVEN[0]
        return [
            np.array([[int(dot) for dot in row] for row in rows.split()], np.uint8)
            for rows in (zero, *FIVE_BY_SEVEN[1:])
        ]
    faces = typefaces("train")
    face, pins = faces[int(rng.integers(len(faces)))], int(rng.integers(7, 17))
    grids = [dot_grid(glyph, pins) for glyph in face.glyphs]
    if rng.random() < SLASHED_ZEROS:
        height, width = grids[0].shape
        slashed = cv2.line(grids[0].copy(), (0, height - 2), (width - 1, 1), 1)
        grids[0] = np.asarray(slashed, np.uint8)
    return grids


def _as_dots(
    rng: Rng, grid: Glyph, radius: float, force: NDArray[np.float64], wide: float
) -> Glyph:
    page = np.zeros((grid.shape[0] * _UNIT, round(grid.shape[1] * _UNIT * wide)), np.uint8)
    for row, column in np.argwhere(grid):
        x, y = (column + 0.5) * _UNIT * wide, (row + 0.5) * _UNIT
        centre = np.round((np.array([x, y]) + rng.normal(0, 0.03 * _UNIT, 2)) * 16).astype(int)
        ink = 255 * float(force[row]) * (rng.random() > 0.01)
        cv2.circle(page, centre.tolist(), round(radius * _UNIT * 16), ink, -1, cv2.LINE_AA, 4)
    size = (max(2, round(page.shape[1] * DIGIT_HEIGHT / page.shape[0])), DIGIT_HEIGHT)
    return np.asarray(cv2.resize(page, size, interpolation=cv2.INTER_AREA), np.uint8)
