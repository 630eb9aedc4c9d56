"""The examples in the docstrings of the installed package are true."""

import doctest
import pkgutil
from importlib import import_module

import pytest

import zipocr

MODULES = sorted(module.name for module in pkgutil.walk_packages(zipocr.__path__, "zipocr.") if not module.name.endswith("__main__"))


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_true(name: str) -> None:
    failed, _ = doctest.testmod(import_module(name))
    assert failed == 0


def test_examples_are_found() -> None:
    _, tried = doctest.testmod(import_module("zipocr.results"))
    assert tried
