"""The pages of image files as gray arrays.

Headers are read with Pillow before anything is decoded, since a small file can hold a huge picture.
Pixels are decoded with OpenCV, which handles 16 bit, MinIsWhite, CMYK and orientation correctly.
Pillow only decodes pages with transparency, which OpenCV drops although it may carry all the ink,
and TIFFs of two or four bits, which OpenCV refuses. HEIC needs the extra ``heif``, PDF the extra
``pdf``.
"""

import io
import logging
import math
import os
import re
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias, cast

import cv2
import numpy as np
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import BITSPERSAMPLE, TiffImageFile

from zipocr.images.s3 import Url, fetch
from zipocr.preprocess.polarity import normalize_polarity
from zipocr.storage.untrusted import open_plain
from zipocr.types import GrayImage, Reason, Unread

# Its messages do not name the file; the rows do.
logging.getLogger("PIL").setLevel(logging.CRITICAL)
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
HEIF_BRANDS = frozenset(
    {
        b"heic",
        b"heix",
        b"heim",
        b"heis",
        b"hevc",
        b"hevx",
        b"hevm",
        b"hevs",
        b"mif1",
        b"mif2",
        b"msf1",
    }
)
# Files are read completely before they are opened; no scan comes near this size.
MAX_FILE_BYTES = 2**30
# Maximum bytes and pixels of a single-page image that is quickly decoded and read, whatever it
# shows.
LIGHT_BYTES, LIGHT_PIXELS = 4_000_000, 1_000_000
# Maximum scans of a progressive JPEG: encoders write about ten, and each takes as long as a
# picture.
MAX_SCANS = 40
# Ink lighter than this is invisible on white paper.
LIGHT_INK = 191
# Pixels composited at a time, to avoid several copies of the page in full colour.
BAND_PIXELS = 1_000_000
# OpenCV silently fills in what it cannot decompress. Pillow raises, nearly always for LZW and
# PackBits, often for the others.
_UNCHECKED_BY_OPENCV = frozenset({"tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits"})
_BIG_TIFF = 43
_FEW_BITS = ((2,), (4,))
_PNG, _PNG_FRAME, _PNG_CHECKSUM = (
    b"\x89PNG\r\n\x1a\n",
    12,
    4,
)  # length, type and checksum of a chunk
_PNG_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt", b"iCCP"})
_STDERR = 2
_OUT_OF_MEMORY = Unread(reason=Reason.OUT_OF_MEMORY, detail="not enough memory to decode it")
_ALPHA_MODES = frozenset({"RGBA", "LA", "PA", "RGBa", "La"})
_ORIENTATION = 0x112
_TILE_WIDTH, _TILE_LENGTH = 322, 323
# A marker that begins a segment of a JPEG, not an escaped byte, fill byte or restart marker.
_SEGMENT = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])(?=(..)?)", re.DOTALL)
_END_OF_IMAGE, _START_OF_SCAN = b"\xd9", b"\xda"
Buffer: TypeAlias = bytes | memoryview


def _ignore() -> None:
    """Ignore the beginning of a page."""


def read_pages(
    path: Path | Url, *, max_pixels: int, first: int = 1, begin: Callable[[], None] = _ignore
) -> Iterator[GrayImage | Unread]:
    """Read the pages of an image file, one at a time.

    Parameters
    ----------
    path : Path or Url
        A PNG, JPEG, TIFF, BMP, WebP, HEIC or PDF file, whatever its suffix says.
    max_pixels : int
        Pages with more pixels are not decoded.
    first : int
        The first page to decode. Nothing is yielded if there are fewer pages.
    begin : callable
        Called before each page is decoded, once the page is known to exist.

    Yields
    ------
    GrayImage or Unread
        ``(H, W) uint8``, upright, transparency on white, dark writing on light paper; or why the
        page cannot be opened. A file that cannot be opened yields one `Unread`, and so does each
        damaged page of a TIFF or PDF.
    """
    try:
        data = _fetch(path) if isinstance(path, Url) else _read(path)
    except OSError as error:
        yield _unreadable(error.strerror or "cannot be opened")
        return
    if isinstance(data, Unread):
        yield data
    else:
        for page in _read_data(data, max_pixels=max_pixels, first=first, begin=begin):
            yield page if isinstance(page, Unread) else _turned(page)


