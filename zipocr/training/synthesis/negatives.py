"""Composed pages without a ZIP, by number as a `Composer` makes strings.

They show other numbers, words, addresses, doodles, photographs, or blank paper.

Training and measurements are separated by ``part``, with different words, typefaces, doodles,
textures and photographs; the caller provides digits of different writers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from zipocr.errors import InputError
from zipocr.images.decode import read_pages
from zipocr.training.data.datasets import DigitSet
from zipocr.training.synthesis.augment import augment_glyph
from zipocr.training.synthesis.compose import (
    FOREIGN,
    HANDWRITTEN_QUOTAS,
    Composed,
    Drawing,
    compose,
    draw_zip,
    finish,
    set_page,
    write,
)
from zipocr.training.synthesis.doodles import draw_doodle
from zipocr.training.synthesis.paper import scan_page
from zipocr.training.synthesis.rules_and_clutter import Sketch
from zipocr.training.synthesis.scene_parameters import (
    Rng,
    Scene,
    check_kinds,
    draw_kind,
    draw_scene,
)
from zipocr.training.synthesis.strokes import INKED, Coverage, draw_strokes
from zipocr.training.synthesis.typefaces import Typeface, font_files, open_font, typefaces
from zipocr.training.synthesis.wording import (
    TEXTS,
    Part,
    draw_address,
    draw_lines,
    draw_text,
    draw_town_line,
    one_of,
    town_words,
)
from zipocr.types import Box, GrayImage, Unread

COUNTS: Mapping[str, tuple[int, ...]] = {
    "one": (1,), "two": (2,), "three": (3,), "four": (4,), "six": (6,), "seven": (7,),
    "eight": (8,), "many": (10, 11, 12, 13, 14),
}  # fmt: skip
"""Number of digits of each kind of number; kinds with the prefix ``printed_`` are in type."""
QUOTAS: Mapping[str, float] = {
    **dict.fromkeys(COUNTS, 3.0), "four": 6.0, "six": 8.0,
    **dict.fromkeys((f"printed_{kind}" for kind in COUNTS), 1.0),
    **dict.fromkeys(TEXTS, 2.0), "word": 4.0, "numbered_word": 3.0, "crossed_out": 2.0,
    "rows": 2.0, "lines": 2.0, "address": 3.0,
    "envelope": 2.0, "doodle": 3.0, "signature": 3.0, "texture": 2.0, "noise": 2.0,
    "gradient": 1.0, "blank": 1.0, "specks": 1.0,
    "photo": 3.0,
}  # fmt: skip
"""Weights of all kinds."""
SEVERAL_LINES = ("rows", "lines", "address", "envelope")
"""Kinds of more than one line."""
WORDLESS = (
    "word",
    "words",
    "capitals",
    "lines",
    "doodle",
    "signature",
    "texture",
    "noise",
    "gradient",
    "specks",
    "photo",
)
"""Kinds without any digits in their ink."""
PHOTOGRAPHS: Mapping[Part, tuple[tuple[str, str], ...]] = {
    "train": (("sklearn", "datasets/images/china.jpg"),),
    "test": (
        ("sklearn", "datasets/images/flower.jpg"),
        ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    ),
}
"""Package and file."""
_PAPERS = (
    "plain", "white", "kraft", "shaded", "shadow", "noisy", "ruled", "underlined", "boxed",
    "security", "clutter", "bilevel", "faint",
    "jpeg", "lowres", "blurred",
)  # fmt: skip
_HANDS = {kind: weight for kind, weight in HANDWRITTEN_QUOTAS.items() if kind != "plus4"}
_FILLING = ("texture", "noise", "gradient")  # half of these extend to the edges of the page
_MAX_PIXELS = 10_000_000
_CAPITAL = 0.7  # height of digits and capitals relative to the type size
Maker: TypeAlias = Callable[["Negatives", Rng, str], Composed]


class Negatives:
    """Composer of pages without a ZIP by number.

    The n-th is the same in every process and order.

    ``digits`` are those of the part's writers; ``faces`` are the typefaces of printed numbers, by
    default the part's. ``kinds`` are the weights of the kinds (`QUOTAS`). ``strength`` and
    ``european`` are as in `Composer`. In a page's ``owners``, digits have their positions, so that
    they do not become non-digits, and all else is foreign; ``text`` is empty.
    """

    def __init__(
        self,
        digits: DigitSet,
        *,
        seed: int,
        part: Part,
        faces: Sequence[Typeface] = (),
        kinds: Mapping[str, float] = QUOTAS,
        strength: float = 0.0,
        european: float = 0.0,
    ) -> None:
        check_kinds(kinds, MAKERS)
        self.digits, self.seed, self.part, self.kinds = digits, seed, part, kinds
        self.faces = tuple(faces) or typefaces(part)
        self.strength, self.european = strength, european

    def nth(self, number: int) -> Composed:
        """Return the page with this number."""
        rng = np.random.default_rng((self.seed, number))
        kind = draw_kind(rng, self.kinds)
        return MAKERS[kind](self, rng, kind)

    def glyphs(self, rng: Rng, count: int) -> tuple[list[NDArray[np.uint8]], str, int]:
        """Draw ``count`` digits of one writer; return them, their text, and the writer.

        Digits repeat if the writer has too few.
        """
        writer = int(rng.choice(np.unique(self.digits.writers)))
        rows = np.resize(rng.permutation(np.flatnonzero(self.digits.writers == writer)), count)
        european = float(rng.random() < self.european)
        drawn = [
            augment_glyph(
                rng,
                self.digits.images[row],
                int(self.digits.labels[row]),
                strength=self.strength,
                european=european,
            )
            for row in rows
        ]
        return drawn, "".join(map(str, self.digits.labels[rows])), writer

    def face(self, rng: Rng) -> Typeface:
        """Draw one of the typefaces."""
        return self.faces[int(rng.integers(len(self.faces)))]


def _number(own: Negatives, rng: Rng, kind: str) -> Composed:
    glyphs, spelt, writer = own.glyphs(rng, int(rng.choice(COUNTS[kind])))
    return replace(
        compose(
            rng, glyphs, kind, "", writer=writer, scene=draw_scene(rng, draw_kind(rng, _HANDS))
        ),
        letters=spelt,
    )


def _printed_number(own: Negatives, rng: Rng, kind: str) -> Composed:
    face, scene = own.face(rng), draw_scene(rng, "printed")
    scene = replace(
        scene,
        hand=replace(
            scene.hand, pitch=face.pitch * scene.hand.aspect * float(rng.uniform(0.97, 1.12))
        ),
    )
    digits = rng.integers(0, 10, int(rng.choice(COUNTS[kind.removeprefix("printed_")])))
    composed = compose(
        rng,
        [face.glyphs[int(digit)] for digit in digits],
        kind,
        "",
        writer=face.writer,
        scene=scene,
    )
    return replace(composed, letters="".join(map(str, digits)))


def _text(own: Negatives, rng: Rng, kind: str) -> Composed:
    text = draw_text(rng, kind, own.part)
    return replace(_typed(own, rng, [text], kind), letters=text)


def _town_line(own: Negatives, rng: Rng, kind: str) -> Composed:
    """Compose a printed ZIP beside its town."""
    text = draw_town_line(rng, own.part, draw_zip(rng, unlisted=0.3))
    return replace(_typed(own, rng, [text], kind), letters=text)


def _lines(own: Negatives, rng: Rng, kind: str) -> Composed:
    return _typed(
        own, rng, (draw_address if kind == "address" else draw_lines)(rng, own.part), kind
    )


def _typed(own: Negatives, rng: Rng, lines: Sequence[str], kind: str) -> Composed:
    scene = _scene(rng)
    return _framed(rng, typeset(rng, lines, own.part, scene), scene, kind)


def _numbered_word(own: Negatives, rng: Rng, kind: str) -> Composed:
    """Compose a handwritten house number and its street, in either order."""
    scene = draw_scene(rng, draw_kind(rng, _HANDS))
    scene = replace(
        scene,
        hand=replace(scene.hand, pitch=0.0, separator="", tail="", ligatures=0),
        marks=replace(scene.marks, rule=""),
    )
    glyphs, spelt, writer = own.glyphs(rng, int(rng.integers(1, 5)))
    covers, owners = write(rng, glyphs, scene.hand, scene.pen)
    street = one_of(rng, town_words(own.part))
    word = typeset(rng, [street], own.part, scene).cover
    if rng.random() < 0.75:
        page = set_page(
            rng, [*covers, word], [*owners, FOREIGN], scene, text="", writer=writer, kind=kind
        )
        return replace(page, letters=spelt + street)
    page = set_page(
        rng, [word, *covers], [FOREIGN, *owners], scene, text="", writer=writer, kind=kind
    )
    return replace(page, letters=street + spelt)


def _crossed_out(own: Negatives, rng: Rng, kind: str) -> Composed:
    """Compose four to seven crossed-out digits."""
    scene = _scene(rng)
    written, writer = _row(own, rng, scene, int(rng.integers(4, 8)))
    strike = draw_doodle(
        rng, "strike", own.part, written.cover.shape, max(1.5, 0.08 * scene.hand.height)
    )
    return _framed(rng, written.under(strike, FOREIGN), scene, kind, writer=writer)


def _rows(own: Negatives, rng: Rng, kind: str) -> Composed:
    """Compose two or three rows of handwritten digits, none with five or nine."""
    scene = _scene(rng)
    counts = rng.choice([3, 4, 6, 7], int(rng.integers(2, 4))).tolist()
    rows = [
        _row(own, rng, scene, count, first=1 + sum(counts[:place]))[0]
        for place, count in enumerate(counts)
    ]
    return _framed(
        rng, stacked(rows, round(scene.hand.height * float(rng.uniform(0.15, 0.8)))), scene, kind
    )


def _row(
    own: Negatives, rng: Rng, scene: Scene, count: int, *, first: int = 1
) -> tuple[Drawing, int]:
    """Draw digits on a level line, numbered from ``first``, and return also their writer."""
    glyphs, _, writer = own.glyphs(rng, count)
    covers = [draw_strokes(rng, glyph, scene.hand, scene.pen) for glyph in glyphs]
    gap = max(2, round(scene.hand.height * max(scene.hand.spacing, scene.hand.min_gap)))
    shape = (max(cover.shape[0] for cover in covers), sum(cover.shape[1] + gap for cover in covers))
    cover, owners = np.zeros(shape, np.float32), np.zeros(shape, np.uint8)
    left = 0
    for place, one in enumerate(covers, start=first):
        window = np.s_[shape[0] - one.shape[0] :, left : left + one.shape[1]]
        cover[window], owners[window] = one, np.where(one > INKED, np.uint8(place), np.uint8(0))
        left += one.shape[1] + gap
    return Drawing(cover=cover, owners=owners, shared=np.zeros(shape, np.bool_)), writer


def _envelope(own: Negatives, rng: Rng, kind: str) -> Composed:
    """Compose a whole envelope: an address, a sender in small type, and a stamp on a large page."""
    scene = _scene(rng)
    size = float(rng.uniform(14, 24))
    scene = replace(
        scene,
        hand=replace(scene.hand, height=size),
        marks=replace(scene.marks, rule=""),
        scan=replace(scene.scan, zoom=1.0),
    )
    width = round(size * float(rng.uniform(40, 60)))
    shape = (round(width * float(rng.uniform(0.42, 0.6))), width)
    cover = np.zeros(shape, np.float32)
    small = replace(scene, hand=replace(scene.hand, height=size * 0.75))
    _lay(
        cover,
        typeset(rng, draw_address(rng, own.part), own.part, scene).cover,
        rng.uniform(0.45, 0.65),
        rng.uniform(0.3, 0.5),
    )
    if rng.random() < 0.8:
        _lay(cover, typeset(rng, draw_address(rng, own.part), own.part, small).cover, 0.04, 0.03)
    if rng.random() < 0.8:
        _lay(cover, _stamp(own, rng, size), 0.05, 0.97 - 5 * size / width)
    box = Box(top=0, left=0, bottom=shape[0], right=shape[1])
    return finish(rng, Drawing.foreign(cover), box, scene, text="", writer=-1, kind=kind)


def _stamp(own: Negatives, rng: Rng, size: float) -> Coverage:
    shape = (round(6 * size), round(5 * size))
    sketch = Sketch(shape)
    height, width = shape[0] - 2.0, shape[1] - 2.0
    sketch.path(
        np.array([[1.0, 1.0], [width, 1.0], [width, height], [1.0, height], [1.0, 1.0]]), 2.0
    )
    return np.asarray(
        np.maximum(sketch.cover, 0.7 * draw_doodle(rng, "texture", own.part, shape, 3.0)),
        np.float32,
    )


def _lay(page: Coverage, piece: Coverage, down: float, along: float) -> None:
    """Paste a piece onto a page, with its corner at these shares of height and width.

    Parts outside are cut off.
    """
    top, left = round(down * page.shape[0]), round(along * page.shape[1])
    seen = piece[: page.shape[0] - top, : page.shape[1] - left]
    window = page[top : top + seen.shape[0], left : left + seen.shape[1]]
    np.maximum(window, seen, out=window)


def _doodle(own: Negatives, rng: Rng, kind: str) -> Composed:
    """Compose a doodle on a canvas as large as a ZIP and its margins, or somewhat shorter."""
    scene = _scene(rng)
    height = scene.hand.height
    shape = (
        round(height * float(rng.uniform(1.2, 2.4))),
        round(height * float(rng.uniform(2.5, 7))),
    )
    cover = draw_doodle(
        rng, kind, own.part, shape, max(1.2, height * float(rng.uniform(0.05, 0.12)))
    )
    if kind in _FILLING and rng.random() < 0.5:
        scene = replace(scene, margins=(0.0, 0.0, 0.0, 0.0))
    return _framed(rng, Drawing.foreign(cover), scene, kind)


def _blank(_own: Negatives, rng: Rng, kind: str) -> Composed:
    scene = _scene(rng)
    if kind == "specks":
        marks = replace(
            scene.marks, specks=int(rng.integers(10, 120)), strokes=int(rng.integers(0, 8))
        )
        scene = replace(
            scene, marks=marks, scan=replace(scene.scan, noise=float(rng.uniform(3, 30)))
        )
    return set_page(rng, [], [], scene, text="", writer=-1, kind=kind)


def _photo(own: Negatives, rng: Rng, kind: str) -> Composed:
    """Compose a random crop of a photograph, rescaled in size and contrast, and scanned."""
    photograph = photographs(own.part)[int(rng.integers(len(PHOTOGRAPHS[own.part])))]
    tall = int(rng.integers(60, 240))
    wide = min(int(tall * rng.uniform(1, 5)), photograph.shape[1])
    top, left = (
        int(rng.integers(photograph.shape[0] - tall + 1)),
        int(rng.integers(photograph.shape[1] - wide + 1)),
    )
    window = photograph[top : top + tall, left : left + wide].astype(np.float32)
    if rng.random() < 0.5:
        window = window[:, ::-1]
    stretch, shift = float(rng.uniform(0.5, 1.5)), float(rng.normal(0, 25))
    window = np.clip((window - window.mean()) * stretch + window.mean() + shift, 0, 255)
    zoom = float(rng.uniform(0.6, 1.8))
    window = np.asarray(
        cv2.resize(window, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR), np.float32
    )
    image = scan_page(rng, window, _scene(rng).scan)
    owners = np.full(image.shape, FOREIGN, np.uint8)
    return Composed(
        image=image,
        owners=owners,
        shared=np.zeros(image.shape, np.bool_),
        text="",
        writer=-1,
        kind=kind,
    )


def _scene(rng: Rng) -> Scene:
    return draw_scene(rng, str(rng.choice(_PAPERS)))


def _framed(rng: Rng, drawing: Drawing, scene: Scene, kind: str, *, writer: int = -1) -> Composed:
    """Add the scene's margins to a drawing, and finish it."""
    up, after, down, before = (
        max(0, round(margin * scene.hand.height)) for margin in scene.margins
    )
    pads = ((up, down), (before, after))
    padded = Drawing(
        cover=np.pad(drawing.cover, pads),
        owners=np.pad(drawing.owners, pads),
        shared=np.pad(drawing.shared, pads),
    )
    height, width = drawing.cover.shape
    box = Box(top=up, left=before, bottom=up + height, right=before + width)
    return finish(rng, padded, box, scene, text="", writer=writer, kind=kind)


