"""Hand-offs of a run that only writes processed files: nothing but counts, added up to the top chunk.

Why parents at all: the top chunk is done when all others are, so the run ends, and is watched, paused and
resumed, like any other.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.chunks.handoff import HandOff
from shared.chunks.totals import add_totals
from shared.errors import DataError
from shared.plan.grid import Chunk
from shared.plan.ids import NO_IDS
from shared.run.record import RunRecord
from shared.work.written import ChunkFile

FILES = "files written"


def prepared(record: RunRecord, chunk: Chunk, files: Sequence[ChunkFile]) -> HandOff:
    """The hand-off of a layer-2 chunk with these files."""
    count = sum(file.data is not None for file in files)
    return _checked(record, HandOff(chunk, NO_IDS, {}, 0, {2: {"chunks": 1, FILES: count}}))


def prepared_parent(record: RunRecord, chunk: Chunk, children: Sequence[HandOff]) -> HandOff:
    """The hand-off of a parent; DataError if the run has come to its end without writing one file."""
    totals = add_totals([child.totals for child in children] + [{chunk.layer: {"chunks": 1}}])
    return _checked(record, HandOff(chunk, NO_IDS, {}, 0, totals))


def _checked(record: RunRecord, handoff: HandOff) -> HandOff:
    counts = handoff.totals[2]
    if handoff.chunk != record.plan.top or counts.get(FILES):
        return handoff
    assert record.source is not None
    key = "chunkedgraph_ingest.segmentation.supervoxels"
    if record.raw is not None:
        key = "ingest_config.AGGLOMERATION, and graph_config.CHUNK_SIZE, from which the names of the shards follow"
    reason = (
        f"it has neither edges nor components of any of the {counts['chunks']:,} chunks of the grid; check {key}"
    )
    raise DataError(record.source.place, handoff.chunk, reason)
