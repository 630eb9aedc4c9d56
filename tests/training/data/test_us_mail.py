import numpy as np
import pytest

from zipocr.errors import InputError
from zipocr.training.data.us_mail import FIRST_WRITER, load_mail_digits, split_envelopes

ZIPS = ("02108", "90210", "60614", "33301", "10001")


def write(path, text, side=16):
    """A file of digits, each with a pixel that tells its place."""
    images = np.zeros((len(text), side, side), np.uint8)
    images[np.arange(len(text)), 8, np.arange(len(text)) % side] = 255
    np.savez(path, X=images, y=np.array([int(digit) for digit in text]))
    return path


def test_digits_that_follow_each_other_and_spell_a_zip_are_one_envelope(tmp_path):
    found = load_mail_digits(write(tmp_path / "mail.npz", "".join(ZIPS)))
    spelt = [
        "".join(map(str, found.labels[found.writers == one])) for one in np.unique(found.writers)
    ]
    assert tuple(spelt) == ZIPS
    assert found.writers.min() == FIRST_WRITER
    assert found.images.shape == (25, 28, 28)


def test_digits_between_envelopes_are_left_out(tmp_path):
    found = load_mail_digits(write(tmp_path / "mail.npz", f"{ZIPS[0]}000{ZIPS[1]}"))
    assert "".join(map(str, found.labels)) == ZIPS[0] + ZIPS[1]


def test_the_last_envelopes_are_held_out_and_none_is_on_both_sides(tmp_path):
    train, held_out = split_envelopes(load_mail_digits(write(tmp_path / "mail.npz", "".join(ZIPS))))
    assert "".join(map(str, train.labels)) == "".join(ZIPS[:4])
    assert "".join(map(str, held_out.labels)) == ZIPS[4]


@pytest.mark.parametrize("trouble", ["missing", "no archive", "other arrays", "other shape"])
def test_what_holds_no_digits_of_mail_is_refused_with_the_cure(tmp_path, trouble):
    path = tmp_path / "mail.npz"
    if trouble == "no archive":
        path.write_text("none")
    elif trouble == "other arrays":
        np.savez(path, Z=np.zeros(3))
    elif trouble == "other shape":
        write(path, ZIPS[0], side=28)
    with pytest.raises(InputError, match="X"):
        load_mail_digits(path)
