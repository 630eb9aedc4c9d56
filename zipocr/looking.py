"""What a page shows: its line as the network reads it at a glance, and where that leaves doubt, its regions one by one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from zipocr.classify.gate import Gate
from zipocr.classify.scores import Scorer
from zipocr.classify.svc import DIGITS, Classifier
from zipocr.decode.strings import decode
from zipocr.normalize import to_bitmap, to_grids
from zipocr.pooling import SUPPORT, View, bare_view, glimpse, pool
from zipocr.prepare import Binarization, Inked, Segmentation, Sheet, find_ink, half_turned, segment, to_working_size
from zipocr.sequence.network import Network
from zipocr.sequence.reading import LineReading, read_line
from zipocr.sequence.strip import straighten
from zipocr.types import Floats, GrayImage, Model, Region

# A probability that no string of a network has.
NEVER = 2.0
# Odds (in nats) against a digit in a region that the gate keeps out.
SHUT = 5.0
# Of the network's strings so many say where to cut.
GUIDES = 3
# How far, in nats, the best string of network and regions together has to be ahead for no other threshold to be tried. Of 582 such strings
# that a glance left in doubt 463 were; another threshold mended none of them.
LEAD = 2.0
# The same where there is no network: nats to the runner-up, of the weakest digit, and of the ink left out.
MARGIN, WEAKEST, LEFT_OUT = 3.0, -0.5, 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Opened:
    """A page at working size, its writing by the first threshold, and what the network reads of it; None where there is none."""

    sheet: Sheet
    inked: Inked | None
    line: LineReading | None

    @property
    def sureness(self) -> float:
        """The probability of the network's best string, 0 where it has none."""
        return 0.0 if self.line is None else max(self.line.strings.values(), default=0.0)


def draw_regions(regions: tuple[Region, ...]) -> NDArray[np.uint8]:
    """Normalizes regions: -> (E, 32, 32) uint8."""
    return np.stack([to_bitmap(region.ink) for region in regions])


class Looker:
    """Looks at pages with one model.

    Parameters
    ----------
    model : Model
    sure : str
        The array of the model that says from which share of all strings the likeliest is read at a glance.

    Notes
    -----
    Every part of a look is a small method or attribute of its own, so that a subclass can leave it out and show what it is worth.
    """

    binarizations: ClassVar[Sequence[Binarization]] = tuple(Binarization)
    """The thresholds a page is seen through, one after the other."""
    depths: ClassVar[Sequence[bool]] = (False, True)
    """Whether components are cut through: in a first look, and in the next one."""
    glances: ClassVar[bool] = True
    """Whether a glance may be enough."""
    support: ClassVar[float] = SUPPORT
    """How much views support each other."""

    def __init__(self, model: Model, *, sure: str = "sure_unlisted") -> None:
        self._classifier = Classifier.from_model(model)
        self._gate = Gate.from_model(model)
        self._scorer = Scorer.from_model(model)
        self._network = Network.from_model(model)
        self._line_weight = float(model.arrays.get("line_weight", 0.0))
        self._sure = float(model.arrays[sure]) if self.glances else NEVER

    def open(self, page: GrayImage) -> Opened:
        """Brings a page to working size, finds its writing and lets the network read it: (H, W) uint8."""
        sheet = to_working_size(page)
        inked = None if sheet.is_envelope else self.find_ink(sheet, self.binarizations[0])
        return Opened(sheet=sheet, inked=inked, line=None if inked is None else self.read_line(inked))

    def turn(self, opened: Opened) -> Opened:
        """Opens a page upside down."""
        if opened.inked is None:
            return opened
        inked = half_turned(opened.inked)
        return Opened(sheet=inked.sheet, inked=inked, line=self.read_line(inked))

    def see(self, opened: Opened) -> list[View]:
        """Takes a glance at a page, and where that leaves doubt, a look."""
        view = self.glance(opened)
        return self.look(opened) if view is None else [view]

    def glance(self, opened: Opened) -> View | None:
        """The strings of the network alone; None where it is not as sure of one as `zipocr.training.weigh.least_sureness` asks for."""
        if opened.inked is None or opened.line is None or self.likeliest(opened.line)[1] < self._sure:
            return None
        return glimpse(opened.inked, opened.line)

    def likeliest(self, line: LineReading) -> tuple[str, float]:
        """The string that the network thinks likeliest, and its probability; none, and 0, where it reads none."""
        return next(iter(line.strings.items()), ("", 0.0))

    def look(self, opened: Opened) -> list[View]:
        """Looks at a page's regions until a view leaves no doubt: from coarse to fine, and through one threshold after the other.

        Where no five and no nine regions follow each other in any view, what the network reads is all there is.
        """
        views: list[View] = []
        for binarization in self.binarizations:
            is_first = binarization == self.binarizations[0]
            inked = opened.inked if is_first else self.find_ink(opened.sheet, binarization)
            if inked is None:
                continue
            line = opened.line if is_first else self.read_line(inked)
            for view in self._views(inked, line):
                if self._is_clear(view):
                    return [*views, view]
            views.append(view)  # the last one has the regions of the ones before, and more
        if opened.inked and opened.line and opened.line.strings and not any(view.candidates for view in views):
            return [glimpse(opened.inked, opened.line)]
        return views

    def _views(self, inked: Inked, line: LineReading | None) -> Iterator[View]:
        """Whole components, then cut ones; where a network reads strings, what they call for at once."""
        if line is None:
            yield from (self.decode(self.segment(inked, through=through)) for through in self.depths)
            return
        centres = line.centres(list(line.strings)[:GUIDES])
        # Where the network makes out no string there hardly is one, and hundreds of regions would be looked at in vain.
        yield self.decode(self.segment(inked, through=self.depths[-1] and bool(centres), centres=centres), line)

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
            return bare_view(seen, line)
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

    def _is_clear(self, view: View) -> bool:
        """Whether a view leaves no doubt, directory or not: one string ahead; without a network, also every digit sure and no ink left."""
        if view.line is not None:
            pooled = pool([view], support=self.support, line_weight=self._line_weight)
            return pooled is not None and pooled.lead >= LEAD
        if not view.candidates:
            return False
        best, *others = view.candidates
        if others and best.score - others[0].score < MARGIN:
            return False
        own = np.array([view.gains[edge, int(digit)] for edge, digit in zip(best.edges, best.text, strict=True)])
        return bool(own.min() > WEAKEST and own.sum() + best.prior - best.score < LEFT_OUT)
