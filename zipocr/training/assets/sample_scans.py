"""Generator of ``sample_scans``: labelled crops and whole pages by writers unseen in training.

Run as ``python -m zipocr.training.assets.sample_scans DATA OUT``; DATA is an ``.npz`` of NIST
digits or the word ``openml``. Drawing is seeded, every kind has a fixed quota, and nothing is
selected by how well it is read. The same data yield identical files.
"""

import csv
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import count
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zipocr.errors import OutputError
from zipocr.storage.atomic import write_whole
from zipocr.training.data.datasets import DigitSet, load_npz, load_openml, split_writers
from zipocr.training.synthesis.compose import (
    NEGATIVE_KINDS,
    Composed,
    Composer,
    compose,
    compose_negative,
    compose_printed,
    draw_rows,
)
from zipocr.training.synthesis.pages.compose import PageComposer
from zipocr.training.synthesis.pages.faces import HANDWRITING, MONOSPACED, PROPORTIONAL
from zipocr.training.synthesis.pages.layouts import CUT_OUT
from zipocr.training.synthesis.scene_parameters import Rng, Scan, Scene, draw_scene
from zipocr.training.synthesis.typefaces import Typeface, typefaces
from zipocr.types import PLUS4_LENGTH, ZIP_LENGTH, GrayImage

QUOTAS: Mapping[str, int] = {
    "white": 12, "kraft": 12, "shaded": 10, "ruled": 8, "noisy": 10, "skewed": 10, "slanted": 10, "touching": 10, "broken": 8, "faint": 8,
    "printed": 8,
}  # fmt: skip
"""Number of crops of each kind, fixed in advance."""
NO_ZIP: Sequence[tuple[str, str]] = (
    ("blank", "kraft"), ("blank", "noisy"), ("word", "white"), ("word", "kraft"), ("four", "white"), ("six", "ruled"),
)  # fmt: skip
"""Kinds and papers of the pages without a ZIP."""
PLUS4 = 6
"""Number of crops with a ZIP+4.

They are composed last, so that all others stay as they were.
"""
STACK = ("white", "ruled", "skewed", "four", "touching", "printed")
"""Pages of the multi-page TIFF; one of them has no ZIP."""
PAGES: Sequence[tuple[str, bool]] = (
    ("hand_envelope", True), ("printed_envelope", True), ("hand_block", True), ("printed_block", True), ("hand_line", True),
    ("printed_line", True), ("window", True), ("parcel_label", True), ("low_quality", True), ("hand_envelope", False), ("printed_envelope", False),
    ("hand_envelope", True), ("printed_envelope", True), ("hand_block", True), ("printed_block", True), ("hand_line", True), ("printed_line", True),
    ("hand_envelope", True), ("printed_envelope", True),
)  # fmt: skip
"""Kind of each whole page, address block and line, and whether it has a ZIP."""
MAX_PAGE_BYTES = 150_000
"""Maximum size of a page's file; larger ones are replaced by the next of their kind."""
ODD_NAME = "names/lettre reçue à Nîmes (nº 1).png"
_JPEG_KINDS = frozenset({"shaded", "skewed"})
_SEED = 1963
_DPI = (300, 300)
# Active ZIPs drawn once from zipcodes 3.0; kept here so that a newer directory does not change the
# samples.
_ZIPS = """
24640 62919 73032 80723 78757 72833 44090 04958 05773 98342 67835 28761 40003 48265 36738 84321 85244 68583 92283 88556 45740 44430 98649
33304 53920 18827 12841 32111 18465 44138 78644 66842 88588 79788 56686 88263 22067 79762 40951 87103 59054 83867 79373 81152 11547 02816
09723 70058 56581 50008 22639 83666 17315 23024 21770 75689 65681 95735 38454 26273 70153 92268 48832 90069 33764 75374 29379 73730 27658
83604 43202 49421 51011 26437 48728 27094 22627 48310 19190 76352 53093 03234 56222 57703 73402 14508 32827 12787 11978 25275 76012 00984
06338 35662 76945 09469 93794 14590 93730 53146 79414 30558 64744 60911 94143 38964 85617 73668 04040 37070 99151 29816 73107 74578 69122
16802 04786 92187 41642 74430 19333 89109 37136 70421 43314 54022
"""

