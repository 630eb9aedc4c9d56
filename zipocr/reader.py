"""The road from a page to its ZIP, the same for reading, for debug pictures and for training.

page -> ink -> line image -> network -> likeliest strings and the centres of their digits -> regions
of these -> 8x8 grids -> SVC -> fusion with the directory's prior -> confidence.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.classify.scores import Calibration
from zipocr.classify.svc import DIGITS, Classifier
from zipocr.decode.confidence import (
    LISTED_COUNT,
    ConfidenceModel,
    confidence_features,
    digit_marginals,
    directory_log_prior,
    distribute_probability,
)
from zipocr.decode.fusion import Candidate, Fusion, apply_prior, posterior, propose, to_candidates
from zipocr.decode.orientation import CERTAIN, OrientationModel, Oriented
from zipocr.directory import places
from zipocr.errors import ModelError
from zipocr.normalize import BITMAP, to_bitmap, to_grids
from zipocr.prepare import InkPage, PreparedPage, prepare
from zipocr.segment.regions import Segmentation, segment
from zipocr.sequence.network import Network
from zipocr.sequence.reading import LineReading, read_lines, seen_again
from zipocr.sequence.strip import straighten
from zipocr.settings import settings_hash
from zipocr.trace import to_blank_trace, to_trace
from zipocr.types import (
    ZIP_LENGTH,
    DigitReading,
    Floats,
    GrayImage,
    Model,
    Place,
    Reason,
    Region,
    Trace,
    Unread,
    ZipReading,
    dashed,
)

# Of the network's strings this many are aligned to the line, and divide its ink.
ALIGNED = 3
# Where both readers together think their best string less likely than this, the network reads the
# line a second time, its digits larger by this factor.
SECOND_PASS_BELOW = 0.97
SECOND_PASS_SCALE = 1 / 0.85
# A tall page that is read with less confidence is tried in both quarter turns.
RETRY_BELOW = 0.8
QUARTER_TURNS = (90, 270)
# A page is turned if that is the right way up with at least this probability.
MIN_PROBABILITY_ROTATED = 0.9
# Strings that a trace keeps.
MAX_TRACED = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Classified:
    """The line of a page as the network reads it, its regions, and what the SVC says of these.

    ``bitmaps`` is (E, 32, 32) uint8 and ``log_likelihoods`` (E, 10) float32.
    """

    ink: InkPage
    line: LineReading
    segmentation: Segmentation
    bitmaps: NDArray[np.uint8]
    log_likelihoods: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fused:
    """The strings of a page, best first: without the directory's prior, and with it."""

    classified: Classified
    without_prior: tuple[Candidate, ...]
    ranked: tuple[Candidate, ...]

    @property
    def best(self) -> Candidate:
        """The likeliest string."""
        return self.ranked[0]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attempt:
    """A page in one orientation, what was seen on it, and its reading.

    ``rotation`` is by how many degrees clockwise the page was turned; ``line`` is None where it was
    not read, and ``fused`` where no string was found.
    """

    prepared: PreparedPage
    rotation: int
    line: LineReading | None
    fused: Fused | None
    reading: ZipReading | Unread

    @property
    def confidence(self) -> float:
        """Probability that the reading is right in this orientation, 0 without one."""
        return 0.0 if isinstance(self.reading, Unread) else self.reading.confidence

    @property
    def is_settled(self) -> bool:
        """Whether there is no ZIP on the page in any orientation."""
        settled = {Reason.NO_INK, Reason.SEVERAL_LINES}
        return isinstance(self.reading, Unread) and self.reading.reason in settled

    def weighed(self, probability: float) -> "Attempt":
        """Return the attempt with the probability of its orientation in its confidence."""
        if isinstance(self.reading, Unread):
            return self
        return replace(self, reading=self.reading.weighed(probability))


