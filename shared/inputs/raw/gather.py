"""The edges of one chunk, gathered from all shards that may hold some.

Invariants: the two chunks of a face take the same entries from the same shards in the same order, so
they find the same edges with the same affinities and areas. Entries of other chunks, or in shards that
do not serve their face, are not looked at.
"""

from __future__ import annotations

import numpy as np

from shared.inputs.edges import ChunkEdges
from shared.inputs.raw.names import Kind, edge_shards
from shared.inputs.raw.pairs import Pieces, Reading
from shared.inputs.raw.records import RecordFormat
from shared.inputs.raw.shards import Entry, Shards
from shared.plan.grid import Chunk, Grid
from shared.plan.ids import IdLayout


def read_edges(shards: Shards, grid: Grid, ids: IdLayout, records: RecordFormat, chunk: Chunk) -> ChunkEdges:
    """The edges of a layer-2 chunk; DataError for a damaged shard, or an edge in the wrong entry."""
    own = ids.chunk_id(chunk._replace(layer=1))
    faces = {ids.chunk_id(other._replace(layer=1)): face for face, other in grid.neighbours(chunk).items()}
    places = edge_shards(chunk)
    taken: list[Entry] = []
    far: list[int] = []
    for entry in shards.entries(dict.fromkeys(places, np.array([own], np.uint64)), chunk):
        other, place = _other(entry, own), places[entry.shard]
        face = faces.get(other)
        if place.kind is Kind.INSIDE or (face is not None and place.serves(face)):
            taken.append(entry)
            far.append(other)
    payloads = shards.payloads(taken, records.dtype.itemsize, chunk)
    reading = Reading(shards, records, chunk, own, ids.segment_bits(1))

    def pieces(kind: Kind) -> Pieces:
        chosen = [at for at, entry in enumerate(taken) if places[entry.shard].kind is kind]
        return Pieces([taken[at] for at in chosen], [payloads[at] for at in chosen], [far[at] for at in chosen])

    return ChunkEdges(
        inside=reading.edges(pieces(Kind.INSIDE)),
        between=reading.edges(pieces(Kind.BETWEEN)),
        cross=reading.cut(pieces(Kind.CROSS)),
    )


def _other(entry: Entry, own: int) -> int:
    """The key that is not the chunk's own, which may stand first or second; its own where there is none."""
    return next((key for key in entry.keys if key != own), own)
