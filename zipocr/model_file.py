"""The door to model files: plain ``.npz`` archives of arrays and a passport in JSON. Nothing in them is ever unpickled."""

import json
from collections.abc import Mapping
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from zipocr.atomic import write_whole
from zipocr.errors import ModelError
from zipocr.types import Model

SHIPPED = ("digits", "mail")
FORMAT = 1
LARGEST_MODEL = 2**30
ARRAYS = (
    "from_grid", "mean", "projection", "support", "support_counts", "dual", "intercepts", "gamma",
    "votes", "validity", "temperature", "confidence_listed", "confidence_unlisted",
)  # fmt: skip


def load_model(name_or_path: str) -> Model:
    """Loads a shipped model by its name, or any model by its path.

    Raises
    ------
    ModelError
        When there is no such file, or it is no model of this version.
    """
    shipped = resources.files("zipocr") / "models" / f"{name_or_path}.npz"
    path = Path(str(shipped) if name_or_path in SHIPPED else name_or_path)
    try:
        with path.open("rb") as file, ZipFile(file) as members:
            found = _read_arrays(members)
    except FileNotFoundError:
        raise ModelError(f"no model {name_or_path!r}: give {', '.join(SHIPPED)} or the path of a file made by 'zipocr train'") from None
    except Exception as error:  # noqa: BLE001 - foreign bytes: zipfile, zlib, numpy and tokenize raise more than they say
        raise ModelError(f"{path} is no model file ({_told(error)}): give {', '.join(SHIPPED)} or a file made by 'zipocr train'") from None
    return _checked(path, found)


def _read_arrays(members: ZipFile) -> dict[str, NDArray[Any]]:
    """Unpack the arrays, unless they are larger than any model: a small archive can hold what fills the memory."""
    size = sum(member.file_size for member in members.infolist())
    if size > LARGEST_MODEL:
        raise ValueError(f"its arrays take {size} bytes")
    return {Path(name).stem: np.lib.format.read_array(members.open(name), allow_pickle=False) for name in members.namelist()}


def _told(error: Exception) -> str:
    """What an error says, on one line; some say nothing but their name."""
    return " ".join(str(error).split()) or type(error).__name__


def _checked(path: Path, found: dict[str, NDArray[Any]]) -> Model:
    missing = [name for name in ("passport", *ARRAYS) if name not in found]
    if missing:
        raise ModelError(f"{path} is no model of zipocr: it lacks {', '.join(missing)}; make one with 'zipocr train'")
    try:
        passport = json.loads(str(found.pop("passport")))
        version = passport["format"]
    except (ValueError, KeyError, TypeError):
        raise ModelError(f"{path} has a damaged passport; make the model anew with 'zipocr train'") from None
    if version != FORMAT:
        raise ModelError(f"{path} has model format {version}, this program reads {FORMAT}; make the model anew with 'zipocr train'")
    return Model(arrays=found, passport=passport)


def save_model(path: Path, model: Model) -> None:
    """Writes a model; the file appears whole or not at all, and the same model gives the same bytes."""
    passport: Mapping[str, Any] = {"format": FORMAT, **model.passport}
    if any(array.dtype.hasobject for array in model.arrays.values()):
        raise ValueError("a model holds plain arrays: objects would need allow_pickle, which is never used")
    members: dict[str, Any] = {"passport": np.array(json.dumps(passport, indent=1)), **model.arrays}
    archive = BytesIO()
    np.savez_compressed(archive, **members)
    write_whole(path, archive.getvalue())
