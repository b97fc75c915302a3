"""Writing an example as raw agglomeration output, in the place of processed files.

Invariants: its edges are those of the processed files, and its merged pairs join the true objects, so the graph
of either has the same objects; nothing disagrees, as each face is told of once.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jobs.example.agglomeration import Agglomeration
from jobs.example.files import edges_of
from jobs.example.params import RESOLUTION, ExampleParams
from jobs.example.shards import RawFiles, spread
from shared.plan.grid import Chunk

RAW = "raw"
"""Name of the folder below an example's."""

DATA_VERSION = 4


def write_raw(folder: Path, params: ExampleParams, data: Agglomeration) -> int:
    """Writes the shards of an example below `folder`; how many."""
    x, y, z = map(float, RESOLUTION)
    raw = RawFiles(params.chunks, params.layout, DATA_VERSION, (x, y, z))
    edges = {chunk: edges_of(data, chunk, None) for chunk in data.inside}
    spread(raw, edges, _pairs(params, data), params.seed).write(folder / RAW)
    return len(raw.entries)


def _pairs(
    params: ExampleParams, data: Agglomeration
) -> dict[Chunk, np.ndarray[tuple[int, int], np.dtype[np.uint64]]]:
    """By chunk, its supervoxels each with the smallest one of the object, but for that one itself; (n, 2)."""
    supervoxels = data.truth.supervoxels
    _, first, of = np.unique(data.truth.objects, return_index=True, return_inverse=True)
    pairs = np.stack([supervoxels, supervoxels[first][of]], axis=1)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    chunks = pairs[:, 0] >> np.uint64(params.layout.segment_bits(1))
    groups = np.split(pairs, np.flatnonzero(np.diff(chunks)) + 1) if len(pairs) else []
    return {params.layout.chunk_of(int(rows[0, 0]))._replace(layer=2): rows for rows in groups}
