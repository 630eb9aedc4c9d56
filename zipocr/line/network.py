"""The line network: architecture and inference.

A fully convolutional network with one frame per two columns of the line image, each classified as a
character or blank (connectionist temporal classification, Graves et al., 2006). The deeper layers
work at a stride of four columns, which halves their cost; the last one splits each step into two
frames again. It is trained with PyTorch (see `zipocr.training.fit.network`) and run with ONNX
Runtime in 8-bit integer arithmetic (Jacob et al., 2018).

A model may contain a second and a third network, wider and deeper, for lines that the first one
leaves in doubt, and a network that reads the letters of a page's towns.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from zipocr.line.onnx_model import Operation, to_onnx
from zipocr.types import Floats, Model

BLANK = 0
# Classes 1 to 10 are the digits 0 to 9, followed by one for any other character.
FIRST_DIGIT = 1
OTHER = 11
CLASSES = 12
# Classes 1 to 26 of the network of letters are A to Z in either case, followed by one for digits.
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGIT = len(ALPHABET) + 1
INPUT_CHANNELS = 2
PIXELS_PER_FRAME = 2
# Stride of the deeper layers, and features of each of the two frames of a step in the first
# network.
PIXELS_PER_STEP = 4
FEATURES = 96
# Number of features of a line by class: those of each class but blank, and its number of frames.
CLASS_FEATURES = (CLASSES - 1) * (FEATURES + 1)
# Width of all kernels.
COLUMNS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A convolution with bias: `channels` kernels of `rows` by `COLUMNS`.

    It is followed by ReLU and max pooling over `pool` (rows, columns). Zero padding: `padding` rows
    above and below, one column on either side.
    """

    channels: int
    rows: int = 3
    padding: int = 0
    pool: tuple[int, int] = (1, 1)


