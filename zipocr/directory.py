"""Which five digits are a ZIP, and whose: the list that ships with this package."""

import gzip
from functools import cache
from importlib import resources

from zipocr.types import Place

LISTED = "places.csv.gz"


@cache
def places() -> dict[str, Place]:
    """All listed ZIPs, active or not; `zipocr.training.listing` made the list."""
    packed = (resources.files("zipocr") / LISTED).read_bytes()
    rows = (line.split(",") for line in gzip.decompress(packed).decode().splitlines() if not line.startswith("#"))
    return {listed: Place(city=city, state=state) for listed, city, state in rows}
