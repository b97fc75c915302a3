"""What a chunk's input says of it, for the comparison with its rows: read and decided by code of its own.

The lower side of a face decides its between_chunk edges, as it does in PyChunkedGraph; every cross_chunk edge is
active. Edges that the plan's rules leave out join nothing, and their supervoxels are there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.chunks.labels import unique_rows
from shared.inputs.components import Components
from shared.inputs.edges import ChunkEdges
from shared.inputs.source import InputSource
from shared.plan.edge_rules import JOIN
from shared.plan.grid import Chunk
from shared.plan.ids import Ids
from shared.plan.plan import Plan


@dataclass(frozen=True)
class Given:
    """The supervoxels of a chunk, sorted; its active edges inside, (n, 2), and those that leave it, inside end
    first, sorted and each once."""

    supervoxels: Ids
    inside: npt.NDArray[np.uint64]
    outside: npt.NDArray[np.uint64]


def read_given(plan: Plan, chunk: Chunk, source: InputSource) -> Given:
    """What the input has of a layer-2 chunk; DataError for what is damaged."""
    prefix = np.uint64(plan.ids.segment_bits(1))

    def number(of: Chunk) -> np.uint64:
        return np.uint64(plan.ids.chunk_id(of._replace(layer=1))) >> prefix

    neighbours = plan.grid.neighbours(chunk)
    joins = plan.rules.one_sided == JOIN
    beside = list(neighbours.values()) if joins and not source.agrees else []
    read = source.edges(chunk, [chunk, *beside])
    found, own = read[chunk] or ChunkEdges(), number(chunk)
    asked = [] if source.decides_alike else [other for face, other in neighbours.items() if face % 2 == 0]
    listed = source.components(chunk, [chunk, *asked])
    mine = listed[chunk] or Components()
    inside = found.inside.pairs
    every = np.concatenate([inside, found.between.pairs, found.cross.pairs])
    ends = [every[every >> prefix == own]]
    outside = [np.zeros((0, 2), np.uint64)]
    for face, other in neighbours.items():
        both = np.sort(np.array([own, number(other)], np.uint64))
        theirs = read.get(other) or ChunkEdges()
        through, cut = (
            pairs[(np.sort(pairs >> prefix, axis=1) == both).all(axis=1)]
            for pairs in (
                np.concatenate([found.between.pairs, theirs.between.pairs]),
                np.concatenate([found.cross.pairs, theirs.cross.pairs]),
            )
        )
        # Whoever is on the lower side decides.
        decides = mine if face % 2 or source.decides_alike else listed[other] or Components()
        outside += [through[decides.same(through)], cut]
        near = np.concatenate([through, cut])
        ends.append(near[near >> prefix == own])
    leaving = np.concatenate(outside)
    turned = leaving[:, 0] >> prefix != own
    leaving[turned] = leaving[turned, ::-1]
    return Given(
        np.unique(np.concatenate(ends)),
        inside[(inside >> prefix == own).all(axis=1) & mine.same(inside)],
        np.column_stack(unique_rows(leaving[:, 0], leaving[:, 1])),
    )
