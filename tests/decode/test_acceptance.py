import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zipocr.decode.acceptance import acceptance_threshold
from zipocr.errors import ModelError
from zipocr.types import Model

LISTED = np.array([[0.01, 0.95], [0.02, 0.9], [0.1, 0.4]])
UNLISTED = np.array([[0.02, 0.97]])
MODEL = Model(arrays={"acceptance_listed": LISTED, "acceptance_unlisted": UNLISTED}, card={})


@pytest.mark.parametrize(("error", "threshold"), [(0.01, 0.95), (0.02, 0.9), (0.1, 0.4)])
def test_an_error_rate_in_the_table_has_its_threshold(error, threshold):
    assert acceptance_threshold(MODEL, error, use_directory=True) == threshold


@pytest.mark.parametrize(
    ("error", "threshold"), [(0.0199, 0.95), (0.05, 0.9), (0.5, 0.4), (1.0, 0.4)]
)
def test_between_rows_and_after_the_last_the_stricter_row_applies(error, threshold):
    assert acceptance_threshold(MODEL, error, use_directory=True) == threshold


@given(st.floats(0.01, 1), st.floats(0.01, 1))
def test_allowing_more_errors_never_raises_the_threshold(one, other):
    strict, lax = (
        acceptance_threshold(MODEL, error, use_directory=True) for error in sorted((one, other))
    )
    assert lax <= strict


def test_reading_with_and_without_a_directory_uses_separate_thresholds():
    assert acceptance_threshold(MODEL, 0.02, use_directory=False) == 0.97


@pytest.mark.parametrize(
    ("use_directory", "error", "least"), [(True, 0.0099, "0.01"), (False, 0.01, "0.02")]
)
def test_an_error_rate_below_the_table_is_rejected_with_the_lowest_available(
    use_directory, error, least
):
    with pytest.raises(ModelError, match=rf"--max-error {least}, .*--min-confidence"):
        acceptance_threshold(MODEL, error, use_directory=use_directory)


def test_a_model_that_guarantees_no_error_rate_says_so():
    model = Model(arrays={"acceptance_listed": np.zeros((0, 2))}, card={})
    with pytest.raises(ModelError, match=r"no share of errors.*--min-confidence"):
        acceptance_threshold(model, 0.2, use_directory=True)
