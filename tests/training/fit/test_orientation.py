import numpy as np
import pytest

from zipocr.decode.orientation import CERTAIN, OrientationModel
from zipocr.line.network import CLASS_FEATURES
from zipocr.models.model_file import SHAPES
from zipocr.preprocess.page import prepare
from zipocr.reader import Reader
from zipocr.training.fit.orientation import (
    NO_ORIENTATION,
    BothWays,
    fit_lines,
    fit_rotation,
    read_both_ways,
)
from zipocr.training.synthesis.compose import Composer
from zipocr.types import Model

FIRST = np.eye(1, CLASS_FEATURES, dtype=np.float32)[0]
LINE = OrientationModel(weights=FIRST, bias=0.5, confidence_slope=0.0, line_slope=0.0)


def pages(spread: float, *, sure: float, count: int = 200) -> list[BothWays]:
    """Pages whose first feature is 1 higher upright, and whose confidence is higher so."""
    rng, found = np.random.default_rng(0), []
    for _ in range(count):
        features = rng.normal(0, spread, (2, CLASS_FEATURES)).astype(np.float32)
        features[0, 0] += 1
        confidence = np.clip(rng.normal([sure, 0.5], 0.2), 0.01, 0.99)
        found.append(BothWays(class_features=features, confidence=confidence))
    return found


def test_before_it_is_fitted_no_page_is_turned():
    model = OrientationModel.from_model(Model(arrays=NO_ORIENTATION, card={}))
    assert model.log_odds(FIRST) >= CERTAIN
    assert all(NO_ORIENTATION[name].shape == SHAPES[name] for name in ("orientation", "rotation"))


def test_the_line_s_model_finds_what_upright_lines_show():
    fitted = fit_lines([page.class_features for page in pages(0.2, sure=0.5)])
    assert (fitted.shape, fitted.dtype) == (SHAPES["orientation"], np.float32)
    weights, bias = fitted[:-1], fitted[-1]
    assert weights.argmax() == 0
    assert bias == pytest.approx(-weights[0] / 2, rel=0.3)


def test_what_tells_the_ways_apart_has_a_slope_of_its_own():
    by_confidence = fit_rotation(pages(5.0, sure=0.8), LINE)
    by_line = fit_rotation(pages(0.5, sure=0.5), LINE)
    assert by_confidence.shape == by_line.shape == SHAPES["rotation"]
    assert by_confidence[0] > 0.2 > abs(by_confidence[1])
    assert by_line[1] > 0.5 > abs(by_line[0])


def test_a_model_that_points_the_wrong_way_gets_a_slope_below_zero():
    turned = OrientationModel(weights=-FIRST, bias=0.5, confidence_slope=0.0, line_slope=0.0)
    slopes, wrong = (fit_rotation(pages(0.5, sure=0.5), line) for line in (LINE, turned))
    assert wrong == pytest.approx([slopes[0], -slopes[1]], abs=1e-3)


def test_pages_are_read_as_they_are_and_upside_down(tiny, all_digits):
    composer = Composer(all_digits, seed=31, kinds={"plain": 1})
    found = read_both_ways(tiny.model, composer, [2, 0], jobs=1)
    reader = Reader(tiny.model, use_directory=False)
    assert len(found) == 2
    for number, page in zip([2, 0], found, strict=True):
        upright = prepare(composer.nth(number).image)
        for way, prepared in enumerate((upright, upright.rotated_180())):
            (attempt,) = reader.read_upright([prepared])
            assert page.confidence[way] == attempt.confidence
            assert attempt.line is not None
            assert np.array_equal(page.class_features[way], attempt.line.class_features)


def test_the_fitted_arrays_fit_a_model(tiny):
    for name in NO_ORIENTATION:
        assert tiny.model.arrays[name].shape == SHAPES[name]
        assert np.isfinite(tiny.model.arrays[name]).all()
        assert not np.array_equal(tiny.model.arrays[name], NO_ORIENTATION[name])
