from collections.abc import Iterator
from pathlib import Path

import pytest

from zipocr.results.corrections import CorrectionsFile, open_corrections


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "c.csv"


@pytest.fixture
def corrections(path: Path) -> Iterator[CorrectionsFile]:
    with open_corrections(path) as opened:
        yield opened
