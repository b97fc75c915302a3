"""Where a new table is split: row keys between which about as many rows will be written.

Why: a new table has one tablet, which one node serves, and all keys of a layer are one range. However many nodes
there are, and in whatever order chunks are built, one node takes all rows until the table has been split, which
takes Bigtable a long while of load. The plan knows all keys beforehand: ids begin with the layer and the chunk's
coordinates, so a part of the chunks in the order of their ids is a range of keys.

Invariants: at most MOST keys, sorted, each once; the same for the same plan. Parts have as many chunks, whatever
the shape of the grid.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from shared.plan.grid import Chunk
from shared.plan.plan import Plan
from shared.table.columns import counter_key, node_key

MOST = 100
"""Split keys in all: some three tablets for each node of the largest cluster that a project has unasked."""

SUPERVOXELS, NODES, ROOTS = 56, 16, {2: 9, 3: 3}
"""Parts of the rows of layer 1, of layer 2, and of the roots that the chunks of a layer make. Of the rows that
layer 2 writes, which are nearly all, 83 % are supervoxels, and 12 % nodes, which parents write once more; of
roots, layer 2 makes two thirds, and layer 3 half of the others (counted on the example)."""


def splits(plan: Plan) -> list[bytes]:
    """The keys at which a new table of the plan is split."""
    return sorted(islice(dict.fromkeys(_by_weight(plan)), MOST))


def _by_weight(plan: Plan) -> Iterator[bytes]:
    """Split keys, those first that divide the most rows."""
    ids = plan.ids
    for chunk in _cuts(plan, 2, SUPERVOXELS):
        yield node_key(ids.chunk_id(Chunk(1, *chunk.coords)))
    for chunk in _cuts(plan, 2, NODES):
        yield node_key(ids.chunk_id(chunk))
    yield counter_key(0)[:1]
    # A chunk's job numbers its roots in a range of its own, layer by layer in the order of its chunks.
    for layer in plan.graph_layers:
        for chunk in _cuts(plan, layer, ROOTS.get(layer, 1)):
            yield node_key(int(plan.roots.root_ids(chunk, 1)[0]))
        yield node_key(ids.chunk_id(Chunk(layer, 0, 0, 0)))


def _cuts(plan: Plan, layer: int, parts: int) -> Iterator[Chunk]:
    """The first chunk of each part of a layer, in the order of their ids."""
    total = plan.total(layer)
    for part in range(min(parts, total)):
        yield plan.chunk_at(layer, part * total // min(parts, total))
