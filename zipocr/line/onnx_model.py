"""Writes a chain of operations as an ONNX model, in the few messages of protocol buffers it takes.

Messages and the numbers of their fields are those of ``onnx.proto``, which keeps them for good:
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from zipocr.types import Floats

Field: TypeAlias = tuple[int, int | str | bytes]
"""The number of a field and its value: a whole number, a text, or bytes such as a message."""
IR_VERSION, OPERATORS = 8, 13
FLOAT, INTS = 1, 7
"""The types of a tensor and of an attribute."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operation:
    """An operator of ONNX, its attributes, and by their names the arrays it takes besides."""

    operator: str
    attributes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    arrays: Mapping[str, Floats] = field(default_factory=dict)


def to_onnx(operations: Sequence[Operation]) -> bytes:
    """Return a model in which each operation takes what the one before it made.

    All that is (N, C, H, W) float32. What goes in is called ``"0"``, and what comes out by the
    number of operations.
    """
    nodes = [(1, _node(place, one)) for place, one in enumerate(operations)]
    arrays = [(5, _tensor(*named)) for one in operations for named in one.arrays.items()]
    ends = [(11, _image("0")), (12, _image(str(len(operations))))]
    graph = _message(*nodes, (2, "chain"), *arrays, *ends)
    return _message((1, IR_VERSION), (7, graph), (8, _message((1, ""), (2, OPERATORS))))


def _node(place: int, one: Operation) -> bytes:
    """NodeProto."""
    inputs = [(1, name) for name in (str(place), *one.arrays)]
    attributes = [(5, _ints(*named)) for named in one.attributes.items()]
    return _message(*inputs, (2, str(place + 1)), (4, one.operator), *attributes)


def _ints(name: str, values: Sequence[int]) -> bytes:
    """AttributeProto."""
    return _message((1, name), *((8, value) for value in values), (20, INTS))


def _tensor(name: str, values: Floats) -> bytes:
    """TensorProto."""
    sizes = [(1, size) for size in values.shape]
    return _message(*sizes, (2, FLOAT), (8, name), (9, values.astype("<f4").tobytes()))


def _image(name: str) -> bytes:
    """ValueInfoProto of a tensor of four axes, each of any length."""
    shape = _message(*[(1, b"")] * 4)
    tensor = _message((1, FLOAT), (2, shape))
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
    """Encode a whole number of 0 or more: seven bits a byte, the lowest first."""
    rest, lowest = value >> 7, value & 127
    return bytes([lowest | 128]) + _varint(rest) if rest else bytes([lowest])
