"""The examples in the docstrings of the installed package are correct."""

import doctest
import pkgutil
from importlib import import_module
from importlib.util import find_spec

import pytest

import zipocr

# PyTorch, which training a network needs, is not installed for the tests.
SKIPPED = set() if find_spec("torch") else {"zipocr.training.fit.network"}
FOUND = (module.name for module in pkgutil.walk_packages(zipocr.__path__, "zipocr."))
MODULES = sorted(name for name in FOUND if not name.endswith("__main__") and name not in SKIPPED)


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_correct(name: str) -> None:
    failed, _ = doctest.testmod(import_module(name))
    assert failed == 0


def test_examples_are_found() -> None:
    _, tried = doctest.testmod(import_module("zipocr.results.cells"))
    assert tried