FIRST, SECOND, THIRD = "network", "second_network", "third_network"
LETTERS = "letter_network"
"""Prefixes of the names of a network's arrays in a model file."""
OUTPUTS: Mapping[str, int] = {**dict.fromkeys((FIRST, SECOND, THIRD), CLASSES), LETTERS: DIGIT + 1}
"""Number of classes of each network."""
_WIDE = (
    Layer(channels=32, padding=1, pool=(2, 2)),
    Layer(channels=64, padding=1, pool=(2, 2)),
    Layer(channels=128, padding=1, pool=(2, 1)),
    Layer(channels=192, padding=1),
    Layer(channels=192, padding=1, pool=(2, 1)),
    Layer(channels=256, rows=2),
    Layer(channels=256, rows=1),
    Layer(channels=256, rows=1),
    Layer(channels=256, rows=1),
    Layer(channels=2 * FEATURES * PIXELS_PER_STEP // PIXELS_PER_FRAME, rows=1),
)
LAYERS: Mapping[str, tuple[Layer, ...]] = {
    FIRST: (
        Layer(channels=16, padding=1, pool=(2, 2)),
        Layer(channels=32, padding=1, pool=(2, 2)),
        Layer(channels=64, padding=1, pool=(2, 1)),
        Layer(channels=96, padding=1, pool=(2, 1)),
        Layer(channels=128, rows=2),
        Layer(channels=FEATURES * PIXELS_PER_STEP // PIXELS_PER_FRAME, rows=1),
    ),
    SECOND: _WIDE,
    THIRD: _WIDE,
    LETTERS: (
        Layer(channels=24, padding=1, pool=(2, 2)),
        Layer(channels=48, padding=1, pool=(2, 2)),
        Layer(channels=96, padding=1, pool=(2, 1)),
        Layer(channels=128, padding=1, pool=(2, 1)),
        Layer(channels=160, rows=2),
        Layer(channels=160, rows=1),
        Layer(channels=160, rows=1),
        Layer(channels=FEATURES * PIXELS_PER_STEP // PIXELS_PER_FRAME, rows=1),
    ),
}
"""From 32 rows to one; each frame has `FEATURES` features, or twice as many."""


MAX_ACTIVATION = 255
# The sum of two products of weights and activations fits into 16 bits, as some processors'
# instructions require.
MAX_WEIGHT = 63
# Weights of a channel that are all smaller count as zero.
MIN_WEIGHT = np.float32(1e-5)
# Bound of biases, which are 32-bit integers.
MAX_BIAS = 1 << 30
# Bounds of the largest activation of a layer.
MIN_RANGE, MAX_RANGE = 1e-6, 1e6
# Darkness of the pixel value 1.
PIXEL_STEP = np.float32(1 / 255)
_ZERO = np.array(0, np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    """The layers up to the features as an ONNX Runtime ``session``, and the output layer.

    ``arrays`` are those it was built from, with the prefix ``name``: a session is bound to its
    process, so unpickling rebuilds the network from them.
    """

    arrays: Mapping[str, NDArray[Any]]
    name: str
    session: Any
    class_weights: Floats
    class_biases: Floats

    @classmethod
    def from_model(cls, model: Model) -> Self:
        """Load the first network of a model file."""
        return cls.from_arrays(model.arrays)

    @classmethod
    def larger_from_model(cls, model: Model) -> list[Self]:
        """Load the second and the third network of a model file, as far as it has them."""
        found = {name: arrays_of(model.arrays, name) for name in (SECOND, THIRD)}
        return [cls.from_arrays(arrays, name) for name, arrays in found.items() if arrays]

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], name: str = FIRST) -> Self:
        """Build the network of this name from its arrays."""
        own = arrays_of(arrays, name)
        return cls(
            arrays=own,
            name=name,
            session=start_session(list(_operations(own, name))),
            class_weights=own[array_names("weights", name)[-1]].astype(np.float32),
            class_biases=own[array_names("biases", name)[-1]].astype(np.float32),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle only the arrays."""
        return type(self).from_arrays, (self.arrays, self.name)

    def features(self, pixels: NDArray[np.uint8]) -> Floats:
        """Return the features of a line image, the input of the output layer.

        (2, 32, W) uint8 -> (T, F), T = W / 2 frames.
        """
        (steps,) = self.session.run(None, {"0": neighbours(pixels)[None]})
        features: Floats = steps[0, :, 0].T.reshape(-1, self.class_weights.shape[1])
        return features

    def frames(self, features: Floats) -> Floats:
        """Return the class probabilities of each frame: (T, F) -> (T, C) float32."""
        # One class per row: maximum and sum over twelve long rows are far faster than over many
        # short ones.
        shares: Floats = self.class_weights @ features.T + self.class_biases[:, None]
        shares -= shares.max(axis=0)
        np.exp(shares, out=shares)
        shares /= shares.sum(axis=0)
        return np.ascontiguousarray(shares.T)


def array_names(kind: str, network: str = FIRST) -> tuple[str, ...]:
    """Return the names of a network's arrays in a model file; kind is "weights" or "biases"."""
    places = (*range(1, len(LAYERS[network]) + 1), "out")
    return tuple(f"{network}_{place}_{kind}" for place in places)


def ranges_name(network: str) -> str:
    """Return the name of the array of the largest activations of each layer, (L,) float32."""
    return f"{network}_ranges"


def array_shapes(network: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a network's arrays by their names in a model file."""
    layers = LAYERS[network]
    widths = [layer.channels for layer in layers]
    weights = [
        (layer.channels, layer.rows * COLUMNS * before)
        for layer, before in zip(layers, (INPUT_CHANNELS, *widths), strict=False)
    ]
    features = widths[-1] * PIXELS_PER_FRAME // PIXELS_PER_STEP
    classes = OUTPUTS[network]
    shapes = (*weights, (classes, features)), ((one,) for one in (*widths, classes))
    names = array_names("weights", network), array_names("biases", network)
    found = {name: shape for pair in map(zip, names, shapes) for name, shape in pair}
    return {**found, ranges_name(network): (len(layers),)}


def arrays_of(arrays: Mapping[str, NDArray[Any]], network: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of this network in a model; {} if it has none."""
    return {name: arrays[name] for name in array_shapes(network) if name in arrays}


def layers_of(
    arrays: Mapping[str, NDArray[Any]], network: str
) -> Iterator[tuple[Layer, Floats, Floats]]:
    """Yield each layer with its kernels, (channels, C, rows, 3), and biases, both float32."""
    names = zip(array_names("weights", network), array_names("biases", network), strict=True)
    for layer, (weights, biases) in zip(LAYERS[network], names, strict=False):
        # A model file has (channels, rows x 3 x C).
        kernels = arrays[weights].reshape(len(arrays[weights]), layer.rows, COLUMNS, -1)
        yield (
            layer,
            kernels.transpose(0, 3, 1, 2).astype(np.float32),
            arrays[biases].astype(np.float32),
        )


def round_kernels(kernels: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Round the weights of each channel to multiples of a step.

    (channels, C, rows, 3) -> multiples of that shape, and steps, (channels,).
    """
    largest = np.maximum(np.abs(kernels).max(axis=(1, 2, 3)), MIN_WEIGHT)
    steps: Floats = largest / np.float32(MAX_WEIGHT)
    return np.rint(kernels / steps[:, None, None, None]).astype(np.int8), steps


def _operations(arrays: Mapping[str, NDArray[Any]], network: str) -> Iterator[Operation]:
    """Yield the layers as ONNX operations, from pixels to features."""
    step = PIXEL_STEP
    output_steps = arrays[ranges_name(network)].astype(np.float32) / np.float32(MAX_ACTIVATION)
    for place, (layer, kernels, biases) in enumerate(layers_of(arrays, network)):
        weights, steps = round_kernels(kernels)
        attributes = padding(layer)
        if place == 0:
            # Neighbours are channels of the first layer's input.
            weights = weights.transpose(0, 2, 3, 1).reshape(len(weights), -1, 1, 1)
            attributes = {}
        # What is below zero is cut off, as by ReLU.
        yield Operation(
            operator="QLinearConv",
            attributes=attributes,
            arrays={
                "input_step": np.asarray(step),
                "input_zero": _ZERO,
                "weights": weights,
                "weight_steps": steps,
                "weight_zeros": np.zeros(len(steps), np.int8),
                "output_step": np.asarray(output_steps[place]),
                "output_zero": _ZERO,
                "biases": _whole(biases / (step * steps)),
            },
        )
        yield from pooling(layer)
        step = output_steps[place]
    yield to_float(step)


def neighbours(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the 3x3 neighbours of each pixel as channels: (2, 32, W) -> (18, 32, W).

    ONNX Runtime is faster with one product per pixel than with a convolution of two channels.
    """
    planes, rows, columns = pixels.shape
    around = np.zeros((planes, rows + 2, columns + 2), np.uint8)
    around[:, 1:-1, 1:-1] = pixels
    plane, row, column = around.strides
    shifted = as_strided(
        around, (3, COLUMNS, *pixels.shape), (row, column, plane, row, column), writeable=False
    )
    return shifted.reshape(-1, rows, columns)


def to_float(step: np.float32) -> Operation:
    """Return the operation that multiplies integers by a step."""
    return Operation(operator="DequantizeLinear", arrays={"step": np.asarray(step), "zero": _ZERO})


def _whole(values: Floats) -> NDArray[np.int32]:
    return np.clip(np.rint(values), -MAX_BIAS, MAX_BIAS).astype(np.int32)


def padding(layer: Layer) -> dict[str, tuple[int, ...]]:
    """Return the attributes of a layer's convolution that pad its input with zeros."""
    around = (layer.padding, COLUMNS // 2)
    return {"pads": (*around, *around)}


def pooling(layer: Layer) -> Iterator[Operation]:
    """Yield the layer's pooling, if any."""
    if layer.pool != (1, 1):
        attributes = {"kernel_shape": layer.pool, "strides": layer.pool}
        yield Operation(operator="MaxPool", attributes=attributes)


def start_session(operations: Sequence[Operation]) -> Any:
    """Start a single-threaded session, so that each worker uses one core."""
    # Builds of ONNX Runtime may send telemetry to their vendor, with a stored machine identifier.
    # They read this variable on import; in older ones, telemetry must be disabled afterwards.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        to_onnx(operations), options, providers=["CPUExecutionProvider"]
    )
