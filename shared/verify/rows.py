"""The rows of one chunk's nodes as arrays, with everything that can be judged row by row judged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.chunks.labels import Flags, Index
from shared.plan.grid import Chunk
from shared.plan.ids import NO_IDS, Ids
from shared.plan.plan import Plan
from shared.table.columns import CHILDREN, CROSS_EDGES, PARENT
from shared.table.scan import CellScan, Scan
from shared.verify.findings import Findings

_EDGES = re.compile(r"(3:atomic_cross_edges|4:cross_edges)_([1-9]\d?)")
BYTES_AT_ONCE = 1 << 22
"""Of cells of family 4 that are looked at together."""
NO_PAIRS = np.zeros((0, 2), np.uint64)


@dataclass(frozen=True)
class EdgeRows:
    """Cells of edges, side by side: for row i of `pairs` (n, 2) the node and the cross layer it is under."""

    nodes: Ids
    layers: npt.NDArray[np.uint8]
    pairs: Ids

    @classmethod
    def joined(cls, parts: list[EdgeRows]) -> EdgeRows:
        """The rows of several, one after the other."""
        return cls(
            np.concatenate([NO_IDS, *(part.nodes for part in parts)]),
            np.concatenate([np.zeros(0, np.uint8), *(part.layers for part in parts)]),
            np.concatenate([NO_PAIRS, *(part.pairs for part in parts)]),
        )

    def take(self, rows: Flags | Index) -> EdgeRows:
        """Some of the rows, by flags or positions."""
        return EdgeRows(self.nodes[rows], self.layers[rows], self.pairs[rows])


@dataclass(frozen=True)
class NodeRows:
    """The nodes of one chunk and layer, sorted; `parents[i]` is the parent of `nodes[i]`, 0 without one; `children`
    and `child_of` are the pairs of all children cells; `atomic` are the edges of layer-2 nodes."""

    nodes: Ids
    parents: Ids
    children: Ids
    child_of: Ids
    atomic: EdgeRows


def read_nodes(plan: Plan, chunk: Chunk, scan: Scan, findings: Findings) -> NodeRows:
    """The rows of `chunk` (layer 1 stands for its supervoxels), each checked by itself.

    A row with a damaged cell counts as none. Family 4 is looked at where its edges' ends are known
    (`read_lifted`).
    """
    for key in scan.odd:
        findings.complain(key.decode(errors="replace"), "is in no chunk of the grid")
    low = plan.ids.chunk_id(chunk)
    inside = (scan.nodes >= np.uint64(low)) & (
        scan.nodes < np.uint64(low + (1 << plan.ids.segment_bits(chunk.layer)))
    )
    findings.each(scan.nodes[~inside], "is in no chunk of the grid")
    good = inside.copy()
    parents = np.zeros(len(scan.nodes), np.uint64)
    if cell := scan.cells.get(str(PARENT)):
        found, wrong = cell.ids()
        parents[cell.rows] = found
        _damaged(scan, cell, wrong, good, findings)
        if chunk.layer == plan.grid.layer_count:
            findings.each(scan.nodes[cell.rows], "is a root, but has a parent")
    counts = np.zeros(len(scan.nodes), np.int64)
    children, child_of = NO_IDS, NO_IDS
    lists: tuple[Ids, Index] | None = None
    if cell := scan.cells.get(str(CHILDREN)):
        flat, starts, wrong = cell.lists()
        counts[cell.rows] = np.diff(starts)
        _damaged(scan, cell, wrong, good, findings)
        lists = flat, np.repeat(cell.rows, np.diff(starts))
    atomic = _edges(plan, chunk, scan, good, findings)
    has = counts > 0
    if chunk.layer == 1:
        findings.each(scan.nodes[good & has], "is a supervoxel with children")
    else:
        findings.each(scan.nodes[good & ~has], "has no children")
    if lists is not None:
        flat, rows = lists
        kept = good[rows]
        children, child_of = flat[kept], scan.nodes[rows[kept]]
        disordered = (children[1:] <= children[:-1]) & (child_of[1:] == child_of[:-1])
        findings.each(child_of[1:][disordered], "has children that are not in ascending order, or one twice")
    kept = good[np.searchsorted(scan.nodes, atomic.nodes)] if len(atomic.nodes) else np.zeros(0, bool)
    rows_of = NodeRows(
        scan.nodes[good],
        parents[good],
        children,
        child_of,
        atomic.take(kept),
    )
    _check_atomic(plan, rows_of, findings)
    return rows_of


def read_parents(scan: Scan) -> Ids:
    """The parent of each node; 0 where there is none, or it is damaged, which is told with the node's own chunk."""
    parents = np.zeros(len(scan.nodes), np.uint64)
    if cell := scan.cells.get(str(PARENT)):
        parents[cell.rows] = cell.ids()[0]
    return parents


@dataclass(frozen=True)
class LiftedRows:
    """The edges of family 4 under one cross layer, of all nodes from `low` on that are below `high`: nodes and far
    ends, sorted."""

    cross: int
    low: int
    high: int
    nodes: Ids
    far: Ids


