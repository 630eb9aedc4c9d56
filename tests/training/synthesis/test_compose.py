import numpy as np
import pytest

from zipocr.training.data.datasets import DigitSet
from zipocr.training.synthesis.augment import SHAPES, augment_glyph, bar, flag_and_foot
from zipocr.training.synthesis.compose import (
    FOREIGN,
    HANDWRITTEN_QUOTAS,
    LIGATURE,
    NEGATIVE_KINDS,
    Composed,
    Composer,
    compose,
    compose_negative,
    compose_printed,
    composed_strings,
)
from zipocr.training.synthesis.scene_parameters import KINDS, PRINTED_KINDS, draw_kind, draw_scene
from zipocr.training.synthesis.typefaces import Typeface

ALL_KINDS = sorted({*KINDS, "mixed"} - set(PRINTED_KINDS))
ZIPS = ("02108", "90210", "60614", "33301")


@pytest.fixture(scope="module")
def digits(all_digits: DigitSet) -> DigitSet:
    return all_digits.take(np.arange(600))


def made(digits: DigitSet, kind: str, count: int = 3, **options) -> list[Composed]:
    composer = Composer(digits, seed=4, kinds={kind: 1}, zips=ZIPS, **options)
    return [composer.nth(number) for number in range(count)]


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_every_kind_gives_a_crop_with_the_ink_of_all_its_digits(digits, kind):
    for found in made(digits, kind):
        assert found.image.dtype == found.owners.dtype == np.uint8
        assert found.image.shape == found.owners.shape == found.shared.shape
        assert found.kind == kind
        owners = set(np.unique(found.owners).tolist())
        assert (
            set(range(1, len(found.text) + 1))
            <= owners
            <= {*range(len(found.text) + 1), LIGATURE, FOREIGN}
        )


@pytest.mark.parametrize(
    "kind",
    ["plain", "white", "kraft", "touching", "slanted", "skewed", "bilevel", "faint", "printed"],
)
def test_owned_pixels_are_darker_than_the_paper_around(digits, kind):
    faces = (block_face(),)
    for found in made(digits, kind, faces=faces):
        assert found.image[found.owners > 0].mean() < found.image[found.owners == 0].mean() - 15


def test_digits_stand_in_the_order_of_the_text(digits):
    for found in made(digits, "plain", 6):
        centres = [np.nonzero(found.owners == place)[1].mean() for place in range(1, 6)]
        assert centres == sorted(centres)


def test_touching_digits_share_ink_and_plain_ones_do_not(digits):
    assert all(found.shared.any() for found in made(digits, "touching", 8))
    assert not any(found.shared.any() for found in made(digits, "plain", 8))


def test_foreign_ink_is_on_the_map(digits):
    for kind in ("underlined", "boxed", "celled", "ruled", "table"):
        assert any((found.owners == FOREIGN).any() for found in made(digits, kind, 4))


def test_lines_are_no_ink_of_the_digits_they_cross(digits):
    without, under = made(digits, "plain")[0], made(digits, "underlined")[0]
    assert (under.owners == FOREIGN).any() or under.shared.any()
    assert not (without.owners == FOREIGN).any()


def test_one_string_is_written_by_one_writer(digits):
    composer = Composer(digits, seed=1, zips=ZIPS)
    for number in range(20):
        rows = composer.spell(np.random.default_rng(number), "90210")
        assert len(set(digits.writers[rows].tolist())) == 1
        assert digits.labels[rows].tolist() == [9, 0, 2, 1, 0]
        assert len(set(rows.tolist())) == 5


def test_the_nth_string_is_the_same_whatever_was_made_before(digits):
    kinds = {"mixed": 1.0, "touching": 1.0}
    one, other = (
        Composer(digits, seed=3, kinds=kinds, zips=ZIPS),
        Composer(digits, seed=3, kinds=kinds, zips=ZIPS),
    )
    for number in range(5):
        one.nth(number)
    again, alone = one.nth(7), other.nth(7)
    assert again.text == alone.text
    assert again.image.tobytes() == alone.image.tobytes()
    assert again.owners.tobytes() == alone.owners.tobytes()


def test_strings_come_in_numbers_and_with_other_seeds_differ(digits):
    first = list(composed_strings(digits, count=3, seed=1, zips=ZIPS))
    other = list(composed_strings(digits, count=3, seed=2, zips=ZIPS))
    assert len(first) == 3
    assert [found.image.tobytes() for found in first] != [found.image.tobytes() for found in other]


def test_texts_are_listed_zips_and_some_that_are_not(digits):
    texts = [found.text for found in made(digits, "plain", 60)]
    listed = sum(text in ZIPS for text in texts)
    assert 30 <= listed < 60


def test_each_once_deals_every_digit_before_any_comes_again(digits):
    composer = Composer(digits, seed=5, each_once=True)
    rows = np.concatenate([composer._dealt(number) for number in range(composer.round_length)])
    assert len(set(rows.tolist())) == len(rows)
    assert len(rows) > len(digits) - 5 * len(np.unique(digits.writers))
    assert composer._dealt(composer.round_length).tolist() != composer._dealt(0).tolist()


def test_zip_plus_four_has_nine_digits(digits):
    found = made(digits, "plus4", 1)[0]
    assert len(found.text) == 9
    assert set(range(1, 10)) <= set(np.unique(found.owners).tolist())


