"""A line network in floating point, as it is trained."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zipocr.line.network import FIRST, PIXEL_STEP, array_names, layers_of, to_float
from zipocr.training.fit.quantization import float_operations, outputs


def features_of(
    arrays: Mapping[str, NDArray[Any]], pixels: NDArray[np.uint8], network: str = FIRST
) -> NDArray[np.float32]:
    """Return the features of a line: (2, 32, W) -> (T, F)."""
    chain = [to_float(PIXEL_STEP)]
    for layer in layers_of(arrays, network):
        chain += float_operations(*layer)
    ((steps,),) = outputs(chain, [pixels])
    width = arrays[array_names("weights", network)[-1]].shape[1]
    return steps[:, 0].T.reshape(-1, width)


def frames_of(
    arrays: Mapping[str, NDArray[Any]], pixels: NDArray[np.uint8], network: str = FIRST
) -> NDArray[np.float32]:
    """Return the class probabilities of each frame: (2, 32, W) -> (T, C)."""
    weights, biases = (arrays[array_names(kind, network)[-1]] for kind in ("weights", "biases"))
    logits = features_of(arrays, pixels, network) @ weights.astype(np.float32).T + biases
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)
