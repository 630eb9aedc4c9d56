import numpy as np
import pytest

from zipocr.classify.gate import Gate, gate_evidence
from zipocr.classify.svc import NON_DIGIT, Classifier
from zipocr.normalize import to_grids
from zipocr.training.fit import GATE_LOSS, fit_gate


@pytest.fixture(scope="module")
def seen(tiny):
    held = tiny.held
    return Classifier.from_model(tiny.model).features(held.bitmaps, to_grids(held.bitmaps)), held.geometry, held.labels != NON_DIGIT


def test_hardly_a_digit_is_kept_out_and_most_non_digits_are(tiny, seen):
    features, geometry, is_digit = seen
    passed = Gate.from_model(tiny.model).odds(features, geometry) > 0
    assert (~passed[is_digit]).mean() <= GATE_LOSS + 1 / is_digit.sum()
    assert passed[~is_digit].mean() < 0.5


def test_a_gate_is_fitted_the_same_every_time(tiny, seen):
    features, geometry, _ = seen
    first, again = (fit_gate(features, geometry, tiny.held.labels) for _ in range(2))
    assert np.array_equal(first, again)
    assert first == pytest.approx(tiny.model.arrays["gate"], rel=0.01, abs=0.01)


def test_evidence_is_the_same_for_a_region_whatever_others_there_are(seen):
    features, geometry, _ = seen
    whole = gate_evidence(features, geometry)
    assert whole.dtype == np.float32
    assert np.array_equal(gate_evidence(features[7:9], geometry[7:9]), whole[7:9])
