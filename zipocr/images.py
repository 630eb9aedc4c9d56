"""The only door to image files: which files are images, their pages as gray arrays, pictures written.

Headers are read with Pillow before anything is decoded, since a small file can hold a picture that fills the memory. Pixels are
decoded with OpenCV, which is right about 16 bit, MinIsWhite, CMYK and orientation; only transparency goes through Pillow, because
OpenCV drops it and an alpha channel may be all the ink there is.
"""

import io
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from zipocr.atomic import write_whole
from zipocr.errors import OutputError
from zipocr.types import GrayImage, Reason, Unread

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".bmp", ".webp"})
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
# OpenCV fills in what it cannot decompress and says nothing; Pillow raises, nearly always for LZW and PackBits, often for the others.
_UNCHECKED_BY_OPENCV = frozenset({"tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits"})
_OUT_OF_MEMORY = Unread(reason=Reason.OUT_OF_MEMORY, detail="not enough memory to decode it")
_ALPHA_MODES = frozenset({"RGBA", "LA", "PA", "RGBa", "La"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """An image file to read, and the name its rows bear: a posix path relative to the PATH that it was found under."""

    path: Path
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The image files found, in the order to read them, and how many other files were passed over."""

    files: tuple[ImageFile, ...]
    skipped: int


def list_inputs(paths: Sequence[Path], *, exclude: Path | None = None) -> Listing:
    """List the image files that the given files and folders stand for.

    A file given directly is listed whatever it is called; in folders the suffix decides. Folders are searched recursively, without
    following links to other folders, and listed in the order of their names' bytes. A folder that cannot be opened is listed as if it
    were a file, so that reading it fails with a row of its own.

    Parameters
    ----------
    paths : sequence of Path
        Files and folders. A repeated one counts once.
    exclude : Path, optional
        A folder to leave out wherever it is met.

    Returns
    -------
    Listing
        Names are relative to their PATH, with the PATH's own name in front when several are given.
    """
    paths = tuple(dict.fromkeys(paths))
    labels = _labels(paths)
    files: list[ImageFile] = []
    skipped = 0
    for path, label in zip(paths, labels, strict=True):
        if not path.is_dir():
            files.append(ImageFile(path=path, name=label))
            continue
        found, passed_over = _list_folder(path, exclude=exclude)
        prefix = label if len(paths) > 1 else ""
        files.extend(ImageFile(path=path / name, name=str(PurePosixPath(prefix, name))) for name in found)
        skipped += passed_over
    return Listing(files=tuple(files), skipped=skipped)


def _labels(paths: Sequence[Path]) -> list[str]:
    """Each PATH's own name; where two have the same one, the PATH as it was given, since rows must say which file they mean."""
    names = [path.name if path.name not in {"", ".."} else path.resolve().name for path in paths]
    return [path.as_posix() if names.count(name) > 1 else name for path, name in zip(paths, names, strict=True)]


def _list_folder(folder: Path, *, exclude: Path | None) -> tuple[list[str], int]:
    """Relative posix names of a folder's images in bytewise order, and the number of other files."""
    barred = exclude.resolve() if exclude else None
    closed: list[str] = []
    found: list[str] = []
    skipped = 0
    for root, folders, names in os.walk(folder, onerror=lambda error: closed.append(error.filename)):
        here = Path(root)
        if barred:
            folders[:] = [name for name in folders if (here / name).resolve() != barred]
        images = [name for name in names if _is_image(here / name)]
        found.extend((here / name).relative_to(folder).as_posix() for name in images)
        skipped += len(names) - len(images)
    found.extend(Path(name).relative_to(folder).as_posix() for name in closed)
    return sorted(found, key=os.fsencode), skipped


def _is_image(path: Path) -> bool:
    """Named like an image and a regular file; a dangling link counts, so that its row can tell, but a pipe would never end."""
    return path.suffix.lower() in SUFFIXES and (path.is_file() or not path.exists())


def _ignore() -> None:
    """Not everybody counts pages."""


def read_pages(path: Path, *, max_pixels: int, first: int = 1, begin: Callable[[], None] = _ignore) -> Iterator[GrayImage | Unread]:
    """Read the pages of an image file, one at a time.

    Parameters
    ----------
    path : Path
        A PNG, JPEG, TIFF, BMP or WebP file, whatever its suffix says.
    max_pixels : int
        Pages with more pixels are not decoded.
    first : int
        The page to begin with; those before it are not decoded. Where there are fewer, nothing comes.
    begin : callable
        Called before each page is decoded, when it is known that there is one.

    Yields
    ------
    GrayImage or Unread
        ``(H, W) uint8``, upright, transparency on white; or why this page cannot be had. A file that cannot be opened yields one
        `Unread`; a damaged page of a TIFF yields one in its place.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        yield _unreadable(error.strerror or "cannot be opened")
        return
    if not data:
        yield _unreadable("empty file")
        return
    try:
        image = _open_header(data)
    except Image.DecompressionBombError as error:
        yield Unread(reason=Reason.TOO_LARGE, detail=str(error))
        return
    except MemoryError:
        yield _OUT_OF_MEMORY
        return
    except Exception:  # noqa: BLE001 - foreign bytes: what Pillow raises on them is not documented, and no file may end the run
        yield _unreadable("not a PNG, JPEG, TIFF, BMP or WebP image, or damaged")
        return
    with image:
        for page in _pages(image, first=first):
            begin()
            yield page if isinstance(page, Unread) else _read_page(image, data, page, max_pixels=max_pixels)


def _open_header(data: bytes) -> Image.Image:
    """Read the header alone. Pillow's warnings are of no use here: the pixel limit is checked, damage shows in decoding."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Image.open(io.BytesIO(data), formats=FORMATS)


def _pages(image: Image.Image, *, first: int) -> Iterator[int | Unread]:
    """Go to every page of a TIFF, ``first`` of all, or to the first frame of anything else: an animation's later frames are no pages."""
    for page in count(first - 1) if image.format == "TIFF" else range(first - 1, 1):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                image.seek(page)
        except EOFError:
            if page == 0:
                yield _unreadable("no pages")
            return
        except Image.DecompressionBombError as error:
            yield Unread(reason=Reason.TOO_LARGE, detail=str(error))
            continue
        except Exception:  # noqa: BLE001 - as above
            yield _unreadable(f"page {page + 1} and what follows is damaged")
            return
        yield page


def _read_page(image: Image.Image, data: bytes, page: int, *, max_pixels: int) -> GrayImage | Unread:
    """Decode the page that ``image`` stands at."""
    width, height = image.size
    if width * height > max_pixels:
        detail = f"{width} x {height} is more than {max_pixels} pixels (--max-pixels)"
        return Unread(reason=Reason.TOO_LARGE, detail=detail)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if _has_alpha(image):
                return _composite_on_white(image)
            if image.info.get("compression") in _UNCHECKED_BY_OPENCV:
                image.load()
        return _decode(data, page, multi=image.format == "TIFF")
    except MemoryError:
        return _OUT_OF_MEMORY
    except Exception as error:  # noqa: BLE001 - as above, and OpenCV's errors
        if getattr(error, "code", None) == cv2.Error.STS_NO_MEM:
            return _OUT_OF_MEMORY
        return _unreadable("damaged or of a kind that cannot be decoded")


def _has_alpha(image: Image.Image) -> bool:
    """Whether pixels may be transparent; Pillow cannot composite 16-bit gray, where a transparent value is ignored instead."""
    return image.mode in _ALPHA_MODES or ("transparency" in image.info and not image.mode.startswith("I"))


def _composite_on_white(image: Image.Image) -> GrayImage:
    """Decode with Pillow, upright, with white paper behind what is transparent."""
    upright = ImageOps.exif_transpose(image).convert("RGBA")
    paper = Image.new("RGBA", upright.size, "white")
    return np.array(Image.alpha_composite(paper, upright).convert("L"), dtype=np.uint8)


def _decode(data: bytes, page: int, *, multi: bool) -> GrayImage:
    """Decode with OpenCV, which turns the page upright; one page at a time keeps memory flat."""
    buffer = np.frombuffer(data, np.uint8)
    pages: Sequence[NDArray[Any] | None]
    if multi:
        _, pages = cv2.imdecodemulti(buffer, cv2.IMREAD_GRAYSCALE, range=(page, page + 1))
    else:
        pages = (cv2.imdecode(buffer, cv2.IMREAD_GRAYSCALE),)
    if not pages or pages[0] is None:
        message = "no pixels"
        raise ValueError(message)
    return np.asarray(pages[0], dtype=np.uint8)


def _unreadable(detail: str) -> Unread:
    return Unread(reason=Reason.UNREADABLE_FILE, detail=detail)


def silence_decoders() -> None:
    """Stop OpenCV from writing to standard error about files whose rows say the same."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def write_png(path: Path, image: NDArray[np.uint8]) -> None:
    """Write a picture as PNG, whole or not at all, making its folder if need be.

    Parameters
    ----------
    path : Path
        Where to; any name the file system takes.
    image : ndarray
        ``(H, W)`` gray or ``(H, W, 3)`` BGR, uint8.

    Raises
    ------
    OutputError
        If the picture cannot be encoded or the file not be written.
    """
    done, encoded = cv2.imencode(".png", image)
    if not done:
        message = f"Cannot encode a picture of shape {image.shape} as PNG."
        raise OutputError(message)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"Cannot make the folder {path.parent}: {error.strerror}. Choose another place."
        raise OutputError(message) from error
    write_whole(path, encoded.tobytes())
