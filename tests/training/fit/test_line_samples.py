from dataclasses import replace

import numpy as np
import pytest

from zipocr.line.line_image import MAX_LENGTH
from zipocr.line.network import FIRST_DIGIT, OTHER
from zipocr.preprocess.page import prepare
from zipocr.training.fit.line_samples import (
    MIN_WIDTH,
    AddressLines,
    LineComposer,
    gather_lines,
    is_misjudged,
    to_labels,
)
from zipocr.training.synthesis.compose import Composer
from zipocr.types import MAX_DIGITS, ZIP_LENGTH


@pytest.fixture(scope="module")
def composer(all_digits) -> LineComposer:
    return LineComposer(digits=all_digits, extra=all_digits, seed=5)


def test_labels_are_digits_and_one_class_for_all_letters():
    assert to_labels("402 Elm-St.").tolist() == [
        FIRST_DIGIT + 4,
        FIRST_DIGIT,
        FIRST_DIGIT + 2,
        *[OTHER] * 5,
    ]
    assert to_labels("").tolist() == []


def test_lines_are_strips_and_what_they_spell(composer):
    lines = gather_lines(composer, range(40), jobs=1)
    assert len(lines) > 30
    for line in lines:
        assert line.pixels.dtype == np.uint8
        assert line.pixels.shape[:2] == (2, 32)
        assert line.pixels.shape[2] % 2 == 0


def test_lines_with_a_zip_come_first_and_only_the_others_spell_something_else(composer):
    numbers = range(40)
    zips = sum(composer.holds_zip(number) for number in numbers)
    lines = gather_lines(composer, numbers, jobs=1)
    assert 0 < zips < len(numbers)
    shaped = [
        len(line.labels) in {ZIP_LENGTH, MAX_DIGITS} and OTHER not in line.labels for line in lines
    ]
    first_other = shaped.index(False)
    assert not any(shaped[first_other:])
    assert first_other <= zips


def test_a_line_is_the_same_whenever_it_is_made(composer):
    one, other = composer.nth(7), composer.nth(7)
    assert np.array_equal(one.pixels, other.pixels)
    assert np.array_equal(one.labels, other.labels)


def test_what_a_line_spells_is_what_was_composed(composer):
    for number in range(12):
        if composer.holds_zip(number) and (line := composer.nth(number)) is not None:
            assert len(line.labels) in {ZIP_LENGTH, MAX_DIGITS}
            assert all(FIRST_DIGIT <= label < OTHER for label in line.labels.tolist())
    others = [
        line
        for number in range(120)
        if not composer.holds_zip(number) and (line := composer.nth(number)) is not None
    ]
    assert any(OTHER in line.labels for line in others)
    assert any(len(line.labels) and OTHER not in line.labels for line in others)


def test_lines_are_the_same_for_any_number_of_processes(composer):
    one, two = (gather_lines(composer, range(20), jobs=jobs) for jobs in (1, 2))
    assert len(one) == len(two) > 15
    for line, other in zip(one, two, strict=True):
        assert np.array_equal(line.pixels, other.pixels)
        assert np.array_equal(line.labels, other.labels)


def test_lines_that_a_folder_keeps_are_the_same_and_not_made_again(composer, tmp_path, monkeypatch):
    monkeypatch.setattr("zipocr.training.fit.line_samples.PIECE", 6)
    made = gather_lines(composer, range(10), jobs=1, folder=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr(LineComposer, "nth", None)
    kept = gather_lines(composer, range(10), jobs=1, folder=tmp_path)
    assert len(made) == len(kept) > 8
    for line, other in zip(made, kept, strict=True):
        assert np.array_equal(line.pixels, other.pixels)
        assert np.array_equal(line.labels, other.labels)


def test_wide_lines_are_written_by_hands_of_mail_and_printed_by_machines(all_digits):
    wide = LineComposer(digits=all_digits, extra=all_digits, mail=all_digits, seed=5, is_wide=True)
    kinds = {wide._source(wide._chance(number)).nth(number).kind for number in range(60)}
    assert kinds & {"thermal", "worn", "ink_jet", "machine"}
    assert "tiny" in kinds
    assert len(gather_lines(wide, range(12), jobs=1)) > 9


def test_a_line_whose_height_is_misjudged_teaches_nothing(all_digits):
    composed = Composer(all_digits, seed=3, kinds={"white": 1}).nth(0)
    page = prepare(composed.image).ink
    assert not is_misjudged(composed, page)
    assert is_misjudged(composed, replace(page, text_height=page.text_height / 3))
    assert is_misjudged(composed, replace(page, text_height=page.text_height * 3))


def test_the_last_phase_adds_digits_of_typefaces_and_whole_addresses(all_digits):
    composer = LineComposer(
        digits=all_digits, extra=all_digits, seed=5, is_wide=True, has_typefaces=True
    )
    kinds = [type(source) for _, source in composer._sources]
    assert AddressLines in kinds
    assert sum(share for share, _ in composer._sources[:-1]) < 1
    (addresses,) = (one for _, one in composer._sources if isinstance(one, AddressLines))
    texts = [addresses.nth(number).letters for number in range(40)]
    assert 8 < sum(any(sign.isdigit() for sign in text[-4:]) for text in texts) < 32
    numbers = [
        number for number in range(120) if composer._source(composer._chance(number)) is addresses
    ]
    lines = [line for line in map(composer.nth, numbers) if line is not None]
    assert 0 < len(lines) <= len(numbers) < 30
    for line in lines:
        assert line.pixels.shape[2] < MAX_LENGTH
        assert len(line.labels) * MIN_WIDTH <= line.pixels.shape[2]
