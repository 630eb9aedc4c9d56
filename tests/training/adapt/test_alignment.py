from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from zipocr.classify.normalize import draw_regions
from zipocr.classify.svc import NON_DIGIT
from zipocr.errors import InputError
from zipocr.evaluation.labels import Label
from zipocr.segment.regions import divide
from zipocr.training.adapt.alignment import NON_DIGITS, align, align_pages, to_crops
from zipocr.training.benchmark.measure import judges
from zipocr.training.fit.region_samples import owners_of, true_centres
from zipocr.training.synthesis.compose import Composer
from zipocr.types import Reason, Unread


def label(file: str, text: str, page: int = 1, *, is_whole: bool = True) -> Label:
    digits = text.replace("-", "")
    return Label(
        file=file, page=page, truth=digits, is_whole=is_whole, drawn="", columns={}, where=""
    )


@pytest.fixture(scope="module")
def judging(tiny):
    return judges(tiny.model)


@pytest.fixture(scope="module")
def reader(judging):
    return judging[0].line_reader


@pytest.fixture(scope="module")
def seen(reader, all_digits):
    """A few composed strings and how they are read."""
    composer = Composer(all_digits, seed=400, kinds={"plain": 1})
    return [(one, reader.attempt(one.image)) for one in map(composer.nth, range(4))]


def test_pages_without_a_zip_teach_nothing_and_four_more_digits_count(tmp_path: Path):
    ones = [label("b.png", "02108-1234"), label("a.tif", "94110", page=2), label("c.png", "")]
    crops = to_crops(ones, tmp_path)
    found = [
        (crop.path, crop.page, crop.truth.zip, crop.truth.plus4, crop.truth.kind) for crop in crops
    ]
    assert found == [
        (tmp_path / "a.tif", 2, "94110", "", "a.tif"),
        (tmp_path / "b.png", 1, "02108", "1234", "b.png"),
    ]


def test_the_regions_found_are_the_digits_that_were_written(reader, seen):
    right = total = 0
    for composed, attempt in seen:
        samples = align(reader, attempt, composed.text)
        page, count = attempt.prepared.ink, len(composed.text)
        assert samples is not None
        assert samples.labels[:count].tolist() == [int(letter) for letter in composed.text]
        centres = true_centres(page, owners_of(composed), count)
        regions = divide(page.components, page.text_height, centres, cuts=1).regions
        alike = samples.bitmaps[:count] == draw_regions(page, regions)
        right += alike.all(axis=(1, 2)).sum()
        total += count
    assert right >= 0.8 * total


def test_what_is_no_digit_comes_last_the_likeliest_to_be_mistaken_first(reader, seen):
    for composed, attempt in seen:
        samples = align(reader, attempt, composed.text)
        assert samples is not None
        others = samples.bitmaps[len(composed.text) :]
        assert 0 < len(others) <= NON_DIGITS
        assert (samples.labels[len(composed.text) :] == NON_DIGIT).all()
        likely = np.logaddexp.reduce(reader.classify(others), axis=1)
        assert (np.diff(likely) <= 0).all()


def test_a_zip_that_the_ink_does_not_show_teaches_nothing(reader, seen):
    for composed, attempt in seen:
        other = composed.text * 2 if len(composed.text) < 9 else composed.text[:5]
        assert align(reader, attempt, other[:9]) is None


def test_a_page_without_a_line_teaches_nothing(reader, seen):
    _, attempt = seen[0]
    unread = replace(attempt, line=None, fused=None, reading=Unread(reason=Reason.NO_INK))
    assert align(reader, unread, "02108") is None
    assert (
        align(reader, replace(unread, prepared=replace(attempt.prepared, ink=None)), "02108")
        is None
    )


def test_pages_are_read_in_their_order_and_missing_ones_are_told(tmp_path: Path, judging, seen):
    labels = []
    for number, (composed, _) in enumerate(seen[:2]):
        cv2.imwrite(str(tmp_path / f"{number}.png"), composed.image)
        labels.append(label(f"{number}.png", composed.text))
    labels += [label("0.png", "02108", page=2), label("gone.png", "02108")]
    steps: list[None] = []
    crops = to_crops(labels, tmp_path)
    aligned = align_pages(judging, crops, jobs=1, advance=lambda: steps.append(None))
    assert len(steps) == len(crops)
    assert [one is None for one in aligned] == [False, True, False, True]
    for one, (composed, attempt) in zip((aligned[0], aligned[2]), seen, strict=False):
        expected = align(judging[0].line_reader, attempt, composed.text)
        assert one is not None
        assert one.samples is not None
        assert expected is not None
        assert attempt.line is not None
        assert one.text == composed.text
        assert np.array_equal(one.samples.bitmaps, expected.bitmaps)
        assert np.array_equal(one.features, attempt.line.features)
        readings = [judge.line_reader.read(composed.image) for judge in judging]
        confidences = [round(reading.confidence, 4) for reading in readings]
        assert [answer.confidence for answer in one.answers] == confidences


@pytest.mark.posix
def test_a_page_that_a_name_or_a_link_leads_out_to_is_refused(tmp_path: Path):
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.png").touch()
    (tmp_path / "in" / "link.png").symlink_to(tmp_path / "secret.png")
    for name in ("../secret.png", "link.png", str(tmp_path / "secret.png")):
        with pytest.raises(InputError, match="leads out of"):
            to_crops([label(name, "02108")], tmp_path / "in")
