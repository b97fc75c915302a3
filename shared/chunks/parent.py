"""The build of a chunk above layer 2, from hand-offs alone: no row is read back.

Nodes that wait in the children are joined by the edges between the children. A joined node, or a
single one with an edge of cross layer = this layer, gets a node here; a single one whose next edge
comes higher is carried upward; a node that no edge leaves gets its root at once (format: section 5).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from shared.chunks.emit import Built, counter_cells, edge_cells, final_cells, leaving_faces, node_cells
from shared.chunks.handoff import Face, HandOff, Positions
from shared.chunks.labels import Index, unique_rows
from shared.chunks.lift import FaceMaps, Lifted, lift_edges
from shared.chunks.totals import add_totals
from shared.inputs.connected import connected_labels
from shared.plan.grid import Chunk
from shared.plan.ids import NO_IDS, Ids
from shared.plan.plan import Plan
from shared.table.cells import Cells
from shared.table.columns import cross_edges

_NEVER = np.int64(1 << 32)
"""Stands for the cross layer of a component that no edge leaves."""


def build_parent(plan: Plan, chunk: Chunk, children: Mapping[Chunk, HandOff], outside: FaceMaps | None) -> Built:
    """The rows and the hand-off of a chunk of layer 3 or more.

    `outside` None builds the chunk alone, as a test run does: its hand-off leads nowhere.
    Raises DataError if the two chunks that an edge touches contradict each other. Chunks of layer 2 must have
    the very same active edges on both sides of each face, whoever's child the other one is. Above that, both
    sides must join the same nodes, and an edge must lead to what the other side knows.
    """
    waiting = np.sort(np.concatenate([child.nodes for child in children.values()]))
    edges, pairs = lift_edges(plan.grid, children, outside, waiting)
    labels = connected_labels(len(waiting), pairs)
    del pairs  # of a large parent these are tens of megabytes
    count = int(labels.max(initial=-1)) + 1
    lowest = _lowest_cross_layer(edges, labels, count)

    is_root_layer = chunk.layer == plan.grid.layer_count
    joined = np.bincount(labels, minlength=count) > 1
    made = np.ones(count, bool) if is_root_layer else joined | (lowest == chunk.layer)
    number = int(made.sum())
    nodes = plan.roots.root_ids(chunk, number) if is_root_layer else plan.ids.node_ids(chunk, 1, number)
    # A component's new name: the node made of it here, else the single node that it is.
    names = np.empty(count, dtype=np.uint64)
    names[labels] = waiting
    names[made] = nodes
    ends = lowest == _NEVER
    going_up = waiting[:0] if is_root_layer else np.sort(names[~ends])

    below = max(child.max_root for child in children.values())
    if is_root_layer:
        final: list[Cells] = []
        highest = plan.roots.first(chunk) + number - 1 if number else 0
    else:
        final, highest = final_cells(plan, chunk, np.sort(names[ends]))
    max_root = max(below, highest)
    has_parent = made[labels]
    counts = {"chunks": 1, "nodes": number, "final": number if is_root_layer else int(ends.sum())}
    return Built(
        cells=[
            *node_cells(nodes, waiting[has_parent], (np.cumsum(made) - 1)[labels][has_parent]),
            *(_cross_cells(plan, chunk, edges, waiting) if plan.schema == 3 else []),
            *final,
            *counter_cells(plan, chunk, number, max_root),
        ],
        handoff=HandOff(
            chunk,
            going_up,
            _faces(edges, waiting, names[labels], going_up),
            max_root,
            add_totals([child.totals for child in children.values()] + [{chunk.layer: counts}]),
            digests={},
        ),
    )


def _lowest_cross_layer(edges: list[Lifted], labels: Index, count: int) -> Index:
    """For each component the lowest cross layer of the edges that leave the chunk."""
    lowest = np.full(count, _NEVER)
    for part in edges:
        if not part.inner:
            touched = labels[part.near]
            lowest[touched] = np.minimum(lowest[touched], part.layer)
    return lowest


def _cross_cells(plan: Plan, chunk: Chunk, edges: list[Lifted], waiting: Ids) -> list[Cells]:
    """Schema 3: the edges of the children's own nodes, now that both ends are of their layer.

    Nodes that a child carried upward from a lower layer have had theirs written by then.
    """
    own = plan.ids.layers(waiting) == chunk.layer - 1
    cells = []
    for layer in sorted({part.layer for part in edges if part.lifted}):
        # A layer at a time: their tables together would be most of the memory that a large parent needs.
        near, far = _ends([part for part in edges if part.lifted and part.layer == layer])
        keep = own[near]
        near, far = unique_rows(near[keep], far[keep])
        cells += edge_cells(cross_edges(layer), waiting[near], None, far)
    return cells


def _faces(edges: list[Lifted], waiting: Ids, renamed: Ids, nodes: Ids) -> dict[int, Face]:
    """What leaves through each face of the parent; `renamed` is the new name of each waiting node."""
    outer = [part for part in edges if not part.inner]
    numbers = np.repeat(np.array([part.face for part in outer], np.uint8), [len(part.near) for part in outer])
    position = np.searchsorted(nodes, renamed).astype(np.uint32)
    return leaving_faces(numbers, *_ends(outer), waiting, position)


def _ends(parts: list[Lifted]) -> tuple[Positions, Ids]:
    """The near and far ends of all parts."""
    near = np.concatenate([np.zeros(0, np.uint32), *(part.near for part in parts)])
    return near, np.concatenate([NO_IDS, *(part.far for part in parts)])
