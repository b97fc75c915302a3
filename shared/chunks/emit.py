"""What layer 2 and the layers above make alike: cells of nodes, final nodes and counters, and faces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.chunks.handoff import Face, HandOff, Positions
from shared.chunks.labels import Index, grouped, split_rows, unique_rows
from shared.plan.grid import Chunk
from shared.plan.ids import Ids
from shared.plan.plan import Plan
from shared.table.cells import Cells, id_cells, list_cells
from shared.table.columns import CHILDREN, COUNTER, PARENT, ROOT_COUNTERS, Column, counter_key


@dataclass(frozen=True)
class Built:
    """What the build of a chunk comes to: cells for the table, the hand-off for other jobs."""

    cells: list[Cells]
    handoff: HandOff


def node_cells(nodes: Ids, members: Ids, labels: Index) -> list[Cells]:
    """Cells that tie children to new nodes, both ways.

    `nodes[i]` is the parent of all `members` whose label is i; `members` is sorted.
    """
    order, starts = grouped(labels, len(nodes))
    return [
        list_cells(CHILDREN, nodes, starts, members[order]),
        id_cells(PARENT, members, nodes[labels]),
    ]


def edge_cells(column: Column, nodes: Ids, near: Ids | None, far: Ids) -> list[Cells]:
    """One cell for each distinct node in `nodes` (sorted), with its rows of (near, far); without `near` the
    near end is the node itself."""
    if not len(nodes):
        return []
    ends = np.flatnonzero(nodes[1:] != nodes[:-1]) + 1
    starts = np.concatenate([[0], ends, [len(nodes)]])
    rows = far if near is None else np.stack([near, far], axis=1)
    return [list_cells(column, nodes[starts[:-1]], starts, rows, own=near is None)]


def leaving_faces(
    numbers: npt.NDArray[Any], near: npt.NDArray[Any], far: Ids, names: Ids, position: Positions
) -> dict[int, Face]:
    """What leaves through each face: edge i leads through face `numbers[i]` from `names[near[i]]` to `far[i]`.

    `names` (n,) is sorted, what neighbours know the near ends as; `position[n]` is where the node of each
    stands among the waiting nodes.
    """
    edges = split_rows(unique_rows(numbers, position[near], far))
    numbers, near = unique_rows(numbers, near)
    maps = split_rows([numbers, names[near], position[near]])
    return {
        face: Face(at, ends, old, new)
        for (face, (at, ends)), (old, new) in zip(edges.items(), maps.values(), strict=True)
    }


def final_cells(plan: Plan, chunk: Chunk, final: Ids) -> tuple[list[Cells], int]:
    """Makes a root over each node without cross edges; the cells and the highest root segment (0: none)."""
    if not len(final):
        return [], 0
    roots = plan.roots.root_ids(chunk, len(final))
    return node_cells(roots, final, np.arange(len(final))), plan.roots.first(chunk) + len(final) - 1


def counter_cells(plan: Plan, chunk: Chunk, count: int, max_root: int) -> list[Cells]:
    """The counters that the job of `chunk` is the last to touch.

    Its own chunk's, if it has nodes; the root chunk's own and all 256 parts get the highest root
    segment of the whole graph: a server's next id, counter * 256 + part, is above it.
    """
    chunk_id = plan.ids.chunk_id(chunk)
    if chunk == plan.grid.root:
        keys = [counter_key(chunk_id), *(counter_key(chunk_id, part) for part in range(ROOT_COUNTERS))]
        return [Cells(COUNTER, keys, [max_root.to_bytes(8, "big")] * len(keys))]
    return [Cells(COUNTER, [counter_key(chunk_id)], [count.to_bytes(8, "big")])] if count else []
