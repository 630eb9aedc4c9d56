"""Foreign ink.

Printed rules and boxes, separators, specks, stray strokes and cut-off neighbours.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.training.synthesis.scene_parameters import Marks, Rng
from zipocr.training.synthesis.typefaces import LETTERS, render_word
from zipocr.types import Box

Coverage = NDArray[np.float32]
_SHIFT = 4  # OpenCV's fixed point: coordinates in sixteenths of a pixel


class Sketch:
    """A canvas for anti-aliased lines, ``(H, W) uint8`` 0 to 255.

    Its drawing methods modify it in place.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.canvas = np.zeros(shape, np.uint8)

    def path(self, points: NDArray[np.float64], width: float) -> None:
        """Draw a path through ``points (N, 2)`` of ``(x, y)``.

        Widths under a pixel appear paler, as in a scan.
        """
        fixed = np.round(points * 2**_SHIFT).astype(np.int32)[:, None]
        cv2.polylines(
            self.canvas,
            [fixed],
            False,
            255 * min(1.0, width),
            max(1, round(width)),
            cv2.LINE_AA,
            _SHIFT,
        )

    def spot(self, x: float, y: float, radius: float) -> None:
        """Draw a round spot."""
        centre = (round(x * 2**_SHIFT), round(y * 2**_SHIFT))
        cv2.circle(
            self.canvas,
            centre,
            max(2**_SHIFT // 2, round(radius * 2**_SHIFT)),
            255,
            -1,
            cv2.LINE_AA,
            _SHIFT,
        )

    @property
    def cover(self) -> Coverage:
        """Return the drawn coverage, 0 to 1."""
        return np.asarray(self.canvas, np.float32) / np.float32(255)


class Ruler:
    """Drawer of horizontal and vertical lines, rotated by the angle of the marks.

    The centre of rotation is the left end of the digits' box.
    """

    def __init__(
        self, shape: tuple[int, int], marks: Marks, digits: Box, height: float, pitch: float
    ) -> None:
        self.sketch = Sketch(shape)
        self.shape, self.marks, self.digits, self.height, self.pitch = (
            shape,
            marks,
            digits,
            height,
            pitch,
        )
        self.slope = float(np.tan(np.deg2rad(marks.angle)))
        self.foot = digits.bottom + height * (0.25 - 0.35 * marks.rule_touch)

    def level(self, y: float, left: float, right: float) -> None:
        """Draw a horizontal line."""
        ends = [(x, y + self.slope * (x - self.digits.left)) for x in (left, right)]
        self.sketch.path(np.array(ends), self.marks.rule_width)

    def upright(self, x: float, top: float, bottom: float) -> None:
        """Draw a vertical line."""
        drop = self.slope * (x - self.digits.left)
        ends = [(x - self.slope * (y - self.digits.top), y + drop) for y in (top, bottom)]
        self.sketch.path(np.array(ends), self.marks.rule_width)

    def frame(self, top: float, left: float, bottom: float, right: float) -> None:
        """Draw a rectangle."""
        for y in (top, bottom):
            self.level(y, left, right)
        for x in (left, right):
            self.upright(x, top, bottom)


def _underline(rng: Rng, ruler: Ruler) -> None:
    across, h = ruler.digits, ruler.height
    left, right = (
        across.left + rng.uniform(-0.5, 0.3) * h,
        across.right + rng.uniform(-0.3, 0.5) * h,
    )
    if rng.random() < 0.6:
        left, right = -ruler.shape[1], 2 * ruler.shape[1]
    ruler.level(ruler.foot, left, right)
    if rng.random() < 0.15:
        ruler.level(ruler.foot + h * rng.uniform(0.06, 0.15), left, right)


def _ruled(rng: Rng, ruler: Ruler) -> None:
    space = ruler.height * float(rng.uniform(0.9, 1.8))
    for line in range(-3, 4):
        ruler.level(ruler.foot + line * space, -ruler.shape[1], 2 * ruler.shape[1])


def _table(rng: Rng, ruler: Ruler) -> None:
    h, digits = ruler.height, ruler.digits
    top = digits.top - h * float(rng.uniform(-0.1, 0.4))
    for y in (top, ruler.foot):
        ruler.level(y, -ruler.shape[1], 2 * ruler.shape[1])
    for x in (digits.left - h * rng.uniform(0.05, 0.5), digits.right + h * rng.uniform(0.05, 0.5)):
        if rng.random() < 0.75:
            ruler.upright(x, -ruler.shape[0], 2 * ruler.shape[0])


def _box(rng: Rng, ruler: Ruler) -> None:
    pads = rng.uniform(0.02, 0.55, 4) * ruler.height
    digits = ruler.digits
    ruler.frame(
        digits.top - pads[0], digits.left - pads[1], digits.bottom + pads[2], digits.right + pads[3]
    )
    if rng.random() < 0.15:
        pads = pads + ruler.marks.rule_width + 0.06 * ruler.height
        ruler.frame(
            digits.top - pads[0],
            digits.left - pads[1],
            digits.bottom + pads[2],
            digits.right + pads[3],
        )


def _cell_edges(rng: Rng, ruler: Ruler) -> tuple[float, float, NDArray[np.float64]]:
    """Return top, bottom, and positions of the vertical edges.

    Cells are as wide as the pitch and somewhat higher than the digits.
    """
    pads = rng.uniform(0.0, 0.35, 2) * ruler.height
    count = max(1, round((ruler.digits.right - ruler.digits.left) / ruler.pitch))
    return (
        float(ruler.digits.top - pads[0]),
        float(ruler.digits.bottom + pads[1]),
        ruler.digits.left + np.arange(count + 1) * np.float64(ruler.pitch),
    )


def _cells(rng: Rng, ruler: Ruler) -> None:
    top, bottom, edges = _cell_edges(rng, ruler)
    ruler.frame(top, edges[0], bottom, edges[-1])
    for x in edges[1:-1]:
        ruler.upright(float(x), top, bottom)


def _gapped(rng: Rng, ruler: Ruler) -> None:
    top, bottom, edges = _cell_edges(rng, ruler)
    gap = ruler.pitch * float(rng.uniform(0.03, 0.1))
    for left, right in pairwise(edges):
        ruler.frame(top, left + gap, bottom, right - gap)


def _comb(rng: Rng, ruler: Ruler) -> None:
    top, bottom, edges = _cell_edges(rng, ruler)
    ruler.level(bottom, edges[0], edges[-1])
    tooth = (bottom - top) * float(rng.uniform(0.2, 0.5))
    for x in edges:
        ruler.upright(float(x), bottom - tooth, bottom)


RULES: Mapping[str, Callable[[Rng, Ruler], None]] = {
    "underline": _underline,
    "ruled": _ruled,
    "table": _table,
    "box": _box,
    "cells": _cells,
    "gapped": _gapped,
    "comb": _comb,
}


def draw_rule(
    rng: Rng, shape: tuple[int, int], marks: Marks, digits: Box, height: float, pitch: float
) -> Coverage:
    """Draw the lines that ``marks.rule`` names around or under the digits' box.

    The box holds whole cells that are ``pitch`` pixels wide.
    """
    ruler = Ruler(shape, marks, digits, height, pitch)
    RULES[marks.rule](rng, ruler)
    return ruler.sketch.cover


def draw_separator(rng: Rng, name: str, height: float, width: float) -> Coverage:
    """Draw a dot, comma, dash, apostrophe or double dash, its lowest row on the baseline.

    ``width`` is the stroke width in pixels.
    """
    size = (max(4, round(0.75 * height)), max(4, round(0.7 * height)))
    sketch, foot = Sketch(size), size[0] - 1 - 0.5 * width
    stroke = width * float(rng.uniform(0.8, 1.4))
    if name == ".":
        sketch.spot(0.2 * height, foot, stroke * float(rng.uniform(0.5, 1)))
    elif name in {",", "'"}:
        top = foot - height * rng.uniform(0.1, 0.22) if name == "," else 2.0
        sketch.path(
            np.array(
                [
                    [0.25 * height, top],
                    [0.2 * height - rng.uniform(0, 0.08) * height, top + 0.18 * height],
                ]
            ),
            stroke,
        )
    else:
        rows = [0.35, 0.52] if name == "=" else [0.45]
        long = rng.uniform(0.25, 0.6) * height
        for row in rows:
            bend = rng.normal(0, 0.03, 3) * height
            xs = 0.03 * height + np.linspace(0, long, 3)
            sketch.path(np.column_stack([xs, (0.75 - row) * height + bend]), stroke)
    return sketch.cover


def draw_clutter(rng: Rng, shape: tuple[int, int], marks: Marks, height: float) -> Coverage:
    """Draw specks anywhere, stray strokes mostly near the edges, and letters of other lines."""
    sketch = Sketch(shape)
    for _ in range(marks.specks):
        sketch.spot(rng.uniform(0, shape[1]), rng.uniform(0, shape[0]), float(rng.gamma(1.5, 0.5)))
    for _ in range(marks.strokes):
        _stray(rng, sketch, shape, height)
    for _ in range(marks.neighbours):
        _neighbour(rng, sketch, shape, height)
    return sketch.cover


def _stray(rng: Rng, sketch: Sketch, shape: tuple[int, int], height: float) -> None:
    x, y = (
        rng.uniform(0, shape[1]),
        shape[0] * float(rng.choice([rng.beta(0.3, 6), 1 - rng.beta(0.3, 6)])),
    )
    step = rng.normal(0, 0.22, 2) * height
    bend = step / 2 + rng.normal(0, 0.05, 2) * height
    sketch.path(
        np.array([[x, y], [x + bend[0], y + bend[1]], [x + step[0], y + step[1]]]),
        float(rng.uniform(1, 0.08 * height + 1)),
    )


def _neighbour(rng: Rng, sketch: Sketch, shape: tuple[int, int], height: float) -> None:
    """Draw a word that reaches into the crop from above or below, or its end from a side."""
    word = render_word(rng, "".join(rng.choice(list(LETTERS), size=int(rng.integers(2, 9)))))
    factor = height * float(rng.uniform(0.7, 1.2)) / word.shape[0]
    lean = float(rng.normal(0.15, 0.2))
    size = (
        max(2, round((word.shape[1] + abs(lean) * word.shape[0]) * factor)),
        max(2, round(word.shape[0] * factor)),
    )
    matrix = np.array([[factor, -lean * factor, max(0.0, lean) * size[1]], [0, factor, 0]])
    drawn = cv2.warpAffine(word, matrix, size, flags=cv2.INTER_AREA)
    seen = float(rng.uniform(0.06, 0.25)) * height
    corner = {
        "above": (rng.uniform(-0.3, 0.8) * shape[1], seen - size[1]),
        "below": (rng.uniform(-0.3, 0.8) * shape[1], shape[0] - seen),
        "left": (seen - size[0], rng.uniform(0, 0.5) * shape[0]),
        "right": (shape[1] - seen, rng.uniform(0, 0.5) * shape[0]),
    }[str(rng.choice(["above", "below", "left", "right"], p=[0.35, 0.35, 0.15, 0.15]))]
    shift = np.array([[1.0, 0, corner[0]], [0, 1.0, corner[1]]])
    np.maximum(sketch.canvas, cv2.warpAffine(drawn, shift, shape[::-1]), out=sketch.canvas)


def draw_ligature(
    start: tuple[float, float],
    end: tuple[float, float],
    sag: float,
    width: float,
    shape: tuple[int, int],
) -> Coverage:
    """Draw a curved stroke between two points ``(x, y)`` that sags by ``sag`` pixels."""
    sketch, t = Sketch(shape), np.linspace(0, 1, 9)[:, None]
    points = np.array(start) * (1 - t) + np.array(end) * t + np.array([0.0, sag]) * 4 * t * (1 - t)
    sketch.path(points, width)
    return sketch.cover