def _read(path: Path) -> bytes | Unread:
    """Read a regular file up to a maximum size, since some in /proc never end."""
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_FILE_BYTES:
            return _too_large(f"a file of more than {MAX_FILE_BYTES >> 20} MB")
        return file.read(size + 1) or _unreadable("empty file")


def _fetch(url: Url) -> bytes | Unread:
    """Fetch a file from S3."""
    data = fetch(url, most=MAX_FILE_BYTES)
    if len(data) > MAX_FILE_BYTES:
        return _too_large(f"a file of more than {MAX_FILE_BYTES >> 20} MB")
    return data or _unreadable("empty file")


def is_light(path: Path | Url) -> bool:
    """Return whether a file is small and simple, so that decoding cannot hang or exhaust memory.

    Parameters
    ----------
    path : Path or Url
        Path or URL of the file.

    Returns
    -------
    bool
        Also true if the file is refused without being decoded.
    """
    if isinstance(path, Url):
        return False
    try:
        if path.stat().st_size > LIGHT_BYTES:
            return False
        data = _read(path)
    except OSError:
        return True
    return isinstance(data, Unread) or _is_light_data(data)


def _is_light_data(data: bytes) -> bool:
    if _is_heif(data) or _is_pdf(data):
        return False
    try:
        with _open_header(io.BytesIO(data)) as image:
            several = isinstance(image, TiffImageFile) and image.tag_v2.next
            return not several and math.prod(image.size) <= LIGHT_PIXELS
    except Exception:  # noqa: BLE001 - Pillow's errors are not documented
        return True


def _read_data(
    data: bytes, *, max_pixels: int, first: int, begin: Callable[[], None]
) -> Iterator[GrayImage | Unread]:
    """Detect the type of a file from its contents, and read its pages."""
    try:
        image = _open_header(io.BytesIO(data))
    except ImportError:
        yield Unread(
            reason=Reason.NEEDS_HEIF_EXTRA, detail="HEIC needs an extra: pip install 'zipocr[heif]'"
        )
    except Image.DecompressionBombError:
        yield _too_large(f"more than {max_pixels} pixels (--max-pixels)")
    except MemoryError:
        yield _OUT_OF_MEMORY
    except Exception:  # noqa: BLE001 - Pillow's errors are not documented
        yield from _read_pdf(data, max_pixels=max_pixels, first=first, begin=begin)
    else:
        # The later frames of an animation are not pages.
        only = iter([(image, data)][first - 1 :])
        pages = (
            _pages(data, max_pixels=max_pixels, first=first)
            if isinstance(image, TiffImageFile)
            else only
        )
        for page in pages:
            begin()
            yield page if isinstance(page, Unread) else _read_page(*page, max_pixels=max_pixels)


def _open_header(file: io.BytesIO) -> Image.Image:
    """Read only the header.

    Pillow's warnings are not needed: the pixel limit is checked, and decoding detects damage.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = file.read(12)
        file.seek(0)
        if _is_heif(start):
            from pillow_heif import HeifImageFile

            return cast(Image.Image, HeifImageFile(file))  # type: ignore[no-untyped-call]
        shown = io.BytesIO(_without_texts(file.getvalue())) if start.startswith(_PNG) else file
        return Image.open(shown, formats=FORMATS)


def _without_texts(png: bytes) -> bytes:
    """Remove the texts and the colour profile of a PNG.

    They do not change any pixel, but Pillow refuses files with large ones.
    """
    kept, rest = [], 0
    for name, begin, end in _chunks(png):
        if name in _PNG_TEXTS:
            kept.append(png[rest:begin])
            rest = end
    return b"".join([*kept, png[rest:]]) if kept else png


def _chunks(png: Buffer) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name, start and end of each chunk of a PNG; the last may be cut off."""
    begin = len(_PNG)
    while begin + 8 <= len(png):
        length, name = struct.unpack_from(">I4s", png, begin)
        end = begin + _PNG_FRAME + length
        yield name, begin, end
        if name == b"IEND":
            return
        begin = end


def _is_heif(data: bytes) -> bool:
    return data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS


