from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from zipocr.line.line_image import LineImage
from zipocr.line.network import (
    BLANK,
    CLASS_FEATURES,
    CLASSES,
    FEATURES,
    FIRST_DIGIT,
    OTHER,
    PIXELS_PER_FRAME,
)
from zipocr.line.recognize import (
    FAR_BEHIND,
    LineReading,
    merge_passes,
    read_lines,
)

LENGTH = 120
STRIP = LineImage(
    pixels=np.zeros((2, 32, LENGTH), np.uint8), to_page=np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
)


def showing(*characters: dict[int, float]) -> np.ndarray:
    """Frames that show these characters by class probabilities, four frames apart."""
    frames = np.zeros((LENGTH // PIXELS_PER_FRAME, CLASSES), np.float32)
    frames[:, BLANK] = 1
    for place, shares in enumerate(characters):
        frames[4 * place + 3] = 0
        for label, share in shares.items():
            frames[4 * place + 3, label] = share
    return frames


def digits(text: str) -> list[dict[int, float]]:
    return [{FIRST_DIGIT + int(digit): 1.0} for digit in text]


def reading_of(frames: np.ndarray, strip: LineImage = STRIP) -> LineReading:
    """The reading of a strip for which the network outputs these frames."""
    (found,) = read_lines(
        SimpleNamespace(features=lambda pixels: pixels, frames=lambda _: frames), [strip]
    )
    return found


def centres(found: LineReading, count: int) -> list[np.ndarray]:
    """The digit centres of the best few strings."""
    return found.centres(list(found.strings)[:count])


@pytest.mark.parametrize("text", ["02108", "11111", "021081234", "000000000"])
def test_a_line_of_five_or_nine_digits_is_read_and_shaped_like_a_zip(text):
    found = reading_of(showing(*digits(text)))
    assert found.strings == {text: pytest.approx(1)}
    assert found.shaped == pytest.approx(1)


@pytest.mark.parametrize("text", ["", "1", "0210", "021081", "02108123", "0210812345"])
def test_any_other_number_of_digits_gives_no_string_and_is_not_shaped_like_a_zip(text):
    found = reading_of(showing(*digits(text)))
    assert found.strings == {}
    assert found.shaped == 0
    assert centres(found, 3) == []
    assert found.likeliest(3) == []


def test_five_characters_with_a_non_digit_give_no_string():
    found = reading_of(showing(*digits("0210"), {OTHER: 1.0}))
    assert (found.strings, found.shaped) == ({}, 0)


def test_strings_have_the_probabilities_of_their_characters_and_are_sorted():
    doubtful = {FIRST_DIGIT + 1: 0.6, FIRST_DIGIT + 7: 0.3, OTHER: 0.1}
    found = reading_of(showing(*digits("02"), doubtful, *digits("08")))
    assert found.strings == {
        "02108": pytest.approx(0.6, rel=1e-4),
        "02708": pytest.approx(0.3, rel=1e-4),
    }
    assert list(found.strings) == ["02108", "02708"]
    assert found.shaped == pytest.approx(0.9, rel=1e-4)


def test_a_possible_extra_character_makes_a_zip_less_likely():
    found = reading_of(showing(*digits("02108"), {FIRST_DIGIT: 0.25, BLANK: 0.75}))
    assert found.strings == {"02108": pytest.approx(0.75, rel=1e-4)}
    assert found.shaped == pytest.approx(0.75, rel=1e-4)


def test_equally_likely_strings_are_sorted_by_digits_and_pruned_ones_still_count():
    any_digit = {FIRST_DIGIT + digit: 0.1 for digit in range(10)}
    found = reading_of(showing(*digits("0210"), any_digit))
    assert list(found.strings) == [f"0210{digit}" for digit in range(len(found.strings))]
    assert found.strings
    assert found.shaped == pytest.approx(1, rel=1e-4)


def test_digit_centres_are_frame_centres_on_the_page():
    """Frame 3 covers columns 6 and 7 of the strip."""
    (plain,) = centres(reading_of(showing(*digits("11711"))), 1)
    assert plain == pytest.approx(6.5 + 8 * np.arange(5))
    moved = LineImage(pixels=STRIP.pixels, to_page=np.array([[2.0, 0.5, 10.0], [0.1, 2.0, 3.0]]))
    (there,) = centres(reading_of(showing(*digits("11711")), moved), 1)
    assert there == pytest.approx(2 * plain + 0.5 * 15.5 + 10)


def test_centres_are_returned_in_the_order_of_the_given_strings():
    doubtful = {FIRST_DIGIT + 8: 0.5, FIRST_DIGIT + 9: 0.3, FIRST_DIGIT: 0.2}
    found = reading_of(showing(*digits("0210"), doubtful))
    assert [len(centres(found, count)) for count in (0, 1, 2, 3, 9)] == [0, 1, 2, 3, 3]
    mixed = showing(*digits("02108"), *[{FIRST_DIGIT: 0.6, BLANK: 0.4}] * 4)
    assert [len(one) for one in reading_of(mixed).centres(["02108", "021080000", "12108"])] == [
        5,
        9,
        5,
    ]


@pytest.mark.parametrize("seed", range(5))
def test_string_probabilities_never_sum_to_more_than_that_of_a_zip_shaped_line(seed):
    frames = (
        showing(*digits("02108"))
        + np.random.default_rng(seed).random((LENGTH // PIXELS_PER_FRAME, CLASSES), np.float32)
        * 0.01
    )
    frames /= frames.sum(axis=1, keepdims=True)
    found = reading_of(frames)
    assert next(iter(found.strings)) == "02108"
    assert sum(found.strings.values()) <= found.shaped + 1e-9 <= 1 + 1e-6
    assert np.array_equal(found.frames, frames)


def test_a_string_that_does_not_fit_the_line_has_no_centres():
    narrow = reading_of(np.full((9, CLASSES), 1 / CLASSES, np.float32))
    assert [len(one) for one in narrow.centres(["111111111", "11111", "02108"])] == [0, 5, 5]


def test_the_likeliest_strings_exclude_those_far_behind_the_best():
    rare = FAR_BEHIND / 2
    doubtful = {FIRST_DIGIT + 8: 0.7, FIRST_DIGIT + 9: 0.3 - rare, FIRST_DIGIT: rare}
    found = reading_of(showing(*digits("0210"), doubtful))
    assert list(found.strings) == ["02108", "02109", "02100"]
    assert found.likeliest(3) == ["02108", "02109"]
    assert found.likeliest(1) == ["02108"]


def test_features_are_summed_over_the_frames_of_each_class_but_blank():
    frames = showing(*digits("02"), {FIRST_DIGIT: 0.5, BLANK: 0.5})
    features = np.full((len(frames), FEATURES), 90, np.float32)
    features[[3, 7, 11]] = 0
    features[[3, 7, 11], 0] = 1.0, 2.0, 6.0
    found = replace(reading_of(frames), features=features)
    expected = np.zeros((CLASSES - 1, FEATURES + 1))
    expected[0, [0, -1]] = 1 + 0.5 * 6, 1.5
    expected[2, [0, -1]] = 2, 1
    assert found.class_features.shape == (CLASS_FEATURES,)
    assert found.class_features == pytest.approx(expected.ravel())
    blank = reading_of(showing())
    assert not replace(blank, features=features).class_features.any()


def test_log_probabilities_are_given_for_found_and_for_other_strings():
    doubtful = {FIRST_DIGIT + 1: 0.6, FIRST_DIGIT + 7: 0.4}
    found = reading_of(showing(*digits("02"), doubtful, *digits("08")))
    assert found.log_probabilities(["02708", "02108"]) == pytest.approx(
        np.log([0.4, 0.6]), rel=1e-3
    )
    known, other = found.log_probabilities(["02108", "02208"])
    assert known == pytest.approx(np.log(0.6), rel=1e-3)
    assert other < -30
    assert found.log_probabilities(["02208", "02108"]) == [other, known]


def test_merged_readings_have_the_geometric_mean_of_all_probabilities():
    def doubtful(share: float) -> LineReading:
        third = {FIRST_DIGIT + 1: share, FIRST_DIGIT + 7: 1 - share}
        return reading_of(showing(*digits("02"), third, *digits("08")))

    one, other = doubtful(0.9), doubtful(0.2)
    both = merge_passes(one, [other], weight=0.5)
    shares = np.sqrt([0.9 * 0.2, 0.1 * 0.8])
    assert (one.is_twice, both.is_twice) == (False, True)
    assert list(both.strings.values()) == pytest.approx(shares / shares.sum(), rel=1e-3)
    assert list(both.strings) == ["02108", "02708"]
    assert both.shaped == pytest.approx(1, abs=1e-3)
    assert np.array_equal(both.frames, one.frames)
    assert [frames is other.frames for frames in both.again] == [True]
    assert both.log_probabilities(["02108", "99999"])[0] == pytest.approx(
        np.log(both.strings["02108"]), abs=1e-3
    )
    assert (one.known, other.known) == ({}, {})
    for trusting in (
        merge_passes(one, [other], weight=1 / 3),
        merge_passes(one, [other, other], weight=1 / 3),
    ):
        shares = np.cbrt([0.9 * 0.2 * 0.2, 0.1 * 0.8 * 0.8])
        assert sorted(trusting.strings.values()) == pytest.approx(
            sorted(shares / shares.sum()), rel=1e-3
        )
        assert list(trusting.strings) == ["02708", "02108"]
        assert trusting.best_probability == max(trusting.strings.values())
