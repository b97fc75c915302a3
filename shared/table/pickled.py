"""Writes values as a Python pickle, opcode by opcode.

Why not `pickle.dumps`: it looks up each class that it writes, and the classes that readers of a
table expect are not installed with us. Invariants: the same values always give the same bytes;
nothing is imported, and nothing is ever unpickled. Protocol 4, which Python reads since 3.4.
"""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass, field
from typing import Any

PROTOCOL = 4


@dataclass(frozen=True)
class Class:
    """A class by its module and name."""

    module: str
    name: str


@dataclass(frozen=True)
class Instance:
    """An object that its reader makes by `of.__new__(of, *args)` and, with a state, `__setstate__`."""

    of: Class
    args: tuple[Any, ...]
    state: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """An object that its reader makes by calling `of(*args)`."""

    of: Class
    args: tuple[Any, ...]


def pickled(value: Any) -> bytes:
    """The pickle of a value made of None, bool, int, str, tuple, list, dict and the classes above.

    Raises TypeError for anything else, and OverflowError for an int beyond 64 bits.
    """
    return pickle.PROTO + bytes([PROTOCOL]) + _opcodes(value) + pickle.STOP


def _opcodes(value: Any) -> bytes:
    """The opcodes that leave `value` on the reader's stack."""
    match value:
        case None:
            return pickle.NONE
        case bool():
            return pickle.NEWTRUE if value else pickle.NEWFALSE
        case int():
            return pickle.LONG1 + bytes([8]) + value.to_bytes(8, "little", signed=True)
        case str():
            raw = value.encode()
            return pickle.BINUNICODE + struct.pack("<I", len(raw)) + raw
        case tuple():
            return pickle.MARK + _all(value) + pickle.TUPLE
        case list():
            return pickle.EMPTY_LIST + pickle.MARK + _all(value) + pickle.APPENDS
        case dict():
            items = [part for item in value.items() for part in item]
            return pickle.EMPTY_DICT + pickle.MARK + _all(items) + pickle.SETITEMS
        case Class():
            return _opcodes(value.module) + _opcodes(value.name) + pickle.STACK_GLOBAL
        case Call():
            return _opcodes(value.of) + _opcodes(value.args) + pickle.REDUCE
        case Instance():
            made = _opcodes(value.of) + _opcodes(value.args) + pickle.NEWOBJ
            return made + _opcodes(value.state) + pickle.BUILD if value.state else made
    raise TypeError(f"{type(value).__name__} has no place in this pickle")


def _all(values: Any) -> bytes:
    return b"".join(map(_opcodes, values))
