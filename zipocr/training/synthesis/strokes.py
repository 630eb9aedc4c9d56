"""Rendering of small glyphs as pen strokes at scan size, and their placement side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.training.data.datasets import INK_HEIGHT
from zipocr.training.synthesis.scene_parameters import Hand, Pen, Rng

Coverage = NDArray[np.float32]
"""``(H, W) float32``, 0 bare paper to 1 full ink."""
_FAINTEST = 60  # pixels of a glyph below this are the rim of its strokes
_THRESHOLD = 0.42  # slightly under one half, since enlarging and smoothing make thin strokes paler
INKED = 0.5  # minimum coverage of an ink pixel
_RIM = 0.05  # coverage below which a pixel counts as paper
_VOID = -(10**6)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """A drawn character.

    Its ``cover`` and the position of its top left corner, possibly negative until all are placed.
    """

    cover: Coverage
    top: int
    left: int


def draw_strokes(
    rng: Rng, glyph: NDArray[np.uint8], hand: Hand, pen: Pen, *, size: float = INK_HEIGHT
) -> Coverage:
    """Draw a glyph as strokes about ``hand.height`` high.

    ``glyph`` is ``(h, w) uint8``, 0 to 255 ink; ``size`` of its pixels are one height.

    The glyph is enlarged smoothly and thresholded at the final size, so that edges are as sharp as
    a pen's rather than blurred.
    """
    if (
        size > 2 * hand.height
    ):  # shrink by averaging first, since sampling a large glyph would lose strokes
        shrink = 2 * hand.height / size
        glyph = np.asarray(
            cv2.resize(glyph, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), np.uint8
        )
        size = 2 * hand.height
    zoom = float(np.clip(round(hand.height / size), 1, 4))
    field = _ridge_field(_cropped(glyph), zoom, pen)
    height = np.flatnonzero((field > 0).any(axis=1))
    tall = (height[-1] - height[0] + 1) / zoom if len(height) else size
    scale = (
        hand.height
        / (size * (tall / size) ** hand.level)
        / zoom
        * float(np.exp(rng.normal(0, hand.size_jitter)))
    )
    matrix, shape = _placement(
        field.shape,
        scale,
        hand,
        hand.tilt + float(rng.normal(0, hand.angle_jitter)),
        float(rng.normal(0, 0.04)),
    )
    warped = cv2.warpAffine(
        field,
        matrix,
        shape,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=-1.0,
    )
    bare = 0.55 / (_THRESHOLD + pen.weight)  # a lower steepness would tint blank paper
    steepness = max(bare, scale * zoom * 1.7 / pen.edge)
    return _trimmed(np.asarray(np.clip(warped * steepness + 0.5, 0, 1), np.float32))


def _cropped(glyph: NDArray[np.uint8]) -> NDArray[np.float32]:
    rows, columns = (
        np.flatnonzero(glyph.max(axis=1) > _FAINTEST),
        np.flatnonzero(glyph.max(axis=0) > _FAINTEST),
    )
    if not len(rows):
        return np.zeros((8, 8), np.float32)
    return np.pad(
        glyph[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32) / 255, 3
    )


def _ridge_field(glyph: NDArray[np.float32], zoom: float, pen: Pen) -> NDArray[np.float32]:
    """Enlarge, smooth and subtract the threshold.

    The result is positive inside strokes; ``pen.thin`` narrows them towards their ridges.
    """
    large = cv2.resize(glyph, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    large = np.asarray(cv2.GaussianBlur(large, (0, 0), 0.55 * zoom), np.float32)
    plain = large - (_THRESHOLD + pen.weight)
    if pen.thin <= 0:
        return np.asarray(plain, np.float32)
    reach = 2 * round(1.3 * zoom) + 1
    crest = cv2.dilate(large, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    narrow = large / np.maximum(crest, 0.35) - (0.6 + 0.24 * pen.thin + 0.5 * pen.weight)
    return np.asarray(np.minimum(plain + 0.12, narrow), np.float32)


def _placement(
    shape: tuple[int, ...], scale: float, hand: Hand, angle: float, stretch: float
) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Return the matrix that scales, shears and rotates a field into a tight frame.

    Returns also the frame's (width, height).
    """
    turn, lean = np.deg2rad(angle), np.tan(np.deg2rad(hand.slant))
    rotate = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    linear = (
        rotate
        @ np.array([[1.0, -lean], [0.0, 1.0]])
        @ np.diag([scale * hand.aspect * np.exp(stretch), scale])
    )
    corners = linear @ np.array([[0, shape[1], 0, shape[1]], [0, 0, shape[0], shape[0]]], float)
    low, high = corners.min(axis=1), corners.max(axis=1)
    size = np.ceil(high - low).astype(int) + 2
    return np.column_stack([linear, 1 - low]), (int(size[0]), int(size[1]))


