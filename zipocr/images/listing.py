"""Listing of image files: their names, and stamps that detect changes."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath

from zipocr.images.s3 import PATIENCE, Url, etag, is_url
from zipocr.results.row import clashing, row_names

SUFFIXES = frozenset(
    {
        ".png",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".tif",
        ".tiff",
        ".bmp",
        ".webp",
        ".heic",
        ".heif",
        ".hif",
        ".pdf",
    }
)
# Number of stamps of remote files requested concurrently.
_STAMPED_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """An image file to read, and its name in the rows, relative to the PATH it was found under.

    ``place`` is its path or URL as a string, which takes half the memory of a `Path`.
    """

    place: str
    name: str

    @property
    def path(self) -> Path | Url:
        """The path or URL. No path looks like a URL, since none has two slashes in a row."""
        return Url(self.place) if is_url(self.place) else Path(self.place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Image files in reading order, and the number of other files."""

    files: tuple[ImageFile, ...]
    skipped: int


def list_inputs(paths: Sequence[Path], *, exclude: Path | None = None) -> Listing:
    """List the image files among files and folders.

    A file given directly is listed whatever its name; in folders the suffix decides. Folders are
    searched recursively, without following links to other folders, and sorted by the bytes of the
    names. A folder that cannot be opened is listed as a file, so that it gets a row.

    Parameters
    ----------
    paths : sequence of Path
        Files and folders. Repeated ones count once.
    exclude : Path, optional
        A folder to ignore.

    Returns
    -------
    Listing
        Names are relative to their PATH, prefixed with the PATH's own name if several are given.
        Different files have different names. A file found under two PATHs counts once if its names
        are the same.
    """
    paths = tuple(dict.fromkeys(paths))
    labels = row_names(paths)
    files: list[ImageFile] = []
    skipped = 0
    for path, label in zip(paths, labels, strict=True):
        if not path.is_dir():
            files.append(ImageFile(place=str(path), name=label))
            continue
        found, passed_over = _list_folder(path, exclude=exclude)
        front, prefix = _inside(path), label if len(paths) > 1 else ""
        files.extend(
            ImageFile(place=front + name, name=str(PurePosixPath(prefix, name)) if prefix else name)
            for name in found
        )
        skipped += passed_over
    if clashing(labels):
        files = list({file.name: file for file in files}.values())
    return Listing(files=tuple(files), skipped=skipped)


def _list_folder(folder: Path, *, exclude: Path | None) -> tuple[list[str], int]:
    """Return the POSIX names of a folder's images in bytewise order, and the number of other files.

    Anything with the name of an image is listed, even a pipe, a broken link, a link to a folder or
    an empty folder, so that it gets a row.
    """
    barred = exclude.resolve() if exclude else None
    # Plain strings, since a `Path` for every file and its parts takes twice as long.
    front = len(_inside(folder))
    found: list[str] = []
    skipped = 0
    for root, folders, names in _walk(str(folder), lost=found.append):
        if barred:
            folders[:] = [name for name in folders if Path(root, name).resolve() != barred]
        if root[front:] and _is_image(root) and not folders and not names:
            found.append(root)
        images = [name for name in names if _is_image(name)]
        links = [name for name in folders if _is_image(name) and Path(root, name).is_symlink()]
        found.extend(os.path.join(root, name) for name in images + links)  # noqa: PTH118
        skipped += len(names) - len(images)
    return sorted(
        (path[front:].replace(os.sep, "/") or "." for path in found), key=os.fsencode
    ), skipped


def _walk(
    folder: str, *, lost: Callable[[str], None]
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walk a folder like `os.walk`, to any depth.

    ``lost`` is called with each folder that cannot be opened.
    """
    pending = [folder]
    while pending:
        root = pending.pop()
        try:
            with os.scandir(root) as entries:
                is_folder = {entry.name: _is_folder(entry) for entry in entries}
        except OSError:
            lost(root)
            continue
        folders = [name for name, found in is_folder.items() if found]
        yield root, folders, [name for name, found in is_folder.items() if not found]
        inner = [os.path.join(root, name) for name in folders]  # noqa: PTH118
        pending.extend(path for path in inner if not os.path.islink(path))  # noqa: PTH114


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder or a link to one; a circular link is not."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _inside(folder: Path) -> str:
    """Return the prefix of the paths in a folder."""
    return os.path.join(folder, "")  # noqa: PTH118


def _is_image(path: str) -> bool:
    stem, _, suffix = path.rpartition(".")
    return bool(stem) and not stem.endswith(os.sep) and f".{suffix.lower()}" in SUFFIXES


def find_repeated(files: Iterable[ImageFile]) -> list[tuple[str, str]]:
    """Find files listed under several names, because of links or overlapping folders.

    Returns
    -------
    list of (str, str)
        The first name of such a file and each further one, in listing order.
    """
    seen: dict[tuple[int, int], str] = {}
    repeated: list[tuple[str, str]] = []
    for file in files:
        with suppress(OSError, ValueError):
            found = os.stat(file.place)  # noqa: PTH116 - a `Path` takes as long as the call
            first = seen.setdefault((found.st_dev, found.st_ino), file.name)
            if first != file.name:
                repeated.append((first, file.name))
    return repeated


def stamp_of(place: str, *, patience: float = PATIENCE) -> str:
    """Return a stamp that changes when a file is replaced or rewritten, without reading the file.

    Parameters
    ----------
    place : str
        Path or URL.
    patience : float
        Seconds that S3 may take to answer.

    Returns
    -------
    str
        Size and modification time in nanoseconds, or the ETag of S3; empty if there is no such
        file. A broken link has the stamp of the link.
    """
    if is_url(place):
        return etag(Url(place, patience=patience))
    for look in (os.stat, os.lstat):
        with suppress(OSError, ValueError):
            found = look(place)
            return f"{found.st_size}-{found.st_mtime_ns}"
    return ""


def stamped(
    files: Iterable[ImageFile], *, patience: float = PATIENCE
) -> Iterator[tuple[ImageFile, str]]:
    """Yield files with their stamps; those of remote files are requested concurrently."""
    files, ask = iter(files), partial(stamp_of, patience=patience)
    with ThreadPoolExecutor(_STAMPED_AT_ONCE) as pool:
        for file in files:
            if is_url(file.place):
                some = [file, *islice(files, _STAMPED_AT_ONCE - 1)]
                yield from zip(some, pool.map(ask, (one.place for one in some)), strict=True)
            else:
                yield file, stamp_of(file.place)
