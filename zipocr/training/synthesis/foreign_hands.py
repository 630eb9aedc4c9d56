"""Composed strings in the hands of other countries.

Amounts as on cheques, some or all of their digits drawn from skeletons.
"""

from collections.abc import Mapping

import numpy as np

from zipocr.training.data.datasets import DigitSet
from zipocr.training.synthesis.augment import augment_glyph
from zipocr.training.synthesis.compose import HANDWRITTEN_QUOTAS, Composed, Composer, compose
from zipocr.training.synthesis.scene_parameters import Rng, draw_kind
from zipocr.training.synthesis.skeletons import HandStyle
from zipocr.types import ZIP_LENGTH

KINDS: Mapping[str, float] = {
    **HANDWRITTEN_QUOTAS,
    "cheque": 60.0,
    "security": 20.0,
    "separated": 12.0,
    "plus4": 0.0,
}
# Of the strings so many are round, as amounts are; and so many are drawn from skeletons alone, the
# others half.
ROUND = 0.4
ALL_DRAWN = 0.4


class ForeignComposer(Composer):
    """Makes strings by number.

    The digits that are not drawn from a skeleton are one writer's, with the shapes of other
    countries.
    """

    def __init__(self, digits: DigitSet, *, seed: int) -> None:
        super().__init__(digits, seed=seed, kinds=KINDS)

    def nth(self, number: int) -> Composed:
        """The string of this number."""
        rng = np.random.default_rng((self.seed, number))
        kind = draw_kind(rng, self.kinds)
        rows = self.spell(rng, draw_amount(rng))
        habit, share = HandStyle.drawn(rng), 1.0 if rng.random() < ALL_DRAWN else 0.5
        is_drawn = rng.random(10) < share
        labels = self.digits.labels[rows]
        glyphs = [
            habit.draw(rng, int(label))
            if is_drawn[label]
            else augment_glyph(
                rng, self.digits.images[row], int(label), strength=self.strength, european=1.0
            )
            for row, label in zip(rows, labels, strict=True)
        ]
        return compose(
            rng, glyphs, kind, "".join(map(str, labels)), writer=int(self.digits.writers[rows[0]])
        )


def draw_amount(rng: Rng) -> str:
    """Five digits; of those that are round the last one to four are zeros."""
    text = "".join(map(str, rng.integers(0, 10, ZIP_LENGTH)))
    zeros = int(rng.integers(1, ZIP_LENGTH)) if rng.random() < ROUND else 0
    return text[: ZIP_LENGTH - zeros] + "0" * zeros
