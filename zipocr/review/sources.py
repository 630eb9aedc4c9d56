"""Where the images are: what results say of their origin, and the way from a name in a row to a file that may be opened.

Names in results are not trusted: whoever wrote the file could have put any path there. They are looked up in the folders that were read,
or the one that the user gives, and what leads out of these is not opened.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from zipocr.config import LARGEST_MAX_PIXELS, ScanConfig
from zipocr.results import from_cell

DEFAULTS = ScanConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """How results came about, as far as that is known.

    Attributes
    ----------
    folder : Path
        Where the command ran.
    paths : tuple of Path
        What it read; empty where that is not known.
    model : str
        What it read with, as given.
    directory : Path or None
        The user's own list of ZIPs, if there was one.
    use_directory : bool
        Whether any list of ZIPs took part.
    max_pixels : int
        The largest page that was opened.
    """

    folder: Path
    paths: tuple[Path, ...] = ()
    model: str = DEFAULTS.model
    directory: Path | None = None
    use_directory: bool = True
    max_pixels: int = DEFAULTS.max_pixels


def read_origin(results: Path) -> Origin:
    """Read what is told beside results; where nothing is, or nothing that can be believed, the current folder and the defaults stand."""
    try:
        facts = json.loads(results.with_name(results.name + ".json").read_bytes())
        return _from_facts(facts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Origin(folder=Path.cwd())


def _from_facts(facts: Mapping[str, Any]) -> Origin:
    folder, options = Path(from_cell(facts["folder"])), facts["options"]
    model, directory = facts["model_name"], facts["directory_file"]
    return Origin(
        folder=folder,
        paths=tuple(Path(from_cell(path)) for path in facts["paths"]),
        model=str(folder / model) if (folder / model).is_file() else str(model),
        directory=folder / from_cell(directory) if directory else None,
        use_directory=bool(options["use_directory"]),
        max_pixels=min(max(int(options["max_pixels"]), 1), LARGEST_MAX_PIXELS),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A file or folder that images may be in: its path, and what names of its images begin with."""

    path: Path
    prefix: str


class Finder:
    """Finds the files that rows are about.

    Parameters
    ----------
    origin : Origin
        What was read.
    images : Path, optional
        A folder to look in instead.
    """

    def __init__(self, origin: Origin, images: Path | None = None) -> None:
        self._origin = origin
        self._images = images

    @cached_property
    def _roots(self) -> list[Root]:
        return [Root(path=self._images, prefix="")] if self._images else _roots(self._origin.folder, self._origin.paths)

    def find(self, name: str) -> Path | None:
        """Find the file of a row; None if there is none that may be opened."""
        for root in self._roots:
            try:
                found = _within(root, name)
            except (OSError, ValueError, RuntimeError):  # names that no file can have, links in a circle
                continue
            if found is not None:
                return found
        return None


def _roots(folder: Path, paths: Sequence[Path]) -> list[Root]:
    """Name roots as `zipocr.images.list_inputs` names what it finds in them."""
    from zipocr.images import row_names  # with decoders, which are not needed before the first image

    if not paths:
        return [Root(path=folder, prefix="")]
    paths = tuple(dict.fromkeys(paths))
    named = zip(paths, row_names(paths, folder=folder), strict=True)
    several = len(paths) > 1
    return [Root(path=folder / path, prefix=label if several or not (folder / path).is_dir() else "") for path, label in named]


def _within(root: Root, name: str) -> Path | None:
    """Give the file that a name stands for below a root; None if it is not there or not below."""
    if name == root.prefix:
        return root.path if root.path.is_file() else None
    prefix = f"{root.prefix}/" if root.prefix else ""
    if not name.startswith(prefix):
        return None
    base = root.path.resolve()
    found = (base / name.removeprefix(prefix)).resolve()
    return found if found.is_relative_to(base) and found != base and found.exists() else None
