"""Which node a supervoxel belongs to at each layer: parents looked up in the table, where they stand.

    supervoxel -> parent -> … -> root      by the newest `0:parents` of each row; a row without one is the end

Why not from hand-offs or a copy: a table is what servers read, and after proofreading no other says what is true.
Invariants: one column of rows by key is read, in bulk, and only of nodes that are asked for; what is remembered
takes the same memory however large the graph is. A link to a parent that was read stays as it was read; a node that
has none yet is asked for again, so a view of a run that goes on sees it grow.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from shared.errors import DataError, StateError
from shared.plan.ids import NO_IDS, IdLayout, Ids
from shared.run.ports import Row, Table
from shared.table.cells import node_keys
from shared.table.columns import CHILDREN, PARENT, Column
from shared.table.decode import decode_id, decode_ids

SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that the upper bits of a product with it depend on all bits of an id (Fibonacci hashing, Knuth)."""

MEMORY_BITS = 21
"""2^21 links are remembered, in 32 MiB."""

MOST_ROWS = 20_000
"""Rows that are read to count the supervoxels of one node; a few seconds of them."""


class Memory:
    """The parents of nodes, 2^`bits` at most: of two nodes that have the same slot the later one is kept."""

    def __init__(self, bits: int = MEMORY_BITS) -> None:
        self._shift = np.uint64(64 - bits)
        self._nodes, self._parents = np.zeros((2, 1 << bits), np.uint64)
        self._lock = threading.Lock()

    def get(self, nodes: Ids) -> Ids:
        """The parent of each node (n,), 0 where it is not known."""
        at = self._slots(nodes)
        with self._lock:
            found: Ids = np.where(self._nodes[at] == nodes, self._parents[at], np.uint64(0))
        return found

    def put(self, nodes: Ids, parents: Ids) -> None:
        """Remembers the parents of nodes, both (n,)."""
        at = self._slots(nodes)
        with self._lock:  # or another thread might find the one's parent under the other's name
            self._nodes[at], self._parents[at] = nodes, parents

    def _slots(self, nodes: Ids) -> Ids:
        slots: Ids = (nodes * SPREAD) >> self._shift
        return slots


@dataclass(frozen=True)
class Lineage:
    """Looks nodes of a graph up in its `table`; `name` is what people know that by."""

    table: Table
    ids: IdLayout
    name: str
    memory: Memory = field(default_factory=Memory)

    def parents(self, nodes: Ids) -> Ids:
        """The parent of each of the distinct nodes (n,), 0 for one that has none. DataError for a damaged cell."""
        found = self.memory.get(nodes)
        asked = nodes[(found == 0) & (self.ids.layers(nodes) < self.ids.layer_count)]
        pairs = [(int(row.key), self._parent(row)) for row in self._read(asked, PARENT)]
        if not pairs:
            return found
        known, above = np.array(pairs, np.uint64).T
        if (self.ids.layers(above) <= self.ids.layers(known)).any():
            wrong = known[self.ids.layers(above) <= self.ids.layers(known)][0]
            raise DataError(self.name, "-", f"row {wrong}: its parent is in no layer above its own")
        self.memory.put(known, above)
        # Rows come by key, so `known` is sorted.
        at = np.searchsorted(known, nodes).clip(max=len(known) - 1)
        answered: Ids = np.where(known[at] == nodes, above[at], found)
        return answered

    def lifted(self, supervoxels: Ids, layer: int) -> Ids:
        """For each of the distinct supervoxels (n,) the highest node above it that is not above `layer` (2 or
        more); 0 for one that has no row, or only when it is on its way into the table. At layer 1 it is itself."""
        found = supervoxels.copy()
        if layer < 2:
            return found
        rising = np.flatnonzero(self.ids.layers(found) == 1)
        while len(rising):
            nodes, back = np.unique(found[rising], return_inverse=True)
            above = self.parents(nodes)[back]
            goes = (above != 0) & (self.ids.layers(above) <= layer)
            rising = rising[goes]
            found[rising] = above[goes]
        found[self.ids.layers(found) == 1] = 0
        return found

    def chain(self, node: int) -> list[int]:
        """A node, its parent, and so on; the last one has no parent."""
        found = [node]
        while parent := int(self.parents(np.array([found[-1]], np.uint64))[0]):
            found.append(parent)
        return found

    def need(self, node: int) -> None:
        """StateError for a node that has no row."""
        if (
            not 0 < node < 1 << 64
            or next(iter(self.table.read_keys(node_keys(np.array([node], np.uint64)))), None) is None
        ):
            raise StateError(f"table {self.name} has no node {node}")

    def children(self, node: int) -> Ids:
        """The children of a node; none of a supervoxel."""
        row = next(self._read(np.array([node], np.uint64), CHILDREN), None)
        return NO_IDS if row is None else self._list(row)

    def supervoxels(self, node: int, most_rows: int = MOST_ROWS) -> tuple[int, bool]:
        """How many supervoxels a node has, and whether these are all: no more than `most_rows` are read for
        that."""
        if self.ids.chunk_of(node).layer == 1:
            return 1, True
        count, read, nodes = 0, 0, np.array([node], np.uint64)
        while len(nodes):
            lower: list[Ids] = []
            for row in self._read(nodes[: most_rows - read], CHILDREN):
                children = self._list(row)
                if len(children) and self.ids.layers(children[:1])[0] == 1:
                    count += len(children)
                else:
                    lower.append(children)
            if read + len(nodes) > most_rows:
                return count, False
            read += len(nodes)
            nodes = np.concatenate(lower) if lower else NO_IDS
        return count, True

    def a_supervoxel(self, node: int) -> int:
        """One of a node's supervoxels, from about the middle of its lists of children; StateError if it has
        none."""
        found = node
        while self.ids.chunk_of(found).layer > 1:
            children = self.children(found)
            if not len(children):
                raise StateError(f"table {self.name} has no node {found}, or no children of it")
            found = int(children[len(children) // 2])
        return found

    def _read(self, nodes: Ids, column: Column) -> Iterator[Row]:
        yield from self.table.read_keys(node_keys(nodes), column)

    def _parent(self, row: Row) -> int:
        try:
            return decode_id(row.cells[str(PARENT)])
        except ValueError as error:
            raise DataError(self.name, "-", f"row {row.key.decode()}: {PARENT}: {error}") from error

    def _list(self, row: Row) -> Ids:
        try:
            return decode_ids(row.cells[str(CHILDREN)])
        except ValueError as error:
            raise DataError(self.name, "-", f"row {row.key.decode()}: {CHILDREN}: {error}") from error
