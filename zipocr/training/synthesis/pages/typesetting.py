"""Printed lines: typefaces, typewriters, dot-matrix printers, and wear of printers."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from zipocr.training.synthesis.pages.addresses import Line
from zipocr.training.synthesis.pages.canvas import Outline, Writing, ink_outline
from zipocr.training.synthesis.pages.faces import monospaced_files, print_files
from zipocr.training.synthesis.print_wear import WEAR, wear_off
from zipocr.training.synthesis.scene_parameters import Rng
from zipocr.training.synthesis.strokes import Coverage
from zipocr.training.synthesis.typefaces import open_font
from zipocr.training.synthesis.wording import Part

WEARS = ("", "needles", "needles", *WEAR)
"""Kinds of print from bad printers; empty means no degradation."""
_MEASURED = 200  # type size for measuring the height of capitals


def draw_print_face(rng: Rng, part: Part, *, monospaced: float = 0.2) -> Path:
    """Draw a typeface; ``monospaced`` is the share of typewriters."""
    files = monospaced_files(part) if rng.random() < monospaced else print_files(part)
    return files[int(rng.integers(len(files)))]


def set_lines(
    rng: Rng,
    lines: Sequence[Line],
    face: Path,
    height: float,
    *,
    leading: float = 1.9,
    is_centred: bool = False,
) -> Writing:
    """Typeset lines with capitals of a height in pixels; ``leading`` is in such heights."""
    font = open_font(face, max(6, round(height / capital_share(face))))
    widths = [font.getlength(line.text) for line in lines]
    margin = round(0.4 * font.size)
    pitch = leading * height
    shape = (round(2.2 * height + pitch * (len(lines) - 1)), round(max(widths)) + 2 * margin)
    sheet = Image.new("L", shape[::-1])
    pen, starts = ImageDraw.Draw(sheet), []
    for place, (line, width) in enumerate(zip(lines, widths, strict=True)):
        left = margin + ((max(widths) - width) / 2 if is_centred else 0)
        baseline = 1.5 * height + place * pitch
        pen.text((round(left), round(baseline)), line.text, fill=255, font=font, anchor="ls")
        starts.append((round(left), round(baseline)))
    cover = np.asarray(sheet, np.float32) / np.float32(255)
    outline = _zip_outline(cover, lines, starts, font, height)
    writing = Writing(cover=cover, zip_outline=outline, height=height)
    return writing.resized(float(np.exp(rng.normal(0, 0.07))), 1.0)


@lru_cache(maxsize=256)
def capital_share(face: Path) -> float:
    """Return the height of a typeface's capitals relative to its size."""
    _, top, _, bottom = open_font(face, _MEASURED).getbbox("HEN", anchor="ls")
    return float(bottom - top) / _MEASURED


def _zip_outline(
    cover: Coverage,
    lines: Sequence[Line],
    starts: Sequence[tuple[int, int]],
    font: ImageFont.FreeTypeFont,
    height: float,
) -> Outline | None:
    for line, (left, baseline) in zip(lines, starts, strict=True):
        ends = [left + font.getlength(line.text[:at]) for at in line.zip_at]
        if ends[1] > ends[0]:
            top, first = max(0, round(baseline - 1.3 * height)), round(ends[0])
            window = cover[top : round(baseline + 0.35 * height), first : round(ends[1]) + 1]
            return ink_outline(window, top, first)
    return None


def worn(rng: Rng, writing: Writing, name: str) -> Writing:
    """Degrade print like a dot-matrix printer (``needles``) or a printer of `WEAR`."""
    if name in WEAR:
        return replace(writing, cover=wear_off(rng, writing.cover, name, writing.height))
    return replace(writing, cover=_needles(rng, writing.cover, writing.height))


def _needles(rng: Rng, cover: Coverage, height: float) -> Coverage:
    """Print as round dots on a coarse grid, seven or more per height of a capital."""
    pitch = height / float(rng.choice([7, 8, 9, 11, 12]))
    size = tuple(max(2, round(side / pitch)) for side in cover.shape[::-1])
    pins = cv2.resize(cover, size, interpolation=cv2.INTER_AREA) > rng.uniform(0.3, 0.45)
    unit = 8
    y, x = np.mgrid[:unit, :unit] - np.float32((unit - 1) / 2)
    dot = np.clip(float(rng.uniform(0.38, 0.6)) * unit - np.hypot(x, y) + 0.5, 0, 1)
    force = np.clip(rng.normal(1.0, 0.12, pins.shape), 0.4, 1) * pins
    dots = np.kron(force.astype(np.float32), dot.astype(np.float32))
    return np.asarray(cv2.resize(dots, cover.shape[::-1], interpolation=cv2.INTER_AREA), np.float32)
