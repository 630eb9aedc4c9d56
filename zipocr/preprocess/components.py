"""Connected components of ink.

Labelled by OpenCV, once, and in 16 bits if possible, which is faster.
"""

from functools import cached_property
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.types import InkMask

# Up to this many components are erased one by one; more by a table lookup for each pixel.
FEW = 32


def label_components(ink: InkMask | NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Label 8-connected components.

    Parameters
    ----------
    ink : (H, W) bool or uint8
        Nonzero pixels are ink.

    Returns
    -------
    labels : (H, W) uint16 or int32
        0 for paper, then one number per component.
    boxes : (N + 1, 5) int32
        Left, top, width, height and area by label; the first row is for the paper.
    """
    # No block of 2x2 pixels has more than one component.
    most = ((ink.shape[0] + 1) // 2) * ((ink.shape[1] + 1) // 2)
    kind = cv2.CV_16U if most < 1 << 16 else cv2.CV_32S
    if not ink.size:
        return np.zeros(ink.shape, np.uint16), np.zeros((1, 5), np.int32)
    _, labels, boxes, _ = cv2.connectedComponentsWithStatsWithAlgorithm(
        ink.view(np.uint8), 8, kind, cv2.CCL_SPAGHETTI
    )
    return np.asarray(labels), np.asarray(boxes, np.int32)


class ComponentBox(NamedTuple):
    """The bounding box of a component in pixels, and its area."""

    left: int
    top: int
    wide: int
    tall: int
    area: int

    @property
    def right(self) -> int:
        """First column right of the box."""
        return self.left + self.wide

    @property
    def bottom(self) -> int:
        """First row below the box."""
        return self.top + self.tall


class Components:
    """Ink and its connected components, labelled on first use. Immutable.

    Parameters
    ----------
    ink : (H, W) bool
    """

    def __init__(self, ink: InkMask) -> None:
        self.ink = ink

    @cached_property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the bounding box of all ink."""
        left, top, wide, tall = (
            cv2.boundingRect(self.ink.view(np.uint8)) if self.ink.size else (0, 0, 0, 0)
        )
        return slice(top, top + tall), slice(left, left + wide)

    @property
    def labels(self) -> NDArray[Any]:
        """Labels of the pixels in the window, 0 for paper."""
        return self._labelled[0]

    @property
    def boxes(self) -> NDArray[np.int32]:
        """Left, top, width, height and area of each component: (N, 5), in pixels of the page."""
        return self._labelled[1]

    @cached_property
    def listed(self) -> list[ComponentBox]:
        """The boxes as plain numbers.

        They are faster than arrays for few components.
        """
        return [ComponentBox(*box) for box in self.boxes.tolist()]

    @cached_property
    def places(self) -> NDArray[np.intp]:
        """Index in `boxes` of each label, 0 for unused labels."""
        numbers = self._labelled[2]
        places = np.zeros(1 + int(numbers.max(initial=0)), np.intp)
        places[numbers] = np.arange(len(numbers))
        return places

    def mask(self, place: int) -> InkMask:
        """Return the ink of one component, cropped to its box."""
        box, number = self.listed[place], self._labelled[2][place]
        top, left = box.top - self.window[0].start, box.left - self.window[1].start
        found: InkMask = self.labels[top : top + box.tall, left : left + box.wide] == number
        return found

    @cached_property
    def _labelled(self) -> tuple[NDArray[Any], NDArray[np.int32], NDArray[np.intp]]:
        """Labels of the window, boxes, and the label of each component."""
        labels, boxes = label_components(np.ascontiguousarray(self.ink[self.window]))
        boxes[:, :2] += self.window[1].start, self.window[0].start
        return labels, boxes[1:], np.arange(1, len(boxes))

    def take(self, kept: NDArray[np.bool_]) -> "Components":
        """Return only the selected components, (N,) bool; the same object if these are all."""
        if kept.all():
            return self
        labels, boxes, numbers = self._labelled
        if np.count_nonzero(kept) >= len(kept) - FEW:
            left = labels.copy()
            for number, (x, y, wide, tall, _) in zip(
                numbers[~kept].tolist(), boxes[~kept].tolist(), strict=True
            ):
                around = left[y - self.window[0].start :, x - self.window[1].start :][:tall, :wide]
                around[around == number] = 0
        else:
            known = np.zeros(int(numbers[-1]) + 1, labels.dtype)
            known[numbers[kept]] = numbers[kept]
            # All labels are in range; `take` is faster than indexing.
            left = np.take(known, labels, mode="clip")
        ink = np.zeros_like(self.ink)
        ink[self.window] = left > 0
        taken = Components(ink)
        taken.__dict__.update(window=self.window, _labelled=(left, boxes[kept], numbers[kept]))
        return taken
