"""Reads what a layer-2 chunk is built from: its edge file, component files, and its neighbours' where asked for.

Its own edge file | the component files of the chunk and, if any edge leads there, of its lower neighbours |
with `one_sided_edges: join` the edge files of all its face neighbours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from shared.chunks.active import ActiveEdges, active_edges
from shared.chunks.union import with_neighbours
from shared.inputs.components import components_name, decode_components
from shared.inputs.edges import ChunkEdges, decode_edges, edges_name
from shared.plan.edge_rules import JOIN
from shared.plan.grid import Chunk
from shared.plan.plan import Plan
from shared.run.ports import Folder

NO_EDGE_FILE = "chunks without an edge file"
NO_COMPONENT_FILE = "chunks with edges but no component file"
ONE_SIDED = "edges that one of two chunks' files has, taken for both"
"""Names of what is counted while reading, as reports say them."""


def read_active(
    plan: Plan, chunk: Chunk, edges: Folder, components: Folder
) -> tuple[ActiveEdges, Mapping[str, int]]:
    """The active edges of a chunk by its files, and counts by name; DataError for a damaged file."""
    counts: Counter[str] = Counter()
    neighbours = plan.grid.neighbours(chunk)
    beside = neighbours if plan.rules.one_sided == JOIN else {}
    name = edges_name(chunk)
    data = edges.get([name, *map(edges_name, beside.values())])

    def decode(of: Chunk) -> ChunkEdges:
        return decode_edges(data[edges_name(of)], f"{edges.folder}/{edges_name(of)}", chunk)

    counts[NO_EDGE_FILE] = int(data[name] is None)
    found = decode(chunk)
    if beside:
        found, counts[ONE_SIDED] = with_neighbours(plan, chunk, found, {of: decode(of) for of in beside.values()})
    # The lower neighbours' files decide the edges to them (shared.chunks.active says why).
    lower = {face: other for face, other in neighbours.items() if face % 2 == 0} if len(found.between.pairs) else {}
    own_name = components_name(chunk)
    listings = components.get([own_name, *map(components_name, lower.values())])
    own, *others = (
        decode_components(listings[part], f"{components.folder}/{part}", chunk)
        for part in (own_name, *map(components_name, lower.values()))
    )
    decided = dict(zip(lower, others, strict=True))
    active = active_edges(plan, chunk, found, own, decided, f"{edges.folder}/{name}")
    counts[NO_COMPONENT_FILE] = int(listings[own_name] is None and len(active.supervoxels) > 0)
    counts.update(active.left_out)
    return active, +counts
