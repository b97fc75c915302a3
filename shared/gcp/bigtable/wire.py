"""MutateRows requests from cells: which rows are encoded at a time, and which go together.

request  0a n table_name  entry*        (protobuf's wire format; shared.gcp.bigtable.entries has the rest)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from shared.gcp.bigtable.entries import field, node_entries, other_entries
from shared.gcp.bigtable.rows import bigtable_message
from shared.table.cells import Cells, NodeCells

MAX_MUTATIONS = 100_000
"""Bigtable takes no more mutations than this in one request."""

MAX_BYTES = 4_000_000
"""How much one request carries; a larger row goes alone."""

CELLS_AT_ONCE = 100_000
"""Cells that are encoded before the first of them are sent; most chunks have fewer."""


@dataclass(frozen=True)
class Rows:
    """What one request writes: `entries[i]`, encoded, is all there is for one row."""

    entries: list[bytes]

    def request(self, table: str) -> bytes:
        """The MutateRowsRequest for a table."""
        return b"".join([field(0x0A, table.encode()), *self.entries])

    def key(self, at: int) -> bytes:
        """The key of one row."""
        key: bytes = bigtable_message("MutateRowsRequest").FromString(self.entries[at]).entries[0].row_key
        return key

    def some(self, positions: Sequence[int]) -> Rows:
        """Only the rows at these positions."""
        return Rows([self.entries[at] for at in positions])


def deletions(keys: Sequence[bytes]) -> Rows:
    """The request that removes whole rows."""
    message = bigtable_message("MutateRowsRequest")
    entries = [{"row_key": key, "mutations": [{"delete_from_row": {}}]} for key in keys]
    return Rows([message(entries=[entry]).SerializeToString() for entry in entries])


def encode_rows(cells: Sequence[Cells], timestamp_us: int) -> Iterator[Rows]:
    """All cells in requests within the limits, rows by key: neighbours lie on the same server.

    The cells of one row are in one entry. Of many rows only some are encoded at a time. Rows of nodes come
    first: other rows have keys behind theirs, and none of them is in a NodeCells.
    """
    of_nodes = [part for part in cells if isinstance(part, NodeCells)]
    entries: list[bytes] = []
    counts: list[int] = []
    for some in _batches(of_nodes):
        yield from _cut(entries, counts)
        entries, counts = node_entries(some, timestamp_us)
    # The few others go with the last of them: a request costs a small chunk as much as a hundred rows.
    others, of_others = other_entries([part for part in cells if not isinstance(part, NodeCells)], timestamp_us)
    yield from _cut(entries + others, counts + of_others)


def _batches(parts: Sequence[NodeCells]) -> Iterator[Sequence[NodeCells]]:
    """All cells, by ranges of ids if there are many."""
    total = sum(len(part.nodes) for part in parts)
    if total <= CELLS_AT_ONCE:
        yield parts
        return
    # Between two of these no part has more than a step, so not even the ids are put together.
    step = max(1, CELLS_AT_ONCE // len(parts))
    cuts = np.unique(np.concatenate([part.nodes[::step] for part in parts]))
    before = sum(np.searchsorted(part.nodes, cuts) for part in parts).tolist()
    low = written = 0
    for cut, here, after in zip(cuts.tolist(), before, [*before[1:], total], strict=True):
        if after - written > CELLS_AT_ONCE:
            yield [part.between(low, cut) for part in parts]
            low, written = cut, here
    yield [part.between(low, None) for part in parts]


def _cut(entries: list[bytes], counts: list[int]) -> Iterator[Rows]:
    """Rows, with the number of cells in each, as requests."""
    if sum(counts) <= MAX_MUTATIONS and sum(map(len, entries)) <= MAX_BYTES:
        if entries:
            yield Rows(entries)
        return
    first = count = size = 0
    for at, (entry, row_count) in enumerate(zip(entries, counts, strict=True)):
        if at > first and (count + row_count > MAX_MUTATIONS or size + len(entry) > MAX_BYTES):
            yield Rows(entries[first:at])
            first, count, size = at, 0, 0
        count += row_count
        size += len(entry)
    yield Rows(entries[first:])
