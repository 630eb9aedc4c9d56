"""Generator of ``tests/strings``: composed strings of unseen writers and typefaces.

Run as ``python -m zipocr.training.assets.benchmark_strings DATA OUT``; DATA is an ``.npz`` of NIST
digits or the word ``openml``. Strings are drawn like training strings, including extremes, but from
unmodified digits. Each digit is used at most once, and none is on the sample scans. Drawing is
seeded, every kind has a fixed quota, and nothing is selected by how well it is read.
"""

import csv
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zipocr.decode.confidence import LISTED_COUNT, P_LISTED
from zipocr.errors import InputError
from zipocr.storage.atomic import write_whole
from zipocr.training.assets.sample_scans import LIBRARIES, encoded, make_folder, sample_rows
from zipocr.training.data.datasets import DigitSet, load_npz, load_openml, split_writers
from zipocr.training.synthesis.compose import Composed, Composer, compose, compose_printed, draw_zip
from zipocr.training.synthesis.scene_parameters import Rng
from zipocr.training.synthesis.typefaces import Typeface, typefaces
from zipocr.types import PLUS4_LENGTH, ZIP_LENGTH, GrayImage

QUOTAS: Mapping[str, int] = {
    "plain": 12, "white": 12, "kraft": 12, "shaded": 12, "shadow": 12, "noisy": 12, "ruled": 12, "underlined": 12, "boxed": 12,
    "celled": 12, "table": 12, "security": 12, "cheque": 12, "separated": 12, "clutter": 12, "jpeg": 12, "bilevel": 12, "lowres": 12,
    "skewed": 12, "slanted": 12, "close": 12, "broken": 12, "split": 12, "faint": 12, "blurred": 12, "mixed": 12, "plus4": 12,
    "touching": 40, "printed": 40,
}  # fmt: skip
"""Number of strings of each kind; the same mixture is composed on the fly for measurements."""
MAIL_UNLISTED = (1 - P_LISTED) / (1 - LISTED_COUNT / 100_000)
"""Share of strings of five random digits, so that as many ZIPs as on mail are unlisted.
"""
GRAYS = 24
"""Number of gray levels; without the noise of the lowest bits, files are a third as large.
"""
_SEED = 1865
_TRIES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenString:
    """A file to write: path, bytes, digits, kind, and writer.

    ``writer`` is a number, or the name of a typeface.
    """

    name: str
    data: bytes
    text: str
    kind: str
    writer: str


class MailComposer(Composer):
    """Composer of strings with as many listed ZIPs as mail, and ZIP+4 only in their own kind."""

    unlisted = MAIL_UNLISTED
    printed_plus4 = 0.0


class _DigitPool:
    """A pool of digits, each of which is used once."""

    def __init__(self, digits: DigitSet, taken: NDArray[np.int_]) -> None:
        self._digits = digits
        self._left = np.ones(len(digits), np.bool_)
        self._left[taken] = False

    def spend(self, rng: Rng, more: int) -> DigitSet:
        """Take digits of one writer that spell a ZIP and ``more`` digits.

        If no writer has the digits left, another ZIP is drawn.
        """
        rest = np.flatnonzero(self._left)
        composer = Composer(self._digits.take(rest), seed=0)
        for _ in range(_TRIES if len(rest) else 0):
            text = draw_zip(rng, unlisted=MAIL_UNLISTED) + "".join(
                map(str, rng.integers(0, 10, more))
            )
            rows = composer.spell(rng, text)
            if len(set(rows.tolist())) == len(text):
                self._left[rest[rows]] = False
                return self._digits.take(rest[rows])
        message = (
            f"{len(self._digits)} digits are too few for strings in which none stands twice: give "
            "more"
        )
        raise InputError(message)


