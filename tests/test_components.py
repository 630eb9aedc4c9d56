import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import label

from zipocr.components import label_components

masks = arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def same_parts(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two labellings part a mask alike, whatever their numbers."""
    pairs = set(zip(one.ravel().tolist(), other.ravel().tolist(), strict=True))
    return len(pairs) == len({first for first, _ in pairs}) == len({second for _, second in pairs})


@given(ink=masks)
def test_components_are_those_of_another_library(ink):
    labels, boxes = label_components(ink)
    expected, count = label(ink, np.ones((3, 3)))
    assert len(boxes) == count + 1
    assert same_parts(labels, expected)
    for number, (left, top, wide, tall, area) in enumerate(boxes.tolist()[1:], start=1):
        rows, columns = np.nonzero(labels == number)
        assert (left, top, left + wide, top + tall) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert area == len(rows)


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (7, 0)])
def test_a_mask_without_pixels_has_no_components(shape):
    labels, boxes = label_components(np.zeros(shape, np.bool_))
    assert labels.shape == shape
    assert len(boxes) == 1


@pytest.mark.parametrize("shape", [(601, 601), (1, 140_001)])
def test_more_components_than_16_bits_can_number_are_told_apart(shape):
    ink = np.zeros(shape, np.bool_)
    ink[::2, ::2] = True
    labels, boxes = label_components(ink)
    assert len(boxes) == ink.sum() + 1 > 1 << 16
    assert len(np.unique(labels)) == len(boxes)
