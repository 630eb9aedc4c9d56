import re

import numpy as np
import pytest

from zipocr.training.data.datasets import DigitSet
from zipocr.training.synthesis.compose import FOREIGN, LIGATURE
from zipocr.training.synthesis.doodles import GENERATORS
from zipocr.training.synthesis.negatives import (
    COUNTS,
    MAKERS,
    PHOTOGRAPHS,
    QUOTAS,
    SEVERAL_LINES,
    WORDLESS,
    Negatives,
    photographs,
    stacked,
    typeset,
)
from zipocr.training.synthesis.scene_parameters import draw_scene
from zipocr.training.synthesis.typefaces import font_files, typefaces
from zipocr.training.synthesis.wording import (
    TEXTS,
    draw_address,
    draw_lines,
    draw_text,
    holds_zip,
    town_words,
)


@pytest.fixture(scope="module")
def digits(all_digits: DigitSet) -> DigitSet:
    return all_digits.take(np.arange(600))


def made(digits: DigitSet, kind: str, part: str = "train", count: int = 3):
    source = Negatives(digits, seed=4, part=part, kinds={kind: 1})
    return [source.nth(number) for number in range(count)]


def places(found) -> set[int]:
    """The places of digits that own ink."""
    return {owner for owner in np.unique(found.owners).tolist() if 0 < owner < LIGATURE}


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("kind", QUOTAS)
def test_every_kind_gives_a_page_without_a_zip(digits, kind, part):
    for found in made(digits, kind, part):
        assert found.image.dtype == np.uint8
        assert found.image.shape == found.owners.shape == found.shared.shape
        assert min(found.image.shape) >= 8
        assert (found.text, found.kind) == ("", kind)


def test_the_nth_page_is_the_same_whatever_was_made_before_it(digits):
    first, second = (Negatives(digits, seed=9, part="train") for _ in range(2))
    for number in range(20):
        first.nth(number)
    for number in (19, 3, 11):
        one, other = first.nth(number), second.nth(number)
        assert one.kind == other.kind
        assert np.array_equal(one.image, other.image)


@pytest.mark.parametrize("kind", COUNTS)
@pytest.mark.parametrize("script", ["", "printed_"])
def test_numbers_have_as_many_digits_as_their_kind_says(digits, kind, script):
    for found in made(digits, script + kind, count=4):
        assert len(places(found)) in COUNTS[kind]


@pytest.mark.parametrize("kind", WORDLESS)
def test_kinds_without_a_digit_have_foreign_ink_alone(digits, kind):
    for found in made(digits, kind):
        assert places(found) <= {FOREIGN}


def test_digits_in_texts_keep_their_places():
    rng = np.random.default_rng(0)
    block = typeset(rng, ["12 Elm St", "Apt 3"], "train", draw_scene(rng, "plain"))
    assert {1, 2, 3} == {
        owner for owner in np.unique(block.owners).tolist() if 0 < owner < LIGATURE
    }
    centres = [np.argwhere(block.owners == place).mean(axis=0) for place in (1, 2, 3)]
    assert centres[0][1] < centres[1][1]
    assert centres[2][0] > centres[1][0] + 10
    assert (block.owners == FOREIGN).sum() > 50


@pytest.mark.parametrize("kind", [kind for kind in SEVERAL_LINES if kind != "rows"])
def test_pages_of_several_lines_are_higher_than_one_line(digits, kind):
    one = np.median([found.image.shape[0] for found in made(digits, "words", count=9)])
    assert np.median([found.image.shape[0] for found in made(digits, kind, count=9)]) > 1.3 * one


def test_rows_of_digits_are_numbered_on_from_top_to_bottom(digits):
    for found in made(digits, "rows"):
        last = max(places(found) - {FOREIGN})
        assert last in range(6, 22)
        first_row, last_row = (np.nonzero(found.owners == place)[0].mean() for place in (1, last))
        assert last_row > first_row + 10


@pytest.mark.parametrize("part", ["train", "test"])
def test_no_text_holds_a_zip(part):
    rng = np.random.default_rng(0)
    for kind in TEXTS:
        assert not any(holds_zip(draw_text(rng, kind, part)) for _ in range(300))
    assert not any(holds_zip(line) for _ in range(300) for line in draw_address(rng, part))
    assert not any(re.search(r"\d", line) for _ in range(300) for line in draw_lines(rng, part))


@pytest.mark.parametrize(
    ("text", "is_zip"),
    [("02108", True), ("02108-1234", True), ("PO Box 771", False), ("12/25/2024", False)],
)
def test_zips_are_known_from_other_numbers(text, is_zip):
    assert holds_zip(text) == is_zip


def test_training_and_measuring_share_no_word_typeface_doodle_or_photograph():
    for apart in (town_words, font_files, typefaces, photographs):
        assert not {id(one) if isinstance(one, np.ndarray) else one for one in apart("train")} & {
            id(one) if isinstance(one, np.ndarray) else one for one in apart("test")
        }
    assert not set(PHOTOGRAPHS["train"]) & set(PHOTOGRAPHS["test"])
    for kind, parts in GENERATORS.items():
        assert not set(parts["train"]) & set(parts["test"]), kind


def test_quotas_choose_the_kinds_and_unknown_ones_are_refused(digits):
    source = Negatives(digits, seed=0, part="test", kinds={"blank": 1, "gradient": 3})
    kinds = [source.nth(number).kind for number in range(60)]
    assert 30 < kinds.count("gradient") < 58
    # A ZIP beside its town is no page without one.
    assert set(MAKERS) - set(QUOTAS) == {"town_line"}
    assert set(QUOTAS) < set(MAKERS)
    with pytest.raises(ValueError, match="zebra"):
        Negatives(digits, seed=0, part="test", kinds={"zebra": 1})


def test_rows_stand_one_below_the_other():
    rng = np.random.default_rng(1)
    row = typeset(rng, ["Elm"], "test", draw_scene(rng, "plain"))
    both = stacked([row, row], 7)
    assert both.cover.shape == (2 * row.cover.shape[0] + 7, row.cover.shape[1])
    assert np.array_equal(both.cover[-row.cover.shape[0] :], row.cover)
