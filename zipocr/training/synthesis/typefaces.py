"""Printed digits: typefaces from pip packages, and two machine scripts drawn here.

Some families belong only to the test part, so that printed test strings use type unseen in
training, and some only to calibration. No font is part of this package: the files come with
matplotlib (DejaVu, STIX, Computer Modern) and with the ``font-*`` packages (OFL 1.1 or Apache 2.0),
see the ``train`` extra. OpenCV's own fonts are not used, since they differ between versions 4 and
5, which would make results irreproducible.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from zipocr.errors import InputError
from zipocr.training.data.datasets import GLYPH_SIZE, INK_HEIGHT, DigitSet

Part: TypeAlias = Literal["train", "calibrate", "test"]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
LETTER_SIZE = 64
DIGIT_HEIGHT = 72  # rows of a rendered digit, enough to scale it to any height without jagged edges
_INKED, _DOTTED = 127, 105  # minimum gray of an ink pixel, and of a coarse pixel with a dot
# First "writer" numbers of printed digits: each typeface counts as a writer.
_FIRST_WRITERS: dict[Part, int] = {"train": 1_000_000, "calibrate": 1_000_500, "test": 1_001_000}
_FOLDERS = {"matplotlib": "mpl-data/fonts/ttf"}

_FILES: dict[Part, dict[str, tuple[str, ...]]] = {
    "train": {
        "matplotlib": (
            "DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSans-Oblique.ttf",
            "DejaVuSans-BoldOblique.ttf", "DejaVuSerif.ttf",
            "DejaVuSerif-Bold.ttf", "DejaVuSerif-Italic.ttf", "DejaVuSerif-BoldItalic.ttf",
            "DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf",
            "DejaVuSansMono-Oblique.ttf", "STIXGeneral.ttf", "STIXGeneralBol.ttf",
            "STIXGeneralItalic.ttf", "cmr10.ttf",
            "cmss10.ttf", "cmb10.ttf",
        ),
        "font_source_sans_pro": (
            "SourceSansPro-Regular.ttf", "SourceSansPro-Bold.ttf", "SourceSansPro-It.ttf",
            "SourceSansPro-Black.ttf",
        ),
        "font_source_serif_pro": (
            "SourceSerifPro-Regular.ttf", "SourceSerifPro-Bold.ttf", "SourceSerifPro-It.ttf",
        ),
        "font_hanken_grotesk": (
            "HankenGrotesk-Regular.otf", "HankenGrotesk-Bold.otf", "HankenGrotesk-Italic.otf",
            "HankenGrotesk-Light.otf",
        ),
    },
    "calibrate": {
        "font_roboto": (
            "Roboto-Regular.ttf", "Roboto-Bold.ttf", "Roboto-Italic.ttf", "Roboto-Light.ttf",
        ),
        "font_fjallaone": ("FjallaOne-Regular.ttf",),
    },
    "test": {
        "matplotlib": ("cmtt10.ttf",),
        "font_caladea": ("Caladea-Regular.ttf", "Caladea-Bold.ttf", "Caladea-Italic.ttf"),
        "font_manrope": ("Manrope-Regular.ttf", "Manrope-Bold.ttf"),
    },
}  # fmt: skip
_MATRICES: dict[Part, dict[str, str]] = {
    "train": {"5x7": "", "9-pin": "DejaVuSansMono.ttf"},
    "calibrate": {},
    "test": {"12-pin": "cmtt10.ttf"},
}
_PINS = {"5x7": 7, "9-pin": 9, "12-pin": 12}
FIVE_BY_SEVEN = (
    "01110 10001 10011 10101 11001 10001 01110", "00100 01100 00100 00100 00100 00100 01110",
    "01110 10001 00001 00010 00100 01000 11111",
    "11111 00010 00100 00010 00001 10001 01110", "00010 00110 01010 10010 11111 00010 00010",
    "11111 10000 11110 00001 00001 10001 01110",
    "00110 01000 10000 11110 10001 10001 01110", "11111 00001 00010 00100 01000 01000 01000",
    "01110 10001 10001 01110 10001 10001 01110",
    "01110 10001 10001 01111 00001 00010 01100",
)  # fmt: skip
# Strokes of an OCR-A-like script on a grid 4 wide and 6 high: points "xy", strokes separated by a
# slash.
_ANGULAR = (
    "10 30 41 45 36 16 05 01 10", "10 20 26 / 06 46 45", "00 40 43 03 06 46",
    "00 30 33 / 13 43 46 06", "00 04 44 / 32 36",
    "40 00 03 43 46 06", "00 06 46 43 03", "01 00 40 42 24 26",
    "10 30 33 13 10 / 03 43 46 06 03", "46 40 00 03 43",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Typeface:
    """Ten rendered digits: ``glyphs[d]`` is ``(72, w_d) uint8``, 0 paper to 255 ink.

    ``pitch`` is the advance width in digit heights; ``writer`` is the typeface's writer number, far
    above all NIST writers.
    """

    name: str
    glyphs: tuple[NDArray[np.uint8], ...]
    pitch: float
    writer: int


@lru_cache(maxsize=3)
def typefaces(part: Part) -> tuple[Typeface, ...]:
    """Return all typefaces of a part, always in the same order; no family belongs to two."""
    first = _FIRST_WRITERS[part]
    drawn: list[tuple[str, tuple[NDArray[np.uint8], ...], float]] = []
    for package, names in _FILES[part].items():
        drawn += [(name.rsplit(".", 1)[0], *_outlines(_font_path(package, name))) for name in names]
    drawn += [
        (f"dots-{name}", *_dots(_PINS[name], source)) for name, source in _MATRICES[part].items()
    ]
    if part == "train":
        drawn.append(("angular", *_angular()))
    return tuple(
        Typeface(name=name, glyphs=glyphs, pitch=pitch, writer=first + place)
        for place, (name, glyphs, pitch) in enumerate(drawn)
    )


def printed_digits(faces: Sequence[Typeface]) -> DigitSet:
    """Return a 28x28 image of each digit of each typeface, sized as in MNIST.

    The longer side is 20 pixels.
    """
    images = np.stack([_fitted(glyph) for face in faces for glyph in face.glyphs])
    writers = np.repeat(np.array([face.writer for face in faces], np.int32), 10)
    labels = np.tile(np.arange(10, dtype=np.uint8), len(faces))
    return DigitSet(
        images=images, labels=labels, writers=writers, grids=np.zeros((0, 8, 8), np.uint8)
    )


@lru_cache(maxsize=4)
def _alphabets(part: Part) -> tuple[dict[str, NDArray[np.uint8]], ...]:
    """Return the letters of matplotlib's typefaces of a part, aligned on their baseline."""
    fonts = [
        ImageFont.truetype(_font_path("matplotlib", name), LETTER_SIZE)
        for name in _FILES[part]["matplotlib"]
    ]
    return tuple({letter: _typeset(font, letter) for letter in LETTERS} for font in fonts)


