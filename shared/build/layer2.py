"""The build of a layer-2 chunk: supervoxels and edges in, nodes and what leaves the chunk out.

Nodes are the connected components of the chunk's supervoxels under active in_chunk edges, numbered
by their smallest supervoxel. A node that no active edge leaves is final: it gets its root here.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from shared.build.active import ActiveEdges, Pairs
from shared.build.emit import Built, counter_cells, edge_cells, final_cells, node_cells
from shared.build.handoff import Face, HandOff
from shared.build.labels import Flags, Index, connected_labels, places, unique_rows
from shared.plan.grid import Chunk, cross_layer
from shared.plan.ids import Ids
from shared.plan.plan import Plan
from shared.table.cells import Cells
from shared.table.columns import atomic_cross_edges


def build_layer2(plan: Plan, chunk: Chunk, active: ActiveEdges) -> Built:
    """The rows and the hand-off of a layer-2 chunk; RangeOverflow if its ids do not fit."""
    supervoxels = active.supervoxels
    labels = connected_labels(len(supervoxels), places(supervoxels, active.inside))
    count = int(labels.max(initial=-1)) + 1
    is_root_layer = chunk.layer == plan.grid.layer_count
    nodes = plan.roots.root_ids(chunk, count) if is_root_layer else plan.ids.node_ids(chunk, 1, count)

    near = {face: labels[np.searchsorted(supervoxels, pairs[:, 0])] for face, pairs in active.outside.items()}
    waits = np.zeros(count, dtype=bool)
    for positions in near.values():
        waits[positions] = True
    final, max_root = ([], count) if is_root_layer else final_cells(plan, chunk, nodes[~waits])
    counts = {
        "chunks": 1,
        "nodes": count,
        "supervoxels": len(supervoxels),
        "final": count if is_root_layer else int((~waits).sum()),
        "disagreements": active.disagreements,
        "unlisted": active.unlisted,
    }
    return Built(
        cells=[
            *node_cells(nodes, supervoxels, labels),
            *_atomic_cells(chunk, nodes, near, active.outside),
            *final,
            *counter_cells(plan, chunk, count, max_root),
        ],
        handoff=HandOff(chunk, nodes[waits], _faces(near, active.outside, waits), max_root, {chunk.layer: counts}),
    )


def _atomic_cells(chunk: Chunk, nodes: Ids, near: dict[int, Index], outside: dict[int, Pairs]) -> list[Cells]:
    """The cells atomic_cross_edges_{m}; rows sorted by (supervoxel, far end)."""
    by_layer: dict[int, list[int]] = defaultdict(list)
    for face in outside:
        by_layer[cross_layer(chunk, face)].append(face)
    cells: list[Cells] = []
    for layer, faces in sorted(by_layer.items()):
        label = np.concatenate([near[face] for face in faces])
        pairs = np.concatenate([outside[face] for face in faces])
        node, inside, far = unique_rows(nodes[label], pairs[:, 0], pairs[:, 1])
        cells += edge_cells(atomic_cross_edges(layer), node, inside, far)
    return cells


def _faces(near: dict[int, Index], outside: dict[int, Pairs], waits: Flags) -> dict[int, Face]:
    """What leaves through each face; positions count the waiting nodes only."""
    position = np.cumsum(waits) - 1
    faces = {}
    for face, pairs in sorted(outside.items()):
        at, far = unique_rows(position[near[face]], pairs[:, 1])
        old, new = unique_rows(pairs[:, 0], position[near[face]])
        faces[face] = Face(at.astype(np.uint32), far, old, new.astype(np.uint32))
    return faces
