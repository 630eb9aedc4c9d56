"""Trains the network that reads whole lines.

Needs PyTorch, which nothing else does: ``pip install '.[network]'``.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from zipocr.line.line_image import LINE_HEIGHT
from zipocr.line.network import (
    CLASSES,
    COLUMNS,
    FEATURES,
    INPUT_CHANNELS,
    LAYERS,
    PIXELS_PER_FRAME,
    PIXELS_PER_STEP,
    Layer,
    array_names,
)
from zipocr.training.fit.line_samples import Line
from zipocr.types import Floats

BATCH = 64
RATE = 3e-3
WARMING = 0.1
DECAY = 1e-2
MAX_STEP = 5.0
DROPOUT = 0.1
# Lines of about one length share a batch; how much about, in pixels.
LENGTH_JITTER = 24.0
Rng = np.random.Generator
Report = Callable[[str], None]


class Trained(nn.Module):
    """The network of `zipocr.line.network` while it learns.

    With normalized batches, which are folded into the weights in the end.
    """

    def __init__(self) -> None:
        super().__init__()
        before = (INPUT_CHANNELS, *(layer.channels for layer in LAYERS))
        self.layers = nn.ModuleList(
            _stage(channels, layer) for channels, layer in zip(before[:-1], LAYERS, strict=True)
        )
        self.drop = nn.Dropout(DROPOUT)
        self.out = nn.Linear(FEATURES, CLASSES)

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, 2, 32, W) darkness, 0 to 1 -> (N, W / 2, 12) logits."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.training and _knows_bfloat16()):
            for stage, layer in zip(self.layers, LAYERS, strict=True):
                pixels = stage(pixels)
                if layer.pool != (1, 1):
                    pixels = functional.max_pool2d(pixels, layer.pool)
        features = pixels[:, :, 0].permute(0, 2, 1).reshape(len(pixels), -1, FEATURES).float()
        logits: Tensor = self.out(self.drop(features))
        return logits


def _knows_bfloat16() -> bool:
    """Whether this processor may reckon in bfloat16 itself.

    One that does not takes nine times as long so, instead of less than half.
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
    return nn.Sequential(convolution, nn.BatchNorm2d(layer.channels), nn.ReLU(inplace=True))


def fit_network(
    lines: Sequence[Line], epochs: int, *, seed: int, jobs: int, report: Report
) -> dict[str, NDArray[Any]]:
    """Trains a network.

    Parameters
    ----------
    lines : sequence of Line
    epochs : int
        How often the network sees each line, every time augmented otherwise.
    seed : int
    jobs : int
        Threads. Sums are split among them, so that another number gives another network in the last
        digits, and then in more.
    report : callable
        Told how it goes.

    Returns
    -------
    dict
        Arrays of the model file.

    Notes
    -----
    AdamW, the learning rate rising and falling once (Smith and Topin, 2018), the loss that of
    connectionist temporal classification. In channels last, and in bfloat16 where the processor
    knows it, which lets it see two and a half times as many lines a second.
    """
    torch.manual_seed(seed)
    torch.set_num_threads(jobs)
    rng = np.random.default_rng(seed)
    network = Trained().to(memory_format=torch.channels_last).train()
    steps = epochs * -(-len(lines) // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, RATE, total_steps=steps + 1, pct_start=WARMING
    )
    for epoch in range(epochs):
        total = 0.0
        for batch in _batches(lines, rng):
            loss = _loss(network, [(augment_line(rng, line.pixels), line.labels) for line in batch])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), MAX_STEP)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(batch)
        report(f"epoch {epoch + 1} of {epochs}: {total / len(lines):.4f} nats a line")
    return to_arrays(network.eval())


def _batches(lines: Sequence[Line], rng: Rng) -> Iterator[list[Line]]:
    lengths = (
        np.array([line.pixels.shape[2] for line in lines]) + rng.random(len(lines)) * LENGTH_JITTER
    )
    order = np.argsort(lengths, kind="stable")
    groups = [order[first : first + BATCH] for first in range(0, len(order), BATCH)]
    for place in rng.permutation(len(groups)):
        yield [lines[number] for number in groups[place]]


def _loss(network: Trained, batch: Sequence[tuple[Floats, NDArray[np.uint8]]]) -> Tensor:
    lengths = [pixels.shape[2] for pixels, _ in batch]
    steps = -(-max(lengths) // PIXELS_PER_STEP)
    padded = np.zeros(
        (len(batch), INPUT_CHANNELS, LINE_HEIGHT, steps * PIXELS_PER_STEP), np.float32
    )
    for place, (pixels, _) in enumerate(batch):
        padded[place, :, :, : pixels.shape[2]] = pixels
    darkness = torch.from_numpy(padded / np.float32(255)).contiguous(
        memory_format=torch.channels_last
    )
    shares = functional.log_softmax(network(darkness), 2)
    frames = torch.tensor([length // PIXELS_PER_FRAME for length in lengths])
    labels = torch.from_numpy(np.concatenate([labels for _, labels in batch]).astype(np.int64))
    counts = torch.tensor([len(labels) for _, labels in batch])
    loss = functional.ctc_loss(
        shares.permute(1, 0, 2), labels, frames, counts, zero_infinity=True, reduction="sum"
    )
    return loss / len(batch)


def augment_line(rng: Rng, pixels: NDArray[np.uint8]) -> Floats:
    """A strip somewhat leaning, stretched, blurred and noisy, or seen through one of its planes alone: (2, 32, W) -> (2, 32, W')."""
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
    """Sheared, stretched, moved up or down and tilted."""
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


def to_arrays(network: Trained) -> dict[str, NDArray[Any]]:
    """Arrays of the model file: each layer's normalization is folded into its weights."""
    weights, biases = [], []
    for stage in network.layers:
        convolution, norm, _ = stage.children()
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        folded = (convolution.weight * scale[:, None, None, None]).permute(0, 2, 3, 1)
        weights.append(folded.reshape(len(folded), -1))
        biases.append(norm.bias - norm.running_mean * scale)
    weights.append(network.out.weight)
    biases.append(network.out.bias)
    named = zip((*array_names("weights"), *array_names("biases")), (*weights, *biases), strict=True)
    return {
        name: value.detach().numpy().astype(np.float16 if value.ndim > 1 else np.float32)
        for name, value in named
    }
