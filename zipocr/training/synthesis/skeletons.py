"""Digits drawn from stroke skeletons, in shapes taught in Europe and Latin America.

They are rare in digits collected elsewhere: the looped 2, the 4 like an h, the 1 with an upstroke
as long as its stem, the 9 like a P, small zeros in a chain. Each shape is a set of strokes through
a few points, which vary between hands and within a hand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.training.data.datasets import INK_HEIGHT
from zipocr.training.synthesis.scene_parameters import Rng

Glyph = NDArray[np.uint8]
# Displacement of the points of a shape, in heights: between hands, and within a hand.
OF_HAND, OF_TIME = 0.04, 0.025
# Zeros are often smaller than the digits before them.
SMALL_ZEROS, MIN_ZERO = 0.5, 0.45
# Share of chains of zeros that end in a stroke to the right.
LAST_STROKE = 0.25
_STEPS = 6  # samples of a curve between two points
_ROOM = 6  # margin in pixels around the points, for the width of strokes

SHAPES: Mapping[int, Sequence[str]] = {
    0: (
        "30,2 5,30 6,75 28,100 52,72 50,25 28,2",
        "32,5 5,30 8,80 35,100 60,70 50,20 25,6 45,14 80,8",
        "50,12 20,5 2,50 25,98 62,80 62,25 35,2 30,25 75,20",
        "0,15 30,2 8,50 35,100 65,55 40,2 30,10",
        "45,0 10,20 5,80 40,98 70,50 50,10 20,12 30,30 60,12",
        "40,10 10,15 5,70 40,100 75,60 60,15 35,2 50,25 100,15",
        "30,0 4,40 20,98 52,70 44,15 26,0 20,14",
        "36,4 6,24 10,84 40,98 60,60 50,14 30,2 70,-8",
        "18,10 2,55 22,100 52,60 42,8 22,-4 14,14 34,26 56,2",
        "50,6 24,0 2,45 20,98 50,80 56,30 40,2 34,16",
    ),
    1: (
        "0,50 35,0 / 35,0 32,100",
        "0,95 20,50 40,0 / 40,0 40,100",
        "0,42 20,20 30,0 / 30,0 24,50 22,100",
        "0,30 25,0 / 25,0 25,97 / 0,98 50,97",
        "2,75 28,35 42,0 36,35 22,100",
        "5,30 12,42 30,25 40,0 36,50 30,100",
        "10,38 30,30 42,5 30,2 25,50 22,100",
        "-25,95 15,40 40,0 / 40,0 25,100",
        "0,60 45,0 / 45,0 40,100",
        "-40,100 10,50 45,0 / 45,0 30,100",
        "0,20 20,12 32,0 / 32,0 26,100 / 5,100 50,96",
        "0,70 20,35 40,5 42,0 34,10 22,100",
        "-45,105 0,62 40,0 / 40,0 22,112",
        "-10,90 10,70 34,0 / 34,0 12,62 0,104",
        "4,36 16,22 30,-2 30,34 22,100",
        "0,70 8,30 34,0 26,60 4,70 / 26,60 22,104",
    ),
    2: (
        "35,42 10,40 3,15 25,0 50,20 35,60 5,95 2,85 20,85 65,98",
        "25,35 6,32 10,6 35,0 50,25 30,65 0,98 / 0,98 30,93 62,98",
        "5,20 25,0 47,18 35,50 2,97 / 2,97 30,94 60,97",
        "30,30 12,38 5,18 30,0 50,22 25,70 8,98 0,82 25,85 40,98 65,80",
        "0,12 30,3 48,8 / 48,8 28,50 2,95 / 2,95 30,95 60,93",
        "30,50 5,40 5,10 35,0 62,25 50,65 20,92 0,95 10,80 30,85 75,100",
        "4,15 28,0 46,18 30,52 2,96 14,86 40,98 66,94",
        "5,25 8,5 35,0 50,18 35,50 0,100 / 0,100 60,98",
        "10,30 5,8 35,-2 62,15 50,55 18,92 0,90 12,76 34,88 80,104",
        "42,50 16,56 2,30 16,2 48,4 54,36 30,82 4,100 / 4,100 34,92 66,98",
        "36,44 12,46 2,22 22,-2 52,14 42,58 6,98 / 6,98 62,98",
        "26,50 6,36 14,4 44,2 50,34 26,76 4,96 -4,88 10,82 34,96 58,92",
        "16,38 0,20 18,0 42,14 30,60 2,100 / 2,100 50,94",
        "2,8 30,2 / 30,2 28,26 4,94 / 4,94 56,90",
    ),
    3: (
        "5,2 50,3 / 50,3 22,40 / 22,40 50,50 48,85 22,100 0,90",
        "5,12 28,0 45,18 20,44 14,40 25,42 50,68 30,100 0,88",
        "2,10 30,0 42,20 18,45 / 18,45 50,60 40,95 10,100 0,85 15,80",
        "4,10 28,0 44,16 18,44 / 18,44 44,62 36,94 0,98 / 0,98 55,97",
        "6,4 48,2 / 48,2 20,40 / 20,40 48,60 30,96 0,96 30,94 70,98",
        "5,5 30,0 45,15 22,38 10,40 25,42 45,60 35,98 10,118 -5,108",
        "6,10 30,-2 46,16 26,42 / 26,42 50,60 30,104 -6,98",
        "0,6 34,0 44,14 20,36 / 20,36 46,50 44,84 18,106 -12,100",
    ),
    4: (
        "30,0 2,60 / 2,60 62,56 / 42,30 36,100",
        "8,0 2,35 10,56 50,50 / 52,0 50,50 48,100",
        "25,0 3,62 / 3,62 25,55 42,60 42,100",
        "20,0 2,60 8,66 38,50 50,25 45,60 36,100",
        "28,0 10,40 0,65 / 0,65 30,62 70,64 / 36,45 34,90",
        "15,5 5,50 20,60 45,45 55,5 / 55,5 45,55 42,100",
        "5,0 2,70 20,55 40,60 38,100",
        "30,0 0,70 / 0,70 30,62 50,35 / 50,35 40,100",
        "30,0 0,62 70,60 / 45,30 40,105",
        "10,0 4,48 50,46 / 48,0 44,110",
        "15,0 5,60 / 5,60 40,50 / 42,30 36,100",
        "40,0 0,65 25,58 60,58 / 44,40 38,110",
        "22,0 4,64 / 4,64 22,50 38,56 34,104",
        "26,-10 8,62 2,70 20,52 38,54 36,84 30,110",
        "20,0 4,96 / 8,64 26,48 40,58 36,104",
        "34,-14 10,60 / 10,60 44,54 / 34,34 28,104",
        "16,4 4,50 18,62 38,46 / 42,14 36,108",
        "4,6 6,46 22,58 42,42 / 46,2 42,64 44,104",
        "34,-6 2,72 / 2,72 50,64 / 34,40 22,112",
        "10,2 0,56 36,48 / 40,22 30,106",
    ),
    5: (
        "52,2 14,3 / 14,3 10,42 / 10,42 40,42 50,70 28,100 0,92",
        "55,2 25,6 12,30 35,52 42,80 20,100 0,90",
        "12,8 8,42 35,42 46,72 25,100 0,92 / 16,0 62,-8",
        "15,2 10,38 30,40 44,65 36,92 10,100 0,82 15,78 / 15,2 60,0",
        "0,35 10,40 20,95 / 20,95 35,70 30,45 25,30 35,5 70,0",
        "10,0 8,40 / 8,40 36,38 46,66 30,100 0,95 / 10,0 56,-4",
        "50,0 12,6 8,42 40,45 44,80 15,105 -5,95",
        "18,2 12,44 34,38 48,62 32,100 2,102 / 18,2 78,-12",
        "22,0 8,40 / 8,40 40,42 42,82 10,104 -8,96 / 24,2 54,6",
    ),
    6: (
        "42,0 12,40 2,76 20,100 44,80 30,56 6,72",
        "25,0 5,50 6,90 30,100 46,78 30,60 10,78 20,95",
        "50,5 25,10 3,60 20,98 50,85 40,55 12,70 25,90 70,75",
        "44,4 20,14 4,55 12,95 36,98 44,76 28,60 8,70",
        "30,-10 8,40 5,80 24,100 42,82 30,60 8,72",
        "20,-6 2,50 6,92 30,102 50,84 40,62 16,68 8,88",
        "36,0 10,30 2,72 18,102 46,90 44,66 20,62 6,80 30,86 66,66",
    ),
    7: (
        "0,8 50,2 / 50,2 30,45 16,100 / 6,50 55,45",
        "0,20 4,4 28,10 52,0 / 52,0 34,40 20,100 / 5,52 60,46",
        "10,12 30,4 42,10 / 42,10 36,50 26,100 / 0,56 70,50",
        "0,14 12,2 25,14 48,4 / 48,4 26,50 22,100 / 8,55 55,50",
        "12,30 10,6 30,12 45,10 / 45,10 35,60 20,100 / 0,50 30,60 66,42",
        "0,5 50,3 / 50,3 25,50 20,100",
        "20,6 34,2 36,12 / 36,12 30,50 22,100 / 0,46 40,46 75,40",
        "0,10 50,4 / 50,4 28,100 / 4,50 52,44",
        "0,0 55,0 / 55,0 20,100 / 5,48 60,48",
        "0,15 2,2 50,2 / 50,2 22,100 / 10,55 50,50",
        "0,12 10,2 30,10 55,0 / 55,0 30,50 18,100 / -5,58 62,44",
        "8,14 12,4 32,4 / 32,4 24,52 18,104 / -4,54 52,42",
        "0,16 8,6 40,8 44,14 26,52 16,104 / 2,54 26,52 56,46",
        "14,10 36,0 34,10 18,60 22,104 / -6,56 18,58 54,46",
        "2,2 40,4 44,8 30,46 18,100 / 10,46 22,52 58,38",
        "0,22 0,6 36,8 / 36,8 30,60 14,108 / 12,52 46,50",
    ),
    8: (
        "46,10 22,0 8,20 40,58 42,88 18,100 5,80 34,42 48,12",
        "30,45 10,25 28,0 46,20 26,45 4,75 25,100 50,78 30,45",
        "48,2 15,10 15,32 45,60 36,95 8,95 10,65 42,35 55,5",
        "10,10 35,42 45,80 22,100 3,80 20,50 42,20 30,0 8,12",
        "44,6 20,-2 6,18 26,44 46,74 30,100 6,86 18,60 44,30 46,8",
        "40,15 22,0 10,16 38,62 24,100 6,78 30,45 52,0",
        "55,5 25,0 12,22 40,60 30,98 5,90 12,60 48,25 60,0",
        "52,6 24,-2 10,22 34,48 46,76 24,102 4,82 20,54 44,30 40,8 26,2",
        "38,44 12,34 14,6 40,0 50,22 34,44 8,64 12,96 42,100 52,72 34,44",
        "36,30 20,46 4,24 22,0 46,16 26,46 0,80 22,104 50,80 30,48",
    ),
    9: (
        "46,12 22,0 3,25 20,48 44,20 44,60 36,100",
        "44,12 20,2 5,28 22,46 44,15 44,70 25,100 2,90",
        "5,100 10,40 12,10 35,0 50,22 35,46 12,42",
        "6,5 4,35 25,44 44,10 44,60 30,98 2,92",
        "30,45 5,35 12,5 40,0 50,30 20,50 14,100",
        "50,40 20,45 5,20 30,0 48,20 40,60 30,100",
        "35,30 12,45 2,15 30,0 40,25 36,70 40,100 60,90",
        "46,12 20,0 5,25 22,46 44,18 42,70 20,100 8,82 40,60",
        "50,10 18,5 10,34 42,30 52,5 46,60 22,100",
        "44,10 18,4 6,28 24,46 44,20 46,8 42,60 30,115",
        "42,14 24,0 6,24 22,46 42,22 / 44,4 40,100",
        "46,6 20,0 4,22 20,44 44,24 48,4 40,75 15,105 -5,95",
        "42,10 16,6 2,34 20,50 40,34 / 44,6 38,54 42,104",
        "8,104 16,40 / 16,44 6,20 24,0 48,14 38,42 14,48",
        "34,52 10,36 16,4 44,0 52,22 30,50 12,52 / 30,50 18,104",
        "46,14 34,0 8,10 4,38 24,46 44,20 / 44,20 34,100",
        "0,90 10,60 4,16 30,0 48,18 34,44 12,44",
    ),
}
"""Shapes by digit: points "x,y" in hundredths of a height, strokes separated by "/"."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HandStyle:
    """The style of one hand.

    A shape with displaced points for each digit, the stroke width, and the width of digits.
    """

    shapes: Mapping[int, tuple[NDArray[np.float64], ...]]
    width: float
    aspect: float
    zero: float

    @classmethod
    def drawn(cls, rng: Rng) -> Self:
        """Draw a random style."""
        shapes = {}
        for digit, known in SHAPES.items():
            shape = known[int(rng.integers(len(known)))]
            shapes[digit] = _moved(rng, _strokes(shape), OF_HAND)
        zero = float(rng.uniform(MIN_ZERO, 0.9)) if rng.random() < SMALL_ZEROS else 1.0
        return cls(
            shapes=shapes,
            width=float(rng.uniform(0.06, 0.14)),
            aspect=float(np.exp(rng.normal(0.1, 0.2))),
            zero=zero,
        )

    def draw(self, rng: Rng, digit: int) -> Glyph:
        """Draw a digit with the variation within this hand.

        (h, w) uint8, 0 paper to 255 ink, a full height being `INK_HEIGHT` pixels.
        """
        height = (
            INK_HEIGHT * (self.zero if digit == 0 else 1.0) * float(np.exp(rng.normal(0, 0.05)))
        )
        strokes = [
            height * np.array([self.aspect, 1.0]) * smooth_curve(points)
            for points in _moved(rng, self.shapes[digit], OF_TIME)
        ]
        return self._inked(rng, strokes)

    def draw_zeros(self, rng: Rng, count: int) -> Glyph:
        """Draw a chain of zeros without lifting the pen: (h, w) uint8."""
        rise, height = float(rng.normal(0, 0.05)), INK_HEIGHT * self.zero
        half = 0.3 * self.aspect * np.exp(rng.normal(0, 0.2))
        step = 2 * half + float(rng.uniform(-0.05, 0.5))
        begin, more = float(rng.uniform(-100, -40)), float(rng.uniform(0, 60))
        turns = np.deg2rad(np.linspace(begin, begin - 360 - more, 9))
        loop = np.column_stack([half * np.cos(turns), 0.5 * np.sin(turns)])
        sag = float(rng.normal(0.05, 0.12))
        points: list[NDArray[np.float64]] = []
        for place in range(count):
            drawn = (
                loop * np.exp(rng.normal(0, 0.08))
                + [place * step, -place * rise]
                + rng.normal(0, 0.02, (len(loop), 2))
            )
            if points:
                points.append((points[-1][-1:] + drawn[:1]) / 2 + [0, sag])
            points.append(drawn)
        if rng.random() < LAST_STROKE:
            points.append(points[-1][-1:] + rng.normal([0.5, 0], [0.15, 0.1]))
        return self._inked(rng, [height * smooth_curve(np.concatenate(points))])

    def _inked(self, rng: Rng, strokes: Sequence[NDArray[np.float64]]) -> Glyph:
        every = np.concatenate(strokes)
        low = every.min(axis=0)
        size = np.ceil(every.max(axis=0) - low).astype(int) + 2 * _ROOM
        canvas = np.zeros((int(size[1]), int(size[0])), np.uint8)
        width = INK_HEIGHT * self.width * float(np.exp(rng.normal(0, 0.1)))
        for stroke in strokes:
            draw_path(canvas, stroke - low + _ROOM, width)
        return canvas


