"""Training of the line network.

The only module that needs PyTorch: ``pip install '.[network]'``.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from zipocr.line.line_image import LINE_HEIGHT
from zipocr.line.network import (
    COLUMNS,
    FIRST,
    INPUT_CHANNELS,
    LAYERS,
    OUTPUTS,
    PIXELS_PER_FRAME,
    PIXELS_PER_STEP,
    SECOND,
    Layer,
    array_names,
    array_shapes,
)
from zipocr.storage.atomic import written_whole
from zipocr.training.fit.line_samples import Line
from zipocr.types import Floats

BATCH = 64
RATE = 3e-3
WARMING = 0.1
DECAY = 1e-2
MAX_STEP = 5.0
DROPOUT = 0.1
# Elastic bending: scale of its strength in pixels, rows of nodes, and columns between nodes.
BEND, BEND_ROWS, BEND_STEP = 0.9, 5, 8
# Jitter, in pixels, of the lengths by which lines are sorted into batches.
LENGTH_JITTER = 24.0
# Approximate number of lines for the batch statistics of a network that is taken over.
SAMPLE = 500
# For each layer of the second network, the layer of the first one that it grows from; None is new.
GROWN_FROM = (0, 1, 2, 3, None, 4, None, None, None, 5)
Rng = np.random.Generator
Report = Callable[[str], None]


class TrainableNetwork(nn.Module):
    """The network of `zipocr.line.network` in training.

    It has batch normalization, which is folded into the weights at the end.
    """

    def __init__(self, name: str = FIRST) -> None:
        super().__init__()
        self.name = name
        layers = LAYERS[name]
        before = (INPUT_CHANNELS, *(layer.channels for layer in layers))
        self.layers = nn.ModuleList(map(_stage, before, layers))
        self.drop = nn.Dropout(DROPOUT)
        self.out = nn.Linear(before[-1] * PIXELS_PER_FRAME // PIXELS_PER_STEP, OUTPUTS[name])

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, 2, 32, W) darkness, 0 to 1 -> (N, W / 2, C) logits."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.training and _knows_bfloat16()):
            for stage, layer in zip(self.layers, LAYERS[self.name], strict=True):
                pixels = _activated(stage(pixels), layer)
        steps = pixels[:, :, 0].permute(0, 2, 1)
        features = steps.reshape(len(pixels), -1, self.out.in_features).float()
        logits: Tensor = self.out(self.drop(features))
        return logits


def _knows_bfloat16() -> bool:
    """Return whether this processor supports bfloat16 natively.

    Without native support, bfloat16 is slower than float32 instead of faster.
    """
    return torch.backends.cpu.get_cpu_capability() == "AVX512"


def _stage(channels: int, layer: Layer) -> nn.Sequential:
    convolution = nn.Conv2d(
        channels,
        layer.channels,
        (layer.rows, COLUMNS),
        padding=(layer.padding, COLUMNS // 2),
        bias=False,
    )
    return nn.Sequential(convolution, nn.BatchNorm2d(layer.channels))


def _activated(sums: Tensor, layer: Layer) -> Tensor:
    """Apply the layer's max pooling, then ReLU, which has fewer values to process in that order."""
    if layer.pool != (1, 1):
        sums = functional.max_pool2d(sums, layer.pool)
    return functional.relu(sums)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """Training schedule: epochs over all lines, and maximum learning rate.

    ``elastic`` is the share of lines that are bent.
    """

    epochs: int
    rate: float = RATE
    elastic: float = 0.0


