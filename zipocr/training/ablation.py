"""Readers that each lack one part, to show what that part is worth. None of them is for use."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from zipocr.prepare import Binarization, Inked, Segmentation, find_ink
from zipocr.reader import Reader
from zipocr.training.measure import Crop, judges, read_crops
from zipocr.training.metrics import Pair
from zipocr.types import Floats, GrayImage, InkMask, Lattice, Model


class OneThreshold(Reader):
    """Sees a page through the first threshold alone."""

    binarizations = (Binarization.OTSU,)


class NoCutsThrough(Reader):
    """Cuts between components only."""

    depths = (False,)


class FreeDirt(Reader):
    """Leaves ink out for nothing."""

    def segment(self, inked: Inked, *, through: bool) -> Segmentation:
        """Finds everything that could be a digit; what is left out costs nothing."""
        seen = super().segment(inked, through=through)
        free = seen.lattice.skips.copy()
        free[:, 2] = 0
        return replace(seen, lattice=replace(seen.lattice, prices=np.zeros_like(seen.lattice.prices), skips=free))


class AllWhole(Reader):
    """Takes every region for one whole digit: the non-digit class has no say."""

    def wholeness(self, decisions: Floats, lattice: Lattice) -> Floats:  # noqa: ARG002 - none of it matters
        """Log probability that each region is one whole digit: always 0."""
        return np.zeros(len(decisions), np.float32)


class RulesLeft(Reader):
    """Leaves rules and boxes standing."""

    def find_ink(self, page: GrayImage, binarization: Binarization) -> Inked | None:
        """Finds the writing on a page, and its rules."""
        return find_ink(page, binarization, unrule=_untouched)


PARTS: Mapping[str, type[Reader]] = {
    "second threshold": OneThreshold,
    "cuts through components": NoCutsThrough,
    "price of ink left out": FreeDirt,
    "non-digit class": AllWhole,
    "removal of rules": RulesLeft,
}
"""What each of the readers lacks."""


def _untouched(ink: InkMask, height: float) -> InkMask:  # noqa: ARG001 - cleaners take it
    return ink


def ablate(model: Model, crops: Sequence[Crop], *, jobs: int) -> dict[str, Pair]:
    """For every part the answers of a reader without it, with the directory and without."""
    return {part: read_crops(judges(model, kind), crops, jobs=jobs) for part, kind in PARTS.items()}
