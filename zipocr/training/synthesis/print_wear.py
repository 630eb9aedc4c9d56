"""Degradation of type by worn and cheap printers: gaps, pale areas, coarse dots, shifted rows."""

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.training.synthesis.scene_parameters import Rng

Coverage = NDArray[np.float32]


def wear_off(rng: Rng, cover: Coverage, name: str, height: float) -> Coverage:
    """Degrade type like a printer of this name (`WEAR`): (H, W) coverage, 0 to 1."""
    return WEAR[name](rng, cover, height)


def _thermal(rng: Rng, cover: Coverage, height: float) -> Coverage:
    """Simulate thermal print: coarse dots, cold heating elements, and patches of faded paper."""
    if rng.random() < 0.6:
        cover = _coarse(rng, cover, height)
    if rng.random() < 0.7:
        cover = cover * _hairlines(rng, cover.shape, height)
    return cover * _patches(rng, cover.shape, height, float(rng.uniform(0.2, 1.0)))


def _coarse(rng: Rng, cover: Coverage, height: float) -> Coverage:
    """Print at a low resolution."""
    rows = float(rng.uniform(13, 26))
    scale = min(1.0, rows / height)
    size = tuple(max(2, round(side * scale)) for side in cover.shape[::-1])
    dots = cv2.resize(cover, size, interpolation=cv2.INTER_AREA)
    dots = np.clip((dots - float(rng.uniform(0.25, 0.5))) * 4 + 0.5, 0, 1)
    large = cv2.resize(dots, cover.shape[::-1], interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.GaussianBlur(large, (0, 0), 0.25 / scale), np.float32)


def _hairlines(rng: Rng, shape: tuple[int, ...], height: float) -> Coverage:
    """Draw horizontal or vertical lines that stay white or pale: 1 where ink is kept."""
    axis = int(rng.random() < 0.35)
    kept = np.ones(shape[axis], np.float32)
    every = height * float(rng.uniform(0.12, 0.6)) * (1 + axis)
    for _ in range(max(1, round(shape[axis] / every))):
        thick = max(1, round(height * float(rng.uniform(0.015, 0.07))))
        first = int(rng.integers(0, max(1, shape[axis] - thick)))
        kept[first : first + thick] = float(rng.choice([0.0, rng.uniform(0, 0.6)]))
    across = kept[:, None] if axis == 0 else kept[None]
    return np.broadcast_to(across, shape).astype(np.float32)


def _patches(rng: Rng, shape: tuple[int, ...], height: float, depth: float) -> Coverage:
    """Draw soft-edged areas with less ink: 1 where ink is kept."""
    pitch = height * float(rng.uniform(0.15, 0.9))
    small = (max(2, round(shape[0] / pitch) + 1), max(2, round(shape[1] / pitch) + 1))
    field = cv2.resize(rng.random(small, np.float32), shape[::-1], interpolation=cv2.INTER_CUBIC)
    level = float(rng.uniform(0.05, 0.4))
    pale = np.clip((level - field) * float(rng.uniform(3, 12)) + 0.5, 0, 1)
    return np.asarray(1 - depth * pale, np.float32)


def _ink_jet(rng: Rng, cover: Coverage, height: float) -> Coverage:
    """Simulate inkjet print: ragged edges, satellite drops, misaligned swaths, clogged nozzles."""
    reach = max(1.0, 0.03 * height)
    cover = _ragged(rng, cover, reach)
    if rng.random() < 0.5:
        cover = _shifted(rng, cover, height)
    if rng.random() < 0.5:
        cover = cover * _hairlines(rng, cover.shape, 1.5 * height)
    drops = (rng.random(cover.shape) < 0.02) & (cv2.dilate(cover, np.ones((3, 3))) > 0.3)
    return np.maximum(cover, drops * np.float32(rng.uniform(0.2, 0.8)))


def _ragged(rng: Rng, cover: Coverage, reach: float) -> Coverage:
    y, x = np.mgrid[: cover.shape[0], : cover.shape[1]].astype(np.float32)
    moves = (rng.normal(0, reach, cover.shape).astype(np.float32) for _ in range(2))
    down, along = (cv2.GaussianBlur(move, (0, 0), 0.8) * 1.6 for move in moves)
    return np.asarray(cv2.remap(cover, x + along, y + down, cv2.INTER_LINEAR), np.float32)


def _shifted(rng: Rng, cover: Coverage, height: float) -> Coverage:
    """Misalign one swath of the print head."""
    row = int(rng.integers(0, cover.shape[0]))
    moved = cover.copy()
    moved[row:] = np.roll(cover[row:], round(float(rng.normal(0, 0.035)) * height), axis=1)
    return moved


def _worn(rng: Rng, cover: Coverage, height: float) -> Coverage:
    """Simulate a dry ribbon or worn plate: pinholes, pale patches, one side stronger."""
    grain = cv2.GaussianBlur(
        rng.random(cover.shape, np.float32), (0, 0), float(rng.uniform(0.6, 1.4))
    )
    holes = np.clip((grain - np.quantile(grain, float(rng.uniform(0.02, 0.3)))) * 20 + 0.5, 0, 1)
    side = np.linspace(1, float(rng.uniform(0.4, 1)), cover.shape[0], dtype=np.float32)[:, None]
    side = side if rng.random() < 0.5 else side[::-1]
    return np.asarray(cover * holes * side * _patches(rng, cover.shape, height, 0.7), np.float32)


WEAR: Mapping[str, Callable[[Rng, Coverage, float], Coverage]] = {
    "thermal": _thermal,
    "ink_jet": _ink_jet,
    "worn": _worn,
}
"""Degradation by kind of printer."""
