"""Model files.

Plain ``.npz`` archives of arrays and a model card in JSON. Nothing in them is ever unpickled.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from zipocr.errors import ModelError
from zipocr.line.network import (
    CLASS_FEATURES,
    FIRST,
    LETTERS,
    MAX_RANGE,
    MIN_RANGE,
    OUTPUTS,
    SECOND,
    THIRD,
    array_shapes,
    arrays_of,
    ranges_name,
)
from zipocr.locate.choice_model import FEATURES, READING_FEATURES
from zipocr.storage.atomic import write_whole
from zipocr.storage.untrusted import open_plain, parse_json, read_plain
from zipocr.types import Model

SHIPPED = ("digits", "mail")
FORMAT = 4
_SHOWN = 40  # characters of a bad value shown in an error
DIGEST = "sha256"
MAX_BYTES = 1 << 28
"""Maximum size of an unpacked member, since a small file can unpack to a huge one."""
ARRAYS = (
    "from_grid", "mean", "projection", "support", "support_counts", "dual", "intercepts", "gamma",
    "votes", "whole", "fusion", "orientation", "rotation",
    "confidence_listed", "confidence_unlisted", "acceptance_listed", "acceptance_unlisted",
)  # fmt: skip
TABLES = ("acceptance_listed", "acceptance_unlisted")
NETWORK = array_shapes(FIRST)
"""Shapes of the arrays of the first network; a model may lack the larger ones."""
SHAPES = {
    **NETWORK,
    "votes": (2,),
    "whole": (2,),
    "fusion": (4,),
    "orientation": (CLASS_FEATURES + 1,),
    "rotation": (2,),
    "confidence_listed": (16,),
    "confidence_unlisted": (16,),
}


SEARCH: Mapping[str, tuple[int | None, ...]] = {
    "span_choice_listed": (None, FEATURES + 2),
    "span_choice_unlisted": (None, FEATURES + 2),
    "reading_choice_listed": (None, READING_FEATURES + 2),
    "reading_choice_unlisted": (None, READING_FEATURES + 2),
    "page_orientation": (97,),
    **array_shapes(LETTERS),
}  # fmt: skip
"""Arrays that find the ZIP on a page, and their shapes; a model may lack them all."""


def load_model(name_or_path: str) -> Model:
    """Load a shipped model by name, or any model by path.

    Raises
    ------
    ModelError
        If there is no such file, or it is not a model of this version.
    """
    path = _find(name_or_path)
    try:
        found = unpack(path, most=MAX_BYTES)
    except FileNotFoundError:
        raise ModelError(
            f"no model {name_or_path!r}: give {', '.join(SHIPPED)} or the path of a file made "
            "by 'zipocr train'"
        ) from None
    except ValueError as error:
        raise ModelError(
            f"{path} is not a model file ({error}): give {', '.join(SHIPPED)} or a file made by "
            "'zipocr train'"
        ) from None
    return _checked(path, found)


def _find(name_or_path: str) -> Path:
    shipped = resources.files("zipocr") / "models" / f"{name_or_path}.npz"
    return Path(str(shipped) if name_or_path in SHIPPED else name_or_path)


def model_digest(name_or_path: str) -> str:
    """Return the SHA-256 of a model file in hexadecimal.

    Raises
    ------
    ModelError
        If there is no such file.
    """
    path = _find(name_or_path)
    try:
        return hashlib.sha256(read_plain(path)).hexdigest()
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path} cannot be read ({_told(error)}): give {', '.join(SHIPPED)} or a file made "
            "by 'zipocr train'"
        ) from None


def unpack(path: Path, *, most: int) -> dict[str, NDArray[Any]]:
    """Read the arrays of an ``.npz`` file; nothing in it is unpickled.

    Raises
    ------
    FileNotFoundError
        If there is no file.
    ValueError
        If it cannot be read, is not such a file, or is too large unpacked; the message says why.
    """
    try:
        with open_plain(path) as file, ZipFile(file) as members:
            return _unpacked(members, most)
    except FileNotFoundError:
        raise
    except Exception as error:  # noqa: BLE001 - untrusted bytes raise undocumented errors
        raise ValueError(_told(error)) from None


def _unpacked(members: ZipFile, most: int) -> dict[str, NDArray[Any]]:
    if sum(member.file_size for member in members.infolist()) > most:
        raise ValueError(f"unpacked it would have more than {most >> 20} MB")
    return {
        Path(name).stem: np.lib.format.read_array(members.open(name), allow_pickle=False)
        for name in members.namelist()
    }


def _told(error: Exception) -> str:
    """Return an error's message on one line, or its name if it has none."""
    said = getattr(error, "strerror", None) or str(error)
    return " ".join(said.split()) or type(error).__name__


def _checked(path: Path, found: dict[str, NDArray[Any]]) -> Model:
    _check_complete(path, found, ["passport"])
    try:
        card = parse_json(str(found.pop("passport")))
        version = card["format"]
    except (ValueError, KeyError, TypeError):
        raise ModelError(
            f"{path} has a damaged model card; remake the model with 'zipocr train'"
        ) from None
    if version != FORMAT:
        raise ModelError(
            f"{path} has model format {str(version)[:_SHOWN]}, this program reads {FORMAT}; "
            "remake the model with 'zipocr train'"
        )
    _check_complete(path, found, [*ARRAYS, *NETWORK])
    if trouble := _trouble(card, found):
        raise ModelError(f"{path} {trouble}; remake the model with 'zipocr train'")
    return Model(arrays=found, card=card)


