"""One chunk's rows as arrays, with everything that can be judged inside the chunk judged."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from shared.chunks.labels import Flags, Index
from shared.plan.grid import Chunk
from shared.plan.ids import NO_IDS, Ids
from shared.plan.plan import Plan
from shared.run.ports import Row
from shared.table.decode import decode_id, decode_ids, decode_pairs

_EDGES = re.compile(r"(3:atomic_cross_edges|4:cross_edges)_([1-9]\d?)")
_NO_PAIRS = np.zeros((0, 2), np.uint64)

Complain = Callable[[str, str], None]
"""Takes a row key and what is wrong with it."""


@dataclass(frozen=True)
class EdgeRows:
    """Cells of edges, side by side: for row i of `pairs` (n, 2) the node and the cross layer it is under."""

    nodes: Ids
    layers: Ids
    pairs: Ids

    @classmethod
    def joined(cls, parts: list[EdgeRows]) -> EdgeRows:
        """The rows of several, one after the other."""
        return cls(
            np.concatenate([part.nodes for part in parts]),
            np.concatenate([part.layers for part in parts]),
            np.concatenate([part.pairs for part in parts]),
        )

    def take(self, rows: Flags | Index) -> EdgeRows:
        """Some of the rows, by flags or positions."""
        return EdgeRows(self.nodes[rows], self.layers[rows], self.pairs[rows])


@dataclass(frozen=True)
class ChunkRows:
    """The nodes of one chunk and layer.

    `parents[i]` is the parent of `nodes[i]`, 0 without one; `children` and `child_of` are the pairs
    of all children cells; `atomic` has the edges of layer-2 nodes, `lifted` those of family 4 that
    start at their own row and are under a layer that they can have.
    """

    nodes: Ids
    parents: Ids
    children: Ids
    child_of: Ids
    atomic: EdgeRows
    lifted: EdgeRows

    def masks(self) -> Ids:
        """For each node the cross layers of its atomic edges, as bits."""
        masks = np.zeros(len(self.nodes), np.uint64)
        at = np.searchsorted(self.nodes, self.atomic.nodes)
        np.bitwise_or.at(masks, at, np.uint64(1) << self.atomic.layers)
        return masks


class _Collector:
    """Gathers cells of edges while rows are read."""

    def __init__(self) -> None:
        self.nodes: list[int] = []
        self.layers: list[int] = []
        self.pairs: list[Ids] = []

    def add(self, node: int, layer: int, pairs: Ids) -> None:
        self.nodes.append(node)
        self.layers.append(layer)
        self.pairs.append(pairs)

    def rows(self) -> EdgeRows:
        counts = [len(pairs) for pairs in self.pairs]
        return EdgeRows(
            np.repeat(np.array(self.nodes, np.uint64), counts),
            np.repeat(np.array(self.layers, np.uint64), counts),
            np.concatenate([_NO_PAIRS, *self.pairs]),
        )


def read_nodes(plan: Plan, chunk: Chunk, rows: Iterable[Row], complain: Complain) -> ChunkRows:
    """The rows of `chunk` (layer 1 stands for its supervoxels), each checked by itself."""
    low = plan.ids.chunk_id(chunk)
    high = low + (1 << plan.ids.segment_bits(chunk.layer))
    nodes, parents = [], []
    children: list[Ids] = [NO_IDS]
    child_of: list[int] = []
    found = {"3": _Collector(), "4": _Collector()}
    for row in rows:
        key = row.key.decode(errors="replace")
        node = int(key) if re.fullmatch(r"\d{20}", key) else -1
        if not low <= node < high:
            complain(key, "is in no chunk of the grid")
            continue
        try:
            parent = decode_id(row.cells["0:parents"]) if "0:parents" in row.cells else 0
            own = decode_ids(row.cells["0:children"]) if "0:children" in row.cells else NO_IDS
            for column in row.cells.keys() - {"0:parents", "0:children"}:
                match = _EDGES.fullmatch(column)
                if match is None or not _belongs(plan, chunk, column[0]):
                    complain(key, f"has the column {column}, which does not belong there")
                else:
                    found[column[0]].add(node, int(match[2]), decode_pairs(row.cells[column]))
        except ValueError as error:
            complain(key, f"holds a damaged value: {error}")
            continue
        if (len(own) > 0) == (chunk.layer == 1):
            complain(key, "is a supervoxel with children" if chunk.layer == 1 else "has no children")
        if (own[1:] <= own[:-1]).any():
            complain(key, "has children that are not in ascending order, or one twice")
        nodes.append(node)
        parents.append(parent)
        children.append(own)
        child_of.append(len(own))
    ids = np.array(nodes, np.uint64)
    result = ChunkRows(
        ids,
        np.array(parents, np.uint64),
        np.concatenate(children),
        np.repeat(ids, np.array(child_of, np.int64)),
        found["3"].rows(),
        _check_lifted(plan, chunk, found["4"].rows(), complain),
    )
    _check_atomic(plan, result, complain)
    return result


def _belongs(plan: Plan, chunk: Chunk, family: str) -> bool:
    """Whether nodes of the chunk's layer may have edges of this family."""
    if family == "3":
        return chunk.layer == 2
    return plan.schema == 3 and 2 <= chunk.layer < plan.grid.layer_count


def _check_atomic(plan: Plan, rows: ChunkRows, complain: Complain) -> None:
    """Atomic edges start at a child of their node, and lead across the layer they are under."""
    edges = rows.atomic
    if not len(edges.nodes):
        return
    order = np.argsort(rows.children)
    at = np.minimum(np.searchsorted(rows.children, edges.pairs[:, 0], sorter=order), len(order) - 1)
    starts = (rows.children[order[at]] == edges.pairs[:, 0]) & (rows.child_of[order[at]] == edges.nodes)
    near, far = (plan.ids.coords(edges.pairs[:, side], 1) for side in (0, 1))
    shift = (edges.layers.astype(np.int64) - 2)[:, None]
    apart = ((near >> shift) != (far >> shift)).any(axis=1)
    above = ((near >> shift + 1) != (far >> shift + 1)).any(axis=1)
    _complain_each(edges.nodes[~starts], "has a cross edge that starts at no child of it", complain)
    _complain_each(edges.nodes[~apart | above], "has an edge under another cross layer than its own", complain)


def _check_lifted(plan: Plan, chunk: Chunk, edges: EdgeRows, complain: Complain) -> EdgeRows:
    """Family 4 edges start at their own row, once each, and are under a layer that they can have.

    Those that are and do; whether they lead where they should shows when both ends are known.
    """
    possible = (edges.layers >= chunk.layer) & (edges.layers < plan.grid.layer_count)
    starts = edges.pairs[:, 0] == edges.nodes
    order = np.lexsort((edges.pairs[:, 1], edges.nodes, edges.layers))
    edges, possible, starts = edges.take(order), possible[order], starts[order]
    twice = (edges.pairs[1:] == edges.pairs[:-1]).all(axis=1) & (edges.layers[1:] == edges.layers[:-1])
    _complain_each(edges.nodes[~starts], "has a cross edge that starts at another node", complain)
    _complain_each(edges.nodes[~possible], "has cross edges under a layer that is none of its own", complain)
    _complain_each(edges.nodes[1:][twice], "has a cross edge twice", complain)
    return edges.take(possible & starts)


def _complain_each(nodes: Ids, reason: str, complain: Complain) -> None:
    for node in np.unique(nodes).tolist():
        complain(f"{node:020d}", reason)
