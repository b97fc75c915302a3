"""Which edges of a layer-2 chunk are active, and through which face each one leaves.

An in_chunk edge is active iff both ends are in one component of the chunk's own file; a cross_chunk
edge always is. For a between_chunk edge the two chunks can disagree, as each has its own component
file: *the chunk on the lower side decides*, as it does in PyChunkedGraph's joins. The upper chunk
reads the lower one's component file for it, so both store the same answer and a node's parent
never depends on who was asked. The upper chunk counts the disagreements.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from shared.chunks.ends import Ends, Pairs
from shared.chunks.labels import Flags, Index, distinct
from shared.inputs.components import Components
from shared.inputs.edges import ChunkEdges
from shared.plan.grid import Chunk
from shared.plan.ids import Ids
from shared.plan.plan import Plan


@dataclass(frozen=True)
class ActiveEdges:
    """The active edges of a chunk and its supervoxels.

    `supervoxels` sorted unique (n,) uint64: all of the chunk that occur in any edge; `inside` (m, 2)
    active edges between them; `outside` (k, 2) active edges that leave the chunk, inside end first, each
    through the face `faces` (k,). `disagreements` counts between edges through lower faces that this
    chunk's own file would have decided otherwise; `unlisted` counts ids of the chunk in its component
    file that are in no edge; `left_out` counts edges that the plan's rules leave out, by kind.
    """

    supervoxels: Ids
    inside: Pairs
    outside: Pairs
    faces: Index
    disagreements: int
    unlisted: int
    left_out: Mapping[str, int] = field(default_factory=dict)


def active_edges(
    plan: Plan,
    chunk: Chunk,
    edges: ChunkEdges,
    own: Components,
    lower: Mapping[int, Components],
    file: str,
) -> ActiveEdges:
    """Decides every edge of `chunk`; `lower[face]` has the components of the chunk behind a lower face.

    Raises DataError, naming `file`, for an edge that does not touch the chunk, or that leads
    anywhere but to a face neighbour inside the grid, unless the plan's rules leave such edges out.
    """
    sorter = Ends(plan, chunk, file)
    inside = sorter.inside(edges.inside)
    between, between_face = sorter.outside(edges.between, "between_chunk")
    cross, cross_face = sorter.outside(edges.cross, "cross_chunk")

    ends = [inside.ravel(), between[:, 0], cross[:, 0], *sorter.kept]
    supervoxels, at = distinct(np.concatenate(ends))
    inside_at, between_at, _ = np.split(at, np.cumsum([len(part) for part in ends])[:2])
    labels = own.labels_of(supervoxels)
    believed = _same(labels[between_at], own.labels_of(between[:, 1]))
    decided = believed & (between_face % 2 == 1)
    for face, listed in lower.items():
        through = between_face == face
        decided[through] = listed.same(between[through])
    return ActiveEdges(
        supervoxels,
        inside[_same(labels[inside_at[::2]], labels[inside_at[1::2]])],
        np.concatenate([between[decided], cross]),
        np.concatenate([between_face[decided], cross_face]),
        disagreements=int((believed != decided).sum()),
        unlisted=sorter.count(own.ids) - int((labels >= 0).sum()),
        left_out=sorter.left_out,
    )


def _same(one: Index, other: Index) -> Flags:
    """Whether the labels of both ends are the same, and none is -1 for not listed."""
    same: Flags = (one == other) & (one >= 0)
    return same
