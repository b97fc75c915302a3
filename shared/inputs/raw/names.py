"""Which shards can hold what belongs to a chunk.

The agglomeration works on boxes that are shifted against the chunks, so what belongs to a chunk c is
spread over the shards at c + {-1, 0} along each axis:

                 +----+----+     in_chunk                      all of them
    c + (-1, 0)  |    |  c |     between, fake, lower face     those at -1 along the face's axis
                 +----+----+     between, fake, upper face     those at 0
    c + (-1,-1)  |    |    |
                 +----+----+     So each shard serves one face of every axis, and both sides of a face
                                 read the same four shards, in the same order.

Remap entries of c are in one shard for each mip level m: the box of 2^m chunks an axis around it.
"""

from __future__ import annotations

import itertools
from enum import Enum
from typing import NamedTuple

from shared.inputs.raw.shards import Shard
from shared.plan.grid import Chunk, Grid


class Kind(Enum):
    """Kinds of edge shards; the value is how their names begin."""

    INSIDE = "in_chunk"
    BETWEEN = "between_chunks"
    CROSS = "fake"


class EdgeShard(NamedTuple):
    """What is in an edge shard, and for each axis whether it serves the chunk's lower face there."""

    kind: Kind
    lower: tuple[bool, bool, bool]

    def serves(self, face: int) -> bool:
        """Whether edges through that face of the chunk are in this shard."""
        return self.lower[face // 2] == (face % 2 == 0)


def edge_shards(chunk: Chunk) -> dict[Shard, EdgeShard]:
    """The shards that can hold edges of a chunk, in the order in which they are read."""
    found: dict[Shard, EdgeShard] = {}
    for i, j, k in itertools.product((True, False), repeat=3):
        x, y, z = chunk.x - i, chunk.y - j, chunk.z - k
        if min(x, y, z) >= 0:
            for kind in Kind:
                name = f"chunked_rg/{kind.value}_0_{x}_{y}_{z}.data"
                found[Shard(name, 1 if kind is Kind.INSIDE else 2)] = EdgeShard(kind, (i, j, k))
    return found


def remap_shards(grid: Grid, chunk: Chunk) -> list[Shard]:
    """The shards that can hold pairs of a layer-2 chunk, from the finest mip level to the coarsest."""
    _, x, y, z = chunk
    return [Shard(f"remap/done_{m}_{x >> m}_{y >> m}_{z >> m}.data", 1) for m in range(grid.layer_count - 1)]
