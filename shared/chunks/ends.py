"""Where the ends of a chunk's edges are, and which edges no build can use.

An edge of the chunk has one end in it, as node_ids1 or (in old files) as node_ids2, and the other in a chunk
that touches it; in_chunk edges have both in it. Invariants: an edge that is neither is refused with its ends,
or left out and counted under its kind, as the plan's rules say; of an edge that is left out, what is a
supervoxel of the chunk stays one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from shared.chunks.labels import Flags, Index
from shared.errors import DataError
from shared.inputs.edges import EdgeList
from shared.plan.edge_rules import REFUSE
from shared.plan.grid import FACES, Chunk, neighbour
from shared.plan.ids import Ids
from shared.plan.plan import Plan

Pairs = npt.NDArray[np.uint64]

BEYOND = "edges beyond the volume"
ID_0 = "edges with an end that is 0"
OTHER_LAYER = "edges with an end that is no supervoxel"
ELSEWHERE = "edges of another chunk"
WITHIN = "between and cross edges within a chunk"
NO_FACE = "edges to a chunk that does not touch"
LEAVING = "in_chunk edges that leave the chunk"
UNUSABLE = (ID_0, OTHER_LAYER, ELSEWHERE, WITHIN, NO_FACE, LEAVING)
"""Kinds of edges that are left out, as hand-offs count them, in the order in which they are looked for."""


@dataclass
class Ends:
    """Sorts out the edges of one chunk; `left_out` counts by kind, `kept` has supervoxels of such edges."""

    plan: Plan
    chunk: Chunk
    file: str
    left_out: Counter[str] = field(default_factory=Counter)
    kept: list[Ids] = field(default_factory=list)

    def inside(self, edges: EdgeList) -> Pairs:
        """The in_chunk edges."""
        held = self._holds(edges.pairs)
        if held.all():
            return edges.pairs
        good: Flags = held.all(axis=1)
        self._leave_out("in_chunk", edges.pairs[~good], held[~good])
        whole: Pairs = edges.pairs[good]
        return whole

    def outside(self, edges: EdgeList, kind: str) -> tuple[Pairs, Index]:
        """The between or cross edges, their inside end first, and the face that each goes through."""
        pairs = edges.pairs
        if not len(pairs):
            return pairs, np.zeros(0, np.int64)
        held = self._holds(pairs)
        turned = np.where(held[:, :1], pairs, pairs[:, ::-1])
        far = turned[:, 1] >> self._bits
        faces = np.full(len(pairs), -1)
        for face, number in self._behind.items():
            faces[far == number] = face
        good = (held[:, 0] != held[:, 1]) & (faces >= 0)
        if good.all():
            return turned, faces
        self._leave_out(kind, pairs[~good], held[~good])
        return turned[good], faces[good]

    def count(self, ids: Ids) -> int:
        """How many of `ids`, sorted, are supervoxels of the chunk."""
        first, last = np.searchsorted(ids >> self._bits, [self._own, self._own + np.uint64(1)])
        return int(last - first)

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

    @cached_property
    def _behind(self) -> dict[int, np.uint64]:
        """The number of the chunk behind each face."""
        return {face: self._number(other) for face, other in self.plan.grid.neighbours(self.chunk).items()}

    @cached_property
    def _beyond(self) -> list[np.uint64]:
        """The numbers of the chunks behind the faces where the volume ends, as far as ids can name them."""
        others = (neighbour(self.chunk, face) for face in FACES if face not in self._behind)
        most = 1 << self.plan.ids.axis_bits(2)
        return [self._number(other) for other in others if all(0 <= at < most for at in other.coords)]

    def _holds(self, ids: Ids) -> Flags:
        """Whether each id is a supervoxel of the chunk."""
        found: Flags = ids >> self._bits == self._own
        return found

    def _leave_out(self, kind: str, pairs: Pairs, held: Flags) -> None:
        """Counts edges under what is wrong with each; DataError for the first that the rules refuse."""
        what = self._kinds(kind, pairs, held)
        rules = self.plan.rules
        for at, name in enumerate(what):
            if (rules.beyond if name == BEYOND else rules.unusable) == REFUSE:
                reason = self._reason(kind, name, pairs[at], held[at])
                ends = f"({pairs[at, 0]}, {pairs[at, 1]})"
                raise DataError(self.file, self.chunk, f"{kind} edge {ends}: {reason}")
        self.left_out.update(what)
        self.kept.append(pairs[held])

    def _kinds(self, kind: str, pairs: Pairs, held: Flags) -> list[str]:
        """The first thing that is wrong with each edge."""
        numbers, layers = pairs >> self._bits, self.plan.ids.layers(pairs)
        wrong = {
            ID_0: (pairs == 0).any(axis=1),
            OTHER_LAYER: (layers != 1).any(axis=1),
            ELSEWHERE: ~held.any(axis=1),
            LEAVING: np.full(len(pairs), kind == "in_chunk"),
            WITHIN: held.all(axis=1),
            BEYOND: np.isin(numbers, np.array(self._beyond, np.uint64)).any(axis=1),
        }
        return [next((name for name, flags in wrong.items() if flags[at]), NO_FACE) for at in range(len(pairs))]

    def _reason(self, kind: str, name: str, pair: Ids, held: Flags) -> str:
        if kind == "in_chunk":
            return f"supervoxel {pair[~held][0]} is not in the chunk"
        if held.all():
            return "both ends are in the chunk"
        if not held.any():
            return "no end is in the chunk"
        far = pair[~held][0]
        if name == BEYOND:
            there = self.plan.ids.chunk_of(int(far))._replace(layer=2)
            x, y, z = self.plan.grid.shape
            return (
                f"{far} is in chunk {there}, beyond the volume, whose grid has {x} x {y} x {z} chunks; where the "
                "volume is a part of a larger one, edges_beyond_volume: drop builds without such edges"
            )
        return f"{far} is no supervoxel of a chunk that touches this one"
