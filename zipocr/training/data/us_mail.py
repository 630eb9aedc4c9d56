"""Digits cut from US mail, in the order of their envelopes.

Most groups of five are one ZIP by one writer.

They are the USPS digits of LeCun et al. (1989), as distributed with "The Elements of Statistical
Learning": 16x16 pixels, spanned by the longer side of the ink.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.decode.directory import places
from zipocr.errors import InputError
from zipocr.models.model_file import unpack
from zipocr.training.data.datasets import GLYPH_SIZE, INK_HEIGHT, MAX_BYTES, DigitSet
from zipocr.types import ZIP_LENGTH

SIDE = 16
# First writer number of envelopes, above those of NIST and below those of typefaces.
FIRST_WRITER = 500_000
# Share of the last envelopes, held out for calibration.
HELD_OUT = 0.2
# Rows with wrong labels, found by cross-validation and checked by eye: dashes and other non-digits.
REJECTED = (430, 2187, 3637, 4447)


def load_mail_digits(path: Path) -> DigitSet:
    """Read digits of US mail from an ``.npz`` with ``X (N, 16, 16) uint8`` and ``y (N,)``.

    ``writers`` are the envelopes. Mislabelled digits and those between envelopes are left out.

    Raises
    ------
    InputError
        If the file cannot be read, or has other arrays.
    """
    try:
        found = unpack(path, most=MAX_BYTES)
        small, labels = found["X"], found["y"].astype(np.uint8)
    except (OSError, ValueError, KeyError) as error:
        message = f"{path} has no digits of US mail ({error}): give an .npz with X and y"
        raise InputError(message) from error
    if small.shape[1:] != (SIDE, SIDE) or labels.shape != small.shape[:1]:
        message = f"{path}: X must be (N, 16, 16) and y (N,), not {small.shape}, {labels.shape}"
        raise InputError(message)
    writers = FIRST_WRITER + _envelopes("".join(map(str, labels)))
    kept = (writers >= FIRST_WRITER) & ~np.isin(np.arange(len(labels)), REJECTED)
    return DigitSet(
        images=np.stack([_enlarged(image) for image in small[kept]]),
        labels=labels[kept],
        writers=writers[kept].astype(np.int32),
        grids=np.zeros((0, 8, 8), np.uint8),
    )


def split_envelopes(digits: DigitSet) -> tuple[DigitSet, DigitSet]:
    """Split digits of mail by envelope, into training and held-out ones."""
    names = np.unique(digits.writers)
    first_held_out = names[round(len(names) * (1 - HELD_OUT))]
    held_out = digits.writers >= first_held_out
    return digits.take(~held_out), digits.take(held_out)


def _envelopes(text: str) -> NDArray[np.int64]:
    """Number the groups of five digits that spell a listed ZIP, as many as possible.

    Returns (N,), negative for the digits between groups. Of several maximal segmentations, the one
    with the most adjacent groups is used.
    """
    known, count = places(), len(text)
    # For each position: the best score from there on, and whether a group begins there.
    score, begins = np.zeros(count + 1), np.zeros(count + 1, np.bool_)
    follows = np.zeros(count + 1, np.bool_)
    for place in range(count - ZIP_LENGTH, -1, -1):
        after = place + ZIP_LENGTH
        run = 1 + score[after] + 0.1 * follows[after] if text[place:after] in known else 0.0
        begins[place] = run > score[place + 1]
        score[place] = max(run, score[place + 1])
        follows[place] = begins[place]
    return _numbered(begins, count)


def _numbered(begins: NDArray[np.bool_], count: int) -> NDArray[np.int64]:
    numbers = np.full(count, -FIRST_WRITER, np.int64)
    place = run = 0
    while place < count:
        if begins[place]:
            numbers[place : place + ZIP_LENGTH] = run
            place, run = place + ZIP_LENGTH, run + 1
        else:
            place += 1
    return numbers


def _enlarged(small: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Scale a digit to the size of NIST digits: (16, 16) -> (28, 28)."""
    large = cv2.resize(small, (INK_HEIGHT, INK_HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.pad(large, (GLYPH_SIZE - INK_HEIGHT) // 2), np.uint8)