LIBRARIES = (
    "numpy",
    "opencv-python-headless",
    "Pillow",
    "matplotlib",
    "font-caladea",
    "font-manrope",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleFile:
    """A file to write.

    Its POSIX path in the folder, its bytes, and the five or nine digits of each page, or none.
    """

    name: str
    data: bytes
    zips: tuple[str, ...]


def sample_files(test: DigitSet, faces: Sequence[Typeface]) -> Iterator[SampleFile]:
    """Compose all sample files from digits of test writers and typefaces of the test part."""
    yield from _files(_Maker(test, faces))
    yield from page_files(test)


def page_files(test: DigitSet) -> Iterator[SampleFile]:
    """Compose whole pages, address blocks and lines from digits of test writers."""
    for number, (kind, has_zip) in enumerate(PAGES, start=1):
        composer = PageComposer(
            test, seed=_SEED + number, part="test", kinds={kind: 1.0}, without_zip=1.0 - has_zip
        )
        suffix = "png" if kind in CUT_OUT and number % 2 else "jpg"
        drawn = (composer.nth(place) for place in count())
        coded = ((page, encoded([page.image], suffix, quality=75)) for page in drawn)
        page, data = next(found for found in coded if len(found[1]) <= MAX_PAGE_BYTES)
        name = f"pages/page-{number:02}-{kind.replace('_', '-')}.{suffix}"
        yield SampleFile(name=name, data=data, zips=(page.zip + page.plus4,))


def sample_rows(test: DigitSet, faces: Sequence[Typeface]) -> NDArray[np.int_]:
    """Return the rows of the digits used on sample crops, sorted.

    Composes the samples to find them.
    """
    maker = _Maker(test, faces)
    for _ in _files(maker):
        pass
    return np.unique(maker.rows)


def _files(maker: "_Maker") -> Iterator[SampleFile]:
    for kind, quota in QUOTAS.items():
        for number in range(1, quota + 1):
            page = maker.page(kind)
            suffix = "jpg" if kind in _JPEG_KINDS and number % 2 else "png"
            yield SampleFile(
                name=f"{kind}/{kind}-{number:02}.{suffix}",
                data=encoded([page.image], suffix),
                zips=(page.text,),
            )
    for number, (kind, paper) in enumerate(NO_ZIP, start=1):
        page = maker.page(kind, paper=paper)
        yield SampleFile(
            name=f"no-zip/{kind}-{number:02}.png",
            data=encoded([page.image], "png"),
            zips=(page.text,),
        )
    page = maker.page("white")
    yield SampleFile(name=ODD_NAME, data=encoded([page.image], "png"), zips=(page.text,))
    stack = [maker.page(kind, bilevel=True) for kind in STACK]
    yield SampleFile(
        name="stack/six-pages-g4.tif",
        data=encoded([page.image for page in stack], "tif"),
        zips=tuple(page.text for page in stack),
    )
    for number in range(1, PLUS4 + 1):
        page = maker.page("plus4")
        yield SampleFile(
            name=f"plus4/plus4-{number:02}.png",
            data=encoded([page.image], "png"),
            zips=(page.text,),
        )


def write_samples(files: Iterator[SampleFile], folder: Path) -> None:
    """Write the files, ``labels.csv`` (file, page, zip, plus4) and a README into a folder."""
    rows: list[tuple[str, int, str, str]] = []
    for file in files:
        path = folder / file.name
        make_folder(path.parent)
        write_whole(path, file.data)
        rows += [
            (file.name, page, text[:ZIP_LENGTH], text[ZIP_LENGTH:])
            for page, text in enumerate(file.zips, start=1)
        ]
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("file", "page", "zip", "plus4"))
    writer.writerows(sorted(rows))
    write_whole(folder / "labels.csv", table.getvalue().encode())
    write_whole(folder / "README.md", _readme(rows).encode())


