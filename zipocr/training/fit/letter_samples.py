"""Line images to train the network of letters on, as the search of a page cuts them out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zipocr.line.network import ALPHABET, DIGIT
from zipocr.locate.line_frames import word_image
from zipocr.locate.page_ink import find_ink
from zipocr.locate.text_lines import find_lines
from zipocr.training.fit.line_samples import Line
from zipocr.training.synthesis.pages.letter_lines import LetterLines

# Minimum share of a page's ink, by width, in its longest line.
MIN_SHARE = 0.85
# Minimum width of a character, in pixels; if lines are shorter, the search has lost words.
MIN_WIDTH = 5.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LetterComposer:
    """Composer of line images by number; the n-th is the same in every process."""

    lines: LetterLines

    def holds_zip(self, _number: int) -> bool:
        """Return False: these lines are for letters."""
        return False

    def nth(self, number: int) -> Line | None:
        """Return the line with this number; None if the search does not find it as one line."""
        composed = self.lines.nth(number)
        ink = find_ink(composed.image)
        lines = find_lines(ink.components.boxes)
        if not lines:
            return None
        longest = max(lines, key=lambda line: line.box.width)
        boxes = ink.components.boxes
        wide = int((boxes[:, 0] + boxes[:, 2]).max() - boxes[:, 0].min())
        if longest.box.width < MIN_SHARE * wide:
            return None
        images = [word_image(ink, longest, word) for word in longest.words]
        pixels, labels = np.concatenate(images, axis=2), letter_labels(composed.text)
        has_all = pixels.shape[2] >= MIN_WIDTH * len(labels)
        return Line(pixels=pixels, labels=labels) if has_all and len(labels) else None


def letter_labels(text: str) -> NDArray[np.uint8]:
    """Return the labels of a text: one class per letter, one for digits, none for other signs."""
    labels = [
        DIGIT if sign.isdigit() else ALPHABET.index(sign) + 1
        for sign in text.upper()
        if sign.isdigit() or sign in ALPHABET
    ]
    return np.array(labels, np.uint8)
