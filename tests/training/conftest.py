import pytest

from zipocr.training.data.datasets import DigitSet, WriterSplit, split_writers


@pytest.fixture(scope="session")
def held_out(all_digits: DigitSet) -> DigitSet:
    """Digits of the few writers that nothing is learnt from."""
    return split_writers(all_digits, WriterSplit(lattice=1, calibrate=1, test=6)).test
