"""The packaged directory: all ZIPs and their places."""

import gzip
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources

from zipocr.types import ZIP_LENGTH, Place

LISTED = "places.csv.gz"


class _Listed(Mapping[str, Place]):
    """Places by ZIP, each parsed from its line on access.

    Parsing all of them would slow down every start.
    """

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = {line[:ZIP_LENGTH]: line for line in lines}

    def __getitem__(self, listed: str) -> Place:
        _, city, state = self._lines[listed].split(",")
        return Place(city=city, state=state)

    def __contains__(self, listed: object) -> bool:
        return listed in self._lines

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)


@cache
def places() -> Mapping[str, Place]:
    """Return all listed ZIPs, active or not; see `zipocr.training.assets.zip_list`."""
    packed = (resources.files("zipocr.models") / LISTED).read_bytes()
    return _Listed(
        line for line in gzip.decompress(packed).decode().splitlines() if not line.startswith("#")
    )