class _Maker:
    """Composer of sample pages in order.

    The n-th page takes the n-th ZIP and its own seed. ``rows`` are the digits used so far.
    """

    def __init__(self, test: DigitSet, faces: Sequence[Typeface]) -> None:
        self._composer = Composer(test, seed=_SEED)
        self._faces, self._made = faces, 0
        self.rows: list[int] = []

    def page(self, kind: str, *, paper: str = "white", bilevel: bool = False) -> Composed:
        """Compose the next page; ``paper`` is that of a page without a ZIP."""
        rng, text = np.random.default_rng((_SEED, self._made)), _ZIPS.split()[self._made]
        self._made += 1
        if NEGATIVE_KINDS.get(kind):
            scene = _scene(rng, paper, bilevel=bilevel)
            found = self._written(rng, draw_rows(rng, kind, self._composer.digits), kind, "", scene)
        elif kind in NEGATIVE_KINDS:
            found = compose_negative(
                rng, kind, self._composer.digits, scene=_scene(rng, paper, bilevel=bilevel)
            )
        elif kind == "printed":
            face = self._faces[int(rng.integers(len(self._faces)))]
            found = compose_printed(rng, face, text, scene=_scene(rng, kind, bilevel=bilevel))
        else:
            text += "".join(map(str, rng.integers(0, 10, PLUS4_LENGTH))) if kind == "plus4" else ""
            found = self._written(
                rng, self._composer.spell(rng, text), kind, text, _scene(rng, kind, bilevel=bilevel)
            )
        return found

    def _written(
        self, rng: Rng, rows: NDArray[np.int_], kind: str, text: str, scene: Scene
    ) -> Composed:
        self.rows += rows.tolist()
        digits = self._composer.digits.take(rows)
        return compose(
            rng, list(digits.images), kind, text, writer=int(digits.writers[0]), scene=scene
        )


def _scene(rng: Rng, kind: str, *, bilevel: bool) -> Scene:
    """Draw a scene of a kind as found on mail.

    The extremes of training (hairlines, tight crops, merged digits) are left out.
    """
    scene = draw_scene(rng, kind)
    hand, pen, scan = scene.hand, scene.pen, scene.scan
    hand = replace(
        hand, height=float(rng.uniform(40, 62)), contacts=min(hand.contacts, 2), ligatures=0, overlap=min(hand.overlap, 0.06),
        tilt=float(np.clip(hand.tilt, -6, 6)), slant=float(np.clip(hand.slant, -24, 24)), spacing=max(hand.spacing, 0.02),
    )  # fmt: skip
    gray = pen.gray if kind == "faint" else min(pen.gray, scene.paper.gray - 100)
    breaks, width = min(pen.breaks, 8), min(pen.break_width, 0.05)
    pen = replace(
        pen,
        gray=max(gray, 0.0),
        thin=min(pen.thin, 0.6),
        breaks=breaks,
        break_width=width,
        dropout=0.0,
    )
    if kind == "faint":
        pen = replace(pen, gray=float(scene.paper.gray - rng.uniform(40, 80)))
    scan = Scan(
        blur=scan.blur,
        noise=min(scan.noise, 22.0 if kind == "noisy" else 2.0),
        salt=min(scan.salt, 0.02),
        bilevel=bilevel,
    )
    top, right, bottom, left = (float(side) for side in rng.uniform(0.25, 0.8, 4))
    return replace(scene, hand=hand, pen=pen, scan=scan, margins=(top, right, bottom, left))


