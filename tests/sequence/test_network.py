from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import correlate

from zipocr.sequence.network import CLASSES, COLUMNS, FEATURES, LAYERS, PIXELS_PER_STEP, PLANES, Layer, Network, array_names
from zipocr.types import Model


def arrays(seed: int = 0) -> dict[str, np.ndarray]:
    """A network of random weights that keeps values of one size from layer to layer."""
    rng = np.random.default_rng(seed)
    found, before = {}, PLANES
    for name, bias, layer in zip(array_names("weights"), array_names("biases"), LAYERS, strict=False):
        size = before * layer.rows * COLUMNS
        found[name] = (rng.normal(size=(layer.channels, size)) * np.sqrt(2 / size)).astype(np.float16)
        found[bias] = rng.normal(size=layer.channels).astype(np.float32) * 0.1
        before = layer.channels
    found[array_names("weights")[-1]] = rng.normal(size=(CLASSES, FEATURES)).astype(np.float16)
    found[array_names("biases")[-1]] = rng.normal(size=CLASSES).astype(np.float32)
    return found


def layer_by_hand(image: np.ndarray, weights: np.ndarray, bias: np.ndarray, layer: Layer) -> np.ndarray:
    """One layer by scipy's correlation and plain maxima."""
    kernels = weights.astype(float).reshape(layer.channels, layer.rows, COLUMNS, len(image)).transpose(0, 3, 1, 2)
    down, (rows, columns) = layer.padding, layer.pool
    padded = np.pad(image, ((0, 0), (down, down), (1, 1)))
    out = np.stack([sum(correlate(plane, part, mode="valid") for plane, part in zip(padded, kernel, strict=True)) for kernel in kernels])
    out = np.maximum(out + bias[:, None, None], 0)
    height, width = out.shape[1] // rows, out.shape[2] // columns
    return out.reshape(len(out), height, rows, width, columns).max(axis=(2, 4))


@pytest.mark.parametrize("width", [16, 36, 112])
def test_features_are_those_of_convolutions_by_another_hand(width):
    pixels = np.random.default_rng(1).integers(0, 256, (2, 32, width)).astype(np.uint8)
    found = arrays()
    image = pixels / 255
    for name, bias, layer in zip(array_names("weights"), array_names("biases"), LAYERS, strict=False):
        image = layer_by_hand(image, found[name], found[bias], layer)
    assert image.shape == (LAYERS[-1].channels, 1, width // PIXELS_PER_STEP)
    features = Network.from_arrays(found).features(pixels)
    # Each step of four columns holds two frames, one behind the other.
    assert features[0::2] == pytest.approx(image[:FEATURES, 0].T, rel=1e-3, abs=1e-4)
    assert features[1::2] == pytest.approx(image[FEATURES:, 0].T, rel=1e-3, abs=1e-4)


def test_frames_are_probabilities():
    network = Network.from_arrays(arrays())
    frames = network.frames(network.features(np.zeros((2, 32, 40), np.uint8)))
    assert frames.shape == (20, CLASSES)
    assert frames.dtype == np.float32
    assert (frames >= 0).all()
    assert frames.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_the_strip_is_not_changed():
    pixels = np.random.default_rng(2).integers(0, 256, (2, 32, 60)).astype(np.uint8)
    before = pixels.copy()
    Network.from_arrays(arrays()).features(pixels)
    assert np.array_equal(pixels, before)


def test_a_model_has_a_network_or_none():
    with_it = Model(arrays=arrays(), passport={})
    assert Network.from_model(with_it) is not None
    assert Network.from_model(replace(with_it, arrays={})) is None
