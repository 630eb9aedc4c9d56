"""Serialization of a chain of operations as an ONNX model, with a minimal protobuf encoder.

Messages and field numbers are those of ``onnx.proto``, which never change:
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Field: TypeAlias = tuple[int, int | str | bytes]
"""Field number and value: an integer, a string, or bytes such as an encoded message."""
IR_VERSION, OPERATORS = 8, 13
FLOAT, UINT8, INT8, INT32 = 1, 2, 3, 6
"""Type codes of tensors."""
INTS = 7
"""Type code of an attribute."""
TYPES = {
    np.dtype("<f4"): FLOAT,
    np.dtype("u1"): UINT8,
    np.dtype("i1"): INT8,
    np.dtype("<i4"): INT32,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operation:
    """An ONNX operator, its attributes, and its further inputs, constant arrays by name."""

    operator: str
    attributes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def to_onnx(operations: Sequence[Operation]) -> bytes:
    """Return a model in which each operation takes the output of the previous one.

    The input is (N, C, H, W) uint8 and named ``"0"``, the output is (N, C, H, W) float32 and named
    after the number of operations.
    """
    nodes = [(1, _node(place, one)) for place, one in enumerate(operations)]
    arrays = [
        (5, _tensor(f"{place}.{name}", values))
        for place, one in enumerate(operations)
        for name, values in one.arrays.items()
    ]
    ends = [(11, _image("0", UINT8)), (12, _image(str(len(operations)), FLOAT))]
    graph = _message(*nodes, (2, "chain"), *arrays, *ends)
    return _message((1, IR_VERSION), (7, graph), (8, _message((1, ""), (2, OPERATORS))))


def _node(place: int, one: Operation) -> bytes:
    """Encode a NodeProto."""
    inputs = [(1, str(place)), *((1, f"{place}.{name}") for name in one.arrays)]
    attributes = [(5, _ints(*named)) for named in one.attributes.items()]
    return _message(*inputs, (2, str(place + 1)), (4, one.operator), *attributes)


def _ints(name: str, values: Sequence[int]) -> bytes:
    """Encode an AttributeProto of integers."""
    return _message((1, name), *((8, value) for value in values), (20, INTS))


def _tensor(name: str, values: NDArray[Any]) -> bytes:
    """Encode a TensorProto; its type is float32, uint8, int8 or int32."""
    kind = values.dtype.newbyteorder("<")
    sizes = [(1, size) for size in values.shape]
    return _message(*sizes, (2, TYPES[kind]), (8, name), (9, values.astype(kind).tobytes()))


def _image(name: str, kind: int) -> bytes:
    """Encode a ValueInfoProto of a tensor of this type with four axes of any length."""
    shape = _message(*[(1, b"")] * 4)
    tensor = _message((1, kind), (2, shape))
    return _message((1, name), (2, _message((1, tensor))))


def _message(*fields: Field) -> bytes:
    """Encode a message: https://protobuf.dev/programming-guides/encoding."""
    return b"".join(_encoded(number, value) for number, value in fields)


def _encoded(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Encode a nonnegative integer, seven bits per byte, lowest first."""
    rest, lowest = value >> 7, value & 127
    return bytes([lowest | 128]) + _varint(rest) if rest else bytes([lowest])
