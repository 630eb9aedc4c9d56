"""The network that reads a line: what it is made of, and how it is run.

Convolutions over height and length, after which each frame stands for two columns of the strip and
says which character it shows, or that it shows none (connectionist temporal classification, Graves
et al., 2006). The deeper layers see four columns as one, which halves their work; the last one
tells each apart into two frames again. PyTorch trains it (see `zipocr.training.fit.network`), ONNX
Runtime runs it.

A model may hold a second network, which reads lines that the first one leaves in doubt. Its layers
may have more channels; all else of `LAYERS` holds for both.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from zipocr.line.onnx_model import Operation, to_onnx
from zipocr.types import Floats, Model

BLANK = 0
# Classes 1 to 10 are the digits 0 to 9; then whatever is written and no digit.
FIRST_DIGIT = 1
OTHER = 11
CLASSES = 12
INPUT_CHANNELS = 2
PIXELS_PER_FRAME = 2
# Features of each of the two frames that the first network's last layer makes of four columns.
PIXELS_PER_STEP = 4
FEATURES = 96
# Every kernel is so wide.
COLUMNS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A convolution: `channels` kernels of `rows` by `COLUMNS`, and a bias for each.

    What is below 0 then becomes 0, and the largest of each `pool` (rows, columns) is kept. Around
    the image are zeros: `padding` rows above and below, one column on either side.
    """

    channels: int
    rows: int = 3
    padding: int = 0
    pool: tuple[int, int] = (1, 1)


LAYERS = (
    Layer(channels=16, padding=1, pool=(2, 2)),
    Layer(channels=32, padding=1, pool=(2, 2)),
    Layer(channels=64, padding=1, pool=(2, 1)),
    Layer(channels=96, padding=1, pool=(2, 1)),
    Layer(channels=128, rows=2),
    Layer(channels=FEATURES * PIXELS_PER_STEP // PIXELS_PER_FRAME, rows=1),
)
"""From 32 rows to one; the channels are those of the first network."""
FIRST, SECOND = "network", "second_network"
"""What the names of a network's arrays in a model file begin with."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    """The layers up to the features as a ``session`` of ONNX Runtime, and the last layer.

    ``arrays`` are those it was made from: a session is bound to its process, so a pickled network
    is made anew from them.
    """

    arrays: Mapping[str, NDArray[Any]]
    session: Any
    class_weights: Floats
    class_biases: Floats

    @classmethod
    def from_model(cls, model: Model) -> Self:
        """Take the first network of a model file."""
        return cls.from_arrays(model.arrays)

    @classmethod
    def second_from_model(cls, model: Model) -> Self | None:
        """Take the second network of a model file; None where it has none."""
        arrays = arrays_of(model.arrays, SECOND)
        return cls.from_arrays(arrays) if arrays else None

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Takes those of the arrays that `array_names` lists."""
        weights, biases = array_names("weights"), array_names("biases")
        own = {name: arrays[name] for name in (*weights, *biases)}
        return cls(
            arrays=own,
            session=_start(to_onnx(list(_operations(own)))),
            class_weights=own[weights[-1]].astype(np.float32),
            class_biases=own[biases[-1]].astype(np.float32),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the arrays alone."""
        return type(self).from_arrays, (self.arrays,)

    def features(self, pixels: NDArray[np.uint8]) -> Floats:
        """What the last layer before the classes makes of a strip.

        (2, 32, W) uint8 -> (T, F), T = W / 2 frames.
        """
        (steps,) = self.session.run(None, {"0": pixels[None] * np.float32(1 / 255)})
        features: Floats = steps[0, :, 0].T.reshape(-1, self.class_weights.shape[1])
        return features

    def frames(self, features: Floats) -> Floats:
        """Probabilities of the classes in each frame: (T, F) -> (T, 12) float32."""
        # A class in a row: the largest and the sums of twelve rows are found far quicker
        # than those of many columns of twelve.
        shares: Floats = self.class_weights @ features.T + self.class_biases[:, None]
        shares -= shares.max(axis=0)
        np.exp(shares, out=shares)
        shares /= shares.sum(axis=0)
        return np.ascontiguousarray(shares.T)


def array_names(kind: str, network: str = FIRST) -> tuple[str, ...]:
    """The names of a network's arrays in a model file; kind is "weights" or "biases"."""
    places = (*range(1, len(LAYERS) + 1), "out")
    return tuple(f"{network}_{place}_{kind}" for place in places)


def _all_names(network: str = FIRST) -> tuple[str, ...]:
    return *array_names("weights", network), *array_names("biases", network)


def arrays_of(arrays: Mapping[str, NDArray[Any]], network: str) -> dict[str, NDArray[Any]]:
    """The arrays of one of a model's networks, by the names of the first; {} if it has none."""
    names = zip(_all_names(), _all_names(network), strict=True)
    return {own: arrays[name] for own, name in names if name in arrays}


def as_second(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The arrays of a network by the names of the second one; {} for {}."""
    names = zip(_all_names(), _all_names(SECOND), strict=True)
    return {second: arrays[name] for name, second in names if name in arrays}


def array_shapes(widths: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """The shapes of a network's arrays, by the number of channels of each layer."""
    before = (INPUT_CHANNELS, *widths[:-1])
    features = widths[-1] * PIXELS_PER_FRAME // PIXELS_PER_STEP
    weights = [
        (after, layer.rows * COLUMNS * channels)
        for layer, channels, after in zip(LAYERS, before, widths, strict=True)
    ]
    return {
        **dict(zip(array_names("weights"), [*weights, (CLASSES, features)], strict=True)),
        **dict(zip(array_names("biases"), [(one,) for one in (*widths, CLASSES)], strict=True)),
    }


def _operations(arrays: Mapping[str, NDArray[Any]]) -> Iterator[Operation]:
    """The layers in terms of ONNX."""
    names = zip(array_names("weights"), array_names("biases"), strict=True)
    for layer, (weights, biases) in zip(LAYERS, names, strict=False):
        around = (layer.padding, COLUMNS // 2)
        yield Operation(
            operator="Conv",
            attributes={"pads": (*around, *around)},
            arrays={weights: _kernels(arrays[weights], layer), biases: arrays[biases]},
        )
        yield Operation(operator="Relu")
        if layer.pool != (1, 1):
            pool = {"kernel_shape": layer.pool, "strides": layer.pool}
            yield Operation(operator="MaxPool", attributes=pool)


def _kernels(weights: Floats, layer: Layer) -> Floats:
    """Weights as a model file has them, (channels, rows x 3 x C), as (channels, C, rows, 3)."""
    return weights.reshape(len(weights), layer.rows, COLUMNS, -1).transpose(0, 3, 1, 2)


def _start(model: bytes) -> Any:
    """Starts a session on one thread, so that each worker keeps to one core."""
    # Builds of ONNX Runtime may report its use to their maker, and keep an identifier of the
    # machine for that. They ask for this variable while they are imported; older ones, which do
    # not, have to be told afterwards.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
