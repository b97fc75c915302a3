"""What is told of a voxel, a node or a chunk that somebody points at: plain values, ids as texts.

Invariants: a node's chain is the one that the table has; nothing is made up where a row is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.errors import StateError
from shared.look.lineage import Lineage
from shared.look.relabelled import served_block
from shared.look.space import Box, Space
from shared.plan.grid import Chunk
from shared.plan.segmentation import Triple
from shared.voxels.scales import Scale

ReadBox = Callable[[Box], npt.NDArray[Any]]
"""Reads the supervoxels of a box at mip 0."""

Facts = dict[str, Any]


def node_line(lineage: Lineage, space: Space, node: int) -> Facts:
    """A node with its layer, its chunk and the chunk's box; no chunk for an id that lies outside of the grid."""
    chunk = lineage.ids.chunk_of(node)
    there = Chunk(max(2, chunk.layer), *chunk.coords) in space.grid
    return {
        "node": str(node),
        "layer": chunk.layer,
        "chunk": str(chunk) if there else None,
        "box": space.box(chunk) if there else None,
    }


def voxel_facts(lineage: Lineage, space: Space, voxel: Triple, supervoxel: int) -> Facts:
    """What is at a voxel: its supervoxel with all that it belongs to, the root last; no lines for background."""
    chain = lineage.chain(supervoxel) if supervoxel else []
    return {
        "voxel": list(voxel),
        "chunk": str(space.chunk_at(voxel)),
        "supervoxel": str(supervoxel) if supervoxel else None,
        "chain": [node_line(lineage, space, node) for node in chain],
        # A supervoxel that no edge names has no row, and so no parent.
        "root": str(chain[-1]) if len(chain) > 1 else None,
    }


def node_facts(lineage: Lineage, space: Space, node: int) -> Facts:
    """A node with its chain from itself on, its children, and how many supervoxels it has: `whole` if that is all
    of them. StateError for a node that has no row."""
    lineage.need(node)
    count, whole = lineage.supervoxels(node)
    chain = lineage.chain(node)
    return {
        **node_line(lineage, space, node),
        "chain": [node_line(lineage, space, one) for one in chain],
        "root": str(chain[-1]),
        "children": len(lineage.children(node)),
        "supervoxels": count,
        "whole": whole,
    }


def place_of(lineage: Lineage, space: Space, scale: Scale, read: ReadBox, node: int) -> Triple | None:
    """A voxel of a node: of one of its supervoxels, which is looked for in the blocks of its chunk at mip 0; None
    if the volume does not have it there. StateError for a node without a row, or supervoxels."""
    lineage.need(node)
    supervoxel = lineage.a_supervoxel(node)
    chunk = lineage.ids.chunk_of(supervoxel)._replace(layer=2)
    if chunk not in space.grid:
        return None
    for box in blocks_of(space.box(chunk), scale):
        at = np.argwhere(read(box) == np.uint64(supervoxel))
        if len(at):
            # The voxel nearest to their middle, which itself may lie outside.
            nearest = at[np.argmin(((at - at.mean(axis=0)) ** 2).sum(axis=1))]
            x, y, z = (int(start + step) for start, step in zip(box[0], nearest, strict=True))
            return x, y, z
    return None


def blocks_of(box: Box, scale: Scale) -> Iterator[Box]:
    """The parts of a box that are in one served block each, from the middle of the box outwards."""
    sides = served_block(scale.block)
    cuts = []
    for low, high, origin, side in zip(*box, scale.low, sides, strict=True):
        first = origin + (low - origin) // side * side
        cuts.append([(max(low, at), min(high, at + side)) for at in range(first, high, side)])
    middle = [(low + high) / 2 for low, high in zip(*box, strict=True)]

    def away(part: tuple[tuple[int, int], ...]) -> float:
        return sum(((low + high) / 2 - at) ** 2 for (low, high), at in zip(part, middle, strict=True))

    for (x0, x1), (y0, y1), (z0, z1) in sorted(product(*cuts), key=away):
        yield (x0, y0, z0), (x1, y1, z1)


def need_layer(layer: int | None, top: int) -> int:
    """The layer that is shown: the top one unless another is asked for; StateError for one that there is not."""
    if layer is None:
        return top
    if not 1 <= layer <= top:
        raise StateError(
            f"LAYER={layer}: nodes are in layers 2 to {top}, and supervoxels in 1; without LAYER roots are shown"
        )
    return layer
