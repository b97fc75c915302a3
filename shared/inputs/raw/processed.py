"""The processed edge and component files, written from what was read of raw output.

Invariants: the same values give the same bytes, and reading those gives equal arrays. Where there is
nothing there is no file.
"""

from __future__ import annotations

import numpy as np

from shared.inputs.components import Components
from shared.inputs.edges import ChunkEdges, encode_edges
from shared.inputs.schema import ComponentsMessage

LEVEL = 3
"""zstd's level for edge files. Ids and affinities hardly compress: for 45,620 edges level 17, as in today's
files, takes forty times as long and comes to 2 % more."""


def edge_file(edges: ChunkEdges, level: int = LEVEL) -> bytes | None:
    """The bytes of a chunk's edge file; None if it has no edges."""
    return encode_edges(edges, level) if edges.count else None


def component_file(components: Components) -> bytes | None:
    """The bytes of a chunk's component file, components by number and ids sorted; None without any."""
    if not len(components.ids):
        return None
    order = np.argsort(components.labels, kind="stable")
    counts = np.bincount(components.labels)
    flat = np.empty(len(order) + len(counts), dtype=np.uint64)
    heads = np.cumsum(counts) - counts + np.arange(len(counts))
    listed = np.ones(len(flat), dtype=bool)
    listed[heads] = False
    flat[heads], flat[listed] = counts, components.ids[order]
    data: bytes = ComponentsMessage(components=flat.tolist()).SerializeToString()
    return data
