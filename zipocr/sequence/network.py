"""The network at reading time: plain arrays and matrix products, a look at one line in about half a millisecond.

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
    """``filtered`` are the layers' weights as `_filtered` has them, ``biases`` (channels,), ``classes`` the last weights, (12, 96)."""

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
        biases = tuple(np.asarray(arrays[name], np.float32) for name in array_names("biases"))
        filtered = tuple(_filtered(one, layer) for one, layer in zip(weights[:-1], LAYERS, strict=True))
        return cls(filtered=filtered, biases=biases, classes=weights[-1])

    def features(self, pixels: NDArray[np.uint8]) -> Floats:
        """What the last layer before the classes makes of a strip: (2, 32, W) uint8 -> (T, 96), T = W / 2 frames."""
        # From here on columns come first and channels last: what a kernel sees of a column then lies in one piece.
        image: Floats = pixels.transpose(2, 1, 0) * np.float32(1 / 255)
        for layer, filtered, bias in zip(LAYERS, self.filtered, self.biases, strict=False):
            # The largest of some values plus a bias is the largest of these values with the bias: it is added to what is left of them.
            convolve = _convolve_few if image.shape[2] == PLANES else _convolve
            image = _pool(*convolve(image, filtered, layer), layer, len(image))
            image += bias
        return np.maximum(image, 0).reshape(-1, FEATURES)

    def frames(self, features: Floats) -> Floats:
        """Probabilities of the classes in each frame: (T, 96) -> (T, 12) float32."""
        # A class in a row: the largest and the sums of twelve rows are found far quicker than those of many columns of twelve.
        shares: Floats = self.classes @ features.T + self.biases[-1][:, None]
        shares -= shares.max(axis=0)
        np.exp(shares, out=shares)
        shares /= shares.sum(axis=0)
        return np.ascontiguousarray(shares.T)


def array_names(kind: str) -> tuple[str, ...]:
    """The names of a network's arrays in a model file; kind is "weights" or "biases"."""
    return (*(f"network_{number}_{kind}" for number in range(1, len(LAYERS) + 1)), f"network_out_{kind}")


def _filtered(weights: Floats, layer: Layer) -> Floats:
    """What a convolution multiplies with: (channels, rows x 3 x channels before) -> (4, rows x channels before, channels).

    Of the first layer, which sees few channels, (channels before x 3 x rows, channels).
    """
    kernels = weights.reshape(layer.channels, layer.rows, COLUMNS, -1)
    if kernels.shape[3] == PLANES:
        return np.ascontiguousarray(kernels.transpose(3, 2, 1, 0).reshape(-1, layer.channels))
    first, second, third = kernels[:, :, 0], kernels[:, :, 1], kernels[:, :, 2]
    four = np.stack([first, (first + second + third) / 2, (first - second + third) / 2, third])
    return np.ascontiguousarray(four.reshape(4, layer.channels, -1).swapaxes(1, 2))


def _convolve_few(image: Floats, filtered: Floats, layer: Layer) -> tuple[Floats, Floats]:
    """The even and the odd columns of a convolution of few channels: (W, H, C) -> twice (W / 2, H, channels), W even.

    Here copies of the image, one for each place in the kernel, cost less than what they would save.
    """
    wide, tall, channels = image.shape
    padded = np.zeros((channels, wide + 2, tall + 2), np.float32)
    padded[:, 1:-1, 1:-1] = image.transpose(2, 0, 1)
    strides = (*padded.strides, *padded.strides[1:])
    moved: Floats = np.ndarray((channels, COLUMNS, layer.rows, wide, tall), np.float32, padded, strides=strides)
    out = (moved.reshape(-1, wide * tall).T @ filtered).reshape(wide, tall, -1)
    return out[0::2], out[1::2]


def _convolve(image: Floats, filtered: Floats, layer: Layer) -> tuple[Floats, Floats]:
    """The even and the odd columns of a convolution of what is above 0: (W, H, C) -> twice (W / 2, H', channels), W rounded up.

    Two columns by four products instead of six (Winograd's minimal filtering, Lavin and Gray, CVPR 2016).
    """
    wide, tall, channels = image.shape
    pairs, down, tall = (wide + 1) // 2, layer.padding, tall + 2 * layer.padding
    padded = np.zeros((2 * pairs + 2, tall, channels), np.float32)
    np.maximum(image, 0, out=padded[1 : 1 + wide, down : tall - down])
    columns = padded[:-2:2], padded[1:-1:2], padded[2::2], padded[3::2]
    seen = np.empty((4, pairs, tall, channels), np.float32)
    np.subtract(columns[0], columns[2], out=seen[0])
    np.add(columns[1], columns[2], out=seen[1])
    np.subtract(columns[2], columns[1], out=seen[2])
    np.subtract(columns[1], columns[3], out=seen[3])
    # What a kernel sees are some rows one after the other.
    tall, area = tall - layer.rows + 1, layer.rows * channels
    moved: Floats = np.ndarray((4, pairs, tall, area), np.float32, seen, strides=seen.strides)
    parts = (moved.reshape(4, pairs * tall, area) @ filtered).reshape(4, pairs, tall, -1)
    even: Floats = parts[0] + parts[1]
    odd: Floats = parts[1] - parts[2]
    even += parts[2]
    odd -= parts[3]
    return even, odd


def _pool(even: Floats, odd: Floats, layer: Layer, width: int) -> Floats:
    """The largest of each two rows and of each two columns, as far as the layer asks for it; of all columns, so many."""
    if layer.pool[1] == 2:
        both = np.maximum(even, odd)
        return np.maximum(both[:, 0::2], both[:, 1::2]) if layer.pool[0] == 2 else both
    pairs, tall, channels = even.shape
    image = np.empty((pairs, 2, tall // layer.pool[0], channels), np.float32)
    for place, one in enumerate((even, odd)):
        if layer.pool[0] == 2:
            np.maximum(one[:, 0::2], one[:, 1::2], out=image[:, place])
        else:
            image[:, place] = one
    return image.reshape(2 * pairs, -1, channels)[:width]
