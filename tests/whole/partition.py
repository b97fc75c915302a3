"""The partition of a whole volume by its input, all edges at once: the oracle of the verification chunk by
chunk."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from shared.inputs.components import Components
from shared.inputs.edges import ChunkEdges
from shared.inputs.source import InputSource
from shared.plan.edge_rules import JOIN
from shared.plan.grid import Chunk
from shared.plan.ids import Ids
from shared.plan.plan import Plan
from shared.verify.truth import Partition, compare, table_partition

__all__ = ["compare", "input_partition", "table_partition"]


def input_partition(plan: Plan, source: InputSource) -> Partition:
    """Connected components of every supervoxel in any edge; the lower side's file decides.

    Edges that the plan's rules leave out join nothing, and their supervoxels are there.
    """
    pairs: list[npt.NDArray[np.uint64]] = [np.zeros((0, 2), np.uint64)]
    ends: list[Ids] = [np.zeros(0, np.uint64)]
    prefix = np.uint64(plan.ids.segment_bits(1))
    joins = plan.rules.one_sided == JOIN

    def number(chunk: Chunk) -> np.uint64:
        return np.uint64(plan.ids.chunk_id(chunk._replace(layer=1))) >> prefix

    def listed(of: Chunk) -> Components:
        return source.components(of, [of])[of] or Components()

    for index in range(plan.total(2)):
        chunk = plan.chunk_at(2, index)
        own = number(chunk)
        found = source.edges(chunk, [chunk])[chunk] or ChunkEdges()
        inside, between, cross = found.inside.pairs, found.between.pairs, found.cross.pairs
        mine = listed(chunk)
        pairs.append(inside[(inside >> prefix == own).all(axis=1) & mine.same(inside)])
        every = np.concatenate([inside, between, cross])
        ends.append(np.unique(every[every >> prefix == own]))
        for face, other in plan.grid.neighbours(chunk).items():
            both = np.sort(np.array([own, number(other)], np.uint64))
            through = between[(np.sort(between >> prefix, axis=1) == both).all(axis=1)]
            cut = cross[(np.sort(cross >> prefix, axis=1) == both).all(axis=1)]
            pairs.append(cut)
            if face % 2:  # this is the lower side of it
                pairs.append(through[mine.same(through)])
            elif joins and len(through):
                pairs.append(through[listed(other).same(through)])
            if joins:
                ends += [through.ravel(), cut.ravel()]
    supervoxels = np.unique(np.concatenate(ends))
    return supervoxels, _components(len(supervoxels), np.searchsorted(supervoxels, np.concatenate(pairs)))


def _components(count: int, pairs: npt.NDArray[np.int64]) -> Ids:
    """A component's number for each of `count` vertices: by graph-tool, where the build uses scipy."""
    import graph_tool
    import graph_tool.topology

    graph = graph_tool.Graph(directed=False)
    graph.add_vertex(count)
    graph.add_edge_list(pairs)
    # `.a` is a view that does not keep the property map alive: hold the map until it is copied.
    labelled, _ = graph_tool.topology.label_components(graph)
    labels: Ids = np.array(labelled.a, dtype=np.uint64)
    return labels
