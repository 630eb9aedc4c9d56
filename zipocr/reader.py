"""The road from a page to its ZIP, the same for reading, for debug pictures and for training.

page -> ink -> line image -> network -> likeliest strings and the centres of their digits -> regions
of these -> 8x8 grids -> SVC -> fusion with the directory's prior -> confidence.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zipocr.attempt import Attempt, Classified, Fused, to_reading
from zipocr.classify.normalize import draw_regions, to_grids
from zipocr.classify.probabilities import Calibration
from zipocr.classify.svc import DIGITS, Classifier
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
from zipocr.preprocess.polarity import may_be_light_on_dark, negative
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

# Of the network's strings this many are aligned to the line, and divide its ink.
ALIGNED = 3
# By how much digits are larger in the second pass than in the first.
SECOND_PASS_SCALE = 1 / 0.85
# A page that is read with less confidence is tried in negative if much of it is dark, and in both
# quarter turns if it is tall.
RETRY_BELOW = 0.8
# One that is read with less is tried with the gaps in its strokes closed, and with pale strokes
# darkened; any such version is believed from this confidence on.
CLOSE_BELOW = 0.5
MIN_VERSION_CONFIDENCE = 0.7
# Gaps that are closed, in heights of the page: of dots that nothing was read of, and of strokes.
GAP_OF_DOTS, GAP_OF_STROKES = 0.08, 0.04
# A line of this many characters, as letters or six digits, is not in dots.
MIN_SPELT = 4
QUARTER_TURNS = (90, 270)
# A page is turned if its ZIP is then right with at least this probability.
MIN_ROTATED_CONFIDENCE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondPass:
    """When and how a line is read again.

    ``below``: if both readers together think their best string less likely than this. ``scales``:
    by how much its digits are larger then; for each of these it is read once.
    """

    below: float
    scales: tuple[float, ...]


BY_SAME_NETWORK = SecondPass(below=0.9, scales=(SECOND_PASS_SCALE,))
BY_SECOND_NETWORK = SecondPass(below=0.95, scales=(SECOND_PASS_SCALE, 1 / 0.78))


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
        if model.card.get("settings", settings_hash()) != settings_hash():
            message = "The model was made for other settings of segmentation and features"
            raise ModelError(f"{message}; make it anew with 'zipocr train'")
        self.network = Network.from_model(model)
        second = Network.second_from_model(model)
        self._second = second or self.network
        self.second_pass = BY_SECOND_NETWORK if second else BY_SAME_NETWORK
        self._classifier = Classifier.from_model(model)
        self._calibration = Calibration.from_model(model)
        self._fusion = Fusion.from_model(model)
        self._orientation = OrientationModel.from_model(model)
        self._confidence = ConfidenceModel.from_model(model, use_directory=use_directory)
        self.listed = (places() if directory is None else directory) if use_directory else {}
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
        """Read prepared pages upright, and those in doubt in other orientations."""
        upright = self._surest_versions(self.read_upright(pages))
        pages = [one.prepared for one in upright]
        doubtful = [place for place, one in enumerate(upright) if self.may_be_upside_down(one)]
        turned = [pages[place].rotated_180() for place in doubtful]
        others = dict(zip(doubtful, self.read_upright(turned, rotation=180), strict=True))
        return [
            self._best([one, *filter(None, [others.get(place)]), *self.quarter_turns(one)])
            for place, one in enumerate(upright)
        ]

    def read_upright(self, pages: Sequence[PreparedPage], *, rotation: int = 0) -> list[Attempt]:
        """Read prepared pages as they are; they were turned by `rotation` before."""
        readable = [page.ink for page in pages if page.ink and not page.reason]
        lines = self.read_lines(readable)
        found = iter(zip(lines, self.fuse_each(readable, lines), strict=True))
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
        """Let the network read the line of each page."""
        return read_lines(self.network, [rectify(page, page.text_height) for page in pages])

    def read_lines_again(self, pages: Sequence[InkPage]) -> list[tuple[LineReading, ...]]:
        """Let the second network read the line of each page, its digits larger."""
        by_scale = [
            read_lines(self._second, [rectify(page, page.text_height / scale) for page in pages])
            for scale in self.second_pass.scales
        ]
        return list(zip(*by_scale, strict=True))

    def fuse_each(
        self, pages: Sequence[InkPage], lines: Sequence[LineReading]
    ) -> list[Fused | None]:
        """Let both readers tell the string of each line; where that leaves doubt, once more."""
        fused = [self.fuse(one) for one in self.classify_each(pages, lines)]
        doubtful = [place for place, one in enumerate(fused) if one and self.needs_second_pass(one)]
        again = [pages[place] for place in doubtful]
        second = [
            merge_passes((lines[place], *more))
            for place, more in zip(doubtful, self.read_lines_again(again), strict=True)
        ]
        for place, one in zip(doubtful, self.classify_each(again, second), strict=True):
            fused[place] = self.fuse(one)
        return fused

    def needs_second_pass(self, fused: Fused) -> bool:
        """Tell whether both readers together leave doubt."""
        return posterior(fused.ranked)[0] < self.second_pass.below

    def classify_each(
        self, pages: Sequence[InkPage], lines: Sequence[LineReading]
    ) -> list[Classified]:
        """Find the regions of the likeliest strings of each line, and classify all in one go."""
        seen = list(zip(pages, lines, strict=True))
        divided = [
            segment(page.components, page.text_height, line.centres(line.likeliest(ALIGNED)))
            for page, line in seen
        ]
        drawn = [draw_regions(page, one.regions) for page, one in zip(pages, divided, strict=True)]
        ends = np.cumsum([len(bitmaps) for bitmaps in drawn])[:-1]
        likelihoods = np.split(self.classify(np.concatenate(drawn)), ends) if drawn else []
        return [
            Classified(
                ink=page,
                line=line,
                segmentation=one,
                bitmaps=bitmaps,
                log_likelihoods=own,
            )
            for (page, line), one, bitmaps, own in zip(
                seen, divided, drawn, likelihoods, strict=True
            )
        ]

    def classify(self, bitmaps: NDArray[np.uint8]) -> Floats:
        """Log-likelihoods of the digits: (E, 32, 32) -> (E, 10) float32."""
        if not len(bitmaps):
            return np.zeros((0, DIGITS), np.float32)
        features = self._classifier.features(bitmaps, to_grids(bitmaps))
        return self._calibration.log_likelihoods(self._classifier.decision_function(features))

    def fuse(self, one: Classified) -> Fused | None:
        """Fuse what both readers say of each string, and weigh it by the directory."""
        strings = [regions for regions in one.segmentation.strings if regions]
        texts = list(dict.fromkeys([*one.line.strings, *propose(strings, one.log_likelihoods)]))
        if not texts:
            return None
        line_scores = dict(zip(texts, one.line.log_probabilities(texts), strict=True))
        candidates = to_candidates(line_scores, strings, one.log_likelihoods)
        without_prior = self._fusion.rank(candidates)
        ranked = apply_prior(without_prior, self.listed, self._log_prior)
        return Fused(classified=one, without_prior=without_prior, ranked=ranked)

    def features(self, fused: Fused) -> Floats:
        """Return what the confidence rests on."""
        return confidence_features(
            fused.ranked,
            shape=fused.classified.line.shaped,
            chosen_by_directory=fused.best.text != fused.without_prior[0].text,
            second_pass=fused.classified.line.is_twice,
        )

    def _surest_versions(self, upright: Sequence[Attempt]) -> list[Attempt]:
        """Read pages in doubt in other versions as well, and keep the surest reading of each."""
        places, pages = [], []
        for place, one in enumerate(upright):
            for page in self.versions(one):
                places.append(place)
                pages.append(prepare(page))
        best = list(upright)
        for place, one in zip(places, self.read_upright(pages), strict=True):
            if one.confidence > max(best[place].confidence, MIN_VERSION_CONFIDENCE):
                best[place] = one
        return best

    def versions(self, upright: Attempt) -> Iterator[GrayImage]:
        """Yield a page as it could be meant, if its reading is in doubt."""
        page, confidence = upright.prepared.page, upright.confidence
        if confidence < RETRY_BELOW and may_be_light_on_dark(page):
            yield negative(page)
        if confidence < CLOSE_BELOW and (confidence or may_be_dots(upright.line)):
            gap = GAP_OF_STROKES if confidence else GAP_OF_DOTS
            yield close_gaps(page, gap * len(page))
            yield darken_pale(page)

    def may_be_upside_down(self, upright: Attempt) -> bool:
        """Tell whether a line may be upside down, by how it looks to the network either way."""
        page, line = upright.prepared.ink, upright.line
        if page is None or line is None:
            return False
        log_odds = self._orientation.log_odds(line.pooled)
        if log_odds >= CERTAIN:
            return False
        (turned,) = self.read_lines([page.rotated_180()])
        return log_odds - self._orientation.log_odds(turned.pooled) < 2 * CERTAIN

    def quarter_turns(self, upright: Attempt) -> Iterator[Attempt]:
        """Read a tall page that is in doubt in both quarter turns."""
        page, reason = upright.prepared.page, upright.prepared.reason
        # On its side a ZIP may have no ink of a digit's size, and never several lines.
        if reason is Reason.SEVERAL_LINES or upright.confidence >= RETRY_BELOW:
            return
        if page.shape[0] <= page.shape[1]:
            return
        for degrees in QUARTER_TURNS:
            yield from self.read_upright([prepare(rotate(page, degrees))], rotation=degrees)

    def _best(self, attempts: Sequence[Attempt]) -> Attempt:
        """Return the reading of the orientation that a page is meant to be read in.

        Its confidence includes the chance that this is another one.
        """
        if len(attempts) == 1:
            return attempts[0]
        probabilities = self._orientation.posterior([self.orient(one) for one in attempts])
        best = max(range(len(attempts)), key=probabilities.__getitem__)
        weighed = [one.weighed(share) for one, share in zip(attempts, probabilities, strict=True)]
        return weighed[best] if weighed[best].confidence >= MIN_ROTATED_CONFIDENCE else weighed[0]

    def orient(self, attempt: Attempt) -> Oriented:
        """Return what an orientation of a page shows of being the right one."""
        line = attempt.line
        log_odds = self._orientation.log_odds(line.pooled) if line else -CERTAIN
        return Oriented(rotation=attempt.rotation, confidence=attempt.confidence, log_odds=log_odds)

    def _report(self, fused: Fused, rotation: int) -> ZipReading:
        confidence = self._confidence.probability(self.features(fused))
        return to_reading(fused, confidence, self.listed, rotation=rotation)

    def trace(self, page: GrayImage) -> Trace:
        """Read a page, and keep everything that was seen on it, as it was turned."""
        return to_trace(self.attempt(page))


def may_be_dots(line: LineReading | None) -> bool:
    """Tell whether a line that spells no ZIP may be in dots: the network sees little in these."""
    return line is None or line.characters < MIN_SPELT
