"""Removal of borders around the paper: scanner lid, desk, another sheet.

A black lid would be the largest piece of ink, and a white one leaves a line where darker paper
begins. A border extends along a side, differs from the paper, and has a sharp and straight edge,
unlike shading or writing that touches the side.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.types import GrayImage

# The paper's brightness is a quantile of the middle half of the page, where up to this share may be
# ink.
PAPER_RANK = 0.75
# Minimum difference of a border from the paper, as a share of it; and minimum brightness of paper
# next to the lightest border, which ink does not have.
MIN_DIFFERENCE, MIN_PAPER = 0.2, 0.4
# Minimum share of a side, minimum depth in pixels, and maximum share of the page.
MIN_LENGTH, MIN_DEPTH, MAX_DEPTH = 0.9, 3, 0.6
# Maximum share of the side where touching writing makes a border deeper; minimum share of the rest
# that is within a distance in pixels of a straight line.
BUMP, STRAIGHT, AWAY = 0.125, 0.8, 2
# Blur of the edge in pixels on either side, within which this share of the difference must be.
BLUR, SHARP = 3, 0.5
# A border brighter than this share of the paper may be a shadow with writing on it.
DARKEST = 0.3


def remove_borders(page: GrayImage) -> tuple[GrayImage, int]:
    """Fill the borders of a crop with the brightness of the paper next to them.

    Parameters
    ----------
    page : (H, W) uint8
        0 black to 255 white.

    Returns
    -------
    (H, W) uint8
        The same object if there is no border.
    int
        Length of the shortest border in pixels, 0 if there is none.
    """
    paper, bare, lengths = _paper(page), page, []
    for side in range(4):
        found = _border(_from_side(page, side), paper)
        if found:
            along, depths = found
            bare = page.copy() if bare is page else bare
            _fill(_from_side(bare, side)[:, along], _from_side(page, side)[:, along], depths)
            lengths.append(len(depths))
    return bare, min(lengths, default=0)


def _paper(page: GrayImage) -> float:
    """Return the brightness of the paper."""
    down, across = len(page) // 4, page.shape[1] // 4
    some = page[down : len(page) - down : 2, across : page.shape[1] - across : 2].ravel()
    rank = int(PAPER_RANK * len(some))
    return float(np.partition(some, rank)[rank])


def _differ(one: float, other: float) -> bool:
    return abs(one - other) > MIN_DIFFERENCE * max(one, other)


def _from_side(image: GrayImage, side: int) -> GrayImage:
    """Return a view of the page with the given side first."""
    return (image, image[::-1], image.T, image.T[::-1])[side]


def _border(page: GrayImage, paper: float) -> tuple[slice, NDArray[np.intp]] | None:
    """Return the columns that begin with a border, and its depth in each.

    None if there is no border.
    """
    if not _differ(cv2.mean(page[0])[0], paper):  # the usual case
        return None
    outer = float(np.median(page[0]))
    if not _differ(outer, paper) or paper < MIN_PAPER * outer:
        return None
    beyond = page > (outer + paper) / 2 if outer > paper else page < (outer + paper) / 2
    along = _longest_run(beyond[0])
    if along.stop - along.start < MIN_LENGTH * page.shape[1]:
        return None
    page, found = page[:, along], _depths(beyond[:, along])
    # The border of another side begins elsewhere.
    own = np.flatnonzero(found < len(page))
    depths = _straightened(found, own, len(page))
    if depths is None or not MIN_DEPTH <= np.median(depths) <= MAX_DEPTH * len(page):
        return None
    inside, outside = _around(page, depths)
    sharp = (outside - inside) / (paper - outer) >= SHARP
    return (along, depths) if sharp[own].mean() >= STRAIGHT else None


def _longest_run(line: NDArray[np.bool_]) -> slice:
    """Return the longest run of True: (W,) bool."""
    changes = np.flatnonzero(np.diff(line, prepend=False, append=False))
    begins, ends = changes[0::2], changes[1::2]
    longest = int(np.argmax(ends - begins)) if len(begins) else 0
    return slice(int(begins[longest]), int(ends[longest])) if len(begins) else slice(0, 0)


def _depths(beyond: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Count the True pixels that each column begins with, without touching writing.

    (H, W) bool -> (W,).
    """
    depths = np.where(beyond.all(axis=0), len(beyond), beyond.argmin(axis=0)).astype(np.float32)
    bump = np.ones((1, max(3, round(BUMP * len(depths)) | 1)), np.uint8)
    opened = cv2.morphologyEx(depths[None], cv2.MORPH_OPEN, bump, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(opened[0], np.intp)


def _straightened(
    depths: NDArray[np.intp], own: NDArray[np.intp], most: int
) -> NDArray[np.intp] | None:
    """Fit a straight line from 0 to `most` to depths of columns; None if none fits."""
    third = len(own) // 3
    if third == 0:
        return None
    (x, y), (end_x, end_y) = (
        (np.median(some), np.median(depths[some])) for some in (own[:third], own[-third:])
    )
    line = y + (end_y - y) / (end_x - x) * (np.arange(len(depths)) - x)
    near = np.abs(depths - line)[own] <= AWAY
    return np.clip(line.round(), 0, most).astype(np.intp) if near.mean() >= STRAIGHT else None


def _around(
    page: GrayImage, depths: NDArray[np.intp]
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Return the brightness on either side of a border's edge in each column: (W,) each."""
    columns = np.arange(len(depths))
    inside, outside = (
        page[np.clip(depths + away, 0, len(page) - 1), columns].astype(np.int16)
        for away in (-BLUR, BLUR)
    )
    return inside, outside


def _fill(bare: GrayImage, page: GrayImage, depths: NDArray[np.intp]) -> None:
    """Fill a border with the brightness of its paper, in the copy ``bare``."""
    inside, outside = map(np.median, _around(page, depths))
    rows = np.arange(len(page))[:, None]
    if DARKEST * outside < inside < outside:
        bare[rows < depths] = np.minimum(page[rows < depths] * (outside / inside), 255)
    else:
        bare[rows < depths + BLUR] = outside
