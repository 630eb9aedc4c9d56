"""Binarization: background normalization and Otsu's threshold."""

import cv2
import numpy as np

from zipocr.preprocess.resize import downsample_by_two
from zipocr.types import GrayImage, InkMask

# The background is estimated on a page reduced by this factor, which is faster and suffices, and a
# large page by more, so that its shorter side has about as many pixels as this.
BACKGROUND_SHRINK, BACKGROUND_SIDE = 4, 200
# Minimum contrast of ink, in standard deviations of the paper and in grey levels.
MIN_CONTRAST = 4.3
MIN_GRAY = 10.0
# Darkening of pale strokes: the percentile of the page that is its darkest ink, and the share of
# its darkness below which pixels are paper.
DARKEST_PERCENTILE, MIN_DARKNESS = 1, 0.04

# Maximum width of gaps that are closed, in pixels.
MAX_GAP = 16.0


def normalize_background(page: GrayImage) -> GrayImage:
    """Divide a page by its background, so that shading and kraft paper become even white.

    Parameters
    ----------
    page : (H, W) uint8
        0 black to 255 white.

    Returns
    -------
    (H, W) uint8
        The page with paper near 255.

    Notes
    -----
    The background is a smoothed grey closing of the page, wide enough to remove strokes, after a
    median filter against white specks.
    """
    height, width = page.shape
    shrink = max(BACKGROUND_SHRINK, min(page.shape) // BACKGROUND_SIDE)
    small_size = max(1, width // shrink), max(1, height // shrink)
    small = cv2.resize(page, small_size, interpolation=cv2.INTER_AREA)
    reach = max(3, min(small.shape) // 3 | 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    paper = cv2.morphologyEx(
        cv2.medianBlur(small, 3), cv2.MORPH_CLOSE, disc, borderType=cv2.BORDER_REPLICATE
    )
    paper = cv2.GaussianBlur(paper, (0, 0), reach / 3, borderType=cv2.BORDER_REPLICATE)
    paper = cv2.resize(paper, (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.divide(page, np.maximum(paper, 1), scale=250).astype(np.uint8, copy=False)


def close_gaps(page: GrayImage, width: float) -> GrayImage:
    """Close the gaps between dots and in broken strokes: a grey opening by a disc.

    Parameters
    ----------
    page : (H, W) uint8
        Dark writing on light paper.
    width : float
        Width of the gaps in pixels.

    Returns
    -------
    (h, w) uint8
        Halved until the gaps are at most `MAX_GAP` pixels wide: the time grows with their width.
    """
    while width > MAX_GAP and min(page.shape) > 1:
        page, width = downsample_by_two(page), width / 2
    side = max(3, int(width) | 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    closed = cv2.morphologyEx(page, cv2.MORPH_OPEN, disc, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(closed, np.uint8)


def darken_pale(page: GrayImage) -> GrayImage:
    """Darken pale strokes, so that one threshold finds them beside dark ones.

    Parameters
    ----------
    page : (H, W) uint8
        Dark writing on light paper.

    Returns
    -------
    (H, W) uint8
        On even paper, the square root of the darkness.
    """
    smooth = cv2.GaussianBlur(normalize_background(page), (0, 0), 1.0).astype(np.uint8)
    paper, darkest = np.median(smooth), np.percentile(smooth, DARKEST_PERCENTILE)
    darkness = (paper - np.arange(256, dtype=np.float32)) / max(paper - darkest, 1.0)
    grays = 250 - 200 * np.sqrt(np.clip(darkness, MIN_DARKNESS, 1) - MIN_DARKNESS)
    return np.asarray(cv2.LUT(smooth, grays.astype(np.uint8)), np.uint8)


def otsu(flat: GrayImage) -> tuple[float, InkMask]:
    """Binarize a page by one threshold (Otsu, 1979): (H, W) uint8 -> grey level, (H, W) bool."""
    level, drawn = cv2.threshold(flat, 0, 1, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    return level, np.asarray(drawn, np.uint8).view(np.bool_)


def has_ink(flat: GrayImage, ink: InkMask) -> bool:
    """Return whether a threshold separates ink from paper, not just the noise of the paper.

    Otsu's threshold splits Gaussian noise into halves whose means are 2.7 standard deviations of
    the lighter half apart; faint writing is about 5 below its paper.
    """
    drawn = ink.view(np.uint8)
    if cv2.countNonZero(drawn) in {0, ink.size}:
        return False
    (paper,), (spread,) = cv2.meanStdDev(flat, mask=1 - drawn)
    contrast = float(paper[0]) - cv2.mean(flat, mask=drawn)[0]
    return contrast >= max(MIN_CONTRAST * float(spread[0]), MIN_GRAY)
