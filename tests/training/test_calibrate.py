from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zipocr.decode.confidence import posterior
from zipocr.decode.strings import Candidate
from zipocr.model_file import ARRAYS
from zipocr.reader import Reader
from zipocr.training.calibrate import Verdict, choose_threshold, confidences, fit_confidence, fit_temperature, judge, mail_weights
from zipocr.training.compose import Composer

answers = st.lists(st.tuples(st.floats(0, 0.9999), st.booleans(), st.sampled_from([0.1, 1.0, 2.5])), min_size=1, max_size=60)


def competition(rng: np.random.Generator, temperature: float) -> Verdict:
    """Strings with random scores, and a truth drawn as it would be if the scores were that much too sure."""
    worth = np.sort(rng.normal(0, 3, 6))[::-1]
    ranked = tuple(Candidate(text=f"{place:05d}", edges=(0, 1, 2, 3, 4), score=float(score)) for place, score in enumerate(worth))
    shares = posterior(ranked, temperature).astype(float)
    truth = int(rng.choice(6, p=shares / shares.sum()))
    return Verdict(evidence=np.zeros(1, np.float32), ranked=ranked, truth=f"{truth:05d}")


def verdict(evidence: list[float], *, right: bool) -> Verdict:
    best = Candidate(text="02108", edges=(0, 1, 2, 3, 4), score=0.0)
    return Verdict(evidence=np.array(evidence, np.float32), ranked=(best,), truth="02108" if right else "02109")


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.0])
def test_a_known_temperature_is_found_again(temperature):
    rng = np.random.default_rng(0)
    verdicts = [competition(rng, temperature) for _ in range(1500)]
    assert fit_temperature(verdicts) == pytest.approx(temperature, rel=0.15)


def test_a_verdict_is_right_when_the_best_string_is_the_one_written():
    assert verdict([0.0], right=True).is_right
    assert not verdict([0.0], right=False).is_right


def test_confidence_rises_with_evidence_that_goes_with_being_right():
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(800, 2))
    verdicts = [verdict(row.tolist(), right=bool(rng.random() < 1 / (1 + np.exp(-3 * row[0])))) for row in seen]
    fitted = fit_confidence(verdicts, np.ones(len(verdicts)))
    assert fitted.shape == (3,)
    assert fitted[0] > 5 * abs(fitted[1])
    sure = confidences(verdicts, fitted)
    assert ((sure >= 0) & (sure <= 1)).all()
    right = np.array([one.is_right for one in verdicts])
    assert sure.mean() == pytest.approx(right.mean(), abs=0.02)
    assert sure[right].mean() > sure[~right].mean() + 0.3


@given(answers, st.sampled_from([0.0, 0.01, 0.1, 0.3]))
def test_no_more_than_the_bound_is_wrong_among_the_accepted(found, error):
    sure, right, weights = (np.array(column) for column in zip(*found, strict=True))
    threshold = choose_threshold(sure, right.astype(bool), weights, error)
    accepted = np.round(sure, 4) >= threshold
    assert 0 <= threshold <= 1
    assert weights[accepted & ~right].sum() <= error * weights[accepted].sum() + 1e-9


@given(answers)
def test_the_threshold_has_no_more_decimals_than_a_row_shows(found):
    sure, right, weights = (np.array(column) for column in zip(*found, strict=True))
    threshold = choose_threshold(sure, right.astype(bool), weights)
    assert threshold == round(threshold, 4)


def test_the_threshold_accepts_all_it_may():
    sure = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    right = np.array([True, True, False, True, True, False])
    assert choose_threshold(sure, right, np.ones(6), 0.0) == pytest.approx(0.8)
    assert choose_threshold(sure, right, np.ones(6), 0.2) == pytest.approx(0.5)
    assert choose_threshold(sure, right, np.ones(6), 0.5) == pytest.approx(0.4)


def test_a_wrong_string_counts_as_much_as_it_weighs():
    sure, right = np.array([0.9, 0.8, 0.7]), np.array([True, False, True])
    assert choose_threshold(sure, right, np.array([1.0, 0.1, 1.0]), 0.1) == pytest.approx(0.7)
    assert choose_threshold(sure, right, np.array([1.0, 2.0, 1.0]), 0.1) == pytest.approx(0.9)


def test_equally_sure_readings_are_accepted_together_or_not_at_all():
    sure, right = np.array([0.95, 0.9, 0.9, 0.3]), np.array([True, True, False, False])
    assert choose_threshold(sure, right, np.ones(4), 0.0) == pytest.approx(0.95)


def test_where_all_are_right_all_are_accepted_and_where_all_are_wrong_none():
    sure = np.linspace(0.2, 0.9, 8)
    assert choose_threshold(sure, np.ones(8, bool), np.ones(8)) == pytest.approx(0.2)
    assert choose_threshold(sure, np.zeros(8, bool), np.ones(8)) == 1.0


def test_unlisted_strings_weigh_as_little_as_they_are_rare_on_mail():
    verdicts = [replace(verdict([0.0], right=True), truth=text) for text in ["02108", "90210", "60614", "00000", "00001", "00002", "00003"]]
    weights = mail_weights(verdicts)
    assert weights.sum() == pytest.approx(len(verdicts))
    assert 0.001 < weights[3:].sum() / weights.sum() < 0.1
    assert np.ptp(weights[:3]) == pytest.approx(0)
    assert mail_weights(verdicts[:3]) == pytest.approx(np.ones(3))


def test_confidence_follows_the_strings_that_weigh_more():
    rng = np.random.default_rng(0)
    verdicts = [verdict([float(place % 2)], right=bool(rng.random() < 0.5 + 0.4 * (place % 2))) for place in range(400)]
    right = np.array([one.is_right for one in verdicts])
    doubting, trusting = (fit_confidence(verdicts, np.where(right, weight, 1.0)) for weight in (0.3, 3.0))
    assert confidences(verdicts, doubting).mean() < confidences(verdicts, trusting).mean() - 0.1


def test_calibration_completes_a_model(tiny):
    assert set(tiny.model.arrays) == set(ARRAYS)
    assert tiny.model.arrays["confidence_listed"].shape == tiny.model.arrays["confidence_unlisted"].shape
    assert all(np.isfinite(tiny.model.arrays[name]).all() for name in ("temperature", "confidence_listed", "confidence_unlisted"))
    assert tiny.model.arrays["temperature"] > 0
    assert all(0 <= tiny.facts[name] <= 1 for name in ("min_confidence", "read with the directory", "read without it"))


def test_the_tiny_model_reads_most_strings_like_those_it_learnt(tiny):
    assert tiny.facts["read without it"] > 0.5


def test_judging_reads_the_strings_asked_for_with_and_without_the_directory(tiny, all_digits):
    composer = Composer(all_digits, seed=11, kinds={"white": 1})
    found = judge(tiny.model, composer, [2, 0], jobs=1)
    assert [[one.truth for one in pair] for pair in found] == [[composer.nth(number).text] * 2 for number in (2, 0)]
    for place, used in enumerate((True, False)):
        reader = Reader(tiny.model, use_directory=used)
        assert [pair[place].ranked[0].text for pair in found] == [reader.read(composer.nth(number).image).zip for number in (2, 0)]


def test_judging_again_comes_to_the_same_verdicts(tiny, all_digits):
    composer = Composer(all_digits, seed=11, kinds={"touching": 1})
    one, other = (judge(tiny.model, composer, range(2), jobs=1) for _ in range(2))
    assert one
    for before, after in zip(chain(*one), chain(*other), strict=True):
        assert before.ranked == after.ranked
        assert np.array_equal(before.evidence, after.evidence)
