"""The network at reading time: plain arrays and matrix products, a look at one line in about a millisecond.

Convolutions over height and length, after which each frame stands for two columns of the strip and says which character it shows, or that
it shows none (connectionist temporal classification, Graves et al., 2006). The deeper layers see four columns as one, which halves their
work; the last one tells each apart into two frames again. PyTorch trains it (see `zipocr.training.network`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from zipocr.types import Floats, Model

BLANK = 0
# Classes 1 to 10 are the digits 0 to 9; then whatever is written and no digit.
FIRST_DIGIT = 1
OTHER = 11
CLASSES = 12
PLANES = 2
PIXELS_PER_FRAME = 2
# What the last layer makes of four columns: two frames of so many features.
PIXELS_PER_STEP = 4
FEATURES = 96


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A convolution: `channels` kernels of (rows, columns), zeros around by `padding`, then the largest of each `pool` (rows, columns)."""

    channels: int
    kernel: tuple[int, int]
    padding: tuple[int, int]
    pool: tuple[int, int] = (1, 1)


LAYERS = (
    Layer(channels=16, kernel=(3, 3), padding=(1, 1), pool=(2, 2)),
    Layer(channels=32, kernel=(3, 3), padding=(1, 1), pool=(2, 2)),
    Layer(channels=64, kernel=(3, 3), padding=(1, 1), pool=(2, 1)),
    Layer(channels=128, kernel=(3, 3), padding=(1, 1), pool=(2, 1)),
    Layer(channels=128, kernel=(2, 3), padding=(0, 1)),
    Layer(channels=FEATURES * PIXELS_PER_STEP // PIXELS_PER_FRAME, kernel=(1, 3), padding=(0, 1)),
)
"""From 32 rows to one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    """``weights`` of each layer, (channels, rows x columns x channels before), and ``biases``, (channels, 1); the last are the classes'."""

    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]

    @classmethod
    def from_model(cls, model: Model) -> Self | None:
        """Unfolds the arrays of a model file; None where it has no network."""
        return cls.from_arrays(model.arrays) if array_names("weights")[0] in model.arrays else None

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Unfolds the arrays of a model file, which `array_names` lists."""
        weights = tuple(np.ascontiguousarray(arrays[name], np.float32) for name in array_names("weights"))
        biases = tuple(np.asarray(arrays[name], np.float32)[:, None] for name in array_names("biases"))
        return cls(weights=weights, biases=biases)

    def features(self, pixels: NDArray[np.uint8]) -> Floats:
        """What the last layer before the classes makes of a strip: (2, 32, W) uint8 -> (T, 96), T = W / 2 frames."""
        image: Floats = pixels * np.float32(1 / 255)
        for layer, weights, bias in zip(LAYERS, self.weights[:-1], self.biases[:-1], strict=True):
            # The largest of some values plus a bias is the largest of these values with the bias: it is added to what is left of them.
            image = _pool(_convolve(image, weights, layer), layer.pool)
            image += bias[:, :, None]
            np.maximum(image, 0, out=image)
        return image[:, 0].T.reshape(-1, FEATURES)

    def frames(self, features: Floats) -> Floats:
        """Probabilities of the classes in each frame: (T, 96) -> (T, 12) float32."""
        logits = features @ self.weights[-1].T + self.biases[-1].T
        logits -= logits.max(axis=1, keepdims=True)
        shares: Floats = np.exp(logits)
        shares /= shares.sum(axis=1, keepdims=True)
        return shares


def array_names(kind: str) -> tuple[str, ...]:
    """The names of a network's arrays in a model file; kind is "weights" or "biases"."""
    return (*(f"network_{number}_{kind}" for number in range(1, len(LAYERS) + 1)), f"network_out_{kind}")


def _convolve(image: Floats, weights: Floats, layer: Layer) -> Floats:
    """(C, H, W) -> (channels, H', W')."""
    channels, height, width = image.shape
    (rows, columns), (down, across) = layer.kernel, layer.padding
    padded = np.zeros((channels, height + 2 * down, width + 2 * across), np.float32)
    padded[:, down : down + height, across : across + width] = image
    height, width = padded.shape[1] - rows + 1, padded.shape[2] - columns + 1
    moved = np.empty((rows, columns, channels, height, width), np.float32)
    for row in range(rows):
        for column in range(columns):
            moved[row, column] = padded[:, row : row + height, column : column + width]
    out: Floats = weights @ moved.reshape(-1, height * width)
    return out.reshape(-1, height, width)


def _pool(image: Floats, pool: tuple[int, int]) -> Floats:
    """The largest of each two rows and of each two columns, as far as `pool` asks for it."""
    if pool[0] == 2:
        image = np.maximum(image[:, 0::2], image[:, 1::2])
    if pool[1] == 2:
        image = np.maximum(image[:, :, 0::2], image[:, :, 1::2])
    return image
