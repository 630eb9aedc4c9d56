"""What the tests of training share."""

import pytest

from zipocr.training.datasets import DigitSet, load_digits_set


@pytest.fixture(scope="session")
def all_digits() -> DigitSet:
    """All of scikit-learn's Digits, loaded once: undoing their stretching takes seconds."""
    return load_digits_set()
