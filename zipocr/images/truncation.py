"""Detection of incomplete image files, such as those still being written.

Only the structure that tells where a file ends is parsed. Decoders do not help, since they fill in
what is missing.
"""

import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from zipocr.storage.untrusted import open_plain

# Maximum steps, beyond which a file is not a scan, and bytes per step.
MAX_STEPS = 500_000
_STEP = 16
_MIN_BYTES = 8
_BLOCK = 1 << 20
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD8)})
_JPEG_SCAN, _JPEG_END, _JPEG_FILL = 0xDA, 0xD9, 0xFF
# The end mark is near the end; some programs pad the file to a full disk block.
_PDF_END, _PDF_TAIL = b"%%EOF", 4096
_TIFF_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
}
_TIFF_NUMBERS = {3: "H", 4: "I", 16: "Q"}
_TIFF_PIXELS = {273: 279, 324: 325}
"""Tags of the offsets and byte counts of strips or tiles."""


class _TooLongError(Exception):
    """Raised if the end cannot be found in reasonable time."""


class _Contents:
    """An open file; reading past its end raises `EOFError`."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._steps = 0
        self.size = size

    def take(self, place: int, length: int) -> bytes:
        """Read some bytes."""
        if place + length > self.size:
            raise EOFError
        self._steps += 1 + length // _STEP
        if self._steps > MAX_STEPS:
            raise _TooLongError
        self._file.seek(place)
        data = self._file.read(length)
        if len(data) < length:
            raise EOFError
        return data

    def find(self, mark: bytes, place: int) -> None:
        """Search for bytes from a position on."""
        self._file.seek(place)
        before = b""
        while block := self._file.read(_BLOCK):
            if mark in before + block:
                return
            before = block[1 - len(mark) :]
        raise EOFError


def ends_early(path: Path) -> bool:
    """Return whether a PNG, JPEG, TIFF or PDF file lacks its end.

    Parameters
    ----------
    path : Path
        A file of any kind.

    Returns
    -------
    bool
        Also true of an empty file. Never true of anything but a file, of one that cannot be opened,
        or of another format.
    """
    try:
        with open_plain(path) as file:
            contents = _Contents(file, os.fstat(file.fileno()).st_size)
            if check := _check_of(contents.take(0, _MIN_BYTES)):
                check(contents)
    except EOFError:
        return True
    except (OSError, _TooLongError):
        pass
    return False


def _check_of(head: bytes) -> Callable[[_Contents], None] | None:
    return next((check for mark, check in _CHECKS.items() if head.startswith(mark)), None)


def _check_png(contents: _Contents) -> None:
    """Walk through the chunks up to the last one."""
    place = 8
    while True:
        length, kind = struct.unpack(">I4s", contents.take(place, 8))
        place += 12 + length
        if kind == b"IEND":
            contents.take(place - 4, 4)
            return


def _check_jpeg(contents: _Contents) -> None:
    """Walk through the segments up to the pixels, which the end marker must follow."""
    place = 2
    while True:
        front, marker = contents.take(place, 2)
        if front != _JPEG_FILL or marker == _JPEG_END:
            return
        if marker == _JPEG_SCAN:
            contents.find(bytes([_JPEG_FILL, _JPEG_END]), place)
            return
        place += _jpeg_step(contents, place, marker)


def _jpeg_step(contents: _Contents, place: int, marker: int) -> int:
    if marker == _JPEG_FILL:
        return 1
    if marker in _JPEG_BARE:
        return 2
    return 2 + int.from_bytes(contents.take(place + 2, 2))


def _check_pdf(contents: _Contents) -> None:
    length = min(contents.size, _PDF_TAIL)
    if _PDF_END not in contents.take(contents.size - length, length):
        raise EOFError


def _check_tiff(contents: _Contents) -> None:
    """Walk through the pages, and check that their entries and pixels exist."""
    tiff = _Tiff(contents)
    link = tiff.first_link
    seen = {0}
    while True:
        page = tiff.number(link, tiff.word)
        if page in seen:
            break
        seen.add(page)
        link = tiff.check_page(page)
    if len(seen) == 1:
        raise EOFError  # the offset of the first page may be written last


class _Tiff:
    """The structure of a TIFF: classic, or BigTIFF with words of eight bytes."""

    def __init__(self, contents: _Contents) -> None:
        head = contents.take(0, 4)
        self._contents = contents
        self._order = "<" if head[:2] == b"II" else ">"
        is_big = 43 in head[2:]
        self.word = "Q" if is_big else "I"
        self.first_link = 8 if is_big else 4
        self._count = "Q" if is_big else "H"
        self._entry = struct.Struct(self._order + ("HHQ8s" if is_big else "HHI4s"))

    def number(self, place: int, code: str) -> int:
        """Read a number."""
        return self._numbers(self._contents.take(place, struct.calcsize(f"={code}")), code)[0]

    def check_page(self, page: int) -> int:
        """Check that a page is complete; return the position of the link to the next page."""
        begin = page + struct.calcsize(f"={self._count}")
        length = self.number(page, self._count) * self._entry.size
        lists: dict[int, tuple[int, ...]] = {}
        for tag, kind, count, value in self._entry.iter_unpack(self._contents.take(begin, length)):
            lists[tag] = self._check_entry(kind, count, value, is_read=tag in _TIFF_LISTS)
        self._check_pixels(lists)
        return begin + length

    def _check_entry(
        self, kind: int, count: int, value: bytes, *, is_read: bool
    ) -> tuple[int, ...]:
        """Check that the values of an entry exist; return those that are needed."""
        length = _TIFF_SIZES.get(kind, 0) * count
        if length > len(value):
            (place,) = self._numbers(value, self.word)
            self._contents.take(place + length - 1, 1)
            value = self._contents.take(place, length) if is_read else b""
        return self._numbers(value[:length], _TIFF_NUMBERS.get(kind, "B")) if is_read else ()

    def _check_pixels(self, lists: Mapping[int, tuple[int, ...]]) -> None:
        for tag, sizes in _TIFF_PIXELS.items():
            pairs = zip(lists.get(tag, ()), lists.get(sizes, ()), strict=False)
            end = max((place + length for place, length in pairs if length), default=1)
            self._contents.take(end - 1, 1)

    def _numbers(self, data: bytes, code: str) -> tuple[int, ...]:
        count = len(data) // struct.calcsize(f"={code}")
        return struct.unpack(f"{self._order}{count}{code}", data)


_TIFF_LISTS = frozenset(_TIFF_PIXELS) | frozenset(_TIFF_PIXELS.values())
_CHECKS: Mapping[bytes, Callable[[_Contents], None]] = {
    b"\x89PNG\r\n\x1a\n": _check_png,
    b"\xff\xd8\xff": _check_jpeg,
    b"%PDF-": _check_pdf,
    b"II*\0": _check_tiff,
    b"MM\0*": _check_tiff,
    b"II+\0": _check_tiff,
    b"MM\0+": _check_tiff,
}
