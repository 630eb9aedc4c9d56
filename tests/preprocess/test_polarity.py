import csv
from pathlib import Path

import cv2
import fakes
import numpy as np
import pytest
from drawings import lay, write
from hypothesis import given
from hypothesis import strategies as st

from zipocr.images.decode import read_pages
from zipocr.preprocess.polarity import (
    is_light_on_dark,
    may_be_light_on_dark,
    may_be_light_on_gray,
    normalize_polarity,
)
from zipocr.types import GrayImage, Unread

SAMPLES = Path(__file__).parents[2] / "sample_scans"


def sample_pages() -> list[GrayImage]:
    with (SAMPLES / "labels.csv").open(encoding="utf-8") as file:
        names = sorted({row["file"] for row in csv.DictReader(file)})
    pages = [page for name in names for page in read_pages(SAMPLES / name, max_pixels=10_000_000)]
    return [page for page in pages if not isinstance(page, Unread)]


def test_no_sample_is_inverted_but_most_of_their_negatives_are() -> None:
    pages = sample_pages()
    assert len(pages) > 100
    assert not any(map(is_light_on_dark, pages))
    assert np.mean([is_light_on_dark(cv2.bitwise_not(page)) for page in pages]) > 0.9


@pytest.mark.parametrize("paper", [0, 40, 90, 130])
@pytest.mark.parametrize("stroke", [3, 5, 8])
def test_light_writing_on_dark_paper_is_inverted(paper: int, stroke: int) -> None:
    page = lay(write("02108", stroke=stroke).cover, paper, ink=240, noise=4)
    np.testing.assert_array_equal(normalize_polarity(page), 255 - page)


@pytest.mark.parametrize("paper", [250, 180, 120, 70])
@pytest.mark.parametrize("stroke", [3, 5, 8])
def test_dark_writing_on_light_paper_is_kept(paper: int, stroke: int) -> None:
    page = lay(write("02108", stroke=stroke).cover, paper, ink=20, noise=4)
    assert normalize_polarity(page) is page


@pytest.mark.parametrize("frame", [10, 40, 120])
def test_a_sheet_on_a_black_scanner_lid_is_kept(frame: int) -> None:
    sheet = lay(write("02108").cover, 240, noise=4)
    page = cv2.copyMakeBorder(sheet, frame, frame, frame, frame, cv2.BORDER_CONSTANT, value=5)
    assert normalize_polarity(page) is page


@pytest.mark.parametrize("gray", [0, 60, 128, 255])
def test_an_empty_page_is_kept(gray: int) -> None:
    page = np.full((40, 120), gray, np.uint8)
    assert normalize_polarity(page) is page


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32))
def test_any_page_is_kept_or_inverted_without_changing_the_input(
    height: int, width: int, seed: int
) -> None:
    page = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    before = page.copy()
    found = normalize_polarity(page)
    np.testing.assert_array_equal(page, before)
    assert found is page or np.array_equal(found, 255 - before)


def test_a_block_is_not_taken_for_writing() -> None:
    page = 255 - fakes.page(40, 64, ink=0)
    assert normalize_polarity(page) is page


@pytest.mark.parametrize(("dark", "is_tried"), [(0.2, False), (0.5, True), (0.8, True)])
def test_a_page_may_be_a_negative_if_much_of_it_is_dark(dark: float, is_tried: bool) -> None:
    page = np.full((40, 100), 230, np.uint8)
    page[:, : round(100 * dark)] = 20
    assert may_be_light_on_dark(page) == is_tried


def test_a_white_label_on_brown_paper_is_not_light_writing() -> None:
    page = np.full((600, 1000), 120, np.uint8)
    label = np.full((200, 400), 245, np.uint8)
    for row in range(3):
        text = f"{row + 1} MAIN STREET {row}"
        at = (20, 50 + 60 * row)
        cv2.putText(label, text, at, cv2.FONT_HERSHEY_DUPLEX, 1.2, 30, 2, cv2.LINE_AA)
    page[300:500, 350:750] = label
    assert not is_light_on_dark(page)


def test_writing_may_be_lighter_than_grey_paper_beside_a_shadow():
    dark = lay(write("02108").cover, 40, ink=250, noise=4)
    paper = lay(write("02108").cover, 150, ink=250, noise=4)
    page = np.where(np.arange(paper.shape[1]) < 0.75 * paper.shape[1], paper, dark)
    assert not may_be_light_on_dark(page)
    assert may_be_light_on_gray(page)


@pytest.mark.parametrize("paper", [250, 180, 120])
def test_dark_writing_leaves_no_doubt(paper: int):
    assert not may_be_light_on_gray(lay(write("02108").cover, paper, ink=20, noise=4))
