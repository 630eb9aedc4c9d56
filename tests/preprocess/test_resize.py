"""Downscaling of large pages, which bounds their processing time."""

import time

import numpy as np
import pytest
from drawings import lay, write

from zipocr.preprocess.page import prepare
from zipocr.preprocess.resize import MAX_PIXELS, reduced


def checkerboard(side, field):
    rows = np.arange(side) // field % 2
    return np.where(rows[:, None] ^ rows, 255, 0).astype(np.uint8)


@pytest.mark.parametrize(
    "page",
    [np.full((5_000, 7_000), 255, np.uint8), checkerboard(7_000, 16), checkerboard(2_000, 8)],
    ids=["blank", "large checkerboard", "checkerboard"],
)
def test_a_large_page_without_writing_is_rejected_quickly(page):
    began = time.process_time()
    assert prepare(page).ink is None
    assert time.process_time() - began < 3


def test_large_pages_are_reduced_and_small_ones_are_kept_as_is():
    written = write("60614", height=300, width=190, gap=100, margin=900, stroke=33)
    large = lay(written.cover, 235)
    assert large.size > MAX_PIXELS
    prepared = prepare(large)
    assert prepared.page.size <= MAX_PIXELS
    assert prepared.ink is not None
    small = lay(write("02346").cover, 235)
    assert prepare(small).page is small


def test_a_page_of_one_row_is_not_reduced():
    page = np.zeros((1, MAX_PIXELS + 1), np.uint8)
    assert reduced(page) is page
