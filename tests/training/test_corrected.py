from pathlib import Path

import cv2
import numpy as np
import pytest

from zipocr.classify.svc import NON_DIGIT
from zipocr.corrections import Decision, Drawn, Verdict
from zipocr.errors import InputError
from zipocr.training.compose import Composer
from zipocr.training.corrected import NON_DIGITS, study, to_crops, to_samples
from zipocr.training.gather import owners_of
from zipocr.training.measure import judges
from zipocr.training.truth import label_regions
from zipocr.types import MOST_DIGITS

TIME = "2026-01-31T12:00:00+00:00"


def decision(file: str, text: str, page: int = 1) -> Decision:
    verdict = Verdict.CORRECTED if text else Verdict.NOT_A_ZIP
    return Decision(file=file, page=page, read_zip="", zip=text, decision=verdict, drawn=Drawn.DOUBT, time=TIME)


@pytest.fixture(scope="module")
def judging(tiny):
    return judges(tiny.model)


@pytest.fixture(scope="module")
def seen(judging, all_digits):
    """A few composed strings and how they are looked at."""
    composer = Composer(all_digits, seed=400, kinds={"plain": 1})
    found = [composer.nth(number) for number in range(6)]
    return [(one, judging[0].reader.look(judging[0].reader.open(one.image))) for one in found]


def test_pages_without_a_zip_teach_nothing_and_four_more_digits_count(tmp_path: Path):
    ones = [decision("b.png", "02108-1234"), decision("a.tif", "94110", page=2), decision("c.png", "")]
    crops = to_crops({(one.file, one.page): one for one in ones}, tmp_path)
    found = [(crop.path, crop.page, crop.truth.zip, crop.truth.plus4, crop.truth.kind) for crop in crops]
    assert found == [(tmp_path / "a.tif", 2, "94110", "", "a.tif"), (tmp_path / "b.png", 1, "02108", "1234", "b.png")]


def test_the_regions_found_are_the_digits_that_were_written(seen):
    right = total = 0
    for composed, views in seen:
        samples = to_samples(views, composed.text)
        assert samples is not None
        digits = samples.labels[samples.labels != NON_DIGIT]
        assert digits.tolist() == [int(letter) for letter in composed.text]
        assert (samples.labels == NON_DIGIT).sum() <= NON_DIGITS
        view = max(views, key=lambda one: len(one.bitmaps))
        places = label_regions(view.seen, owners_of(composed))
        for place, bitmap in enumerate(samples.bitmaps[: len(digits)]):
            same = np.flatnonzero((view.bitmaps == bitmap).all(axis=(1, 2)))
            right += bool(len(same)) and place in places[same].tolist()
            total += 1
    assert right >= 0.8 * total


def test_what_is_no_digit_is_a_piece_or_more_than_one(seen):
    for composed, views in seen:
        samples = to_samples(views, composed.text)
        assert samples is not None
        view = max(views, key=lambda one: len(one.bitmaps))
        places = label_regions(view.seen, owners_of(composed))
        for bitmap in samples.bitmaps[samples.labels == NON_DIGIT]:
            same = np.flatnonzero((view.bitmaps == bitmap).all(axis=(1, 2)))
            assert not len(same) or (places[same] < MOST_DIGITS).any()


def test_a_zip_that_cannot_stand_there_teaches_nothing(seen):
    for composed, views in seen:
        assert to_samples(views, composed.text * 2 if len(composed.text) < 9 else composed.text[:5]) is None
    assert to_samples([], "02108") is None


def test_pages_are_read_and_taken_apart_in_their_order_and_missing_ones_are_told(tmp_path: Path, judging, seen):
    decisions = {}
    for number, (composed, _) in enumerate(seen[:2]):
        cv2.imwrite(str(tmp_path / f"{number}.png"), composed.image)
        text = composed.text
        one = decision(f"{number}.png", text if len(text) == 5 else f"{text[:5]}-{text[5:]}")
        decisions[one.file, one.page] = one
    for gone in (decision("0.png", "02108", page=2), decision("gone.png", "02108")):
        decisions[gone.file, gone.page] = gone
    lessons = study(judging, to_crops(decisions, tmp_path), jobs=1)
    assert [lesson is None for lesson in lessons] == [False, True, False, True]
    for lesson, (composed, views) in zip((lessons[0], lessons[2]), seen, strict=False):
        assert lesson is not None
        assert lesson.samples is not None
        expected = to_samples(views, composed.text)
        assert expected is not None
        assert np.array_equal(lesson.samples.bitmaps, expected.bitmaps)
        reading, _ = judging[1].reader.answer(views)
        assert lesson.answers[1].confidence == round(reading.confidence, 4)


def test_a_page_that_a_name_or_a_link_leads_out_to_is_refused(tmp_path: Path):
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.png").touch()
    (tmp_path / "in" / "link.png").symlink_to(tmp_path / "secret.png")
    for name in ("../secret.png", "link.png", str(tmp_path / "secret.png")):
        one = decision(name, "02108")
        with pytest.raises(InputError, match="leads out of"):
            to_crops({(one.file, one.page): one}, tmp_path / "in")
