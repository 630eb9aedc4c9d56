"""Pipeline from a page to its ZIP, shared by reading, debug pictures and training.

page -> ink -> line image -> network -> n-best strings and the centres of their digits -> regions ->
8x8 grids -> SVC -> fusion with the directory prior -> confidence.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, repeat

import numpy as np
from numpy.typing import NDArray

from zipocr.attempt import Attempt, Classified, Fused, to_reading
from zipocr.classify.normalize import draw_regions
from zipocr.classify.probabilities import NO_LIKELIHOODS, Calibration
from zipocr.classify.svc import Classifier
from zipocr.decode.confidence import (
    LISTED_COUNT,
    ConfidenceModel,
    confidence_features,
    directory_log_prior,
)
from zipocr.decode.directory import places
from zipocr.decode.fusion import Fusion, apply_prior, posterior, propose, to_candidates
from zipocr.decode.orientation import CERTAIN, OrientationModel, Oriented
from zipocr.errors import ModelError
from zipocr.line.line_image import rectify
from zipocr.line.network import Network
from zipocr.line.recognize import LineReading, merge_passes, read_lines
from zipocr.preprocess.binarize import close_gaps, darken_pale
from zipocr.preprocess.page import InkPage, PreparedPage, prepare
from zipocr.preprocess.polarity import may_be_light_on_dark, may_be_light_on_gray, negative
from zipocr.preprocess.resize import reduced
from zipocr.preprocess.rotate import rotate
from zipocr.segment.regions import segment
from zipocr.settings import settings_hash
from zipocr.trace import to_trace
from zipocr.types import (
    Floats,
    GrayImage,
    Model,
    Place,
    Reason,
    Trace,
    Unread,
    ZipReading,
)

# Number of the network's n-best strings that are aligned with the line, to divide its ink.
ALIGNED = 3
# Enlargement of digits in the second and third pass.
SECOND_PASS_SCALE, THIRD_PASS_SCALE = 1 / 0.85, 1 / 0.78
# A page read with less confidence is retried in negative if much of it is dark or its lightest part
# may be writing on grey, either way up, and in both quarter turns if it is tall.
RETRY_BELOW = 0.8
# Below this confidence, a page is retried with the gaps in its strokes closed, and with pale
# strokes darkened; such a version needs the minimum confidence below.
CLOSE_BELOW = 0.5
MIN_VERSION_CONFIDENCE = 0.6
# Larger pages, in pixels, are halved before they are retried.
MAX_RETRIED = 1_000_000
# Gaps to close, in page heights: between dots of an unread page, and in strokes.
GAP_OF_DOTS, GAP_OF_STROKES = 0.08, 0.04
# A line with at least this many characters, such as letters or six digits, is not made of dots.
MIN_SPELT = 4
# Minimum number of characters of a line without five or nine digits for reading it again.
MIN_REREAD = 3
# A line read with at least this confidence is not read again.
CERTAIN_CONFIDENCE = 0.98
# In a retry, a line is not read again below this confidence, and counts as unread if the network
# gives its best string less than this probability.
PROMISING_CONFIDENCE, MIN_RETRY_PROBABILITY = 0.2, 0.1
QUARTER_TURNS = (90, 270)
# Minimum probability that the ZIP of a rotated page is right.
MIN_ROTATED_CONFIDENCE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondPass:
    """When and how a line is read again.

    ``below``: if the fused probability of the best string is lower. ``scales``: enlargements of its
    digits, one after the other as long as the merged reading is in doubt, each for the next of the
    larger networks, or the last one. ``weight``: share of the first pass in the merged reading.
    """

    below: float
    scales: tuple[float, ...]
    weight: float


BY_SAME_NETWORK = SecondPass(below=0.9, scales=(SECOND_PASS_SCALE,), weight=0.5)
BY_LARGER_NETWORKS = SecondPass(
    below=0.95, scales=(SECOND_PASS_SCALE, THIRD_PASS_SCALE), weight=0.2
)


class Reader:
    """Reader of tight crops with one model.

    Parameters
    ----------
    model : Model
    use_directory : bool
        Whether to use a directory of ZIPs; when it overrules the readers, the result says so.
    directory : mapping of str to Place, or None
        The directory: None is the packaged one; the weight of a user's own list (one ZIP or more)
        depends on its length.

    Raises
    ------
    ModelError
        If the model was made for other settings than this program's.
    """

    def __init__(
        self,
        model: Model,
        *,
        use_directory: bool = True,
        directory: Mapping[str, Place] | None = None,
    ) -> None:
        if model.card.get("settings", settings_hash()) != settings_hash():
            message = "The model was made for other settings of segmentation and features"
            raise ModelError(f"{message}; make it anew with 'zipocr train'")
        self.network = Network.from_model(model)
        larger = Network.larger_from_model(model)
        self._larger = larger or [self.network]
        self.second_pass = BY_LARGER_NETWORKS if larger else BY_SAME_NETWORK
        self._classifier = Classifier.from_model(model)
        self._calibration = Calibration.from_model(model)
        self._fusion = Fusion.from_model(model)
        self._orientation = OrientationModel.from_model(model)
        self._confidence = ConfidenceModel.from_model(model, use_directory=use_directory)
        self.listed = (places() if directory is None else directory) if use_directory else {}
        count = LISTED_COUNT if directory is None else len(directory)
        self._log_prior = directory_log_prior(count)

    def read(self, page: GrayImage) -> ZipReading | Unread:
        """Read the ZIP of a page: (H, W) uint8 -> its reading, or the reason there is none."""
        return self.attempt(page).reading

    def read_each(self, pages: Sequence[GrayImage]) -> list[ZipReading | Unread]:
        """Read several pages like `read`, but faster, since each step is done for all at once."""
        return [attempt.reading for attempt in self.attempt_each(pages)]

    def attempt(self, page: GrayImage) -> Attempt:
        """Read a page, and keep the intermediate results."""
        (attempt,) = self.attempt_each([page])
        return attempt

    def attempt_each(self, pages: Sequence[GrayImage]) -> list[Attempt]:
        """Read pages upright, and those in doubt in other orientations as well."""
        return self.read_prepared([prepare(page) for page in pages])

    def read_prepared(self, pages: Sequence[PreparedPage]) -> list[Attempt]:
        """Read prepared pages upright, and those in doubt in other orientations as well."""
        upright = self._surest_versions(self.read_upright(pages))
        doubtful = [place for place, one in enumerate(upright) if self.may_be_upside_down(one)]
        others = self.read_upside_down([upright[place] for place in doubtful])
        turned = dict(zip(doubtful, others, strict=True))
        return [
            self._best([one, *filter(None, [turned.get(place)]), *self.quarter_turns(one)])
            for place, one in enumerate(upright)
        ]

    def read_upside_down(self, upright: Sequence[Attempt]) -> list[Attempt]:
        """Read pages upside down, and other versions of those that are in doubt both ways."""
        turned = [one.prepared.rotated_180() for one in upright]
        found = self.read_upright(turned, rotation=180, is_retry=True)
        doubtful = [place for place, one in enumerate(upright) if one.confidence < RETRY_BELOW]
        others = self._surest_versions([found[place] for place in doubtful], rotation=180)
        for place, one in zip(doubtful, others, strict=True):
            found[place] = one
        return found

    def read_upright(
        self, pages: Sequence[PreparedPage], *, rotation: int = 0, is_retry: bool = False
    ) -> list[Attempt]:
        """Read prepared pages as they are; they were rotated by `rotation` before.

        A retry, that is another version or orientation of a page, is given up sooner.
        """
        readable = [page.ink for page in pages if page.ink and not page.reason]
        lines = self.read_lines(readable)
        if is_retry:
            lines = [
                line
                if line.best_probability >= MIN_RETRY_PROBABILITY
                else replace(line, strings={})
                for line in lines
            ]
        fused_each = self.fuse_each(readable, lines, is_retry=is_retry)
        found = iter(zip(lines, fused_each, strict=True))
        attempts = []
        for page in pages:
            line, fused = (None, None) if page.reason else next(found)
            reading = (
                self._report(fused, rotation)
                if fused
                else Unread(reason=page.reason or Reason.NOT_FIVE_DIGITS)
            )
            attempts.append(
                Attempt(prepared=page, rotation=rotation, line=line, fused=fused, reading=reading)
            )
        return attempts

    def read_lines(self, pages: Sequence[InkPage]) -> list[LineReading]:
        """Read the line of each page with the network."""
        return read_lines(self.network, [rectify(page, page.text_height) for page in pages])

    def read_lines_again(
        self, pages: Sequence[InkPage], lines: Sequence[LineReading]
    ) -> list[LineReading]:
        """Read the line of each page with the larger networks, at larger scales, and merge."""
        merged = list(lines)
        others: list[list[LineReading]] = [[] for _ in lines]
        doubtful = list(range(len(lines)))
        networks = chain(self._larger, repeat(self._larger[-1]))
        for scale, network in zip(self.second_pass.scales, networks, strict=False):
            strips = [rectify(pages[place], pages[place].text_height / scale) for place in doubtful]
            for place, other in zip(doubtful, read_lines(network, strips), strict=True):
                others[place].append(other)
                merged[place] = merge_passes(
                    lines[place], others[place], weight=self.second_pass.weight
                )
            doubtful = [
                place
                for place in doubtful
                if merged[place].best_probability < self.second_pass.below
            ]
        return merged

    def fuse_each(
        self, pages: Sequence[InkPage], lines: Sequence[LineReading], *, is_retry: bool = False
    ) -> list[Fused | None]:
        """Read each line with both readers and fuse them, with a second pass for those in doubt."""
        seen = [Classified(ink=page, line=line) for page, line in zip(pages, lines, strict=True)]
        first = self.classify_each(seen)
        fused = [self.fuse(one) for one in first]
        doubtful = [
            place
            for place, (line, one) in enumerate(zip(lines, fused, strict=True))
            if self.needs_second_pass(line, one, is_retry=is_retry)
        ]
        again = [pages[place] for place in doubtful]
        second = self.read_lines_again(again, [lines[place] for place in doubtful])
        seen = [
            replace(first[place], line=one) for place, one in zip(doubtful, second, strict=True)
        ]
        for place, one in zip(doubtful, self.classify_each(seen), strict=True):
            fused[place] = self.fuse(one)
        return fused

    def needs_second_pass(
        self, line: LineReading, fused: Fused | None, *, is_retry: bool = False
    ) -> bool:
        """Return whether the best string or the number of digits is in doubt, but not hopeless."""
        if fused is None:
            return line.characters >= MIN_REREAD and not is_retry
        if posterior(fused.ranked)[0] * line.shaped >= self.second_pass.below:
            return False
        least = PROMISING_CONFIDENCE if is_retry else 0.0
        return least <= self.confidence(fused) < CERTAIN_CONFIDENCE

    def classify_each(self, seen: Sequence[Classified]) -> list[Classified]:
        """Find the regions of the likeliest strings of each line, and classify new ones at once."""
        divided = [
            segment(
                one.ink.components,
                one.ink.text_height,
                one.line.centres(one.line.likeliest(ALIGNED)),
                one.segmentation,
            )
            for one in seen
        ]
        drawn = [
            draw_regions(one.ink, found.regions[len(one.bitmaps) :])
            for one, found in zip(seen, divided, strict=True)
        ]
        ends = np.cumsum([len(bitmaps) for bitmaps in drawn])[:-1]
        likelihoods = np.split(self.classify(np.concatenate(drawn)), ends) if drawn else []
        return [
            one.extended(found, bitmaps, scores)
            for one, found, bitmaps, scores in zip(seen, divided, drawn, likelihoods, strict=True)
        ]

    def classify(self, bitmaps: NDArray[np.uint8]) -> Floats:
        """Return the log-likelihoods of digits: (E, 32, 32) -> (E, 10) float32."""
        if not len(bitmaps):
            return NO_LIKELIHOODS
        features = self._classifier.features(bitmaps)
        return self._calibration.log_likelihoods(self._classifier.decision_function(features))

    def fuse(self, one: Classified, more: Sequence[str] = ()) -> Fused | None:
        """Fuse both readers' scores of each string, and apply the directory prior.

        The strings are the likeliest ones of each reader, and ``more``.
        """
        strings = [regions for regions in one.segmentation.strings if regions]
        proposed = propose(strings, one.log_likelihoods)
        texts = list(dict.fromkeys([*one.line.strings, *proposed, *more]))
        if not texts:
            return None
        line_scores = dict(zip(texts, one.line.log_probabilities(texts), strict=True))
        candidates = to_candidates(line_scores, strings, one.log_likelihoods)
        without_prior = self._fusion.rank(candidates)
        ranked = apply_prior(without_prior, self.listed, self._log_prior)
        return Fused(classified=one, without_prior=without_prior, ranked=ranked)

    def features(self, fused: Fused) -> Floats:
        """Return the confidence features."""
        return confidence_features(
            fused.ranked,
            shape=fused.classified.line.shaped,
            chosen_by_directory=fused.best.text != fused.without_prior[0].text,
            second_pass=fused.classified.line.is_twice,
        )

    def _surest_versions(self, upright: Sequence[Attempt], *, rotation: int = 0) -> list[Attempt]:
        """Read pages in doubt in other versions, too, and keep the most confident readings."""
        places, pages = [], []
        for place, one in enumerate(upright):
            for page in self.versions(one):
                places.append(place)
                pages.append(prepare(page))
        best = list(upright)
        others = self.read_upright(pages, rotation=rotation, is_retry=True)
        for place, one in zip(places, others, strict=True):
            if one.confidence > max(best[place].confidence, MIN_VERSION_CONFIDENCE):
                best[place] = one
        return best

    def versions(self, upright: Attempt) -> Iterator[GrayImage]:
        """Yield alternative versions of a page if its reading is in doubt."""
        confidence = upright.confidence
        if confidence >= RETRY_BELOW:
            return
        page, reason = reduced(upright.prepared.page, MAX_RETRIED), upright.prepared.reason
        is_line = reason is not Reason.SEVERAL_LINES
        if may_be_light_on_dark(page) or (is_line and may_be_light_on_gray(page)):
            yield negative(page)
        if confidence < CLOSE_BELOW and (confidence or may_be_dots(upright.line)):
            gap = GAP_OF_STROKES if confidence else GAP_OF_DOTS
            yield close_gaps(page, gap * len(page))
            yield darken_pale(page)

    def may_be_upside_down(self, upright: Attempt) -> bool:
        """Return whether a page may be upside down: by its line, or because no line was found."""
        page, line = upright.prepared.ink, upright.line
        if page is None or line is None:
            return upright.prepared.reason is not Reason.SEVERAL_LINES
        log_odds = self._orientation.log_odds(line.class_features)
        if log_odds >= CERTAIN:
            return False
        (turned,) = self.read_lines([page.rotated_180()])
        return log_odds - self._orientation.log_odds(turned.class_features) < 2 * CERTAIN

    def quarter_turns(self, upright: Attempt) -> Iterator[Attempt]:
        """Read a tall page in doubt in both quarter turns."""
        reason = upright.prepared.reason
        # A ZIP on its side may have no ink of a digit's size, but never several lines.
        if reason is Reason.SEVERAL_LINES or upright.confidence >= RETRY_BELOW:
            return
        page = reduced(upright.prepared.page, MAX_RETRIED)
        if page.shape[0] <= page.shape[1]:
            return
        for degrees in QUARTER_TURNS:
            turned = prepare(rotate(page, degrees))
            yield from self.read_upright([turned], rotation=degrees, is_retry=True)

    def _best(self, attempts: Sequence[Attempt]) -> Attempt:
        """Return the reading in the most probable orientation.

        Its confidence accounts for the probability that another orientation is right.
        """
        if len(attempts) == 1:
            return attempts[0]
        probabilities = self._orientation.posterior([self.orient(one) for one in attempts])
        best = max(range(len(attempts)), key=probabilities.__getitem__)
        weighed = [one.weighed(share) for one, share in zip(attempts, probabilities, strict=True)]
        return weighed[best] if weighed[best].confidence >= MIN_ROTATED_CONFIDENCE else weighed[0]

    def orient(self, attempt: Attempt) -> Oriented:
        """Return the evidence for an orientation of a page."""
        line = attempt.line
        log_odds = self._orientation.log_odds(line.class_features) if line else -CERTAIN
        return Oriented(rotation=attempt.rotation, confidence=attempt.confidence, log_odds=log_odds)

    def confidence(self, fused: Fused) -> float:
        """Return the probability that the best string is right."""
        return self._confidence.probability(self.features(fused))

    def _report(self, fused: Fused, rotation: int) -> ZipReading:
        return to_reading(fused, self.confidence(fused), self.listed, rotation=rotation)

    def trace(self, page: GrayImage) -> Trace:
        """Read a page, and keep all intermediate results in the orientation it was read in."""
        return to_trace(self.attempt(page))


def may_be_dots(line: LineReading | None) -> bool:
    """Return whether an unread line may be made of dots, of which the network sees little."""
    return line is None or line.characters < MIN_SPELT