def frozen_strings(
    test: DigitSet,
    faces: Sequence[Typeface],
    *,
    taken: NDArray[np.int_],
    quotas: Mapping[str, int] = QUOTAS,
) -> Iterator[FrozenString]:
    """Compose all strings from digits of test writers not in ``taken``, and from test typefaces."""
    purse = _DigitPool(test, taken)
    names = {face.writer: face.name for face in faces}
    number = 0
    for kind, quota in quotas.items():
        for place in range(1, quota + 1):
            rng = np.random.default_rng((_SEED, number))
            number += 1
            more = PLUS4_LENGTH if kind == "plus4" else 0
            found = (
                _printed(rng, faces)
                if kind == "printed"
                else _written(rng, purse.spend(rng, more), kind)
            )
            image = fewer_grays(found.image)
            yield FrozenString(
                name=f"{kind}/{kind}-{place:02}.webp",
                data=encoded([image], "webp"),
                text=found.text,
                kind=kind,
                writer=names.get(found.writer, str(found.writer)),
            )


def _printed(rng: Rng, faces: Sequence[Typeface]) -> Composed:
    return compose_printed(
        rng, faces[int(rng.integers(len(faces)))], draw_zip(rng, unlisted=MAIL_UNLISTED)
    )


def _written(rng: Rng, digits: DigitSet, kind: str) -> Composed:
    text = "".join(map(str, digits.labels))
    return compose(rng, list(digits.images), kind, text, writer=int(digits.writers[0]))


def fewer_grays(image: GrayImage) -> GrayImage:
    """Quantize a page to `GRAYS` levels, including black and white."""
    step = 255 / (GRAYS - 1)
    return np.asarray(np.rint(np.rint(image / step) * step), np.uint8)


def write_strings(strings: Iterator[FrozenString], folder: Path) -> None:
    """Write the files, ``labels.csv`` (file, zip, plus4, kind, writer) and a README."""
    rows: list[tuple[str, str, str, str, str]] = []
    for string in strings:
        path = folder / string.name
        make_folder(path.parent)
        write_whole(path, string.data)
        rows.append(
            (
                string.name,
                string.text[:ZIP_LENGTH],
                string.text[ZIP_LENGTH:],
                string.kind,
                string.writer,
            )
        )
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("file", "zip", "plus4", "kind", "writer"))
    writer.writerows(rows)
    write_whole(folder / "labels.csv", table.getvalue().encode())
    write_whole(folder / "README.md", _readme(len(rows)).encode())


def _readme(count: int) -> str:
    """Return the README of the folder: contents, origin and licence."""
    versions = ", ".join(f"{name} {version(name)}" for name in (*LIBRARIES, "zipcodes"))
    return f"""# Composed strings to measure on

{count} crops; `labels.csv` (`file,zip,plus4,kind,writer`) says what stands on each, on which kind of paper or with which damage, and who
wrote it: a NIST writer's number, or the typeface. `make accuracy` measures both models on them, and a test keeps them from getting worse.

`make strings` composes them, as training strings are composed: hairlines, tight crops, patterned paper, digits run into one another. The
digits are those of the 31 writers that train and calibrate nothing, as they were written; each is used once, and none of those on the
sample scans. 98 in 100 ZIPs are listed ones. Crops are stored losslessly with {GRAYS} levels of gray. The draw is seeded, the number of
crops of each kind was fixed beforehand, and no crop was picked or dropped by how well it is read. The same digits and the same versions
of the libraries make the same files; these were made with {versions}.

## Credit and licence

As for the sample scans: the digits come from MNIST (Yann LeCun, Corinna Cortes, Christopher J. C. Burges), their writers from QMNIST
(Chhavi Yadav, Léon Bottou), and these crops are shared under [CC BY-SA 3.0](https://creativecommons.org/licenses/by-sa/3.0/) as MNIST is.
The typefaces are Caladea (Apache 2.0), Manrope (OFL 1.1) and Computer Modern (as it comes with matplotlib).
"""


def main(arguments: Sequence[str]) -> int:
    """Write the strings from ``DATA`` to the folder ``OUT``; return the exit code."""
    if len(arguments) != 2:
        sys.stderr.write(
            "usage: python -m zipocr.training.assets.benchmark_strings DATA.npz|openml OUT\n"
        )
        return 2
    source, folder = arguments
    test = split_writers(load_openml() if source == "openml" else load_npz(Path(source))).test
    faces = typefaces("test")
    write_strings(frozen_strings(test, faces, taken=sample_rows(test, faces)), Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
