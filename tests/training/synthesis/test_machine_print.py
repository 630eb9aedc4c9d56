import numpy as np
import pytest

from zipocr.training.synthesis.compose import Composer
from zipocr.training.synthesis.machine_type import OCR_A, OCR_B, draw_face
from zipocr.training.synthesis.print_wear import WEAR, wear_off
from zipocr.training.synthesis.scene_parameters import PRINTED_KINDS
from zipocr.training.synthesis.typefaces import DIGIT_HEIGHT, typefaces


def test_machines_draw_ten_digits_of_one_height_that_differ():
    rng = np.random.default_rng(0)
    for _ in range(12):
        face = draw_face(rng)
        assert len(face.glyphs) == 10
        assert {glyph.shape[0] for glyph in face.glyphs} == {DIGIT_HEIGHT}
        assert face.pitch * DIGIT_HEIGHT > max(glyph.shape[1] for glyph in face.glyphs)
        assert len({glyph.tobytes() for glyph in face.glyphs}) == 10


def test_some_machines_slash_their_zeros():
    zeros = [draw_face(np.random.default_rng(seed)).glyphs[0] for seed in range(60)]
    slashed = [_inked_middle(zero) for zero in zeros]
    assert 0.15 < np.mean(slashed) < 0.6


def _inked_middle(glyph: np.ndarray) -> bool:
    """Whether there is ink at the centre of a digit."""
    middle, reach = (glyph.shape[0] // 2, glyph.shape[1] // 2), glyph.shape[1] // 10
    around = glyph[tuple(slice(one - reach, one + reach + 1) for one in middle)]
    return bool(around.max() > 128)


def test_the_optical_scripts_have_a_form_for_each_digit():
    assert len(set(OCR_A)) == len(set(OCR_B)) == 10


@pytest.mark.parametrize("name", WEAR)
def test_wear_keeps_the_shape_and_spoils_but_does_not_wipe_out(name):
    cover = np.zeros((60, 200), np.float32)
    cover[10:50, 20:180] = 1
    worn = [wear_off(np.random.default_rng(seed), cover, name, 40.0) for seed in range(6)]
    assert all(one.shape == cover.shape and 0 <= one.min() <= one.max() <= 1.001 for one in worn)
    assert any(np.abs(one - cover).mean() > 0.02 for one in worn)
    assert all(one.sum() > 0.25 * cover.sum() for one in worn)


@pytest.mark.parametrize("kind", sorted(set(PRINTED_KINDS) - {"printed"}))
def test_a_kind_of_print_is_the_same_whenever_it_is_made_and_shows_its_digits(all_digits, kind):
    composer = Composer(all_digits, seed=1, kinds={kind: 1}, faces=typefaces("train"))
    for number in range(4):
        one, other = composer.nth(number), composer.nth(number)
        assert np.array_equal(one.image, other.image)
        assert len(one.text) in {5, 9}
        assert one.kind == kind
        assert len(np.unique(one.owners)) > 3


def test_no_typeface_belongs_to_two_parts():
    parts = [typefaces(part) for part in ("train", "calibrate", "test")]
    names = [face.name for faces in parts for face in faces]
    writers = [face.writer for faces in parts for face in faces]
    assert len(set(names)) == len(set(writers)) == len(names)
    assert len(parts[1]) > 4
