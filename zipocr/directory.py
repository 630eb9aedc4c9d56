"""Which five digits are a ZIP, and whose: the directory of the package ``zipcodes``, offline."""

from functools import cache

from zipocr.types import Place


@cache
def places() -> dict[str, Place]:
    """All listed ZIPs, active or not. Read once: asking the package for one ZIP takes as long as reading a whole page."""
    from zipcodes import list_all

    return {entry["zip_code"]: Place(city=entry["city"], state=entry["state"]) for entry in list_all()}
