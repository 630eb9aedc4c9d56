"""Puts the stages together: from what a page shows to its reading, the same way for reading, for debug pictures and for training."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp

import numpy as np

from zipocr.decode.confidence import EVIDENCE, LISTED_WEIGHT, ConfidenceModel, digit_shares, evidence, listed_weight, rank, share_out
from zipocr.decode.strings import Candidate, spell
from zipocr.directory import places
from zipocr.errors import ModelError
from zipocr.evidence import GLANCE_EVIDENCE, LINE_EVIDENCE, glance_evidence, line_evidence
from zipocr.layout import has_several_lines
from zipocr.looking import Looker, Opened
from zipocr.normalize import to_grids
from zipocr.pooling import Pooled, View
from zipocr.prepare import settings_hash, to_working_size
from zipocr.sequence.reading import LineReading
from zipocr.trace import to_blank_trace, to_trace
from zipocr.types import ZIP_LENGTH, DigitReading, Floats, GrayImage, Model, Place, Reason, Trace, Unread, ZipReading, dashed

# A page that is read with less confidence may lie otherwise; turned, it has to be read with this much, and the network has to think one
# string at least so likely at the first glance, without the directory.
DOUBT, SURE_TURN, PROMISING = 0.8, 0.97, 0.5
HALF = 180
# One crop in so many lies upside down: the odds that it was read right so have to be that much higher than those of its reading as it lies.
# Of 5,542 upright crops 15 were turned without that, all wrongly and with great confidence, and one is now; of as many upside down 0.55
# instead of 0.60 are still read.
UPRIGHT = 50
TURNS = (HALF, 90, 270)
# How many of the best strings a trace keeps.
STRINGS_TRACED = 5


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
    """A page, turned somehow, and what became of it."""

    opened: Opened
    views: Sequence[View]
    reading: ZipReading | Unread
    found: Decoded | None

    @property
    def confidence(self) -> float:
        """How sure the reading is, 0 where there is none."""
        return 0.0 if isinstance(self.reading, Unread) else self.reading.confidence

    @property
    def odds(self) -> float:
        """How much likelier it is right than wrong."""
        return self.confidence / max(1 - self.confidence, 1e-9)

    @property
    def is_settled(self) -> bool:
        """Whether there is no ZIP on the page however it lies."""
        return isinstance(self.reading, Unread) and self.reading.reason in {Reason.NO_INK, Reason.SEVERAL_LINES}


class Reader(Looker):
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
    """

    def __init__(self, model: Model, *, use_directory: bool = True, directory: Mapping[str, Place] | None = None) -> None:
        if model.passport.get("settings", settings_hash()) != settings_hash():
            raise ModelError("The model was made for other settings of segmentation and features; make it anew with 'zipocr train'")
        super().__init__(model)
        self._confidence = ConfidenceModel.from_model(model, use_directory=use_directory)
        self._places: Mapping[str, Place] = (places() if directory is None else directory) if use_directory else {}
        self._listed_weight = LISTED_WEIGHT if directory is None else listed_weight(len(directory))

    def read(self, page: GrayImage) -> ZipReading | Unread:
        """Reads the ZIP of a page: (H, W) uint8 -> its reading, or why there is none."""
        return self.attempt(page).reading

    def read_each(self, pages: Sequence[GrayImage]) -> list[ZipReading | Unread]:
        """Reads several pages as `read` does, and sooner: as far as it can, each step for all of them."""
        return [self._attempt(opened).reading for opened in self.open_each(pages)]

    def trace(self, page: GrayImage) -> Trace:
        """Reads a page and keeps everything that was seen on the way, as it was turned."""
        attempt = self.attempt(page)
        reading, found = attempt.reading, attempt.found
        if found is None or isinstance(reading, Unread):
            return self._trace_unread(attempt)
        view, edges = self._shown(attempt.opened, found)
        shares = share_out(found.ranked, reading.confidence, self._confidence.temperature)
        strings = [
            (dashed(one.text), min(share, reading.confidence)) for one, share in zip(found.ranked[:STRINGS_TRACED], shares, strict=False)
        ]
        return to_trace(view.seen, reading, edges=edges, grids=list(to_grids(view.bitmaps[list(edges)])), strings=strings)

    def _trace_unread(self, attempt: Attempt) -> Trace:
        """What a page without a ZIP shows where it was looked at, or its ink at working size."""
        if attempt.views and attempt.views[-1].seen.page is not attempt.opened.sheet.page:
            return to_trace(attempt.views[-1].seen, attempt.reading)
        inked = next(self.closer(attempt.opened), (None, None))[0]
        page, ink = (attempt.opened.page, None) if inked is None else (inked.sheet.page, inked.ink)
        return to_blank_trace(page, attempt.reading, ink=ink)

    def _shown(self, opened: Opened, found: Decoded) -> tuple[View, tuple[int, ...]]:
        """The view in which the best string was seen, and its regions there; what was read at a glance is looked at now."""
        best = found.ranked[0]
        inked, line = (None, None) if best.edges else next(self.closer(opened), (None, None))
        if inked is None or line is None:
            return found.view, best.edges
        # Its regions where the network sees its digits, or any that spell it where it misplaces one.
        for centres in (line.centres((best.text,)), ()):
            view = self.decode(self.segment(inked, through=True, centres=centres), line)
            placed = spell(view.seen.lattice, view.gains, best.text)
            if placed is not None:
                return view, placed.edges
        return view, ()

    def attempt(self, page: GrayImage) -> Attempt:
        """Reads a page as it lies, and where that is in doubt, turned by halves and, if it is taller than wide, by quarters."""
        return self._attempt(self.open(page))

    def _attempt(self, upright: Opened) -> Attempt:
        best = self._read_opened(upright, 0)
        if best.confidence >= DOUBT or best.is_settled:
            return best
        others = [(turn, self._read_opened(opened, turn)) for turn, opened in self._promising(upright.page, best.opened)]
        likely = [one for turn, one in others if one.confidence >= SURE_TURN and (turn != HALF or one.odds > UPRIGHT * best.odds)]
        return max(likely, key=lambda one: one.confidence, default=best)

    def _promising(self, page: GrayImage, upright: Opened) -> Iterator[tuple[int, Opened]]:
        """The ways a page could lie in which it may be read at all, as far as glances by the network tell.

        Where a glance is ever enough, it has to be: of 1,664 crops upside down 1,110 were noticed so, and 16 more by looks, which are dear.
        """
        for turn in TURNS if page.shape[0] > page.shape[1] else TURNS[:1]:
            opened = self.turn(upright) if turn == HALF else self.open(turn_clockwise(page, turn))
            # Without the directory: a page upside down may show a listed ZIP as well.
            if opened.line is not None and super().likeliest(opened.line)[1] < PROMISING:
                continue
            opened, view = self.glance_twice(opened)
            if view is not None or not self.is_ever_sure:
                yield turn, opened

    def _read_opened(self, opened: Opened, turn: int) -> Attempt:
        inked = opened.inked
        several = Attempt(opened=opened, views=(), reading=Unread(reason=Reason.SEVERAL_LINES), found=None)
        if inked is not None and has_several_lines(inked.parts, inked.height):
            return several
        views = self.see(opened)
        if not views and not opened.is_bare and to_working_size(opened.page).is_envelope:
            return several
        reading, found = self.answer(views)
        if not isinstance(reading, Unread) and turn:
            reading = replace(reading, rotation=turn, reasons=(*reading.reasons, Reason(f"turned_{turn}")))
        return Attempt(opened=opened, views=views, reading=reading, found=found)

    def likeliest(self, line: LineReading) -> tuple[str, float]:
        """The likeliest string, and its share of all, once the directory has weighed them; none, and 0, where the network reads none."""
        if not self._places or not line.strings:
            return super().likeliest(line)
        listed = exp(self._listed_weight)
        weighed = {text: share * (listed if text[:ZIP_LENGTH] in self._places else 1) for text, share in line.strings.items()}
        best = max(weighed, key=lambda text: weighed[text])
        return best, weighed[best] / (sum(weighed.values()) + max(1 - sum(line.strings.values()), 0))

    def pool(self, views: Sequence[View]) -> Decoded | None:
        """Puts the strings of several views together, and weighs them."""
        return self.weigh(self.put_together(views))

    def weigh(self, pooled: Pooled | None) -> Decoded | None:
        """Lets the directory weigh strings; None when there are none."""
        if pooled is None:
            return None
        ranked = rank(pooled.strings, self._is_listed, self._listed_weight * self._confidence.temperature)
        return Decoded(pooled=pooled, ranked=ranked, view=pooled.views[ranked[0].text])

    def evidence(self, found: Decoded) -> Floats:
        """What the confidence rests on: (F,) float32."""
        view, line = found.view, found.view.line
        if line is not None and view.is_glance:
            glance = glance_evidence(found.ranked, found.pooled, line)
            return np.append(np.zeros(EVIDENCE + LINE_EVIDENCE, np.float32), glance)
        regions = evidence(found.ranked, found.plain, view.seen.lattice, view.gains)
        if self._network is None:
            return regions
        network = line_evidence(found.ranked[0].text, found.pooled, line)
        return np.concatenate([regions, network, np.zeros(GLANCE_EVIDENCE, np.float32)])

    def answer(self, views: Sequence[View]) -> tuple[ZipReading | Unread, Decoded | None]:
        """What the views of a page amount to, and the strings behind it; None when there are none."""
        if not views:
            return Unread(reason=Reason.NO_INK), None
        found = self.pool(views)
        return (Unread(reason=Reason.NOT_FIVE_DIGITS), None) if found is None else (self._report(found), found)

    @property
    def _is_listed(self) -> Callable[[str], bool] | None:
        return self._places.__contains__ if self._places else None

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
            runner_up_confidence=min(shares[1], confidence) if len(shares) > 1 else 0.0,
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


