"""Runs the reader's own segmentation over composed strings and collects what its regions turn out to be."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from zipocr.classify.svc import NON_DIGIT
from zipocr.looking import draw_regions
from zipocr.prepare import Binarization, Inked, Sheet, find_ink, segment, to_working_size
from zipocr.segment.lattice import GEOMETRY
from zipocr.training.compose import LIGATURE, Composed, Composer
from zipocr.training.truth import NO_DIGIT, label_regions
from zipocr.types import MOST_DIGITS, Floats, GrayImage

T = TypeVar("T")
# Of each string: at most this many non-digits, and this many different regions that show the same digit whole.
NON_DIGITS = 6
VARIANTS = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """Regions and what they are: (N, 32, 32) uint8, (N,) uint8 class (10 is the non-digit), (N, G) float32."""

    bitmaps: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    geometry: Floats

    def __len__(self) -> int:
        """How many regions there are."""
        return len(self.labels)

    def take(self, chosen: NDArray[np.bool_]) -> "Samples":
        """The regions that a mask chooses."""
        return Samples(bitmaps=self.bitmaps[chosen], labels=self.labels[chosen], geometry=self.geometry[chosen])


def join(parts: Sequence[Samples]) -> Samples:
    """All samples in order."""
    return Samples(
        bitmaps=np.concatenate([part.bitmaps for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        geometry=np.concatenate([part.geometry for part in parts]),
    )


def gather(composer: Composer, count: int, *, jobs: int, non_digits: int = NON_DIGITS) -> Samples:
    """Collects labelled regions from the first `count` strings of a composer; the same for any number of processes."""
    return join(map_strings(_Collect(composer=composer, non_digits=non_digits), range(count), jobs=jobs))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Collect:
    """Collects the regions of one string."""

    composer: Composer
    non_digits: int

    def __call__(self, number: int) -> Samples:
        composed = self.composer.nth(number)
        inked = find_some_ink(composed.image, number)
        if inked is None:
            return _NOTHING
        seen = segment(inked)
        if not seen.lattice.regions:
            return _NOTHING
        places = label_regions(seen, owners_of(composed))
        rng = np.random.default_rng((self.composer.seed, number, 1))
        chosen = _choose(rng, places, self.non_digits)
        labels = [NON_DIGIT if places[edge] == NO_DIGIT else int(composed.text[places[edge]]) for edge in chosen]
        regions = tuple(seen.lattice.regions[edge] for edge in chosen)
        bitmaps = draw_regions(regions) if regions else np.zeros((0, 32, 32), np.uint8)
        return Samples(bitmaps=bitmaps, labels=np.array(labels, np.uint8), geometry=seen.lattice.geometry[chosen])


_NOTHING = Samples(bitmaps=np.zeros((0, 32, 32), np.uint8), labels=np.zeros(0, np.uint8), geometry=np.zeros((0, GEOMETRY), np.float32))


def find_some_ink(image: GrayImage, number: int, to_size: Callable[[GrayImage], Sheet] = to_working_size) -> Inked | None:
    """The writing of a composed page; of every fifth through the second threshold, which reading looks through as well."""
    if number % 5 == 0:
        return find_ink(to_working_size(image), Binarization.WOLF)
    return find_ink(to_size(image), Binarization.OTSU)


def owners_of(composed: Composed) -> NDArray[np.uint8]:
    """Whose ink is where, with what two digits share given to neither."""
    return np.where(composed.shared, np.uint8(LIGATURE), composed.owners)


def _choose(rng: np.random.Generator, places: NDArray[np.int8], non_digits: int) -> NDArray[np.intp]:
    """Some regions of each digit, and some that are none."""
    chosen = [rng.permutation(np.flatnonzero(places == place))[:VARIANTS] for place in range(MOST_DIGITS)]
    chosen.append(rng.permutation(np.flatnonzero(places == NO_DIGIT))[:non_digits])
    return np.sort(np.concatenate(chosen))


_work: Callable[[int], object]


def _start(work: Callable[[int], object]) -> None:
    global _work  # noqa: PLW0603 - the one way to hand a process its work once instead of with every number
    cv2.setNumThreads(1)
    threadpool_limits(1)
    _work = work


def _do(number: int) -> object:
    return _work(number)


def map_strings(work: Callable[[int], T], numbers: Iterable[int], *, jobs: int) -> list[T]:
    """Applies work to numbers, in order, in so many processes."""
    numbers = list(numbers)
    if jobs == 1:
        return [work(number) for number in numbers]
    # A few long pieces of work are dealt out one by one.
    at_once = min(16, 1 + len(numbers) // (4 * jobs))
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_start, initargs=(work,)) as pool:
        return list(pool.map(_do, numbers, chunksize=at_once))  # type: ignore[arg-type]
