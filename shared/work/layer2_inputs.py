"""Reads what a layer-2 chunk is built from: its edges, components, and its neighbours' where asked for.

Its own edges | the components of the chunk and, if any edge leads there, of its lower neighbours |
with `one_sided_edges: join` the edges of all its face neighbours, where files may differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from shared.chunks.active import ActiveEdges, active_edges
from shared.chunks.union import with_neighbours
from shared.inputs.components import Components
from shared.inputs.edges import ChunkEdges
from shared.inputs.source import InputSource
from shared.plan.edge_rules import JOIN
from shared.plan.grid import Chunk
from shared.plan.plan import Plan

NO_EDGE_FILE = "chunks without an edge file"
NO_COMPONENT_FILE = "chunks with edges but no component file"
ONE_SIDED = "edges that one of two chunks' files has, taken for both"
ALONE = "supervoxels that touch no other"
"""Names of what is counted while reading, as reports say them."""


def read_active(plan: Plan, chunk: Chunk, source: InputSource) -> tuple[ActiveEdges, Mapping[str, int]]:
    """The active edges of a chunk by what a source has, and counts by name; DataError for what is damaged."""
    counts: Counter[str] = Counter()
    neighbours = plan.grid.neighbours(chunk)
    beside = list(neighbours.values()) if plan.rules.one_sided == JOIN and not source.agrees else []
    read = source.edges(chunk, [chunk, *beside])
    counts[NO_EDGE_FILE] = int(read[chunk] is None)
    found = read[chunk] or ChunkEdges()
    if beside:
        theirs = {of: read[of] or ChunkEdges() for of in beside}
        found, counts[ONE_SIDED] = with_neighbours(plan, chunk, found, theirs)
    # The lower neighbours' components decide the edges to them (shared.chunks.active says why).
    lower = {face: other for face, other in neighbours.items() if face % 2 == 0} if len(found.between.pairs) else {}
    asked = {} if source.decides_alike else lower
    parts = source.components(chunk, [chunk, *asked.values()])
    decided = {face: parts[asked.get(face, chunk)] or Components() for face in lower}
    active = active_edges(plan, chunk, found, parts[chunk] or Components(), decided, source.place(chunk))
    # An edge with itself is how files tell of a supervoxel that touches nothing.
    counts[ALONE] = int((found.inside.pairs[:, 0] == found.inside.pairs[:, 1]).sum())
    counts[NO_COMPONENT_FILE] = int(parts[chunk] is None and len(active.supervoxels) > 0)
    counts.update(active.left_out)
    return active, +counts
