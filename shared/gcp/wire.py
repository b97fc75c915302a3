"""MutateRows requests in protobuf's wire format, straight from cells: the hot path of every write.

    request  0a n table_name  (12 n entry)*
    entry    0a n row_key     (12 n mutation)*
    mutation 0a n set_cell
    set_cell 0a n family  12 n qualifier  18 time (us)  22 n value

All that stands around a value is the same for all values of one length in a column, and all that
stands before a row key for all rows of one size; each is made once. Why not protobuf's own classes:
they take 5 us a row, this less than 1. A property test compares with what they read and write.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from shared.table.cells import Cells, NodeCells
from shared.table.columns import Column

MAX_MUTATIONS = 100_000
"""Bigtable takes no more mutations than this in one request."""

MAX_BYTES = 4_000_000
"""How much one request carries; a larger row goes alone."""

CELLS_AT_ONCE = 100_000
"""Cells that are encoded before the first of them are sent; most chunks have fewer."""

OVERHEAD = 12
"""At most what the tags and lengths of an entry take."""


@dataclass(frozen=True)
class Rows:
    """What one request writes: `mutations[i]`, encoded, is all there is for row `keys[i]`."""

    keys: list[bytes]
    mutations: list[bytes]

    def request(self, table: str) -> bytes:
        """The MutateRowsRequest for a table."""
        before = _BeforeKey()
        starts = [before[len(key), len(row)] for key, row in zip(self.keys, self.mutations, strict=True)]
        entries = zip(starts, self.keys, self.mutations, strict=True)
        return b"".join([_field(0x0A, table.encode()), *itertools.chain.from_iterable(entries)])

    def some(self, positions: Sequence[int]) -> Rows:
        """Only the rows at these positions."""
        return Rows([self.keys[at] for at in positions], [self.mutations[at] for at in positions])


def encode_rows(cells: Sequence[Cells], timestamp_us: int) -> Iterator[Rows]:
    """All cells in requests within the limits, rows by key: neighbours lie on the same server.

    The cells of one row are in one entry. Of many rows only some are encoded at a time.
    """
    for some in _batches(cells):
        yield from _encode(some, timestamp_us)


def _batches(cells: Sequence[Cells]) -> Iterator[Sequence[Cells]]:
    """All cells, but those of nodes by ranges of ids if there are many; other rows have keys behind theirs."""
    of_nodes = [part for part in cells if isinstance(part, NodeCells)]
    if sum(len(part.nodes) for part in of_nodes) <= CELLS_AT_ONCE:
        yield cells
        return
    ids = np.sort(np.concatenate([part.nodes for part in of_nodes]))
    cuts = np.unique(ids[CELLS_AT_ONCE::CELLS_AT_ONCE]).tolist()
    for low, high in itertools.pairwise([0, *cuts, None]):
        yield [part.between(low or 0, high) for part in of_nodes]
    yield [part for part in cells if not isinstance(part, NodeCells)]


def _encode(cells: Sequence[Cells], timestamp_us: int) -> Iterator[Rows]:
    mutations, more = _mutations(cells, timestamp_us)
    keys = sorted(mutations)
    rows = Rows(keys, [mutations[key] for key in keys])
    ends = [len(keys)] if _fits(rows, len(keys) + sum(more.values())) else _ends(rows, more)
    for start, end in itertools.pairwise([0, *ends]):
        if end > start:
            yield Rows(keys[start:end], rows.mutations[start:end])


def _fits(rows: Rows, cells: int) -> bool:
    """Whether rows with so many cells are within the limits of one request, as most chunks are."""
    size = sum(map(len, rows.keys)) + sum(map(len, rows.mutations)) + OVERHEAD * len(rows.keys)
    return cells <= MAX_MUTATIONS and size <= MAX_BYTES


def _ends(rows: Rows, more: dict[bytes, int]) -> Iterator[int]:
    """Where each request ends; `more` as `_mutations` gives it."""
    count = size = 0
    for at, (key, row) in enumerate(zip(rows.keys, rows.mutations, strict=True)):
        row_count, row_size = 1 + more.get(key, 0), OVERHEAD + len(key) + len(row)
        if count and (count + row_count > MAX_MUTATIONS or size + row_size > MAX_BYTES):
            yield at
            count = size = 0
        count += row_count
        size += row_size
    yield len(rows.keys)


def _mutations(cells: Sequence[Cells], timestamp_us: int) -> tuple[dict[bytes, bytes], dict[bytes, int]]:
    """The encoded mutations of each row, and how many more than one it has, where it has more."""
    rows: dict[bytes, bytes] = {}
    more: dict[bytes, int] = {}
    for part in cells:
        before = _BeforeValue(part.column, timestamp_us)
        values = [before[len(value)] + value for value in part.values]
        new = dict(zip(part.keys, values, strict=True))
        for key in rows.keys() & new.keys():
            new[key] = rows[key] + new[key]
            more[key] = more.get(key, 0) + 1
        rows.update(new)
    return rows, more


class _BeforeValue(dict[int, bytes]):
    """By length of a value: what stands before it in a mutation of one column and time."""

    def __init__(self, column: Column, timestamp_us: int) -> None:
        family, qualifier = _field(0x0A, column.family.encode()), _field(0x12, column.qualifier)
        self._same = family + qualifier + b"\x18" + _varint(timestamp_us)

    def __missing__(self, length: int) -> bytes:
        # Protobuf's own encoder leaves out a default too, and a reader takes it as such either way.
        cell = self._same + (b"\x22" + _varint(length) if length else b"")
        mutation = b"\x0a" + _varint(len(cell) + length) + cell
        self[length] = found = b"\x12" + _varint(len(mutation) + length) + mutation
        return found


class _BeforeKey(dict[tuple[int, int], bytes]):
    """By length of a row key and size of its mutations: what stands before the key in a request."""

    def __missing__(self, lengths: tuple[int, int]) -> bytes:
        key, row = lengths
        start = b"\x0a" + _varint(key)
        self[lengths] = found = b"\x12" + _varint(len(start) + key + row) + start
        return found


def _field(tag: int, data: bytes) -> bytes:
    return bytes([tag]) + _varint(len(data)) + data


@lru_cache(maxsize=1 << 14)
def _varint(number: int) -> bytes:
    groups = []
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])
