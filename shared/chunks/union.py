"""What the files of two chunks say together about the edges between them: `one_sided_edges: join`.

The format wants such an edge in both files; some writers leave it out of one. Invariants: both chunks, each
with its own file and the other's, come to the same edges between them, so both store the same. Edges that
are not between the two are left to the chunk whose file has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from shared.chunks.ends import Pairs
from shared.inputs.edges import ChunkEdges, EdgeList
from shared.plan.grid import Chunk
from shared.plan.ids import Ids
from shared.plan.plan import Plan


def with_neighbours(
    plan: Plan, chunk: Chunk, own: ChunkEdges, theirs: Mapping[Chunk, ChunkEdges]
) -> tuple[ChunkEdges, int]:
    """The edges of `chunk`, with those that only a neighbour's file has, and how many these are.

    `theirs` has the files of the face neighbours.
    """
    bits = np.uint64(plan.ids.segment_bits(1))

    def number(of: Chunk) -> np.uint64:
        return np.uint64(plan.ids.chunk_id(of._replace(layer=1))) >> bits

    def to_us(pairs: Pairs, other: Chunk) -> Pairs:
        """The edges between the two, our end first."""
        at: Ids = pairs >> bits
        turned = at[:, 0] == number(other)
        ours = np.where(turned[:, None], pairs[:, ::-1], pairs)
        good = (ours[:, 0] >> bits == number(chunk)) & (ours[:, 1] >> bits == number(other))
        between: Pairs = ours[good]
        return between

    added = 0
    lists = {}
    for kind in ("between", "cross"):
        known = getattr(own, kind).pairs
        mine = np.where((known[:, :1] >> bits) == number(chunk), known, known[:, ::-1])
        candidates = np.concatenate(
            [mine[:0], *(to_us(getattr(part, kind).pairs, of) for of, part in theirs.items())]
        )
        new = _not_among(candidates, mine)
        added += len(new)
        lists[kind] = EdgeList(np.concatenate([known, new])) if len(new) else getattr(own, kind)
    return replace(own, **lists), added


def _not_among(pairs: Pairs, known: Pairs) -> Pairs:
    """The distinct pairs that are not among the known ones."""
    rows, first = np.unique(np.concatenate([known, pairs]), axis=0, return_index=True)
    found: Pairs = rows[first >= len(known)]
    return found
