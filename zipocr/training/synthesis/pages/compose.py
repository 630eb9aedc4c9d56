"""Composed pages by number, with ground truth for their ZIP."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from zipocr.preprocess.rotate import rotate, turn_back
from zipocr.training.data.datasets import DigitSet
from zipocr.training.synthesis.pages.addresses import draw_destination, withhold_zip
from zipocr.training.synthesis.pages.canvas import Canvas
from zipocr.training.synthesis.pages.desk import Desk
from zipocr.training.synthesis.pages.handwriting import DigitsOfWriters
from zipocr.training.synthesis.pages.layouts import BY_HAND, CUT_OUT, LAYOUTS, NO_MAIL
from zipocr.training.synthesis.pages.surfaces import (
    Scanning,
    View,
    as_cropped,
    bounding_box,
    draw_low_quality,
    draw_scanning,
    on_scanner,
    on_table,
    scanned,
)
from zipocr.training.synthesis.pages.typesetting import WEARS
from zipocr.training.synthesis.scene_parameters import Rng, check_kinds, draw_kind
from zipocr.training.synthesis.wording import Part
from zipocr.types import Box, GrayImage

PAGE_QUOTAS: Mapping[str, float] = {
    "printed_envelope": 5, "printed_block": 4, "printed_line": 4, "window": 4, "parcel_label": 3,
    "low_quality": 6, "hand_envelope": 6, "hand_block": 5, "hand_line": 5,
    "text_page": 0.5, "form": 0.5, "notes": 0.5, "receipt": 0.4, "photograph": 0.5,
}  # fmt: skip
"""Weights of all kinds."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComposedPage:
    """A composed page and its ground truth.

    ``image`` is ``(H, W) uint8``, 0 black to 255 white. ``zip`` is empty if the page has no
    destination ZIP, ``plus4`` if that has no add-on. ``box`` is the bounding box of the ZIP in the
    image, including the add-on if that is on the same line. ``rotation`` is the clockwise rotation
    in degrees that makes the page upright: 0, 90, 180 or 270.
    """

    image: GrayImage
    zip: str
    plus4: str
    kind: str
    box: Box | None
    rotation: int


class PageComposer:
    """Composer of pages by number: the n-th is the same in every process and order.

    ``digits`` are those of the part's writers; all handwritten digits of a page are by one writer.
    ``kinds`` are the weights of the kinds (`PAGE_QUOTAS`); a share ``without_zip`` of the pages of
    mail has no destination ZIP.
    """

    def __init__(
        self,
        digits: DigitSet,
        *,
        seed: int,
        part: Part,
        kinds: Mapping[str, float] = PAGE_QUOTAS,
        without_zip: float = 0.25,
    ) -> None:
        check_kinds(kinds, PAGE_QUOTAS)
        self.seed, self.part, self.kinds, self.without_zip = seed, part, kinds, without_zip
        self._writers = DigitsOfWriters(digits)

    def nth(self, number: int) -> ComposedPage:
        """Return the page with this number."""
        rng = np.random.default_rng((self.seed, number))
        kind = draw_kind(rng, self.kinds)
        has_zip = kind not in NO_MAIL and rng.random() >= self.without_zip
        address = draw_destination(rng, self.part)
        address = address if has_zip else withhold_zip(rng, self.part, address)
        desk = Desk(rng=rng, part=self.part, writers=self._writers, address=address)
        layout, scanning = kind, draw_scanning(rng)
        if kind == "low_quality":
            layout = str(rng.choice([name for name in LAYOUTS if name not in NO_MAIL]))
            scanning = draw_low_quality(rng)
            wear = "" if layout in BY_HAND else str(rng.choice(WEARS))
            desk = replace(desk, wear=wear)
        view = scanned(rng, _seen(rng, LAYOUTS[layout](desk), layout, scanning), scanning)
        turns = int(rng.choice(4, p=[0.85, 0.05, 0.05, 0.05]))
        image, box = rotate(view.image, -90 * turns), _turned_box(view, turns)
        has_zip = box is not None
        return ComposedPage(
            image=image,
            zip=address.zip if has_zip else "",
            plus4=address.plus4 if has_zip else "",
            kind=kind,
            box=box,
            rotation=90 * turns,
        )


def _seen(rng: Rng, canvas: Canvas, layout: str, scanning: Scanning) -> View:
    """Capture a page: cropped, on a scanner or on a table, upright or skewed."""
    skew = float(rng.choice([0, rng.normal(0, 1.2), rng.uniform(-5, 5), rng.uniform(-15, 15)],
                            p=[0.3, 0.4, 0.2, 0.1]))  # fmt: skip
    if layout in CUT_OUT:
        return as_cropped(canvas, angle=skew)
    ways = ("cropped", "scanner", "table")
    way = str(rng.choice(ways, p=[0.45, 0.35, 0.2]))
    if way == "cropped":
        return as_cropped(canvas, angle=float(np.clip(skew, -3, 3)))
    is_scanned = way == "scanner" or scanning.is_bilevel
    return (on_scanner if is_scanned else on_table)(rng, canvas, angle=skew)


def _turned_box(view: View, turns: int) -> Box | None:
    """Return the box of the ZIP after quarter turns to the left; None if there is no ZIP."""
    if view.zip_outline is None:
        return None
    shape = view.image.shape
    box = bounding_box(view.zip_outline, shape)
    return turn_back(box, 90 * turns, shape[::-1] if turns % 2 else shape)
