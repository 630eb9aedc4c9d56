"""Digits cut from US mail, in the order of their envelopes.

Most runs of five are one ZIP by one hand.

They are the USPS digits of LeCun et al. (1989), as "The Elements of Statistical Learning" hands
them out: 16x16 pixels, the longer side of the ink filling them.
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
# Envelopes are writers with numbers of their own, above those of NIST and below those of typefaces.
FIRST_WRITER = 500_000
# The last envelopes train nothing, so that they may calibrate.
HELD_OUT = 0.2
# Rows whose label a person contradicts, out of those that a cross-validated classifier contradicts:
# dashes, and ink that is no digit.
REJECTED = (430, 2187, 3637, 4447)


def load_mail_digits(path: Path) -> DigitSet:
    """Read digits of US mail from an ``.npz`` with ``X (N, 16, 16) uint8`` and ``y (N,)``.

    ``writers`` are the envelopes. Digits whose label is wrong are left out, and so are
    those between envelopes.

    Raises
    ------
    InputError
        If the file cannot be read, or holds other arrays.
    """
    try:
        found = unpack(path, most=MAX_BYTES)
        small, labels = found["X"], found["y"].astype(np.uint8)
    except (OSError, ValueError, KeyError) as error:
        message = f"{path} holds no digits of US mail ({error}): give an .npz with X and y"
        raise InputError(message) from error
    if small.shape[1:] != (SIDE, SIDE) or labels.shape != small.shape[:1]:
        message = f"{path}: X has to be (N, 16, 16) and y (N,), not {small.shape}, {labels.shape}"
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
    """Split digits of mail into those that train and those that are held out, by envelope."""
    names = np.unique(digits.writers)
    first_held_out = names[round(len(names) * (1 - HELD_OUT))]
    held_out = digits.writers >= first_held_out
    return digits.take(~held_out), digits.take(held_out)


def _envelopes(text: str) -> NDArray[np.int64]:
    """Number the runs of five digits that spell a listed ZIP, as many as there is room for.

    (N,), negative for the digits between them; where many divisions have as many runs, the one
    with the most runs that follow each other at once, since that is how they were cut.
    """
    known, count = places(), len(text)
    # From each place on: the best score, and whether a run begins there.
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
    """Bring a digit to the size of a NIST digit: (16, 16) -> (28, 28)."""
    large = cv2.resize(small, (INK_HEIGHT, INK_HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.pad(large, (GLYPH_SIZE - INK_HEIGHT) // 2), np.uint8)
