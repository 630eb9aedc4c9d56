"""Divides the ink of a line among the digits of a string, given the columns of their centres.

Components that lie under one centre are one digit or a part of it; those that lie under several
are cut along the cheapest seams between the centres.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zipocr.preprocess.components import ComponentBox, Components
from zipocr.segment.seams import find_seam
from zipocr.types import Box, InkMask, Region

# All lengths in digit heights, areas in their squares.
# A component belongs to a centre if none has more ink this near to it.
REACH = 0.25
# What is under no centre belongs to the nearest one, unless that is farther than this.
MAX_DISTANCE = 0.7
# Ink of less than this is no digit.
MIN_AREA = 0.02
# Strings whose centres differ by less than this share their regions.
SAME_PLACE = 0.12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segmentation:
    """The regions of a page, and those of each string that it may bear.

    ``strings`` has, for each string, the numbers of its regions from left to right; they are empty
    where one of its digits has no ink.
    """

    regions: tuple[Region, ...]
    strings: tuple[tuple[int, ...], ...]


def segment(
    components: Components, height: float, centres: Sequence[NDArray[np.float64]]
) -> Segmentation:
    """Find the regions of the digits of several strings.

    Parameters
    ----------
    components : Components
        The cleaned ink of a line.
    height : float
        Digit height in pixels.
    centres : sequence of (N,) float64
        The columns of each string's digits, rising; none of a string that does not fit the line.

    Returns
    -------
    Segmentation
        Strings in the order of `centres`.
    """
    regions: list[Region] = []
    known: list[tuple[NDArray[np.float64], tuple[int, ...]]] = []
    strings = []
    for columns in centres:
        numbers = _same(known, columns, SAME_PLACE * height)
        if numbers is None:
            found = divide(components, height, columns)
            numbers = tuple(range(len(regions), len(regions) + len(found)))
            regions += found
            known.append((columns, numbers))
        strings.append(numbers)
    return Segmentation(regions=tuple(regions), strings=tuple(strings))


def _same(
    known: Sequence[tuple[NDArray[np.float64], tuple[int, ...]]],
    columns: NDArray[np.float64],
    slack: float,
) -> tuple[int, ...] | None:
    """Return the regions of a string with nearly the same centres, if there is one."""
    for others, numbers in known:
        if len(others) == len(columns) and (np.abs(others - columns) < slack).all():
            return numbers
    return None


def divide(
    components: Components, height: float, centres: NDArray[np.float64]
) -> tuple[Region, ...]:
    """Divide ink among digits.

    Parameters
    ----------
    components : Components
        The cleaned ink of a line.
    height : float
        Digit height in pixels.
    centres : (N,) float64
        The columns of the digits, rising.

    Returns
    -------
    tuple of Region
        One for each centre, or none at all where a centre has no ink.
    """
    owners = _owners(components, centres, REACH * height)
    if owners is None or not len(centres):
        return ()
    pieces: list[list[Region]] = [[] for _ in centres]
    for place, box in enumerate(components.listed):
        own = np.flatnonzero(owners == place)
        if not len(own):
            away = np.abs(centres - (box.left + box.right) / 2)
            own = np.flatnonzero(away == away.min())[:1]
            if away[own[0]] > MAX_DISTANCE * height:
                continue
        ink = components.mask(place)
        for centre, piece in zip(own, _cut(ink, box, height, centres[own]), strict=True):
            pieces[centre].append(piece)
    regions = tuple(_joined(some) for some in pieces)
    enough = all(np.count_nonzero(one.ink) >= MIN_AREA * height * height for one in regions)
    return regions if enough else ()


def _owners(
    components: Components, centres: NDArray[np.float64], reach: float
) -> NDArray[np.intp] | None:
    """Return the component with the most ink near each centre; None if one has no ink near it."""
    first = components.window[1].start
    owners = np.empty(len(centres), np.intp)
    for place, centre in enumerate(centres - first):
        near = components.labels[
            :, max(round(centre - reach), 0) : max(round(centre + reach), 0) + 1
        ]
        counts = np.bincount(near.ravel())
        counts[:1] = 0
        if not counts.any():
            return None
        owners[place] = counts.argmax()
    return components.places[owners]


def _cut(
    ink: InkMask, box: ComponentBox, height: float, centres: NDArray[np.float64]
) -> Iterator[Region]:
    """Cut a component along the cheapest seam between each two of its centres."""
    rest, first = ink, box.left
    if len(centres) == 1:
        whole = Box(top=box.top, left=box.left, bottom=box.bottom, right=box.right)
        yield Region(box=whole, ink=ink)
        return
    for middle in (centres[1:] + centres[:-1]) / 2:
        seam = find_seam(rest, height, middle - first)
        left = np.arange(rest.shape[1]) < seam[:, None]
        yield _region(rest & left, box.top, first)
        rest = rest & ~left
    yield _region(rest, box.top, first)


def _region(ink: InkMask, top: int, left: int) -> Region:
    """Return the ink of a mask whose first pixel lies at (top, left), cropped to its box."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return Region(box=Box(top=top, left=left, bottom=top, right=left), ink=ink[:0, :0])
    (y0, y1), (x0, x1) = (rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1)
    box = Box(top=top + int(y0), left=left + int(x0), bottom=top + int(y1), right=left + int(x1))
    return Region(box=box, ink=ink[y0:y1, x0:x1])


def _joined(pieces: Sequence[Region]) -> Region:
    """Return one region of all pieces."""
    pieces = [one for one in pieces if one.ink.size] or pieces[:1]
    if len(pieces) == 1:
        return pieces[0]
    boxes = [one.box for one in pieces]
    box = Box(
        top=min(one.top for one in boxes),
        left=min(one.left for one in boxes),
        bottom=max(one.bottom for one in boxes),
        right=max(one.right for one in boxes),
    )
    ink = np.zeros((box.height, box.width), bool)
    for one in pieces:
        ink[one.box.rows_in(box), one.box.columns_in(box)] |= one.ink
    return Region(box=box, ink=ink)
