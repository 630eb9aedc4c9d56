import pytest

from zipocr.training.data.datasets import DigitSet, WriterSplit, split_writers


@pytest.fixture(scope="session")
def held_out(all_digits: DigitSet) -> DigitSet:
    """Test digits, from writers that are not used for training."""
    return split_writers(all_digits, WriterSplit(lattice=1, calibrate=1, test=6)).test
