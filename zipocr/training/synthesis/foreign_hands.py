"""Composed strings in the hands of other countries.

Amounts as on cheques, with some or all digits drawn from skeletons.
"""

from collections.abc import Mapping
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from zipocr.training.data.datasets import DigitSet
from zipocr.training.synthesis.augment import augment_glyph
from zipocr.training.synthesis.compose import HANDWRITTEN_QUOTAS, Composed, Composer, compose
from zipocr.training.synthesis.scene_parameters import Rng, Scene, draw_kind, draw_scene
from zipocr.training.synthesis.skeletons import HandStyle
from zipocr.types import ZIP_LENGTH

KINDS: Mapping[str, float] = {
    **HANDWRITTEN_QUOTAS,
    "cheque": 60.0,
    "security": 20.0,
    "separated": 12.0,
    "plus4": 0.0,
}
# Share of round amounts, and share of strings drawn entirely from skeletons; half of the digits of
# the others are.
ROUND = 0.4
ALL_DRAWN = 0.4
# Shares of amounts with closely spaced digits, with a thousands separator, and with zeros written
# in one stroke.
NEAR, THOUSANDS, CHAINED = 0.5, 0.8, 0.5
# Share of amounts with a larger first digit, and its maximum factor.
LARGE_INITIAL, MAX_INITIAL = 0.25, 1.7


class ForeignComposer(Composer):
    """Composer of strings by number.

    Digits not drawn from a skeleton are by one writer, augmented to the shapes of other countries.
    """

    def __init__(self, digits: DigitSet, *, seed: int) -> None:
        super().__init__(digits, seed=seed, kinds=KINDS)

    def nth(self, number: int) -> Composed:
        """Return the string with this number."""
        rng = np.random.default_rng((self.seed, number))
        kind = draw_kind(rng, self.kinds)
        rows = self.spell(rng, draw_amount(rng))
        habit = HandStyle.drawn(rng)
        glyphs = self.glyphs(rng, rows, habit)
        return compose(
            rng, glyphs, kind, self.spelt(rows), writer=int(self.digits.writers[rows[0]])
        )

    def glyphs(self, rng: Rng, rows: NDArray[np.int_], habit: HandStyle) -> list[NDArray[np.uint8]]:
        """Return digits in the shapes of a hand, or those of the writer."""
        is_drawn = rng.random(10) < (1.0 if rng.random() < ALL_DRAWN else 0.5)
        return [
            habit.draw(rng, int(label))
            if is_drawn[label]
            else augment_glyph(
                rng, self.digits.images[row], int(label), strength=self.strength, european=1.0
            )
            for row, label in zip(rows, self.digits.labels[rows], strict=True)
        ]

    def spelt(self, rows: NDArray[np.int_]) -> str:
        """Return the text that rows of digits spell."""
        return "".join(map(str, self.digits.labels[rows]))


class AmountComposer(ForeignComposer):
    """Composer of amounts as on cheques: separated thousands, close digits, chained zeros.

    A chain is one glyph of several digits, so these strings are only for whole-line readers.
    """

    def nth(self, number: int) -> Composed:
        """Return the string with this number."""
        rng = np.random.default_rng((self.seed, number))
        kind = draw_kind(rng, self.kinds)
        rows = self.spell(rng, draw_amount(rng))
        habit, text = HandStyle.drawn(rng), self.spelt(rows)
        glyphs, scene = self.glyphs(rng, rows, habit), _near(rng, draw_scene(rng, kind))
        if rng.random() < LARGE_INITIAL:
            glyphs[0] = _enlarged(glyphs[0], float(rng.uniform(1.1, MAX_INITIAL)))
        zeros = len(text) - max(len(text.rstrip("0")), 2)
        if zeros > 1 and rng.random() < CHAINED:
            glyphs = [*glyphs[:-zeros], habit.draw_zeros(rng, zeros)]
        return compose(
            rng, glyphs, kind, text, writer=int(self.digits.writers[rows[0]]), scene=scene
        )


def _near(rng: Rng, scene: Scene) -> Scene:
    """Move digits together, with a separator after the second, and keep small ones small."""
    hand = replace(
        scene.hand,
        separator_after=2 if rng.random() < THOUSANDS else 0,
        level=float(rng.uniform(0, 0.4)),
    )
    if rng.random() < NEAR:
        hand = replace(
            hand, spacing=float(rng.uniform(-0.1, 0.15)), contacts=int(rng.integers(0, 3))
        )
    return replace(scene, hand=hand)


def _enlarged(glyph: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    large = cv2.resize(glyph, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    return np.asarray(large, np.uint8)


def draw_amount(rng: Rng) -> str:
    """Draw five digits; the last one to four of round amounts are zeros."""
    text = "".join(map(str, rng.integers(0, 10, ZIP_LENGTH)))
    zeros = int(rng.integers(1, ZIP_LENGTH)) if rng.random() < ROUND else 0
    return text[: ZIP_LENGTH - zeros] + "0" * zeros