def _trimmed(cover: Coverage) -> Coverage:
    rows, columns = (
        np.flatnonzero(cover.max(axis=1) > _RIM),
        np.flatnonzero(cover.max(axis=0) > _RIM),
    )
    if not len(rows):
        return np.ones((2, 2), np.float32)
    return np.ascontiguousarray(cover[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def set_side_by_side(rng: Rng, covers: Sequence[Coverage], hand: Hand) -> list[Piece]:
    """Place characters along the baseline.

    They are spaced by their frames, no closer than the minimum gap, or touching as set by the hand.
    """
    if not covers:
        return []
    touching = set((1 + rng.permutation(len(covers) - 1))[: hand.contacts].tolist())
    slope = np.tan(np.deg2rad(hand.tilt))
    tallest = max(cover.shape[0] for cover in covers)
    reach = int(abs(slope) * sum(cover.shape[1] + hand.height for cover in covers)) + 2 * tallest
    front = np.full(2 * reach + 4 * tallest, _VOID)  # rightmost ink so far, by row
    pieces: list[Piece] = []
    right = 0
    for place, cover in enumerate(covers):
        rise = (
            slope * (right + cover.shape[1] / 2)
            + float(rng.normal(0, hand.base_jitter)) * hand.height
        )
        top = reach + tallest - cover.shape[0] + round(float(np.clip(rise, -reach, reach)))
        left = _left_by_frame(rng, cover, right, place, hand)
        if place in touching:
            left = _left_touching(rng, front, cover, top, hand)
        elif place:
            left = max(left, _left_clear(front, cover, top, round(hand.min_gap * hand.height) + 1))
        pieces.append(Piece(cover=cover, top=top, left=left))
        right = max(right, left + cover.shape[1])
        _advance(front, cover, top, left)
    return pieces


def _left_by_frame(rng: Rng, cover: Coverage, right: int, place: int, hand: Hand) -> int:
    """Return the left edge according to the frames alone.

    In its cell, or a random gap after the frames so far.
    """
    gap = float(rng.normal(hand.spacing, hand.spacing_jitter)) * hand.height
    if hand.pitch:
        centre = (place + 0.5 + float(rng.normal(0, hand.pitch_jitter))) * hand.pitch * hand.height
        return round(float(centre - cover.shape[1] / 2))
    return right + round(gap) if place else 0


def _left_touching(rng: Rng, front: NDArray[np.int_], cover: Coverage, top: int, hand: Hand) -> int:
    """Return the left edge at which the ink just touches, with a slight overlap.

    A narrow digit never disappears in its neighbour.
    """
    meeting = _meeting(front[top : top + cover.shape[0]], cover)
    if meeting < _VOID // 2:  # no row has ink of both, so they cannot touch
        return int(front.max()) + 1
    deepest = min(hand.overlap * hand.height, 0.2 * cover.shape[1])
    return meeting + 1 - max(1, round(float(deepest * rng.uniform(0.3, 1))))


def _left_clear(front: NDArray[np.int_], cover: Coverage, top: int, gap: int) -> int:
    """Return the left edge at which the ink keeps a gap, in pixels, in all directions."""
    dilated = cv2.dilate(front.astype(np.float32)[:, None], np.ones((2 * gap + 1, 1), np.uint8))
    wide = np.asarray(dilated, np.float32)[:, 0].astype(np.int_)
    return _meeting(wide[top : top + cover.shape[0]], cover) + gap + 1


def _meeting(beside: NDArray[np.int_], cover: Coverage) -> int:
    """Return the left edge at which a cover's ink reaches the front in at least one row.

    Far left if no row has both.
    """
    ink = cover > INKED
    first = np.where(ink.any(axis=1), ink.argmax(axis=1), -_VOID)
    return int(np.max(beside - first))


def _advance(front: NDArray[np.int_], cover: Coverage, top: int, left: int) -> None:
    """Advance the front of ink past a placed character, in place.

    The front is the only state of the placement.
    """
    ink = cover > INKED
    last = np.where(ink.any(axis=1), left + ink.shape[1] - 1 - ink[:, ::-1].argmax(axis=1), _VOID)
    span = front[top : top + cover.shape[0]]
    np.maximum(span, last, out=span)
