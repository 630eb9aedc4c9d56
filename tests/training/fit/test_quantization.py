import numpy as np
import pytest
from floating import features_of

from zipocr.line.network import (
    COLUMNS,
    FIRST,
    INPUT_CHANNELS,
    Network,
    array_names,
    array_shapes,
    layers_of,
    ranges_name,
    round_kernels,
)
from zipocr.training.fit.quantization import quantize, rounding_bias


def trained(seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights and biases of the first network."""
    rng = np.random.default_rng(seed)
    shapes = array_shapes(FIRST)
    weights, biases = (array_names(kind) for kind in ("weights", "biases"))
    found = {name: rng.normal(0, 0.1, shapes[name]).astype(np.float32) for name in biases}
    return found | {
        name: rng.normal(0, np.sqrt(2 / shapes[name][1]), shapes[name]).astype(np.float16)
        for name in weights
    }


def lines(count: int, seed: int = 1) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (2, 32, 80)).astype(np.uint8) for _ in range(count)]


def test_a_quantized_network_has_all_arrays_of_a_model_file_and_the_weights_as_trained():
    arrays = trained()
    found = quantize(arrays, FIRST, lines(3))
    assert {name: one.shape for name, one in found.items()} == array_shapes(FIRST)
    for name in array_names("weights"):
        assert found[name] is arrays[name]
    assert np.array_equal(found["network_out_biases"], arrays["network_out_biases"])


def test_features_of_a_quantized_network_are_near_those_in_floating_point():
    arrays = trained()
    found = quantize(arrays, FIRST, lines(40))
    (pixels,) = lines(1, seed=2)
    expected = features_of(arrays, pixels)
    seen = Network.from_arrays(found).features(pixels)
    assert np.abs(seen - expected).mean() < 0.05 * expected[expected > 0].mean()
    assert np.corrcoef(seen.ravel(), expected.ravel())[0, 1] > 0.99


def test_the_range_of_a_layer_is_its_largest_activation_on_nearly_all_lines():
    arrays, some = trained(), lines(30)
    tops = sorted(features_of(arrays, pixels).max() for pixels in some)
    assert tops[-2] < quantize(arrays, FIRST, some)[ranges_name(FIRST)][-1] < tops[-1]


def test_biases_make_up_for_the_mean_error_of_rounded_weights():
    rng = np.random.default_rng(0)
    kernels = rng.normal(size=(4, 3, 1, COLUMNS)).astype(np.float32)
    weights, steps = round_kernels(kernels)
    inputs = [rng.random((1, 3, 1, 50)).astype(np.float32) + 1 for _ in range(5)]
    rounded = weights * steps[:, None, None, None]

    def mean(own: np.ndarray) -> np.ndarray:
        windows = [np.lib.stride_tricks.sliding_window_view(one[0, :, 0], 3, 1) for one in inputs]
        return np.mean([np.einsum("ck,oc...k->o...", w.mean(1), own)[:, 0] for w in windows], 0)

    error = mean(rounded) - mean(kernels)
    assert rounding_bias(kernels, inputs) == pytest.approx(error, abs=0.01)
    assert np.abs(error).max() > 0.01


def test_weights_are_multiples_of_a_step_that_16_bit_sums_of_two_products_can_hold():
    kernels = np.zeros((2, INPUT_CHANNELS, 3, COLUMNS), np.float32)
    kernels[0, 0, 0] = -1.0, 0.49, 0.26
    weights, steps = round_kernels(kernels)
    assert weights[0, 0, 0].tolist() == [-63, 31, 16]
    assert steps[0] == pytest.approx(1 / 63)
    assert 2 * 255 * np.abs(weights.astype(int)).max() < 1 << 15
    assert not weights[1].any()
    assert steps[1] > 0


def test_a_quantized_network_has_corrected_biases():
    arrays, some = trained(), lines(10)
    found = quantize(arrays, FIRST, some)
    _, kernels, biases = next(iter(layers_of(arrays, FIRST)))
    shown = [pixels[None] / np.float32(255) for pixels in some]
    expected = biases - rounding_bias(kernels, shown)
    assert found["network_1_biases"] == pytest.approx(expected, abs=1e-6)
    assert np.abs(expected - biases).max() > 1e-4


def test_a_channel_of_tiny_weights_keeps_its_bias():
    arrays = trained()
    arrays["network_1_weights"][0] = 1e-7
    arrays["network_1_biases"][0] = 0.5
    found = quantize(arrays, FIRST, lines(3))
    (pixels,) = lines(1, seed=2)
    expected = features_of(arrays, pixels)
    seen = Network.from_arrays(found).features(pixels)
    assert np.abs(seen - expected).mean() < 0.05 * expected[expected > 0].mean()
