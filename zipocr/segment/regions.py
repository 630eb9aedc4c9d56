"""Division of a line's ink among the digits of a string, given the columns of their centres.

Components at one centre are one digit or a part of it; those at several are cut along the cheapest
seams between the centres.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zipocr.preprocess.components import ComponentBox, Components
from zipocr.segment.seams import find_seams
from zipocr.types import Box, InkMask, Region

# All lengths in digit heights, areas in their squares.
# A component owns a centre if it has the most ink within this distance.
REACH = 0.25
# Components at no centre belong to the nearest one within this distance.
MAX_DISTANCE = 0.7
# Minimum area of ink of a digit.
MIN_AREA = 0.02
# Strings share their regions if their centres differ by less than this.
SAME_PLACE = 0.12
# Number of cuts to try between two touching digits.
CUTS = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segmentation:
    """The regions of a page, and those of each candidate string.

    ``strings`` has the indices of a string's regions from left to right, with several variants if
    touching digits may be cut in several ways; none if a digit has no ink. ``centres`` are the
    columns of digits, (N,) each, that these strings are of.
    """

    regions: tuple[Region, ...] = ()
    strings: tuple[tuple[int, ...], ...] = ()
    centres: tuple[NDArray[np.float64], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Division:
    """The regions of one string from left to right, and alternative cuts of pairs of its digits.

    Each of ``recuts`` has the regions of two touching digits, by their positions.
    """

    regions: tuple[Region, ...] = ()
    recuts: tuple[Mapping[int, Region], ...] = ()


_NOTHING = Segmentation()


def segment(
    components: Components,
    height: float,
    centres: Sequence[NDArray[np.float64]],
    before: Segmentation = _NOTHING,
) -> Segmentation:
    """Find the regions of the digits of candidate strings.

    Parameters
    ----------
    components : Components
        The cleaned ink of a line.
    height : float
        Digit height in pixels.
    centres : sequence of (N,) float64
        The columns of each string's digits, ascending; empty for a string that does not fit the
        line.
    before : Segmentation
        The segmentation of the same line for other strings.

    Returns
    -------
    Segmentation
        The regions and strings from before, and then those in the order of `centres`; strings with
        nearly equal centres are merged.
    """
    regions, strings, known = list(before.regions), list(before.strings), list(before.centres)
    for columns in centres:
        if _is_known(known, columns, SAME_PLACE * height):
            continue
        known.append(columns)
        found = divide(components, height, columns)
        numbers = range(len(regions), len(regions) + len(found.regions))
        regions += found.regions
        strings.append(tuple(numbers))
        for recut in found.recuts:
            changed = dict(zip(recut, range(len(regions), len(regions) + len(recut)), strict=True))
            regions += recut.values()
            strings.append(tuple(changed.get(place, own) for place, own in enumerate(numbers)))
    return Segmentation(regions=tuple(regions), strings=tuple(strings), centres=tuple(known))


def _is_known(
    known: Sequence[NDArray[np.float64]], columns: NDArray[np.float64], slack: float
) -> bool:
    """Return whether one of the known strings has nearly the same centres."""
    return any(
        len(others) == len(columns) and (np.abs(others - columns) < slack).all() for others in known
    )


def divide(
    components: Components, height: float, centres: NDArray[np.float64], *, cuts: int = CUTS
) -> Division:
    """Divide the ink of a line among digits.

    Parameters
    ----------
    components : Components
        The cleaned ink of a line.
    height : float
        Digit height in pixels.
    centres : (N,) float64
        The columns of the digits, ascending.
    cuts : int
        Number of cuts to try between two touching digits.

    Returns
    -------
    Division
        A region for each centre, or none at all if a centre has no ink.
    """
    owners = _owners(components, centres, REACH * height)
    if owners is None or not len(centres):
        return Division()
    pieces: dict[tuple[int, int], Region] = {}
    recuts: list[dict[tuple[int, int], Region]] = []
    top = min(components.listed[place].top for place in owners)
    bottom = max(components.listed[place].bottom for place in owners)
    for place, box in enumerate(components.listed):
        if box.bottom <= top or box.top >= bottom:
            continue
        own = _digits_of(box, centres, owners == place, MAX_DISTANCE * height)
        if not own:
            continue
        parts = _cut(components.mask(place), box, height, centres[own], cuts)
        pieces |= {(own[at], place): piece for at, piece in enumerate(parts.regions)}
        recuts += [{(own[at], place): piece for at, piece in one.items()} for one in parts.recuts]
    regions = tuple(_joined(pieces, digit) for digit in range(len(centres)))
    others = [{digit: _joined(pieces | one, digit) for digit, _ in one} for one in recuts]
    if not _are_digits(regions, height):
        return Division()
    whole = [one for one in others if _are_digits(one.values(), height)]
    return Division(regions=regions, recuts=tuple(whole))


def _are_digits(regions: Iterable[Region], height: float) -> bool:
    """Return whether all regions have enough ink for a digit."""
    return all(np.count_nonzero(one.ink) >= MIN_AREA * height * height for one in regions)


def _digits_of(
    box: ComponentBox,
    centres: NDArray[np.float64],
    owned: NDArray[np.bool_],
    farthest: float,
) -> list[int]:
    """Return the indices of a component's digits: those whose centres it owns, or the nearest."""
    own = np.flatnonzero(owned)
    if not len(own):
        away = np.abs(centres - (box.left + box.right) / 2)
        own = np.flatnonzero((away == away.min()) & (away <= farthest))[:1]
    found: list[int] = own.tolist()
    return found


