"""Localization of candidates for the ZIP on a page, and their crops."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.line.network import Network
from zipocr.locate.candidates import Span, count_signs, find_spans
from zipocr.locate.choice import PageLayout
from zipocr.locate.layout import lay_out
from zipocr.locate.line_frames import WordFrames, read_words
from zipocr.locate.page_ink import PAPER, PageInk
from zipocr.locate.text_lines import TextLine, count_neighbours, transposed
from zipocr.types import Box, Floats, GrayImage

# Margin around a candidate, in line heights.
MARGIN = 0.6
# Lines are vertical if letters have this many times more neighbours in that direction.
UPRIGHT_LEAD = 1.25
# Minimum number of letters of a line used for page orientation.
MIN_LETTERS = 3
# Minimum total length of the lines of a long page in line heights, or their minimum number, and
# length of the sample that shows its orientation.
LONG, MANY_LINES, SAMPLE = 1000.0, 60, 400.0
# Minimum number of letters of the longest line on a page with writing.
MIN_LINE = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Located:
    """A page's lines, the network's output for them, and the candidates among their words.

    ``pooled`` (96,) are the network's features averaged over all lines of writing, for the page
    orientation. The page was rotated clockwise by ``rotation`` degrees first.
    """

    page: GrayImage
    ink: PageInk
    layout: PageLayout
    spans: tuple[Span, ...]
    pooled: Floats
    rotation: int

    @property
    def is_written(self) -> bool:
        """Whether the page has a line of letters or a number."""
        letters = (sum(len(word.places) for word in line.words) for line in self.layout.lines)
        return bool(self.spans) or any(count >= MIN_LINE for count in letters)

    def crop(self, span: Span) -> GrayImage:
        """Crop a candidate from its page, without other writing."""
        box = self._around(span)
        words = self.layout.lines[span.line].words[span.first : span.last + 1]
        own = {place for word in words for place in word.places}
        foreign = np.zeros((box.height, box.width), np.uint8)
        for place in self._inside(box):
            if place not in own:
                self._paint(foreign, box, place)
        inked = self.ink.components.ink[box.top : box.bottom, box.left : box.right]
        whole = self.to_page(box)
        picture = self.page[whole.top : whole.bottom, whole.left : whole.right].copy()
        size = picture.shape[1], picture.shape[0]
        spread = cv2.dilate(foreign, np.ones((5, 5), np.uint8))
        covered = cv2.resize(spread, size, interpolation=cv2.INTER_NEAREST) > 0
        bare = cv2.resize(inked.view(np.uint8), size, interpolation=cv2.INTER_NEAREST) == 0
        picture[covered] = np.median(picture[bare]) if bare.any() else PAPER
        return picture

    def _around(self, span: Span) -> Box:
        margin = round(MARGIN * self.layout.lines[span.line].height)
        rows, columns = self.layout.shape
        return Box(
            top=max(span.box.top - margin, 0),
            left=max(span.box.left - margin, 0),
            bottom=min(span.box.bottom + margin, rows),
            right=min(span.box.right + margin, columns),
        )

    def _inside(self, box: Box) -> list[int]:
        left, top, wide, tall = self.ink.components.boxes[:, :4].T
        inside = (left < box.right) & (left + wide > box.left)
        inside &= (top < box.bottom) & (top + tall > box.top)
        return [int(place) for place in np.flatnonzero(inside)]

    def _paint(self, picture: NDArray[np.uint8], box: Box, place: int) -> None:
        """Draw a component into the crop of a box."""
        one = self.ink.components.listed[place]
        rows = slice(max(one.top, box.top), min(one.bottom, box.bottom))
        columns = slice(max(one.left, box.left), min(one.right, box.right))
        mask = self.ink.components.mask(place)
        part = mask[
            rows.start - one.top : rows.stop - one.top,
            columns.start - one.left : columns.stop - one.left,
        ]
        picture[
            rows.start - box.top : rows.stop - box.top,
            columns.start - box.left : columns.stop - box.left,
        ] |= part.view(np.uint8)

    def to_page(self, box: Box) -> Box:
        """Convert a box from the scale of the search to pixels of the page."""
        scale, (rows, columns) = self.ink.scale, self.page.shape
        return Box(
            top=int(box.top / scale),
            left=int(box.left / scale),
            bottom=min(int(np.ceil(box.bottom / scale)), rows),
            right=min(int(np.ceil(box.right / scale)), columns),
        )


def read_ink(network: Network, page: GrayImage, ink: PageInk, *, rotation: int = 0) -> Located:
    """Find the candidates for the ZIP on a page that was rotated by `rotation` degrees."""
    lines = ink.lines
    read = [read_words(network, ink, line) for line in lines]
    layout = PageLayout(
        lines=lines,
        positions=lay_out(lines),
        counts=[[count_signs(frames) for frames in one.frames] for one in read],
        shape=(ink.normalized.shape[0], ink.normalized.shape[1]),
    )
    return Located(
        page=page,
        ink=ink,
        layout=layout,
        spans=tuple(find_spans(lines, read, layout.counts)),
        pooled=_pool(lines, read),
        rotation=rotation,
    )


def is_long(ink: PageInk) -> bool:
    """Return whether a page has enough text for a sample of its lines to show its orientation."""
    return len(ink.lines) >= MANY_LINES or sum(line.length for line in ink.lines) > LONG


def pool_sample(network: Network, ink: PageInk) -> Floats:
    """Average the network's features over the longest lines of a page, up to `SAMPLE`."""
    lines = sorted(ink.lines, key=lambda line: -line.length)
    ends = np.cumsum([line.length for line in lines])
    sample = lines[: int(np.searchsorted(ends, SAMPLE)) + 1]
    return _pool(sample, [read_words(network, ink, line) for line in sample])


def _pool(lines: Sequence[TextLine], read: Sequence[WordFrames]) -> Floats:
    """Average the network's features over all writing."""
    total, weight = np.zeros(0, np.float32), 0.0
    for line, one in zip(lines, read, strict=True):
        if sum(len(word.places) for word in line.words) < MIN_LETTERS:
            continue
        frames, features = np.concatenate(one.frames), np.concatenate(one.features)
        shown = 1 - frames[:, :1]
        own = (features * shown).sum(axis=0)
        total, weight = (total + own if len(total) else own), weight + float(shown.sum())
    return np.asarray(total / max(weight, 1e-3), np.float32)


def runs_upwards(boxes: NDArray[np.int32]) -> bool:
    """Return whether a page lies on its side, judged by the direction of letters' neighbours."""
    return count_neighbours(transposed(boxes)) > UPRIGHT_LEAD * count_neighbours(boxes)
