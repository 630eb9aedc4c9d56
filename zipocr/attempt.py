"""Intermediate results of reading a page."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from zipocr.decode.confidence import digit_marginals, distribute_probability
from zipocr.decode.fusion import Candidate
from zipocr.line.recognize import LineReading
from zipocr.preprocess.page import InkPage, PreparedPage
from zipocr.segment.regions import Segmentation
from zipocr.types import ZIP_LENGTH, DigitReading, Floats, Place, Reason, Unread, ZipReading, dashed

# Minimum probability of another string of a number, and maximum number of such strings.
MIN_ALTERNATIVE, MAX_ALTERNATIVES = 1e-4, 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Classified:
    """The network's reading of a page's line, its regions, and the SVC's scores of these.

    ``bitmaps`` is (E, 32, 32) uint8 and ``log_likelihoods`` (E, 10) float32.
    """

    ink: InkPage
    line: LineReading
    segmentation: Segmentation
    bitmaps: NDArray[np.uint8]
    log_likelihoods: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fused:
    """The strings of a page, best first, without and with the directory prior."""

    classified: Classified
    without_prior: tuple[Candidate, ...]
    ranked: tuple[Candidate, ...]

    @property
    def best(self) -> Candidate:
        """The most probable string."""
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
    attempt: Attempt, listed: Mapping[str, Place], asked: Collection[str] = ()
) -> Iterator[Attempt]:
    """Yield an attempt, and the same one with other strings that have other ZIPs.

    These are the strings ``asked`` for, and then the most probable ones.
    """
    yield attempt
    fused, reading = attempt.fused, attempt.reading
    if fused is None or isinstance(reading, Unread):
        return
    shares = distribute_probability(fused.ranked, reading.confidence)
    seen = {reading.zip}
    order = sorted(range(len(shares)), key=lambda place: fused.ranked[place].text not in asked)
    for place in order:
        text, share = fused.ranked[place].text, shares[place]
        if text[:ZIP_LENGTH] in seen or (share < MIN_ALTERNATIVE and text not in asked):
            continue
        seen.add(text[:ZIP_LENGTH])
        others = fused.ranked[:place] + fused.ranked[place + 1 :]
        other = replace(fused, ranked=(fused.ranked[place], *others))
        other_reading = to_reading(other, share, listed, rotation=attempt.rotation)
        yield replace(attempt, fused=other, reading=other_reading)
        if len(seen) > MAX_ALTERNATIVES:
            return


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
    marginals = digit_marginals(fused.ranked, shares)
    place = listed.get(text[:ZIP_LENGTH], Place(city="", state=""))
    has_runner_up = len(shares) > 1
    return ZipReading(
        zip=text[:ZIP_LENGTH],
        plus4=text[ZIP_LENGTH:],
        confidence=confidence,
        digits=tuple(map(_digit_reading, marginals, map(int, text))),
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
