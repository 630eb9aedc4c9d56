"""Labels of the regions of a composed string: whole digits and non-digits."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.types import MAX_DIGITS, InkMask, Region

# A digit covers nearly all of one glyph and hardly anything else; clearly less or clearly more is a
# non-digit; anything between is left unlabelled.
WHOLE, PURE = 0.85, 0.15
PARTIAL, MIXED = 0.7, 0.28
# Minimum share of a glyph that survives binarization; losing just the rims of strokes does no harm.
SEEN = 0.6
NO_DIGIT, UNCLEAR = -1, -2


def label_regions(
    regions: Sequence[Region], ink: InkMask, owners: NDArray[np.uint8]
) -> NDArray[np.int8]:
    """Label regions by the owners of their ink.

    Parameters
    ----------
    regions : sequence of Region
    ink : (h, w) bool
        All ink of the page at the size of the regions.
    owners : (H, W) uint8
        The owner of each pixel of the original page: 1 to 9 for digits by position, 255 for foreign
        ink, anything else for none.

    Returns
    -------
    (E,) int8
        The position of a region's digit, 0 to 8, `NO_DIGIT`, or `UNCLEAR`.
    """
    height, width = ink.shape
    scaled = cv2.resize(owners, (width, height), interpolation=cv2.INTER_NEAREST).astype(
        np.uint8, copy=False
    )
    inside = np.array([_inked_by(region, scaled) for region in regions], np.float32).reshape(
        -1, MAX_DIGITS + 1
    )
    places = range(1, MAX_DIGITS + 1)
    inked = np.array([(scaled[ink] == place).sum() for place in places], np.float32)
    written = np.array([(scaled == place).sum() for place in places], np.float32)
    covered = inside[:, :MAX_DIGITS] / np.maximum(np.maximum(inked, SEEN * written), 1)
    place = covered.argmax(axis=1)
    own = inside[np.arange(len(inside)), place]
    known = np.maximum(inside.sum(axis=1), 1)
    share, foreign = covered.max(axis=1, initial=0), 1 - own / known
    labels = np.full(len(inside), UNCLEAR, np.int8)
    labels[(share < PARTIAL) | (foreign > MIXED)] = NO_DIGIT
    whole = (share > WHOLE) & (foreign < PURE)
    labels[whole] = place[whole]
    return labels


def _inked_by(region: Region, owners: NDArray[np.uint8]) -> list[int]:
    """Count the pixels of a region by owner: up to nine digits, then foreign ink."""
    box = region.box
    counts = np.bincount(
        owners[box.top : box.bottom, box.left : box.right][region.ink], minlength=256
    )
    return [*counts[1 : MAX_DIGITS + 1].tolist(), int(counts[255])]
