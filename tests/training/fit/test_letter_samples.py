"""Composed lines of addresses for the network of letters, as the search of a page sees them."""

import numpy as np
import pytest

from zipocr.line.line_image import LINE_HEIGHT
from zipocr.line.network import ALPHABET, DIGIT, PIXELS_PER_STEP
from zipocr.training.data.datasets import DigitSet
from zipocr.training.fit.letter_samples import LetterComposer, letter_labels
from zipocr.training.synthesis.pages import letter_lines
from zipocr.training.synthesis.pages.letter_lines import LetterLines


@pytest.fixture(scope="module")
def composer(all_digits: DigitSet) -> LetterComposer:
    return LetterComposer(lines=LetterLines(all_digits.take(np.arange(600)), seed=3))


def test_letters_have_a_class_in_either_case_digits_share_one_and_signs_have_none() -> None:
    assert letter_labels("Az, 09-é").tolist() == [1, 26, DIGIT, DIGIT]


def test_most_lines_are_found_and_show_all_their_characters(composer: LetterComposer) -> None:
    found = [line for line in map(composer.nth, range(24)) if line is not None]
    assert len(found) >= 16
    for line in found:
        assert line.pixels.shape[:2] == (2, LINE_HEIGHT)
        assert line.pixels.shape[2] % PIXELS_PER_STEP == 0
        assert line.pixels.any()
        assert 0 < len(line.labels) < line.pixels.shape[2] / 5
        assert line.labels.min() >= 1
        assert line.labels.max() <= DIGIT


def test_a_line_is_the_same_each_time(composer: LetterComposer) -> None:
    one, other = composer.lines.nth(5), composer.lines.nth(5)
    assert one.text == other.text
    np.testing.assert_array_equal(one.image, other.image)


def test_the_lines_show_towns_other_lines_and_meaningless_words(
    composer: LetterComposer, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [composer.lines.nth(number).text for number in range(60)]
    assert any(set(text) & set("0123456789") for text in texts)
    assert sum(text.isupper() for text in texts) > 10
    monkeypatch.setattr(letter_lines, "MEANINGLESS", 1.0)
    rng = np.random.default_rng(1)
    words = {letter_lines._draw_text(rng).split()[0].upper() for _ in range(20)}
    real = {word.upper() for word in letter_lines.town_words("train")}
    assert len(words - real) > 14
    assert all(letter in ALPHABET for word in words for letter in word)


def test_a_line_with_a_zip_has_it_by_hand_or_in_print(all_digits: DigitSet) -> None:
    lines = LetterLines(all_digits, seed=3, with_zip=1.0, sheet=1.1)
    for number in range(12):
        line = lines.nth(number)
        assert sum(sign.isdigit() for sign in line.text) >= 5
        assert line.image.shape[1] < 2600
