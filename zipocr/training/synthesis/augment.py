"""Augmentation of glyphs: variation within a writer, and shapes of other countries."""

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.training.synthesis.scene_parameters import Rng
from zipocr.training.synthesis.skeletons import draw_path

_INKED = 127
_MIN_ROWS = 8  # minimum rows of a glyph for drawing onto it
Glyph = NDArray[np.uint8]


def augment_glyph(
    rng: Rng, glyph: Glyph, label: int, *, strength: float = 1.0, european: float = 0.0
) -> Glyph:
    """Shear, rotate, widen, thicken and bend a glyph slightly.

    The glyph is (28, 28) uint8, 0 paper to 255 ink; a ``strength`` of 0 changes nothing.

    ``european`` is the probability of a European or Latin American hand: it adds a flag and a foot
    to the 1 and a bar to the 7, and sometimes links the 0 to the next digit, opens the 4 and
    mirrors the 9 (`SHAPES`).
    """
    if european and label in SHAPES and rng.random() < european:
        share, shape = SHAPES[label]
        if rng.random() < share:
            glyph = shape(rng, glyph)
    if not strength:
        return glyph
    return _weighted(rng, _bent(rng, glyph, strength), strength)


def _bent(rng: Rng, glyph: Glyph, strength: float) -> Glyph:
    """Apply an affine and an elastic distortion in one resampling."""
    size = glyph.shape[0]
    turn, lean, wide = rng.normal(0, [0.05, 0.08, 0.07]) * strength
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) - (size - 1) / 2
    back_x = (x + lean * y) * np.exp(-wide) + turn * y
    back_y = y - turn * x
    waves = rng.normal(0, 0.55 * strength, (2, 5, 5)).astype(np.float32)
    wave_x, wave_y = (
        cv2.resize(wave, (size, size), interpolation=cv2.INTER_CUBIC) for wave in waves
    )
    half = (size - 1) / 2
    bent = cv2.remap(
        glyph,
        (back_x + wave_x + half).astype(np.float32),
        (back_y + wave_y + half).astype(np.float32),
        cv2.INTER_CUBIC,
    )
    return np.asarray(bent, np.uint8)


def _weighted(rng: Rng, glyph: Glyph, strength: float) -> Glyph:
    """Make a glyph thicker or thinner by up to half a pixel.

    Blends the glyph with its dilation or erosion.
    """
    share = float(np.clip(rng.normal(0, 0.3), -0.6, 0.6)) * strength
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    other = cv2.dilate(glyph, cross) if share > 0 else cv2.erode(glyph, cross)
    return np.asarray(cv2.addWeighted(glyph, 1 - abs(share), other, abs(share), 0), np.uint8)


def moved_bitmap(rng: Rng, bitmap: Glyph) -> Glyph:
    """Rotate, shear, stretch and shift a normalized character, (32, 32) uint8.

    The distortions are within the variation of one writer's digits.
    """
    turn, lean = rng.normal(0, [0.105, 0.12])
    wide, tall = np.exp(rng.normal(0, 0.09, 2))
    shift = rng.normal(0, 1.2, 2)
    back = np.array(
        [[wide * np.cos(turn), lean - np.sin(turn)], [np.sin(turn), tall * np.cos(turn)]]
    )
    middle = (np.array(bitmap.shape) - 1) / 2
    matrix = np.column_stack([back, middle - back @ middle + shift])
    return np.asarray(
        cv2.warpAffine(bitmap, matrix, bitmap.shape, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP),
        np.uint8,
    )


def flag_and_foot(rng: Rng, glyph: Glyph) -> Glyph:
    """Draw a flag onto a plain 1, from its top down to the left, and sometimes a foot."""
    stem = _stem(glyph)
    if stem is None:
        return glyph
    (top_x, top_y), (foot_x, foot_y), width = stem
    length, angle = (
        (foot_y - top_y) * float(rng.uniform(0.2, 0.75)),
        float(np.deg2rad(rng.uniform(20, 60))),
    )
    canvas = _widened(glyph)
    shift = (canvas.shape[1] - glyph.shape[1]) / 2
    tip = (top_x + shift - length * np.sin(angle), top_y + length * np.cos(angle))
    draw_path(canvas, [(top_x + shift, top_y + width / 2), tip], width * float(rng.uniform(0.7, 1)))
    if rng.random() < 0.3:
        half = (foot_y - top_y) * float(rng.uniform(0.15, 0.35))
        tilt = float(rng.normal(0, 0.7))
        base_x, base_y = foot_x + shift, foot_y - width / 2
        draw_path(
            canvas, [(base_x - half, base_y + tilt), (base_x + half, base_y - tilt)], width * 0.85
        )
    return canvas