def _check_complete(path: Path, found: Mapping[str, NDArray[Any]], names: Sequence[str]) -> None:
    if missing := [name for name in names if name not in found]:
        raise ModelError(
            f"{path} is not a zipocr model: it lacks {', '.join(missing)}; make one with "
            "'zipocr train'"
        )


def _trouble(card: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """Describe what is wrong with a complete model; empty if nothing is."""
    damaged = [name for name in TABLES if not _is_table(arrays[name])]
    if damaged:
        return f"has damaged thresholds in {', '.join(damaged)}"
    if any(not _is_finite(arrays[name]) for name in (*ARRAYS, *NETWORK)):
        return "has values that are not numbers"
    unlike = [name for name in SHAPES if arrays[name].shape != SHAPES[name]]
    if unlike:
        shapes = f"{unlike[0]} is {arrays[unlike[0]].shape} and not {SHAPES[unlike[0]]}"
        return f"has arrays of another architecture: {shapes}"
    larger = (_trouble_of_larger(arrays, name) for name in (SECOND, THIRD))
    if trouble := next(filter(None, larger), "") or _trouble_of_search(arrays):
        return trouble
    ranges = (arrays.get(ranges_name(name)) for name in OUTPUTS)
    if any(found is not None and not _within(found, MIN_RANGE, MAX_RANGE) for found in ranges):
        return "has impossible ranges of activations"
    digest = _digest(card, arrays)
    return "was changed after it was made" if card.get(DIGEST, digest) != digest else ""


def _trouble_of_larger(arrays: Mapping[str, NDArray[Any]], network: str) -> str:
    """Describe what is wrong with a model's larger network; empty if nothing is or it has none."""
    found, shapes = arrays_of(arrays, network), array_shapes(network)
    if not found:
        return ""
    name = network.replace("_", " ")
    if missing := shapes.keys() - found.keys():
        return f"lacks arrays of its {name}, such as {min(missing)}"
    if not all(map(_is_finite, found.values())):
        return "holds what is no number"
    fits = all(value.shape == shapes[name] for name, value in found.items())
    return "" if fits else f"has a {name} of another architecture"


def _trouble_of_search(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Describe what is wrong with the arrays that find a ZIP on a page; empty if there are none."""
    found = {name: arrays[name] for name in SEARCH if name in arrays}
    if not found:
        return ""
    if missing := SEARCH.keys() - found.keys():
        return f"lacks {min(missing)}, which finds the ZIP on a page"
    if not all(map(_is_finite, found.values())):
        return "holds what is no number"
    fits = all(
        value.ndim == len(SEARCH[name])
        and all(size in (None, own) for size, own in zip(SEARCH[name], value.shape, strict=True))
        for name, value in found.items()
    )
    return "" if fits else "has parts of another build that find the ZIP on a page"


def _is_finite(found: NDArray[Any]) -> bool:
    return found.dtype.kind in "buif" and bool(np.isfinite(found).all())


def _within(found: NDArray[Any], least: float, most: float) -> bool:
    """Return whether all values are within bounds, as float32."""
    values = found.astype(np.float32)
    return bool(((values >= np.float32(least)) & (values <= np.float32(most))).all())


def _is_table(found: NDArray[Any]) -> bool:
    """Return whether an array is a table of thresholds.

    (T, 2) float64 rows of an error rate and its threshold, stricter rows first.
    """
    if (
        found.ndim != 2
        or found.shape[1] != 2
        or found.dtype != np.float64
        or not np.isfinite(found).all()
    ):
        return False
    errors, thresholds = found.T
    within = (
        (errors > 0).all()
        and (errors < 1).all()
        and (thresholds >= 0).all()
        and (thresholds <= 1).all()
    )
    return bool(within and (np.diff(errors) > 0).all() and (np.diff(thresholds) <= 0).all())


def _digest(card: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 of a model's contents, except for this digest."""
    digest = hashlib.sha256(
        json.dumps({name: card[name] for name in card if name != DIGEST}, sort_keys=True).encode()
    )
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape}".encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()


def save_model(path: Path, model: Model) -> None:
    """Write a model.

    The file is written atomically, and equal models give equal bytes.
    """
    card: Mapping[str, Any] = {"format": FORMAT, **model.card}
    if any(array.dtype.hasobject for array in model.arrays.values()):
        raise ValueError(
            "a model holds plain arrays: objects would need allow_pickle, which is never used"
        )
    card = {
        **card,
        DIGEST: _digest(card, {name: np.asarray(array) for name, array in model.arrays.items()}),
    }
    members: dict[str, Any] = {"passport": np.array(json.dumps(card, indent=1)), **model.arrays}
    archive = BytesIO()
    np.savez_compressed(archive, **members)
    write_whole(path, archive.getvalue())