def test_zip_plus_four_is_dealt_five_digits_and_borrows_four_of_the_same_writer(digits):
    kinds = {"plus4": 1.0, "plain": 1.0}
    composer = Composer(digits, seed=5, kinds=kinds, each_once=True)
    lengths = set()
    for number in range(8):
        found, hand = composer.nth(number), composer._dealt(number, 4)
        assert len(set(hand.tolist())) == 9
        assert set(digits.writers[hand].tolist()) == {found.writer}
        assert hand[:5].tolist() == composer._dealt(number).tolist()
        assert "".join(map(str, digits.labels[hand])).startswith(found.text)
        lengths.add(len(found.text))
    assert lengths == {5, 9}


def test_some_printed_strings_are_zip_plus_four_with_the_dash_in_a_cell_of_its_own(digits):
    made_of = made(digits, "printed", 40, faces=(block_face(),))
    nine = [found for found in made_of if len(found.text) == 9]
    assert {len(found.text) for found in made_of} == {5, 9}
    assert 4 <= len(nine) <= 16
    dashed = 0
    for found in nine:
        centres = np.array([np.nonzero(found.owners == place)[1].mean() for place in range(1, 10)])
        steps = np.diff(centres)
        dashed += steps[4] > 1.5 * np.median(steps)
    assert dashed > len(nine) / 2


@pytest.mark.parametrize("kind", NEGATIVE_KINDS)
def test_negatives_hold_no_zip(digits, kind):
    for seed in range(4):
        found = compose_negative(np.random.default_rng(seed), kind, digits)
        assert found.text == ""
        places = {owner for owner in np.unique(found.owners).tolist() if 0 < owner < LIGATURE}
        assert len(places) == {"four": 4, "six": 6}.get(kind, 0)


def test_glyphs_are_not_changed_by_composing(digits):
    glyphs = [image.copy() for image in digits.images[:5]]
    compose(np.random.default_rng(0), glyphs, "touching", "01234")
    assert all(
        (glyph == image).all() for glyph, image in zip(glyphs, digits.images[:5], strict=True)
    )


def block_face() -> Typeface:
    glyphs = []
    for digit in range(10):
        glyph = np.zeros((72, 40), np.uint8)
        glyph[:, : 10 + digit] = 255
        glyphs.append(glyph)
    return Typeface(name="block", glyphs=tuple(glyphs), pitch=0.8, writer=1_000_000)


def test_type_stands_at_one_pitch():
    scene = draw_scene(np.random.default_rng(2), "printed")
    found = compose_printed(np.random.default_rng(0), block_face(), "11111", scene=scene)
    centres = [np.nonzero(found.owners == place)[1].mean() for place in range(1, 6)]
    assert np.ptp(np.diff(centres)) < 0.1 * np.mean(np.diff(centres))
    assert found.writer == 1_000_000


def test_printed_strings_need_typefaces(digits):
    with pytest.raises(ValueError, match="typefaces"):
        Composer(digits, seed=0, kinds={"printed": 1})


def test_kinds_come_as_often_as_their_quotas_say():
    rng = np.random.default_rng(0)
    drawn = [draw_kind(rng, {"plain": 1, "kraft": 3}) for _ in range(400)]
    assert 250 < drawn.count("kraft") < 350
    assert set(HANDWRITTEN_QUOTAS) <= {*KINDS, "mixed"}


def test_strength_zero_changes_no_glyph(digits):
    glyph = digits.images[0]
    assert (augment_glyph(np.random.default_rng(0), glyph, 0, strength=0) == glyph).all()
    assert (augment_glyph(np.random.default_rng(0), glyph, 0, strength=1) != glyph).any()


def test_flags_and_bars_add_ink_beside_the_stem():
    one = np.zeros((28, 28), np.uint8)
    one[4:24, 13:15] = 255
    flagged = flag_and_foot(np.random.default_rng(0), one)
    assert (flagged > 127).sum() > (one > 127).sum() + 5
    assert (flagged > 127).any(axis=0).sum() > 4
    seven = np.zeros((28, 28), np.uint8)
    seven[4:6, 8:20] = 255
    seven[4:24, 18:20] = 255
    barred = bar(np.random.default_rng(0), seven)
    assert (barred[10:20] > 127).any(axis=0).sum() > 5


@pytest.mark.parametrize("label", SHAPES)
def test_shapes_of_other_countries_keep_the_height_of_the_glyph_and_change_its_form(digits, label):
    _, shape = SHAPES[label]
    for row in np.flatnonzero(digits.labels == label)[:5]:
        glyph = digits.images[row]
        drawn = shape(np.random.default_rng(int(row)), glyph)
        before, after = (np.flatnonzero((image > 127).any(axis=1)) for image in (glyph, drawn))
        assert abs(int(np.ptp(before)) - int(np.ptp(after))) <= 6
        assert drawn.shape != glyph.shape or (drawn != glyph).any()


def test_only_the_share_of_hands_that_is_asked_for_is_european(digits):
    one = digits.images[np.flatnonzero(digits.labels == 7)[0]]
    drawn = [
        augment_glyph(np.random.default_rng(seed), one, 7, strength=0, european=0.3)
        for seed in range(200)
    ]
    assert 35 < sum((glyph != one).any() for glyph in drawn) < 85