def bar(rng: Rng, glyph: Glyph) -> Glyph:
    """Draw a level or rising bar through the stem of a 7, about half-way down."""
    ink = glyph > _INKED
    rows = np.flatnonzero(ink.any(axis=1))
    if len(rows) < _MIN_ROWS:
        return glyph
    middle = rows[0] + (rows[-1] - rows[0]) * float(rng.uniform(0.42, 0.65))
    columns = np.flatnonzero(ink[round(middle)])
    if not len(columns):
        return glyph
    centre, half = float(columns.mean()), (rows[-1] - rows[0]) * float(rng.uniform(0.15, 0.3))
    canvas, rise = glyph.copy(), float(rng.normal(-0.1, 0.15)) * half
    left, right = half * float(rng.uniform(0.7, 1.2)), half * float(rng.uniform(0.7, 1.2))
    draw_path(
        canvas,
        [(centre - left, middle - rise), (centre + right, middle + rise)],
        stroke_width(glyph) * float(rng.uniform(0.7, 1)),
    )
    return canvas


def link(rng: Rng, glyph: Glyph) -> Glyph:
    """Draw the stroke from the top of a 0 towards the next digit."""
    rows = np.flatnonzero((glyph > _INKED).any(axis=1))
    if len(rows) < _MIN_ROWS:
        return glyph
    height = float(rows[-1] - rows[0])
    canvas = _widened(glyph)
    row = int(rows[0] + height * rng.uniform(0, 0.2))
    columns = np.flatnonzero(canvas[row] > _INKED)
    x, y = (
        float(columns[int(rng.integers(len(columns)))]) if len(columns) else canvas.shape[1] / 2,
        row + 0.5,
    )
    long, rise, sag = (
        height * float(rng.uniform(0.25, 0.6)),
        height * float(rng.normal(0.03, 0.1)),
        height * float(rng.normal(0.08, 0.06)),
    )
    t = np.linspace(0, 1, 5)
    path = [(x + long * at, y - rise * at + sag * 4 * at * (1 - at)) for at in t]
    draw_path(canvas, path, stroke_width(glyph) * float(rng.uniform(0.6, 1)))
    return canvas


def open_four(rng: Rng, glyph: Glyph) -> Glyph:
    """Draw an open 4 with the glyph's height and stroke width.

    A stroke down and across, and a short stem through the right of the bar.
    """
    rows = np.flatnonzero((glyph > _INKED).any(axis=1))
    if len(rows) < _MIN_ROWS:
        return glyph
    top, height = float(rows[0]), float(rows[-1] - rows[0])
    canvas = np.zeros_like(_widened(glyph))
    wide, left = height * float(rng.uniform(0.45, 0.8)), canvas.shape[1] / 2 - 0.3 * height
    bar_y, width = top + height * float(rng.uniform(0.45, 0.7)), stroke_width(glyph)
    lean, rise = float(rng.uniform(-0.05, 0.3)) * height, float(rng.normal(0.03, 0.05)) * height
    corner = (left, bar_y)
    bend = (left - float(rng.uniform(0, 0.06)) * height, bar_y - 0.12 * height)
    draw_path(
        canvas, [(left + lean, top + width / 2), bend, corner, (left + wide, bar_y - rise)], width
    )
    stem_x = left + wide * float(rng.uniform(0.55, 0.85))
    stem_top = bar_y - height * float(rng.uniform(0.08, 0.35))
    draw_path(
        canvas,
        [(stem_x + 0.3 * lean, stem_top), (stem_x - 0.2 * lean, top + height - width / 2)],
        width,
    )
    return canvas


def mirror(_rng: Rng, glyph: Glyph) -> Glyph:
    """Mirror a 9, so that its stem is at the left."""
    return np.ascontiguousarray(glyph[:, ::-1])


# By digit: the share of such hands that use this shape, and the shape. All of them use those of 1
# and 7.
SHAPES = {
    0: (0.35, link),
    1: (1.0, flag_and_foot),
    4: (0.35, open_four),
    7: (1.0, bar),
    9: (0.25, mirror),
}


def _stem(glyph: Glyph) -> tuple[tuple[float, float], tuple[float, float], float] | None:
    """Return top and foot ``(x, y)`` of a 1's stem, and its width.

    None if the 1 is not a plain stroke but already has a flag or foot.
    """
    ink = glyph > _INKED
    rows = np.flatnonzero(ink.any(axis=1))
    if len(rows) < _MIN_ROWS:
        return None
    spans = [np.flatnonzero(ink[row]) for row in rows]
    widths = np.array([span[-1] - span[0] + 1 if len(span) else 0 for span in spans])
    if widths.max() > 1.8 * np.median(widths) + 1:
        return None
    return (
        (float(spans[1].mean()), float(rows[0])),
        (float(spans[-2].mean()), float(rows[-1])),
        stroke_width(glyph),
    )


def stroke_width(glyph: Glyph) -> float:
    """Return the mean stroke width: twice the area of the ink divided by its perimeter."""
    ink = (glyph > _INKED).astype(np.uint8)
    outline = int(ink.sum()) - int(cv2.erode(ink, np.ones((3, 3), np.uint8)).sum())
    return 2.0 * float(ink.sum()) / max(outline, 1)


def _widened(glyph: Glyph) -> Glyph:
    """Return a copy with room at the sides for drawing."""
    return np.pad(glyph, ((0, 0), (8, 8)))