def encoded(pages: Sequence[GrayImage], suffix: str, *, quality: int = 82) -> bytes:
    """Encode pages in the format of a suffix; ``quality`` is for ``jpg``.

    ``png``, ``webp`` (lossless) and ``jpg`` hold one page, ``tif`` holds all, bilevel with fax
    compression (G4).
    """
    if suffix == "jpg":
        return cv2.imencode(".jpg", pages[0], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    images = [Image.fromarray(page) for page in pages]
    data = io.BytesIO()
    if suffix == "png":
        images[0].save(data, "PNG", optimize=True, dpi=_DPI)
    elif suffix == "webp":
        images[0].save(data, "WEBP", lossless=True, quality=80, method=6)
    else:
        first, *more = [image.convert("1", dither=Image.Dither.NONE) for image in images]
        first.save(data, "TIFF", compression="group4", save_all=True, append_images=more, dpi=_DPI)
    return data.getvalue()


def make_folder(folder: Path) -> None:
    """Create a folder and any missing parents."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"Cannot make the folder {folder}: {error.strerror}. Choose another place for it."
        raise OutputError(message) from error


def _readme(rows: Sequence[tuple[str, int, str, str]]) -> str:
    """Return the README of the folder: contents, origin and licence."""
    plus4 = sum(bool(more) for _, _, _, more in rows)
    names = (table["test"] for table in (HANDWRITING, MONOSPACED, PROPORTIONAL))
    letters = ", ".join(name.replace("-", " ").title() for part in names for name in part)
    without = sum(not text for _, _, text, _ in rows)
    kinds = "\n".join(f"| `{kind}/` | {quota} |" for kind, quota in QUOTAS.items())
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return f"""# Sample scans

{len(rows)} crops of envelopes and pages to try `zipocr scan` on; `labels.csv` (`file,page,zip,plus4`) gives the ZIP of each.
{without} of them hold no ZIP: their `zip` is empty. {plus4} hold a ZIP+4, with the last four digits in
`plus4`, which is empty for all others.

| folder | crops |
|---|---|
{kinds}
| `plus4/` (nine digits, with a dash or without) | {PLUS4} |
| `no-zip/` (bare paper, a word, four or six digits) | {len(NO_ZIP)} |
| `names/` (a file name with blanks and letters beyond ASCII) | 1 |
| `stack/` (one two-level TIFF, G4, with {len(STACK)} pages) | {len(STACK)} |
| `pages/` (envelopes, labels, address blocks, last lines; two without the destination's ZIP) | {len(PAGES)} |

## How they were made

`make samples` composes them: five or nine digits of one writer, enlarged to pen strokes of 40 to 62 pixels (300 dpi), set on paper
of the kind the folder is named after. On `pages/` the digits that are written by hand are one writer's too, letters by hand come
out of typefaces. No model was trained or calibrated on any of these writers, nor on these typefaces.
The draw is seeded, the number of crops of each kind was fixed beforehand, and no crop was picked or dropped by how well it
is read; a page of more than {MAX_PAGE_BYTES // 1000} kB was dropped for the next. The ZIPs are real ones or five digits that chance drew; what
follows their dashes, and the mail, is not real. The same digits and the same versions of the
libraries make the same files, byte for byte; these were made with {versions}.

## Credit and licence

The handwritten digits come from MNIST (Yann LeCun, Corinna Cortes, Christopher J. C. Burges), made from NIST's forms of
handwriting; who wrote which is known from QMNIST (Chhavi Yadav, Léon Bottou). MNIST is distributed under
[CC BY-SA 3.0](https://creativecommons.org/licenses/by-sa/3.0/), and so are these crops. The printed ones show digits of the
typefaces Caladea (Apache 2.0), Manrope (OFL 1.1) and Computer Modern (as it comes with matplotlib), the pages besides these
{letters} (all OFL 1.1).
"""


def main(arguments: Sequence[str]) -> int:
    """Write the samples from ``DATA`` to the folder ``OUT``; return the exit code."""
    if len(arguments) != 2:
        sys.stderr.write(
            "usage: python -m zipocr.training.assets.sample_scans DATA.npz|openml OUT\n"
        )
        return 2
    source, folder = arguments
    digits = load_openml() if source == "openml" else load_npz(Path(source))
    write_samples(sample_files(split_writers(digits).test, typefaces("test")), Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