def render_word(rng: np.random.Generator, word: str, part: Part = "train") -> NDArray[np.uint8]:
    """Render a word of `LETTERS` in one of matplotlib's typefaces.

    ``(h, w) uint8``, 0 paper to 255 ink, trimmed.
    """
    alphabets = _alphabets(part)
    letters = alphabets[int(rng.integers(len(alphabets)))]
    gap = np.zeros((letters["a"].shape[0], LETTER_SIZE // 12), np.uint8)
    line = np.hstack([part for letter in word for part in (letters[letter], gap)])
    rows = np.flatnonzero(line.max(axis=1) > _INKED)
    return line[rows[0] : rows[-1] + 1]


def font_files(part: Part) -> tuple[Path, ...]:
    """Return the font files of a part's typefaces, for text."""
    return tuple(
        _font_path(package, name) for package, names in _FILES[part].items() for name in names
    )


@lru_cache(maxsize=1024)
def open_font(path: Path, size: int) -> ImageFont.FreeTypeFont:
    """Open a font at a size in pixels."""
    return ImageFont.truetype(path, size)


def _font_path(package: str, name: str) -> Path:
    found = find_spec(package)
    if found is None or found.origin is None:
        message = (
            f"the typefaces of {package.replace('_', '-')} are not installed: install zipocr[train]"
        )
        raise InputError(message)
    return Path(found.origin).parent / _FOLDERS.get(package, "files") / name


def _typeset(font: ImageFont.FreeTypeFont, text: str) -> NDArray[np.uint8]:
    """Render a line of text, trimmed only at the sides, so that letters keep their baseline."""
    left, _, right, _ = font.getbbox(text)
    page = Image.new("L", (max(1, round(right - left)), round(font.size * 1.5)))
    ImageDraw.Draw(page).text((-left, round(font.size * 0.2)), text, fill=255, font=font)
    return np.asarray(page, np.uint8)


def _outlines(path: Path) -> tuple[tuple[NDArray[np.uint8], ...], float]:
    font = ImageFont.truetype(path, 2 * DIGIT_HEIGHT)
    glyphs = [_typeset(font, str(digit)) for digit in range(10)]
    top, bottom = common_rows(glyphs)
    pitch = font.getlength("0") / (bottom - top)
    return scaled_glyphs([glyph[top:bottom] for glyph in glyphs]), pitch


def common_rows(glyphs: Sequence[NDArray[np.uint8]]) -> tuple[int, int]:
    """Return the first row with ink in any glyph, and the row after the last."""
    inked = np.flatnonzero(np.max([glyph.max(axis=1) for glyph in glyphs], axis=0) > _INKED)
    return int(inked[0]), int(inked[-1]) + 1


def scaled_glyphs(glyphs: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], ...]:
    """Scale glyphs to `DIGIT_HEIGHT` rows, with widths in proportion."""
    factor = DIGIT_HEIGHT / glyphs[0].shape[0]
    sizes = [(max(2, round(glyph.shape[1] * factor)), DIGIT_HEIGHT) for glyph in glyphs]
    shrunk = (
        cv2.resize(glyph, size, interpolation=cv2.INTER_AREA)
        for glyph, size in zip(glyphs, sizes, strict=True)
    )
    return tuple(np.asarray(glyph, np.uint8) for glyph in shrunk)


def _trimmed(glyph: NDArray[np.uint8]) -> NDArray[np.uint8]:
    columns = np.flatnonzero(glyph.max(axis=0) > _INKED)
    return glyph[:, columns[0] : columns[-1] + 1]


def _dots(pins: int, source: str) -> tuple[tuple[NDArray[np.uint8], ...], float]:
    """Draw digits like a dot-matrix printer.

    Round dots on a grid ``pins`` high, from the 5x7 letters or from a typeface made coarse.
    """
    if source:
        outlines, pitch = _outlines(_font_path("matplotlib", source))
        grids = [dot_grid(glyph, pins) for glyph in outlines]
    else:
        grids = [
            np.array([[int(dot) for dot in row] for row in rows.split()], np.uint8)
            for rows in FIVE_BY_SEVEN
        ]
        pitch = 6 / 7
    return scaled_glyphs([_as_dots(grid) for grid in grids]), pitch


def dot_grid(glyph: NDArray[np.uint8], pins: int) -> NDArray[np.uint8]:
    """Return the pins that print a glyph: ``(pins, w) uint8``, 1 where a pin strikes."""
    small = cv2.resize(
        glyph,
        (max(1, round(glyph.shape[1] * pins / glyph.shape[0])), pins),
        interpolation=cv2.INTER_AREA,
    )
    return np.asarray(small > _DOTTED, np.uint8)


def _as_dots(grid: NDArray[np.uint8]) -> NDArray[np.uint8]:
    page = np.zeros((grid.shape[0] * 20, grid.shape[1] * 20), np.uint8)
    for row, column in np.argwhere(grid):
        cv2.circle(page, (int(column) * 20 + 10, int(row) * 20 + 10), 10, 255, -1, cv2.LINE_AA)
    return page


def _angular() -> tuple[tuple[NDArray[np.uint8], ...], float]:
    glyphs = []
    for strokes in _ANGULAR:
        page = np.zeros((150, 110), np.uint8)
        for stroke in strokes.split("/"):
            points = np.array(
                [[15 + 20 * int(point[0]), 15 + 20 * int(point[1])] for point in stroke.split()],
                np.int32,
            )
            cv2.polylines(page, [points[:, None]], False, 255, 14, cv2.LINE_AA)
        glyphs.append(page)
    top, bottom = common_rows(glyphs)
    return scaled_glyphs([_trimmed(glyph[top:bottom]) for glyph in glyphs]), 118 / (bottom - top)


def _fitted(glyph: NDArray[np.uint8]) -> NDArray[np.uint8]:
    factor = INK_HEIGHT / max(glyph.shape)
    size = (max(2, round(glyph.shape[1] * factor)), max(2, round(glyph.shape[0] * factor)))
    small = cv2.resize(glyph, size, interpolation=cv2.INTER_AREA)
    top, left = (GLYPH_SIZE - size[1]) // 2, (GLYPH_SIZE - size[0]) // 2
    image = np.zeros((GLYPH_SIZE, GLYPH_SIZE), np.uint8)
    image[top : top + size[1], left : left + size[0]] = small
    return image
