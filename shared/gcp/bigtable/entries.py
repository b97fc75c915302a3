"""Rows in protobuf's wire format, straight from cells: the hot path of every write.

    entry    12 n  0a n row_key  (12 n mutation)*
    mutation 0a n  set_cell
    set_cell 0a n family  12 n qualifier  18 time (us)  22 n value

All that stands around a value is the same for all values of one length in a column, and all that
stands before a row key for all rows of one size; each is made once. Most rows are alike, with cells of the
same columns and lengths: those are made together, as a table of bytes with a line for each. Why not
protobuf's own classes: they take 5 us a row, this less than 1. A property test compares with what they write.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.plan.ids import Ids
from shared.table.cells import STORED, Cells, Index, NodeCells, key_digits
from shared.table.columns import Column
from shared.table.frames import stored_head

FEW = 24
"""So few rows of one shape are quicker made one by one."""

KINDS = (len(stored_head(STORED)) + STORED + 7) // 8 + 1
"""A row has no cell of a part, or an id, or a list of so many ids that is stored as it is: by length in words."""
MOST_PARTS = 24
"""So many parts have a digit of base KINDS each in 63 bits."""
PRIME = 65_521
"""Shapes are sorted by their remainder, in 16 bits."""

Entries = tuple[list[bytes], list[int]]
"""Encoded rows by key, and how many cells each has."""


def node_entries(parts: Sequence[NodeCells], timestamp_us: int) -> Entries:
    """The rows of nodes, each with its cells of all parts."""
    if not parts:
        return [], []
    rows, cells = _rows(parts)
    keys = key_digits(rows)
    entries = np.empty(len(rows), dtype=object)
    left = np.ones(len(rows), dtype=bool)
    lengths = [part.lengths for part in parts]
    known = list(zip(parts, cells, lengths, strict=True))
    for same in _alike(lengths, cells, len(rows)):
        entries[same] = _table(known, timestamp_us, keys[same], same)
        left[same] = False
    mutations: dict[int, bytes] = {}
    for part, at in zip(parts, cells, strict=True):
        before = _before_value(part.column, timestamp_us)
        these = np.flatnonzero(left[at])
        for row, value in zip(at[these].tolist(), part.encoded(these), strict=True):
            mutations[row] = mutations.get(row, b"") + before[len(value)] + value
    positions = list(mutations)
    for row, key in zip(positions, keys[positions].view("S20").ravel().tolist(), strict=True):
        entries[row] = _entry(key, mutations[row])
    return entries.tolist(), np.bincount(np.concatenate(cells)).tolist()


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


def _rows(parts: Sequence[NodeCells]) -> tuple[Ids, list[Index]]:
    """The rows of all parts, by id; for each part which of them its cells are in, in order."""
    every = np.concatenate([part.nodes for part in parts])
    order = np.argsort(every, kind="stable")
    ids = every[order]
    new = np.ones(len(ids), dtype=bool)
    new[1:] = ids[1:] != ids[:-1]
    row = np.empty(len(ids), dtype=np.int64)
    row[order] = np.cumsum(new) - 1
    ends = itertools.accumulate((len(part.nodes) for part in parts), initial=0)
    return ids[new], [row[low:high] for low, high in itertools.pairwise(ends)]


def _alike(lengths: Sequence[Index], cells: Sequence[Index], count: int) -> Iterator[Index]:
    """Rows with cells of the same parts and lengths, where these are known and the rows are not few."""
    shape = np.zeros(count, dtype=np.int64)
    unknown = np.zeros(count, dtype=bool)
    for number, (length, at) in enumerate(zip(lengths, cells, strict=True)):
        unknown[at] |= (length == 0) | (number >= MOST_PARTS)
        shape[at] += (length + 7) // 8 * KINDS ** (number % MOST_PARTS)
    shape[unknown] = -1
    # Sixteen bits are sorted in one pass; shapes with the same ones are told apart by looking.
    short = (shape % PRIME).astype(np.uint16)
    order = np.argsort(short, kind="stable")
    bounds = [0, *(np.flatnonzero(short[order[1:]] != short[order[:-1]]) + 1).tolist(), count]
    for low, high in itertools.pairwise(bounds):
        if high - low >= FEW:
            same = order[low:high]
            if shape[same[0]] >= 0 and (shape[same] == shape[same[0]]).all():
                yield same


def _table(
    parts: Sequence[tuple[NodeCells, Index, Index]], timestamp_us: int, keys: npt.NDArray[np.uint8], rows: Index
) -> npt.NDArray[Any]:
    """The entries of rows that are alike, with these keys; of each part it takes its cells' rows and lengths."""
    pieces: list[npt.NDArray[np.uint8]] = []
    for part, at, lengths in parts:
        first = at.searchsorted(rows[0])
        if first < len(at) and at[first] == rows[0]:
            values = part.block(at.searchsorted(rows), int(lengths[first]))
            before = _before_value(part.column, timestamp_us)[values.shape[1]]
            pieces += [np.frombuffer(before, np.uint8), values]
    head = _before_key(keys.shape[1], sum(piece.shape[-1] for piece in pieces))
    pieces = [np.frombuffer(head, np.uint8), keys, *pieces]
    width = sum(piece.shape[-1] for piece in pieces)
    lines, end = np.empty((len(rows), width), np.uint8), 0
    for piece in pieces:
        start, end = end, end + piece.shape[-1]
        lines[:, start:end] = piece
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
