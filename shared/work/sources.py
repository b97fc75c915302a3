"""Reads what the build of one chunk needs and calls the build: the way from stored bytes to `Built`."""

from __future__ import annotations

from dataclasses import dataclass

from shared.chunks.codec import decode_face_map, decode_handoff
from shared.chunks.emit import Built
from shared.chunks.handoff import FaceMap, check_inside
from shared.chunks.layer2 import build_layer2
from shared.chunks.parent import build_parent
from shared.errors import DataError, IngestError
from shared.plan.grid import Chunk, opposite
from shared.run.ports import Folder, Storage
from shared.run.record import RunRecord
from shared.work.layer2_inputs import NO_EDGE_FILE, read_active


class MissingHandOff(IngestError):
    """A chunk was queued before one of its dependencies was stored, or a hand-off was deleted."""

    def __init__(self, chunk: Chunk, file: str) -> None:
        super().__init__(f"{file}: chunk {chunk} needs this hand-off, which is not there; it is tried again")


@dataclass(frozen=True)
class Sources:
    """Where inputs and hand-offs are: edge and component files, and the graph's scratch folder."""

    edges: Folder
    components: Folder
    scratch: Storage

    def build(self, record: RunRecord, chunk: Chunk) -> Built:
        """Reads and builds a chunk of `record`'s plan; DataError, RangeOverflow or MissingHandOff."""
        if chunk.layer == 2:
            built = build_layer2(record.plan, chunk, *read_active(record.plan, chunk, self.edges, self.components))
        else:
            built = self._build_parent(record, chunk)
        if chunk == record.plan.top:
            self._check_something(record, built)
        return built

    def _check_something(self, record: RunRecord, built: Built) -> None:
        """DataError for a run that has come to nothing: that is no graph, but input that was not found."""
        counts = built.handoff.totals[2]
        if counts["supervoxels"]:
            return
        raise DataError(
            self.edges.folder,
            built.handoff.chunk,
            f"no supervoxel was built: of the {counts['chunks']:,} chunks of the "
            f"{'test' if record.test else 'grid'}, {counts['chunks'] - counts.get(NO_EDGE_FILE, 0):,} have an edge "
            "file, and none of those an edge. This is a graph of nothing; check data_source.EDGES, and "
            "graph_config.CHUNK_SIZE, from which the names of the files follow",
        )

    def _build_parent(self, record: RunRecord, chunk: Chunk) -> Built:
        plan = record.plan
        children = plan.grid.children(chunk)
        wanted = plan.dependencies(chunk)
        names = {record.handoff_name(of): of for of in wanted}
        data = self.scratch.get(list(names))
        stored: dict[Chunk, bytes] = {}
        for name, of in names.items():
            content = data[name]
            if content is None:
                raise MissingHandOff(chunk, f"{self.scratch.folder}/{name}")
            stored[of] = content

        def file(of: Chunk) -> str:
            return f"{self.scratch.folder}/{record.handoff_name(of)}"

        handoffs = {child: decode_handoff(stored[child], file(child), child) for child in children}
        handed = [(child, handoff.nodes, file(child)) for child, handoff in handoffs.items()]
        outside: dict[tuple[Chunk, int], FaceMap] = {}
        for child, handoff in handoffs.items():
            for face, other in plan.grid.neighbours(child).items():
                if face in handoff.faces and other in stored and other not in handoffs:
                    back = opposite(face)
                    outside[other, back] = decode_face_map(stored[other], file(other), other, back)
                    handed.append((other, outside[other, back].new, file(other)))
        check_inside(plan.ids, handed)
        return build_parent(plan, chunk, handoffs, None if plan.test else outside)
