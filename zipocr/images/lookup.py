"""Provenance of results, and lookup of their images.

Images are in a folder given by the user, or where the JSON beside the results says they were.

Names in results are not trusted, since anyone could have written the file. No command opens a name
that leads out of the folder, by ``..`` or by a link.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from zipocr.config import MAX_PIXELS_LIMIT, ScanConfig
from zipocr.errors import InputError
from zipocr.results.cells import from_cell, to_cell
from zipocr.results.row import row_names
from zipocr.results.sinks import sidecar_path
from zipocr.storage.untrusted import open_plain, parse_json, read_plain
from zipocr.types import Status

DEFAULTS = ScanConfig()
_KINDS: Mapping[str, tuple[type, ...]] = {
    "zipocr": (str,),
    "folder": (str,),
    "done": (str, type(None)),
    "paths": (list,),
    "model_name": (str,),
    "directory_file": (str, type(None)),
    "options": (dict,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRoot:
    """A folder to search, and the prefix of the names in it.

    Or a file, and its name in the results.
    """

    path: Path
    label: str = ""

    def candidate(self, name: str) -> Path | None:
        """Return the path of a name below this root; None if it belongs to another root."""
        if name == self.label and not self.path.is_dir():
            return self.path
        front = f"{self.label}/" if self.label else ""
        return safe_join(self.path, name.removeprefix(front)) if name.startswith(front) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The places to search for files, in order."""

    roots: tuple[SearchRoot, ...]

    def find(self, name: str) -> Path | None:
        """Find a file by its name in the results; None if there is none."""
        candidates = (root.candidate(name) for root in self.roots)
        return next((path for path in candidates if path is not None and _is_file(path)), None)


def safe_join(folder: Path, name: str) -> Path | None:
    """Join a folder and a name; None if the name or a link on the way leads out of the folder.

    Examples
    --------
    >>> safe_join(Path("in"), "a/b.png") == Path("in/a/b.png")
    True
    >>> [safe_join(Path("in"), name) for name in ("../b.png", "/b.png", "C:b.png")]
    [None, None, None]
    """
    parts = PurePosixPath(name).parts
    leads_out = not parts or ".." in parts or PurePosixPath(name).is_absolute() or "\0" in name
    # On Windows, a drive or root anywhere in a name starts a new path.
    if leads_out or PureWindowsPath(name).anchor:
        return None
    path = folder.joinpath(*parts)
    try:
        return path if path.resolve().is_relative_to(folder.resolve()) else None
    except (OSError, ValueError, RuntimeError):  # impossible names, circular links
        return None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def sources_of(results: Path, images: Path | None) -> Sources:
    """Return where to search for the images of results.

    Parameters
    ----------
    results : Path
        The CSV file.
    images : Path or None
        The folder that names are relative to; None takes the PATHs in the JSON beside the results,
        and the current folder.

    Raises
    ------
    InputError
        As `read_provenance`.
    """
    if images is not None:
        return Sources(roots=(SearchRoot(path=images),))
    return Sources(roots=(*_told(read_provenance(results)), SearchRoot(path=Path())))


def read_provenance(results: Path) -> dict[str, Any]:
    """Read the provenance of results from the JSON beside them; empty without that file.

    Raises
    ------
    InputError
        If the file cannot be read, or zipocr did not write it.
    """
    path = sidecar_path(results, ".json")
    try:
        found = parse_json(read_plain(path))
        _check_kinds(found)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        cure = "Move it away, or recreate the results with zipocr scan."
        raise InputError(
            f"{path} does not describe how the results were made ({said}). {cure}"
        ) from error
    return found


def _check_kinds(facts: Mapping[str, Any]) -> None:
    """Check the types of the facts that are present."""
    for name, kinds in _KINDS.items():
        if name in facts and not isinstance(facts[name], kinds):
            message = f"{name} is of the wrong type"
            raise ValueError(message)
    if not all(isinstance(path, str) for path in facts.get("paths", [])):
        raise ValueError("paths are of the wrong type")


def _told(provenance: Mapping[str, Any]) -> tuple[SearchRoot, ...]:
    """Return the PATHs of a scan or watch, with the prefixes of their names in rows."""
    if not {"folder", "paths"} <= provenance.keys():
        return ()
    given = [Path(from_cell(path)) for path in dict.fromkeys(provenance["paths"])]
    folder = Path(from_cell(provenance["folder"]))
    there, done = [folder / path for path in given], provenance.get("done")
    moved = [SearchRoot(path=folder / from_cell(done) / status) for status in Status if done]
    names = row_names(given, folder=folder)
    if len(given) == 1 and there[0].is_dir():
        # Files that a watch has moved away keep their names.
        return (*moved, SearchRoot(path=there[0]))
    return tuple(SearchRoot(path=path, label=name) for path, name in zip(there, names, strict=True))


def named(path: Path) -> dict[str, str]:
    """Identify a file: its name and the SHA-256 of its contents."""
    with open_plain(path) as file:
        return {
            "file": to_cell(path.name),
            "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The settings with which results were read, as far as known.

    Attributes
    ----------
    model : str
        The model, as given.
    directory : Path or None
        The user's own list of ZIP codes, if any.
    use_directory : bool
        Whether any list of ZIP codes was used.
    max_pixels : int
        Maximum number of pixels of a page.
    """

    model: str = DEFAULTS.model
    directory: Path | None = None
    use_directory: bool = True
    max_pixels: int = DEFAULTS.max_pixels


def read_origin(results: Path) -> Origin:
    """Read the settings from the JSON beside results; missing ones have their defaults.

    Raises
    ------
    InputError
        As `read_provenance`.
    """
    facts = read_provenance(results)
    folder, options = Path(from_cell(facts.get("folder", ""))), facts.get("options", {})
    model, directory = facts.get("model_name", DEFAULTS.model), facts.get("directory_file")
    max_pixels = options.get("max_pixels")
    return Origin(
        model=str(folder / model) if (folder / model).is_file() else model,
        directory=folder / from_cell(directory) if directory else None,
        use_directory=bool(options.get("use_directory", True)),
        max_pixels=min(max(max_pixels, 1), MAX_PIXELS_LIMIT)
        if isinstance(max_pixels, int)
        else DEFAULTS.max_pixels,
    )
