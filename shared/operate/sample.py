"""A handful of input files is read before the start: what is wrong with all of them is said once, and early.

At the rim of what is there and inside it. The files go through the build's own reading, so what it would
refuse is refused here, before a table is made; what a file alone cannot show is asked of its neighbours.
Invariants: nothing is written; the same files give the same answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from shared.chunks.active import ActiveEdges
from shared.chunks.labels import Flags
from shared.errors import DataError
from shared.inputs.components import components_name, decode_components
from shared.inputs.edges import decode_edges, edges_name
from shared.inputs.folder import InputFiles
from shared.inputs.inventory import Inventory
from shared.inputs.source import ProcessedSource
from shared.operate.missing import SETTING, Found
from shared.plan.edge_rules import REFUSE
from shared.plan.fields import REPORT_MISSING
from shared.plan.grid import FACES, Chunk
from shared.plan.ids import IdLayout, Ids
from shared.plan.plan import Plan
from shared.work.layer2_inputs import read_active

FILES = 12
"""Edge files that are read at most, six of them at the rim; and component files with them."""
EMPTY = 4
"""Chunks without a component file whose neighbours' files are looked into."""
MOST_BITS = 18


@dataclass(frozen=True)
class Sample:
    """Reads from the folders of a dataset; `problems` has all that was found."""

    plan: Plan
    edges: InputFiles
    components: InputFiles
    missing_files: str | float

    def problems(self, found: Inventory) -> Found:
        """Key, value and what follows of each thing that is wrong with the sampled files."""
        chunks = _choose(found.with_edges)
        problems: Found = []
        failed: list[DataError] = []
        read: dict[Chunk, ActiveEdges] = {}
        source = ProcessedSource(self.edges, self.components)
        for chunk in chunks:
            try:
                read[chunk] = read_active(self.plan, chunk, source)[0]
            except DataError as error:
                failed.append(error)
        if failed:
            problems.append(self._refused(failed, len(chunks)))
        problems += self._leading_nowhere(read)
        problems += self._foreign_components(read)
        if self.missing_files != REPORT_MISSING:
            problems += self._lost_components(found.without_components[:EMPTY])
        return problems

    def _refused(self, failed: list[DataError], count: int) -> tuple[str, object, str]:
        """The files that no build can use, by the first of them, and why, if their ids tell."""
        first = failed[0]
        why = explain_ids(self.plan, list(self._inner_ids(failed))) or f"{first.file}: {first.reason}"
        key: str = "data_source"
        value: object = None
        if "SPATIAL_BITS" in why:
            key, value = "graph_config.SPATIAL_BITS", self.plan.ids.spatial_bits
        elif "beyond the volume" in why:
            key, value = "chunkedgraph_ingest.edges_beyond_volume", self.plan.rules.beyond
        return key, value, f"of {count} sampled chunks {len(failed)} cannot be built; the first: {why}"

    def _inner_ids(self, failed: list[DataError]) -> Iterator[tuple[str, Chunk, Ids]]:
        """The ends of the in_chunk edges of the edge files that failed, as far as these can be read."""
        for error in failed:
            chunk = error.chunk
            if isinstance(chunk, Chunk) and error.file.endswith(name := edges_name(chunk)):
                with suppress(DataError):
                    found = decode_edges(self.edges.get([name])[name], name, chunk)
                    yield error.file, chunk, np.unique(found.inside.pairs)

    def _leading_nowhere(self, read: dict[Chunk, ActiveEdges]) -> Found:
        """Active edges to a chunk that has no edge file: it would have to have them, too."""
        if self.plan.rules.one_sided != REFUSE:
            return []
        leading: dict[Chunk, tuple[Chunk, int]] = {}
        for chunk, active in read.items():
            for face, other in self.plan.grid.neighbours(chunk).items():
                count = int((active.faces == face).sum())
                if count:
                    leading.setdefault(other, (chunk, count))
        there = self.edges.has([edges_name(other) for other in leading])
        gone = [other for other in leading if not there[edges_name(other)]]
        if not gone:
            return []
        other = gone[0]
        chunk, count = leading[other]
        told = (
            f"the edges of the sampled chunks lead to {len(gone)} chunks that have no edge file: {count:,} active "
            f"ones lead from {chunk} to {other}, and {edges_name(other)} has to have them, too. A copy that broke "
            "off? If the files are so, chunkedgraph_ingest.one_sided_edges: join takes such edges for both"
        )
        return [("data_source.EDGES", None, told)]

    def _foreign_components(self, read: dict[Chunk, ActiveEdges]) -> Found:
        """Component files that list ids of their chunks of which not one is in the chunk's edges."""
        listed = shared = files = 0
        for chunk, active in read.items():
            own = self._ids_of(chunk, self._components(chunk, chunk))
            files += len(own) > 0 and len(active.supervoxels) > 0
            listed += len(own) if len(active.supervoxels) else 0
            shared += int(np.isin(own, active.supervoxels).sum())
        if not listed or shared:
            return []
        told = (
            f"none of the {listed:,} supervoxels that {files} sampled files list for their chunks is in an edge "
            "there, so nothing would be joined: components and edges are not of one dataset"
        )
        return [("data_source.COMPONENTS", None, told)]

    def _lost_components(self, bare: Iterable[Chunk]) -> Found:
        """Chunks without a component file of whose supervoxels a neighbour's file joins several."""
        bare = list(bare)
        lost = []
        for chunk in bare:
            for other in self.plan.grid.neighbours(chunk).values():
                if len(self._ids_of(chunk, self._components(other, chunk))) > 1:
                    lost.append((chunk, other))
                    break
        if 2 * len(lost) <= len(bare):
            return []
        chunk, other = lost[0]
        told = (
            f"of {len(bare)} sampled chunks with edges and no component file {len(lost)} are joined in their "
            f"neighbours' files: {components_name(other)} lists supervoxels of {chunk}, and "
            f"{components_name(chunk)} is not there. A copy that broke off? If the files are so, set {SETTING} to "
            f"{REPORT_MISSING}"
        )
        return [("data_source.COMPONENTS", None, told)]

    def _components(self, of: Chunk, reader: Chunk) -> Ids:
        """All ids that a chunk's component file lists; none if it cannot be read, which is said elsewhere."""
        name = components_name(of)
        try:
            return decode_components(self.components.get([name])[name], name, reader).ids
        except DataError:
            return np.zeros(0, np.uint64)

    def _ids_of(self, chunk: Chunk, ids: Ids) -> Ids:
        bits = np.uint64(self.plan.ids.segment_bits(1))
        own = np.uint64(self.plan.ids.chunk_id(chunk._replace(layer=1))) >> bits
        found: Ids = ids[ids >> bits == own]
        return found


