"""Intermediate results of reading a page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from zipocr.classify.normalize import NO_BITMAPS
from zipocr.classify.probabilities import NO_LIKELIHOODS
from zipocr.decode.confidence import digit_marginals, distribute_probability
from zipocr.decode.fusion import Candidate
from zipocr.line.recognize import LineReading
from zipocr.preprocess.page import InkPage, PreparedPage
from zipocr.segment.regions import Segmentation
from zipocr.types import ZIP_LENGTH, DigitReading, Floats, Place, Reason, Unread, ZipReading, dashed

# Minimum probability of another string of a number, and maximum number of such strings, of which
# at most some come from the town beside it.
MIN_ALTERNATIVE, MAX_ALTERNATIVES, MAX_FROM_TOWN = 1e-4, 6, 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Classified:
    """The network's reading of a page's line, its regions, and the SVC's scores of these.

    ``bitmaps`` is (E, 32, 32) uint8 and ``log_likelihoods`` (E, 10) float32; by default, there are
    no regions yet.
    """

    ink: InkPage
    line: LineReading
    segmentation: Segmentation = field(default_factory=Segmentation)
    bitmaps: NDArray[np.uint8] = field(default_factory=lambda: NO_BITMAPS)
    log_likelihoods: Floats = field(default_factory=lambda: NO_LIKELIHOODS)

    def extended(
        self, segmentation: Segmentation, bitmaps: NDArray[np.uint8], log_likelihoods: Floats
    ) -> "Classified":
        """Return the line with more regions, given the bitmaps and scores of the new ones."""
        return replace(
            self,
            segmentation=segmentation,
            bitmaps=np.concatenate([self.bitmaps, bitmaps]),
            log_likelihoods=np.concatenate([self.log_likelihoods, log_likelihoods]),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fused:
    """The strings of a page, best first, without and with the directory prior.

    An alternative has its own string first in ``ranked``, and then the others.
    """

    classified: Classified
    without_prior: tuple[Candidate, ...]
    ranked: tuple[Candidate, ...]

    @property
    def best(self) -> Candidate:
        """The most probable string, or that of an alternative."""
        return self.ranked[0]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attempt:
    """A page in one orientation, its intermediate results, and its reading.

    ``rotation`` is the page's rotation in degrees clockwise; ``line`` is None if it was not read,
    and ``fused`` if no string was found.
    """

    prepared: PreparedPage
    rotation: int
    line: LineReading | None
    fused: Fused | None
    reading: ZipReading | Unread

    @property
    def confidence(self) -> float:
        """Probability that the reading is right in this orientation, 0 if there is none."""
        return 0.0 if isinstance(self.reading, Unread) else self.reading.confidence

    def weighed(self, probability: float) -> "Attempt":
        """Return the attempt with its confidence weighted by the probability of its orientation."""
        if isinstance(self.reading, Unread):
            return self
        return replace(self, reading=self.reading.weighed(probability))


def alternatives(
    attempt: Attempt, listed: Mapping[str, Place], from_town: Sequence[str] = ()
) -> Iterator[Attempt]:
    """Yield an attempt, and the same one with other strings that have other ZIPs.

    These are the strings ``from_town``, the most probable ones of which count, and then the most
    probable of the others.
    """
    yield attempt
    fused, reading = attempt.fused, attempt.reading
    if fused is None or isinstance(reading, Unread):
        return
    shares = distribute_probability(fused.ranked, reading.confidence)
    places = range(len(shares))
    chosen = [place for place in places if fused.ranked[place].text in from_town][:MAX_FROM_TOWN]
    chosen += [place for place in places if shares[place] >= MIN_ALTERNATIVE]
    seen = {reading.zip}
    for place in chosen:
        zip_code = fused.ranked[place].text[:ZIP_LENGTH]
        if zip_code in seen or len(seen) > MAX_ALTERNATIVES:
            continue
        seen.add(zip_code)
        others = fused.ranked[:place] + fused.ranked[place + 1 :]
        other = replace(fused, ranked=(fused.ranked[place], *others))
        other_reading = to_reading(other, shares[place], listed, rotation=attempt.rotation)
        yield replace(attempt, fused=other, reading=other_reading)


def with_strings(attempt: Attempt, fused: Fused) -> Attempt:
    """Return an attempt with more strings, still in favour of its own."""
    if attempt.fused is None:
        return attempt
    own = attempt.fused.best.text
    ranked = sorted(fused.ranked, key=lambda one: one.text != own)
    return replace(attempt, fused=replace(fused, ranked=tuple(ranked)))


def judged_with(
    reading: ZipReading, confidence: float, rivals: Sequence[tuple[str, float]]
) -> ZipReading:
    """Return a reading with the probabilities that a whole page gives it and its rivals.

    Parameters
    ----------
    reading : ZipReading
    confidence : float
        Probability of this string.
    rivals : sequence of (str, float)
        Other strings of the same number and their probabilities, best first; if there are none,
        all probabilities of the reading change in proportion.
    """
    if not rivals:
        return reading.with_confidence(confidence)
    texts = [reading.zip + reading.plus4, *(text for text, _ in rivals)]
    shares = [confidence, *(share for _, share in rivals)]
    return replace(
        reading,
        confidence=confidence,
        runner_up=dashed(texts[1]),
        runner_up_confidence=min(shares[1], confidence),
        digits=_digit_readings(texts, shares),
    )


def to_reading(
    fused: Fused, confidence: float, listed: Mapping[str, Place], *, rotation: int
) -> ZipReading:
    """Return the reading of a page's best string.

    Parameters
    ----------
    fused : Fused
    confidence : float
        Probability that the string is right.
    listed : mapping of str to Place
        The directory; empty if none is used.
    rotation : int
        Rotation of the page in degrees clockwise.
    """
    text = fused.best.text
    shares = distribute_probability(fused.ranked, confidence)
    texts = [one.text for one in fused.ranked]
    place = listed.get(text[:ZIP_LENGTH], Place(city="", state=""))
    has_runner_up = len(shares) > 1
    return ZipReading(
        zip=text[:ZIP_LENGTH],
        plus4=text[ZIP_LENGTH:],
        confidence=confidence,
        digits=_digit_readings(texts, shares),
        runner_up=dashed(fused.ranked[1].text) if has_runner_up else "",
        runner_up_confidence=min(shares[1], confidence) if has_runner_up else 0.0,
        reasons=tuple(_reasons(fused, listed, rotation)),
        city=place.city,
        state=place.state,
        rotation=rotation,
    )


def _reasons(fused: Fused, listed: Mapping[str, Place], rotation: int) -> Iterator[Reason]:
    if listed and fused.best.text != fused.without_prior[0].text:
        yield Reason.DIRECTORY_CHOICE
    if listed and fused.best.text[:ZIP_LENGTH] not in listed:
        yield Reason.NOT_IN_DIRECTORY
    if rotation:
        yield Reason(f"turned_{rotation}")


def _digit_readings(texts: Sequence[str], shares: Sequence[float]) -> tuple[DigitReading, ...]:
    """Return the digits of the first of some strings, from the probabilities of all of them."""
    return tuple(map(_digit_reading, digit_marginals(texts, shares), map(int, texts[0])))


def _digit_reading(shares: Sequence[float], digit: int) -> DigitReading:
    """Return a digit with its probability, and the next best digit in its position."""
    others = [other for other in range(len(shares)) if other != digit]
    second = max(others, key=shares.__getitem__)
    return DigitReading(
        digit=digit,
        probability=min(shares[digit], 1.0),
        runner_up=second,
        runner_up_probability=max(shares[second], 0.0),
    )
