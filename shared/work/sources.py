"""Reads what the build of one chunk needs and calls the build: the way from stored bytes to `Built`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.chunks.codec import decode_face_map, decode_handoff, encode_handoff
from shared.chunks.emit import Built
from shared.chunks.handoff import FaceMap, check_inside
from shared.chunks.layer2 import build_layer2
from shared.chunks.parent import build_parent
from shared.errors import DataError, IngestError
from shared.inputs.segmentation.cut_file import encode_cut
from shared.inputs.source import InputSource, Remembered
from shared.plan.grid import Chunk, opposite
from shared.run.ports import Storage
from shared.run.record import RunRecord
from shared.table.cells import Cells
from shared.work.cutter import Cutter
from shared.work.handoffs import stored
from shared.work.layer2_inputs import NO_EDGE_FILE, read_active
from shared.work.prepared import prepared, prepared_parent
from shared.work.table_sorter import TableSorter
from shared.work.verifying import Verifying
from shared.work.written import Puts, Written


class MissingHandOff(IngestError):
    """A chunk was queued before one of its dependencies was stored, or a hand-off was deleted."""

    def __init__(self, chunk: Chunk, file: str) -> None:
        super().__init__(f"{file}: chunk {chunk} needs this hand-off, which is not there; it is tried again")


@dataclass(frozen=True)
class Made:
    """What a job comes to: cells, None where it has no rows; the bytes of its hand-off; what is written before
    it; and how many supervoxels and nodes are in the chunk."""

    cells: list[Cells] | None
    handoff: bytes
    files: Sequence[Puts] = ()
    supervoxels: int = 0
    nodes: int = 0


@dataclass(frozen=True)
class Sources:
    """Where a run's chunks come from: its input, and the graph's scratch folder with the hand-offs; what is written
    beside the table, if something is; for a segmentation what makes its cuts; and what verifies its chunks."""

    inputs: InputSource
    scratch: Storage
    written: Written = field(default_factory=Written)
    cutter: Cutter | None = None
    sorter: TableSorter | None = None
    verifying: Verifying | None = None

    def make(self, record: RunRecord, chunk: Chunk) -> Made:
        """Reads and builds a chunk of `record`'s plan; DataError, RangeOverflow or MissingHandOff."""
        if chunk.layer == 0:
            assert self.sorter is not None
            return Made(None, self.sorter.sort(chunk))
        if chunk.layer == 1:
            return self._cut(record, chunk)
        if record.verifies:
            assert self.verifying is not None
            return Made(None, *self._verified(self.verifying, chunk))
        if record.prepare:
            return self._prepare(record, chunk)
        source = Remembered(self.inputs)
        built = self._build(record, chunk, source)
        files = self.written.files(chunk, source) if chunk.layer == 2 else ()
        totals = built.handoff.totals
        counts = totals[2].get("supervoxels", 0), totals[chunk.layer].get("nodes", 0)
        return Made(built.cells, encode_handoff(built.handoff), files, *counts)

    def _verified(self, verifying: Verifying, chunk: Chunk) -> tuple[bytes, Sequence[Puts]]:
        verdict, findings = verifying.verify(chunk)
        return verdict, [findings]

    def _cut(self, record: RunRecord, chunk: Chunk) -> Made:
        """The cut of a chunk of layer 1."""
        assert self.cutter is not None
        made = self.cutter.cut(record, chunk)
        files = self.written.voxels(chunk, made.voxels)
        return Made(None, encode_cut(made.cut), files, made.cut.count)

    def build(self, record: RunRecord, chunk: Chunk) -> Built:
        """The cells and the hand-off of a chunk, as if there were no files to write; raises what `make` does."""
        return self._build(record, chunk, self.inputs)

    def _build(self, record: RunRecord, chunk: Chunk, source: InputSource) -> Built:
        if chunk.layer == 2:
            built = build_layer2(record.plan, chunk, *read_active(record.plan, chunk, source))
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
        if record.segmentation is not None:
            raise DataError(
                record.segmentation.supervoxels,
                built.handoff.chunk,
                f"no supervoxel was found in the {counts['chunks']:,} chunks of the "
                f"{'test' if record.test else 'grid'}: all voxels are background. This is a graph of nothing; "
                "check supervoxels, mip, background and fill_missing of chunkedgraph_ingest.segmentation",
            )
        key, file = "data_source.EDGES", "an edge file"
        if record.raw is not None:
            key, file = "ingest_config.AGGLOMERATION", "edges"
        raise DataError(
            self.inputs.folder,
            built.handoff.chunk,
            f"no supervoxel was built: of the {counts['chunks']:,} chunks of the "
            f"{'test' if record.test else 'grid'}, {counts['chunks'] - counts.get(NO_EDGE_FILE, 0):,} have {file}, "
            f"and none of those an edge. This is a graph of nothing; check {key}, and "
            "graph_config.CHUNK_SIZE, from which the names of the files follow",
        )

    def _prepare(self, record: RunRecord, chunk: Chunk) -> Made:
        if chunk.layer == 2:
            files = self.written.files(chunk, Remembered(self.inputs))
            return Made(None, encode_handoff(prepared(record, chunk, files)), files)
        children = self._stored(record, chunk, record.plan.grid.children(chunk))
        handoffs = [decode_handoff(data, file, child) for child, (data, file) in children.items()]
        return Made(None, encode_handoff(prepared_parent(record, chunk, handoffs)))

    def _stored(self, record: RunRecord, chunk: Chunk, of: Sequence[Chunk]) -> dict[Chunk, tuple[bytes, str]]:
        """The hand-offs of some chunks, which `chunk` needs, each with its place; MissingHandOff."""
        return stored(record, self.scratch, of, lambda _, file: MissingHandOff(chunk, file))

    def _build_parent(self, record: RunRecord, chunk: Chunk) -> Built:
        plan = record.plan
        children = plan.grid.children(chunk)
        found = self._stored(record, chunk, plan.dependencies(chunk))

        def file(of: Chunk) -> str:
            return found[of][1]

        handoffs = {child: decode_handoff(*found[child], child) for child in children}
        handed = [(child, handoff.nodes, file(child)) for child, handoff in handoffs.items()]
        outside: dict[tuple[Chunk, int], FaceMap] = {}
        for child, handoff in handoffs.items():
            for face, other in plan.grid.neighbours(child).items():
                if face in handoff.faces and other in found and other not in handoffs:
                    back = opposite(face)
                    outside[other, back] = decode_face_map(*found[other], other, back)
                    handed.append((other, outside[other, back].new, file(other)))
        check_inside(plan.ids, handed)
        return build_parent(plan, chunk, handoffs, None if plan.test else outside)
