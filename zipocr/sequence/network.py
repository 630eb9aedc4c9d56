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
# Every kernel is so wide.
COLUMNS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A convolution: `channels` kernels of `rows` by `COLUMNS`, then the largest of each `pool` (rows, columns).

    Around the image are zeros: `padding` rows above and below, one column on either side.
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
"""From 32 rows to one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    """``filtered`` are the layers' weights as `_filtered` has them, ``biases`` (channels, 1), ``classes`` the last weights, (12, 96)."""

    filtered: tuple[Floats, ...]
    biases: tuple[Floats, ...]
    classes: Floats

    @classmethod
    def from_model(cls, model: Model) -> Self | None:
        """Unfolds the arrays of a model file; None where it has no network."""
        return cls.from_arrays(model.arrays) if array_names("weights")[0] in model.arrays else None

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Unfolds the arrays of a model file, which `array_names` lists."""
        weights = tuple(np.ascontiguousarray(arrays[name], np.float32) for name in array_names("weights"))
        biases = tuple(np.asarray(arrays[name], np.float32)[:, None] for name in array_names("biases"))
        filtered = tuple(_filtered(one, layer) for one, layer in zip(weights[:-1], LAYERS, strict=True))
        return cls(filtered=filtered, biases=biases, classes=weights[-1])

    def features(self, pixels: NDArray[np.uint8]) -> Floats:
        """What the last layer before the classes makes of a strip: (2, 32, W) uint8 -> (T, 96), T = W / 2 frames."""
        image: Floats = pixels * np.float32(1 / 255)
        for layer, filtered, bias in zip(LAYERS, self.filtered, self.biases[:-1], strict=True):
            # The largest of some values plus a bias is the largest of these values with the bias: it is added to what is left of them.
            image = _pool(*_convolve(image, filtered, layer), layer, image.shape[2])
            image += bias[:, :, None]
            np.maximum(image, 0, out=image)
        return image[:, 0].T.reshape(-1, FEATURES)

    def frames(self, features: Floats) -> Floats:
        """Probabilities of the classes in each frame: (T, 96) -> (T, 12) float32."""
        logits = features @ self.classes.T + self.biases[-1].T
        logits -= logits.max(axis=1, keepdims=True)
        shares: Floats = np.exp(logits)
        shares /= shares.sum(axis=1, keepdims=True)
        return shares


def array_names(kind: str) -> tuple[str, ...]:
    """The names of a network's arrays in a model file; kind is "weights" or "biases"."""
    return (*(f"network_{number}_{kind}" for number in range(1, len(LAYERS) + 1)), f"network_out_{kind}")


def _filtered(weights: Floats, layer: Layer) -> Floats:
    """What `_convolve` multiplies with: (channels, rows x 3 x channels before) -> (4, channels, rows x channels before)."""
    kernels = weights.reshape(layer.channels, layer.rows, COLUMNS, -1)
    first, second, third = kernels[:, :, 0], kernels[:, :, 1], kernels[:, :, 2]
    return np.stack([first, (first + second + third) / 2, (first - second + third) / 2, third]).reshape(4, layer.channels, -1)


def _convolve(image: Floats, filtered: Floats, layer: Layer) -> tuple[Floats, Floats]:
    """The even and the odd columns of a convolution: (C, H, W) -> twice (channels, H', W / 2), W rounded up.

    Two columns by four products instead of six (Winograd's minimal filtering, Lavin and Gray, CVPR 2016).
    """
    channels, height, width = image.shape
    rows, down = layer.rows, layer.padding
    pairs = (width + 1) // 2
    padded = np.zeros((channels, height + 2 * down, 2 * pairs + 2), np.float32)
    padded[:, down : down + height, 1 : 1 + width] = image
    columns = padded[:, :, :-2:2], padded[:, :, 1:-1:2], padded[:, :, 2::2], padded[:, :, 3::2]
    seen = np.empty((4, channels, height + 2 * down, pairs), np.float32)
    np.subtract(columns[0], columns[2], out=seen[0])
    np.add(columns[1], columns[2], out=seen[1])
    np.subtract(columns[2], columns[1], out=seen[2])
    np.subtract(columns[1], columns[3], out=seen[3])
    tall = height + 2 * down - rows + 1
    moved = np.empty((4, rows, channels, tall, pairs), np.float32)
    for row in range(rows):
        moved[:, row] = seen[:, :, row : row + tall]
    parts = (filtered @ moved.reshape(4, -1, tall * pairs)).reshape(4, -1, tall, pairs)
    even: Floats = parts[0] + parts[1]
    odd: Floats = parts[1] - parts[2]
    even += parts[2]
    odd -= parts[3]
    return even, odd


def _pool(even: Floats, odd: Floats, layer: Layer, width: int) -> Floats:
    """The largest of each two rows and of each two columns, as far as the layer asks for it; of all columns, so many."""
    columns = [np.maximum(even, odd)] if layer.pool[1] == 2 else [even, odd]
    if layer.pool[0] == 2:
        columns = [np.maximum(one[:, 0::2], one[:, 1::2]) for one in columns]
    return columns[0] if len(columns) == 1 else np.stack(columns, axis=-1).reshape(*columns[0].shape[:2], -1)[:, :, :width]
