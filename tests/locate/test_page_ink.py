"""Ink on whole pages: faint and dark writing, rules, barcodes and labels."""

import cv2
import numpy as np
import pytest

from zipocr.locate.page_ink import MAX_SIDE, PAPER, divide_by_paper, find_ink


def written(
    text: str = "ALBANY NY 12207",
    *,
    gray: int = 40,
    paper: int = 235,
    shape: tuple[int, int] = (300, 900),
) -> np.ndarray:
    page = np.full(shape, paper, np.uint8)
    cv2.putText(page, text, (60, 160), cv2.FONT_HERSHEY_DUPLEX, 1.6, gray, 3, cv2.LINE_AA)
    return page


def letters(page: np.ndarray) -> int:
    return len(find_ink(page).components.boxes)


@pytest.mark.parametrize(("gray", "paper"), [(40, 235), (175, 215), (20, 120)])
def test_each_letter_is_found_whatever_the_shade_of_ink_and_paper(gray: int, paper: int) -> None:
    assert letters(written(gray=gray, paper=paper)) == len("ALBANYNY12207")


def test_faint_writing_is_found_next_to_black_print() -> None:
    page = np.vstack([written(gray=0), written(gray=185)])
    assert letters(page) == 2 * len("ALBANYNY12207")


def test_noisy_blank_paper_has_no_ink() -> None:
    noise = np.random.default_rng(5).normal(200, 9, (600, 900))
    assert letters(noise.clip(0, 255).astype(np.uint8)) == 0


def test_rules_through_and_around_writing_are_erased() -> None:
    page = written()
    cv2.line(page, (20, 175), (880, 175), 60, 3)
    cv2.rectangle(page, (10, 30), (890, 260), 60, 3)
    assert letters(page) == len("ALBANYNY12207")


def test_long_strokes_of_large_letters_are_not_rules() -> None:
    page = written("LIE", shape=(300, 400))
    drawn = find_ink(page).components.ink
    assert drawn.sum() == pytest.approx((divide_by_paper(page) < 150).sum(), rel=0.2)


def test_bars_of_a_barcode_are_not_letters() -> None:
    page = written()
    for number in range(60):
        tall = 12 if number % 3 else 24
        page[260 - tall : 260, 60 + 10 * number : 64 + 10 * number] = 30
    assert letters(page) == len("ALBANYNY12207")


def test_a_label_darker_than_its_envelope_is_also_paper() -> None:
    page = written(paper=230)
    page[80:220, 30:850] = np.minimum(page[80:220, 30:850], 150)
    boxes = find_ink(page).components.boxes
    inside = (boxes[:, 1] > 90) & (boxes[:, 1] + boxes[:, 3] < 210) & (boxes[:, 2] > 10)
    assert np.count_nonzero(inside) == len("ALBANYNY12207")


def test_paper_is_even_after_division() -> None:
    shade = np.linspace(120, 240, 900)[None].repeat(300, axis=0).astype(np.uint8)
    assert np.abs(divide_by_paper(shade).astype(int) - PAPER).max() <= 20


def test_a_large_page_is_searched_at_reduced_size() -> None:
    ink = find_ink(np.full((1000, 4 * MAX_SIDE), 255, np.uint8))
    assert ink.normalized.shape == (250, MAX_SIDE)
    assert ink.scale == 0.25


def test_noise_on_a_black_scanner_lid_is_not_ink() -> None:
    page = np.full((500, 1100), 10, np.uint8)
    page[100:400, 100:1000] = written()
    noise = np.random.default_rng(2).integers(0, 12, page.shape)
    assert letters((page + noise).clip(0, 255).astype(np.uint8)) == len("ALBANYNY12207")


def loops(page: np.ndarray, width: int, height: int) -> np.ndarray:
    """Draw a chain of loops like joined letters below the writing."""
    angle = np.linspace(0, 2 * np.pi * width / height, 400)
    x = 100 + (width - height) * angle / angle[-1] + height / 2 * (1 + np.cos(angle))
    y = 240 + height / 2 * np.sin(angle)
    points = np.column_stack([x, y]).round().astype(np.int32)
    cv2.polylines(page, [points[:, None]], False, 40, 3, cv2.LINE_AA)
    return page


@pytest.mark.parametrize(
    ("width", "height", "kept"), [(260, 50, 1), (100, 50, 1), (700, 50, 0), (300, 110, 0)]
)
def test_a_long_component_of_a_words_height_is_writing(width: int, height: int, kept: int) -> None:
    page = loops(written(shape=(320, 900)), width, height)
    assert letters(page) == len("ALBANYNY12207") + kept


def test_a_frame_of_a_words_height_is_not_writing() -> None:
    page = written()
    cv2.rectangle(page, (100, 210), (400, 262), 40, 12)
    assert letters(page) == len("ALBANYNY12207")


def test_a_number_in_joined_digits_is_found_in_either_direction() -> None:
    page = loops(written(shape=(320, 900)), 260, 50)
    assert letters(np.ascontiguousarray(page.T)) == letters(page)
