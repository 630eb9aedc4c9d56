from dataclasses import replace

import cv2
import numpy as np
import pytest
from drawings import lay, write

from zipocr.decode.fusion import fusion_features
from zipocr.reader import Attempt, Reader
from zipocr.training.benchmark.ablation import PARTS, AblatedReader, ablate
from zipocr.training.benchmark.measure import Crop, Truth
from zipocr.training.synthesis.compose import Composer
from zipocr.types import GrayImage, Model, Reason, Unread


@pytest.fixture(scope="module")
def page(all_digits) -> GrayImage:
    return Composer(all_digits, seed=21, kinds={"touching": 1}).nth(0).image


def scores(model: Model, without: str, page: GrayImage) -> tuple[np.ndarray, np.ndarray]:
    """Features and scores of the strings of a page."""
    fused = AblatedReader(model, without=without, use_directory=False).attempt(page).fused
    assert fused is not None
    features = np.array([fusion_features(one) for one in fused.without_prior])
    return features, np.array([one.score for one in fused.without_prior])


KEPT = {"network's say": [0, 1, 1, 1], "support vectors' say": [1, 0, 0, 1]}


@pytest.mark.parametrize(("part", "kept"), KEPT.items())
def test_a_reader_that_has_no_say_counts_nothing(tiny, page, part, kept):
    model = replace(
        tiny.model, arrays={**tiny.model.arrays, "fusion": np.array([1.0, 2.0, 3.0, 4.0])}
    )
    features, found = scores(model, part, page)
    assert found == pytest.approx(features @ (np.array([1, 2, 3, 4]) * kept))


@pytest.fixture(scope="module")
def attempt(tiny, page) -> Attempt:
    return Reader(tiny.model).attempt(page)


def test_without_a_second_pass_no_doubt_makes_the_network_read_twice(tiny, attempt, monkeypatch):
    monkeypatch.setattr(Reader, "confidence", lambda *_: 0.5)
    assert attempt.fused is not None
    assert attempt.line is not None
    doubtful = attempt.line, replace(attempt.fused, ranked=(attempt.fused.best,) * 2)
    assert Reader(tiny.model).needs_second_pass(*doubtful)
    assert not AblatedReader(tiny.model, without="second pass").needs_second_pass(*doubtful)
    assert AblatedReader(tiny.model, without="network's say").needs_second_pass(*doubtful)


def test_without_other_orientations_a_page_in_doubt_is_read_as_it_is(tiny, attempt):
    unread = Unread(reason=Reason.NOT_FIVE_DIGITS)
    tall = replace(attempt.prepared, page=np.full((90, 40), 255, np.uint8))
    doubtful = replace(attempt, prepared=tall, fused=None, reading=unread)
    found = [one.rotation for one in Reader(tiny.model).quarter_turns(doubtful)]
    ablated = AblatedReader(tiny.model, without="other orientations")
    assert found == [90, 270]
    assert list(ablated.quarter_turns(doubtful)) == []
    without_line = replace(doubtful, line=None)
    assert Reader(tiny.model).may_be_upside_down(without_line)
    assert not ablated.may_be_upside_down(without_line)


def ink(reader: Reader, page: GrayImage) -> np.ndarray:
    """The cleaned ink of a page as it came."""
    attempt = reader.attempt(page)
    assert attempt.prepared.ink is not None
    return np.rot90(attempt.prepared.ink.ink, attempt.rotation // 90)


def test_rules_are_left_where_they_are(tiny):
    written = write("02346", margin=30)
    cover = written.cover.copy()
    cover[-12:-8] = 1
    page = lay(cover, 235)
    left = ink(AblatedReader(tiny.model, without="removal of rules"), page)
    for gone in (Reader(tiny.model), AblatedReader(tiny.model, without="second pass")):
        assert ink(gone, page)[-10:].any(axis=0).mean() < 0.1
    assert left[-10:].any(axis=0).mean() > 0.9


def test_gaps_are_left_as_they_are(tiny):
    written = write("00000")
    cover = written.cover.copy()
    cover[41:44, written.boxes[2].left : written.boxes[2].right] = 0
    page = lay(cover, 235)
    whole = ink(Reader(tiny.model), page)
    broken = ink(AblatedReader(tiny.model, without="bridging of gaps"), page)
    count = [cv2.connectedComponents(one.astype(np.uint8))[0] - 1 for one in (whole, broken)]
    assert count == [5, 6]


def test_ablating_answers_every_crop_without_every_part(tiny, tmp_path):
    cv2.imwrite(str(tmp_path / "page.png"), lay(write("02346").cover, 235))
    truths = [Truth(zip=text, plus4=None, kind="") for text in ("02346", "", "02347")]
    crops = [Crop(path=tmp_path / "page.png", page=1, truth=truth) for truth in truths]
    found = ablate(tiny.model, crops, jobs=1)
    assert [*found] == [*PARTS]
    for answers in found.values():
        for one in answers:
            assert len(one) == 2
            assert not all(answer.is_right for answer in one)