def _owners(
    components: Components, centres: NDArray[np.float64], reach: float
) -> NDArray[np.intp] | None:
    """Return the component with the most ink near each centre; None if a centre has no ink."""
    first = components.window[1].start
    owners = np.empty(len(centres), np.intp)
    for at, centre in enumerate(centres - first):
        left = max(round(centre - reach), 0)
        right = max(round(centre + reach), 0) + 1
        # A component has ink in each column of its box.
        near = [
            place
            for place, box in enumerate(components.listed)
            if box.left - first < right and left < box.right - first
        ]
        if not near:
            return None
        if len(near) > 1:
            counts = np.bincount(components.labels[:, left:right].ravel())
            counts[0] = 0
            near = [components.places[counts.argmax()]]
        owners[at] = near[0]
    return owners


def _cut(
    ink: InkMask, box: ComponentBox, height: float, centres: NDArray[np.float64], cuts: int
) -> Division:
    """Cut a component along the cheapest seams between adjacent centres, and along alternatives."""
    if len(centres) == 1:
        whole = Box(top=box.top, left=box.left, bottom=box.bottom, right=box.right)
        return Division(regions=(Region(box=whole, ink=ink),))
    middles = (centres[1:] + centres[:-1]) / 2 - box.left
    seams = list(_seams(ink, height, middles, cuts))
    best = [found[0] for found in seams]
    recuts = [
        {
            side: _between(ink, box, [*best[:at], seam, *best[at + 1 :]], side)
            for side in (at, at + 1)
        }
        for at, found in enumerate(seams)
        for seam in found[1:]
    ]
    regions = [_between(ink, box, best, at) for at in range(len(centres))]
    return Division(regions=tuple(regions), recuts=tuple(recuts))


def _seams(
    ink: InkMask, height: float, middles: NDArray[np.float64], cuts: int
) -> Iterator[list[NDArray[np.intp]]]:
    """Find the seams near each column, in the ink to the right of the previous seams."""
    for middle in middles:
        found = find_seams(ink, height, middle, most=cuts)
        yield found
        ink = ink & (np.arange(ink.shape[1]) >= found[0][:, None])


def _between(
    ink: InkMask, box: ComponentBox, seams: Sequence[NDArray[np.intp]], place: int
) -> Region:
    """Return the ink right of all seams before an index, and left of the seam there."""
    columns = np.arange(ink.shape[1])
    for seam in seams[:place]:
        ink = ink & (columns >= seam[:, None])
    for seam in seams[place : place + 1]:
        ink = ink & (columns < seam[:, None])
    return _region(ink, box.top, box.left)


def _region(ink: InkMask, top: int, left: int) -> Region:
    """Return the ink of a mask with its origin at (top, left), cropped to its box."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return Region(box=Box(top=top, left=left, bottom=top, right=left), ink=ink[:0, :0])
    (y0, y1), (x0, x1) = (rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1)
    box = Box(top=top + int(y0), left=left + int(x0), bottom=top + int(y1), right=left + int(x1))
    return Region(box=box, ink=ink[y0:y1, x0:x1])


def _joined(pieces: Mapping[tuple[int, int], Region], digit: int) -> Region:
    """Join all pieces of a digit into one region; keys are digit and component."""
    own = [one for (owner, _), one in pieces.items() if owner == digit]
    own = [one for one in own if one.ink.size] or own[:1]
    if len(own) == 1:
        return own[0]
    box = Box.around([one.box for one in own])
    ink = np.zeros((box.height, box.width), bool)
    for one in own:
        ink[one.box.rows_in(box), one.box.columns_in(box)] |= one.ink
    return Region(box=box, ink=ink)
