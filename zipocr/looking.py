"""What a page shows: its line as the network reads it at a glance, and where that leaves doubt, its regions one by one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from zipocr.classify.gate import Gate
from zipocr.classify.scores import Scorer
from zipocr.classify.svc import DIGITS, Classifier
from zipocr.decode.strings import decode
from zipocr.normalize import to_bitmap, to_grids
from zipocr.pooling import SUPPORT, Pooled, View, bare_view, glimpse, pool
from zipocr.prepare import Binarization, Inked, Segmentation, Sheet, clear_for_glance, find_ink, half_turned, segment, to_working_size
from zipocr.sequence.network import Network
from zipocr.sequence.reading import LineReading, read_lines, seen_again
from zipocr.sequence.strip import straighten
from zipocr.types import Floats, GrayImage, Model, Region

# How likely the network has to think a string for a first glance to be enough, and for a second one. Of 6,000 composed strings a look would
# change 3 of the 4,796 that are read so, one of them for the better, and one of 4,465 without a directory.
SURE = (0.95, 0.9)
# A probability that no string of a network has.
NEVER = (2.0, 2.0)
# Odds (in nats) against a digit in a region that the gate keeps out.
SHUT = 5.0
# Of the network's strings so many say where to cut.
GUIDES = 3
# How far, in nats, the best string of network and regions together has to be ahead for no other threshold to be tried. Of 408 crops of
# `dev` that glances leave in doubt without a directory, 340 are read right so, 338 if it has to be 2, and 342 if it has to be 3.
LEAD = 0.5
# The same where there is no network: nats to the runner-up, of the weakest digit, and of the ink left out.
MARGIN, WEAKEST, LEFT_OUT = 3.0, -0.5, 0.5
# Where the network makes it less likely than this that any ZIP stands on the line, nobody looks on: of 2,543 crops that bore one three were
# such, and none of these was read from its regions.
LEAST_SHAPED = 0.001
# In doubt the network sees a line again, its height taken for so much less, and its digits so much larger. Without a directory that reads
# 0.954 instead of 0.951 of `dev`, 0.926 instead of 0.913 of `tests/strings`, 0.924 instead of 0.921 of 1,500 composed strings.
LARGER = 0.85


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Opened:
    """A page, the same at the size of a glance, its writing there, and what the network reads of it; None where there is none."""

    page: GrayImage
    sheet: Sheet
    inked: Inked | None
    line: LineReading | None

    @property
    def is_bare(self) -> bool:
        """Whether there is no ink on the page as it came."""
        return self.sheet.height == 0 and self.sheet.page is self.page


def draw_regions(regions: tuple[Region, ...]) -> NDArray[np.uint8]:
    """Normalizes regions: -> (E, 32, 32) uint8."""
    return np.stack([to_bitmap(region.ink) for region in regions])


class Looker:
    """Looks at pages with one model.

    Parameters
    ----------
    model : Model

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

    def __init__(self, model: Model) -> None:
        self._classifier = Classifier.from_model(model)
        self._gate = Gate.from_model(model)
        self._scorer = Scorer.from_model(model)
        self._network = Network.from_model(model)
        self._line_weight = float(model.arrays.get("line_weight", 0.0))
        self._together: tuple[tuple[View, ...], Pooled | None] = (), None
        self._sure = tuple(model.arrays["sure"].tolist()) if self.glances and self._network is not None else NEVER

    @property
    def is_ever_sure(self) -> bool:
        """Whether a glance may be enough at all."""
        return self._sure != NEVER

    def open(self, page: GrayImage) -> Opened:
        """Finds the writing on a page and lets the network read it: (H, W) uint8."""
        (opened,) = self.open_each([page])
        return opened

    def open_each(self, pages: Sequence[GrayImage]) -> list[Opened]:
        """Opens pages, step by step for all of them, which takes a sixth less time than one after the other."""
        cleared = [clear_for_glance(page) for page in pages]
        writing = [None if sheet.is_envelope else self.find_ink(sheet, self.binarizations[0]) for _, sheet in cleared]
        lines = iter(self.read_lines([inked for inked in writing if inked is not None]))
        return [
            Opened(page=page, sheet=sheet, inked=inked, line=None if inked is None else next(lines))
            for (page, sheet), inked in zip(cleared, writing, strict=True)
        ]

    def turn(self, opened: Opened) -> Opened:
        """Opens a page upside down."""
        if opened.inked is None:
            return opened
        inked = half_turned(opened.inked)
        page = np.ascontiguousarray(opened.page[::-1, ::-1])
        return Opened(page=page, sheet=inked.sheet, inked=inked, line=self.read_line(inked))

    def see(self, opened: Opened) -> list[View]:
        """Takes a glance at a page; where that leaves doubt, a second one; and where that does as well, a look."""
        opened, view = self.glance_twice(opened)
        return self.look(opened) if view is None else [view]

    def glance_twice(self, opened: Opened) -> tuple[Opened, View | None]:
        """Takes a second glance at a page if the first leaves doubt; the page as it was seen last, and a view as `glance` has it."""
        view = self.glance(opened)
        if view is None:
            opened = self.again(opened)
            view = self.glance(opened)
        return opened, view

    def glance(self, opened: Opened) -> View | None:
        """The strings of the network alone; None where it is not as sure of one as the model asks for."""
        if opened.inked is None or opened.line is None or self.likeliest(opened.line)[1] < self._sure[opened.line.is_twice]:
            return None
        return glimpse(opened.inked, opened.line)

    def likeliest(self, line: LineReading) -> tuple[str, float]:
        """The string that the network thinks likeliest, and its probability; none, and 0, where it reads none."""
        return next(iter(line.strings.items()), ("", 0.0))

    def look(self, opened: Opened) -> list[View]:
        """Looks at a page's regions until a view leaves no doubt: from coarse to fine, and through one threshold after the other.

        Where the network is sure that there is no ZIP, or no five and no nine regions follow each other in any view, what it reads is all
        there is.
        """
        views: list[View] = []
        opened = self.again(opened)
        if opened.inked and opened.line and opened.line.shaped < LEAST_SHAPED:
            return [glimpse(opened.inked, opened.line)]
        for inked, line in self.closer(opened):
            for view in self._views(inked, line):
                if self._is_clear(view):
                    return [*views, view]
            views.append(view)  # the last one has the regions of the ones before, and more
        if opened.inked and opened.line and opened.line.strings and not any(view.candidates for view in views):
            return [glimpse(opened.inked, opened.line)]
        return views

    def again(self, opened: Opened) -> Opened:
        """Lets the network see the line of a page once more, its digits larger."""
        if opened.inked is None or opened.line is None or opened.line.is_twice:
            return opened
        larger = self.read_line(replace(opened.inked, height=opened.inked.height * LARGER))
        return opened if larger is None else replace(opened, line=seen_again(opened.line, larger))

    def closer(self, opened: Opened) -> Iterator[tuple[Inked, LineReading | None]]:
        """The writing on a page at working size by one threshold after the other, and what the network reads of it.

        By the first threshold that is what it has read at a glance. Nothing on a page without ink, or on a sheet of small writing.
        """
        if opened.is_bare:
            return
        sheet = to_working_size(opened.page)
        for binarization in () if sheet.is_envelope else self.binarizations:
            if inked := self.find_ink(sheet, binarization):
                known = opened.line if binarization == self.binarizations[0] else None
                yield inked, known.on(sheet.page.shape[1] / opened.sheet.page.shape[1]) if known else self.read_line(inked)

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
        (line,) = self.read_lines([inked])
        return line

    def read_lines(self, writing: Sequence[Inked]) -> Sequence[LineReading | None]:
        """Reads the writing on several pages as `read_line` does."""
        if self._network is None:
            return [None] * len(writing)
        return read_lines(self._network, [straighten(inked.sheet.flat, inked.ink, inked.height, inked.level) for inked in writing])

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

    def put_together(self, views: Sequence[View]) -> Pooled | None:
        """The strings of several views, or of the only one, as `zipocr.pooling.pool` has them."""
        # Whether a view is clear and what it amounts to is asked one after the other. Views are the same or not: none is like another.
        seen, pooled = self._together
        if seen != tuple(views):
            seen, pooled = tuple(views), pool(views, support=self.support, line_weight=self._line_weight)
            self._together = seen, pooled
        return pooled

    def _is_clear(self, view: View) -> bool:
        """Whether a view leaves no doubt, directory or not: one string ahead; without a network, also every digit sure and no ink left."""
        if view.line is not None:
            pooled = self.put_together([view])
            return pooled is not None and pooled.lead >= LEAD
        if not view.candidates:
            return False
        best, *others = view.candidates
        if others and best.score - others[0].score < MARGIN:
            return False
        own = np.array([view.gains[edge, int(digit)] for edge, digit in zip(best.edges, best.text, strict=True)])
        return bool(own.min() > WEAKEST and own.sum() + best.prior - best.score < LEFT_OUT)
