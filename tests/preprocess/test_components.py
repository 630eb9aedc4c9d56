import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import label

from zipocr.preprocess.components import FEW, Components, label_components

masks = arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def same_labelling(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two labellings agree up to renumbering."""
    pairs = set(zip(one.ravel().tolist(), other.ravel().tolist(), strict=True))
    return len(pairs) == len({first for first, _ in pairs}) == len({second for _, second in pairs})


@given(ink=masks)
def test_components_match_scipy(ink):
    labels, boxes = label_components(ink)
    expected, count = label(ink, np.ones((3, 3)))
    assert len(boxes) == count + 1
    assert same_labelling(labels, expected)
    for number, (left, top, wide, tall, area) in enumerate(boxes.tolist()[1:], start=1):
        rows, columns = np.nonzero(labels == number)
        assert (left, top, left + wide, top + tall) == (
            columns.min(),
            rows.min(),
            columns.max() + 1,
            rows.max() + 1,
        )
        assert area == len(rows)


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (7, 0)])
def test_a_mask_without_pixels_has_no_components(shape):
    labels, boxes = label_components(np.zeros(shape, np.bool_))
    assert labels.shape == shape
    assert len(boxes) == 1


@pytest.mark.parametrize("shape", [(601, 601), (1, 140_001)])
def test_more_components_than_16_bits_can_number_are_distinguished(shape):
    ink = np.zeros(shape, np.bool_)
    ink[::2, ::2] = True
    labels, boxes = label_components(ink)
    assert len(boxes) == ink.sum() + 1 > 1 << 16
    assert len(np.unique(labels)) == len(boxes)


@given(ink=masks, data=st.data())
def test_taking_some_components_erases_the_others(ink, data):
    parts = Components(ink)
    for _ in range(2):  # a selection can be narrowed again
        labels, _ = label(parts.ink, np.ones((3, 3)))
        kept = np.array(
            data.draw(
                st.lists(st.booleans(), min_size=len(parts.boxes), max_size=len(parts.boxes))
            ),
            bool,
        )
        expected = np.zeros_like(ink)
        for left, top, wide, tall, _ in parts.boxes[kept].tolist():
            inside = labels[top : top + tall, left : left + wide]
            # Of all components in a box, this is the one that touches all four of its sides.
            own = [
                n
                for n in np.unique(inside[inside > 0])
                if _fills(labels == n, top, left, wide, tall)
            ]
            expected |= np.isin(labels, own)
        before = parts.ink.copy()
        taken = parts.take(kept)
        assert np.array_equal(parts.ink, before)
        assert kept.all() == (taken is parts)
        assert (taken.ink & ~expected).sum() == 0
        assert len(taken.boxes) == kept.sum()
        assert sorted(Components(taken.ink.copy()).boxes.tolist()) == sorted(taken.boxes.tolist())
        parts = taken


def _fills(mask: np.ndarray, top: int, left: int, wide: int, tall: int) -> bool:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (rows[0], rows[-1], columns[0], columns[-1]) == (
        top,
        top + tall - 1,
        left,
        left + wide - 1,
    )


def test_many_components_are_erased_at_once():
    ink = np.zeros((20, 20 * FEW), np.bool_)
    ink[::4, ::4] = True
    parts = Components(ink)
    left = parts.take(np.arange(len(parts.boxes)) % 3 == 0)
    assert len(parts.boxes) == ink.sum() > 3 * FEW
    assert left.ink.sum() == len(left.boxes) == -(-len(parts.boxes) // 3)
    assert not (left.ink & ~ink).any()


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (4, 4)])
def test_a_mask_without_ink_has_no_components(shape):
    parts = Components(np.zeros(shape, np.bool_))
    assert parts.boxes.shape == (0, 5)
    assert parts.take(np.zeros(0, bool)) is parts


def test_masks_and_label_places_are_correct_even_after_components_were_removed():
    ink = np.zeros((6, 9), bool)
    ink[1:3, 1:3] = ink[1, 4] = ink[4, 5:8] = True
    for parts in (Components(ink), Components(ink).take(np.array([True, False, True]))):
        drawn = np.zeros_like(ink)
        for place, (left, top, wide, tall, area) in enumerate(parts.boxes.tolist()):
            mask = parts.mask(place)
            assert mask.shape == (tall, wide)
            assert mask.sum() == area
            drawn[top : top + tall, left : left + wide] |= mask
            window = parts.labels[top - parts.window[0].start :, left - parts.window[1].start :]
            assert parts.places[window[0, 0]] == place
        assert np.array_equal(drawn, parts.ink)
