"""Labelled handwritten digits and their writers.

Two sources: scikit-learn's Digits (UCI optdigits, 1,797 digits, writers unknown) and 48,077 NIST
digits of MNIST's training half, whose 431 writers are known from QMNIST (CC BY-SA 3.0). Splits are
by writer, since writers in more than one part would inflate accuracy.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.errors import InputError
from zipocr.models.model_file import unpack

GLYPH_SIZE = 28
MAX_BYTES = 1 << 31
"""Maximum size of unpacked arrays, enough for 2.7 million digits.
"""
# Approximate number of digits per writer: blocks keep most of a writer's digits together.
DIGITS_BLOCK = 130
INK_HEIGHT = 20  # the longer side of digits in MNIST
_BLOCK, _ROUNDS = (
    8,
    12,
)  # pixels per cell side of an enlarged grid, and iterations of back-projection
_ROWS_FILE = "mnist_rows.npz"
# First characters of the pixels' SHA-256 of digits by writers for calibration that a person would
# read otherwise than their label. They were found by two classifiers of other writers' digits, and
# checked by eye.
_MISLEADING = (
    "70d86adfd4a8", "80b84ab4b8a2", "8662c050a6a3", "b774315dcf8b", "c98f5ce03f4f", "d8de0cf5ffe2",
)  # fmt: skip
# Range of the natural aspect ratio of each class, which the stretching of Digits has removed.
_ASPECTS = (
    (0.6, 0.95), (0.14, 0.4), (0.6, 0.95), (0.55, 0.85), (0.6, 0.95), (0.6, 1.0), (0.45, 0.8),
    (0.55, 0.85), (0.5, 0.8), (0.45, 0.8),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DigitSet:
    """Digits with labels and writers.

    ``images`` is ``(N, 28, 28) uint8``, 0 paper to 255 ink; ``labels`` is ``(N,) uint8``, 0 to 9;
    ``writers`` is ``(N,) int32``. ``grids`` is ``(N, 8, 8) uint8``, 0 to 16, for scikit-learn's
    Digits, else ``(0, 8, 8)``.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    writers: NDArray[np.int32]
    grids: NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of digits."""
        return len(self.labels)

    def take(self, chosen: NDArray[Any]) -> "DigitSet":
        """Return the digits selected by a boolean mask or an index array, (M,), in its order."""
        grids = self.grids[chosen] if len(self.grids) else self.grids
        return DigitSet(
            images=self.images[chosen],
            labels=self.labels[chosen],
            writers=self.writers[chosen],
            grids=grids,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterSplit:
    """The number of writers in each part.

    The rest are for training. Every caller uses the same numbers, so that no part leaks.
    """

    lattice: int = 20
    calibrate: int = 30
    test: int = 31
    seed: int = 20240229


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SplitDigits:
    """Digits by purpose; no writer is in two parts."""

    train: DigitSet
    lattice: DigitSet
    calibrate: DigitSet
    test: DigitSet


def split_writers(digits: DigitSet, split: WriterSplit | None = None) -> SplitDigits:
    """Split the writers into train, lattice (non-digits), calibrate and test.

    The split is the same for every caller; misleading digits are left out of calibration (see
    `without_misleading`).
    """
    split = split or WriterSplit()
    names = np.unique(digits.writers)
    ends = np.cumsum([split.test, split.calibrate, split.lattice])
    if ends[-1] >= len(names):
        message = (
            f"{ends[-1]} of {len(names)} writers are to be held out: none are left to train on"
        )
        raise InputError(message)
    dealt = np.random.default_rng(split.seed).permutation(names)
    test, calibrate, lattice, train = (
        digits.take(np.isin(digits.writers, part)) for part in np.split(dealt, ends)
    )
    return SplitDigits(
        train=train, lattice=lattice, calibrate=without_misleading(calibrate), test=test
    )


def without_misleading(digits: DigitSet) -> DigitSet:
    """Return the digits without those that a person would read otherwise than their label.

    On mail, a label is what a person has read. Composed strings use a digit many times, so a few
    such digits would decide a threshold.
    """
    names = [pixels_digest(image)[: len(_MISLEADING[0])] for image in digits.images]
    return digits.take(~np.isin(names, _MISLEADING))


def load_digits_set(seed: int = 0) -> DigitSet:
    """Load scikit-learn's Digits: raw 8x8 grids, and smooth 28x28 glyphs without the stretching.

    ``writers`` is the index of a block of `DIGITS_BLOCK` digits: writers are unknown, but their
    digits are contiguous.
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    grids = found.images.astype(np.uint8)
    labels = found.target.astype(np.uint8)
    rng = np.random.default_rng(seed)
    images = np.stack(
        [unstretch(rng, grid, int(label)) for grid, label in zip(grids, labels, strict=True)]
    )
    return DigitSet(
        images=images,
        labels=labels,
        writers=(np.arange(len(labels)) // DIGITS_BLOCK).astype(np.int32),
        grids=grids,
    )


def unstretch(rng: np.random.Generator, grid: NDArray[np.uint8], label: int) -> NDArray[np.uint8]:
    """Make a smooth (28, 28) uint8 glyph of natural width from a Digits grid, (8, 8), 0 to 16."""
    ink = sharpened(grid)
    rows, columns = (np.flatnonzero(ink.max(axis=axis).round()) for axis in (1, 0))
    glyph = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    low, high = _ASPECTS[label]
    width = max(3, round(INK_HEIGHT * rng.uniform(low, high)))
    small = np.clip(cv2.resize(glyph, (width, INK_HEIGHT), interpolation=cv2.INTER_AREA), 0, 1)
    left, top = (GLYPH_SIZE - width) // 2, (GLYPH_SIZE - INK_HEIGHT) // 2
    image = np.zeros((GLYPH_SIZE, GLYPH_SIZE), np.uint8)
    image[top : top + INK_HEIGHT, left : left + width] = np.round(small * 255)
    return image


def sharpened(grid: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Sharpen a grid into a nearly bilevel image: (8, 8), 0 to 16 -> (80, 80) float32, 0 to 1.

    Its 8x8 blocks have as much ink as the grid's cells.

    Adds a margin of one cell. Interpolation alone would close the loops of 6, 8 and 9, so the
    difference of each block is added back, enlarged, until the blocks agree: back-projection (Irani
    and Peleg, 1991).
    """
    cells = np.pad(grid.astype(np.float32) / 16, 1)
    size = (cells.shape[1] * _BLOCK, cells.shape[0] * _BLOCK)
    level = cv2.resize(cells, size, interpolation=cv2.INTER_CUBIC) - np.float32(0.5)
    for _ in range(_ROUNDS):
        ink = 1 / (1 + np.exp(-12 * level))
        missing = cells - cv2.resize(ink, cells.shape, interpolation=cv2.INTER_AREA)
        level = cv2.GaussianBlur(
            level + np.float32(0.8) * cv2.resize(missing, size, interpolation=cv2.INTER_CUBIC),
            (0, 0),
            1.6,
        )
    return np.asarray(1 / (1 + np.exp(-12 * level)), np.float32)


def load_npz(path: Path) -> DigitSet:
    """Read digits from an ``.npz`` with ``X (N, 28, 28) uint8``, ``y (N,)`` and ``writer (N,)``.

    Raises
    ------
    InputError
        If the file cannot be read, or has other arrays.
    """
    try:
        found = unpack(path, most=MAX_BYTES)
    except (OSError, ValueError) as error:
        message = f"{path} has no digits ({error}): give an .npz with X, y and writer"
        raise InputError(message) from error
    missing = {"X", "y", "writer"} - found.keys()
    if missing:
        message = (
            f"{path} has no array {', '.join(sorted(missing))}: give an .npz with X, y and writer"
        )
        raise InputError(message)
    images, labels, writers = found["X"], found["y"], found["writer"]
    if (
        images.shape[1:] != (GLYPH_SIZE, GLYPH_SIZE)
        or not labels.shape == writers.shape == images.shape[:1]
    ):
        shapes = f"{images.shape}, {labels.shape} and {writers.shape}"
        message = f"{path}: X must be (N, 28, 28), y and writer (N,); found {shapes}"
        raise InputError(message)
    for name, most in (("X", 255), ("y", 9), ("writer", np.iinfo(np.int32).max)):
        if not _are_whole_numbers(found[name], most):
            message = f"{path}: {name} must have whole numbers from 0 to {most}, and at least one"
            raise InputError(message)
    return _nist(images, labels, writers)


def _are_whole_numbers(values: NDArray[Any], most: int) -> bool:
    return (
        values.dtype.kind in "iu" and values.size > 0 and values.min() >= 0 and values.max() <= most
    )


def load_openml(fetch: Callable[..., Any] | None = None) -> DigitSet:
    """Load the 48,077 NIST digits of known writers from OpenML's ``mnist_784``.

    ``fetch`` replaces `sklearn.datasets.fetch_openml`. Data in another order is refused, since the
    writers would be silently wrong.
    """
    if fetch is None:
        from sklearn.datasets import fetch_openml

        fetch = fetch_openml
    try:
        found = fetch("mnist_784", version=1, as_frame=False, parser="liac-arff")
    except OSError as error:
        message = (
            f"Cannot download mnist_784 from OpenML ({error}). Try again later, or give an .npz"
            " with X, y and writer."
        )
        raise InputError(message) from error
    rows, writers, digest = nist_rows()
    return select_rows(np.asarray(found.data), np.asarray(found.target), rows, writers, digest)


def select_rows(
    data: NDArray[Any], target: NDArray[Any], rows: NDArray[Any], writers: NDArray[Any], digest: str
) -> DigitSet:
    """Select ``rows`` of ``data (M, 784)`` and ``target (M,)``.

    Pixels that do not hash to ``digest`` are refused.
    """
    if data.shape[1:] != (GLYPH_SIZE**2,) or len(data) <= int(rows.max()):
        message = (
            f"mnist_784 has an unexpected shape {data.shape}: delete scikit-learn's cached copy and"
            " fetch it again"
        )
        raise InputError(message)
    pixels = np.ascontiguousarray(data[rows].astype(np.uint8))
    if pixels_digest(pixels) != digest:
        message = (
            "mnist_784 is not in the order the writers are listed for: delete scikit-learn's cached"
            " copy, or give an .npz"
        )
        raise InputError(message)
    return _nist(pixels.reshape(-1, GLYPH_SIZE, GLYPH_SIZE), target[rows].astype(np.uint8), writers)


def pixels_digest(pixels: NDArray[np.uint8]) -> str:
    """Return the SHA-256 of the pixels in row order, in hexadecimal."""
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


@lru_cache(maxsize=1)
def nist_rows() -> tuple[NDArray[np.uint16], NDArray[np.int16], str]:
    """Return the rows of MNIST for training, their writers, and the SHA-256 of their pixels.

    The file has one int16 for each of MNIST's 60,000 rows (0 if unused), since a dense array packs
    better than a list of rows.
    """
    with (
        resources.files("zipocr.training.data").joinpath(_ROWS_FILE).open("rb") as file,
        np.load(file, allow_pickle=False) as found,
    ):
        by_row, digest = found["writer_by_row"], bytes(found["sha256"]).hex()
    rows = np.flatnonzero(by_row).astype(np.uint16)
    return rows, by_row[rows], digest


def _nist(images: NDArray[Any], labels: NDArray[Any], writers: NDArray[Any]) -> DigitSet:
    return DigitSet(
        images=np.ascontiguousarray(images, np.uint8),
        labels=labels.astype(np.uint8),
        writers=writers.astype(np.int32),
        grids=np.zeros((0, 8, 8), np.uint8),
    )
