"""Sample scans with something next to the ZIP, compared with the undisturbed scans."""

from collections.abc import Callable
from pathlib import Path

from zipocr.images.decode import read_pages
from zipocr.models.model_file import load_model
from zipocr.reader import Reader
from zipocr.types import GrayImage, Unread

SAMPLES = Path(__file__).parents[1] / "sample_scans"
COUNT = 8


def share_read_alike(kind: str, disturb: Callable[[GrayImage], GrayImage]) -> float:
    """Read the first crops of a kind alone and disturbed.

    Returns the share that is read the same both times.
    """
    reader, alike = Reader(load_model("mail")), 0
    for number in range(1, COUNT + 1):
        page = next(read_pages(SAMPLES / kind / f"{kind}-{number:02}.png", max_pixels=10_000_000))
        assert not isinstance(page, Unread)
        alone, beside = reader.read(page), reader.read(disturb(page))
        alike += (
            not isinstance(alone, Unread)
            and not isinstance(beside, Unread)
            and alone.zip == beside.zip
        )
    return alike / COUNT
