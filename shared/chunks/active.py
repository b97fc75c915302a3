"""Which edges of a layer-2 chunk are active, and through which face each one leaves.

An in_chunk edge is active iff both ends are in one component of the chunk's own file; a cross_chunk
edge always is. For a between_chunk edge the two chunks can disagree, as each has its own component
file: *the chunk on the lower side decides*, as it does in PyChunkedGraph's joins. The upper chunk
reads the lower one's component file for it, so both store the same answer and a node's parent
never depends on who was asked. The upper chunk counts the disagreements.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from shared.chunks.labels import Flags, Index, distinct
from shared.errors import DataError
from shared.inputs.components import Components
from shared.inputs.edges import ChunkEdges, EdgeList
from shared.plan.grid import Chunk
from shared.plan.ids import Ids
from shared.plan.plan import Plan

Pairs = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class ActiveEdges:
    """The active edges of a chunk and its supervoxels.

    `supervoxels` sorted unique (n,) uint64: all of the chunk that occur in any edge; `inside` (m, 2)
    active edges between them; `outside` (k, 2) active edges that leave the chunk, inside end first, each
    through the face `faces` (k,). `disagreements` counts between edges through lower faces that this
    chunk's own file would have decided otherwise; `unlisted` counts ids of the chunk in its component
    file that are in no edge.
    """

    supervoxels: Ids
    inside: Pairs
    outside: Pairs
    faces: Index
    disagreements: int
    unlisted: int


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
    anywhere but to a face neighbour inside the grid.
    """
    within = _Within(plan, chunk, file)
    inside = within.check_inside(edges.inside.pairs)
    between, between_face = within.face_each(edges.between, "between_chunk")
    cross, cross_face = within.face_each(edges.cross, "cross_chunk")

    ends = [inside.ravel(), between[:, 0], cross[:, 0]]
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
        unlisted=within.count(own.ids) - int((labels >= 0).sum()),
    )


def _same(one: Index, other: Index) -> Flags:
    """Whether the labels of both ends are the same, and none is -1 for not listed."""
    same: Flags = (one == other) & (one >= 0)
    return same


@dataclass(frozen=True)
class _Within:
    """Checks ids against one chunk."""

    plan: Plan
    chunk: Chunk
    file: str

    @cached_property
    def _bits(self) -> np.uint64:
        """How many bits of a supervoxel's id are below those that name layer and chunk."""
        return np.uint64(self.plan.ids.segment_bits(1))

    def _number(self, chunk: Chunk) -> np.uint64:
        """What all supervoxels of a layer-2 chunk have above those bits."""
        return np.uint64(self.plan.ids.chunk_id(chunk._replace(layer=1))) >> self._bits

    @cached_property
    def _own(self) -> np.uint64:
        return self._number(self.chunk)

    def _holds(self, ids: Ids) -> Flags:
        """Whether each id is a supervoxel of the chunk."""
        found: Flags = ids >> self._bits == self._own
        return found

    def count(self, ids: Ids) -> int:
        """How many of `ids`, sorted, are supervoxels of the chunk."""
        first, last = np.searchsorted(ids >> self._bits, [self._own, self._own + np.uint64(1)])
        return int(last - first)

    def check_inside(self, pairs: Pairs) -> Pairs:
        held = self._holds(pairs)
        if not held.all():
            at = np.flatnonzero(~held.all(axis=1))[0]
            raise self._error("in_chunk", pairs[at], f"supervoxel {pairs[at][~held[at]][0]} is not in the chunk")
        return pairs

    def face_each(self, edges: EdgeList, kind: str) -> tuple[Pairs, Index]:
        """The pairs with their inside end first, and the face that each goes through."""
        pairs = edges.pairs
        if not len(pairs):
            return pairs, np.zeros(0, np.int64)
        held = self._holds(pairs)
        wrong = held[:, 0] == held[:, 1]
        if wrong.any():
            at = np.flatnonzero(wrong)[0]
            reason = "both ends are in the chunk" if held[at, 0] else "no end is in the chunk"
            raise self._error(kind, pairs[at], reason)
        pairs = np.where(held[:, :1], pairs, pairs[:, ::-1])
        far = pairs[:, 1] >> self._bits
        faces = np.full(len(pairs), -1)
        for face, number in self._behind.items():
            faces[far == number] = face
        wrong = faces < 0
        if wrong.any():
            at = np.flatnonzero(wrong)[0]
            raise self._error(kind, pairs[at], f"{pairs[at, 1]} is no supervoxel of a chunk that touches this one")
        return pairs, faces

    @cached_property
    def _behind(self) -> dict[int, np.uint64]:
        """The number of the chunk behind each face."""
        return {face: self._number(other) for face, other in self.plan.grid.neighbours(self.chunk).items()}

    def _error(self, kind: str, pair: Pairs, reason: str) -> DataError:
        return DataError(self.file, self.chunk, f"{kind} edge ({pair[0]}, {pair[1]}): {reason}")
