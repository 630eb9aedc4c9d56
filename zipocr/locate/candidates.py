"""Candidates for the ZIP: consecutive words with about as many digits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from zipocr.line.network import BLANK, OTHER
from zipocr.line.recognize import string_probabilities
from zipocr.locate.line_frames import WordFrames
from zipocr.locate.text_lines import TextLine
from zipocr.types import Box, Floats

# Minimum and maximum length of a ZIP in heights of its line, and its maximum number of words.
MIN_LENGTH, MAX_LENGTH, MAX_WORDS = 1.8, 16.0, 10
# Number of digits, and of other characters, in the greedy decoding of its frames.
MIN_DIGITS, MAX_DIGITS, MAX_OTHERS = 4, 10, 1
# Minimum probability of a string of digits.
MIN_PROBABILITY = 0.02
# Maximum number of word ranges on a page of mail, and of its candidates.
MAX_RANGES, MAX_SPANS = 400, 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Span:
    """Words ``first`` to ``last`` of line ``line``, read as ``strings`` of digits."""

    line: int
    first: int
    last: int
    box: Box
    strings: dict[str, float]
    shaped: float


def find_spans(
    lines: Sequence[TextLine],
    read: Sequence[WordFrames],
    counts: Sequence[Sequence[tuple[int, int]]],
) -> list[Span]:
    """Find consecutive words that may be a ZIP, at most the `MAX_SPANS` most probable.

    ``counts`` come from `count_signs`. A page with more than `MAX_RANGES` numbers is a list or a
    table rather than mail, and has no candidates.
    """
    ranges = [
        (number, first, last)
        for number, line in enumerate(lines)
        for first, last in find_ranges(line, counts[number])
    ]
    if len(ranges) > MAX_RANGES:
        return []
    spans = [
        _to_span(number, lines[number], read[number], first, last) for number, first, last in ranges
    ]
    spans = [span for span in spans if span.shaped >= MIN_PROBABILITY]
    if len(spans) > MAX_SPANS:
        least = sorted(span.shaped for span in spans)[-MAX_SPANS]
        spans = [span for span in spans if span.shaped >= least][:MAX_SPANS]
    return spans


def find_ranges(line: TextLine, counts: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the first and last of consecutive words with about as many digits as a ZIP."""
    for first in range(len(line.words)):
        digits = others = 0
        for last in range(first, min(first + MAX_WORDS, len(line.words))):
            digits += counts[last][0]
            others += counts[last][1]
            length = (line.words[last].box.right - line.words[first].box.left) / line.height
            if digits > MAX_DIGITS or others > MAX_OTHERS or length > MAX_LENGTH:
                break
            if not counts[first][0]:
                break
            if digits >= MIN_DIGITS and length >= MIN_LENGTH and counts[last][0]:
                yield first, last


def count_signs(frames: Floats) -> tuple[int, int]:
    """Count digits and other characters in the greedy decoding of frames."""
    path = frames.argmax(axis=1)
    begins = np.append(True, path[1:] != path[:-1])
    labels = path[begins]
    return int(((labels != BLANK) & (labels != OTHER)).sum()), int((labels == OTHER).sum())


def _to_span(number: int, line: TextLine, read: WordFrames, first: int, last: int) -> Span:
    frames = np.concatenate(read.frames[first : last + 1])
    strings = string_probabilities(frames)
    return Span(
        line=number,
        first=first,
        last=last,
        box=Box.around([word.box for word in line.words[first : last + 1]]),
        strings=strings,
        shaped=sum(strings.values()),
    )
