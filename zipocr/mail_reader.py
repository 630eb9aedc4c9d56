"""Reader of mail: tight crops as they are, and the destination ZIP of larger pages.

page -> text lines -> words -> candidates -> choice of the likeliest -> pipeline of `zipocr.reader`
for each -> the town beside it -> choice among their readings, or none.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from math import exp, inf

from zipocr.attempt import Attempt, alternatives, with_strings
from zipocr.decode.confidence import log_odds
from zipocr.errors import ModelError
from zipocr.locate.candidates import Span
from zipocr.locate.choice import overlap, span_features
from zipocr.locate.choice_model import ChoiceModel
from zipocr.locate.find import Located, is_long, pool_sample, read_ink, runs_upwards
from zipocr.locate.page_ink import PageInk, find_ink
from zipocr.locate.towns import MIN_TOWN_GAIN, TownReader, load_letter_network
from zipocr.page_attempt import (
    Candidate,
    PageAttempt,
    Search,
    to_page_trace,
    to_reading,
)
from zipocr.preprocess.page import prepare
from zipocr.preprocess.polarity import may_be_light_on_dark, negative
from zipocr.preprocess.rotate import rotate, turn_back
from zipocr.preprocess.text_lines import is_sheet
from zipocr.reader import MIN_VERSION_CONFIDENCE, RETRY_BELOW, Reader
from zipocr.settings import search_hash
from zipocr.types import (
    Floats,
    GrayImage,
    Model,
    Place,
    Reason,
    Sighting,
    Trace,
    Unread,
    ZipReading,
)

# Section of the model card on the search.
SEARCH_CARD = "search"
# A page read as one line with less confidence is searched.
SEARCH_BELOW = 0.5
# Size in pixels above which a page may be a whole envelope, which is not read as one line.
MIN_SHEET = 200_000
# Maximum number of components of a crop of a ZIP.
MAX_CROP_COMPONENTS = 400
# Number of candidates to read.
READ = 3
# Log odds of an orientation above which the other is not considered, and prior log odds.
CERTAIN = 2.0
LEVEL, SIDEWAYS = (0, 180), (90, 270)
# Orientations that are less probable are not read.
MIN_CHANCE = 0.02
LOG_PRIOR = {LEVEL: 2.0, SIDEWAYS: 0.0}
MIN_PROBABILITY = 1e-4


class MailReader:
    """Reader of pages with one model; parameters and errors as in `zipocr.reader.Reader`.

    A model without the arrays for the search reads only crops.
    """

    def __init__(
        self,
        model: Model,
        *,
        use_directory: bool = True,
        directory: Mapping[str, Place] | None = None,
    ) -> None:
        self.reader = Reader(model, use_directory=use_directory, directory=directory)
        self.can_search = "page_orientation" in model.arrays
        if self.can_search:
            if model.card.get(SEARCH_CARD, {}).get("settings", search_hash()) != search_hash():
                message = "The model was made for other settings of the search of whole pages"
                raise ModelError(f"{message}; make it anew with 'make model'")
            way = "listed" if use_directory else "unlisted"
            self._spans = ChoiceModel.from_model(model, f"span_choice_{way}")
            self._readings = ChoiceModel.from_model(model, f"reading_choice_{way}")
            self._orientation = model.arrays["page_orientation"]
            self._letters = load_letter_network(model)

    def read(self, page: GrayImage) -> ZipReading | Unread:
        """Read the ZIP of a page: (H, W) uint8 -> its reading, or the reason there is none."""
        (reading,) = self.read_each([page])
        return reading

    def read_each(self, pages: Sequence[GrayImage]) -> list[ZipReading | Unread]:
        """Read several pages like `read`, but faster, since each step is done for all at once."""
        return [one.reading for one in self.attempt_each(pages)]

    def attempt(self, page: GrayImage) -> PageAttempt:
        """Read a page, and keep the intermediate results."""
        (attempt,) = self.attempt_each([page])
        return attempt

    def trace(self, page: GrayImage) -> Trace:
        """Read a page, and keep all intermediate results."""
        attempt = self.attempt(page)
        return to_page_trace(attempt, self.sightings(attempt))

    def sightings(self, attempt: PageAttempt) -> list[Sighting]:
        """Return the candidates considered on a searched page, most probable first."""
        if attempt.search is None:
            return []
        located, ranked = attempt.search.located, attempt.search.distinct
        seen = [self.span_features(located, one.span) for one, _ in ranked]
        return [
            Sighting(
                box=turn_back(located.to_page(one.span.box), located.rotation, attempt.page.shape),
                text=one.text,
                place=one.choice,
                probability=probability,
                weakness=self._spans.weakness(features, seen[0]) if place else "",
            )
            for place, ((one, probability), features) in enumerate(zip(ranked, seen, strict=True))
        ]

    def attempt_each(self, pages: Sequence[GrayImage]) -> list[PageAttempt]:
        """Read pages as tight crops, and search those that remain in doubt."""
        inks = [
            find_ink(page) if self.can_search and page.size > MIN_SHEET else None for page in pages
        ]
        sheets = [ink is not None and _is_sheet(ink) for ink in inks]
        crops = [page for page, one in zip(pages, sheets, strict=True) if not one]
        read = iter(self.reader.attempt_each(crops))
        return [
            self._attempt(page, ink, None if one else next(read))
            for page, ink, one in zip(pages, inks, sheets, strict=True)
        ]

    def _attempt(self, page: GrayImage, ink: PageInk | None, line: Attempt | None) -> PageAttempt:
        """Search a page unless it was read as one line, and keep the more confident reading."""
        if line and (line.confidence >= SEARCH_BELOW or not self.can_search):
            return PageAttempt(page=page, line=line, search=None, reading=line.reading)
        search = self.search(page, ink)
        reading = to_reading(search, page.shape)
        # Five digits of a longer number may be separated from the others.
        if line and search.is_alone:
            return PageAttempt(page=page, line=line, search=None, reading=line.reading)
        if reading and reading.confidence > (line.confidence if line else 0.0):
            return PageAttempt(page=page, line=None, search=search, reading=reading)
        if line and (line.confidence or not search.located.is_written):
            return PageAttempt(page=page, line=line, search=None, reading=line.reading)
        unread = Unread(reason=Reason.NO_DESTINATION_ZIP)
        return PageAttempt(page=page, line=line, search=search, reading=unread)

    def search(self, page: GrayImage, ink: PageInk | None = None) -> Search:
        """Search a page and, if that leaves doubt and much of it is dark, its negative.

        ``ink`` is the result of `find_ink` for the page, if known.
        """
        found = self._search_version(page, ink or find_ink(page))
        # A long page shows by its lines that its writing is dark.
        is_dark = is_long(found.located.ink)
        if found.confidence < RETRY_BELOW and not is_dark and may_be_light_on_dark(page):
            inverted = negative(page)
            other = self._search_version(inverted, find_ink(inverted))
            if other.confidence > max(found.confidence, MIN_VERSION_CONFIDENCE):
                return other
        return found

    def _search_version(self, page: GrayImage, ink: PageInk) -> Search:
        """Search a page in both orientations along its lines, unless one of them is improbable.

        To bound the time, a long page is searched only in the likelier one.
        """
        turns = SIDEWAYS if runs_upwards(ink.components.boxes) else LEVEL
        turned = cache(ink.rotated)
        if is_long(turned(turns[0])):
            odds = self._sampled_log_odds(turned, turns)
            turn, chance = turns[0] if odds >= 0 else turns[1], 1 / (1 + exp(-abs(odds)))
            return self.read_candidates(self.locate(page, turned(turn), turn), chance)
        odds, located = self._locate_both(page, turned, turns)
        chances = {turns[0]: 1 / (1 + exp(-odds)), turns[1]: 1 / (1 + exp(odds))}
        read = [
            self.read_candidates(one, chances[turn])
            for turn, one in located.items()
            if chances[turn] >= MIN_CHANCE
        ]
        return max(read, key=lambda one: one.confidence)

    def _locate_both(
        self, page: GrayImage, turned: Callable[[int], PageInk], turns: tuple[int, int]
    ) -> tuple[float, dict[int, Located]]:
        """Find a page's candidates in both orientations, or only in the first if that is certain.

        Returns the log odds of the first orientation, and the candidates by orientation.
        """
        first = self.locate(page, turned(turns[0]), turns[0])
        odds = self.orientation_log_odds(first.pooled)
        if odds >= CERTAIN:
            return inf, {turns[0]: first}
        second = self.locate(page, turned(turns[1]), turns[1])
        # Both log odds are the same evidence seen twice.
        odds = (odds + LOG_PRIOR[turns] - self.orientation_log_odds(second.pooled)) / 2
        return odds, {turns[0]: first, turns[1]: second}

    def _sampled_log_odds(self, turned: Callable[[int], PageInk], turns: tuple[int, int]) -> float:
        """Return the log odds of the first orientation of a long page, by a sample of its lines."""
        network = self.reader.network
        odds = self.orientation_log_odds(pool_sample(network, turned(turns[0])))
        if odds >= CERTAIN:
            return inf
        other = self.orientation_log_odds(pool_sample(network, turned(turns[1])))
        return odds + LOG_PRIOR[turns] - other

    def locate(self, page: GrayImage, ink: PageInk, rotation: int) -> Located:
        """Find the candidates of a page, rotated by `rotation` degrees, on its rotated ``ink``."""
        return read_ink(self.reader.network, rotate(page, rotation), ink, rotation=rotation)

    def orientation_log_odds(self, pooled: Floats) -> float:
        """Return the log odds of a page being upright rather than upside down.

        Its features are those of `zipocr.locate.find.Located.pooled`, possibly none.
        """
        if not len(pooled):
            return 0.0
        weights = self._orientation
        return float((weights[:-1] * pooled).sum() + weights[-1])

    def read_candidates(self, located: Located, chance: float = 1.0) -> Search:
        """Read the likeliest candidates of a page that is upright with a probability ``chance``."""
        spans = located.spans
        features = [self.span_features(located, span) for span in spans]
        chances = self._spans.probabilities(features)
        order = sorted(range(len(spans)), key=lambda place: -chances[place])[:READ]
        crops = [prepare(located.crop(spans[place])) for place in order]
        attempts = self.reader.read_upright(crops)
        candidates = self._to_candidates(located, order, chances, attempts)
        seen = [self.reading_features(one, candidates) for one in candidates]
        probabilities = [chance * share for share in self._readings.probabilities(seen)]
        return Search(
            located=located, candidates=tuple(candidates), probabilities=tuple(probabilities)
        )

    def _to_candidates(
        self,
        located: Located,
        order: Sequence[int],
        chances: Sequence[float],
        attempts: Sequence[Attempt],
    ) -> list[Candidate]:
        """Return all readings of the likeliest candidates, compared with the towns beside them."""
        towns = TownReader(network=self._letters, located=located)
        candidates = []
        for place, attempt in zip(order, attempts, strict=True):
            span = located.spans[place]
            readings = self._readings_of(attempt, span, towns)
            features = towns.features(span, [self._place(one) for one in readings])
            candidates += [
                Candidate(
                    span=span,
                    choice=chances[place],
                    attempt=one,
                    town=tuple(town),
                    is_alternative=one is not readings[0],
                )
                for one, town in zip(readings, features, strict=True)
            ]
        return candidates

    def _readings_of(self, attempt: Attempt, span: Span, towns: TownReader) -> list[Attempt]:
        """Return the reading of a candidate and, with a directory, its alternatives.

        If a different town is beside it, that town's ZIPs one digit away are considered as well.
        """
        fused, reading, listed = attempt.fused, attempt.reading, self.reader.listed
        if fused is None or isinstance(reading, Unread) or not listed:
            return [attempt]
        near = [one for one in one_digit_apart(reading.zip) if one in listed]
        own, *gains = towns.gains(span, [listed.get(one) for one in (reading.zip, *near)])
        from_town = [
            other + reading.plus4
            for other, gain in zip(near, gains, strict=True)
            if gain >= MIN_TOWN_GAIN > own
        ]
        more = self.reader.fuse(fused.classified, from_town) if from_town else None
        attempt = with_strings(attempt, more) if more else attempt
        return list(alternatives(attempt, listed, from_town))

    def _place(self, attempt: Attempt) -> Place | None:
        """Return the place of a reading in the directory; None if there is none."""
        if isinstance(attempt.reading, Unread):
            return None
        return self.reader.listed.get(attempt.reading.zip)

    def span_features(self, located: Located, span: Span) -> list[float]:
        """Return the features of a candidate before reading."""
        return span_features(span, located.layout, located.spans, self.reader.listed)

    def reading_features(self, one: Candidate, others: Sequence[Candidate]) -> list[float]:
        """Return the features of a candidate after reading: READING_FEATURES numbers."""
        reading = one.attempt.reading
        chance = log_odds(one.choice, MIN_PROBABILITY)
        rivals = [
            other
            for other in others
            if other.span is not one.span and overlap(other.span, one.span)
        ]
        agree = float(any(other.zip == one.zip for other in rivals))
        if isinstance(reading, Unread):
            unsure = log_odds(0.0, MIN_PROBABILITY)
            return [1.0, chance, unsure, *[0.0] * 5, bool(rivals), agree, 0.0, *one.town]
        text = reading.zip + reading.plus4
        sure = log_odds(reading.confidence, MIN_PROBABILITY)
        return [
            0.0, chance, sure, min(sure, 2.0),
            float(one.span.strings.get(text, 0.0)),
            float(Reason.NOT_IN_DIRECTORY in reading.reasons),
            float(Reason.DIRECTORY_CHOICE in reading.reasons),
            float(bool(reading.plus4)),
            float(bool(rivals)), agree, float(one.is_alternative), *one.town,
        ]  # fmt: skip


def one_digit_apart(text: str) -> Iterator[str]:
    """Yield all strings of digits that differ from this one in one digit."""
    for place, digit in enumerate(text):
        for other in "0123456789":
            if other != digit:
                yield text[:place] + other + text[place + 1 :]


def _is_sheet(ink: PageInk) -> bool:
    """Return whether a page has lines of writing rather than just a ZIP."""
    return len(ink.components.boxes) > MAX_CROP_COMPONENTS or is_sheet(ink.components)