def _is_pdf(data: bytes) -> bool:
    """Return whether a file is a PDF, whose signature may be anywhere in the first kilobyte."""
    return b"%PDF-" in data[:1024]


def _read_pdf(
    data: bytes, *, max_pixels: int, first: int, begin: Callable[[], None]
) -> Iterator[GrayImage | Unread]:
    """Read the pages of a file that is not an image: a PDF or an unknown file."""
    if not _is_pdf(data):
        yield _unreadable("not a PNG, JPEG, TIFF, BMP, WebP, HEIC or PDF file, or damaged")
        return
    try:
        from zipocr.images.pdf import draw_pages
    except ImportError:
        yield Unread(
            reason=Reason.NEEDS_PDF_EXTRA, detail="PDF needs an extra: pip install 'zipocr[pdf]'"
        )
        return
    yield from draw_pages(data, max_pixels=max_pixels, first=first, begin=begin)


def _pages(
    data: bytes, *, max_pixels: int, first: int
) -> Iterator[tuple[Image.Image, Buffer] | Unread]:
    """Open the pages of a TIFF from ``first`` on, each as if it were the only one.

    Pillow and OpenCV would walk through all pages before, so the time would be quadratic.
    """
    file = io.BytesIO(data)
    shown = file.getbuffer()
    places: set[int] = set()
    layout, header = _layout(shown)
    (place,) = struct.unpack_from(layout, shown, header)
    while place and place not in places:
        places.add(place)
        struct.pack_into(layout, shown, header, place)
        page: tuple[Image.Image, Buffer] | Unread
        try:
            place = _cut_chain(shown, place)
            file.seek(0)
            page = _open_header(file), shown
        except Image.DecompressionBombError:
            page = _too_large(f"more than {max_pixels} pixels (--max-pixels)")
        except Exception:  # noqa: BLE001 - as above
            page, place = _unreadable(f"page {len(places)} and what follows is damaged"), 0
        if len(places) >= first:
            yield page


def _layout(shown: Buffer) -> tuple[str, int]:
    """Return the format of page offsets in a TIFF, and the position of the first one."""
    order = "<" if shown[:2] == b"II" else ">"
    return (order + "Q", 8) if _BIG_TIFF in (shown[2], shown[3]) else (order + "I", 4)


def _cut_chain(shown: memoryview, place: int) -> int:
    """Unlink the pages after one page of a TIFF; return the offset of the next, or 0."""
    layout, header = _layout(shown)
    entries, size = (layout[0] + "Q", 20) if header == 8 else (layout[0] + "H", 12)
    (number,) = struct.unpack_from(entries, shown, place)
    link = place + struct.calcsize(entries) + size * number
    if link + struct.calcsize(layout) > len(shown):
        return 0
    (behind,) = struct.unpack_from(layout, shown, link)
    struct.pack_into(layout, shown, link, 0)
    return int(behind)


def _read_page(image: Image.Image, data: Buffer, *, max_pixels: int) -> GrayImage | Unread:
    """Decode the first page of ``data``, whose header is ``image``."""
    width, height = max(_sizes(image), key=math.prod)
    if width * height > max_pixels:
        return _too_large(f"{width} x {height} is more than {max_pixels} pixels (--max-pixels)")
    try:
        with warnings.catch_warnings(), _silence():
            warnings.simplefilter("ignore")
            _reject_malicious(image, data)
            if image.format == "HEIF" or _has_alpha(image):
                return _composite(image)
            if _has_few_bits(image):
                return np.array(ImageOps.exif_transpose(image).convert("L"), dtype=np.uint8)
            if image.info.get("compression") in _UNCHECKED_BY_OPENCV:
                image.load()
            return _decode(data)
    except Exception as error:  # noqa: BLE001 - as above, and OpenCV's errors
        if _lacks_memory(error):
            return _OUT_OF_MEMORY
        return _unreadable("damaged or of a kind that cannot be decoded")


def _sizes(image: Image.Image) -> Iterator[tuple[int, int]]:
    """Yield the sizes of a picture and of its tiles, which are decoded as a whole."""
    yield image.size
    if isinstance(image, TiffImageFile) and _TILE_WIDTH in image.tag_v2:
        yield int(image.tag_v2[_TILE_WIDTH]), int(image.tag_v2.get(_TILE_LENGTH, 0))


