"""Canvas of a page, and writing to lay on it."""

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.training.synthesis.strokes import Coverage
from zipocr.types import GrayImage

_SEEN = 0.4  # minimum coverage of ink inside the outline
Outline: TypeAlias = NDArray[np.float64]
"""``(N, 2)``, vertices ``(x, y)`` of the convex hull of a ZIP's ink, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Writing:
    """Lines of text as ink on a transparent layer; ``zip_outline`` is that of the ZIP, if any.

    ``height`` is the height of its capitals in pixels.
    """

    cover: Coverage
    zip_outline: Outline | None
    height: float

    def resized(self, along: float, down: float) -> "Writing":
        """Return the writing scaled by a factor for each axis."""
        mode = cv2.INTER_AREA if min(along, down) < 1 else cv2.INTER_LINEAR
        cover = np.asarray(
            cv2.resize(self.cover, None, fx=along, fy=down, interpolation=mode), np.float32
        )
        outline = None if self.zip_outline is None else self.zip_outline * (along, down)
        return Writing(cover=cover, zip_outline=outline, height=self.height * down)

    def fitted(self, height: float, width: float) -> "Writing":
        """Return the writing reduced to fit into a space."""
        factor = min(height / self.cover.shape[0], width / self.cover.shape[1])
        return self if factor >= 1 else self.resized(factor, factor)

    def redacted(self) -> "Writing":
        """Return the writing with a bar of ink over its ZIP."""
        if self.zip_outline is None:
            return self
        bar, reach = self.cover.copy(), 0.15 * self.height
        low = np.floor(np.maximum(self.zip_outline.min(axis=0) - reach, 0)).astype(int)
        high = np.ceil(self.zip_outline.max(axis=0) + reach).astype(int) + 1
        bar[low[1] : high[1], low[0] : high[0]] = 1
        return Writing(cover=bar, zip_outline=None, height=self.height)


def ink_outline(cover: Coverage, top: int = 0, left: int = 0) -> Outline | None:
    """Return the convex hull of the ink on a layer with its corner at ``top`` and ``left``."""
    ys, xs = np.nonzero(cover > _SEEN)
    if not len(xs):
        return None
    hull = cv2.convexHull(np.column_stack([xs, ys]).astype(np.int32))[:, 0].astype(np.float64)
    return np.add(hull, (left, top))


def joined_outline(first: Outline | None, second: Outline | None) -> Outline | None:
    """Return the vertices of both outlines, as far as they exist."""
    if first is None or second is None:
        return second if first is None else first
    return np.concatenate([first, second])


class Canvas:
    """A mutable sheet in gray levels to draw on, ``(H, W) uint8``.

    ``paper`` is its gray level, ``zip_outline`` is the outline of the destination ZIP, None until
    that is laid, and ``level`` is a gray level between the last address and the paper under it.
    """

    def __init__(self, shape: tuple[int, int], gray: float) -> None:
        self.paper = min(max(gray, 0.0), 255.0)
        self.image: GrayImage = np.full(shape, round(self.paper), np.uint8)
        self.level = self.paper / 2
        self.zip_outline: Outline | None = None

    @property
    def height(self) -> int:
        """Rows of the sheet."""
        return int(self.image.shape[0])

    @property
    def width(self) -> int:
        """Columns of the sheet."""
        return int(self.image.shape[1])

    def ink(self, cover: Coverage, top: float, left: float, gray: float) -> None:
        """Draw ink of a gray level; parts outside are cut off, and nothing gets lighter."""
        row, column = round(top), round(left)
        rows = slice(max(0, -row), max(0, self.height - row))
        seen = cover[rows, max(0, -column) : max(0, self.width - column)]
        if not seen.size:
            return
        first, begin = max(0, row), max(0, column)
        window = self.image[first : first + seen.shape[0], begin : begin + seen.shape[1]]
        darker = window + seen * np.minimum(gray - window.astype(np.float32), 0)
        window[...] = darker.astype(np.uint8)

    def lay(self, writing: Writing, top: float, left: float, gray: float) -> None:
        """Lay writing on the sheet with its corner at ``top`` and ``left``."""
        self.ink(writing.cover, top, left, gray)
        self.level = 0.5 * (self.paper + gray)
        if writing.zip_outline is not None:
            moved = np.add(writing.zip_outline, (round(left), round(top)))
            self.zip_outline = joined_outline(self.zip_outline, moved)

    def paste(self, label: "Canvas", top: float, left: float, angle: float) -> None:
        """Paste a smaller sheet, rotated by ``angle`` degrees about its centre."""
        middle = (label.width / 2, label.height / 2)
        matrix = cv2.getRotationMatrix2D(middle, angle, 1.0)
        more = np.abs(np.sin(np.deg2rad(angle))) * np.array([label.height, label.width]) / 2 + 1
        matrix[:, 2] += np.ceil(more)
        size = np.ceil(np.array([label.width, label.height]) + 2 * np.ceil(more)).astype(int)
        turned = cv2.warpAffine(label.image, matrix, size.tolist(), flags=cv2.INTER_LINEAR)
        there = cv2.warpAffine(np.full_like(label.image, 255), matrix, size.tolist())
        row, column = (round(float(at)) for at in (top - more[1], left - more[0]))
        self._cover(np.asarray(turned), np.asarray(there) > 127, row, column)
        self.level = label.level
        if label.zip_outline is not None:
            moved = np.add(label.zip_outline @ matrix[:, :2].T + matrix[:, 2], (column, row))
            self.zip_outline = joined_outline(self.zip_outline, moved)

    def _cover(self, image: GrayImage, there: NDArray[np.bool_], top: int, left: int) -> None:
        rows = slice(max(0, -top), max(0, self.height - top))
        columns = slice(max(0, -left), max(0, self.width - left))
        seen, kept = image[rows, columns], there[rows, columns]
        first, begin = max(0, top), max(0, left)
        window = self.image[first : first + seen.shape[0], begin : begin + seen.shape[1]]
        np.copyto(window, seen, where=kept)

    def invert(self) -> None:
        """Invert the sheet to light on dark."""
        self.image = np.asarray(255 - self.image, np.uint8)
        self.paper, self.level = 255 - self.paper, 255 - self.level

    def extended(self, above: int, below: int) -> "Canvas":
        """Return the sheet with more rows of paper above and below."""
        longer = Canvas((above + self.height + below, self.width), self.paper)
        longer.image[above : above + self.height] = self.image
        longer.level = self.level
        if self.zip_outline is not None:
            longer.zip_outline = np.add(self.zip_outline, (0, above))
        return longer
