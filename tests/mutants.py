"""Reads randomly damaged files in worker processes: ``tests/mutants.py SECONDS``.

PDFium, libheif and others may hang, crash or ask for gigabytes on such files, which a scan
survives: every file gets at least one row, no page takes longer than the timeout, and this process
stays small. A table shows what the rows said. A violation ends the run, and the files are kept.
"""

import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import corpus
import numpy as np

from zipocr.batch.backends.processes import DEFAULT_MAX_MEMORY, ProcessBackend
from zipocr.batch.read_files import BatchSettings, read_files
from zipocr.images.listing import ImageFile

AT_ONCE, JOBS, TIMEOUT = 100, 2, 5.0
MOST_CHANGES = 12
# In kilobytes, for this process without its workers.
MOST_MEMORY = 400_000
PLACES = ("mask", "annotation", "font", "pattern")
SETTINGS = BatchSettings(
    model="digits",
    max_error=0.5,
    min_confidence=0.5,
    use_directory=False,
    directory=None,
    max_pixels=1_000_000,
    debug=None,
)


def seeds() -> list[bytes]:
    """Files of all formats, several of them PDFs."""
    page = corpus.draw_page()[:40, :60]
    files = [*corpus.whole_files(page).values(), *corpus.lossy_files(page).values()]
    return [
        *files,
        *(corpus.hidden_picture_pdf(place, 90) for place in PLACES),
        corpus.written_pdf(),
    ]


def damaged(data: bytes, chance: np.random.Generator) -> bytes:
    """Change some bytes of a file, and sometimes its length."""
    changed = bytearray(data)
    for place in chance.integers(len(data), size=chance.integers(1, MOST_CHANGES)):
        changed[place] = chance.integers(256)
    begin, end = sorted(chance.integers(len(data), size=2))
    match chance.integers(8):
        case 0:
            return bytes(changed[:end])
        case 1:
            return bytes(changed[:end] + changed[begin:])
        case _:
            return bytes(changed)


def run(folder: Path, seconds: int) -> Counter[str]:
    """Read damaged files for some seconds; return what the rows said."""
    chance, whole, found = np.random.default_rng(1), seeds(), Counter[str]()
    until = time.monotonic() + seconds
    with ProcessBackend(jobs=JOBS, timeout=TIMEOUT, max_memory=DEFAULT_MAX_MEMORY) as backend:
        while time.monotonic() < until:
            files = [
                ImageFile(place=str(folder / f"{number}"), name=f"{number}")
                for number in range(AT_ONCE)
            ]
            for file in files:
                Path(file.place).write_bytes(damaged(whole[chance.integers(len(whole))], chance))
            outcomes = list(read_files(files, SETTINGS, backend=backend))
            assert len(outcomes) == len(files)
            assert all(outcome.counts for outcome in outcomes)
            found.update(
                str(reason)
                for outcome in outcomes
                for row in outcome.rows
                for reason in row.reason or ["read"]
            )
            found["files"] += len(files)
    return found


def main() -> None:
    """Run, and print the results."""
    folder = Path(tempfile.mkdtemp(prefix="zipocr-mutants-"))
    found = run(folder, int(sys.argv[1]) if len(sys.argv) > 1 else 60)
    for name, count in found.most_common():
        print(f"{name:24}{count:8}")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert memory < MOST_MEMORY, f"{memory} kB"
    assert "program_error" not in found, f"see {folder}"


if __name__ == "__main__":
    main()
