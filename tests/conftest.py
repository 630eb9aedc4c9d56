"""What all tests share."""

import os
import shutil

import pytest
from hypothesis import settings

# The same examples on every run: a red test stays red, and a green one does not depend on luck.
settings.register_profile("steady", derandomize=True, deadline=None, max_examples=100)
settings.load_profile("steady")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a `system` test whose program is missing, saying so; in CI that is a failure, since nobody would notice the skip."""
    for marker in item.iter_markers("system"):
        missing = [program for program in marker.args if shutil.which(program) is None]
        if missing and os.environ.get("CI"):
            pytest.fail(f"needs {', '.join(missing)}, which CI has to install", pytrace=False)
        if missing:
            pytest.skip(f"needs {', '.join(missing)}")
