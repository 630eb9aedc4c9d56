"""Readers that each lack one part, to show what that part is worth. None of them is for use."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from zipocr.components import Components
from zipocr.looking import Opened
from zipocr.pooling import View, pool
from zipocr.prepare import Binarization, Inked, Segmentation, Sheet, find_ink
from zipocr.reader import Decoded, Reader
from zipocr.training.measure import Crop, judges, read_crops
from zipocr.training.metrics import Pair
from zipocr.types import Floats, Model

SURE = 50.0
"""Log odds that nothing outweighs."""
OVERWHELMING = 1e3
"""A weight of the network beside which the lattices' say is none."""


class OneThreshold(Reader):
    """Sees a page through the first threshold alone."""

    binarizations = (Binarization.OTSU,)


class NoCutsThrough(Reader):
    """Cuts between components only."""

    depths = (False,)


class FreeDirt(Reader):
    """Leaves ink out for nothing."""

    def segment(self, inked: Inked, *, through: bool, centres: Sequence[NDArray[np.float64]] = ()) -> Segmentation:
        """Finds everything that could be a digit; what is left out costs nothing."""
        seen = super().segment(inked, through=through, centres=centres)
        free = seen.lattice.skips.copy()
        free[:, 2] = 0
        return replace(seen, lattice=replace(seen.lattice, prices=np.zeros_like(seen.lattice.prices), skips=free))


class NoGate(Reader):
    """Asks the support vectors about every region."""

    def odds(self, features: Floats, geometry: Floats) -> Floats:  # noqa: ARG002 - none of it matters
        """All regions lie far beyond the gate."""
        return np.full(len(features), SURE, np.float32)


class AllWhole(NoGate):
    """Takes every region for one whole digit: neither the gate nor the non-digit class has a say."""

    def score(self, bitmaps: NDArray[np.uint8], geometry: Floats) -> tuple[Floats, Floats]:
        """Log probabilities of the digits, and odds of being one that leave no doubt."""
        digits, _ = super().score(bitmaps, geometry)
        return digits, np.full(len(digits), SURE, np.float32)


class NoSupport(Reader):
    """Takes every string from the view that likes it best, whatever the others say."""

    support = 0.0


class RulesLeft(Reader):
    """Leaves rules and boxes standing."""

    def find_ink(self, sheet: Sheet, binarization: Binarization) -> Inked | None:
        """Finds the writing on a page, and its rules."""
        return find_ink(sheet, binarization, unrule=_untouched)


class GapsLeft(Reader):
    """Leaves digits in the parts that dead scan lines and erased rules left of them."""

    def find_ink(self, sheet: Sheet, binarization: Binarization) -> Inked | None:
        """Finds the writing on a page, gaps and all."""
        return find_ink(sheet, binarization, mend=_untouched)


class NoNetwork(Reader):
    """Reads regions alone, with cuts wherever ink allows them."""

    def read_lines(self, writing: Sequence[Inked]) -> Sequence[None]:
        """Reads no line as a whole."""
        return [None] * len(writing)


class NoGlance(Reader):
    """Looks at the regions of every page, however sure the network is."""

    glances = False


class SeenOnce(Reader):
    """Lets the network see every line once, however much in doubt it is."""

    def again(self, opened: Opened) -> Opened:
        """Leaves it at the first glance."""
        return opened


class LineAlone(Reader):
    """Takes the network's word for everything; the lattices only say where its digits stand."""

    def pool(self, views: Sequence[View]) -> Decoded | None:
        """Puts the strings of several views together as the network has them."""
        return self.weigh(pool(views, support=self.support, line_weight=OVERWHELMING))


PARTS: Mapping[str, type[Reader]] = {
    "network": NoNetwork,
    "support vectors' say": LineAlone,
    "glance": NoGlance,
    "second glance": SeenOnce,
    "second threshold": OneThreshold,
    "cuts through components": NoCutsThrough,
    "price of ink left out": FreeDirt,
    "gate": NoGate,
    "gate and non-digit class": AllWhole,
    "removal of rules": RulesLeft,
    "mending of gaps": GapsLeft,
    "support between views": NoSupport,
}
"""What each of the readers lacks."""


def _untouched(parts: Components, height: float) -> Components:  # noqa: ARG001 - cleaners take it
    return parts


def ablate(model: Model, crops: Sequence[Crop], *, jobs: int) -> dict[str, Pair]:
    """For every part the answers of a reader without it, with the directory and without."""
    return {part: read_crops(judges(model, kind), crops, jobs=jobs) for part, kind in PARTS.items()}