def typeset(rng: Rng, lines: Sequence[str], part: Part, scene: Scene) -> Drawing:
    """Typeset lines in one of the part's typefaces, left-aligned.

    Capitals are as high as the scene's digits, and the lines have the same tilt.

    Digits own their ink by their position in the whole block, all else is foreign.
    """
    files = font_files(part)
    font = open_font(
        files[int(rng.integers(len(files)))], max(8, round(scene.hand.height / _CAPITAL))
    )
    first, drawn = 1, []
    for line in lines:
        drawn.append(_set_line(font, line, first))
        first += sum(letter.isdigit() for letter in line)
    block = stacked(drawn, round(scene.hand.height * float(rng.uniform(-0.1, 0.5))))
    return _tilted(block, scene.hand.tilt)


def _set_line(font: ImageFont.FreeTypeFont, text: str, first: int) -> Drawing:
    """Typeset one line at full line height, with digits numbered from ``first``."""
    margin = round(0.2 * font.size)
    page = Image.new("L", (round(font.getlength(text)) + 2 * margin, round(1.35 * font.size)))
    ImageDraw.Draw(page).text(
        (margin, round(1.02 * font.size)), text, fill=255, font=font, anchor="ls"
    )
    cover = np.asarray(page, np.float32) / np.float32(255)
    owners = np.where(cover > INKED, np.uint8(FOREIGN), np.uint8(0))
    places = [place for place, letter in enumerate(text) if letter.isdigit()]
    for number, place in enumerate(places, start=first):
        ends = (margin + round(font.getlength(text[:end])) for end in (place, place + 1))
        column = owners[:, slice(*ends)]
        column[column > 0] = number
    return Drawing(cover=cover, owners=owners, shared=np.zeros(cover.shape, np.bool_))


