"""Composed scans.

Five or nine digits of one writer on a piece of mail, with a map of the owner of each pixel's ink.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.decode.directory import places
from zipocr.training.data.datasets import INK_HEIGHT, DigitSet
from zipocr.training.synthesis.augment import augment_glyph
from zipocr.training.synthesis.machine_type import draw_face
from zipocr.training.synthesis.paper import draw_paper, lay_ink, scan_page
from zipocr.training.synthesis.print_wear import wear_off
from zipocr.training.synthesis.rules_and_clutter import (
    draw_clutter,
    draw_ligature,
    draw_rule,
    draw_separator,
)
from zipocr.training.synthesis.scene_parameters import (
    PRINTED_KINDS,
    Hand,
    Pen,
    Rng,
    Scene,
    draw_kind,
    draw_scene,
    with_dash,
)
from zipocr.training.synthesis.strokes import INKED, Coverage, Piece, draw_strokes, set_side_by_side
from zipocr.training.synthesis.typefaces import LETTER_SIZE, Typeface, render_word
from zipocr.types import PLUS4_LENGTH, ZIP_LENGTH, Box, GrayImage

FOREIGN = 255
"""Owner of ink of no digit: lines, boxes, specks, letters, separators."""
LIGATURE = 254
"""Owner of a stroke that joins two digits: it belongs to neither, and spoils neither."""
HANDWRITTEN_QUOTAS: Mapping[str, float] = {
    "plain": 6, "white": 4, "kraft": 5, "shaded": 5, "shadow": 3, "noisy": 6, "ruled": 3,
    "underlined": 6, "boxed": 5, "celled": 4,
    "table": 3, "security": 4, "cheque": 6, "separated": 4, "clutter": 6, "jpeg": 4,
    "bilevel": 5, "lowres": 5, "skewed": 5, "slanted": 5,
    "touching": 14, "close": 6, "broken": 5, "split": 7, "faint": 5, "blurred": 3, "plus4": 3,
    "mixed": 10,
}  # fmt: skip
"""Weights of the kinds for handwritten training strings.

