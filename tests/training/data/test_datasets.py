from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from zipocr.errors import InputError
from zipocr.training.data import datasets
from zipocr.training.data.datasets import (
    DigitSet,
    WriterSplit,
    load_npz,
    load_openml,
    nist_rows,
    pixels_digest,
    sharpened,
    split_writers,
    without_misleading,
)


@pytest.fixture
def digits(all_digits: DigitSet) -> DigitSet:
    return all_digits


def by_writers(count: int, each: int = 2) -> DigitSet:
    writers = np.repeat(np.arange(count, dtype=np.int32), each)
    size = len(writers)
    return DigitSet(
        images=np.zeros((size, 28, 28), np.uint8),
        labels=np.zeros(size, np.uint8),
        writers=writers,
        grids=np.zeros((0, 8, 8), np.uint8),
    )


def test_digits_keep_their_grids_and_get_glyphs_of_natural_width(digits):
    assert digits.grids.shape == (1797, 8, 8)
    assert digits.grids.max() == 16
    assert digits.images.shape == (1797, 28, 28)
    widths = (digits.images.max(axis=1) > 127).sum(axis=1)
    assert widths[digits.labels == 1].mean() < 0.6 * widths[digits.labels == 0].mean()


def test_glyphs_from_digits_are_smooth_and_nearly_black_and_white(digits):
    middling = (digits.images > 60) & (digits.images < 195)
    assert middling.sum() < 0.8 * (digits.images >= 195).sum()


def test_glyphs_from_digits_hold_the_ink_of_their_grids(digits):
    for grid in digits.grids[:50]:
        cells = sharpened(grid).reshape(10, 8, 10, 8).mean(axis=(1, 3))[1:-1, 1:-1] * 16
        assert np.abs(cells - grid).mean() < 1


def test_writers_of_digits_are_contiguous_blocks(digits):
    assert (np.diff(digits.writers) >= 0).all()
    assert 10 <= len(np.unique(digits.writers)) <= 20


def test_parts_share_no_writer_and_lose_no_digit():
    whole = by_writers(431)
    split = split_writers(whole)
    parts = [
        set(part.writers.tolist())
        for part in (split.train, split.lattice, split.calibrate, split.test)
    ]
    assert [len(part) for part in parts] == [350, 20, 30, 31]
    assert set.union(*parts) == set(range(431))
    assert sum(
        len(part) for part in (split.train, split.lattice, split.calibrate, split.test)
    ) == len(whole)


def test_the_deal_of_writers_does_not_depend_on_the_order_of_the_digits():
    whole = by_writers(100)
    other = whole.take(np.random.default_rng(1).permutation(len(whole)))
    assert set(split_writers(whole).test.writers) == set(split_writers(other).test.writers)


def test_a_split_that_leaves_nobody_to_train_on_is_refused():
    with pytest.raises(InputError, match="none are left"):
        split_writers(by_writers(5), WriterSplit(lattice=1, calibrate=2, test=2))


def test_digits_that_a_person_would_read_otherwise_are_left_out(digits, monkeypatch):
    names = tuple(pixels_digest(digits.images[place])[:12] for place in (3, 7))
    monkeypatch.setattr(datasets, "_MISLEADING", names)
    kept = without_misleading(digits)
    assert np.array_equal(kept.grids, np.delete(digits.grids, (3, 7), axis=0))
    assert np.array_equal(kept.labels, np.delete(digits.labels, (3, 7)))


def test_digits_that_a_person_would_read_otherwise_calibrate_nothing(digits, monkeypatch):
    counts = WriterSplit(lattice=1, calibrate=2, test=2)
    whole = split_writers(digits, counts)
    names = tuple(pixels_digest(part.images[0])[:12] for part in (whole.calibrate, whole.train))
    monkeypatch.setattr(datasets, "_MISLEADING", names)
    split = split_writers(digits, counts)
    assert np.array_equal(split.calibrate.images, whole.calibrate.images[1:])
    assert len(split.train) == len(whole.train)


def test_npz_is_read_as_it_was_written(tmp_path: Path):
    path = tmp_path / "digits.npz"
    images = np.arange(2 * 784, dtype=np.uint8).reshape(2, 28, 28)
    np.savez(
        path, X=images, y=np.array([3, 4]), writer=np.array([7, 9], np.int16), row=np.array([0, 5])
    )
    found = load_npz(path)
    assert (found.images == images).all()
    assert found.labels.tolist() == [3, 4]
    assert found.writers.tolist() == [7, 9]


def test_npz_without_writers_is_refused_with_what_is_missing(tmp_path: Path):
    path = tmp_path / "digits.npz"
    np.savez(path, X=np.zeros((1, 28, 28), np.uint8), y=np.array([3]))
    with pytest.raises(InputError, match="writer"):
        load_npz(path)


def test_the_row_list_names_the_digits_that_may_train():
    rows, writers, digest = nist_rows()
    assert len(rows) == len(writers) == 48_077
    assert (np.diff(rows.astype(int)) > 0).all()
    assert rows.max() < 60_000
    assert len(np.unique(writers)) == 431
    assert len(digest) == 64


@pytest.fixture
def small_mnist(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    data = np.random.default_rng(0).integers(0, 256, (20, 784)).astype(float)
    rows, writers = np.array([1, 4, 19], np.uint16), np.array([5, 5, 8], np.int16)
    digest = pixels_digest(data[rows].astype(np.uint8))
    monkeypatch.setattr(datasets, "nist_rows", lambda: (rows, writers, digest))
    return SimpleNamespace(data=data, target=np.array([str(row % 10) for row in range(20)], object))


def test_openml_gives_exactly_the_listed_rows_with_their_writers(small_mnist):
    asked = {}

    def fetch(name, **options):
        asked.update(options, name=name)
        return small_mnist

    found = load_openml(fetch)
    assert (asked["name"], asked["version"]) == ("mnist_784", 1)
    assert (found.images.reshape(3, 784) == small_mnist.data[[1, 4, 19]]).all()
    assert found.labels.tolist() == [1, 4, 9]
    assert found.writers.tolist() == [5, 5, 8]


def test_openml_in_another_order_is_refused(small_mnist):
    small_mnist.data = small_mnist.data[::-1]
    with pytest.raises(InputError, match="order"):
        load_openml(lambda *_args, **_options: small_mnist)


def test_openml_with_too_few_rows_is_refused(small_mnist):
    small_mnist.data = small_mnist.data[:10]
    with pytest.raises(InputError, match="shape"):
        load_openml(lambda *_args, **_options: small_mnist)


def test_a_download_that_fails_says_what_to_do() -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no route")

    with pytest.raises(InputError, match=r"\.npz"):
        load_openml(offline)


def test_arrays_of_other_shapes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.npz"
    np.savez(
        path, X=np.zeros((4, 8, 8), np.uint8), y=np.zeros(4, np.uint8), writer=np.zeros(4, np.int16)
    )
    with pytest.raises(InputError, match="28"):
        load_npz(path)
