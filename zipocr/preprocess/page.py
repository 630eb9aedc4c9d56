"""Preparation of a page for reading: scaling to line size, and binarization."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.preprocess.barcodes import find_bars, without_barcodes
from zipocr.preprocess.binarize import has_ink, normalize_background, otsu
from zipocr.preprocess.borders import remove_borders
from zipocr.preprocess.circles import remove_circles
from zipocr.preprocess.components import Components
from zipocr.preprocess.gaps import bridge_gaps
from zipocr.preprocess.resize import downsample_by_two, reduced, resized
from zipocr.preprocess.rotate import rotate
from zipocr.preprocess.rules import remove_rules
from zipocr.preprocess.specks import remove_specks
from zipocr.preprocess.text_height import estimate_text_height
from zipocr.preprocess.text_lines import MIN_PIXELS, has_several_lines, is_sheet
from zipocr.types import GrayImage, InkMask, Reason

# Target digit height in pixels, and the range of heights that are left unscaled.
TEXT_HEIGHT = 22
MIN_TEXT_HEIGHT, MAX_TEXT_HEIGHT = 17, 31
# Smoothing before the threshold in pixels, by default and if a page seems to have no ink.
SMOOTHING, BLANK_SMOOTHING = 0.5, 0.8
MAX_ENLARGEMENT = 4.0
# Maximum number of pixels after enlargement; beyond this, the ink is dust on a large page.
MAX_ENLARGED_PIXELS = 8_000_000
# Minimum digit height on the halved page; lower digits are sought at full resolution.
MIN_HALVED_HEIGHT = 7.0
# Minimum length of a border in digit heights, since a tight crop may have a 1 at its side.
MIN_BORDER = 1.3
_GRAYS = np.arange(256, dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScaledPage:
    """A scaled page, and its ink by the threshold.

    ``normalized`` is the page divided by its paper; ``threshold`` is its maximum grey level of ink;
    ``text_height`` is the digit height in pixels, 0 without ink; ``is_multi_line`` says whether the
    original page is a sheet of small writing.
    """

    page: GrayImage
    normalized: GrayImage
    threshold: float
    components: Components
    text_height: float
    is_multi_line: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InkPage:
    """A page at line size, its cleaned writing, and the digit height in pixels.

    ``coverage`` is (H, W) uint8, the share of each pixel that is ink, 0 to 255; ``paper`` is the
    grey level of the paper, and ``contrast`` its difference from that of ink.
    """

    scaled: ScaledPage
    components: Components
    text_height: float
    coverage: NDArray[np.uint8]
    paper: float
    contrast: float

    @property
    def ink(self) -> InkMask:
        """The cleaned ink."""
        return self.components.ink

    def rotated_180(self) -> "InkPage":
        """Return the writing rotated by 180 degrees."""
        scaled = self.scaled
        page, normalized = (rotate(one, 180) for one in (scaled.page, scaled.normalized))
        drawn, ink = (
            Components(rotate(one.ink, 180)) for one in (scaled.components, self.components)
        )
        turned = replace(scaled, page=page, normalized=normalized, components=drawn)
        coverage = rotate(self.coverage, 180)
        return replace(self, scaled=turned, components=ink, coverage=coverage)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedPage:
    """A page without barcodes, and its writing at line size, None without ink.

    ``reason`` is why there is nothing to read, or None.
    """

    page: GrayImage
    ink: InkPage | None
    reason: Reason | None

    def rotated_180(self) -> "PreparedPage":
        """Return the page rotated by 180 degrees; its writing need not be found again."""
        ink = self.ink.rotated_180() if self.ink else None
        return replace(self, page=rotate(self.page, 180), ink=ink)


def prepare(page: GrayImage) -> PreparedPage:
    """Find the writing on a page: (H, W) uint8, 0 black to 255 white."""
    page = reduced(page)
    scaled = to_line_size(page)
    if find_bars(scaled.components).any():
        bare = without_barcodes(page, Components(otsu(normalize_background(page))[1]))
        page, scaled = (page, scaled) if bare is page else (bare, to_line_size(bare))
    ink = extract_ink(scaled)
    if ink and ink.text_height <= TEXT_HEIGHT / 2 and scaled.page.shape[0] < page.shape[0]:
        scaled = _enlarged(page, ink)
        ink = extract_ink(scaled)
    return PreparedPage(page=page, ink=ink, reason=_reason(scaled, ink))


def _enlarged(page: GrayImage, ink: InkPage) -> ScaledPage:
    """Rescale a page whose writing turned out lower once rules and boxes were removed."""
    scaled_by = ink.scaled.page.shape[0] / page.shape[0]
    scale = min(TEXT_HEIGHT / ink.text_height * scaled_by, 1.0)
    scaled = _threshold(resized(page, scale), SMOOTHING)
    return replace(scaled, text_height=ink.text_height * scale / scaled_by)


def _reason(scaled: ScaledPage, ink: InkPage | None) -> Reason | None:
    """Return why there is nothing to read: no ink, or more than the single line of a ZIP."""
    if scaled.is_multi_line or (ink and has_several_lines(ink.components, ink.text_height)):
        return Reason.SEVERAL_LINES
    return None if ink else Reason.NO_INK


def to_line_size(page: GrayImage) -> ScaledPage:
    """Scale a page to digits about `TEXT_HEIGHT` high, unless they are near that already.

    Uses the page at half resolution where that suffices, which is faster.
    """
    scaled = _threshold(downsample_by_two(page), SMOOTHING)
    if 0 < scaled.text_height < MIN_HALVED_HEIGHT:
        scaled = _threshold(page, SMOOTHING)
    if scaled.text_height == 0:
        scaled = _threshold(page, BLANK_SMOOTHING)
    return _fit(page, scaled)


def _fit(page: GrayImage, scaled: ScaledPage) -> ScaledPage:
    """Keep a scaled page if its digits are about as high as wanted, else rescale it."""
    if scaled.text_height == 0:
        return scaled
    scaled_by = scaled.page.shape[0] / page.shape[0]
    if is_sheet(scaled.components, MIN_PIXELS * scaled_by):
        # At half resolution, smoothed noise may look like writing.
        whole = _threshold(page, BLANK_SMOOTHING)
        return replace(whole, is_multi_line=whole.text_height > 0)
    if MIN_TEXT_HEIGHT <= scaled.text_height <= MAX_TEXT_HEIGHT:
        return scaled
    scale = min(TEXT_HEIGHT / scaled.text_height * scaled_by, MAX_ENLARGEMENT)
    if scale > 1 and scale * scale * page.size > MAX_ENLARGED_PIXELS:
        return _without_ink(scaled)
    return _threshold(resized(page, scale), SMOOTHING)


def _without_ink(scaled: ScaledPage) -> ScaledPage:
    nothing = Components(np.zeros_like(scaled.components.ink))
    return replace(scaled, components=nothing, text_height=0.0)


def _threshold(page: GrayImage, smoothing: float) -> ScaledPage:
    """Binarize a page, without the borders of the scan.

    They are kept if no ink is left without them, or if the shortest may be a digit.
    """
    bare, shortest = remove_borders(page)
    scaled = _binarize(page, bare, smoothing)
    if bare is page or 0 < MIN_BORDER * scaled.text_height <= shortest:
        return scaled
    return _binarize(page, page, smoothing)


def _binarize(page: GrayImage, bare: GrayImage, smoothing: float) -> ScaledPage:
    normalized = cv2.GaussianBlur(normalize_background(bare), (0, 0), smoothing).astype(
        np.uint8, copy=False
    )
    threshold, ink = otsu(normalized)
    components = Components(ink)
    scaled = ScaledPage(
        page=page,
        normalized=normalized,
        threshold=threshold,
        components=components,
        text_height=0.0,
    )
    if not has_ink(normalized, ink):
        return _without_ink(scaled)
    return replace(scaled, text_height=estimate_text_height(components))


def extract_ink(scaled: ScaledPage) -> InkPage | None:
    """Separate writing from rules and dirt, and bridge its gaps; None if nothing is left."""
    if scaled.text_height == 0 or scaled.is_multi_line:
        return None
    height = scaled.text_height
    bare = remove_rules(remove_circles(scaled.components, height), height)
    if bare is not scaled.components:
        height = estimate_text_height(bare) or height
    clean = bridge_gaps(remove_specks(bare, height), height)
    return to_ink_page(scaled, clean, height) if len(clean.boxes) else None


def to_ink_page(scaled: ScaledPage, components: Components, height: float) -> InkPage:
    """Measure the contrast of the writing, and its coverage of each pixel."""
    drawn = components.ink.view(np.uint8)
    sample = scaled.normalized[::3, ::3].ravel()
    paper = float(np.partition(sample, len(sample) // 2)[len(sample) // 2])
    contrast = max(paper - cv2.mean(scaled.normalized, mask=drawn)[0], 1.0)
    # A pixel at the threshold is half covered by ink.
    shares = (scaled.threshold + 0.5 - _GRAYS) * 255 / contrast + 127.5
    covered = cv2.LUT(scaled.normalized, shares.clip(0, 255).astype(np.uint8))
    around = cv2.dilate(drawn, np.ones((3, 3), np.uint8))
    return InkPage(
        scaled=scaled,
        components=components,
        text_height=height,
        coverage=np.asarray(cv2.bitwise_and(covered, covered, mask=around), np.uint8),
        paper=paper,
        contrast=contrast,
    )
