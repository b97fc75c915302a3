"""Rows in protobuf's wire format, straight from cells: the hot path of every write.

    entry    12 n  0a n row_key  (12 n mutation)*
    mutation 0a n  set_cell
    set_cell 0a n family  12 n qualifier  18 time (us)  22 n value

All that stands around a value is the same for all values of one length in a column, and all that
stands before a row key for all rows of one size; each is made once. Most rows have one cell of a
known length: those are made together, as a table of bytes with a line for each. Why not protobuf's
own classes: they take 5 us a row, this less than 1. A property test compares with what they write.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.plan.ids import Ids
from shared.table.cells import Cells, Index, NodeCells, key_digits, node_keys
from shared.table.columns import Column

FEW = 8
"""So few rows of one length are quicker made one by one."""

Entries = tuple[list[bytes], list[int]]
"""Encoded rows by key, and how many cells each has."""


def node_entries(parts: Sequence[NodeCells], timestamp_us: int) -> Entries:
    """The rows of nodes, each with its cells of all parts."""
    if not parts:
        return [], []
    rows, cells, counts = _rows(parts)
    entries = np.empty(len(rows), dtype=object)
    alone = counts == 1
    left: list[Index] = []
    for part, at in zip(parts, cells, strict=True):
        lengths = part.lengths * alone[at]
        for length in np.flatnonzero(np.bincount(lengths) >= FEW).tolist():
            if length:
                same = np.flatnonzero(lengths == length)
                table = _table(part.column, timestamp_us, part.nodes[same], part.block(same, length))
                entries[at[same]] = table
                lengths[same] = -1
        left.append(np.flatnonzero(lengths >= 0))
    mutations: dict[int, bytes] = {}
    for part, at, these in zip(parts, cells, left, strict=True):
        before = _before_value(part.column, timestamp_us)
        for row, value in zip(at[these].tolist(), part.encoded(these), strict=True):
            mutations[row] = mutations.get(row, b"") + before[len(value)] + value
    positions = list(mutations)
    for row, key in zip(positions, node_keys(rows[positions]), strict=True):
        entries[row] = _entry(key, mutations[row])
    return entries.tolist(), counts.tolist()


def other_entries(parts: Sequence[Cells], timestamp_us: int) -> Entries:
    """The rows of any cells, by key."""
    mutations: dict[bytes, bytes] = {}
    counts: dict[bytes, int] = {}
    for part in parts:
        before = _before_value(part.column, timestamp_us)
        for key, value in zip(part.keys, part.values, strict=True):
            mutations[key] = mutations.get(key, b"") + before[len(value)] + value
            counts[key] = counts.get(key, 0) + 1
    keys = sorted(mutations)
    return [_entry(key, mutations[key]) for key in keys], [counts[key] for key in keys]


def _rows(parts: Sequence[NodeCells]) -> tuple[Ids, list[Index], Index]:
    """The rows of all parts, by id; for each part which of them its cells are in; the cells of each row."""
    every = np.concatenate([part.nodes for part in parts])
    order = np.argsort(every, kind="stable")
    ids = every[order]
    new = np.ones(len(ids), dtype=bool)
    new[1:] = ids[1:] != ids[:-1]
    row = np.empty(len(ids), dtype=np.int64)
    row[order] = np.cumsum(new) - 1
    ends = itertools.accumulate((len(part.nodes) for part in parts), initial=0)
    cells = [row[low:high] for low, high in itertools.pairwise(ends)]
    return ids[new], cells, np.bincount(row)


def _table(column: Column, timestamp_us: int, nodes: Ids, values: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """The entries of rows with one cell each, whose values (n, length) are equally long."""
    keys = key_digits(nodes)
    before = _before_value(column, timestamp_us)[values.shape[1]]
    pieces = (_before_key(keys.shape[1], len(before) + values.shape[1]), keys, before, values)
    columns = [np.frombuffer(piece, np.uint8) if isinstance(piece, bytes) else piece for piece in pieces]
    width = sum(part.shape[-1] for part in columns)
    lines, at = np.empty((len(nodes), width), np.uint8), 0
    for part in columns:
        lines[:, at : at + part.shape[-1]] = part
        at += part.shape[-1]
    return lines.view(f"V{width}").ravel().astype(object)


def _entry(key: bytes, mutations: bytes) -> bytes:
    return _before_key(len(key), len(mutations)) + key + mutations


@lru_cache(maxsize=64)
def _before_value(column: Column, timestamp_us: int) -> _BeforeValue:
    return _BeforeValue(column, timestamp_us)


class _BeforeValue(dict[int, bytes]):
    """By length of a value: what stands before it in a mutation of one column and time."""

    def __init__(self, column: Column, timestamp_us: int) -> None:
        family, qualifier = field(0x0A, column.family.encode()), field(0x12, column.qualifier)
        self._same = family + qualifier + b"\x18" + varint(timestamp_us)

    def __missing__(self, length: int) -> bytes:
        # Protobuf's own encoder leaves out a default too, and a reader takes it as such either way.
        cell = self._same + (b"\x22" + varint(length) if length else b"")
        mutation = b"\x0a" + varint(len(cell) + length) + cell
        self[length] = found = b"\x12" + varint(len(mutation) + length) + mutation
        return found


@lru_cache(maxsize=1 << 14)
def _before_key(key: int, mutations: int) -> bytes:
    """What stands before a row key of this length, in a row whose mutations take so many bytes."""
    start = b"\x0a" + varint(key)
    return b"\x12" + varint(len(start) + key + mutations) + start


def field(tag: int, data: bytes) -> bytes:
    """A field of bytes."""
    return bytes([tag]) + varint(len(data)) + data


@lru_cache(maxsize=1 << 14)
def varint(number: int) -> bytes:
    """A number from 0, seven bits a byte."""
    groups = []
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])
