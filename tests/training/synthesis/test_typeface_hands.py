"""Digits of handwriting typefaces."""

import numpy as np
import pytest

from zipocr.training.synthesis.augment import stroke_width
from zipocr.training.synthesis.pages import faces
from zipocr.training.synthesis.typeface_hands import typeface_hands
from zipocr.training.synthesis.typefaces import printed_digits, typefaces


def test_each_typeface_is_a_writer_of_all_ten_digits() -> None:
    hands = typeface_hands()
    writers, counts = np.unique(hands.writers, return_counts=True)
    assert len(writers) == len(faces.digit_hand_files())
    assert set(counts.tolist()) == {10}
    printed = printed_digits(typefaces("test")).writers
    assert writers.min() > printed.max()


def test_digits_are_whole_visible_and_sized_as_in_mnist() -> None:
    ink = typeface_hands().images > 100
    rows, columns = ink.any(axis=2), ink.any(axis=1)
    for lines in (rows, columns):
        assert not lines[:, [0, -1]].any()
    sides = np.maximum(rows.sum(axis=1), columns.sum(axis=1))
    assert sides.min() >= 9
    assert sides.max() <= 21
    assert ink.sum(axis=(1, 2)).min() > 10


def test_thin_typefaces_are_thickened() -> None:
    widths = np.array([stroke_width(image) for image in typeface_hands().images[:400]])
    assert np.quantile(widths, 0.02) > 1.2


@pytest.mark.parametrize("names", [faces.DIGIT_HANDS, faces.MORE_HANDWRITING])
def test_no_typeface_of_measurements_is_trained_on(names: tuple[str, ...]) -> None:
    assert not set(names) & set(faces.HANDWRITING["test"])
    assert len(set(names)) == len(names)