def stacked(rows: Sequence[Drawing], gap: int) -> Drawing:
    """Stack drawings, left-aligned, with a gap in pixels.

    A negative gap makes them overlap.
    """
    tops = np.cumsum([0, *(row.cover.shape[0] + gap for row in rows[:-1])])
    shape = (int(tops[-1]) + rows[-1].cover.shape[0], max(row.cover.shape[1] for row in rows))
    cover, owners = np.zeros(shape, np.float32), np.zeros(shape, np.uint8)
    for row, top in zip(rows, tops, strict=True):
        window = np.s_[top : top + row.cover.shape[0], : row.cover.shape[1]]
        cover[window] = np.maximum(cover[window], row.cover)
        owners[window] = np.maximum(owners[window], row.owners)
    return Drawing(cover=cover, owners=owners, shared=np.zeros(shape, np.bool_))


def _tilted(drawing: Drawing, angle: float) -> Drawing:
    """Rotate a drawing by degrees about its centre, on an enlarged canvas."""
    height, width = drawing.cover.shape
    more = round(abs(np.sin(np.deg2rad(angle))) * width / 2) + 1
    size = (width, height + 2 * more)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -angle, 1.0)
    matrix[1, 2] += more
    cover = cv2.warpAffine(drawing.cover, matrix, size, flags=cv2.INTER_LINEAR)
    owners = cv2.warpAffine(drawing.owners, matrix, size, flags=cv2.INTER_NEAREST)
    return Drawing(
        cover=np.asarray(cover, np.float32),
        owners=np.asarray(owners, np.uint8),
        shared=np.zeros(cover.shape, np.bool_),
    )


