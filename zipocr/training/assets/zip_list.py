"""Generator of the shipped list of ZIP codes, ``zipocr/models/places.csv.gz``.

The list has ZIP, city and state from the package ``zipcodes``, which is itself too slow to load.
"""

import gzip
import sys
from importlib.metadata import version
from pathlib import Path

from zipocr.storage.atomic import write_whole


def listing() -> bytes:
    """Return the list as compressed CSV.

    It has a comment with its source, then ZIP, city and state, sorted by ZIP.
    """
    from zipcodes import list_all

    rows = sorted(
        (str(entry["zip_code"]), str(entry["city"]), str(entry["state"])) for entry in list_all()
    )
    if any("," in cell or "\n" in cell for row in rows for cell in row):
        message = "a city's name would need quotes"
        raise ValueError(message)
    lines = [
        f"# zip, city and state of all {len(rows)} entries of zipcodes {version('zipcodes')}",
        *(",".join(row) for row in rows),
    ]
    return gzip.compress("\n".join(lines).encode() + b"\n", mtime=0)


if __name__ == "__main__":
    write_whole(Path(sys.argv[1]), listing())
