"""Brings a page to the size of a glance or to working size, and finds all that could be a digit: the way both reading and training take."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr import clean as cleaning
from zipocr import normalize, threshold
from zipocr.barcodes import find_bars, without_barcodes
from zipocr.borders import without_borders
from zipocr.classify import features, gate, scores, svc
from zipocr.clean import digit_height, mend_gaps, remove_rules, remove_specks
from zipocr.components import Components
from zipocr.layout import LEAST_PIXELS, is_sheet
from zipocr.segment import cuts, lattice, seams
from zipocr.segment.cuts import propose_cuts
from zipocr.segment.lattice import build_lattice
from zipocr.sequence import strip
from zipocr.shrink import halved, reduced
from zipocr.threshold import flatten, has_ink, otsu, wolf
from zipocr.types import CutSet, GrayImage, InkMask, Lattice

LARGEST_ENLARGEMENT = 4.0
# What would have to be enlarged to more pixels than this is dust on a large sheet; as small digits it took half a minute.
MOST_ENLARGED = 8_000_000
# On a page of half its size digits are not smaller than this in pixels, or they are looked for on the whole page.
LEAST_HALVED = 7.0
# A border is so much longer than digits are high: a 1 may stand along a side of a close crop.
BORDER_LENGTH = 1.3
# A way to clean ink: its components and the digit height in pixels -> the same, cleaned.
Cleaner: TypeAlias = Callable[[Components, float], Components]


class Size(NamedTuple):
    """A height in pixels that digits are brought to, unless it is near enough already, and how much their page is smoothed."""

    height: int
    least: int
    most: int
    softening: float


# Digits are segmented at about this height.
WORKING = Size(height=44, least=34, most=62, softening=0.8)
# For the network to read the line half of it is enough: of 3,303 crops and composed strings one read 3,021 so, and 3,023 at full height.
GLANCE = Size(height=22, least=17, most=31, softening=0.5)


class Binarization(StrEnum):
    """The thresholds a page can be seen through."""

    OTSU = "otsu"
    WOLF = "wolf"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sheet:
    """A page at some size, flattened, the parts of its ink by the first threshold, and the digit height in pixels, 0 without ink.

    ``level`` is that threshold; ``is_envelope`` says that the page, as it came, is a sheet of small writing.
    """

    page: GrayImage
    flat: GrayImage
    level: float
    parts: Components
    height: float
    is_envelope: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inked:
    """A page at some size, the parts of its cleaned ink, and the digit height in pixels.

    ``level`` is the threshold up to which grey is ink; None where there is none for the whole page.
    """

    sheet: Sheet
    parts: Components
    height: float
    level: float | None

    @property
    def ink(self) -> InkMask:
        """The cleaned ink."""
        return self.parts.ink


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segmentation:
    """A page at working size, its cleaned ink, and everything that could be a digit. ``height`` is the digit height in pixels."""

    page: GrayImage
    ink: InkMask
    height: float
    cuts: CutSet
    lattice: Lattice


def settings_hash() -> str:
    """Hash of all settings that training and reading must share: the public constants of the stages up to classifier and network.

    Those of borders and barcodes are not among them: hardly a composed page has any, so that no model rests on them.
    """
    found = {
        f"{room.__name__}.{name}": value
        for room in (threshold, cleaning, strip, seams, cuts, lattice, normalize, features, gate, svc, scores)
        for name, value in vars(room).items()
        if name.isupper() and not name.startswith("_") and isinstance(value, int | float | tuple)
    }
    found |= {"reader": (WORKING, GLANCE, LARGEST_ENLARGEMENT, LEAST_HALVED)}
    return sha256(repr(sorted(found.items())).encode()).hexdigest()[:16]


def to_working_size(page: GrayImage) -> Sheet:
    """Scales a page so that its digits are about as high as `WORKING` says; a page near that, or without ink, stays as it is."""
    return _fit(page, _lay(page, WORKING), WORKING)


def to_glance_size(page: GrayImage) -> Sheet:
    """Scales a page so that its digits are about as high as `GLANCE` says; what the half of it shows is found there."""
    sheet = _lay(halved(page), GLANCE)
    if 0 < sheet.height < LEAST_HALVED:
        sheet = _lay(page, GLANCE)
    if sheet.height == 0:
        # Whether there is none at all is asked as for a look.
        sheet = _lay(page, WORKING)
    return _fit(page, sheet, GLANCE)


def clear_for_glance(page: GrayImage) -> tuple[GrayImage, Sheet]:
    """Takes barcodes off a page: what is left of it, and that at the size of a glance, where they are looked for first."""
    page = reduced(page)
    sheet = to_glance_size(page)
    if not find_bars(sheet.parts).any():
        return page, sheet
    bare = without_barcodes(page, Components(otsu(flatten(page))[1]))
    return (page, sheet) if bare is page else (bare, to_glance_size(bare))


def _fit(page: GrayImage, sheet: Sheet, wanted: Size) -> Sheet:
    """A page as it was laid, if its digits are about as high as wanted there; or laid anew."""
    if sheet.height == 0:
        return sheet
    laid_at = sheet.page.shape[0] / page.shape[0]
    if is_sheet(sheet.parts, LEAST_PIXELS * laid_at):
        return replace(sheet, is_envelope=True)
    if wanted.least <= sheet.height <= wanted.most:
        return sheet
    scale = min(wanted.height / sheet.height * laid_at, LARGEST_ENLARGEMENT)
    if scale > 1 and scale * scale * page.size > MOST_ENLARGED:
        return replace(sheet, parts=Components(np.zeros_like(sheet.parts.ink)), height=0.0)
    size = max(1, round(page.shape[1] * scale)), max(1, round(page.shape[0] * scale))
    return _lay(cv2.resize(page, size, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA).astype(page.dtype), wanted)


def _lay(page: GrayImage, size: Size) -> Sheet:
    """Parts ink from paper, without the borders of the page, unless that takes all ink, or a border that a digit is long enough for."""
    bare, shortest = without_borders(page)
    sheet = _part(page, bare, size)
    return sheet if bare is page or 0 < BORDER_LENGTH * sheet.height <= shortest else _part(page, page, size)


def _part(page: GrayImage, bare: GrayImage, size: Size) -> Sheet:
    flat = cv2.GaussianBlur(flatten(bare), (0, 0), size.softening).astype(np.uint8, copy=False)
    level, ink = otsu(flat)
    if not has_ink(flat, ink):
        return Sheet(page=page, flat=flat, level=level, parts=Components(np.zeros_like(ink)), height=0.0)
    parts = Components(ink)
    return Sheet(page=page, flat=flat, level=level, parts=parts, height=digit_height(parts))


def find_ink(sheet: Sheet, binarization: Binarization, *, unrule: Cleaner = remove_rules, mend: Cleaner = mend_gaps) -> Inked | None:
    """Separates writing from paper, rules and dirt on a page, and mends it; None when there is no ink."""
    if sheet.height == 0:
        return None
    level: float | None
    parts, height, level = sheet.parts, sheet.height, sheet.level
    if binarization is Binarization.WOLF:
        parts, level = Components(wolf(sheet.flat, window=WORKING.height)), None
        height = digit_height(parts)
        if height == 0:
            return None
    bare = unrule(parts, height)
    if bare is not parts:
        height = digit_height(bare) or height
    clean = mend(remove_specks(bare, height), height)
    return Inked(sheet=sheet, parts=clean, height=height, level=level) if len(clean.boxes) else None


def half_turned(inked: Inked) -> Inked:
    """A page upside down: its writing needs no second search, since it is found alike either way."""
    sheet = inked.sheet
    page, flat = (np.ascontiguousarray(one[::-1, ::-1]) for one in (sheet.page, sheet.flat))
    drawn, ink = (Components(np.ascontiguousarray(one.ink[::-1, ::-1])) for one in (sheet.parts, inked.parts))
    return replace(inked, sheet=replace(sheet, page=page, flat=flat, parts=drawn), parts=ink)


def segment(inked: Inked, *, through: bool = True, centres: Sequence[NDArray[np.float64]] = ()) -> Segmentation:
    """Finds everything that could be a digit.

    Parameters
    ----------
    inked : Inked
    through : bool
        Whether components are cut through.
    centres : sequence of (N,) float64
        Columns in which the digits of strings stand that somebody else read. If such are given, cuts are made between neighbours of one
        string alone, and only what holds one digit of one of them counts.
    """
    near = np.concatenate([(one[1:] + one[:-1]) / 2 for one in centres]) if centres else None
    cuts = propose_cuts(inked.parts, inked.height, through=through, near=near)
    lattice = build_lattice(cuts, inked.height, centres=centres)
    return Segmentation(page=inked.sheet.page, ink=inked.ink, height=inked.height, cuts=cuts, lattice=lattice)


_NOTHING = np.zeros(0, np.intp)
_NO_CUTS = CutSet(rows=_NOTHING, columns=_NOTHING, left=np.zeros((0, 0), bool), costs=np.zeros(0, np.float32))
_NO_LATTICE = Lattice(
    cut_count=0, starts=_NOTHING, ends=_NOTHING, regions=(), geometry=np.zeros((0, lattice.GEOMETRY), np.float32),
    prices=np.zeros(0), skips=np.zeros((0, 3)),
)  # fmt: skip


def unsegmented(inked: Inked) -> Segmentation:
    """A page at whose regions nobody looked: no cut, and a lattice without any."""
    return Segmentation(page=inked.sheet.page, ink=inked.ink, height=inked.height, cuts=_NO_CUTS, lattice=_NO_LATTICE)
