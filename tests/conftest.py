"""Settings and fixtures shared by all tests."""

from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clusters import Cluster
    from tiny import Tiny

    from zipocr.training.data.datasets import DigitSet

# The same examples on every run: a failing test keeps failing, and a passing one is not just lucky.
settings.register_profile("steady", derandomize=True, deadline=None, max_examples=100)
settings.load_profile("steady")

# Processes that a shell starts in the background ignore Ctrl-C, and so would everything that tests
# start in order to interrupt it: they would wait forever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip `system` tests whose program is missing, and `posix` tests on Windows.

    In CI a missing program is a failure, since a skip would go unnoticed.
    """
    if os.name == "nt" and item.get_closest_marker("posix"):
        pytest.skip("needs what Windows has not")
    for marker in item.iter_markers("system"):
        missing = [program for program in marker.args if shutil.which(program) is None]
        if missing and os.environ.get("CI"):
            pytest.fail(f"needs {', '.join(missing)}, which CI has to install", pytrace=False)
        if missing:
            pytest.skip(f"needs {', '.join(missing)}")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A Dask cluster of two workers, for tests that leave it unchanged."""
    from clusters import running

    with running(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def all_digits() -> DigitSet:
    """All of scikit-learn's Digits, loaded once: undoing their stretching takes seconds."""
    from zipocr.training.data.datasets import load_digits_set

    return load_digits_set()


@pytest.fixture(scope="session")
def tiny(all_digits: DigitSet) -> Tiny:
    """A model that is trained in seconds, and its training data."""
    from tiny import make_tiny

    return make_tiny(all_digits)
