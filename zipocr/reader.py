"""Puts the stages together: from a page to its reading, the same way for reading, for debug pictures and for training."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from zipocr.classify.gate import Gate
from zipocr.classify.scores import Scorer
from zipocr.classify.svc import DIGITS, Classifier
from zipocr.decode.confidence import LISTED_WEIGHT, ConfidenceModel, digit_shares, evidence, listed_weight, rank, share_out
from zipocr.decode.strings import Candidate, decode
from zipocr.directory import places
from zipocr.errors import ModelError
from zipocr.layout import has_several_lines
from zipocr.normalize import to_bitmap, to_grids
from zipocr.pooling import SUPPORT, Pooled, View, line_evidence, pool
from zipocr.prepare import Binarization, Inked, Segmentation, Sheet, find_ink, segment, settings_hash, to_working_size
from zipocr.sequence.network import Network
from zipocr.sequence.reading import LineReading, read_line
from zipocr.sequence.strip import straighten
from zipocr.trace import to_blank_trace, to_trace
from zipocr.types import ZIP_LENGTH, DigitReading, Floats, GrayImage, Model, Place, Reason, Region, Trace, Unread, ZipReading, dashed


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubtless:
    """When a view leaves no doubt: nats to the runner-up, of the weakest digit, and of the ink left out; the network's probability."""

    margin: float
    digit: float
    rest: float
    share: float = 0.0


ALONE = Doubtless(margin=3.0, digit=-0.5, rest=0.5)
# Where the network reads the same string, looking any further mends next to nothing: one of 756 such readings of held-out writers.
AGREED = Doubtless(margin=0.0, digit=-1.5, rest=1.5, share=0.9)
# Odds (in nats) against a digit in a region that the gate keeps out.
SHUT = 5.0
# A page that is read with less confidence may lie otherwise; turned, it has to be read with this much, and the network has to think one
# string at least so likely at the first look.
DOUBT, SURE_TURN, PROMISING = 0.8, 0.97, 0.5
TURNS = (180, 90, 270)
# Of the network's strings so many say where to cut.
GUIDES = 3
# How many of the best strings a trace keeps.
STRINGS_TRACED = 5


def draw_regions(regions: tuple[Region, ...]) -> NDArray[np.uint8]:
    """Normalizes regions: -> (E, 32, 32) uint8."""
    return np.stack([to_bitmap(region.ink) for region in regions])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decoded:
    """The strings of all views of a page together, with the directory's weight, best first, and the view in which the best was seen."""

    pooled: Pooled
    ranked: tuple[Candidate, ...]
    view: View

    @property
    def plain(self) -> tuple[Candidate, ...]:
        """The strings without the directory's weight."""
        return self.pooled.strings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attempt:
    """A page at working size, turned somehow, and what became of it."""

    sheet: Sheet
    views: Sequence[View]
    reading: ZipReading | Unread
    found: Decoded | None

    @property
    def confidence(self) -> float:
        """How sure the reading is, 0 where there is none."""
        return 0.0 if isinstance(self.reading, Unread) else self.reading.confidence

    @property
    def is_settled(self) -> bool:
        """Whether there is no ZIP on the page however it lies."""
        return isinstance(self.reading, Unread) and self.reading.reason in {Reason.NO_INK, Reason.SEVERAL_LINES}