Touching digits are the reader's bottleneck and thus the most frequent.
"""
NEGATIVE_KINDS: Mapping[str, int] = {"blank": 0, "word": 0, "four": 4, "six": 6}
"""Kinds without a ZIP, and the number of digits of each."""
_WORDS = (
    "Avenue", "Boulevard", "Return", "Sender", "Fragile", "Street", "Priority", "Airmail",
    "Photos", "Please", "forward", "Dallas",
    "Ohio", "Box", "Suite", "Personal", "Postage", "Drive", "Lisboa", "Boston", "Quincy",
    "Jackson", "Kirkwood", "Mexico", "Zoe",
    "URGENT", "FIRST", "CLASS",
)  # fmt: skip
_NEGATIVE_SCENES = (
    "plain",
    "white",
    "kraft",
    "shaded",
    "noisy",
    "ruled",
    "underlined",
    "boxed",
    "security",
    "clutter",
    "bilevel",
    "faint",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Composed:
    """A composed crop and its ground truth.

    ``image`` is ``(H, W) uint8``, 0 black to 255 white. ``owners`` is ``(H, W) uint8``: 0 for no
    ink, 1 to 5 (or to the number of glyphs) for digits by position, `FOREIGN` or `LIGATURE`; where
    digits cross, the later one is the owner. ``shared`` is ``(H, W) bool``: more than one owner.
    ``text`` is the ZIP (all nine digits of a ZIP+4), empty if there is none. ``letters`` is the
    text of a page without a ZIP if that is a single line.
    """

    image: GrayImage
    owners: NDArray[np.uint8]
    shared: NDArray[np.bool_]
    text: str
    writer: int
    kind: str
    letters: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawing:
    """Ink on a transparent layer.

    Its coverage (0 to 1) and owners; ``owners`` and ``shared`` as in `Composed`.
    """

    cover: Coverage
    owners: NDArray[np.uint8]
    shared: NDArray[np.bool_]

    @classmethod
    def foreign(cls, cover: Coverage) -> "Drawing":
        """Make a drawing of ink that belongs to no digit."""
        owners = np.where(cover > INKED, np.uint8(FOREIGN), np.uint8(0))
        return cls(cover=cover, owners=owners, shared=np.zeros(cover.shape, np.bool_))

    def under(self, cover: Coverage, owner: int) -> "Drawing":
        """Return the drawing with more ink of the same pen, which owns only unowned pixels."""
        added = cover > INKED
        owners = np.where(added & (self.owners == 0), np.uint8(owner), self.owners)
        return Drawing(
            cover=np.maximum(self.cover, cover),
            owners=owners,
            shared=self.shared | (added & (self.owners > 0)),
        )

    def claimed(self, cover: Coverage) -> "Drawing":
        """Return the drawing with foreign ink of another colour: in the owners, but not drawn."""
        return replace(self.under(cover, FOREIGN), cover=self.cover)

    def redrawn(self, cover: Coverage) -> "Drawing":
        """Return the drawing with its ink as printed, and owners kept for the remaining ink."""
        there = cover > INKED
        return Drawing(cover=cover, owners=self.owners * there, shared=self.shared & there)

    def erased(self, kept: Coverage) -> "Drawing":
        """Return the drawing with only the share ``kept`` (0 to 1) of its ink."""
        there = kept > INKED
        return Drawing(
            cover=self.cover * kept, owners=self.owners * there, shared=self.shared & there
        )


def compose(
    rng: Rng,
    glyphs: Sequence[NDArray[np.uint8]],
    kind: str,
    text: str,
    *,
    writer: int = -1,
    scene: Scene | None = None,
) -> Composed:
    """Compose a crop of a kind from glyphs, ``(h, w) uint8`` with 0 paper to 255 ink.

    The kinds are those of `zipocr.training.synthesis.scene_parameters.KINDS`.

    A glyph's full height is 20 of its pixels as in MNIST, or its own height if the scene is
    printed. ``scene`` is drawn at random if not given.
    """
    scene = scene or draw_scene(rng, kind)
    covers, owners = write(rng, glyphs, scene.hand, scene.pen)
    return set_page(rng, covers, owners, scene, text=text, writer=writer, kind=kind)


def compose_printed(
    rng: Rng, face: Typeface, text: str, *, kind: str = "printed", scene: Scene | None = None
) -> Composed:
    """Compose a crop with a printed number; nine digits are a ZIP+4.

    The typeface counts as the writer.
    """
    scene = scene or draw_scene(rng, kind)
    if len(text) > ZIP_LENGTH:
        scene = with_dash(rng, scene)
    tracking = float(rng.uniform(0.97, 1.12))
    scene = replace(
        scene, hand=replace(scene.hand, pitch=face.pitch * scene.hand.aspect * tracking)
    )
    return compose(
        rng,
        [face.glyphs[int(letter)] for letter in text],
        kind,
        text,
        writer=face.writer,
        scene=scene,
    )


def compose_negative(
    rng: Rng, kind: str, digits: DigitSet, *, scene: Scene | None = None
) -> Composed:
    """Compose a crop without a ZIP (`NEGATIVE_KINDS`).

    Blank paper, a printed word, or four or six digits of one writer.
    """
    scene = scene or draw_scene(rng, str(rng.choice(_NEGATIVE_SCENES)))
    if kind == "blank":
        return set_page(rng, [], [], scene, text="", writer=-1, kind=kind)
    if kind == "word":
        word = str(rng.choice(_WORDS))
        cover = draw_strokes(
            rng,
            render_word(rng, word),
            scene.hand,
            replace(scene.pen, thin=0.0),
            size=LETTER_SIZE * 0.75,
        )
        return set_page(rng, [cover], [FOREIGN], scene, text="", writer=-1, kind=kind)
    rows = draw_rows(rng, kind, digits)
    return compose(
        rng, list(digits.images[rows]), kind, "", writer=int(digits.writers[rows[0]]), scene=scene
    )


def draw_rows(rng: Rng, kind: str, digits: DigitSet) -> NDArray[np.int_]:
    """Draw rows of one writer's digits, as many as a kind without a ZIP has.

    That is none, four or six.
    """
    writer = int(rng.choice(np.unique(digits.writers)))
    return rng.permutation(np.flatnonzero(digits.writers == writer))[: NEGATIVE_KINDS[kind]]


def set_page(
    rng: Rng,
    covers: Sequence[Coverage],
    owners: Sequence[int],
    scene: Scene,
    *,
    text: str,
    writer: int,
    kind: str,
) -> Composed:
    """Put drawn characters on paper and scan the page."""
    pieces, shape, digits = _frame(set_side_by_side(rng, covers, scene.hand), owners, scene)
    drawing = _join(rng, _ink(pieces, owners, shape), pieces, scene)
    return finish(rng, drawing, digits, scene, text=text, writer=writer, kind=kind)


def finish(
    rng: Rng, drawing: Drawing, digits: Box, scene: Scene, *, text: str, writer: int, kind: str
) -> Composed:
    """Degrade a drawing of the page's shape like the scene's pen, and put it on paper.

    Rules are printed around ``digits``, and the result is scanned.
    """
    height, shape = scene.hand.height, drawing.cover.shape
    drawing = _spoil(rng, drawing, scene.pen, height)
    sheet = draw_paper(rng, shape, scene.paper, height)
    if scene.marks.rule:
        rule = draw_rule(rng, shape, scene.marks, digits, height, scene.hand.pitch * height)
        drawing = drawing.claimed(rule)
        sheet = np.asarray(
            sheet * (1 - rule) + np.minimum(sheet, scene.marks.rule_gray) * rule, np.float32
        )
    if scene.marks.specks or scene.marks.strokes or scene.marks.neighbours:
        drawing = drawing.under(draw_clutter(rng, shape, scene.marks, height), FOREIGN)
    image = scan_page(rng, lay_ink(rng, sheet, drawing.cover, scene.pen, height), scene.scan)
    return _zoomed(
        Composed(
            image=image,
            owners=drawing.owners,
            shared=drawing.shared,
            text=text,
            writer=writer,
            kind=kind,
        ),
        scene.scan.zoom,
    )


def write(
    rng: Rng, glyphs: Sequence[NDArray[np.uint8]], hand: Hand, pen: Pen
) -> tuple[list[Coverage], list[int]]:
    """Draw the digits and the separators between and after them, each with its owner."""
    covers: list[Coverage] = []
    owners: list[int] = []
    width = hand.height * (0.11 - 0.06 * pen.thin)
    after = hand.separator_after or int(rng.integers(1, max(2, len(glyphs))))
    for place, glyph in enumerate(glyphs, start=1):
        size = float(glyph.shape[0] if hand.printed else INK_HEIGHT)
        covers.append(draw_strokes(rng, glyph, hand, pen, size=size))
        owners.append(place)
        marks = (hand.separator if place == after else "") + (
            hand.tail if place == len(glyphs) else ""
        )
        covers += [draw_separator(rng, mark, hand.height, width) for mark in marks]
        owners += [FOREIGN] * len(marks)
    return covers, owners


def _frame(
    pieces: Sequence[Piece], owners: Sequence[int], scene: Scene
) -> tuple[list[Piece], tuple[int, int], Box]:
    """Place the pieces in a crop with the scene's margins.

    Returns also its shape, and the box of the digits or of their cells.
    """
    height = scene.hand.height
    if not pieces:
        shape = (round(1.8 * height), round(5 * height))
        return (
            [],
            shape,
            Box(
                top=shape[0] // 5,
                left=shape[1] // 10,
                bottom=shape[0] * 4 // 5,
                right=shape[1] * 9 // 10,
            ),
        )
    left, top = min(piece.left for piece in pieces), min(piece.top for piece in pieces)
    right, bottom = (
        max(getattr(piece, side) + piece.cover.shape[axis] for piece in pieces)
        for side, axis in (("left", 1), ("top", 0))
    )
    if scene.hand.pitch:
        left, right = min(left, 0), max(right, round(len(pieces) * scene.hand.pitch * height))
    up, after, down, before = (round(margin * height) for margin in scene.margins)
    moved = [
        Piece(cover=piece.cover, top=piece.top - top + up, left=piece.left - left + before)
        for piece in pieces
    ]
    shape = (max(8, bottom - top + up + down), max(8, right - left + before + after))
    digits = [
        piece for piece, owner in zip(moved, owners, strict=True) if owner != FOREIGN
    ] or moved
    box = Box(
        top=min(piece.top for piece in digits),
        left=min(piece.left for piece in digits),
        bottom=max(piece.top + piece.cover.shape[0] for piece in digits),
        right=max(piece.left + piece.cover.shape[1] for piece in digits),
    )
    if scene.hand.pitch:
        # A separator between digits has its own cell.
        cells = max(
            (place for place, owner in enumerate(owners, start=1) if owner != FOREIGN),
            default=len(pieces),
        )
        box = replace(
            box, left=before - left, right=before - left + round(cells * scene.hand.pitch * height)
        )
    return moved, shape, box


def _ink(pieces: Sequence[Piece], owners: Sequence[int], shape: tuple[int, int]) -> Drawing:
    """Draw all pieces on one layer; parts outside are cut off, as in a crop."""
    cover, owner, shared = (
        np.zeros(shape, np.float32),
        np.zeros(shape, np.uint8),
        np.zeros(shape, np.bool_),
    )
    for piece, name in zip(pieces, owners, strict=True):
        top, left = max(0, piece.top), max(0, piece.left)
        seen = piece.cover[
            top - piece.top : max(0, shape[0] - piece.top),
            left - piece.left : max(0, shape[1] - piece.left),
        ]
        window = np.s_[top : top + seen.shape[0], left : left + seen.shape[1]]
        inked = seen > INKED
        shared[window] |= inked & (owner[window] > 0)
        owner[window][inked] = name
        cover[window] = np.maximum(cover[window], seen)
    return Drawing(cover=cover, owners=owner, shared=shared)


def _join(rng: Rng, drawing: Drawing, pieces: Sequence[Piece], scene: Scene) -> Drawing:
    """Draw ligatures, where the pen was not lifted between two digits."""
    height = scene.hand.height
    for place in rng.permutation(max(0, len(pieces) - 1))[: scene.hand.ligatures]:
        level = float(rng.choice([rng.uniform(0.05, 0.35), rng.uniform(0.7, 0.95)]))
        start, end = (
            _edge_point(pieces[place], level, rightmost=True),
            _edge_point(pieces[place + 1], level, rightmost=False),
        )
        sag = float(rng.normal(0, 0.08)) * height
        cover = draw_ligature(
            start, end, sag, height * (0.09 - 0.05 * scene.pen.thin), drawing.cover.shape
        )
        drawing = drawing.under(cover, LIGATURE)
    return drawing


def _edge_point(piece: Piece, level: float, *, rightmost: bool) -> tuple[float, float]:
    """Return the outermost ink ``(x, y)`` of a piece near a level, from 0, top, to 1, bottom."""
    row = round(level * (piece.cover.shape[0] - 1))
    first = max(0, row - 3)
    band = piece.cover[first : row + 4] > INKED
    ys, xs = np.nonzero(band if band.any() else piece.cover > -1)
    chosen = int(xs.argmax() if rightmost else xs.argmin())
    return float(piece.left + xs[chosen]), float(piece.top + first + ys[chosen])


def _spoil(rng: Rng, drawing: Drawing, pen: Pen, height: float) -> Drawing:
    """Erase gaps where the pen skipped, scratches, and patches without ink."""
    if pen.wear:
        drawing = drawing.redrawn(wear_off(rng, drawing.cover, pen.wear, height))
    if not (pen.breaks or pen.splits or pen.streaks or pen.dropout):
        return drawing
    rubber = np.zeros(drawing.cover.shape, np.uint8)
    ys, xs = np.nonzero(drawing.owners)
    if not len(ys):
        return drawing
    for count, thick, long in (
        (pen.breaks, pen.break_width * height, False),
        (pen.streaks, 1.0, False),
        (pen.splits, pen.break_width * height, True),
    ):
        for spot in rng.integers(0, len(ys), count):
            reach, angle = height * float(rng.uniform(0.05, 0.2)), float(rng.uniform(0, np.pi))
            if long:
                reach, angle = (
                    height * float(rng.uniform(0.3, 0.6)),
                    float(rng.normal(0, 0.15)) + (np.pi / 2) * (rng.random() < 0.2),
                )
            step = np.array([np.cos(angle), np.sin(angle)]) * reach
            middle = np.array([xs[spot], ys[spot]])
            ends = np.round(np.stack([middle - step, middle + step]) * 16).astype(np.int32)
            cv2.polylines(
                rubber,
                [ends[:, None]],
                False,
                255,
                max(1, round(thick * float(rng.uniform(0.6, 1.3)))),
                cv2.LINE_AA,
                4,
            )
    kept = 1 - rubber.astype(np.float32) / 255
    if pen.dropout:
        coarse = rng.random(
            (drawing.cover.shape[0] // 2 + 1, drawing.cover.shape[1] // 2 + 1), np.float32
        )
        patches = cv2.GaussianBlur(cv2.resize(coarse, drawing.cover.shape[::-1]), (0, 0), 1.0)
        kept = kept * (patches > np.quantile(patches, pen.dropout))
    return drawing.erased(kept.astype(np.float32))


def _zoomed(composed: Composed, zoom: float) -> Composed:
    """Enlarge a scanned crop like a fax or a preview, together with its maps."""
    if zoom == 1:
        return composed
    size = (round(composed.image.shape[1] * zoom), round(composed.image.shape[0] * zoom))
    return replace(
        composed,
        image=np.asarray(cv2.resize(composed.image, size, interpolation=cv2.INTER_CUBIC), np.uint8),
        owners=np.asarray(
            cv2.resize(composed.owners, size, interpolation=cv2.INTER_NEAREST), np.uint8
        ),
        shared=cv2.resize(
            composed.shared.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST
        ).astype(np.bool_),
    )


@lru_cache(maxsize=1)
def listed_zips() -> tuple[str, ...]:
    """Return all ZIPs of the directory, sorted."""
    return tuple(sorted(places()))


def draw_zip(rng: Rng, zips: Sequence[str] = (), *, unlisted: float) -> str:
    """Draw a ZIP from a list or, with a probability of ``unlisted``, any five digits.

    The list is the directory by default.
    """
    if rng.random() < unlisted:
        return any_digits(rng, ZIP_LENGTH)
    zips = zips or listed_zips()
    return zips[int(rng.integers(len(zips)))]


def any_digits(rng: Rng, count: int) -> str:
    """Draw digits uniformly at random."""
    return "".join(map(str, rng.integers(0, 10, count)))


class Composer:
    """Composer of strings by number: the n-th is the same in every process and order.

    ``european`` is the share of strings whose 1 gets a flag and whose 7 gets a bar, ``strength``
    that of the augmentation of glyphs. ``each_once`` iterates over every writer's digits in
    shuffled order, for uniform use of glyphs; the strings are then random. Otherwise strings are
    ZIPs (``zips``, or the directory) and, with a share of ``unlisted``, any five digits, so that
    training has both. ``faces`` are the typefaces of strings of the kind ``printed``, which have no
    quota by default.
    """

    unlisted: ClassVar[float] = 0.3
    printed_plus4: ClassVar[float] = 0.25
    """Share of ZIP+4 among printed ZIPs, since printed addresses often include it."""
    machine_faces: ClassVar[float] = 0.45
    """Share of machine type with randomly drawn glyphs; the rest is printed in typefaces."""

    def __init__(
        self,
        digits: DigitSet,
        *,
        seed: int,
        kinds: Mapping[str, float] = HANDWRITTEN_QUOTAS,
        zips: Sequence[str] = (),
        european: float = 0.0,
        strength: float = 0.5,
        each_once: bool = False,
        faces: Sequence[Typeface] = (),
    ) -> None:
        if any(kinds.get(kind) for kind in PRINTED_KINDS) and not faces:
            message = "printed strings need typefaces"
            raise ValueError(message)
        self.digits, self.seed, self.kinds, self.zips, self.faces = digits, seed, kinds, zips, faces
        self.european, self.strength, self.each_once = european, strength, each_once
        self._by_row = digits.writers.astype(np.int32).tobytes()
        self._rows = [
            [
                np.flatnonzero((digits.writers == writer) & (digits.labels == label))
                for label in range(10)
            ]
            for writer in np.unique(digits.writers)
        ]
        self._counts = np.array([[len(rows) for rows in by_label] for by_label in self._rows])

    def nth(self, number: int) -> Composed:
        """Return the string with this number."""
        rng = np.random.default_rng((self.seed, number))
        kind = draw_kind(rng, self.kinds)
        if kind in PRINTED_KINDS:
            more = PLUS4_LENGTH if rng.random() < self.printed_plus4 else 0
            text = draw_zip(rng, self.zips, unlisted=self.unlisted) + any_digits(rng, more)
            return compose_printed(rng, self._face(rng, kind), text, kind=kind)
        more = PLUS4_LENGTH if kind == "plus4" else 0
        chosen = self._dealt(number, more) if self.each_once else self._drawn(rng, more)
        labels, writer = self.digits.labels[chosen], int(self.digits.writers[chosen[0]])
        european = float(rng.random() < self.european)
        glyphs = [
            augment_glyph(
                rng, self.digits.images[row], int(label), strength=self.strength, european=european
            )
            for row, label in zip(chosen, labels, strict=True)
        ]
        return compose(rng, glyphs, kind, "".join(map(str, labels)), writer=writer)

    def _face(self, rng: Rng, kind: str) -> Typeface:
        """Draw a typeface or, for kinds printed by machines, generate one at random."""
        if kind != "printed" and rng.random() < self.machine_faces:
            return draw_face(rng)
        return self.faces[int(rng.integers(len(self.faces)))]

    def _drawn(self, rng: Rng, more: int) -> NDArray[np.int_]:
        """Draw rows of digits that spell a ZIP and ``more`` digits."""
        while True:
            rows = self.spell(
                rng, draw_zip(rng, self.zips, unlisted=self.unlisted) + any_digits(rng, more)
            )
            if len(rows):
                return rows

    def spell(self, rng: Rng, text: str) -> NDArray[np.int_]:
        """Draw rows of one writer's digits that spell a text, without repetition if possible.

        Returns no rows if no writer has all of them.
        """
        labels = [int(letter) for letter in text]
        able = np.flatnonzero((self._counts[:, labels] > 0).all(axis=1))
        if not len(able):
            return able
        by_label = self._rows[int(rng.choice(able))]
        shuffled = {label: rng.permutation(by_label[label]) for label in sorted(set(labels))}
        return np.array(
            [
                shuffled[label][labels[:place].count(label) % len(shuffled[label])]
                for place, label in enumerate(labels)
            ]
        )

    def _dealt(self, number: int, more: int = 0) -> NDArray[np.int_]:
        """Return rows of five digits of one writer.

        Each round uses every digit once, except for up to four left over per writer.

        The ``more`` digits of a ZIP+4 are the writer's next ones in the data, and still get their
        own turn.
        """
        turn, place = divmod(number, self.round_length)
        hand: NDArray[np.int_] = deal_hands(self._by_row, self.seed, turn)[place]
        if not more:
            return hand
        others = np.setdiff1d(
            np.flatnonzero(self.digits.writers == self.digits.writers[hand[0]]), hand
        )
        next_ones = np.append(np.roll(others, -np.searchsorted(others, hand[-1])), hand)
        return np.append(hand, next_ones[:more])

    @property
    def round_length(self) -> int:
        """Number of strings that use all digits once."""
        return int((self._counts.sum(axis=1) // ZIP_LENGTH).sum())


@lru_cache(maxsize=4)
def deal_hands(writers: bytes, seed: int, turn: int) -> NDArray[np.int_]:
    """Group each writer's digits by five, and shuffle the groups.

    ``(S, 5)`` row numbers; ``writers`` is int32 as bytes.
    """
    by_row = np.frombuffer(writers, np.int32)
    rng = np.random.default_rng((seed, turn, 1))
    hands = []
    for writer in np.unique(by_row):
        rows = rng.permutation(np.flatnonzero(by_row == writer))
        hands.append(rows[: len(rows) // ZIP_LENGTH * ZIP_LENGTH].reshape(-1, ZIP_LENGTH))
    return np.concatenate(hands)[rng.permutation(sum(map(len, hands)))]


def composed_strings(
    digits: DigitSet,
    *,
    count: int,
    seed: int,
    kinds: Mapping[str, float] = HANDWRITTEN_QUOTAS,
    zips: Sequence[str] = (),
) -> Iterator[Composed]:
    """Yield the first ``count`` strings of a plain `Composer`.

    Use the class for more options and for multiprocessing.
    """
    composer = Composer(digits, seed=seed, kinds=kinds, zips=zips)
    return (composer.nth(number) for number in range(count))
