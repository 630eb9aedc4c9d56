"""Binarization of a whole page, and removal of what is not writing."""

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.locate.text_lines import MIN_LETTER, TextLine, find_lines
from zipocr.preprocess.barcodes import bars_among
from zipocr.preprocess.components import Components
from zipocr.preprocess.resize import resized
from zipocr.preprocess.rotate import rotate
from zipocr.types import GrayImage, InkMask

# Pages are reduced to at most this many pixels on the longer side.
MAX_SIDE = 2000
# The paper is estimated on a page reduced by this factor, by a grey closing with a disc of this
# diameter in pixels.
SHRINK, DISC = 8, 15
PAPER = 250
# Anything darker than this share of the paper's brightness, a quantile of the page, is a scanner
# lid or a table.
MIN_PAPER, PAPER_RANK = 0.3, 0.9
# Minimum contrast of ink: as a share of the darkest ink nearby, in standard deviations of the
# paper, and in grey levels.
MIN_SHARE, MIN_DEVIATIONS, MIN_GRAY = 0.4, 5.0, 20.0
# Side in pixels of the squares in which, and around which, the darkest ink is sought.
NEAR = 8
# Minimum length of a rule, as a share of the page's longer side and in letter heights (this
# quantile of the components' heights), and its maximum thickness in pixels.
RULE_LENGTH, RULE_HEIGHTS, LETTER_RANK, RULE_THICKNESS = 0.04, 3.0, 0.8, 7
# Bars of a barcode fill their box; letters and digits do not.
MIN_SOLID = 0.75
# Components smaller than this, in pixels, are specks; those larger than this share of the page's
# longer side are pictures or frames.
MIN_SIDE, MIN_AREA, MAX_SHARE = 3, 6, 0.2
# Longer ones may be words or numbers in joined characters: maximum length as a share of the page's
# longer side, maximum height in letter heights, minimum and maximum length in heights, and maximum
# share of a row that is ink.
MAX_WORD, WORD_HEIGHT, MIN_ELONGATION, MAX_ELONGATION, MAX_ROW = 0.7, 2.2, 1.3, 7.0, 0.85
# Maximum number of components, the largest first; pages with more are patterns or pictures.
MAX_COMPONENTS = 2000


@dataclass(frozen=True, kw_only=True, eq=False)
class PageInk:
    """A page reduced by ``scale`` (at most 1), and the components that may be writing.

    ``normalized`` is the page divided by its paper, with paper near `PAPER`.
    """

    normalized: GrayImage
    components: Components
    scale: float

    @cached_property
    def lines(self) -> list[TextLine]:
        """The lines of text, from top to bottom."""
        return find_lines(self.components.boxes)

    def rotated(self, degrees: int) -> "PageInk":
        """Return the ink of the page rotated clockwise by a multiple of 90 degrees."""
        if not degrees:
            return self
        ink = Components(rotate(self.components.ink, degrees))
        return replace(self, normalized=rotate(self.normalized, degrees), components=ink)


def find_ink(page: GrayImage) -> PageInk:
    """Find the components of a page that may be writing.

    Parameters
    ----------
    page : (H, W) uint8
        0 black to 255 white.
    """
    scale = min(1.0, MAX_SIDE / max(page.shape))
    small = resized(page, scale) if scale < 1 else page
    normalized = divide_by_paper(small)
    components = without_rules(without_specks(Components(threshold_locally(normalized))))
    return PageInk(normalized=normalized, components=writing(components), scale=scale)