class Reader:
    """Reads pages with one model.

    Parameters
    ----------
    model : Model
    use_directory : bool
        Whether a directory of ZIPs takes part; it never overrules without saying so.
    directory : mapping of str to Place, or None
        Which: None is the packaged one, a list of the user's own (one ZIP or more) weighs by its length.

    Raises
    ------
    ModelError
        When the model was made for other settings than this program's.

    Notes
    -----
    Every part of a look is a small method or attribute of its own, so that a subclass can leave it out and show what it is worth.
    """

    binarizations: ClassVar[Sequence[Binarization]] = tuple(Binarization)
    """The thresholds a page is seen through, one after the other."""
    depths: ClassVar[Sequence[bool]] = (False, True)
    """Whether components are cut through: in a first look, and in the next one."""
    support: ClassVar[float] = SUPPORT
    """How much views support each other."""

    def __init__(self, model: Model, *, use_directory: bool = True, directory: Mapping[str, Place] | None = None) -> None:
        if model.passport.get("settings", settings_hash()) != settings_hash():
            raise ModelError("The model was made for other settings of segmentation and features; make it anew with 'zipocr train'")
        self._classifier = Classifier.from_model(model)
        self._gate = Gate.from_model(model)
        self._scorer = Scorer.from_model(model)
        self._network = Network.from_model(model)
        self._line_weight = float(model.arrays.get("line_weight", 0.0))
        self._confidence = ConfidenceModel.from_model(model, use_directory=use_directory)
        self._places: Mapping[str, Place] = (places() if directory is None else directory) if use_directory else {}
        self._listed_weight = LISTED_WEIGHT if directory is None else listed_weight(len(directory))

    def read(self, page: GrayImage) -> ZipReading | Unread:
        """Reads the ZIP of a page: (H, W) uint8 -> its reading, or why there is none."""
        return self.attempt(page).reading

    def trace(self, page: GrayImage) -> Trace:
        """Reads a page and keeps everything that was seen on the way, as it was turned."""
        attempt = self.attempt(page)
        views, reading, found = attempt.views, attempt.reading, attempt.found
        if not views:
            return to_blank_trace(attempt.sheet.page, reading)
        if found is None or isinstance(reading, Unread):
            return to_trace(views[-1].seen, reading)
        edges = found.ranked[0].edges
        shares = share_out(found.ranked, reading.confidence, self._confidence.temperature)
        strings = [
            (dashed(one.text), min(float(share), reading.confidence))
            for one, share in zip(found.ranked[:STRINGS_TRACED], shares, strict=False)
        ]
        return to_trace(found.view.seen, reading, edges=edges, grids=list(to_grids(found.view.bitmaps[list(edges)])), strings=strings)

    def attempt(self, page: GrayImage) -> Attempt:
        """Reads a page as it lies, and where that is in doubt, turned by halves and, if it is taller than wide, by quarters."""
        best = self._read_at(page, 0)
        if best.confidence >= DOUBT or best.is_settled:
            return best
        turns = TURNS if page.shape[0] > page.shape[1] else TURNS[:1]
        others = [self._read_at(page, turn) for turn in turns if self._is_promising(page, turn)]
        likeliest = max(others, key=lambda one: one.confidence, default=best)
        return likeliest if likeliest.confidence >= SURE_TURN else best

    def _is_promising(self, page: GrayImage, turn: int) -> bool:
        """Whether a page that is turned could be read at all, as far as a first look by the network tells."""
        inked = self.find_ink(to_working_size(_turned(page, turn)), self.binarizations[0])
        line = None if inked is None else self.read_line(inked)
        return line is None or max(line.strings.values(), default=0.0) >= PROMISING

    def _read_at(self, page: GrayImage, turn: int) -> Attempt:
        sheet = to_working_size(_turned(page, turn))
        if sheet.is_envelope:
            return Attempt(sheet=sheet, views=(), reading=Unread(reason=Reason.SEVERAL_LINES), found=None)
        views = self.look(sheet)
        if views and has_several_lines(views[0].seen.ink, views[0].seen.height):
            return Attempt(sheet=sheet, views=views, reading=Unread(reason=Reason.SEVERAL_LINES), found=None)
        reading, found = self.answer(views)
        if not isinstance(reading, Unread):
            told = (*reading.reasons, Reason(f"turned_{turn}")) if turn else reading.reasons
            reading = replace(reading, rotation=turn, reasons=told)
        return Attempt(sheet=sheet, views=views, reading=reading, found=found)

    def look(self, sheet: Sheet) -> list[View]:
        """Looks at a page until a view leaves no doubt: at whole components, at cut ones, through another threshold."""
        views: list[View] = []
        for binarization in self.binarizations:
            inked = self.find_ink(sheet, binarization)
            if inked is None:
                continue
            line = self.read_line(inked)
            centres = () if line is None else line.centres(GUIDES)
            # What was doubtful at the first threshold is hardly ever clear without cuts at the next one.
            for through in self.depths[-1:] if views and line is not None else self.depths:
                view = self.decode(self.segment(inked, through=through, centres=centres), line)
                if self._is_clear(view):
                    return [*views, view]
            if centres and not view.candidates:
                view = self.decode(self.segment(inked, through=True), line)
            views.append(view)  # the last one has the regions of the one before, and more
        return views

    def find_ink(self, sheet: Sheet, binarization: Binarization) -> Inked | None:
        """Finds the writing on a page."""
        return find_ink(sheet, binarization)

    def read_line(self, inked: Inked) -> LineReading | None:
        """Reads the writing as a whole, without cutting it; None where the model has no network."""
        if self._network is None:
            return None
        return read_line(self._network, straighten(inked.sheet.flat, inked.ink, inked.height))

    def segment(self, inked: Inked, *, through: bool, centres: Sequence[NDArray[np.float64]] = ()) -> Segmentation:
        """Finds everything that could be a digit; only where one of some strings has its digits' centres, if such are given."""
        return segment(inked, through=through, centres=centres)

    def decode(self, seen: Segmentation, line: LineReading | None = None) -> View:
        """Scores the regions of a segmentation and finds the best strings."""
        if not seen.lattice.regions:
            none = np.zeros((0, 10), np.float32)
            return View(seen=seen, bitmaps=np.zeros((0, 32, 32), np.uint8), gains=none, candidates=(), line=line)
        bitmaps = draw_regions(seen.lattice.regions)
        digits, validity = self.score(bitmaps, seen.lattice.geometry)
        gains = digits - (np.logaddexp(0, -validity) + seen.lattice.prices)[:, None].astype(np.float32)
        return View(seen=seen, bitmaps=bitmaps, gains=gains, candidates=decode(seen.lattice, gains), line=line)

    def score(self, bitmaps: NDArray[np.uint8], geometry: Floats) -> tuple[Floats, Floats]:
        """Log probabilities of the digits, (E, 10), and log odds of being one, (E,), for regions drawn as (E, 32, 32) with (E, G) shape.

        What the gate keeps out could be any digit, and is none by `SHUT` nats or more.
        """
        features = self._classifier.features(bitmaps, to_grids(bitmaps))
        odds = self.odds(features, geometry)
        digits = np.full((len(bitmaps), DIGITS), -np.log(DIGITS), np.float32)
        validity = np.minimum(odds, 0) - np.float32(SHUT)
        passed = np.flatnonzero(odds > 0)
        if len(passed):
            decisions = self._classifier.decide(features[passed])
            digits[passed] = self._scorer.digit_scores(decisions)
            validity[passed] = self._scorer.validity(decisions, geometry[passed])
        return digits, validity

    def odds(self, features: Floats, geometry: Floats) -> Floats:
        """How far each region lies beyond the gate, in nats: (E, P), (E, G) -> (E,)."""
        return self._gate.odds(features, geometry)

    def pool(self, views: Sequence[View]) -> Decoded | None:
        """Puts the strings of several views together, and weighs them."""
        return self.weigh(pool(views, support=self.support, line_weight=self._line_weight))

    def weigh(self, pooled: Pooled | None) -> Decoded | None:
        """Lets the directory weigh strings; None when there are none."""
        if pooled is None:
            return None
        ranked = rank(pooled.strings, self._is_listed, self._listed_weight * self._confidence.temperature)
        return Decoded(pooled=pooled, ranked=ranked, view=pooled.views[ranked[0].text])

    def evidence(self, found: Decoded) -> Floats:
        """What the confidence rests on: (F,) float32."""
        seen = evidence(found.ranked, found.plain, found.view.seen.lattice, found.view.gains)
        return seen if self._network is None else np.append(seen, line_evidence(found.ranked[0].text, found.pooled, found.view.line))

    def answer(self, views: Sequence[View]) -> tuple[ZipReading | Unread, Decoded | None]:
        """What the views of a page amount to, and the strings behind it; None when there are none."""
        if not views:
            return Unread(reason=Reason.NO_INK), None
        found = self.pool(views)
        return (Unread(reason=Reason.NOT_FIVE_DIGITS), None) if found is None else (self._report(found), found)

    @property
    def _is_listed(self) -> Callable[[str], bool] | None:
        return self._places.__contains__ if self._places else None

    def _is_clear(self, view: View) -> bool:
        """Whether a view leaves no doubt, directory or not: one string ahead, every digit whole and sure, no ink left over."""
        if not view.candidates:
            return False
        best, *others = view.candidates
        least = ALONE if view.line is None else AGREED
        if view.line is not None and view.line.strings.get(best.text, 0.0) < least.share:
            return False
        if others and best.score - others[0].score < least.margin:
            return False
        own = np.array([view.gains[edge, int(digit)] for edge, digit in zip(best.edges, best.text, strict=True)])
        return bool(own.min() > least.digit and own.sum() + best.prior - best.score < least.rest)

    def _report(self, found: Decoded) -> ZipReading:
        confidence = self._confidence.probability(self.evidence(found))
        shares = share_out(found.ranked, confidence, self._confidence.temperature)
        text = found.ranked[0].text
        place = self._places.get(text[:ZIP_LENGTH])
        return ZipReading(
            zip=text[:ZIP_LENGTH],
            plus4=text[ZIP_LENGTH:],
            confidence=confidence,
            digits=tuple(_digit_reading(row, int(digit)) for row, digit in zip(digit_shares(found.ranked, shares), text, strict=True)),
            runner_up=dashed(found.ranked[1].text) if len(shares) > 1 else "",
            runner_up_confidence=min(float(shares[1]), confidence) if len(shares) > 1 else 0.0,
            reasons=self._reasons(found),
            city=place.city if place else "",
            state=place.state if place else "",
        )

    def _reasons(self, found: Decoded) -> tuple[Reason, ...]:
        if not self._places:
            return ()
        text = found.ranked[0].text
        chosen = [Reason.DIRECTORY_CHOICE] if text != found.plain[0].text else []
        return (*chosen, *([Reason.NOT_IN_DIRECTORY] if text[:ZIP_LENGTH] not in self._places else []))


def _turned(page: GrayImage, turn: int) -> GrayImage:
    """A page turned clockwise by so many degrees, a multiple of 90."""
    return np.ascontiguousarray(np.rot90(page, -turn // 90))


def _digit_reading(shares: Floats, digit: int) -> DigitReading:
    """One digit with its share and the next best digit at its place."""
    others = shares.copy()
    others[digit] = -1
    second = int(others.argmax())
    return DigitReading(
        digit=digit, probability=min(float(shares[digit]), 1.0), runner_up=second, runner_up_probability=max(float(shares[second]), 0.0)
    )
