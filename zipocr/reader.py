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
from zipocr.normalize import to_bitmap, to_grids
from zipocr.prepare import Binarization, Inked, Segmentation, find_ink, segment, settings_hash, to_working_size
from zipocr.trace import to_blank_trace, to_trace
from zipocr.types import ZIP_LENGTH, DigitReading, Floats, GrayImage, Model, Place, Reason, Region, Trace, Unread, ZipReading, dashed

# When a view leaves no doubt: nats to the runner-up, of the weakest digit, and of the ink left out.
CLEAR_MARGIN = 3.0
CLEAR_DIGIT = -0.5
CLEAR_REST = 0.5
# Odds (in nats) against a digit in a region that the gate keeps out.
SHUT = 5.0
# How much a string's distance from the best one in another view counts, and the distance in nats of one that is not seen there.
SUPPORT = 0.3
UNSEEN = 8.0
# How many of the best strings a trace keeps.
STRINGS_TRACED = 5


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
        self._confidence = ConfidenceModel.from_model(model, use_directory=use_directory)
        self._places: Mapping[str, Place] = (places() if directory is None else directory) if use_directory else {}
        self._listed_weight = LISTED_WEIGHT if directory is None else listed_weight(len(directory))

    def read(self, page: GrayImage) -> ZipReading | Unread:
        """Reads the ZIP of a page: (H, W) uint8 -> its reading, or why there is none."""
        return self.answer(self.look(to_working_size(page)))[0]

    def trace(self, page: GrayImage) -> Trace:
        """Reads a page and keeps everything that was seen on the way."""
        page = to_working_size(page)
        views = self.look(page)
        reading, found = self.answer(views)
        if not views:
            return to_blank_trace(page)
        if found is None or isinstance(reading, Unread):
            return to_trace(views[-1].seen, reading)
        edges = found.ranked[0].edges
        shares = share_out(found.ranked, reading.confidence, self._confidence.temperature)
        strings = [(dashed(one.text), float(share)) for one, share in zip(found.ranked[:STRINGS_TRACED], shares, strict=False)]
        return to_trace(found.view.seen, reading, edges=edges, grids=list(to_grids(found.view.bitmaps[list(edges)])), strings=strings)

    def look(self, page: GrayImage) -> list[View]:
        """Looks at a page at working size until a view leaves no doubt: at whole components, at cut ones, through another threshold."""
        views: list[View] = []
        for binarization in self.binarizations:
            inked = self.find_ink(page, binarization)
            if inked is None:
                continue
            for through in self.depths:
                view = self.decode(self.segment(inked, through=through))
                if self._is_clear(view):
                    return [*views, view]
            views.append(view)  # the last one has the regions of the one before, and more
        return views

    def find_ink(self, page: GrayImage, binarization: Binarization) -> Inked | None:
        """Finds the writing on a page at working size."""
        return find_ink(page, binarization)

    def segment(self, inked: Inked, *, through: bool) -> Segmentation:
        """Finds everything that could be a digit."""
        return segment(inked, through=through)

    def decode(self, seen: Segmentation) -> View:
        """Scores the regions of a segmentation and finds the best strings."""
        if not seen.lattice.regions:
            return View(seen=seen, bitmaps=np.zeros((0, 32, 32), np.uint8), gains=np.zeros((0, 10), np.float32), candidates=())
        bitmaps = draw_regions(seen.lattice.regions)
        digits, validity = self.score(bitmaps, seen.lattice.geometry)
        gains = digits - (np.logaddexp(0, -validity) + seen.lattice.prices)[:, None].astype(np.float32)
        return View(seen=seen, bitmaps=bitmaps, gains=gains, candidates=decode(seen.lattice, gains))

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
        """Puts the strings of several views together, each from the view that scores it best; None when there are none.

        A string that does badly in another view loses by that, at most as one that is not seen there at all.
        """
        best: dict[str, tuple[Candidate, View]] = {}
        for view in views:
            for one in view.candidates:
                if one.text not in best or one.score > best[one.text][0].score:
                    best[one.text] = one, view
        if not best:
            return None
        standings = [(view, _standing(view)) for view in views if view.candidates]
        agreed = [
            _supported(one, self.support * sum(max(seen.get(text, -UNSEEN), -UNSEEN) for view, seen in standings if view is not own))
            for text, (one, own) in best.items()
        ]
        plain = tuple(sorted(agreed, key=lambda one: (-one.score, one.text)))
        ranked = rank(plain, self._is_listed, self._listed_weight)
        return Decoded(plain=plain, ranked=ranked, view=best[ranked[0].text][1])

    def evidence(self, found: Decoded) -> Floats:
        """What the confidence rests on: (F,) float32."""
        return evidence(found.ranked, found.plain, found.view.seen.lattice, found.view.gains)

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
        """Whether a view leaves no doubt, directory or not: one string far ahead, every digit whole and sure, no ink left over."""
        if not view.candidates:
            return False
        best, *others = view.candidates
        if others and best.score - others[0].score < CLEAR_MARGIN:
            return False
        own = np.array([view.gains[edge, int(digit)] for edge, digit in zip(best.edges, best.text, strict=True)])
        return bool(own.min() > CLEAR_DIGIT and own.sum() + best.prior - best.score < CLEAR_REST)

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


def _standing(view: View) -> dict[str, float]:
    """How far each string is behind the best one of its view: 0 or less."""
    return {one.text: one.score - view.candidates[0].score for one in view.candidates}


def _supported(one: Candidate, support: float) -> Candidate:
    return replace(one, score=one.score + support, prior=one.prior + support)


def _digit_reading(shares: Floats, digit: int) -> DigitReading:
    """One digit with its share and the next best digit at its place."""
    others = shares.copy()
    others[digit] = -1
    second = int(others.argmax())
    return DigitReading(
        digit=digit, probability=min(float(shares[digit]), 1.0), runner_up=second, runner_up_probability=max(float(shares[second]), 0.0)
    )