def divide_by_paper(page: GrayImage) -> GrayImage:
    """Divide a page by its local background, so that labels, shadows and tables become even white.

    (H, W) uint8 -> (H, W) uint8, paper near `PAPER`.
    """
    height, width = page.shape
    size = max(1, width // SHRINK), max(1, height // SHRINK)
    small = cv2.medianBlur(cv2.resize(page, size, interpolation=cv2.INTER_AREA), 3)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (DISC, DISC))
    paper = cv2.morphologyEx(small, cv2.MORPH_CLOSE, disc, borderType=cv2.BORDER_REPLICATE)
    lid = paper < MIN_PAPER * float(np.quantile(paper, PAPER_RANK))
    paper = cv2.resize(cv2.GaussianBlur(paper, (3, 3), 0), (width, height))
    smooth = cv2.GaussianBlur(page, (3, 3), 0)
    divided = cv2.divide(smooth, np.maximum(paper, 1), scale=PAPER)
    if lid.any():
        covered = cv2.resize(lid.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        divided[covered > 0] = PAPER
    return np.asarray(divided, np.uint8)


def threshold_locally(normalized: GrayImage) -> InkMask:
    """Binarize by the darkest ink near each pixel, after Bernsen (1986): (H, W) bool.

    Finds faint writing beside black print, but not the noise of the paper.
    """
    height, width = normalized.shape
    sample = normalized[::4, ::4]
    noise = 1.4826 * float(np.median(np.abs(sample.astype(np.int16) - np.median(sample))))
    floor = max(MIN_DEVIATIONS * noise, MIN_GRAY)
    rows, columns = -(-height // NEAR), -(-width // NEAR)
    padded = cv2.copyMakeBorder(
        normalized, 0, rows * NEAR - height, 0, columns * NEAR - width, cv2.BORDER_REPLICATE
    )
    darkest = padded.reshape(rows, NEAR, columns, NEAR).min(axis=(1, 3))
    darkest = cv2.erode(darkest, np.ones((5, 5), np.uint8), borderType=cv2.BORDER_REPLICATE)
    depth = np.maximum(MIN_SHARE * (float(PAPER) - cv2.blur(darkest, (5, 5))), floor)
    level = cv2.resize((PAPER - depth).clip(0, 255).astype(np.uint8), (columns * NEAR, rows * NEAR))
    return np.asarray(normalized < level[:height, :width])


def without_specks(components: Components) -> Components:
    """Drop specks and, if there are too many components, the smallest."""
    boxes = components.boxes
    kept = (boxes[:, 2:4].max(axis=1) >= MIN_SIDE) & (boxes[:, 4] >= MIN_AREA)
    if np.count_nonzero(kept) > MAX_COMPONENTS:
        area = boxes[:, 4]
        kept &= area > np.partition(area, -MAX_COMPONENTS)[-MAX_COMPONENTS]
    return components.take(kept)


def without_rules(components: Components) -> Components:
    """Erase long horizontal and vertical lines, and rejoin the strokes that cross them."""
    boxes = components.boxes
    if not len(boxes):
        return components
    letters = float(np.quantile(boxes[:, 3], LETTER_RANK))
    length = round(max(RULE_LENGTH * max(components.ink.shape), RULE_HEIGHTS * letters))
    long = boxes[:, 2:4].max(axis=1) >= length
    # A component that is this thin overall is nothing but a rule.
    thin = long & (boxes[:, 2:4].min(axis=1) <= RULE_THICKNESS)
    kept = components.take(~thin)
    if (long & ~thin).any():
        held = components.take(long & ~thin)
        drawn = np.ascontiguousarray(held.ink[held.window]).view(np.uint8)
        for kernel in ((1, length), (length, 1)):
            drawn = _without_lines(drawn, kernel)
        bare = kept.ink & ~held.ink
        bare[held.window] |= drawn.view(np.bool_)
        return without_specks(Components(bare))
    return kept


def _without_lines(drawn: NDArray[np.uint8], kernel: tuple[int, int]) -> NDArray[np.uint8]:
    """Erase thin lines at least as long as a kernel of (rows, columns), one of which is 1."""
    lines = cv2.morphologyEx(drawn, cv2.MORPH_OPEN, np.ones(kernel, np.uint8))
    if not cv2.countNonZero(lines):
        return drawn
    across = kernel[0] == 1
    thick = (RULE_THICKNESS, 1) if across else (1, RULE_THICKNESS)
    thin = cv2.subtract(lines, cv2.morphologyEx(lines, cv2.MORPH_OPEN, np.ones(thick, np.uint8)))
    bare = cv2.subtract(drawn, thin)
    bridge = np.ones((RULE_THICKNESS, 1) if across else (1, RULE_THICKNESS), np.uint8)
    joined = cv2.bitwise_and(cv2.morphologyEx(bare, cv2.MORPH_CLOSE, bridge), thin)
    return np.asarray(cv2.bitwise_or(bare, joined), np.uint8)


def writing(components: Components) -> Components:
    """Keep components that may be writing: no bars, frames or pictures."""
    wide, tall, area = components.boxes[:, 2:5].T
    kept = np.maximum(wide, tall) <= MAX_SHARE * max(components.ink.shape)
    kept[_joined_words(components, kept)] = True
    solid = np.flatnonzero(kept & (area >= MIN_SOLID * wide * tall) & (wide < tall))
    if len(solid):
        kept[solid[bars_among(components.boxes[solid])]] = False
    return components.take(kept)


def _joined_words(components: Components, letters: NDArray[np.bool_]) -> list[int]:
    """Return the large components that have the height and shape of words in joined letters.

    ``letters`` tells which components are small.
    """
    sides = np.sort(components.boxes[:, 2:4], axis=1)
    shorter, longer = sides.T
    words = ~letters & (longer <= MAX_WORD * max(components.ink.shape))
    words &= (longer >= MIN_ELONGATION * shorter) & (longer <= MAX_ELONGATION * shorter)
    heights = longer[letters & (longer >= MIN_LETTER)]
    if len(heights) and words.any():
        words &= shorter <= WORD_HEIGHT * np.quantile(heights, LETTER_RANK)
    return [
        place for place in np.flatnonzero(words).tolist() if _has_no_line(components.mask(place))
    ]


def _has_no_line(mask: InkMask) -> bool:
    """Return whether no row along an elongated component is a line, as in frames and rules."""
    along = mask if mask.shape[1] >= mask.shape[0] else mask.T
    return bool(along.mean(axis=1).max() <= MAX_ROW)