def _strokes(shape: str) -> list[NDArray[np.float64]]:
    """Return the points of each stroke, (N, 2)."""
    return [
        np.array([[int(value) / 100 for value in point.split(",")] for point in stroke.split()])
        for stroke in shape.split("/")
    ]


def _moved(
    rng: Rng, strokes: Sequence[NDArray[np.float64]], reach: float
) -> tuple[NDArray[np.float64], ...]:
    """Displace every point at random, but keep strokes joined where they meet."""
    places = sorted({(float(x), float(y)) for stroke in strokes for x, y in stroke})
    moves = dict(zip(places, rng.normal(0, reach, (len(places), 2)), strict=True))
    return tuple(
        np.array([point + moves[float(point[0]), float(point[1])] for point in stroke])
        for stroke in strokes
    )


def smooth_curve(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a smooth curve through points (Catmull and Rom, 1974): (N, 2) -> (M, 2)."""
    if len(points) < 3:
        return points
    around = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    t = np.linspace(0, 1, _STEPS, endpoint=False)[:, None]
    before, start, end, after = (
        around[first : first + len(points) - 1, None] for first in range(4)
    )
    curve = start + 0.5 * t * (
        end
        - before
        + t * (2 * before - 5 * start + 4 * end - after + t * (3 * (start - end) + after - before))
    )
    return np.concatenate([curve.reshape(-1, 2), points[-1:]])


def draw_path(
    canvas: Glyph, points: NDArray[np.float64] | Sequence[tuple[float, float]], width: float
) -> None:
    """Draw a soft line through N points (x, y) onto a canvas in place; the brightest value wins."""
    sketch = np.zeros((canvas.shape[0] * 4, canvas.shape[1] * 4), np.uint8)
    fixed = np.round((np.asarray(points) + 0.5) * 4 * 16).astype(np.int32)[:, None]
    cv2.polylines(sketch, [fixed], False, 255, max(1, round(width * 4)), cv2.LINE_AA, 4)
    np.maximum(
        canvas, cv2.resize(sketch, canvas.shape[::-1], interpolation=cv2.INTER_AREA), out=canvas
    )
