"""Cells of a row as typed values, for formats that have numbers and lists.

Probabilities and pages are numbers. What the CSV joins with semicolons is a list. All else is text,
ZIPs included, as in the CSV.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from zipocr.results.row import COLUMNS, FEWEST_COLUMNS

Value: TypeAlias = str | int | float | list[str] | list[float] | list[int] | None


def _number(cell: str) -> float | None:
    return float(cell) if cell else None


def _split(cell: str) -> list[str]:
    return cell.split(";") if cell else []


def _numbers(cell: str) -> list[float]:
    return [float(each) for each in _split(cell)]


def _sides(cell: str) -> list[int] | None:
    return [int(each) for each in _split(cell)] or None


_TO_VALUE: Mapping[str, Callable[[str], Value]] = {
    "page": int,
    "confidence": _number,
    "reason": _split,
    "digit_confidences": _numbers,
    "runner_up_confidence": _number,
    "box": _sides,
}
_KINDS: Mapping[str, tuple[type, ...]] = {
    "page": (int,),
    "confidence": (float, int, type(None)),
    "reason": (list,),
    "digit_confidences": (list,),
    "runner_up_confidence": (float, int, type(None)),
    "box": (list, type(None)),
}
"""Types of the columns that are not text."""
_ELEMENTS: Mapping[str, tuple[type, ...]] = {
    "reason": (str,),
    "digit_confidences": (float, int),
    "box": (int,),
}


def to_values(cells: Sequence[str]) -> dict[str, Value]:
    """Convert the cells of a row to values by column.

    Examples
    --------
    >>> cells = ["a.png", "1", "", "", "", "unread", "no_ink", "", "", "", "", "", ""]
    >>> values = to_values(cells)
    >>> values["page"], values["zip"], values["confidence"], values["reason"]
    (1, '', None, ['no_ink'])
    """
    named = zip(COLUMNS, cells, strict=True)
    return {name: _TO_VALUE.get(name, str)(cell) for name, cell in named}


def to_cells(values: Mapping[str, object]) -> list[str]:
    """Convert values back to the cells of a row; the last columns may be missing.

    Raises
    ------
    ValueError
        If a column is missing, unknown or of the wrong type.
    """
    names = COLUMNS[: max(FEWEST_COLUMNS, len(values))]
    if set(names) != values.keys():
        raise ValueError(f"its columns are not {', '.join(COLUMNS)}")
    return [_to_cell(name, values[name]) for name in names]


def _to_cell(name: str, value: object) -> str:
    kinds, parts = _KINDS.get(name, (str,)), value if isinstance(value, list) else []
    if (value is None and type(None) not in kinds) or None in parts:
        raise ValueError(f"nothing where {name} should be")
    elements = _ELEMENTS.get(name, (object,))
    if type(value) not in kinds or any(type(part) not in elements for part in parts):
        raise ValueError(f"{name} is of the wrong type")
    return ";".join(
        map(str, parts if isinstance(value, list) else [] if value is None else [value])
    )
