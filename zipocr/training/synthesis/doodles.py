"""Ink and patterns that are not writing: doodles, signatures, textures.

Training and measurements use different generators.

Every generator draws on a canvas ``(H, W)`` with a stroke width in pixels.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.training.synthesis.paper import smooth_chance
from zipocr.training.synthesis.rules_and_clutter import Sketch
from zipocr.training.synthesis.scene_parameters import Rng
from zipocr.training.synthesis.strokes import Coverage
from zipocr.training.synthesis.wording import Part

Shape: TypeAlias = tuple[int, int]
Generator: TypeAlias = Callable[[Rng, Shape, float], Coverage]


def _middle(rng: Rng, shape: Shape) -> tuple[float, float, float]:
    """Draw the centre (x, y) and radius of a shape that fits."""
    height, width = shape
    return (
        float(rng.uniform(0.25, 0.75)) * width,
        float(rng.uniform(0.4, 0.6)) * height,
        float(rng.uniform(0.25, 0.45)) * min(shape),
    )


def _drawn(shape: Shape, width: float, *paths: NDArray[np.float64]) -> Coverage:
    sketch = Sketch(shape)
    for path in paths:
        sketch.path(path, width)
    return sketch.cover


def _spirals(rng: Rng, shape: Shape, width: float) -> Coverage:
    paths = []
    for _ in range(int(rng.integers(1, 4))):
        x, y, radius = _middle(rng, shape)
        turn = np.linspace(0, 2 * np.pi * rng.uniform(1.5, 4), 120)
        grow = radius * turn / turn[-1]
        paths.append(np.column_stack([x + grow * np.cos(turn), y + grow * np.sin(turn)]))
    return _drawn(shape, width, *paths)


def _curves(rng: Rng, shape: Shape, width: float) -> Coverage:
    """Draw smooth curves through a few random points."""
    paths = []
    for _ in range(int(rng.integers(1, 4))):
        points = rng.uniform(0.1, 0.9, (int(rng.integers(4, 9)), 2)) * np.array(shape[::-1])
        smooth = cv2.resize(points.astype(np.float32), (2, 100), interpolation=cv2.INTER_CUBIC)
        paths.append(np.asarray(smooth, np.float64))
    return _drawn(shape, width, *paths)


def _scribble(rng: Rng, shape: Shape, width: float) -> Coverage:
    """Draw back and forth, like trying out a pen."""
    count = int(rng.integers(8, 30))
    x = (
        np.linspace(rng.uniform(0.05, 0.3), rng.uniform(0.6, 0.95), count) * shape[1]
        + rng.normal(0, 0.03, count) * shape[1]
    )
    y = (0.5 + np.where(np.arange(count) % 2, -1, 1) * rng.uniform(0.15, 0.4, count)) * shape[0]
    return _drawn(shape, width, np.column_stack([x, y]))


def _loops(rng: Rng, shape: Shape, width: float) -> Coverage:
    """Draw a row of slanted loops, as in handwriting practice."""
    turn = np.linspace(0, 2 * np.pi * rng.uniform(3, 9), 300)
    radius = rng.uniform(0.15, 0.35) * shape[0]
    along = rng.uniform(0.1, 0.2) * shape[1] + turn / turn[-1] * 0.65 * shape[1]
    lean = rng.uniform(-0.3, 0.5)
    x, y = radius * rng.uniform(0.5, 1.2) * np.cos(turn), radius * np.sin(turn)
    return _drawn(shape, width, np.column_stack([along + x + lean * y, 0.5 * shape[0] - y]))


def _stars(rng: Rng, shape: Shape, width: float) -> Coverage:
    paths = []
    for _ in range(int(rng.integers(1, 5))):
        x, y, radius = _middle(rng, shape)
        points, step = (5, 2) if rng.random() < 0.6 else (7, 3)
        turn = 2 * np.pi * step / points * np.arange(points + 1) + rng.uniform(0, 6)
        paths.append(np.column_stack([x + radius * np.cos(turn), y + radius * np.sin(turn)]))
    return _drawn(shape, width, *paths)


def _roses(rng: Rng, shape: Shape, width: float) -> Coverage:
    paths = []
    for _ in range(int(rng.integers(1, 4))):
        x, y, radius = _middle(rng, shape)
        turn = np.linspace(0, 2 * np.pi, 200)
        reach = radius * np.cos(int(rng.integers(2, 6)) * turn)
        paths.append(np.column_stack([x + reach * np.cos(turn), y + reach * np.sin(turn)]))
    return _drawn(shape, width, *paths)


def _arrows(rng: Rng, shape: Shape, width: float) -> Coverage:
    paths = []
    for _ in range(int(rng.integers(1, 6))):
        ends = rng.uniform(0.15, 0.85, (2, 2)) * np.array(shape[::-1])
        back = (ends[0] - ends[1]) * 0.3
        turned = np.array([-back[1], back[0]])
        paths += [
            ends,
            np.stack([ends[1] + back + 0.5 * turned, ends[1], ends[1] + back - 0.5 * turned]),
        ]
    return _drawn(shape, width, *paths)


def _faces(rng: Rng, shape: Shape, width: float) -> Coverage:
    paths = []
    for _ in range(int(rng.integers(1, 4))):
        x, y, radius = _middle(rng, shape)
        circle = np.linspace(0, 2 * np.pi, 60)
        smile = np.linspace(0.15 * np.pi, 0.85 * np.pi, 20)
        for size, turn in ((1.0, circle), (0.6, smile)):
            paths.append(
                np.column_stack(
                    [x + size * radius * np.cos(turn), y + size * radius * np.sin(turn)]
                )
            )
        for side in (-0.35, 0.35):
            eye = np.array(
                [[x + side * radius, y - 0.4 * radius], [x + side * radius, y - 0.2 * radius]]
            )
            paths.append(eye)
    return _drawn(shape, width, *paths)


def _looping_signature(rng: Rng, shape: Shape, width: float) -> Coverage:
    """Draw loops that get smaller to the right, and a flourish below."""
    turn = np.linspace(0, 2 * np.pi * rng.uniform(4, 10), 400)
    size = (
        rng.uniform(0.2, 0.4)
        * shape[0]
        * np.linspace(1, rng.uniform(0.2, 0.6), 400)
        * (1 + 0.4 * np.sin(turn / rng.uniform(1.5, 4)))
    )
    x = np.linspace(0.15, 0.8, 400) * shape[1] + 0.7 * size * np.cos(turn)
    name = np.column_stack([x, 0.5 * shape[0] - size * np.sin(turn)])
    under = np.array(
        [[0.9, 0.7], [0.2, rng.uniform(0.75, 0.9)], [rng.uniform(0.5, 0.9), 0.85]]
    ) * np.array(shape[::-1])
    return _drawn(shape, width, name, *([under] if rng.random() < 0.5 else []))


def _wavy_signature(rng: Rng, shape: Shape, width: float) -> Coverage:
    """Draw one tall stroke, then a wave of several frequencies with gaps."""
    along = np.linspace(0, 1, 300)
    waves = sum(
        rng.uniform(0.3, 1) * np.sin(2 * np.pi * rng.uniform(3, 14) * along + rng.uniform(0, 6))
        for _ in range(4)
    )
    rows = 0.55 * shape[0] + 0.13 * shape[0] * np.asarray(waves) * np.linspace(1, 0.4, 300)
    name = np.column_stack([(0.2 + 0.65 * along) * shape[1], rows])
    lifts = np.sort(rng.integers(40, 260, int(rng.integers(0, 4))))
    tall = np.array([[0.12, 0.85], [0.2, 0.1], [0.24, 0.8]]) * np.array(shape[::-1])
    return _drawn(shape, width, tall, *(piece for piece in np.split(name, lifts) if len(piece) > 1))


def _zigzag_strike(rng: Rng, shape: Shape, width: float) -> Coverage:
    """Draw a dense zigzag that crosses out writing."""
    count = int(rng.integers(12, 24))
    x = np.linspace(0.02, 0.98, count) * shape[1]
    y = (0.5 + np.where(np.arange(count) % 2, -1, 1) * rng.uniform(0.2, 0.5, count)) * shape[0]
    return _drawn(shape, width, np.column_stack([x, y]))


def _hatched_strike(rng: Rng, shape: Shape, width: float) -> Coverage:
    """Draw a large X and several lines that cross out writing."""
    corners = np.array([[0.03, 0.05], [0.97, 0.95]]) * np.array(shape[::-1])
    paths = [corners, np.column_stack([corners[:, 0], corners[::-1, 1]])]
    for _ in range(int(rng.integers(3, 6))):
        rows = (rng.uniform(0.2, 0.8) + rng.normal(0, 0.06, 4)) * shape[0]
        paths.append(np.column_stack([np.linspace(0.02, 0.98, 4) * shape[1], rows]))
    return _drawn(shape, width, *paths)


def _plane(rng: Rng, shape: Shape) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return coordinates in a frame rotated by a random angle."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    turn = float(rng.uniform(0, np.pi))
    return np.cos(turn) * x + np.sin(turn) * y, -np.sin(turn) * x + np.cos(turn) * y


def _stripes(rng: Rng, shape: Shape, width: float) -> Coverage:
    along, _ = _plane(rng, shape)
    pitch = float(rng.uniform(2.2, 8)) * width
    return np.asarray(
        np.clip(1.5 * np.sin(2 * np.pi * along / pitch) + rng.uniform(-0.8, 0.5), 0, 1), np.float32
    )


def _checks(rng: Rng, shape: Shape, width: float) -> Coverage:
    along, across = _plane(rng, shape)
    pitch = float(rng.uniform(2, 6)) * width
    return np.asarray((along // pitch + across // pitch) % 2, np.float32)


def _weave(rng: Rng, shape: Shape, width: float) -> Coverage:
    """Draw interwoven threads."""
    along, across = _plane(rng, shape)
    pitch = float(rng.uniform(3, 7)) * width
    over = (along // pitch + across // pitch) % 2 == 0
    thread = np.where(
        over, np.abs(np.sin(np.pi * along / pitch)), np.abs(np.sin(np.pi * across / pitch))
    )
    return np.asarray(thread < rng.uniform(0.2, 0.6), np.float32)


def _spots(rng: Rng, shape: Shape, width: float) -> Coverage:
    along, across = _plane(rng, shape)
    pitch = float(rng.uniform(3, 9)) * width
    return np.asarray(
        np.sin(np.pi * along / pitch) * np.sin(np.pi * across / pitch) > rng.uniform(0.2, 0.7),
        np.float32,
    )


def _bricks(rng: Rng, shape: Shape, width: float) -> Coverage:
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    tall, long = float(rng.uniform(4, 10)) * width, float(rng.uniform(8, 24)) * width
    shifted = x + (y // tall % 2) * long / 2
    return np.asarray((y % tall < width) | (shifted % long < width), np.float32)


def _rings(rng: Rng, shape: Shape, width: float) -> Coverage:
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    away = np.hypot(x - rng.uniform(0, shape[1]), y - rng.uniform(0, shape[0]))
    return np.asarray(
        np.sin(2 * np.pi * away / (float(rng.uniform(3, 9)) * width)) > rng.uniform(0, 0.7),
        np.float32,
    )


def _herringbone(rng: Rng, shape: Shape, width: float) -> Coverage:
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    pitch, wide = float(rng.uniform(3, 7)) * width, float(rng.uniform(8, 20)) * width
    folded = np.abs(x % (2 * wide) - wide)
    return np.asarray((y + folded) % pitch < rng.uniform(0.3, 0.6) * pitch, np.float32)


def _blots(rng: Rng, shape: Shape, width: float) -> Coverage:
    """Draw thresholded noise of one scale."""
    field = cv2.GaussianBlur(
        rng.standard_normal(shape, np.float32), (0, 0), float(rng.uniform(0.6, 2.5)) * width
    )
    return np.asarray(field > np.quantile(field, rng.uniform(0.6, 0.97)), np.float32)


def _clouds(rng: Rng, shape: Shape, width: float) -> Coverage:
    """Draw softly thresholded noise of several scales."""
    field = sum(
        smooth_chance(rng, shape, grain * width) / (1 + place)
        for place, grain in enumerate((1.5, 4, 12))
    )
    level = float(np.quantile(np.asarray(field), rng.uniform(0.5, 0.95)))
    return np.asarray(np.clip((np.asarray(field) - level) * rng.uniform(1, 8), 0, 1), np.float32)


def _ramp(rng: Rng, shape: Shape, _width: float) -> Coverage:
    """Draw a linear gradient, smooth or stepped."""
    along, _ = _plane(rng, shape)
    ramp = (along - along.min()) / max(1.0, float(np.ptp(along)))
    steps = int(rng.integers(3, 12))
    return np.asarray(np.floor(ramp * steps) / steps if rng.random() < 0.4 else ramp, np.float32)


def _glow(rng: Rng, shape: Shape, _width: float) -> Coverage:
    """Draw a radial gradient, or bands of one."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    away = np.hypot(
        (x - rng.uniform(0, 1) * shape[1]) / shape[1], (y - rng.uniform(0, 1) * shape[0]) / shape[0]
    )
    ramp = away / away.max()
    return np.asarray(
        np.abs(np.sin(np.pi * 2.5 * ramp)) if rng.random() < 0.4 else ramp, np.float32
    )


GENERATORS: Mapping[str, Mapping[Part, tuple[Generator, ...]]] = {
    "doodle": {
        "train": (_spirals, _curves, _scribble, _loops),
        "test": (_stars, _roses, _arrows, _faces),
    },
    "signature": {"train": (_looping_signature,), "test": (_wavy_signature,)},
    "strike": {"train": (_zigzag_strike,), "test": (_hatched_strike,)},
    "texture": {
        "train": (_stripes, _checks, _weave, _spots),
        "test": (_bricks, _rings, _herringbone),
    },
    "noise": {"train": (_blots,), "test": (_clouds,)},
    "gradient": {"train": (_ramp,), "test": (_glow,)},
}
"""Generators by kind; ``strike`` crosses out writing."""


def draw_doodle(rng: Rng, kind: str, part: Part, shape: Shape, width: float) -> Coverage:
    """Draw a doodle of a kind on a canvas: ``(H, W) float32``, 0 paper to 1 ink."""
    generators = GENERATORS[kind][part]
    return generators[int(rng.integers(len(generators)))](rng, shape, width)