def see_each(readers: Sequence[Reader], opened: Opened) -> list[Sequence[View]]:
    """What each of some readers of one model sees of a page: they differ in when a glance is enough, and share a look."""
    opened, glances = glance_each(readers, opened)
    looks = readers[0].look(opened) if any(glance is None for glance in glances) else []
    return [looks if glance is None else [glance] for glance in glances]


def glance_each(readers: Sequence[Reader], opened: Opened) -> tuple[Opened, list[View | None]]:
    """What each of some readers of one model reads at a glance or two, None where that is not enough, and the page as it was seen last."""
    glances = [reader.glance(opened) for reader in readers]
    if all(glances):
        return opened, glances
    twice = readers[0].again(opened)
    return twice, [glance or reader.glance(twice) for glance, reader in zip(glances, readers, strict=True)]


def turn_clockwise(page: GrayImage, degrees: int) -> GrayImage:
    """A page turned by a multiple of 90 degrees."""
    return np.ascontiguousarray(np.rot90(page, -degrees // 90))


def _digit_reading(shares: Sequence[float], digit: int) -> DigitReading:
    """One digit with its share and the next best digit at its place."""
    second = max((other for other in range(len(shares)) if other != digit), key=shares.__getitem__)
    return DigitReading(digit=digit, probability=min(shares[digit], 1.0), runner_up=second, runner_up_probability=max(shares[second], 0.0))
