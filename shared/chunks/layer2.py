"""The build of a layer-2 chunk: supervoxels and edges in, nodes and what leaves the chunk out.

Nodes are the connected components of the chunk's supervoxels under active in_chunk edges, numbered
by their smallest supervoxel. A node that no active edge leaves is final: it gets its root here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from shared.chunks.active import ActiveEdges
from shared.chunks.digest import Digest, face_digests
from shared.chunks.emit import Built, counter_cells, edge_cells, final_cells, leaving_faces, node_cells
from shared.chunks.handoff import HandOff
from shared.chunks.labels import places, split_rows, unique_rows
from shared.inputs.connected import connected_labels
from shared.plan.grid import FACES, Chunk, cross_layer
from shared.plan.ids import Ids
from shared.plan.plan import Plan
from shared.table.cells import Cells
from shared.table.columns import atomic_cross_edges

NOTHING: Mapping[str, int] = {}


def build_layer2(plan: Plan, chunk: Chunk, active: ActiveEdges, found: Mapping[str, int] = NOTHING) -> Built:
    """The rows and the hand-off of a layer-2 chunk; RangeOverflow if its ids do not fit.

    `found` are counts by name for the reports, beside those of the build itself.
    """
    supervoxels = active.supervoxels
    labels = connected_labels(len(supervoxels), places(supervoxels, active.inside))
    count = int(labels.max(initial=-1)) + 1
    is_root_layer = chunk.layer == plan.grid.layer_count
    nodes = plan.roots.root_ids(chunk, count) if is_root_layer else plan.ids.node_ids(chunk, 1, count)

    at = places(supervoxels, active.outside[:, 0])
    near = labels[at]
    waits = np.zeros(count, dtype=bool)
    waits[near] = True
    final, max_root = ([], count) if is_root_layer else final_cells(plan, chunk, nodes[~waits])
    position = (np.cumsum(waits) - 1)[labels].astype(np.uint32)
    faces = leaving_faces(active.faces, at, active.outside[:, 1], supervoxels, position)
    counts = {
        "chunks": 1,
        "nodes": count,
        "supervoxels": len(supervoxels),
        "final": count if is_root_layer else int((~waits).sum()),
        "disagreements": active.disagreements,
        "unlisted": active.unlisted,
        **found,
    }
    atomic, digests = _atomic_cells(chunk, nodes[near], active)
    return Built(
        cells=[
            *node_cells(nodes, supervoxels, labels),
            *atomic,
            *final,
            *counter_cells(plan, chunk, count, max_root),
        ],
        handoff=HandOff(chunk, nodes[waits], faces, max_root, {chunk.layer: counts}, digests),
    )


def _atomic_cells(chunk: Chunk, near: Ids, active: ActiveEdges) -> tuple[list[Cells], dict[int, Digest]]:
    """The cells atomic_cross_edges_{m}; rows sorted by (supervoxel, far end). `near` are the edges' own nodes.

    And the digest of these edges, each counted once, for each face.
    """
    layers = np.zeros(len(FACES), dtype=np.int64)
    for face in np.flatnonzero(np.bincount(active.faces)).tolist():
        layers[face] = cross_layer(chunk, face)
    columns = unique_rows(layers[active.faces], near, active.outside[:, 0], active.outside[:, 1], active.faces)
    cells: list[Cells] = []
    for layer, (node, inside, far, _) in split_rows(columns).items():
        cells += edge_cells(atomic_cross_edges(layer), node, inside, far)
    _, _, inside, far, faces = columns
    return cells, face_digests(faces, inside, far)
