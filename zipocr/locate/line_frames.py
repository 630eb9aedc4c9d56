"""Network frames of each word of a line, so that any consecutive words can be looked up."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.line.line_image import DIGIT_HEIGHT, INK_DARKNESS, LINE_HEIGHT, SMOOTHING_SIGMA
from zipocr.line.network import PIXELS_PER_FRAME, PIXELS_PER_STEP, Network
from zipocr.locate.page_ink import PAPER, PageInk
from zipocr.locate.text_lines import TextLine, Word
from zipocr.types import Floats

# Margin before and after a word, in line heights.
MARGIN = 0.3
# A word whose height is within these factors of its line's is normalized by its own height and
# middle.
MIN_SHARE, MAX_SHARE = 0.75, 1.35
MAX_SLOPE = 0.3
# Maximum length of a word, in line heights.
MAX_LENGTH = 40.0
_GRAYS = np.arange(256, dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WordFrames:
    """The network's output for each word of a line: (T, 12) frames and (T, 96) features."""

    frames: tuple[Floats, ...]
    features: tuple[Floats, ...]


def read_words(network: Network, ink: PageInk, line: TextLine) -> WordFrames:
    """Run the network on all words of a line at once."""
    images = [word_image(ink, line, word) for word in line.words]
    features = network.features(np.concatenate(images, axis=2))
    ends = np.cumsum([image.shape[2] // PIXELS_PER_FRAME for image in images])[:-1]
    return WordFrames(
        frames=tuple(np.split(network.frames(features), ends)),
        features=tuple(np.split(features, ends)),
    )


def word_image(ink: PageInk, line: TextLine, word: Word) -> NDArray[np.uint8]:
    """Deskew a word and scale it to the network's input: (2, 32, W) uint8, darkness and ink."""
    box, slope = word.box, min(max(line.slope, -MAX_SLOPE), MAX_SLOPE)
    middle = (box.left + box.right) / 2
    height, level = line.height, line.level + line.slope * middle
    own = box.height - abs(slope) * box.width
    if MIN_SHARE * line.height <= own <= MAX_SHARE * line.height:
        height, level = own, (box.top + box.bottom) / 2
    step = height / DIGIT_HEIGHT
    length = min(box.width / height, MAX_LENGTH) + 2 * MARGIN
    columns = max(round(length * DIGIT_HEIGHT), 1)
    columns += -columns % PIXELS_PER_STEP
    left = middle - step * (columns - 1) / 2
    rows, window, darkness, coverage = _planes(ink, word)
    top = level + slope * (left - middle) - step * (LINE_HEIGHT - 1) / 2
    to_page = np.array([[step, 0, left - window], [slope * step, step, top - rows]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    image = np.empty((2, LINE_HEIGHT, columns), np.uint8)
    for plane, straight in zip((darkness, coverage), image, strict=True):
        soft = cv2.GaussianBlur(plane, (0, 0), max(SMOOTHING_SIGMA * step, 0.2))
        cv2.warpAffine(soft, to_page, (columns, LINE_HEIGHT), straight, flags)
    return image


def _planes(ink: PageInk, word: Word) -> tuple[int, int, NDArray[np.uint8], NDArray[np.uint8]]:
    """Crop a word from its page without its neighbours: top, left, darkness and coverage."""
    margin = 2
    box, labels = word.box, ink.components
    shape = box.height + 2 * margin, box.width + 2 * margin
    drawn = np.zeros(shape, np.uint8)
    for place in word.places:
        left, top, wide, tall, _ = labels.listed[place]
        y, x = top - box.top + margin, left - box.left + margin
        drawn[y : y + tall, x : x + wide] |= labels.mask(place).view(np.uint8)
    top, left = box.top - margin, box.left - margin
    inner = ink.normalized[max(top, 0) : top + shape[0], max(left, 0) : left + shape[1]]
    gray = np.full(shape, PAPER, np.uint8)
    y, x = max(-top, 0), max(-left, 0)
    gray[y : y + inner.shape[0], x : x + inner.shape[1]] = inner
    around = cv2.dilate(drawn, np.ones((3, 3), np.uint8))
    contrast = max(PAPER - cv2.mean(gray, mask=drawn)[0], 1.0)
    darker = ((PAPER - _GRAYS) * INK_DARKNESS / contrast).clip(0, 255).astype(np.uint8)
    darkness = np.asarray(cv2.LUT(gray, darker), np.uint8)
    darkness[around == 0] = 0
    return top, left, darkness, drawn * np.uint8(255)
