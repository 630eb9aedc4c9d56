"""The pages of image files as gray arrays.

Headers are read with Pillow before anything is decoded, since a small file can hold a picture that
fills the memory. Pixels are decoded with OpenCV, which is right about 16 bit, MinIsWhite, CMYK and
orientation. Only transparency goes through Pillow, because OpenCV drops it and an alpha channel may
be all the ink there is, and TIFFs of two or four bits, which OpenCV refuses. HEIC needs the extra
``heif``, PDF the extra ``pdf``.
"""

import io
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

from zipocr.images.encode import write_png as write_png  # noqa: PLC0414
from zipocr.images.s3 import Url, fetch
from zipocr.preprocess.polarity import normalize_polarity
from zipocr.storage.untrusted import open_plain
from zipocr.types import GrayImage, Reason, Unread

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
# A file is read whole before it is looked at; no scan comes near this size.
MAX_FILE_BYTES = 2**30
# A file of at most this many bytes, which is a plain image of one page of at most this many pixels,
# is decoded and read in no time whatever it shows.
LIGHT_BYTES, LIGHT_PIXELS = 4_000_000, 1_000_000
# Scans of a progressive JPEG: encoders write some ten, and each takes as long as a picture of its
# own.
MAX_SCANS = 40
# Ink lighter than this does not show on white paper.
LIGHT_INK = 191
# Pixels that are composited at a time, so that a page is not held several times over in full
# colour.
BAND_PIXELS = 1_000_000
# OpenCV fills in what it cannot decompress and says nothing; Pillow raises, nearly always for LZW
# and PackBits, often for the others.
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
# In a JPEG: what neither stands for a byte of its pixels, nor fills or restarts, but begins a
# segment.
_SEGMENT = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])(?=(..)?)", re.DOTALL)
_END_OF_IMAGE, _START_OF_SCAN = b"\xd9", b"\xda"
Buffer: TypeAlias = bytes | memoryview


def _ignore() -> None:
    """Not everybody counts pages."""


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
        The page to begin with; those before it are not decoded. Where there are fewer, nothing
        comes.
    begin : callable
        Called before each page is decoded, when it is known that there is one.

    Yields
    ------
    GrayImage or Unread
        ``(H, W) uint8``, upright, transparency on white, dark writing on light paper; or why this
        page cannot be had. A file that cannot be opened yields one `Unread`; a damaged page of a
        TIFF or PDF yields one in its place.
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
    """Read a plain file; some of /proc count as such and never end."""
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_FILE_BYTES:
            return _too_large(f"a file of more than {MAX_FILE_BYTES >> 20} MB")
        return file.read(size + 1) or _unreadable("empty file")


def _fetch(url: Url) -> bytes | Unread:
    """Bring a file here that is elsewhere."""
    data = fetch(url, most=MAX_FILE_BYTES)
    if len(data) > MAX_FILE_BYTES:
        return _too_large(f"a file of more than {MAX_FILE_BYTES >> 20} MB")
    return data or _unreadable("empty file")


def is_light(path: Path | Url) -> bool:
    """Tell whether a file is small and plain: decoding it cannot hang or take much memory.

    Parameters
    ----------
    path : Path or Url
        Where it is.

    Returns
    -------
    bool
        Also true of what is refused without being decoded.
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
    except Exception:  # noqa: BLE001 - foreign bytes: what is no image is refused at once
        return True


def _read_data(
    data: bytes, *, max_pixels: int, first: int, begin: Callable[[], None]
) -> Iterator[GrayImage | Unread]:
    """Find out what a file is, by its contents alone, and read its pages."""
    try:
        image = _open_header(io.BytesIO(data))
    except ImportError:
        yield Unread(
            reason=Reason.NEEDS_HEIF_EXTRA, detail="HEIC is read after: pip install 'zipocr[heif]'"
        )
    except Image.DecompressionBombError:
        yield _too_large(f"more than {max_pixels} pixels (--max-pixels)")
    except MemoryError:
        yield _OUT_OF_MEMORY
    except Exception:  # noqa: BLE001 - foreign bytes: what Pillow raises on them is not documented, and no file may end the run
        yield from _read_pdf(data, max_pixels=max_pixels, first=first, begin=begin)
    else:
        # An animation's later frames are no pages.
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
    """Read the header alone.

    Pillow's warnings are of no use here: the pixel limit is checked, damage shows in decoding.
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
    """Leave out the texts and the colour profile of a PNG.

    They change no pixel, but Pillow refuses a file in which they are large.
    """
    kept, rest = [], 0
    for name, begin, end in _chunks(png):
        if name in _PNG_TEXTS:
            kept.append(png[rest:begin])
            rest = end
    return b"".join([*kept, png[rest:]]) if kept else png


def _chunks(png: Buffer) -> Iterator[tuple[bytes, int, int]]:
    """Give the name, the beginning and the end of each chunk of a PNG; the last may be cut off."""
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
    """Tell whether a file is a PDF, whose mark may be anywhere in the first kilobyte."""
    return b"%PDF-" in data[:1024]