@lru_cache(maxsize=2)
def photographs(part: Part) -> tuple[GrayImage, ...]:
    """Return the gray photographs of a part, from packages that are installed anyway."""
    found = []
    for package, name in PHOTOGRAPHS[part]:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            message = f"the photographs of {package} are not installed: install zipocr[train]"
            raise InputError(message)
        page = next(read_pages(Path(spec.origin).parent / name, max_pixels=_MAX_PIXELS))
        if isinstance(page, Unread):
            message = (
                f"the photograph {name} of {package} cannot be read: {page.detail or page.reason}"
            )
            raise InputError(message)
        found.append(page)
    return tuple(found)


MAKERS: Mapping[str, Maker] = {
    **dict.fromkeys(COUNTS, _number),
    **dict.fromkeys((f"printed_{kind}" for kind in COUNTS), _printed_number),
    **dict.fromkeys(TEXTS, _text),
    "town_line": _town_line,
    "numbered_word": _numbered_word,
    "crossed_out": _crossed_out,
    "rows": _rows,
    "lines": _lines,
    "address": _lines,
    "envelope": _envelope,
    **dict.fromkeys(("doodle", "signature", "texture", "noise", "gradient"), _doodle),
    "blank": _blank,
    "specks": _blank,
    "photo": _photo,
}
"""Functions that compose each kind."""
