"""Digits of handwriting typefaces, with each typeface as a writer."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from zipocr.training.data.datasets import DigitSet
from zipocr.training.synthesis.augment import stroke_width
from zipocr.training.synthesis.pages.faces import digit_hand_files
from zipocr.training.synthesis.typefaces import (
    DIGIT_HEIGHT,
    Typeface,
    common_rows,
    printed_digits,
    scaled_glyphs,
)

# First "writer" number, above those of all printed digits.
_FIRST_WRITER = 1_002_000
# Minimum stroke width, in pixels of a digit of `DIGIT_HEIGHT`; thinner typefaces are thickened.
_MIN_STROKE = 6.0
# Size of a canvas, in font sizes, on which no digit is clipped.
_CANVAS = 4


@lru_cache(maxsize=1)
def typeface_hands() -> DigitSet:
    """Return the digits of all handwriting typefaces for training, one of each."""
    files = digit_hand_files()
    return printed_digits([_face(path, _FIRST_WRITER + place) for place, path in enumerate(files)])


def _face(path: Path, writer: int) -> Typeface:
    """Render the digits of a font file, at their own heights above and below the baseline."""
    font = ImageFont.truetype(path, 2 * DIGIT_HEIGHT)
    drawn = [_rendered(font, str(digit)) for digit in range(10)]
    top, bottom = common_rows(drawn)
    glyphs = scaled_glyphs([_trimmed(glyph[top:bottom]) for glyph in drawn])
    return Typeface(name=path.stem, glyphs=_thickened(glyphs), pitch=0.0, writer=writer)


def _rendered(font: ImageFont.FreeTypeFont, digit: str) -> NDArray[np.uint8]:
    """Render a digit on a square of `_CANVAS` font sizes, its baseline through the middle."""
    side = round(_CANVAS * font.size)
    page = Image.new("L", (side, side))
    ImageDraw.Draw(page).text((side // 2, side // 2), digit, fill=255, font=font, anchor="ms")
    return np.asarray(page, np.uint8)


def _trimmed(glyph: NDArray[np.uint8]) -> NDArray[np.uint8]:
    columns = np.flatnonzero(glyph.any(axis=0))
    return glyph[:, columns[0] : columns[-1] + 1]


def _thickened(glyphs: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], ...]:
    """Thicken the strokes of a typeface to `_MIN_STROKE` if they are thinner."""
    lacking = round(_MIN_STROKE - float(np.median([stroke_width(glyph) for glyph in glyphs])))
    if lacking <= 0:
        return tuple(glyphs)
    pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (lacking + 1, lacking + 1))
    sides = ((0, 0), (lacking, lacking))
    return tuple(np.asarray(cv2.dilate(np.pad(one, sides), pen), np.uint8) for one in glyphs)