def _read_pdf(
    data: bytes, *, max_pixels: int, first: int, begin: Callable[[], None]
) -> Iterator[GrayImage | Unread]:
    """Read what is no image: a PDF, or nothing that is known."""
    if not _is_pdf(data):
        yield _unreadable("not a PNG, JPEG, TIFF, BMP, WebP, HEIC or PDF file, or damaged")
        return
    try:
        from zipocr.images.pdf import draw_pages
    except ImportError:
        yield Unread(
            reason=Reason.NEEDS_PDF_EXTRA, detail="PDF is read after: pip install 'zipocr[pdf]'"
        )
        return
    yield from draw_pages(data, max_pixels=max_pixels, first=first, begin=begin)


def _pages(
    data: bytes, *, max_pixels: int, first: int
) -> Iterator[tuple[Image.Image, Buffer] | Unread]:
    """Open every page of a TIFF, ``first`` of all, each as if the file held nothing else.

    Pillow and OpenCV go through all other pages; what a page takes must not grow with their number.
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
    """Say how a TIFF writes where its pages are, and at which byte it tells the first."""
    order = "<" if shown[:2] == b"II" else ">"
    return (order + "Q", 8) if _BIG_TIFF in (shown[2], shown[3]) else (order + "I", 4)


def _cut_chain(shown: memoryview, place: int) -> int:
    """Cut a TIFF after one page; return the offset of the next, 0 after the last."""
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
    """Decode the page that ``image`` shows and ``data`` begins with."""
    width, height = max(_sizes(image), key=math.prod)
    if width * height > max_pixels:
        return _too_large(f"{width} x {height} is more than {max_pixels} pixels (--max-pixels)")
    try:
        with warnings.catch_warnings(), _silence():
            warnings.simplefilter("ignore")
            _refuse_swindle(image, data)
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
    """Yield the sizes of a picture and of its tiles, each of which is decoded whole."""
    yield image.size
    if isinstance(image, TiffImageFile) and _TILE_WIDTH in image.tag_v2:
        yield int(image.tag_v2[_TILE_WIDTH]), int(image.tag_v2.get(_TILE_LENGTH, 0))


def _refuse_swindle(image: Image.Image, data: Buffer) -> None:
    """Raise if a small file would hold a decoder up, by false lengths or by scans without end."""
    if image.format == "PNG" and _is_cut_off(data):
        message = "cut off"
        raise ValueError(message)
    if image.format == "JPEG" and _count_scans(data) > MAX_SCANS:
        message = f"more than {MAX_SCANS} scans"
        raise ValueError(message)


def _is_cut_off(png: Buffer) -> bool:
    """Whether a part of a PNG claims more bytes than there are: OpenCV would ask for the memory."""
    return any(end - _PNG_CHECKSUM > len(png) for _, _, end in _chunks(png))


def _count_scans(data: Buffer) -> int:
    """Count the scans of a JPEG."""
    scans, place = 0, 2
    while (found := _SEGMENT.search(data, place)) and found[1] != _END_OF_IMAGE and found[2]:
        scans += found[1] == _START_OF_SCAN
        place = found.end() + int.from_bytes(found[2])
    return scans


def _turned(page: GrayImage) -> GrayImage | Unread:
    """Bring a page to dark writing on light paper, which takes memory too."""
    try:
        return normalize_polarity(page)
    except (MemoryError, cv2.error) as error:
        if _lacks_memory(error):
            return _OUT_OF_MEMORY
        raise


def _lacks_memory(error: Exception) -> bool:
    """Whether there was not enough memory; OpenCV has an error of its own for that."""
    return isinstance(error, MemoryError) or getattr(error, "code", None) == cv2.Error.STS_NO_MEM


@contextmanager
def _silence() -> Iterator[None]:
    """Lead nowhere what the libraries beneath Pillow and OpenCV write to standard error.

    It does not say which file is meant.
    """
    try:
        aside = os.dup(_STDERR)
    except OSError:  # closed from the start
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
    """Whether pixels may be transparent.

    Pillow cannot composite 16-bit gray, where a transparent value is ignored instead.
    """
    return image.mode in _ALPHA_MODES or (
        "transparency" in image.info and not image.mode.startswith("I")
    )


def _has_few_bits(image: Image.Image) -> bool:
    """Whether a pixel of a TIFF has two or four bits, which OpenCV does not decode."""
    return isinstance(image, TiffImageFile) and image.tag_v2.get(BITSPERSAMPLE) in _FEW_BITS


def _composite(image: Image.Image) -> GrayImage:
    """Decode with Pillow, upright, with white paper behind what is transparent, or black.

    On white paper light ink would not show.
    """
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
    """Turn a page as its EXIF orientation asks for."""
    stored = Image.fromarray(page)
    stored.getexif()[_ORIENTATION] = orientation
    return np.array(ImageOps.exif_transpose(stored), dtype=np.uint8)


def _decode(data: Buffer) -> GrayImage:
    """Decode with OpenCV, which turns the page upright."""
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
    """Stop OpenCV from writing to standard error about files whose rows say the same."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
