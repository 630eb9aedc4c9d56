"""Features of candidates for the destination ZIP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log

from zipocr.decode.confidence import log_odds
from zipocr.locate.candidates import Span
from zipocr.locate.layout import Position
from zipocr.locate.text_lines import TextLine
from zipocr.types import ZIP_LENGTH

MIN_PROBABILITY = 1e-4
# Distances are clipped to this, in line heights.
FARTHEST = 3.0
# Range of the advance width of digits, in line heights.
NARROW, WIDE = 0.45, 0.9
# Minimum width of an envelope, in line heights.
ENVELOPE_WIDTH = 60.0
# Minimum digits of a number that may be mistaken for a ZIP.
LONG_NUMBER = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PageLayout:
    """The lines of a page, their positions, and the counts of digits and letters of each word.

    ``shape`` is (rows, columns) of the page.
    """

    lines: Sequence[TextLine]
    positions: Sequence[Position]
    counts: Sequence[Sequence[tuple[int, int]]]
    shape: tuple[int, int]


def span_features(
    span: Span, layout: PageLayout, others: Sequence[Span], listed: Mapping[str, object]
) -> list[float]:
    """Return the FEATURES features of a candidate for the destination ZIP.

    Parameters
    ----------
    span : Span
    layout : PageLayout
    others : sequence of Span
        All candidates of the page.
    listed : mapping
        The directory's ZIPs.
    """
    return [
        *_digit_features(span),
        sum(share for text, share in span.strings.items() if text[:ZIP_LENGTH] in listed),
        *_words_before(span, layout),
        *_words_behind(span, layout),
        *_neighbouring_lines(span, layout),
        *_block_features(span, layout, others),
        *_page_features(span, layout, others),
        *_spacing_features(span, layout, others),
        *_writing_features(layout),
    ]


def _digit_features(span: Span) -> list[float]:
    text, share = max(span.strings.items(), key=lambda item: item[1])
    shaped = log_odds(span.shaped, MIN_PROBABILITY)
    return [shaped, log_odds(share, MIN_PROBABILITY), float(len(text) > ZIP_LENGTH)]


def _words_before(span: Span, layout: PageLayout) -> list[float]:
    words = [one for one in layout.counts[span.line][: span.first] if sum(one)]
    digits, letters = _totals(words)
    last = words[-1] if words else (0, 0)
    return [
        float(not words), min(len(words), 4) / 4, min(letters, 12) / 12, min(digits, 6) / 6,
        float(sum(last) == 2), float(last[1] >= last[0] and bool(words)),
    ]  # fmt: skip


def _words_behind(span: Span, layout: PageLayout) -> list[float]:
    words = [one for one in layout.counts[span.line][span.last + 1 :] if sum(one)]
    digits, letters = _totals(words)
    return [
        float(not words), min(len(words), 3) / 3, min(letters, 12) / 12, min(digits, 6) / 6,
    ]  # fmt: skip


def _totals(words: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the numbers of digits and of letters of some words."""
    return sum(digits for digits, _ in words), sum(letters for _, letters in words)


def _neighbouring_lines(span: Span, layout: PageLayout) -> list[float]:
    at = layout.positions[span.line]
    return [*_line_features(at.previous, layout), *_line_features(at.following, layout)]


def _line_features(line: int | None, layout: PageLayout) -> list[float]:
    words = [] if line is None else [one for one in layout.counts[line] if sum(one)]
    digits, letters = _totals(words)
    last = words[-1] if words else (0, 0)
    return [
        min(letters, 12) / 12, min(digits, 6) / 6,
        float(sum(last) == 2), float(last[1] >= last[0] and bool(words)),
    ]  # fmt: skip


def _block_features(span: Span, layout: PageLayout, others: Sequence[Span]) -> list[float]:
    at = layout.positions[span.line]
    lower = any(
        layout.positions[other.line].block == at.block
        and layout.positions[other.line].above > at.above
        for other in others
    )
    return [
        float(at.above == 0), min(at.above, 4) / 4, float(at.below == 0), min(at.below, 4) / 4,
        float(lower), float(at.above > 0 and at.below == 0),
    ]  # fmt: skip


def _page_features(span: Span, layout: PageLayout, others: Sequence[Span]) -> list[float]:
    line, at = layout.lines[span.line], layout.positions[span.line]
    rows, columns = layout.shape
    block = [
        one.box
        for one, position in zip(layout.lines, layout.positions, strict=True)
        if position.block == at.block
    ]
    highest = max(layout.lines[one.line].height for one in others)
    elsewhere = [one for one in others if layout.positions[one.line].block != at.block]
    is_envelope = float(columns > ENVELOPE_WIDTH * line.height)
    return [
        is_envelope,
        is_envelope * (span.box.left + span.box.right) / 2 / columns,
        is_envelope * (span.box.top + span.box.bottom) / 2 / rows,
        is_envelope * min(box.left for box in block) / columns,
        is_envelope * min(box.top for box in block) / rows,
        log(line.height / highest),
        float(bool(elsewhere)),
        float(any(one.box.top > span.box.bottom for one in elsewhere)),
        float(any(one.box.left > span.box.right for one in elsewhere)),
    ]


def _spacing_features(span: Span, layout: PageLayout, others: Sequence[Span]) -> list[float]:
    line = layout.lines[span.line]
    digits = len(max(span.strings.items(), key=lambda item: item[1])[0])
    width = span.box.width / digits / line.height
    inner, outer = _gaps(span, line)
    rivals = [one for one in others if one is not span and overlap(one, span)]
    lead = span.shaped - max((one.shaped for one in rivals), default=0.0)
    return [
        max(width - WIDE, 0.0), max(NARROW - width, 0.0), inner, outer, float(bool(rivals)), lead,
    ]  # fmt: skip


def _writing_features(layout: PageLayout) -> list[float]:
    words = [one for counts in layout.counts for one in counts if sum(one)]
    digits, letters = _totals(words)
    numbers = sum(one[0] >= LONG_NUMBER and one[0] > one[1] for one in words)
    return [
        log(1 + len(layout.lines)) / 3, log(1 + numbers) / 3, digits / max(digits + letters, 1),
    ]  # fmt: skip


def overlap(one: Span, other: Span) -> bool:
    """Return whether two candidates share words."""
    return one.line == other.line and one.first <= other.last and other.first <= one.last


def _gaps(span: Span, line: TextLine) -> tuple[float, float]:
    """Return the widest gap inside a candidate and the narrower one beside it, in line heights."""
    boxes = [word.box for word in line.words]
    gaps = [
        min(max(after.left - before.right, 0) / line.height, FARTHEST)
        for before, after in pairwise(boxes)
    ]
    inner = max(gaps[span.first : span.last], default=0.0)
    before = gaps[span.first - 1] if span.first else FARTHEST
    behind = gaps[span.last] if span.last < len(gaps) else FARTHEST
    return inner, min(before, behind)
