"""Where the crops of results lie: in a folder that somebody names, or where what stands beside the results says they were.

Names in results are not trusted: none leads out of the folder it is looked for in.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from zipocr.images import row_names
from zipocr.outputs import beside
from zipocr.results import from_cell, to_cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A folder, and what stands in front of the names that are looked for in it; or a file, and its name in the results."""

    path: Path
    label: str = ""

    def candidate(self, name: str) -> Path | None:
        """Where a name would lie, or None where it cannot be of this root."""
        if name == self.label and not self.path.is_dir():
            return self.path
        front = f"{self.label}/" if self.label else ""
        return inside(self.path, name.removeprefix(front)) if name.startswith(front) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where to look for files, the first that is there."""

    roots: tuple[Root, ...]

    def find(self, name: str) -> Path | None:
        """Find a file by its name in the results; None where there is none."""
        candidates = (root.candidate(name) for root in self.roots)
        return next((path for path in candidates if path is not None and _is_file(path)), None)


def inside(folder: Path, name: str) -> Path | None:
    """Join a folder and a name, unless the name leads out of it.

    Examples
    --------
    >>> inside(Path("in"), "a/b.png") == Path("in/a/b.png")
    True
    >>> inside(Path("in"), "../b.png"), inside(Path("in"), "/b.png"), inside(Path("in"), "C:b.png")
    (None, None, None)
    """
    parts = PurePosixPath(name).parts
    leads_out = not parts or ".." in parts or PurePosixPath(name).is_absolute() or "\0" in name
    # Windows would take a drive or a root anywhere in it for a new beginning.
    return None if leads_out or PureWindowsPath(name).anchor else folder.joinpath(*parts)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def sources_of(results: Path, images: Path | None) -> Sources:
    """Say where the crops of results lie.

    Parameters
    ----------
    results : Path
        The CSV file.
    images : Path or None
        The folder that its names are relative to; None leaves it to the JSON beside the results, and without one to the current folder.
    """
    if images is not None:
        return Sources(roots=(Root(path=images),))
    return Sources(roots=(*_told(read_provenance(results)), Root(path=Path())))


def read_provenance(results: Path) -> dict[str, Any]:
    """Read what made results, from the JSON beside them; nothing where there is none that can be read."""
    try:
        found = json.loads(beside(results, ".json").read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _told(provenance: dict[str, Any]) -> tuple[Root, ...]:
    """The PATHs of a scan or watch, as its rows named them."""
    folder, paths = provenance.get("folder"), provenance.get("paths")
    if not isinstance(folder, str) or not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        return ()
    given = [Path(from_cell(path)) for path in dict.fromkeys(paths)]
    there = [Path(from_cell(folder)) / path for path in given]
    names = row_names(given, folder=Path(from_cell(folder)))
    if len(given) == 1 and there[0].is_dir():
        return (Root(path=there[0]),)
    return tuple(Root(path=path, label=name) for path, name in zip(there, names, strict=True))


def named(path: Path) -> dict[str, str]:
    """Tell a file from any other: its name, and the SHA-256 of what is in it."""
    with path.open("rb") as file:
        return {"file": to_cell(path.name), "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
