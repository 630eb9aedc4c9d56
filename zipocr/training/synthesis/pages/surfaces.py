"""From a sheet to a scan: paper, skew, a tilted camera over a dark table, compression losses."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.training.synthesis.pages.canvas import Canvas, Outline
from zipocr.training.synthesis.scene_parameters import Rng
from zipocr.types import Box, GrayImage

_TILE = (2048, 3072)
_SPREAD = 32.0  # standard deviation of the tiles in gray levels
_FINE = 0.08  # share of cameras with about twelve megapixels
_GRAINS = (0.0, 1.2, 3.5)  # blur of each tile


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """A sheet as captured by a scanner or camera.

    ``zip_outline`` is transformed accordingly; ``level`` is a gray level between the address and
    its paper.
    """

    image: GrayImage
    zip_outline: Outline | None
    level: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanning:
    """Parameters of scanning a page to a file.

    ``resolution`` is a factor on its size in pixels; a ``jpeg`` quality of 0 means no JPEG.
    """

    grain: float
    noise: float
    shade: float
    blur: float
    jpeg: int
    is_bilevel: bool = False
    resolution: float = 1.0


def draw_scanning(rng: Rng) -> Scanning:
    """Draw the parameters of an office scanner, good or mediocre."""
    is_rough, is_shaded, is_soft, is_jpeg = (rng.random(4) < (0.5, 0.4, 0.5, 0.5)).tolist()
    return Scanning(
        grain=float(rng.uniform(0, 5)) if is_rough else 0.0,
        noise=float(rng.uniform(3, 9) if rng.random() < 0.2 else rng.uniform(0, 3)),
        shade=float(rng.uniform(0, 0.45)) if is_shaded else 0.0,
        blur=float(rng.uniform(0.4, 1.1)) if is_soft else 0.0,
        jpeg=int(rng.integers(45, 95)) if is_jpeg else 0,
    )


def draw_low_quality(rng: Rng) -> Scanning:
    """Draw poor parameters: low resolution, strong compression, or bilevel."""
    plain = draw_scanning(rng)
    dice = rng.random()
    return Scanning(
        grain=plain.grain,
        noise=float(rng.uniform(0, 12)),
        shade=0.0 if dice > 0.7 else plain.shade,
        blur=float(rng.uniform(0, 1.2)),
        jpeg=int(rng.integers(20, 41)) if dice < 0.45 else 0,
        is_bilevel=bool(dice > 0.7),
        resolution=float(rng.uniform(0.48, 0.6)) if 0.3 < dice < 0.7 else 1.0,
    )


def as_cropped(canvas: Canvas, *, angle: float) -> View:
    """View the sheet filling the image, slightly rotated; uncovered corners are paper."""
    height, width = canvas.image.shape
    reach = abs(np.sin(np.deg2rad(angle)))
    size = (round(width + reach * height), round(height + reach * width))
    matrix = np.eye(3)
    matrix[:2] = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    matrix[:2, 2] += (np.array(size) - (width, height)) / 2
    return _warped(canvas, matrix, size, canvas.image if not angle else None, canvas.paper)


def on_scanner(rng: Rng, canvas: Canvas, *, angle: float) -> View:
    """View the whole sheet, slightly rotated, in front of a dark or light lid."""
    height, width = canvas.image.shape
    reach = abs(np.sin(np.deg2rad(angle)))
    more = rng.uniform(0.0, 0.06, 2) * width + 4
    size = (round(width + reach * height + more[0]), round(height + reach * width + more[1]))
    matrix = np.eye(3)
    matrix[:2] = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    slack = np.array(size) - (width + reach * height, height + reach * width)
    matrix[:2, 2] += (np.array(size) - (width, height)) / 2
    matrix[:2, 2] += slack * rng.uniform(-0.5, 0.5, 2)
    lid = float(rng.choice([rng.uniform(0, 60), rng.uniform(235, 255)], p=[0.75, 0.25]))
    return _warped(canvas, matrix, size, None, lid)


def on_table(rng: Rng, canvas: Canvas, *, angle: float) -> View:
    """Photograph the sheet on a table, usually dark, with a tilted camera."""
    height, width = canvas.image.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    turn = np.deg2rad(angle)
    spin = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    seen = (corners - (width / 2, height / 2)) @ spin.T
    seen += rng.uniform(-0.045, 0.045, (4, 2)) * max(height, width)
    seen *= rng.uniform(1.3, 1.8) if rng.random() < _FINE else 1.0
    low, high = seen.min(axis=0), seen.max(axis=0)
    margins = rng.uniform(0.02, 0.22, 4) * (high - low).max()
    seen = seen - low + margins[:2]
    size = np.round(high - low + margins[:2] + margins[2:]).astype(int)
    matrix = np.asarray(
        cv2.getPerspectiveTransform(corners.astype(np.float32), seen.astype(np.float32)), np.float64
    )
    gray = float(rng.choice([rng.uniform(15, 100), rng.uniform(100, 170)], p=[0.8, 0.2]))
    table = _table(rng, (int(size[1]), int(size[0])), gray)
    return _warped(canvas, matrix, (int(size[0]), int(size[1])), table, gray)


def _table(rng: Rng, shape: tuple[int, int], gray: float) -> GrayImage:
    """Draw the surface of a table: cloth, stone, or wood grain."""
    if rng.random() < 0.5:
        table = np.full(shape, round(gray), np.uint8)
        return _grained(rng, table, float(rng.uniform(2, 16)), int(rng.integers(1, 3)))
    small = (max(4, shape[0] // int(rng.integers(3, 9))), max(3, shape[1] // 400))
    streaks = np.clip(rng.normal(gray, gray * 0.18, small), 0, 255).astype(np.uint8)
    wood = np.asarray(cv2.resize(streaks, shape[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)
    return _grained(rng, wood, 3.0, 1)


def _warped(
    canvas: Canvas,
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    ground: GrayImage | None,
    edge: float,
) -> View:
    """Warp the sheet by a matrix, onto a background image or a uniform gray."""
    if ground is canvas.image:
        return View(image=canvas.image, zip_outline=canvas.zip_outline, level=canvas.level)
    if ground is None:
        image = cv2.warpPerspective(
            canvas.image, matrix, size, flags=cv2.INTER_LINEAR, borderValue=edge
        )
    else:
        image = cv2.warpPerspective(
            canvas.image, matrix, size, dst=ground, flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_TRANSPARENT,
        )  # fmt: skip
    outline = canvas.zip_outline
    if outline is not None:
        outline = cv2.perspectiveTransform(outline[None], matrix)[0].astype(np.float64)
    return View(image=np.asarray(image, np.uint8), zip_outline=outline, level=canvas.level)


def scanned(rng: Rng, view: View, scanning: Scanning) -> View:
    """Apply the effects of paper, light, lens, sensor and file to an image."""
    image, outline, factor = view.image, view.zip_outline, scanning.resolution
    if scanning.grain:
        image = _grained(rng, image, scanning.grain, int(rng.integers(1, 3)))
    if scanning.shade:
        image = _shaded(rng, image, scanning.shade)
    if factor != 1:
        small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        image = np.asarray(small, np.uint8)
        outline = None if outline is None else outline * factor
    if scanning.blur > 0.3:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), scanning.blur), np.uint8)
    if scanning.noise:
        image = _grained(rng, image, scanning.noise, 0)
    if scanning.is_bilevel:
        image = np.where(image > view.level + rng.uniform(-12, 12), np.uint8(255), np.uint8(0))
    if scanning.jpeg:
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, scanning.jpeg])
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)
    return View(image=image, zip_outline=outline, level=view.level)


def bounding_box(outline: Outline, shape: tuple[int, ...]) -> Box:
    """Return the bounding box of an outline, clipped to the image."""
    low, high = np.floor(outline.min(axis=0)), np.ceil(outline.max(axis=0)) + 1
    return Box(
        top=max(0, int(low[1])),
        left=max(0, int(low[0])),
        bottom=min(shape[0], int(high[1])),
        right=min(shape[1], int(high[0])),
    )


@lru_cache(maxsize=3)
def _tile(kind: int) -> NDArray[np.uint8]:
    """Return a tile of noise around 128 with a standard deviation of `_SPREAD`."""
    noise = np.random.default_rng(kind).standard_normal(_TILE, np.float32)
    if _GRAINS[kind]:
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), _GRAINS[kind]), np.float32)
    return np.asarray(np.clip(128 + noise * (_SPREAD / noise.std()), 0, 255), np.uint8)


def _grained(rng: Rng, image: GrayImage, spread: float, kind: int) -> GrayImage:
    """Add noise with a standard deviation in gray levels; large images get repeated tiles."""
    tile = _tile(kind)
    times = [-(-side // whole) for side, whole in zip(image.shape, _TILE, strict=True)]
    wide = tile if times == [1, 1] else np.tile(tile, times)
    top, left = (
        int(rng.integers(whole - side + 1))
        for whole, side in zip(wide.shape, image.shape, strict=True)
    )
    noise = wide[top : top + image.shape[0], left : left + image.shape[1]]
    share = spread / _SPREAD
    return np.asarray(cv2.addWeighted(image, 1.0, noise, share, -128 * share), np.uint8)


def _shaded(rng: Rng, image: GrayImage, depth: float) -> GrayImage:
    """Darken an image smoothly, by up to a share of its brightness."""
    coarse = 1 - depth * rng.random((int(rng.integers(2, 4)), int(rng.integers(2, 5))))
    light = cv2.resize((coarse * 255).astype(np.uint8), image.shape[::-1])
    return np.asarray(cv2.multiply(image, light, scale=1 / 255), np.uint8)
