"""Labelled regions of composed strings, divided as by the reader."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from zipocr.classify.normalize import NO_BITMAPS, draw_regions
from zipocr.classify.svc import NON_DIGIT
from zipocr.preprocess.page import InkPage, prepare
from zipocr.segment.regions import divide
from zipocr.training.fit.region_labels import NO_DIGIT, label_regions
from zipocr.training.synthesis.compose import LIGATURE, Composed, Composer
from zipocr.types import Region

T = TypeVar("T")
# Maximum number of non-digits per string.
NON_DIGITS = 4
# Standard deviation of the network's digit positions, in digit heights.
JITTER = 0.06


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """Regions and their classes: (N, 32, 32) uint8, (N,) uint8 (10 is the non-digit)."""

    bitmaps: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of regions."""
        return len(self.labels)

    def take(self, chosen: NDArray[np.bool_]) -> "Samples":
        """Return the regions selected by a mask."""
        return Samples(bitmaps=self.bitmaps[chosen], labels=self.labels[chosen])


def to_samples(page: InkPage | None, regions: Sequence[Region], labels: Sequence[int]) -> Samples:
    """Normalize labelled regions."""
    return Samples(
        bitmaps=draw_regions(page, regions) if page else NO_BITMAPS,
        labels=np.array(labels, np.uint8),
    )


def join(parts: Sequence[Samples]) -> Samples:
    """Concatenate samples in order."""
    return Samples(
        bitmaps=np.concatenate([part.bitmaps for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
    )


def gather(composer: Composer, count: int, *, jobs: int, non_digits: int = NON_DIGITS) -> Samples:
    """Collect labelled regions from the first `count` strings; the same for any `jobs`."""
    work = _Collect(composer=composer, non_digits=non_digits)
    return join(map_strings(work, range(count), jobs=jobs))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Collect:
    """Task that collects the regions of one string."""

    composer: Composer
    non_digits: int

    def __call__(self, number: int) -> Samples:
        composed = self.composer.nth(number)
        page = prepare(composed.image).ink
        if page is None:
            return to_samples(None, (), ())
        rng = np.random.default_rng((self.composer.seed, number, 1))
        owners = owners_of(composed)
        centres = true_centres(page, owners, len(composed.text))
        if centres is None:
            return to_samples(None, (), ())
        jittered = centres + rng.normal(0, JITTER * page.text_height, len(centres))
        whole = divide(page.components, page.text_height, np.sort(jittered)).regions
        places = label_regions(whole, page.ink, owners)
        digits = [
            (region, int(composed.text[place]))
            for region, place in zip(whole, places, strict=True)
            if place >= 0
        ]
        others = non_digit_regions(page, centres, owners)
        chosen = rng.permutation(len(others))[: self.non_digits]
        samples = digits + [(others[number], NON_DIGIT) for number in chosen]
        return to_samples(page, [region for region, _ in samples], [label for _, label in samples])


def true_centres(
    page: InkPage, owners: NDArray[np.uint8], count: int
) -> NDArray[np.float64] | None:
    """Return the middle column of each digit at line size, (count,); None if one has no ink."""
    height, width = page.ink.shape
    scaled = cv2.resize(owners, (width, height), interpolation=cv2.INTER_NEAREST)
    columns = [np.flatnonzero((scaled == place + 1).any(axis=0)) for place in range(count)]
    if not all(map(len, columns)):
        return None
    return np.array([(own[0] + own[-1]) / 2 for own in columns])


def non_digit_regions(
    page: InkPage, centres: NDArray[np.float64], owners: NDArray[np.uint8]
) -> list[Region]:
    """Find regions that are a part of a digit or more than one, by dividing at wrong centres."""
    regions = [
        region
        for wrong in wrong_centres(centres)
        for region in divide(page.components, page.text_height, wrong, cuts=1).regions
    ]
    places = label_regions(regions, page.ink, owners)
    return [region for region, place in zip(regions, places, strict=True) if place == NO_DIGIT]


def wrong_centres(centres: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Yield centres with a digit missing, with an extra one, and shifted by half a digit."""
    between = (centres[1:] + centres[:-1]) / 2
    for place in range(len(centres)):
        yield np.delete(centres, place)
    for place, middle in enumerate(between, start=1):
        yield np.insert(centres, place, middle)
    yield between


def owners_of(composed: Composed) -> NDArray[np.uint8]:
    """Return the owner of each pixel of ink; pixels shared by two digits have none."""
    return np.where(composed.shared, np.uint8(LIGATURE), composed.owners)


_work: Callable[[int], object]


def _start(work: Callable[[int], object]) -> None:
    global _work  # noqa: PLW0603 - the one way to hand a process its work once instead of with every number
    cv2.setNumThreads(1)
    threadpool_limits(1)
    _work = work


def _do(number: int) -> object:
    return _work(number)


def _ignore() -> None:
    """Ignore progress."""


def map_strings(
    work: Callable[[int], T],
    numbers: Iterable[int],
    *,
    jobs: int,
    advance: Callable[[], None] = _ignore,
) -> list[T]:
    """Apply a task to numbers, in order, in several processes; ``advance`` is called after each."""
    numbers = list(numbers)
    if jobs == 1:
        return _counted(map(work, numbers), advance)
    # If there are few numbers, hand them out one by one.
    at_once = min(16, 1 + len(numbers) // (4 * jobs))
    with ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=_start, initargs=(work,)
    ) as pool:
        found = pool.map(_do, numbers, chunksize=at_once)
        return _counted(found, advance)  # type: ignore[arg-type]


def _counted(found: Iterable[T], advance: Callable[[], None]) -> list[T]:
    kept: list[T] = []
    for one in found:
        kept.append(one)
        advance()
    return kept
