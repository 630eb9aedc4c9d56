import hashlib
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import correlate

from zipocr.line.network import (
    CLASSES,
    COLUMNS,
    FIRST,
    INPUT_CHANNELS,
    LAYERS,
    PIXELS_PER_STEP,
    SECOND,
    Layer,
    Network,
    array_names,
    ranges_name,
)
from zipocr.training.fit.quantization import quantize
from zipocr.types import Model


def arrays(seed: int = 0, network: str = FIRST) -> dict[str, np.ndarray]:
    """Random weights, scaled so that activations keep their magnitude from layer to layer."""
    rng = np.random.default_rng(seed)
    found, before = {}, INPUT_CHANNELS
    (*weights, out), (*biases, last) = (
        array_names(kind, network) for kind in ("weights", "biases")
    )
    for name, bias, layer in zip(weights, biases, LAYERS[network], strict=True):
        size = before * layer.rows * COLUMNS
        found[name] = (rng.normal(size=(layer.channels, size)) * np.sqrt(2 / size)).astype(
            np.float16
        )
        found[bias] = rng.normal(size=layer.channels).astype(np.float32) * 0.1
        before = layer.channels
    found[out] = rng.normal(size=(CLASSES, before // 2)).astype(np.float16)
    found[last] = rng.normal(size=CLASSES).astype(np.float32)
    return quantize(found, network, strips(16, 60, 112))


def reference_layer(
    image: np.ndarray, weights: np.ndarray, bias: np.ndarray, layer: Layer, largest: float
) -> np.ndarray:
    """One layer, computed with scipy's correlation and plain max pooling.

    Weights are rounded to 63 steps in either direction, and outputs to 255 up to the largest.
    """
    kernels = (
        weights.astype(float)
        .reshape(layer.channels, layer.rows, COLUMNS, len(image))
        .transpose(0, 3, 1, 2)
    )
    steps = np.abs(kernels).max(axis=(1, 2, 3), keepdims=True) / 63
    kernels = np.rint(kernels / steps) * steps
    down, (rows, columns) = layer.padding, layer.pool
    padded = np.pad(image, ((0, 0), (down, down), (1, 1)))
    out = np.concatenate(
        [correlate(padded, kernel, mode="valid", method="direct") for kernel in kernels]
    )
    out = np.clip(np.rint((out + bias[:, None, None]) / largest * 255), 0, 255) * largest / 255
    height, width = out.shape[1] // rows, out.shape[2] // columns
    return out.reshape(len(out), height, rows, width, columns).max(axis=(2, 4))


def strips(*widths: int) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (2, 32, width)).astype(np.uint8) for width in widths]


@pytest.mark.parametrize("network", [FIRST, SECOND])
@pytest.mark.parametrize("width", [16, 36, 112])
def test_features_match_a_reference_implementation(width, network):
    (pixels,) = strips(width)
    found = arrays(network=network)
    image = pixels / 255
    for name, bias, layer, largest in zip(
        array_names("weights", network),
        array_names("biases", network),
        LAYERS[network],
        found[ranges_name(network)],
        strict=False,
    ):
        image = reference_layer(image, found[name], found[bias], layer, largest)
    channels = LAYERS[network][-1].channels
    assert image.shape == (channels, 1, width // PIXELS_PER_STEP)
    features = Network.from_arrays(found, network).features(pixels)
    # Each step of four columns holds two consecutive frames. Sums halfway between two steps may be
    # rounded either way, which changes sums of later layers.
    half = channels // 2
    step = found[ranges_name(network)][-1] / 255
    for frames, own in ((features[0::2], image[:half]), (features[1::2], image[half:])):
        away = np.abs(frames - own[:, 0].T) / step
        assert away.max() < 10
        assert away.mean() < 0.6


def test_frames_are_probabilities():
    network = Network.from_arrays(arrays())
    frames = network.frames(network.features(np.zeros((2, 32, 40), np.uint8)))
    assert frames.shape == (20, CLASSES)
    assert frames.dtype == np.float32
    assert (frames >= 0).all()
    assert frames.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_the_strip_is_not_changed():
    (pixels,) = strips(60)
    before = pixels.copy()
    Network.from_arrays(arrays()).features(pixels)
    assert np.array_equal(pixels, before)


def test_a_network_from_a_model_equals_one_from_its_arrays():
    (pixels,) = strips(60)
    model = Model(arrays={**arrays(), "gamma": np.array(1.0)}, card={})
    found = Network.from_model(model).features(pixels)
    assert np.array_equal(found, Network.from_arrays(arrays()).features(pixels))


@pytest.mark.parametrize("name", [FIRST, SECOND])
def test_a_pickled_network_gives_bit_identical_features(name):
    (pixels,) = strips(60)
    network = Network.from_arrays(arrays(network=name), name)
    again = pickle.loads(pickle.dumps(network))
    assert np.array_equal(again.features(pixels), network.features(pixels))


def test_features_are_bit_identical_whatever_is_read_before_or_concurrently():
    lines = strips(*range(16, 176, 8))
    network = Network.from_arrays(arrays())
    alone = [Network.from_arrays(arrays()).features(line) for line in lines]
    with ThreadPoolExecutor(4) as threads:
        orders = [
            [network.features(line) for line in lines],
            [network.features(line) for line in reversed(lines)][::-1],
            list(threads.map(network.features, lines)),
        ]
    for found in orders:
        assert all(map(np.array_equal, found, alone))


# Prints a hash of an unpickled network's features and the number of threads it started.
FRESH = """
import hashlib, os, pickle, sys
from pathlib import Path

def threads():
    return len(os.listdir("/proc/self/task")) if Path("/proc/self/task").exists() else 0

import numpy as np
import zipocr.line.network
before = threads()
network, pixels = pickle.loads(sys.stdin.buffer.read())
print(hashlib.sha256(network.features(pixels).tobytes()).hexdigest(), threads() - before)
"""


def test_a_new_process_gives_the_same_features_without_threads_output_or_files(
    tmp_path: Path,
):
    (pixels,) = strips(60)
    network = Network.from_arrays(arrays())
    homes = {
        name: str(tmp_path)
        for name in ("HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_CACHE_HOME", "TMPDIR")
    }
    environment = {
        name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"
    } | homes
    command, data = [sys.executable, "-W", "error", "-c", FRESH], pickle.dumps((network, pixels))
    done = subprocess.run(
        command, check=True, capture_output=True, env=environment, input=data, timeout=60
    )
    digest = hashlib.sha256(network.features(pixels).tobytes()).hexdigest()
    assert done.stdout.decode().split() == [digest, "0"]
    assert done.stderr == b""
    assert not any(tmp_path.iterdir())
