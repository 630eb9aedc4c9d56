"""The types that stages pass to each other.

Arrays carry their axes and ranges in their names: a `GrayImage` is ``(H, W) uint8``, 0 black to 255
white; an `InkMask` is ``(H, W) bool``, True where there is ink; a `DigitGrid` is ``(8, 8) uint8``,
0 paper to 16 ink, as in scikit-learn's Digits.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

GrayImage: TypeAlias = NDArray[np.uint8]
InkMask: TypeAlias = NDArray[np.bool_]
DigitGrid: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]

ZIP_LENGTH = 5
PLUS4_LENGTH = 4
MAX_DIGITS = ZIP_LENGTH + PLUS4_LENGTH


def dashed(digits: str) -> str:
    """Format five or nine digits as on an envelope.

    Examples
    --------
    >>> dashed("02108"), dashed("021081234")
    ('02108', '02108-1234')
    """
    return f"{digits[:ZIP_LENGTH]}-{digits[ZIP_LENGTH:]}" if len(digits) > ZIP_LENGTH else digits


def missing_zeros_hint(text: str) -> str:
    """Describe how to fix a ZIP without its leading zeros; empty if that is not the problem.

    Examples
    --------
    >>> missing_zeros_hint("2108-1234").partition(": ")[2]
    'write 02108-1234, and keep the column as text.'
    >>> missing_zeros_hint("02108"), missing_zeros_hint("x")
    ('', '')
    """
    eaten = re.fullmatch("([0-9]{1,4})(-[0-9]{4})?", text)
    if eaten is None:
        return ""
    right = f"{eaten[1]:0>5}{eaten[2] or ''}"
    cure = f"write {right}, and keep the column as text."
    return f"{text} has less than five digits. A spreadsheet has removed leading zeros: {cure}"


class Reason(StrEnum):
    """Reasons why a page was not simply read.

    All values of the column ``reason``.
    """

    LOW_CONFIDENCE = "low_confidence"
    DIRECTORY_CHOICE = "directory_choice"
    TOWN_CHOICE = "town_choice"
    NOT_IN_DIRECTORY = "not_in_directory"
    TURNED_90 = "turned_90"
    TURNED_180 = "turned_180"
    TURNED_270 = "turned_270"
    NO_INK = "no_ink"
    NOT_FIVE_DIGITS = "not_five_digits"
    SEVERAL_CANDIDATES = "several_candidates"
    NO_DESTINATION_ZIP = "no_destination_zip"
    SEVERAL_LINES = "several_lines"
    TOO_LARGE = "too_large"
    UNREADABLE_FILE = "unreadable_file"
    NEEDS_PDF_EXTRA = "needs_pdf_extra"
    NEEDS_HEIF_EXTRA = "needs_heif_extra"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    WORKER_DIED = "worker_died"
    PROGRAM_ERROR = "program_error"
    CONFIRMED_BY_PERSON = "confirmed_by_person"
    CORRECTED_BY_PERSON = "corrected_by_person"
    NOT_A_ZIP = "not_a_zip"


class Status(StrEnum):
    """What to do with a page: accept it, review it, or accept that it has no ZIP."""

    READ = "read"
    REVIEW = "review"
    UNREAD = "unread"


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A half-open rectangle of pixels.

    Rows ``top <= y < bottom``, columns ``left <= x < right``.
    """

    top: int
    left: int
    bottom: int
    right: int

    @classmethod
    def around(cls, boxes: Sequence["Box"]) -> "Box":
        """Return the smallest box that contains all of one or more boxes."""
        return cls(
            top=min(one.top for one in boxes),
            left=min(one.left for one in boxes),
            bottom=max(one.bottom for one in boxes),
            right=max(one.right for one in boxes),
        )

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.right - self.left

    def rows_in(self, outer: "Box") -> slice:
        """Return the rows of this box in an array that covers `outer`."""
        return slice(self.top - outer.top, self.bottom - outer.top)

    def columns_in(self, outer: "Box") -> slice:
        """Return the columns of this box in an array that covers `outer`."""
        return slice(self.left - outer.left, self.right - outer.left)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Region:
    """The ink of one character.

    Its box, and which pixels of the box belong to it (``ink`` has the box's shape).
    """

    box: Box
    ink: InkMask


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitReading:
    """A digit with its probability, and the second most probable digit."""

    digit: int
    probability: float
    runner_up: int
    runner_up_probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipReading:
    """A ZIP read from a page; ``confidence`` is the probability that all its digits are right.

    ``zip`` is the first five digits and ``plus4`` the last four, empty if only five were read;
    ``digits`` has all of them. ``runner_up`` is the second best string as `dashed` formats it, or
    empty. ``city`` and ``state`` are empty if the directory does not list the ZIP or was not used.
    ``reasons`` are those of decoder and directory; the threshold is not applied yet. ``rotation``
    is the clockwise rotation of the page for reading in degrees: 0, 90, 180 or 270. ``box`` is the
    place of the ZIP in pixels of the original page; None if the page is a tight crop.
    """

    zip: str
    plus4: str = ""
    confidence: float
    digits: tuple[DigitReading, ...]
    runner_up: str
    runner_up_confidence: float
    reasons: tuple[Reason, ...]
    city: str
    state: str
    rotation: int = 0
    box: Box | None = None

    def weighed(self, probability: float) -> "ZipReading":
        """Return the reading with all probabilities multiplied by one that it depends on."""
        digits = [
            replace(
                one,
                probability=one.probability * probability,
                runner_up_probability=one.runner_up_probability * probability,
            )
            for one in self.digits
        ]
        return replace(
            self,
            confidence=self.confidence * probability,
            runner_up_confidence=self.runner_up_confidence * probability,
            digits=tuple(digits),
        )

    def with_confidence(self, confidence: float) -> "ZipReading":
        """Return the reading with another confidence, by evidence from outside the number.

        What is left for other digits and strings changes in the same proportion.
        """
        if confidence <= self.confidence:
            return self.weighed(confidence / max(self.confidence, 1e-9))
        left = (1 - confidence) / max(1 - self.confidence, 1e-9)
        digits = [
            replace(
                one,
                probability=1 - (1 - one.probability) * left,
                runner_up_probability=one.runner_up_probability * left,
            )
            for one in self.digits
        ]
        return replace(
            self,
            confidence=confidence,
            runner_up_confidence=self.runner_up_confidence * left,
            digits=tuple(digits),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """City and state (two letters) of a ZIP; may be empty."""

    city: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A page without a reading, and why; ``detail`` is only for people."""

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A number on a page that may be the destination's ZIP.

    ``box`` is where it is, and ``text`` its digits as `dashed` writes them, empty if it could not
    be read. ``place`` is the probability that it is the destination's ZIP by its surroundings, and
    ``probability`` that this holds and all its digits are right. ``weakness`` is the strongest
    evidence against it compared with the likeliest number; empty for the likeliest itself.
    """

    box: Box
    text: str
    place: float
    probability: float
    weakness: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overview:
    """A searched page as given, the boxes of its text lines, and its numbers, likeliest first."""

    page: GrayImage
    lines: tuple[Box, ...]
    sightings: tuple[Sighting, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """All intermediate results of a reading, from the page to its ZIP, for debug sheets.

    All coordinates are in ``page``, which is the crop at the size at which it was read (see
    `zipocr.preprocess.page`). ``regions`` and ``grids`` are those of the ZIP's digits from left to
    right, empty if the page is unread; ``candidates`` are the boxes of all classified regions.
    ``strings`` are the best strings as `dashed` formats them, with probabilities, the ZIP first.
    If a page was searched for its ZIP, ``overview`` shows all of it, and ``page`` is the number
    that was chosen; if a crop was rotated, ``overview`` shows it as given. ``size`` is the height
    and width of the page as given, if known.
    """

    page: GrayImage
    ink: InkMask
    candidates: tuple[Box, ...]
    regions: tuple[Region, ...]
    grids: tuple[DigitGrid, ...]
    reading: ZipReading | Unread
    strings: tuple[tuple[str, float], ...] = ()
    overview: Overview | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """A trained model.

    Its named arrays and its model card (JSON values that describe what it was made from and how).
    """

    arrays: Mapping[str, NDArray[Any]]
    card: Mapping[str, Any]
