"""Quantization of a trained network for 8-bit integer arithmetic.

Post-training quantization (Nagel et al., "A white paper on neural network quantization", 2021): the
ranges of activations are measured on some lines, and biases make up for the mean error of the
rounded weights.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zipocr.line.network import (
    MIN_RANGE,
    PIXEL_STEP,
    Layer,
    array_names,
    layers_of,
    padding,
    pooling,
    ranges_name,
    round_kernels,
    start_session,
    to_float,
)
from zipocr.line.onnx_model import Operation
from zipocr.types import Floats

# Share of the lines whose activations are within the range of their layer; larger ones are cut off.
WITHIN = 0.99
Images = Sequence[NDArray[Any]]


def quantize(
    arrays: Mapping[str, NDArray[Any]], network: str, lines: Sequence[NDArray[np.uint8]]
) -> dict[str, NDArray[Any]]:
    """Return the arrays of a trained network with the ranges of its layers, and biases corrected.

    Parameters
    ----------
    arrays : mapping
        Weights and biases of the network, as trained.
    network : str
        Its name in a model file.
    lines : sequence of (2, 32, W) uint8
        Line images, for the activations.

    Returns
    -------
    dict
        All arrays of the network in a model file.
    """
    operations = [to_float(PIXEL_STEP)]
    corrected, ranges = {}, []
    before = outputs(operations, lines)
    for (layer, kernels, biases), name in zip(
        layers_of(arrays, network), array_names("biases", network), strict=False
    ):
        corrected[name] = biases - rounding_bias(kernels, before)
        operations += float_operations(layer, kernels, biases)
        before = outputs(operations, lines)
        ranges.append(np.quantile([image.max() for image in before], WITHIN))
    largest = np.maximum(np.array(ranges, np.float32), np.float32(MIN_RANGE))
    return {**arrays, **corrected, ranges_name(network): largest}


def rounding_bias(kernels: Floats, inputs: Images) -> Floats:
    """Return the mean error of each channel's outputs from rounded weights: (channels,).

    ``inputs`` are the layer's inputs, (1, C, H, W) each.
    """
    weights, steps = round_kernels(kernels)
    errors = weights * steps[:, None, None, None] - kernels
    mean = np.mean([image.mean(axis=(0, 2, 3)) for image in inputs], axis=0)
    bias: Floats = (errors.sum(axis=(2, 3)) @ mean).astype(np.float32)
    return bias


def float_operations(layer: Layer, kernels: Floats, biases: Floats) -> Iterator[Operation]:
    """Yield a layer in floating point."""
    yield Operation(
        operator="Conv", attributes=padding(layer), arrays={"weights": kernels, "biases": biases}
    )
    yield Operation(operator="Relu")
    yield from pooling(layer)


def outputs(operations: Sequence[Operation], lines: Sequence[NDArray[np.uint8]]) -> list[Floats]:
    """Return the outputs of the last of some operations for each line: (1, C, H, W) float32."""
    session = start_session(operations)
    return [session.run(None, {"0": pixels[None]})[0] for pixels in lines]