class Reader:
    """Reads pages with one model.

    Parameters
    ----------
    model : Model
    use_directory : bool
        Whether a directory of ZIPs takes part; it never overrules without saying so.
    directory : mapping of str to Place, or None
        Which: None is the packaged one, a list of the user's own (one ZIP or more) weighs by its
        length.

    Raises
    ------
    ModelError
        When the model was made for other settings than this program's.
    """

    def __init__(
        self,
        model: Model,
        *,
        use_directory: bool = True,
        directory: Mapping[str, Place] | None = None,
    ) -> None:
        if model.passport.get("settings", settings_hash()) != settings_hash():
            message = "The model was made for other settings of segmentation and features"
            raise ModelError(f"{message}; make it anew with 'zipocr train'")
        self._network = Network.from_model(model)
        self._classifier = Classifier.from_model(model)
        self._calibration = Calibration.from_model(model)
        self._fusion = Fusion.from_model(model)
        self._orientation = OrientationModel.from_model(model)
        self._confidence = ConfidenceModel.from_model(model, use_directory=use_directory)
        self._listed = (places() if directory is None else directory) if use_directory else {}
        count = LISTED_COUNT if directory is None else len(directory)
        self._log_prior = directory_log_prior(count)

    def read(self, page: GrayImage) -> ZipReading | Unread:
        """Read the ZIP of a page: (H, W) uint8 -> its reading, or why there is none."""
        return self.attempt(page).reading

    def read_each(self, pages: Sequence[GrayImage]) -> list[ZipReading | Unread]:
        """Read several pages as `read` does, and sooner: each step for all of them."""
        return [attempt.reading for attempt in self.attempt_each(pages)]

    def attempt(self, page: GrayImage) -> Attempt:
        """Read a page, and keep what was seen on it."""
        (attempt,) = self.attempt_each([page])
        return attempt

    def attempt_each(self, pages: Sequence[GrayImage]) -> list[Attempt]:
        """Read pages upright, and in other orientations those that are in doubt."""
        return self.read_prepared([prepare(page) for page in pages])

    def read_prepared(self, pages: Sequence[PreparedPage]) -> list[Attempt]:
        """Read prepared pages upright, and in other orientations those that are in doubt."""
        return [self._any_rotation(one) for one in self.read_upright(pages)]

    def read_upright(self, pages: Sequence[PreparedPage], *, rotation: int = 0) -> list[Attempt]:
        """Read prepared pages as they are; they were turned by `rotation` before."""
        readable = [page.ink for page in pages if page.ink and not page.has_several_lines]
        lines = self.read_lines(readable)
        found = iter(zip(lines, self.fuse_each(readable, lines), strict=True))
        return [
            self._attempt(page, rotation, *next(found)) if page.ink and not page.has_several_lines else _unread(page, rotation)
            for page in pages
        ]

    def _attempt(self, page: PreparedPage, rotation: int, line: LineReading, fused: Fused | None) -> Attempt:
        unread = Unread(reason=Reason.NOT_FIVE_DIGITS)
        reading = self._report(fused, rotation) if fused else unread
        return Attempt(prepared=page, rotation=rotation, line=line, fused=fused, reading=reading)

    def read_lines(self, pages: Sequence[InkPage], *, scale: float = 1.0) -> list[LineReading]:
        """Let the network read the line of each page, its digits larger by `scale`."""
        images = [straighten(page, page.text_height / scale) for page in pages]
        return read_lines(self._network, images)

    def fuse_each(self, pages: Sequence[InkPage], lines: Sequence[LineReading]) -> list[Fused | None]:
        """Let both readers tell the string of each line; where that leaves doubt, once more."""
        fused = [self.fuse(one) for one in self.classify_each(pages, lines)]
        doubtful = [place for place, one in enumerate(fused) if one and self.needs_second_pass(one)]
        larger = self.read_lines([pages[place] for place in doubtful], scale=SECOND_PASS_SCALE)
        second = [seen_again(lines[place], line) for place, line in zip(doubtful, larger, strict=True)]
        for place, one in zip(doubtful, self.classify_each([pages[place] for place in doubtful], second), strict=True):
            fused[place] = self.fuse(one)
        return fused

    def needs_second_pass(self, fused: Fused) -> bool:
        """Tell whether both readers together leave doubt."""
        return posterior(fused.ranked)[0] < SECOND_PASS_BELOW

    def classify_each(self, pages: Sequence[InkPage], lines: Sequence[LineReading]) -> list[Classified]:
        """Find the regions of the likeliest strings of each line, and classify all in one go."""
        segmentations = [
            segment(page.components, page.text_height, line.centres(line.likeliest(ALIGNED)))
            for page, line in zip(pages, lines, strict=True)
        ]
        drawn_pages = zip(pages, segmentations, strict=True)
        bitmaps = np.concatenate([draw_regions(page, one.regions) for page, one in drawn_pages] or [_NO_BITMAPS])
        log_likelihoods = self.classify(bitmaps)
        ends = np.cumsum([len(one.regions) for one in segmentations])[:-1]
        parts = zip(np.split(bitmaps, ends), np.split(log_likelihoods, ends), strict=True)
        return [
            Classified(ink=page, line=line, segmentation=one, bitmaps=drawn, log_likelihoods=own)
            for page, line, one, (drawn, own) in zip(pages, lines, segmentations, parts, strict=False)
        ]

    def classify(self, bitmaps: NDArray[np.uint8]) -> Floats:
        """Log-likelihoods of the digits: (E, 32, 32) -> (E, 10) float32."""
        if not len(bitmaps):
            return np.zeros((0, DIGITS), np.float32)
        features = self._classifier.features(bitmaps, to_grids(bitmaps))
        return self._calibration.log_likelihoods(self._classifier.decide(features))

    def fuse(self, one: Classified) -> Fused | None:
        """Fuse what both readers say of each string, and weigh it by the directory."""
        strings = [regions for regions in one.segmentation.strings if regions]
        texts = list(one.line.strings)
        texts += propose(texts, strings, one.log_likelihoods)
        if not texts:
            return None
        line_scores = dict(zip(texts, one.line.log_probabilities(texts), strict=True))
        candidates = to_candidates(line_scores, strings, one.log_likelihoods)
        without_prior = self._fusion.rank(candidates)
        ranked = apply_prior(without_prior, self._listed, self._log_prior)
        return Fused(classified=one, without_prior=without_prior, ranked=ranked)

    def features(self, fused: Fused) -> Floats:
        """Return what the confidence rests on."""
        return confidence_features(
            fused.ranked,
            shape=fused.classified.line.shaped,
            chosen_by_directory=fused.best.text != fused.without_prior[0].text,
            second_pass=fused.classified.line.is_twice,
        )

    def _report(self, fused: Fused, rotation: int) -> ZipReading:
        confidence = self._confidence.probability(self.features(fused))
        shares = distribute_probability(fused.ranked, confidence)
        text = fused.best.text
        place = self._listed.get(text[:ZIP_LENGTH])
        marginals = digit_marginals(fused.ranked, shares)
        return ZipReading(
            zip=text[:ZIP_LENGTH],
            plus4=text[ZIP_LENGTH:],
            confidence=confidence,
            digits=tuple(map(_digit_reading, marginals, map(int, text))),
            runner_up=dashed(fused.ranked[1].text) if len(shares) > 1 else "",
            runner_up_confidence=min(shares[1], confidence) if len(shares) > 1 else 0.0,
            reasons=(*self._reasons(fused), *_rotated(rotation)),
            city=place.city if place else "",
            state=place.state if place else "",
            rotation=rotation,
        )

    def _reasons(self, fused: Fused) -> Iterator[Reason]:
        if not self._listed:
            return
        if fused.best.text != fused.without_prior[0].text:
            yield Reason.DIRECTORY_CHOICE
        if fused.best.text[:ZIP_LENGTH] not in self._listed:
            yield Reason.NOT_IN_DIRECTORY

    def _any_rotation(self, upright: Attempt) -> Attempt:
        """Turn a page that may be upside down, or in doubt and tall; return its best reading.

        Its confidence includes the chance that another orientation is the right one.
        """
        attempts = [upright, *self.other_orientations(upright)]
        if len(attempts) == 1:
            return upright
        probabilities = self._orientation.posterior([self.orient(one) for one in attempts])
        best = max(range(len(attempts)), key=probabilities.__getitem__)
        chosen = best if probabilities[best] >= MIN_PROBABILITY_ROTATED else 0
        return attempts[chosen].weighed(probabilities[chosen])

    def orient(self, attempt: Attempt) -> Oriented:
        """Return what an orientation of a page shows of being the right one."""
        line = attempt.line
        log_odds = self._orientation.log_odds(line.pooled) if line else -CERTAIN
        confidence = attempt.confidence
        return Oriented(rotation=attempt.rotation, confidence=confidence, log_odds=log_odds)

    def other_orientations(self, upright: Attempt) -> Iterator[Attempt]:
        """Read a page in the other orientations that are to be considered."""
        if upright.is_settled:
            return
        page = upright.prepared
        if self.orient(upright).log_odds < CERTAIN:
            yield from self.read_upright([page.rotated_180()], rotation=180)
        if upright.confidence < RETRY_BELOW and page.page.shape[0] > page.page.shape[1]:
            for degrees in QUARTER_TURNS:
                turned = prepare(rotate(page.page, degrees))
                yield from self.read_upright([turned], rotation=degrees)

    def trace(self, page: GrayImage) -> Trace:
        """Read a page, and keep everything that was seen on it, as it was turned."""
        attempt = self.attempt(page)
        reading, fused = attempt.reading, attempt.fused
        ink = attempt.prepared.ink
        if fused is None or isinstance(reading, Unread) or ink is None:
            shown = attempt.prepared.page if ink is None else ink.scaled.page
            return to_blank_trace(shown, reading, ink=None if ink is None else ink.ink)
        shares = distribute_probability(fused.ranked, reading.confidence)[:MAX_TRACED]
        strings = [(dashed(one.text), min(share, reading.confidence)) for one, share in zip(fused.ranked, shares, strict=False)]
        regions = list(fused.best.regions)
        return to_trace(
            fused.classified.ink,
            reading,
            regions=fused.classified.segmentation.regions,
            chosen=regions,
            grids=list(to_grids(fused.classified.bitmaps[regions])),
            strings=strings,
        )


