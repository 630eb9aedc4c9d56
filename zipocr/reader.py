"""Puts the stages together: from a page to its reading, the same way for reading, for debug pictures and for training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr import clean, normalize, threshold
from zipocr.classify import features, scores, svc
from zipocr.classify.scores import Scorer
from zipocr.classify.svc import Classifier
from zipocr.clean import digit_height, remove_rules, remove_specks
from zipocr.decode.confidence import ConfidenceModel, digit_shares, evidence, posterior, rank
from zipocr.decode.strings import Candidate, decode
from zipocr.directory import places
from zipocr.normalize import to_bitmap, to_grids
from zipocr.segment import cuts, lattice, seams
from zipocr.segment.cuts import propose_cuts
from zipocr.segment.lattice import build_lattice
from zipocr.threshold import flatten, otsu, wolf
from zipocr.types import Cut, CutSet, DigitReading, Floats, GrayImage, InkMask, Lattice, Model, Reason, Region, Trace, Unread, ZipReading

# Digits are segmented at about this height in pixels: pages with much smaller or larger ones are brought to it first.
WORKING_HEIGHT = 44
LEAST_HEIGHT, MOST_HEIGHT = 34, 62
LARGEST_ENLARGEMENT = 4.0
SOFTENING = 0.8
# When a view leaves no doubt: nats to the runner-up, of the weakest digit, and of the ink left out.
CLEAR_MARGIN = 4.0
CLEAR_DIGIT = -0.3
CLEAR_REST = 0.5


class Binarization(StrEnum):
    """The thresholds a page can be seen through."""

    OTSU = "otsu"
    WOLF = "wolf"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inked:
    """A page at working size, its cleaned ink, and the digit height in pixels."""

    page: GrayImage
    ink: InkMask
    height: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segmentation:
    """A page at working size, its cleaned ink, and everything that could be a digit. ``height`` is the digit height in pixels."""

    page: GrayImage
    ink: InkMask
    height: float
    cuts: CutSet
    lattice: Lattice


def settings_hash() -> str:
    """Hash of all settings that training and reading must share: the constants of the stages up to the classifier."""
    found = {
        f"{room.__name__}.{name}": value
        for room in (threshold, clean, seams, cuts, lattice, normalize, features, svc, scores)
        for name, value in vars(room).items()
        if name.isupper() and isinstance(value, int | float | tuple)
    }
    found |= {"reader": (WORKING_HEIGHT, LEAST_HEIGHT, MOST_HEIGHT, LARGEST_ENLARGEMENT, SOFTENING)}
    return sha256(repr(sorted(found.items())).encode()).hexdigest()[:16]


def to_working_size(page: GrayImage) -> GrayImage:
    """Scales a page so that its digits are about `WORKING_HEIGHT` pixels high; a page near that, or without ink, stays as it is."""
    height = digit_height(_binarize(page, Binarization.OTSU))
    if height == 0 or LEAST_HEIGHT <= height <= MOST_HEIGHT:
        return page
    scale = min(WORKING_HEIGHT / height, LARGEST_ENLARGEMENT)
    size = max(1, round(page.shape[1] * scale)), max(1, round(page.shape[0] * scale))
    return cv2.resize(page, size, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA).astype(page.dtype)


def find_ink(page: GrayImage, binarization: Binarization) -> Inked | None:
    """Separates writing from paper, rules and dirt on a page at working size; None when there is no ink."""
    ink = _binarize(page, binarization)
    height = digit_height(ink)
    if height == 0:
        return None
    ink = remove_rules(ink, height)
    height = digit_height(ink) or height
    ink = remove_specks(ink, height)
    return Inked(page=page, ink=ink, height=height) if ink.any() else None


def segment(inked: Inked, *, through: bool = True) -> Segmentation:
    """Finds everything that could be a digit; with `through`, also parts of components."""
    cuts = propose_cuts(inked.ink, inked.height, through=through)
    return Segmentation(page=inked.page, ink=inked.ink, height=inked.height, cuts=cuts, lattice=build_lattice(cuts, inked.height))


def _binarize(page: GrayImage, binarization: Binarization) -> InkMask:
    soft = cv2.GaussianBlur(flatten(page), (0, 0), SOFTENING).astype(np.uint8, copy=False)
    return otsu(soft) if binarization is Binarization.OTSU else wolf(soft, window=WORKING_HEIGHT)


def draw_regions(regions: tuple[Region, ...]) -> NDArray[np.uint8]:
    """Normalizes regions: -> (E, 32, 32) uint8."""
    return np.stack([to_bitmap(region.ink) for region in regions])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """A page seen through one binarization: its regions as bitmaps, their scores, and the strings they spell.

    Strings stand best first, without the directory's weight.
    """

    seen: Segmentation
    bitmaps: NDArray[np.uint8]
    gains: Floats
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decoded:
    """The strings of all views of a page together: without the directory, with it, and the view in which the best of these was seen."""

    plain: tuple[Candidate, ...]
    ranked: tuple[Candidate, ...]
    view: View


class Reader:
    """Reads pages with one model.

    Parameters
    ----------
    model : Model
    use_directory : bool
        Whether the directory of ZIPs takes part; it never overrules without saying so.
    """

    def __init__(self, model: Model, *, use_directory: bool = True) -> None:
        self._classifier = Classifier.from_model(model)
        self._scorer = Scorer.from_model(model)
        self._confidence = ConfidenceModel.from_model(model, use_directory=use_directory)
        self._places = places() if use_directory else {}

    def read(self, page: GrayImage) -> ZipReading | Unread:
        """Reads the ZIP of a page: (H, W) uint8 -> its reading, or why there is none."""
        return self.trace(page).reading

    def trace(self, page: GrayImage) -> Trace:
        """Reads a page and keeps everything that was seen on the way."""
        page = to_working_size(page)
        views = self.look(page)
        if not views:
            return _blank(page)
        found = self.pool(views)
        if found is None:
            return _trace(views[-1], Unread(reason=Reason.NOT_FIVE_DIGITS))
        return _trace(found.view, self._report(found), found.ranked[0].edges)

    def look(self, page: GrayImage) -> list[View]:
        """Looks at a page at working size until a view leaves no doubt: at whole components, at cut ones, through another threshold."""
        views: list[View] = []
        for binarization in Binarization:
            inked = find_ink(page, binarization)
            if inked is None:
                continue
            for through in (False, True):
                view = self.decode(segment(inked, through=through))
                views = [*views[: len(views) - through], view]
                if self._is_clear(view):
                    return views
        return views

    def decode(self, seen: Segmentation) -> View:
        """Scores the regions of a segmentation and finds the best strings."""
        if not seen.lattice.regions:
            return View(seen=seen, bitmaps=np.zeros((0, 32, 32), np.uint8), gains=np.zeros((0, 10), np.float32), candidates=())
        bitmaps = draw_regions(seen.lattice.regions)
        decisions = self._classifier.decide(bitmaps, to_grids(bitmaps))
        digits = self._scorer.digit_scores(decisions)
        validity = self._scorer.validity(decisions, seen.lattice.geometry)
        gains = digits - (np.logaddexp(0, -validity) + seen.lattice.prices)[:, None].astype(np.float32)
        return View(seen=seen, bitmaps=bitmaps, gains=gains, candidates=decode(seen.lattice, gains))

    def pool(self, views: Sequence[View]) -> Decoded | None:
        """Puts the strings of several views together, each from the view that scores it best; None when there are none."""
        best: dict[str, tuple[Candidate, View]] = {}
        for view in views:
            for one in view.candidates:
                if one.text not in best or one.score > best[one.text][0].score:
                    best[one.text] = one, view
        if not best:
            return None
        plain = tuple(sorted((one for one, _ in best.values()), key=lambda one: (-one.score, one.text)))
        ranked = rank(plain, self._is_listed)
        return Decoded(plain=plain, ranked=ranked, view=best[ranked[0].text][1])

    def evidence(self, found: Decoded) -> Floats:
        """What the confidence rests on: (F,) float32."""
        return evidence(found.ranked, found.plain, found.view.seen.lattice, found.view.gains)

    @property
    def _is_listed(self) -> Callable[[str], bool] | None:
        return self._places.__contains__ if self._places else None

    def _is_clear(self, view: View) -> bool:
        """Whether a view leaves no doubt: one string far ahead, every digit whole and sure, no ink left over."""
        if not view.candidates:
            return False
        best, *others = rank(view.candidates, self._is_listed)
        if others and best.score - others[0].score < CLEAR_MARGIN:
            return False
        own = np.array([view.gains[edge, int(digit)] for edge, digit in zip(best.edges, best.text, strict=True)])
        plain = next(one.score for one in view.candidates if one.text == best.text)
        return bool(own.min() > CLEAR_DIGIT and own.sum() - plain < CLEAR_REST)

    def _report(self, found: Decoded) -> ZipReading:
        shares = posterior(found.ranked, self._confidence.temperature)
        confidence = self._confidence.probability(self.evidence(found))
        text = found.ranked[0].text
        place = self._places.get(text)
        return ZipReading(
            zip=text,
            confidence=confidence,
            digits=tuple(_digit_reading(row, int(digit)) for row, digit in zip(digit_shares(found.ranked, shares), text, strict=True)),
            runner_up=found.ranked[1].text if len(shares) > 1 else "",
            runner_up_confidence=min(float(shares[1]), 1 - confidence) if len(shares) > 1 else 0.0,
            reasons=self._reasons(found),
            city=place.city if place else "",
            state=place.state if place else "",
        )

    def _reasons(self, found: Decoded) -> tuple[Reason, ...]:
        if not self._places:
            return ()
        text = found.ranked[0].text
        chosen = [Reason.DIRECTORY_CHOICE] if text != found.plain[0].text else []
        return (*chosen, *([Reason.NOT_IN_DIRECTORY] if text not in self._places else []))


def _digit_reading(shares: Floats, digit: int) -> DigitReading:
    """One digit with its share and the next best digit at its place."""
    others = shares.copy()
    others[digit] = -1
    second = int(others.argmax())
    return DigitReading(
        digit=digit, probability=min(float(shares[digit]), 1.0), runner_up=second, runner_up_probability=max(float(shares[second]), 0.0)
    )


def _blank(page: GrayImage) -> Trace:
    """The trace of a page without ink."""
    ink = np.zeros(page.shape, bool)
    return Trace(page=page, ink=ink, cuts=(), candidates=(), regions=(), grids=(), reading=Unread(reason=Reason.NO_INK))


def _trace(view: View, reading: ZipReading | Unread, edges: tuple[int, ...] = ()) -> Trace:
    seen = view.seen
    return Trace(
        page=seen.page,
        ink=seen.ink,
        cuts=tuple(_cut_lines(seen.cuts, seen.ink.shape)),
        candidates=tuple(region.box for region in seen.lattice.regions),
        regions=tuple(seen.lattice.regions[edge] for edge in edges),
        grids=tuple(to_grids(view.bitmaps[list(edges)])),
        reading=reading,
    )


def _cut_lines(cuts: CutSet, shape: tuple[int, ...]) -> list[Cut]:
    """Draws each cut as a line: in every row midway between the ink at its left and the ink at its right, bridged where a row has none."""
    lines = []
    for left, cost in zip(cuts.left[1:-1], cuts.costs[1:-1], strict=True):
        last = np.full(shape[0], -1)
        np.maximum.at(last, cuts.rows[left], cuts.columns[left])
        first = np.full(shape[0], shape[1])
        np.minimum.at(first, cuts.rows[~left], cuts.columns[~left])
        known = np.flatnonzero((last >= 0) & (first < shape[1]))
        if not len(known):
            known = np.flatnonzero((last >= 0) | (first < shape[1]))
        middle = np.clip((last[known] + 1 + first[known]) / 2, last[known] + 1, None)
        columns = np.interp(np.arange(shape[0]), known, middle)
        lines.append(Cut(columns=np.rint(columns).astype(np.int32), cost=float(cost)))
    return lines
