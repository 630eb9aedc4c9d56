import numpy as np
import pytest

from zipocr.decode.fusion import FEATURES, to_matrix
from zipocr.preprocess.page import prepare
from zipocr.reader import Reader
from zipocr.training.fit.fusion_weights import FusionSample, collect, fit_fusion
from zipocr.training.synthesis.compose import Composer


def samples(weights: np.ndarray, count: int) -> list[FusionSample]:
    """Strings of which one is drawn as the right one by weighing their features so."""
    rng, found = np.random.default_rng(0), []
    for _ in range(count):
        features = rng.normal(0, 1, (6, FEATURES))
        scores = features @ weights
        shares = np.exp(scores - np.logaddexp.reduce(scores))
        found.append(FusionSample(features=features, right=int(rng.choice(6, p=shares))))
    return found


@pytest.mark.parametrize("weights", [(0.7, 0.2, 0.5, -1.0), (2.0, 0.0, 1.0, 0.5)])
def test_the_weights_that_made_the_data_are_found_again(weights):
    assert fit_fusion(samples(np.array(weights), 3000)) == pytest.approx(weights, abs=0.12)


def test_a_feature_that_all_strings_share_has_no_weight():
    shared = [
        FusionSample(
            features=np.where(np.arange(FEATURES) == 1, 5.0, one.features), right=one.right
        )
        for one in samples(np.array([1.0, 0.0, 0.5, 0.0]), 500)
    ]
    assert fit_fusion(shared)[1] == pytest.approx(0, abs=1e-3)


def test_few_strings_pull_no_weight_far():
    sure = FusionSample(features=np.array([[1.0, 0, 0, 0], [0, 0, 0, 0]]), right=0)
    assert 1 < fit_fusion([sure])[0] < 10


def test_a_sample_has_the_features_of_all_strings_and_the_place_of_the_one_written(
    tiny, all_digits
):
    composer = Composer(all_digits, seed=21, kinds={"touching": 1})
    found = collect(tiny.model, composer, range(4), jobs=1)
    reader, expected = Reader(tiny.model, use_directory=False), []
    for number in range(4):
        composed = composer.nth(number)
        fused = reader.read_upright([prepare(composed.image)])[0].fused
        texts = [one.text for one in fused.ranked] if fused else []
        if fused and composed.text in texts:
            expected.append((to_matrix(fused.ranked), texts.index(composed.text)))
    assert expected
    assert [one.right for one in found] == [right for _, right in expected]
    for one, (features, _) in zip(found, expected, strict=True):
        assert np.array_equal(one.features, features)