def read_lifted(plan: Plan, layer: int, scan: Scan, findings: Findings) -> Iterator[LiftedRows]:
    """The edges of family 4 of nodes of `layer`, some at a time, as a large parent has millions: of all nodes there
    can be, for each column that there is. Only edges that start at their own row, and are under a layer that they
    can have; rows with damaged cells count as without. It has to be taken to its end for all complaints."""
    for column, whole in scan.cells.items():
        if not column.startswith(f"{CROSS_EDGES.name}:"):
            continue
        match = _EDGES.fullmatch(column)
        if match is None or plan.schema != 3:
            findings.each(scan.nodes[whole.rows], f"has the column {column}, which does not belong there")
            continue
        cross = int(match[2])
        parts = whole.parts(BYTES_AT_ONCE)
        firsts = scan.nodes[[part.rows[0] for part in parts]].tolist()
        for cell, low, high in zip(parts, [0, *firsts[1:]], [*firsts[1:], 1 << 64], strict=True):
            nodes, far = _own(
                plan, layer, _pairs(scan, cell, cross, np.ones(len(scan.nodes), bool), findings), findings
            )
            if layer <= cross < plan.grid.layer_count:
                yield LiftedRows(cross, low, high, nodes, far)
            else:
                findings.each(nodes, "has cross edges under a layer that is none of its own")


def _own(plan: Plan, layer: int, edges: EdgeRows, findings: Findings) -> tuple[Ids, Ids]:
    """Nodes of `layer` and far ends of those edges that start at their own row, sorted; complains of the others,
    and of edges that stand there twice. Those of lower layers were compared with the chunk above theirs."""
    kept = np.flatnonzero(plan.ids.layers(edges.nodes) == layer)
    order = kept[np.lexsort((edges.pairs[kept, 1], edges.nodes[kept]))]
    nodes, near, far = edges.nodes[order], edges.pairs[order, 0], edges.pairs[order, 1]
    starts = near == nodes
    twice = (near[1:] == near[:-1]) & (far[1:] == far[:-1])
    findings.each(nodes[~starts], "has a cross edge that starts at another node")
    findings.each(nodes[1:][twice], "has a cross edge twice")
    return (nodes, far) if starts.all() else (nodes[starts], far[starts])


def _damaged(scan: Scan, cell: CellScan, wrong: dict[int, str], good: Flags, findings: Findings) -> None:
    for at, reason in wrong.items():
        row = cell.rows[at]
        good[row] = False
        findings.complain(f"{scan.nodes[row]:020d}", f"holds a damaged value: {reason}")


def _edges(plan: Plan, chunk: Chunk, scan: Scan, good: Flags, findings: Findings) -> EdgeRows:
    """The edges of family 3; complains of columns that do not belong into these rows."""
    parts = []
    lifted = plan.schema == 3 and 2 <= chunk.layer < plan.grid.layer_count
    for column, cell in scan.cells.items():
        if column in (str(PARENT), str(CHILDREN)):
            continue
        match = _EDGES.fullmatch(column)
        if match is not None and column[0] == "3" and chunk.layer == 2:
            parts.append(_pairs(scan, cell, int(match[2]), good, findings))
        elif not (lifted and column.startswith(f"{CROSS_EDGES.name}:")):
            rows = cell.rows[good[cell.rows]]
            findings.each(scan.nodes[rows], f"has the column {column}, which does not belong there")
    return EdgeRows.joined(parts)


def _pairs(scan: Scan, cell: CellScan, layer: int, good: Flags, findings: Findings) -> EdgeRows:
    """The edges of one column."""
    flat, starts, wrong = cell.lists()
    counts = np.diff(starts)
    wrong |= {at: f"{counts[at]} ids, not a whole number of pairs" for at in np.flatnonzero(counts % 2).tolist()}
    _damaged(scan, cell, wrong, good, findings)
    if (counts % 2).any():
        flat = flat[np.repeat(counts % 2 == 0, counts)]
        counts = np.where(counts % 2, 0, counts)
    nodes = np.repeat(scan.nodes[cell.rows], counts // 2)
    return EdgeRows(nodes, np.full(len(nodes), layer, np.uint8), flat.reshape(-1, 2))


def _check_atomic(plan: Plan, rows: NodeRows, findings: Findings) -> None:
    """Atomic edges start at a child of their node, and lead across the layer they are under."""
    edges = rows.atomic
    if not len(edges.nodes):
        return
    starts = np.zeros(len(edges.nodes), bool)
    if len(rows.children):
        order = np.argsort(rows.children)
        at = np.minimum(np.searchsorted(rows.children, edges.pairs[:, 0], sorter=order), len(order) - 1)
        starts = (rows.children[order[at]] == edges.pairs[:, 0]) & (rows.child_of[order[at]] == edges.nodes)
    near, far = (plan.ids.coords(edges.pairs[:, side], 1) for side in (0, 1))
    shift = (edges.layers.astype(np.int64) - 2)[:, None]
    apart = ((near >> shift) != (far >> shift)).any(axis=1)
    above = ((near >> shift + 1) != (far >> shift + 1)).any(axis=1)
    findings.each(edges.nodes[~starts], "has a cross edge that starts at no child of it")
    findings.each(edges.nodes[~apart | above], "has an edge under another cross layer than its own")
