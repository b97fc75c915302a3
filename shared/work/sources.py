"""Reads what the build of one chunk needs and calls the build: the way from stored bytes to `Built`."""

from __future__ import annotations

from dataclasses import dataclass

from shared.chunks.active import active_edges
from shared.chunks.codec import decode_face_map, decode_handoff
from shared.chunks.emit import Built
from shared.chunks.handoff import FaceMap, check_inside
from shared.chunks.layer2 import build_layer2
from shared.chunks.parent import build_parent
from shared.errors import IngestError
from shared.inputs.components import Components, components_name, decode_components
from shared.inputs.edges import decode_edges, edges_name
from shared.plan.grid import Chunk, opposite
from shared.run.ports import Folder, Storage
from shared.run.record import RunRecord


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
        return self._build_layer2(record, chunk) if chunk.layer == 2 else self._build_parent(record, chunk)

    def _build_layer2(self, record: RunRecord, chunk: Chunk) -> Built:
        plan = record.plan
        name = edges_name(chunk)
        edges = decode_edges(self.edges.get([name])[name], f"{self.edges.folder}/{name}", chunk)
        # The lower neighbours' files decide the edges to them (shared.chunks.active says why).
        lower = {face: other for face, other in plan.grid.neighbours(chunk).items() if face % 2 == 0}
        if not len(edges.between.pairs):
            lower = {}
        own_name = components_name(chunk)
        data = self.components.get([own_name, *map(components_name, lower.values())])

        def decode(of: Chunk) -> Components:
            part = components_name(of)
            return decode_components(data[part], f"{self.components.folder}/{part}", chunk)

        found = {face: decode(other) for face, other in lower.items()}
        active = active_edges(plan, chunk, edges, decode(chunk), found, f"{self.edges.folder}/{name}")
        return build_layer2(plan, chunk, active)

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
