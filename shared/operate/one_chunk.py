"""What one chunk of layer 2 comes to: it is read and built as in a run, counted, and thrown away.

Invariants: nothing is written.
"""

from __future__ import annotations

import numpy as np

from shared.chunks.codec import encode_handoff
from shared.chunks.emit import Built
from shared.chunks.layer2 import build_layer2
from shared.errors import IngestError
from shared.estimate.sampled import Seen
from shared.inputs.edges import ChunkEdges
from shared.inputs.source import InputSource, Remembered
from shared.plan.grid import Chunk
from shared.plan.plan import Plan
from shared.table.cells import NodeCells
from shared.work.layer2_inputs import read_active


def seen_in(plan: Plan, chunk: Chunk, source: InputSource) -> Seen | IngestError:
    """What is in a chunk of layer 2, by the files that its build reads, without its measure; or why it cannot be
    built, which is returned, as the other chunks of a sample can."""
    read = Remembered(source)
    try:
        active, _ = read_active(plan, chunk, read)
        built = build_layer2(plan, chunk, active)
    except IngestError as error:
        return error
    edges = read.edges(chunk, [chunk])[chunk] or ChunkEdges()
    return Seen(
        measure=0.0,
        supervoxels=len(active.supervoxels),
        inside=len(edges.inside.pairs),
        between=len(edges.between.pairs),
        cross=len(edges.cross.pairs),
        rows=_rows(built),
        nodes=len(built.handoff.nodes),
        pairs=sum(len(face.near) for face in built.handoff.faces.values()),
        handoff_bytes=len(encode_handoff(built.handoff)),
        faces=len(plan.grid.neighbours(chunk)),
    )


def _rows(built: Built) -> int:
    """Rows of the table that have a cell of it."""
    nodes = [part.nodes for part in built.cells if isinstance(part, NodeCells)]
    others = {key for part in built.cells if not isinstance(part, NodeCells) for key in part.keys}
    return len(np.unique(np.concatenate(nodes))) + len(others) if nodes else len(others)