_NO_BITMAPS = np.zeros((0, BITMAP, BITMAP), np.uint8)
_AROUND = np.ones((3, 3), np.uint8)


def draw_regions(page: InkPage, regions: Sequence[Region]) -> NDArray[np.uint8]:
    """Normalize regions of a page: -> (E, 32, 32) uint8."""
    if not regions:
        return _NO_BITMAPS
    ink, coverage = (_with_margin(plane) for plane in (page.ink.view(np.uint8), page.coverage))
    return np.stack([_draw_region(one, ink, coverage) for one in regions])


def _draw_region(region: Region, ink: NDArray[np.uint8], coverage: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Normalize a region with the rims of its strokes, but without those of its neighbours."""
    box = region.box
    rows, columns = slice(box.top, box.bottom + 2), slice(box.left, box.right + 2)
    own = _with_margin(region.ink.view(np.uint8))
    around = np.asarray(cv2.dilate(own, _AROUND), np.uint8)
    shown = around & (own | (1 - ink[rows, columns]))
    return to_bitmap(region.ink, coverage[rows, columns] * shown)


def _with_margin(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Add a pixel of paper on all sides."""
    return np.asarray(cv2.copyMakeBorder(plane, 1, 1, 1, 1, cv2.BORDER_CONSTANT), np.uint8)


def _unread(page: PreparedPage, rotation: int) -> Attempt:
    reason = Reason.SEVERAL_LINES if page.has_several_lines else Reason.NO_INK
    unread = Unread(reason=reason)
    return Attempt(prepared=page, rotation=rotation, line=None, fused=None, reading=unread)


def rotate(page: GrayImage, degrees: int) -> GrayImage:
    """Turn a page clockwise by a multiple of 90 degrees."""
    return np.ascontiguousarray(np.rot90(page, -degrees // 90))


def _rotated(rotation: int) -> tuple[Reason, ...]:
    return (Reason(f"turned_{rotation}"),) if rotation else ()


def _digit_reading(shares: Sequence[float], digit: int) -> DigitReading:
    """Return one digit with its probability, and the next best digit at its place."""
    others = [other for other in range(len(shares)) if other != digit]
    second = max(others, key=shares.__getitem__)
    return DigitReading(
        digit=digit,
        probability=min(shares[digit], 1.0),
        runner_up=second,
        runner_up_probability=max(shares[second], 0.0),
    )
