"""Measures the shipped models and writes the README's table.

Run as ``python -m zipocr.training.accuracy README.md LABELS.csv... [--digits DATA]``.
Each LABELS.csv (file, zip, page where files have several, plus4 where there is one) lies beside its crops and is one row of the table.
"""

import argparse
import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
from threadpoolctl import threadpool_limits

from zipocr.atomic import write_whole
from zipocr.backends import usable_cores
from zipocr.config import ScanConfig
from zipocr.decode.acceptance import acceptance_threshold
from zipocr.images import read_pages
from zipocr.model_file import SHIPPED, load_model
from zipocr.reader import Reader
from zipocr.training.datasets import load_npz, load_openml, split_writers
from zipocr.training.gather import map_strings
from zipocr.training.recipes import digit_accuracy
from zipocr.types import Unread, ZipReading

PLACE = re.compile(r"(<!-- results -->\n).*?(<!-- end -->)", re.DOTALL)
MAX_PIXELS = 100_000_000
Z95 = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """A labelled page and the five or nine digits on it; an empty ZIP says that there is none."""

    path: Path
    page: int
    zip: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Shares over a set of crops: read exactly, accepted as ``read``, and wrong among these."""

    count: int
    exact: float
    accepted: float
    wrong: float

    @property
    def half_width(self) -> float:
        """95 % half width of ``exact`` (Wilson)."""
        share, count = self.exact, self.count
        return Z95 * math.sqrt(share * (1 - share) / count + Z95**2 / (4 * count**2)) / (1 + Z95**2 / count)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Read:
    """Reads one of the crops."""

    reader: Reader
    crops: Sequence[Crop]

    def __call__(self, number: int) -> tuple[str, float]:
        crop = self.crops[number]
        page = next(page for place, page in enumerate(read_pages(crop.path, max_pixels=MAX_PIXELS), start=1) if place == crop.page)
        reading = page if isinstance(page, Unread) else self.reader.read(page)
        return (reading.zip + reading.plus4, reading.confidence) if isinstance(reading, ZipReading) else ("", 0.0)


def load_labels(path: Path) -> list[Crop]:
    """Labelled pages of a CSV; files lie beside it."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Crop(path=path.parent / row["file"], page=int(row.get("page") or 1), zip=row["zip"] + (row.get("plus4") or ""))
            for row in csv.DictReader(file)
        ]


def score_crops(model_name: str, crops: Sequence[Crop], *, use_directory: bool, jobs: int) -> Score:
    """Reads crops that hold a ZIP and scores the readings."""
    model = load_model(model_name)
    crops = [crop for crop in crops if crop.zip]
    found = map_strings(_Read(reader=Reader(model, use_directory=use_directory), crops=crops), range(len(crops)), jobs=jobs)
    right = [text == crop.zip for (text, _), crop in zip(found, crops, strict=True)]
    least = acceptance_threshold(model, ScanConfig().max_error, use_directory=use_directory)
    taken = [hit for (_, confidence), hit in zip(found, right, strict=True) if round(confidence, 4) >= least]
    wrong = 1 - sum(taken) / len(taken) if taken else 0.0
    return Score(count=len(crops), exact=sum(right) / len(crops), accepted=len(taken) / len(crops), wrong=wrong)


def table(labels: Sequence[Path], *, jobs: int) -> list[str]:
    """Lines of the table in Markdown."""
    lines = ["| crops | model | directory | n | exact | ± 95 % | `read` | wrong among these |", "|---|---|---|---|---|---|---|---|"]
    for path in labels:
        crops = load_labels(path)
        for name in reversed(SHIPPED):
            for use_directory in (True, False):
                score = score_crops(name, crops, use_directory=use_directory, jobs=jobs)
                shares = f"{score.exact:.3f} | {score.half_width:.3f} | {score.accepted:.3f} | {score.wrong:.3f}"
                lines.append(f"| `{path.parent.name}` | `{name}` | {'yes' if use_directory else 'no'} | {score.count} | {shares} |")
    return lines


def digit_lines(data: str) -> list[str]:
    """How the models do on isolated digits of writers that trained nothing."""
    held = split_writers(load_openml() if data == "openml" else load_npz(Path(data))).test
    shares = ", ".join(f"`{name}` {digit_accuracy(load_model(name), held):.4f}" for name in reversed(SHIPPED))
    return ["", f"Isolated NIST digits of the 31 writers that trained and calibrated nothing ({len(held)} digits), share right: {shares}."]


def main() -> None:
    """Measure, and write the table into the README."""
    parser = argparse.ArgumentParser(description="Measure the shipped models and write the README's table.")
    parser.add_argument("readme", type=Path)
    parser.add_argument("labels", type=Path, nargs="+")
    parser.add_argument("--digits", help="NIST digits, an .npz file or openml")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    with threadpool_limits(1):
        lines = table(asked.labels, jobs=usable_cores()) + (digit_lines(asked.digits) if asked.digits else [])
    text = "\n".join(lines) + "\n"
    renewed = PLACE.sub(lambda place: place[1] + text + place[2], asked.readme.read_text(encoding="utf-8"))
    write_whole(asked.readme, renewed.encode())
    print(text)  # noqa: T201 - this is a command


if __name__ == "__main__":
    main()