def fit_network(
    lines: Sequence[Line],
    plan: TrainingPlan,
    *,
    seed: int,
    jobs: int,
    report: Report,
    network: str = FIRST,
    start: Mapping[str, NDArray[Any]] = MappingProxyType({}),
    checkpoint: Path | None = None,
) -> dict[str, NDArray[Any]]:
    """Train a network.

    Parameters
    ----------
    lines : sequence of Line
        Training lines, augmented anew in every epoch.
    plan : TrainingPlan
    seed : int
    jobs : int
        Number of threads. Sums are split among them, so the network depends on this number through
        rounding errors.
    report : callable
        Called with progress lines.
    network : str
        Name of the network in a model file, `FIRST`, `SECOND`, `THIRD` or `LETTERS`.
    start : mapping, optional
        Arrays to start from; by default the weights are initialized at random.
    checkpoint : Path, optional
        Checkpoint file, written after each epoch. If it exists, training resumes from it, with the
        same result as without an interruption.

    Returns
    -------
    dict
        Arrays of the model file.

    Notes
    -----
    AdamW with a one-cycle learning-rate schedule (Smith and Topin, 2018) and the CTC loss. For
    speed, tensors are in channels-last format, and in bfloat16 where the processor supports it.
    """
    torch.manual_seed(seed)
    torch.set_num_threads(jobs)
    learner = Learner(len(lines), plan, seed, network)
    if start:
        take_over(learner.network, start, lines[:: -(-len(lines) // SAMPLE)])
    if checkpoint is not None and checkpoint.exists():
        learner.restore(checkpoint)
    while learner.epoch < plan.epochs:
        loss = learner.train_epoch(lines)
        report(f"epoch {learner.epoch} of {plan.epochs}: {loss:.4f} nats a line")
        if checkpoint is not None:
            learner.save(checkpoint)
    return to_arrays(learner.network.eval())


class Learner:
    """A network in training, with all state needed to resume it."""

    def __init__(self, count: int, plan: TrainingPlan, seed: int, network: str = FIRST) -> None:
        self.network = TrainableNetwork(network).to(memory_format=torch.channels_last).train()
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=plan.rate, weight_decay=DECAY
        )
        steps = plan.epochs * -(-count // BATCH)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, plan.rate, total_steps=steps + 1, pct_start=WARMING
        )
        self.rng = np.random.default_rng(seed)
        self.elastic = plan.elastic
        self.epoch = 0

    def train_epoch(self, lines: Sequence[Line]) -> float:
        """Train for one epoch over all lines; return the mean loss."""
        total = 0.0
        for batch in _batches(lines, self.rng):
            augmented = [(self._augmented(line.pixels), line.labels) for line in batch]
            loss = _loss(self.network, augmented)
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), MAX_STEP)
            self.optimizer.step()
            self.schedule.step()
            total += loss.item() * len(batch)
        self.epoch += 1
        return total / len(lines)

    def _augmented(self, pixels: NDArray[np.uint8]) -> Floats:
        return augment_line(self.rng, bend_line(self.rng, pixels, self.elastic))

    def save(self, path: Path) -> None:
        """Save the state after an epoch."""
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "epoch": self.epoch,
            "torch": torch.get_rng_state(),
            "numpy": json.dumps(self.rng.bit_generator.state),
        }
        with written_whole(path) as file:
            torch.save(state, file)

    def restore(self, path: Path) -> None:
        """Restore a saved state."""
        state = torch.load(path, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.epoch = state["epoch"]
        torch.set_rng_state(state["torch"])
        self.rng.bit_generator.state = json.loads(state["numpy"])


def take_over(
    network: TrainableNetwork, arrays: Mapping[str, NDArray[Any]], sample: Sequence[Line]
) -> None:
    """Initialize a network with the weights of a model file.

    Normalization is folded into these, so each layer's batch normalization is set to the identity
    for the statistics of the ``sample``.
    """
    pixels = _padded([line.pixels for line in sample])
    layers, all_names = LAYERS[network.name], _names_of(network.name)
    channels = INPUT_CHANNELS
    with torch.no_grad():
        for stage, layer, (weights, biases) in zip(network.layers, layers, all_names, strict=False):
            convolution, norm = stage.children()
            kernels = arrays[weights].astype(np.float32).reshape(-1, layer.rows, COLUMNS, channels)
            channels = len(kernels)
            convolution.weight.copy_(torch.from_numpy(kernels).permute(0, 3, 1, 2))
            shift = torch.from_numpy(np.asarray(arrays[biases], np.float32))
            seen = convolution(pixels)
            spread, mean = torch.var_mean(seen, (0, 2, 3), correction=0)
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(spread)
            norm.weight.copy_(torch.sqrt(spread + norm.eps))
            norm.bias.copy_(shift + mean)
            pixels = _activated(seen + shift[:, None, None], layer)
        for own, name in zip((network.out.weight, network.out.bias), all_names[-1], strict=True):
            own.copy_(torch.from_numpy(np.asarray(arrays[name], np.float32)))


def _names_of(network: str) -> list[tuple[str, str]]:
    """Return the names of the weights and biases of each layer, the output layer last."""
    weights, biases = (array_names(kind, network) for kind in ("weights", "biases"))
    return list(zip(weights, biases, strict=True))


def grow(first: Mapping[str, NDArray[Any]], *, seed: int) -> dict[str, NDArray[Any]]:
    """Grow the second network from the first, wider and deeper, with the same output.

    Every channel is duplicated, and its outgoing weights are shared between both copies. New layers
    are identities (Net2Net, Chen et al., 2016).
    """
    rng, shapes = np.random.default_rng(seed), array_shapes(SECOND)
    grown: dict[str, NDArray[Any]] = {}
    for (weights, biases), source in zip(_names_of(SECOND), (*GROWN_FROM, -1), strict=True):
        if source is None:
            grown[weights] = _identity(*shapes[weights])
            grown[biases] = np.zeros(shapes[biases], np.float32)
        else:
            grown[weights], grown[biases] = _doubled(rng, first, source)
    return grown


def _doubled(
    rng: Rng, first: Mapping[str, NDArray[Any]], layer: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return weights and biases of a layer of the first network, channels doubled; -1: output."""
    names = _names_of(FIRST)
    weights, biases = (first[name].astype(np.float32) for name in names[layer])
    if layer < 0:
        return _shared(rng, weights, len(weights.T)), biases
    if layer:
        weights = _shared(rng, weights, len(first[names[layer - 1][1]]))
    # The channels of the last layer are those of two frames, each of which is duplicated
    # separately.
    parts = PIXELS_PER_STEP // PIXELS_PER_FRAME if layer == len(names) - 2 else 1
    return _twice(weights, parts), _twice(biases, parts)


def _identity(channels: int, inputs: int) -> Floats:
    """Return the weights of an identity layer: (channels, rows x COLUMNS x channels)."""
    places = inputs // channels
    weights = np.zeros((channels, places, channels), np.float32)
    weights[:, places // 2] = np.eye(channels, dtype=np.float32)
    return weights.reshape(channels, inputs)


def _twice(values: Floats, parts: int) -> Floats:
    """Split an array into equal parts, and repeat each part right after itself."""
    pieces = np.split(values, parts)
    return np.concatenate([one for one in pieces for _ in range(2)])


def _shared(rng: Rng, weights: Floats, channels: int) -> Floats:
    """Return the weights of a layer with duplicated inputs: (N, K x C) -> (N, K x 2 C).

    Random unequal shares let the copies learn different features.
    """
    split = weights.reshape(len(weights), -1, channels)
    apart = rng.normal(0, split.std() / 2, split.shape).astype(np.float32)
    shared = np.concatenate([split / 2 + apart, split / 2 - apart], axis=2)
    return np.asarray(shared.reshape(len(weights), -1), np.float32)


def _batches(lines: Sequence[Line], rng: Rng) -> Iterator[list[Line]]:
    lengths = (
        np.array([line.pixels.shape[2] for line in lines]) + rng.random(len(lines)) * LENGTH_JITTER
    )
    order = np.argsort(lengths, kind="stable")
    groups = [order[first : first + BATCH] for first in range(0, len(order), BATCH)]
    for place in rng.permutation(len(groups)):
        yield [lines[number] for number in groups[place]]


def _padded(lines: Sequence[NDArray[Any]]) -> Tensor:
    """Pad lines (2, 32, W) to a batch of one length, with darkness from 0 to 1."""
    steps = -(-max(pixels.shape[2] for pixels in lines) // PIXELS_PER_STEP)
    shape = (len(lines), INPUT_CHANNELS, LINE_HEIGHT, steps * PIXELS_PER_STEP)
    padded = np.zeros(shape, np.float32)
    for place, pixels in enumerate(lines):
        padded[place, :, :, : pixels.shape[2]] = pixels
    darkness = torch.from_numpy(padded / np.float32(255))
    return darkness.contiguous(memory_format=torch.channels_last)


def _loss(network: TrainableNetwork, batch: Sequence[tuple[Floats, NDArray[np.uint8]]]) -> Tensor:
    darkness = _padded([pixels for pixels, _ in batch])
    shares = functional.log_softmax(network(darkness), 2)
    frames = torch.tensor([pixels.shape[2] // PIXELS_PER_FRAME for pixels, _ in batch])
    labels = torch.from_numpy(np.concatenate([labels for _, labels in batch]).astype(np.int64))
    counts = torch.tensor([len(labels) for _, labels in batch])
    loss = functional.ctc_loss(
        shares.permute(1, 0, 2), labels, frames, counts, zero_infinity=True, reduction="sum"
    )
    return loss / len(batch)


def bend_line(rng: Rng, pixels: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """Bend a share of lines elastically (Simard et al., 2003), and thicken or thin some of these.

    (2, 32, W) -> (2, 32, W).
    """
    if not share or rng.random() >= share:
        return pixels
    height, width = pixels.shape[1:]
    waves = rng.normal(0, abs(rng.normal(0, BEND)), (2, BEND_ROWS, width // BEND_STEP + 2))
    across, down = (
        cv2.resize(wave.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
        for wave in waves
    )
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    bent = [cv2.remap(plane, x + across, y + down, cv2.INTER_LINEAR) for plane in pixels]
    weigh = (cv2.dilate, cv2.erode, None, None, None, None)[int(rng.integers(6))]
    if weigh:
        bent = [weigh(plane, np.ones((2, 2), np.uint8)) for plane in bent]
    return np.asarray(bent, np.uint8)


def augment_line(rng: Rng, pixels: NDArray[np.uint8]) -> Floats:
    """Shear, stretch, blur or add noise to a line, or blank a plane: (2, 32, W) -> (2, 32, W')."""
    if rng.random() < 0.8:
        pixels = _warped(rng, pixels)
    darkness, ink = pixels.astype(np.float32)
    if rng.random() < 0.3:
        darkness = np.asarray(
            cv2.GaussianBlur(darkness, (0, 0), float(rng.uniform(0.3, 0.9))), np.float32
        )
    darkness = darkness * np.float32(rng.uniform(0.7, 1.25))
    if rng.random() < 0.3:
        darkness = darkness + rng.normal(0, rng.uniform(3, 18), darkness.shape).astype(np.float32)
    planes = np.stack([np.clip(darkness, 0, 255), ink])
    alone = float(rng.random())
    if alone < 0.24:
        planes[int(alone < 0.12)] = 0
    return planes


def _warped(rng: Rng, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Shear, stretch, shift vertically and tilt a line."""
    height, width = pixels.shape[1:]
    shear, tilt, shift = (
        float(rng.normal(0, 0.12)),
        float(rng.normal(0, 0.012)),
        float(rng.normal(0, 1.0)),
    )
    across, down = float(np.exp(rng.normal(0, 0.08))), float(np.exp(rng.normal(0, 0.07)))
    length = int(width * across) // PIXELS_PER_STEP * PIXELS_PER_STEP
    middle = height / 2
    to_strip = np.array(
        [
            [1 / across, shear, -shear * middle],
            [tilt, 1 / down, middle - middle / down - shift - tilt * width / 2],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.stack(
        [
            np.asarray(cv2.warpAffine(plane, to_strip, (length, height), flags=flags), np.uint8)
            for plane in pixels
        ]
    )


def to_arrays(network: TrainableNetwork) -> dict[str, NDArray[Any]]:
    """Return the arrays of the model file, with batch normalization folded into the weights."""
    weights, biases = [], []
    for stage in network.layers:
        convolution, norm = stage.children()
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        folded = (convolution.weight * scale[:, None, None, None]).permute(0, 2, 3, 1)
        weights.append(folded.reshape(len(folded), -1))
        biases.append(norm.bias - norm.running_mean * scale)
    weights.append(network.out.weight)
    biases.append(network.out.bias)
    kinds = (array_names(kind, network.name) for kind in ("weights", "biases"))
    named = (pair for names in kinds for pair in names), (*weights, *biases)
    return {
        name: value.detach().numpy().astype(np.float16 if value.ndim > 1 else np.float32)
        for name, value in zip(*named, strict=True)
    }
