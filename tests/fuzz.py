"""Throws made-up bytes at everything that reads foreign files: ``python tests/fuzz.py SECONDS``, or ``make fuzz``.

The first byte of an input chooses which; the rest is the file. An exception that is none of ours, more rows than a file can have pages,
a page of the wrong kind, a crash, a hang of `LONGEST` seconds or more than `MOST_MEMORY` megabytes end the run, and the input is kept as
``crash-*``, ``timeout-*`` or ``oom-*``; ``python tests/fuzz.py FILE`` runs it again.
"""

import contextlib
import csv
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris
import numpy as np

with atheris.instrument_imports(include=["zipocr", "PIL"]):
    import corpus
    from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin  # noqa: F401 - to be followed inside

    from zipocr.errors import InputError, ModelError
    from zipocr.images import read_pages, silence_decoders
    from zipocr.model_file import ARRAYS, load_model, save_model
    from zipocr.results import from_cell, open_results, read_results, to_cell
    from zipocr.types import Model, Unread

MAX_PIXELS = 1_000_000
LONGEST = 30
MOST_MEMORY = 2_048
LONGEST_INPUT = 1 << 16
LOST_PAGES = 20

FOLDER = Path(tempfile.mkdtemp(prefix="zipocr-fuzz-"))
INPUT = FOLDER / "input"


def read_image(data: bytes) -> None:
    """The image door gives pages or says why not: not more than there can be."""
    INPUT.write_bytes(data)
    rows = 0
    for page in read_pages(INPUT, max_pixels=MAX_PIXELS):
        rows += 1
        if not isinstance(page, Unread):
            assert page.ndim == 2, page.shape
            assert page.dtype == np.uint8, page.dtype
            assert 0 < page.size <= MAX_PIXELS, page.shape
    assert 1 <= rows <= len(data) // 6 + LOST_PAGES + 1, rows


def read_csv(data: bytes) -> None:
    """A results file is refused, or written again as the rows it gave."""
    INPUT.write_bytes(data)
    again = FOLDER / "again.csv"
    try:
        rows = list(read_results(INPUT))
    except InputError:
        return
    with open_results(str(again)) as results:
        results.write(rows)
    assert [row.file for row in read_results(again)] == [row.file for row in rows]


def write_cell(data: bytes) -> None:
    """Any name comes back out of its cell, and the cell is one line of CSV."""
    name = os.fsdecode(data)
    cell = to_cell(name)
    assert from_cell(cell) == name
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert list(csv.reader([cell.replace('"', '""').join('""')])) == [[cell]]


def read_model(data: bytes) -> None:
    """A model is refused or loaded."""
    INPUT.write_bytes(data)
    with contextlib.suppress(ModelError):
        load_model(str(INPUT))


TARGETS: tuple[Callable[[bytes], None], ...] = (read_image, read_image, read_image, read_csv, write_cell, read_model)


def run_one(data: bytes) -> None:
    """Give an input to the reader that its first byte chooses."""
    if data:
        TARGETS[data[0] % len(TARGETS)](data[1:])


def plant_seeds(folder: Path) -> None:
    """Begin with the corpus, rows and a model: a fuzzer that had to invent a PNG would not get past its header."""
    page = corpus.draw_page()[:40, :60]
    damaged = [data for data, _ in corpus.damaged_files(page).values()]
    several = [data for data, _ in corpus.pages_apart(page).values()]
    images = [*corpus.whole_files(page).values(), *corpus.lossy_files(page).values(), *damaged, *several]
    rows = FOLDER / "rows.csv"
    with open_results(str(rows)):
        pass
    lines = b"a.png,1,02108,0.9,read,,0.9;0.9,,,,\n" + b'"=x, y",2,,,unread,no_ink,,,,,\n'
    model = FOLDER / "model.npz"
    save_model(model, Model(arrays={name: np.zeros(2, np.float32) for name in ARRAYS}, passport={"min_confidence": 0.5}))
    seeds = [(read_image, image) for image in images]
    seeds += [(read_csv, rows.read_bytes() + lines), (write_cell, b"=a \xff\n.png"), (read_model, model.read_bytes())]
    for number, (target, data) in enumerate(seeds):
        (folder / f"{number:03d}").write_bytes(bytes([TARGETS.index(target)]) + data)


def main() -> None:
    """Fuzz for so many seconds, or run one input again."""
    silence_decoders()
    what = sys.argv[1] if len(sys.argv) > 1 else "60"
    if Path(what).is_file():
        run_one(Path(what).read_bytes())
        return
    seeds = FOLDER / "seeds"
    seeds.mkdir()
    plant_seeds(seeds)
    limits = [f"-max_total_time={what}", f"-timeout={LONGEST}", f"-rss_limit_mb={MOST_MEMORY}", f"-max_len={LONGEST_INPUT}"]
    atheris.Setup([sys.argv[0], *limits, "-print_final_stats=1", str(seeds)], run_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
