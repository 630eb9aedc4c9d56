"""Paper, ink on it, and scanning."""

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.training.synthesis.scene_parameters import Paper, Pen, Rng, Scan
from zipocr.types import GrayImage

Plane = NDArray[np.float32]
_UNSEEN_BLUR = 0.3


def smooth_chance(rng: Rng, shape: tuple[int, int], pitch: float) -> Plane:
    """Draw smooth noise of unit variance on a scale of ``pitch`` pixels: ``(H, W) float32``."""
    small = (max(2, round(shape[0] / pitch) + 2), max(2, round(shape[1] / pitch) + 2))
    return np.asarray(
        cv2.resize(
            rng.standard_normal(small, np.float32), shape[::-1], interpolation=cv2.INTER_LINEAR
        ),
        np.float32,
    )


def draw_paper(rng: Rng, shape: tuple[int, int], paper: Paper, height: float) -> Plane:
    """Draw blank paper, ``(H, W) float32`` in gray levels.

    ``height`` is that of a digit in pixels, the scale of everything printed.
    """
    sheet = np.full(shape, paper.gray, np.float32)
    if paper.grain:
        sheet += paper.grain * (
            0.6 * smooth_chance(rng, shape, float(rng.uniform(1.2, 4)))
            + 0.6 * smooth_chance(rng, shape, height / 2)
        )
    if paper.shade:
        sheet -= paper.shade * _slope(rng, shape)
    if paper.shadow:
        sheet -= paper.shadow * _shadow(rng, shape, paper.shadow_edge)
    if paper.vignette:
        sheet -= paper.vignette * _vignette(rng, shape)
    if paper.pattern:
        sheet -= paper.pattern_depth * _pattern(rng, shape, paper.pattern, height)
    return sheet


def _slope(rng: Rng, shape: tuple[int, int]) -> Plane:
    """Draw a curved gradient in a random direction, 0 to 1."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.cos(angle) * x / shape[1] + np.sin(angle) * y / shape[0]
    ramp = (ramp - ramp.min()) / (np.ptp(ramp) + 1e-6)
    return np.asarray(ramp ** float(rng.uniform(0.6, 2.5)), np.float32)


def _shadow(rng: Rng, shape: tuple[int, int], edge: float) -> Plane:
    """Draw the shadow edge of an object on the paper: a step along a line, 0 to 1."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    soft = edge or float(rng.uniform(1.5, 0.25 * shape[0]))
    away = np.cos(angle) * (x - rng.uniform(0.1, 0.9) * shape[1]) + np.sin(angle) * (
        y - rng.uniform(0.1, 0.9) * shape[0]
    )
    return np.asarray(1 / (1 + np.exp(-np.clip(away / soft, -30, 30))), np.float32)


def _vignette(rng: Rng, shape: tuple[int, int]) -> Plane:
    """Draw light that fades from a centre outwards, 0 to 1."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    down, across = rng.uniform(0.2, 0.8) * shape[0], rng.uniform(0.2, 0.8) * shape[1]
    away = np.hypot((y - down) / shape[0], (x - across) / shape[1])
    return np.asarray((away / away.max()) ** float(rng.uniform(1.5, 4)), np.float32)


def _pattern(rng: Rng, shape: tuple[int, int], name: str, height: float) -> Plane:
    """Draw security print, 0 to 1.

    Families of fine lines, straight or wavy, as on cheques, or a halftone screen.
    """
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    pitch = height * float(rng.uniform(0.07, 0.22)) + 2
    if name == "dots":
        return np.asarray(
            np.clip(np.sin(2 * np.pi * x / pitch) * np.sin(2 * np.pi * y / pitch) * 2 - 0.4, 0, 1),
            np.float32,
        )
    families = {"lines": 1, "waves": 1, "cross": 2, "moire": 3}[name]
    wave = 0.0 if name in {"lines", "cross"} else height * float(rng.uniform(0.05, 0.4))
    first = rng.uniform(0, np.pi) if rng.random() < 0.4 else rng.normal(0, 0.15)
    sheet = np.zeros(shape, np.float32)
    for family in range(families):
        angle = first + family * rng.uniform(0.4, 1.4)
        along, across = (
            np.cos(angle) * x + np.sin(angle) * y,
            -np.sin(angle) * x + np.cos(angle) * y,
        )
        across = across + wave * np.sin(
            2 * np.pi * along / (height * rng.uniform(0.8, 4)) + rng.uniform(0, 6.3)
        )
        crest = np.sin(2 * np.pi * across / (pitch * rng.uniform(0.8, 1.3)) + rng.uniform(0, 6.3))
        sheet = np.maximum(
            sheet,
            np.clip(crest - float(rng.uniform(0, 0.7)), 0, 1) * 1.6 * float(rng.uniform(0.5, 1)),
        )
    return np.minimum(sheet, 1)


def lay_ink(rng: Rng, sheet: Plane, cover: Plane, pen: Pen, height: float) -> Plane:
    """Draw pen strokes, ``cover (H, W) float32`` 0 to 1, on a sheet in gray levels.

    Ink never lightens paper.
    """
    ink = cover
    if pen.texture:
        flow = (
            smooth_chance(rng, ink.shape, max(2, height / 12)) * 0.7
            + smooth_chance(rng, ink.shape, height) * 0.7
        )
        ink = ink * np.clip(1 - pen.texture * (0.35 + 0.45 * flow), 0.15, 1)
    return np.minimum(sheet, sheet * (1 - ink) + pen.gray * ink)


def scan_page(rng: Rng, sheet: Plane, scan: Scan) -> GrayImage:
    """Scan a page: blur, noise, binarization, JPEG.

    A sheet in gray levels -> its scan, ``(H, W) uint8``.
    """
    if scan.blur > _UNSEEN_BLUR:
        sheet = np.asarray(cv2.GaussianBlur(sheet, (0, 0), scan.blur), np.float32)
    if scan.noise:
        sheet = sheet + scan.noise * rng.standard_normal(sheet.shape, np.float32)
    page = np.clip(np.round(sheet), 0, 255).astype(np.uint8)
    if scan.salt:
        dice = rng.random(page.shape, np.float32)
        page[dice < scan.salt / 2] = 0
        page[dice > 1 - scan.salt / 2] = 255
    if scan.bilevel:
        level, _ = cv2.threshold(page, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
        page = np.where(page > level + rng.uniform(-12, 12), 255, 0).astype(np.uint8)
    if scan.jpeg:
        _, data = cv2.imencode(".jpg", page, [cv2.IMWRITE_JPEG_QUALITY, scan.jpeg])
        page = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)
    return page
