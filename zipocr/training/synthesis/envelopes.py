"""Strings as written on envelopes: the digits of one ZIP by one hand, in order."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from zipocr.training.data.datasets import DigitSet
from zipocr.training.synthesis.compose import HANDWRITTEN_QUOTAS, Composer

KINDS: Mapping[str, float] = {
    kind: weight for kind, weight in HANDWRITTEN_QUOTAS.items() if kind != "plus4"
}


class EnvelopeComposer(Composer):
    """Composer of strings by number, cycling through the envelopes.

    ``digits`` are those of US mail, whose writers are envelopes (`zipocr.training.data.us_mail`).
    """

    def __init__(self, digits: DigitSet, *, seed: int) -> None:
        super().__init__(digits, seed=seed, kinds=KINDS, each_once=True)
        self._envelopes = np.unique(digits.writers)

    def _dealt(self, number: int, more: int = 0) -> NDArray[np.int_]:  # noqa: ARG002
        """Return the rows of all digits of an envelope."""
        return np.flatnonzero(self.digits.writers == self._envelopes[number % len(self._envelopes)])