def _reject_malicious(image: Image.Image, data: Buffer) -> None:
    """Raise if a small file would stall a decoder through false lengths or endless scans."""
    if image.format == "PNG" and _is_cut_off(data):
        message = "cut off"
        raise ValueError(message)
    if image.format == "JPEG" and _count_scans(data) > MAX_SCANS:
        message = f"more than {MAX_SCANS} scans"
        raise ValueError(message)


def _is_cut_off(png: Buffer) -> bool:
    """Return whether a chunk of a PNG claims more bytes than exist, which OpenCV would allocate."""
    return any(end - _PNG_CHECKSUM > len(png) for _, _, end in _chunks(png))


def _count_scans(data: Buffer) -> int:
    """Count the scans of a JPEG."""
    scans, place = 0, 2
    while (found := _SEGMENT.search(data, place)) and found[1] != _END_OF_IMAGE and found[2]:
        scans += found[1] == _START_OF_SCAN
        place = found.end() + int.from_bytes(found[2])
    return scans


def _turned(page: GrayImage) -> GrayImage | Unread:
    """Convert a page to dark writing on light paper, which may run out of memory, too."""
    try:
        return normalize_polarity(page)
    except (MemoryError, cv2.error) as error:
        if _lacks_memory(error):
            return _OUT_OF_MEMORY
        raise


def _lacks_memory(error: Exception) -> bool:
    """Return whether an error means out of memory; OpenCV has its own error for that."""
    return isinstance(error, MemoryError) or getattr(error, "code", None) == cv2.Error.STS_NO_MEM


@contextmanager
def _silence() -> Iterator[None]:
    """Discard what the libraries below Pillow and OpenCV write to standard error.

    Their messages do not name the file.
    """
    try:
        aside = os.dup(_STDERR)
    except OSError:  # closed when the program started
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, _STDERR)
        yield
    finally:
        os.dup2(aside, _STDERR)
        os.close(aside)
        os.close(nowhere)


def _has_alpha(image: Image.Image) -> bool:
    """Return whether pixels may be transparent.

    A transparent value in 16-bit gray is ignored, since Pillow cannot composite it.
    """
    return image.mode in _ALPHA_MODES or (
        "transparency" in image.info and not image.mode.startswith("I")
    )


def _has_few_bits(image: Image.Image) -> bool:
    """Return whether a TIFF has two or four bits per pixel, which OpenCV does not decode."""
    return isinstance(image, TiffImageFile) and image.tag_v2.get(BITSPERSAMPLE) in _FEW_BITS


def _composite(image: Image.Image) -> GrayImage:
    """Decode with Pillow, upright, on white; on black if the ink is too light for white."""
    page = _composite_on(image, "white")
    if _has_alpha(image) and page.min() > LIGHT_INK:
        page = _composite_on(image, "black")
    return _upright(page, image.getexif().get(_ORIENTATION, 1))


def _composite_on(image: Image.Image, colour: str) -> GrayImage:
    width, height = image.size
    page = np.empty((height, width), np.uint8)
    rows = max(1, BAND_PIXELS // width)
    for top in range(0, height, rows):
        band = image.crop((0, top, width, min(top + rows, height))).convert("RGBA")
        paper = Image.new("RGBA", band.size, colour)
        page[top : top + rows] = np.asarray(Image.alpha_composite(paper, band).convert("L"))
    return page


def _upright(page: GrayImage, orientation: int) -> GrayImage:
    """Rotate a page according to its EXIF orientation."""
    stored = Image.fromarray(page)
    stored.getexif()[_ORIENTATION] = orientation
    return np.array(ImageOps.exif_transpose(stored), dtype=np.uint8)


def _decode(data: Buffer) -> GrayImage:
    """Decode with OpenCV, which also applies the orientation."""
    page = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if page is None:
        message = "no pixels"
        raise ValueError(message)
    return np.asarray(page, dtype=np.uint8)


def _unreadable(detail: str) -> Unread:
    return Unread(reason=Reason.UNREADABLE_FILE, detail=detail)


def _too_large(detail: str) -> Unread:
    return Unread(reason=Reason.TOO_LARGE, detail=detail)


def silence_decoders() -> None:
    """Silence OpenCV's messages about files, since their rows say the same."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
