"""Stand-ins that worker processes can import too, unlike a test module."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import chores
import numpy as np

from zipocr.batch.read_files import BatchSettings, FileReader
from zipocr.line.network import FIRST, ranges_name
from zipocr.models.model_file import ARRAYS, SHAPES
from zipocr.types import (
    ZIP_LENGTH,
    DigitReading,
    GrayImage,
    Model,
    Reason,
    Trace,
    Unread,
    ZipReading,
)


def digit(value: int, *, probability: float = 0.99) -> DigitReading:
    return DigitReading(
        digit=value,
        probability=probability,
        runner_up=(value + 1) % 10,
        runner_up_probability=1 - probability,
    )


def bare_model(card: Mapping[str, object]) -> Model:
    """A model with all its arrays, which are empty or zero; the ranges of activations are one."""
    arrays = {name: np.zeros((0, 2)) for name in ARRAYS}
    shaped = {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}
    shaped[ranges_name(FIRST)] += 1
    return Model(arrays={**arrays, **shaped}, card=card)


def zip_reading(
    text: str, *, confidence: float = 0.95, reasons: tuple[Reason, ...] = ()
) -> ZipReading:
    return ZipReading(
        zip=text[:ZIP_LENGTH],
        plus4=text[ZIP_LENGTH:],
        confidence=confidence,
        digits=tuple(digit(int(letter)) for letter in text),
        runner_up="",
        runner_up_confidence=0.0,
        reasons=reasons,
        city="",
        state="",
    )


class FakeReader:
    """Reads a page's darkest gray as a ZIP, with a hundredth of its height as the confidence.

    A white page has no ink.
    """

    def read(self, page: GrayImage) -> ZipReading | Unread:
        darkest = int(page.min())
        if darkest == 255:
            return Unread(reason=Reason.NO_INK)
        return zip_reading(f"{darkest:05d}", confidence=min(page.shape[0], 100) / 100)

    def read_each(self, pages: Sequence[GrayImage]) -> list[ZipReading | Unread]:
        return [self.read(page) for page in pages]

    def trace(self, page: GrayImage) -> Trace:
        return Trace(
            page=page, ink=page < 128, candidates=(), regions=(), grids=(), reading=self.read(page)
        )


def start_fake(settings: BatchSettings) -> FileReader:
    threshold = 0.5 if settings.min_confidence is None else settings.min_confidence
    return FileReader(
        reader=FakeReader(),
        min_confidence=threshold,
        max_pixels=settings.max_pixels,
        debug=settings.debug,
        patience=settings.patience,
        require_listed=settings.require_listed,
    )


def page(height: int = 60, width: int = 90, *, ink: int = 7) -> GrayImage:
    """A white page with a dark block."""
    image = np.full((height, width), 255, np.uint8)
    image[height // 4 : height // 2, width // 4 : width // 2] = ink
    return image


# Grays that make the reader misbehave.
SLOW, KILL, HANG, SPIN, ALLOCATE, FAULT = range(201, 207)
_ORDERS = {KILL: "kill", HANG: "hang", SPIN: "spin", ALLOCATE: "allocate"}


class MoodyReader(FakeReader):
    """Reads like its parent class, but misbehaves on some pages."""

    def read(self, page: GrayImage) -> ZipReading | Unread:
        gray = int(page.min())
        if gray == SLOW:
            time.sleep(0.02)
        if gray == FAULT:
            message = "a fault of the reader"
            raise KeyError(message)
        chores.do(_ORDERS.get(gray, ""))
        return super().read(page)


def start_moody(settings: BatchSettings) -> FileReader:
    return replace(start_fake(settings), reader=MoodyReader())


def spoil(path: Path) -> None:
    """Replace an image with a file that is not one, of the same size and mtime."""
    before = path.stat()
    path.unlink()
    path.write_bytes(bytes(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