def explain_ids(plan: Plan, files: list[tuple[str, Chunk, Ids]]) -> str | None:
    """Why the ids of in_chunk edges are not of the chunks whose files they are in, if all of them tell the same."""
    # The ids of chunk 0_0_0 are the same whatever the bits.
    files = [(file, chunk, ids) for file, chunk, ids in files if len(ids) and any(chunk.coords)]
    if not files or any(_fit(plan.ids, ids, chunk).any() for _, chunk, ids in files):
        return None
    file, chunk, ids = files[0]
    layers = plan.ids.layers(ids)
    if (layers != 1).all():
        return f"{file}: its ids, such as {ids[0]}, are of layer {layers[0]}, and supervoxels are of layer 1"
    for bits in range(1, MOST_BITS + 1):
        layout = IdLayout(plan.grid.layer_count, bits, plan.ids.layer_id_bits)
        if layout.axis_bits(1) == bits and all(_fit(layout, ids, chunk).all() for _, chunk, ids in files):
            return f"{file}: its ids are of its chunk if they are made with SPATIAL_BITS {bits}; set it so"
    others = np.unique(plan.ids.coords(ids, 1), axis=0)
    if len(others) == 1:
        x, y, z = others[0].tolist()
        return f"{file}: its ids are of chunk {x}_{y}_{z}, not of {chunk.x}_{chunk.y}_{chunk.z} as its name says"
    return None


def _fit(layout: IdLayout, ids: Ids, chunk: Chunk) -> Flags:
    """Which ids are supervoxels of a chunk under an id layout."""
    inside = (layout.coords(ids, 1) == np.array(chunk.coords)).all(axis=1)
    fit: Flags = inside & (layout.layers(ids) == 1)
    return fit


def _choose(chunks: tuple[Chunk, ...]) -> list[Chunk]:
    """Those at each side of all, from the middle of the side, and others evenly spread."""
    if len(chunks) <= FILES:
        return list(chunks)
    return list(dict.fromkeys([*_rim(chunks), *_spread(chunks, FILES)]))[:FILES]


def _rim(chunks: tuple[Chunk, ...]) -> Iterator[Chunk]:
    coords = np.array([chunk.coords for chunk in chunks])
    for face in FACES:
        along = coords[:, face // 2]
        side = np.flatnonzero(along == (along.max() if face % 2 else along.min()))
        yield chunks[int(side[len(side) // 2])]


def _spread(chunks: tuple[Chunk, ...], count: int) -> Iterator[Chunk]:
    for number in range(count):
        yield chunks[(2 * number + 1) * len(chunks) // (2 * count)]
