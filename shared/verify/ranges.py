"""Which keys are read with which chunk: all there are, so a row that no job can have written is found too."""

from __future__ import annotations

from shared.plan.grid import Chunk
from shared.plan.plan import Plan
from shared.table.columns import META_KEY, ROOT_COUNTERS, VERSION_KEY, counter_key, node_key

Range = tuple[bytes, bytes]

BEGINNING = (META_KEY, VERSION_KEY)
"""The rows that servers begin with."""


def node_range(plan: Plan, chunk: Chunk) -> Range:
    """The keys of a chunk's nodes, or of its supervoxels for layer 1, and all up to the next chunk's."""
    at = chunk._replace(layer=max(chunk.layer, 2))
    after = plan.grid.index_of(at) + 1
    if after < plan.grid.chunk_total(at.layer):
        high = plan.ids.chunk_id(plan.grid.chunk_at(at.layer, after)._replace(layer=chunk.layer))
    else:
        high = chunk.layer + 1 << 64 - plan.ids.layer_id_bits
    return node_key(plan.ids.chunk_id(chunk)), node_key(high)


def root_range(plan: Plan, chunk: Chunk) -> Range:
    """The keys of the roots that the job of `chunk` may make, gaps included."""
    roots, base = plan.roots, plan.ids.chunk_id(plan.grid.root)
    first = roots.first(chunk)
    low = node_key(base + (0 if first == 1 else first))
    if chunk == plan.grid.root:
        return low, node_key(chunk.layer + 1 << 64 - plan.ids.layer_id_bits)
    return low, node_key(base + first + roots.size(chunk.layer))


def strange_ranges(plan: Plan) -> list[Range]:
    """The keys in which nothing but the first rows of a table and its counters stands."""
    lowest = node_key(1 << 64 - plan.ids.layer_id_bits)
    top = node_key(plan.grid.layer_count + 1 << 64 - plan.ids.layer_id_bits)
    return [(b"", lowest), (top, b"i"), (b"j", b"\xff" * 8)]


def root_counters(plan: Plan) -> list[bytes]:
    """The keys of the root chunk's counters."""
    root = plan.ids.chunk_id(plan.grid.root)
    return [counter_key(root), *(counter_key(root, part) for part in range(ROOT_COUNTERS))]
