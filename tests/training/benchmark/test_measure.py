import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from zipocr.models.model_file import load_model
from zipocr.training.benchmark.measure import (
    Judge,
    judges,
    load_labels,
    read_composed_pages,
    read_crops,
    read_strings,
    recall,
)
from zipocr.training.benchmark.metrics import Answer
from zipocr.training.synthesis.compose import Composer
from zipocr.training.synthesis.pages.compose import PageComposer

UNREAD = Answer(kind="", is_right=False, confidence=None, accepted=False, place=None)


def labelled(folder: Path, zips: list[str], **columns: list[str]) -> Path:
    """White pages that are said to hold these ZIPs."""
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "zip", *columns])
        for number, text in enumerate(zips):
            cv2.imwrite(str(folder / f"{number}.png"), np.full((60, 200), 255, np.uint8))
            rows.writerow([f"{number}.png", text, *(values[number] for values in columns.values())])
    return folder / "labels.csv"


def test_labels_keep_leading_zeros_and_pages_default_to_the_first(tmp_path: Path):
    crops = load_labels(labelled(tmp_path, ["02108", ""]))
    assert [(crop.path.name, crop.page, crop.truth.zip, crop.truth.kind) for crop in crops] == [
        ("0.png", 1, "02108", ""),
        ("1.png", 1, "", ""),
    ]


@pytest.mark.parametrize("column", ["stratum", "kind"])
def test_labels_may_group_their_crops(tmp_path: Path, column):
    crops = load_labels(labelled(tmp_path, ["02108", "94110"], **{column: ["clean", "noisy"]}))
    assert [crop.truth.kind for crop in crops] == ["clean", "noisy"]


def test_nine_digits_are_right_only_as_a_whole_and_where_nobody_counted_them_the_first_five(
    tmp_path: Path,
):
    nine, five = (
        crop.truth
        for crop in load_labels(labelled(tmp_path, ["02108", "02108"], plus4=["1234", ""]))
    )
    [either] = (crop.truth for crop in load_labels(labelled(tmp_path, ["02108"])))
    assert [truth.is_spelt_by("021081234") for truth in (nine, five, either)] == [True, False, True]
    assert [truth.is_spelt_by("02108") for truth in (nine, five, either)] == [False, True, True]
    assert not any(truth.is_spelt_by("02109") for truth in (nine, five, either))


@pytest.mark.real
def test_pages_without_a_zip_do_not_count_and_unread_ones_are_wrong(tmp_path: Path):
    answers = read_crops(
        judges(load_model("mail")), load_labels(labelled(tmp_path, ["02108", "", "94110"])), jobs=1
    )
    assert [list(one) for one in answers] == [[UNREAD, UNREAD]] * 2


@pytest.fixture(scope="module")
def judging(tiny) -> tuple[Judge, Judge]:
    return judges(tiny.model)


def test_strings_are_answered_as_the_reader_reads_them(judging, all_digits):
    composer = Composer(all_digits, seed=11, kinds={"white": 2, "touching": 1})
    answers, recalls = read_strings(judging, composer, 4, jobs=1)
    assert [one.kind for one in recalls] == [composer.nth(number).kind for number in range(4)]
    for judge, own in zip(judging, answers, strict=True):
        assert len(own) == 4
        for number, one in enumerate(own):
            composed = composer.nth(number)
            reading = judge.reader.read(composed.image)
            assert one.kind == composed.kind
            assert one.is_right == (reading.zip + reading.plus4 == composed.text)
            assert one.confidence == round(reading.confidence, 4)
            assert one.accepted == (one.confidence >= judge.least)
            assert (one.place == 0) == one.is_right


def test_clean_strings_have_whole_regions(judging, all_digits):
    composer = Composer(all_digits, seed=9, kinds={"white": 1})
    composed = [composer.nth(number) for number in range(4)]
    found = [recall(judging[0].line_reader.attempt(one.image), one) for one in composed]
    assert sum(one.at_centres for one in found) >= 3
    assert sum(one.as_read for one in found) >= 3


def test_a_digit_that_was_never_inked_has_no_whole_region(judging, all_digits):
    composed = Composer(all_digits, seed=9, kinds={"white": 1}).nth(0)
    page = np.where(composed.owners == 3, np.uint8(255), composed.image)
    found = recall(judging[0].line_reader.attempt(page), composed)
    assert not found.at_centres
    assert not found.as_read


@pytest.mark.real
def test_composed_pages_are_answered_as_the_reader_reads_them(all_digits):
    digits = all_digits.take(np.arange(600))
    composer = PageComposer(digits, seed=2, part="test", kinds={"printed_line": 1}, without_zip=0.0)
    judging = judges(load_model("mail"))
    answers = read_composed_pages(judging, composer, 3, jobs=1)
    for judge, own in zip(judging, answers, strict=True):
        assert [one.kind for one in own] == ["printed line"] * 3
        for number, one in enumerate(own):
            page = composer.nth(number)
            reading = judge.reader.read(page.image)
            assert one.is_right == (getattr(reading, "zip", "") == page.zip)
