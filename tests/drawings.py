"""Digits drawn for the tests, with the ground truth of their ink.

Drawn here so that they look the same with every version of OpenCV.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.types import Box, GrayImage, InkMask

HEIGHT = 44
"""Height of the drawn digits in pixels.

Close to the height that pages are scaled to for reading, so that they are not rescaled.
"""
STROKE = 5
_FINE = 16  # positions are in sixteenths of a pixel

# Strokes in the unit square, as (x, y).
_EIGHT = [
    (0.5, 0.46),
    (0.12, 0.25),
    (0.3, 0),
    (0.7, 0),
    (0.88, 0.25),
    (0.5, 0.46),
    (0, 0.75),
    (0.3, 1),
    (0.7, 1),
    (1, 0.75),
    (0.5, 0.46),
]
_STROKES: dict[str, list[list[tuple[float, float]]]] = {
    "0": [
        [
            (0.5, 0),
            (0.12, 0.15),
            (0, 0.5),
            (0.12, 0.85),
            (0.5, 1),
            (0.88, 0.85),
            (1, 0.5),
            (0.88, 0.15),
            (0.5, 0),
        ]
    ],
    "1": [[(0.5, 0), (0.5, 1)]],
    "2": [
        [(0, 0.25), (0.15, 0.05), (0.5, 0), (0.85, 0.05), (1, 0.28), (0.8, 0.55), (0, 1), (1, 1)]
    ],
    "3": [
        [
            (0, 0.1),
            (0.5, 0),
            (0.95, 0.12),
            (0.95, 0.35),
            (0.5, 0.48),
            (1, 0.62),
            (1, 0.85),
            (0.5, 1),
            (0, 0.9),
        ]
    ],
    "4": [[(0.7, 1), (0.7, 0), (0, 0.68), (1, 0.68)]],
    "5": [
        [
            (0.95, 0),
            (0.1, 0),
            (0.05, 0.42),
            (0.5, 0.38),
            (1, 0.55),
            (0.95, 0.85),
            (0.5, 1),
            (0, 0.9),
        ]
    ],
    "6": [
        [
            (0.8, 0),
            (0.25, 0.3),
            (0, 0.7),
            (0.2, 0.95),
            (0.6, 1),
            (1, 0.8),
            (0.8, 0.55),
            (0.4, 0.5),
            (0.05, 0.7),
        ]
    ],
    "7": [[(0, 0), (1, 0), (0.4, 1)]],
    "8": [_EIGHT],
    "9": [
        [
            (0.95, 0.3),
            (0.6, 0.5),
            (0.15, 0.42),
            (0, 0.2),
            (0.4, 0),
            (0.85, 0.05),
            (0.95, 0.3),
            (0.7, 1),
        ]
    ],
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Written:
    """Drawn digits.

    ``cover`` is ``(H, W) float32``, the share of ink in each pixel, and ``digits`` the ink of each
    digit alone.
    """

    cover: NDArray[np.float32]
    digits: tuple[InkMask, ...]

    @property
    def ink(self) -> InkMask:
        """All ink."""
        return np.asarray(np.any(self.digits, axis=0))

    @property
    def boxes(self) -> list[Box]:
        """The bounding box of each digit."""
        return [box_of(one) for one in self.digits]


def write(
    text: str,
    *,
    height: int = HEIGHT,
    width: int = 26,
    gap: int | Sequence[int] = 14,
    margin: int = 20,
    stroke: int = STROKE,
    slant: float = 0.0,
) -> Written:
    """Draw digits in a row: ``width``, ``gap`` and ``margin`` in pixels; ``slant`` leans right.

    ``gap`` may also be a sequence with one value for each pair of adjacent digits.
    """
    gaps = [gap] * (len(text) - 1) if isinstance(gap, int) else list(gap)
    lean = round(abs(slant) * height)
    shape = height + 2 * margin, len(text) * width + sum(gaps) + 2 * margin + lean
    covers = []
    for place, letter in enumerate(text):
        cover = np.zeros(shape, np.uint8)
        for stroke_points in _STROKES[letter]:
            points = np.array(stroke_points) * (width - stroke, height - stroke)
            points[:, 0] += slant * (height - points[:, 1])
            points += (margin + place * width + sum(gaps[:place]) + stroke / 2, margin + stroke / 2)
            cv2.polylines(
                cover,
                [np.rint(points * _FINE).astype(np.int32)],
                False,
                255,
                stroke,
                cv2.LINE_AA,
                4,
            )
        covers.append(cover.astype(np.float32) / 255)
    return Written(cover=np.max(covers, axis=0), digits=tuple(cover > 0.5 for cover in covers))


def lay(
    cover: NDArray[np.float32],
    paper: float | NDArray[np.float64],
    *,
    ink: float = 30,
    noise: float = 0.0,
) -> GrayImage:
    """Put ink on paper of one gray (or one gray per pixel), and add scanner noise."""
    page = paper * (1 - cover) + ink * cover
    page = page + np.random.default_rng(0).normal(0, noise, cover.shape) if noise else page
    return np.clip(np.rint(page), 0, 255).astype(np.uint8)


def box_of(ink: InkMask) -> Box:
    """The bounding box of ink."""
    rows, columns = np.nonzero(ink)
    return Box(
        top=int(rows.min()),
        left=int(columns.min()),
        bottom=int(rows.max()) + 1,
        right=int(columns.max()) + 1,
    )


def likeness(one: InkMask, other: InkMask) -> float:
    """Shared ink over all ink: 1 if two masks are the same, 0 if they have nothing in common."""
    return float((one & other).sum() / max(1, (one | other).sum()))
