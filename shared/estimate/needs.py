"""What each layer of a plan needs: CPU, time spent waiting, memory, and what it writes. Estimates, all of them.

Invariants: every figure that is not geometry is one of the constants below, with where it comes from, or what a
sample of the data says in the place of one (`Density`).
Sums are products of numbers an axis, so 10^7 chunks take no longer than 10. The work of a parent
follows its boundary: the pairs (node, far end) on the faces of its children. `make bench` measures
the constants again; on another machine, ratios last longer than seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import pow, prod

from shared.environment import USABLE
from shared.estimate import cuts
from shared.estimate.density import Density
from shared.estimate.report import LayerReport, PlanReport

# ---- assumptions about the data ----

VOXELS_A_SUPERVOXEL = 1_200
"""Assumed where no edge file can be opened: a real segmentation of 512^3 voxels has 112,000 supervoxels, cut at
chunk faces. Volumes differ by a factor of a few (the example has 148)."""

DENSEST = 2.0
"""Assumed: the chunk that needs the most memory has so many times the mean of supervoxels and pairs (the only
chunk of a layer has the mean)."""

LAYER2_PAIRS = 1.2
"""Pairs on a face of a layer-2 chunk for each VOXELS_A_SUPERVOXEL^(2/3) voxels of it (about a supervoxel's
cut): counted on the example, with 25.6 voxels a pair."""

PARENT_PAIRS = 0.35
"""The same above layer 2, where nodes have merged: 91 to 141 voxels a pair on the example, so 0.34 to 0.22.
Long neurites merge more, so high layers of a large volume may need less than this says."""

LAYER2_ROWS = 1.2
"""Rows written by layer 2 for each supervoxel: itself and its share of a node (the example; larger chunks
have fewer nodes: 1.03 with 69,000 supervoxels)."""

LAYER2_ROW_BYTES = 75
"""Of a request, for each of those rows (74 on the example)."""

NODES = 0.22
"""Nodes that wait for a parent, for each such voxel of faces: whatever the layer, as many objects cross a voxel of
them. The example has 0.15 to 0.20, examples of other sizes 0.09 to 0.26."""

ROWS_A_NODE = 1.6
"""Rows written by a parent for each node that waits for it: 1.54 to 1.75 on examples, 1.3 at the top."""

PARENT_ROW_BYTES = 110
"""Of a request, for each row of a parent in schema 3 (94 to 114 on the example; 64 to 70 in schema 2)."""

HANDOFF_BYTES = 10
"""Of a stored hand-off for each pair (7.1 to 10.4 on the example)."""

# ---- measured by make bench, CPU time, the best of several ----

LAYER2_CPU = (0.004, 1.1e-6)
"""Seconds of CPU for a layer-2 chunk, and for each supervoxel, without sending: `chunk`, 3.8 ms with 767
supervoxels, 9.7 ms with 5,067, 71 to 78 ms with 68,904."""

PARENT_CPU = (0.004, 1.5e-6)
"""Seconds of CPU for a parent, and for each pair: `boundary`, 1.1 us a pair with 10^5 pairs, 1.2 with 10^6,
1.3 with 10^7; the parents of the example take 4 to 8 ms."""

RAW_CPU = (0.004, 2.5e-6)
"""Seconds of CPU more for a layer-2 chunk that reads raw output and writes its files, and for each supervoxel:
`raw`, 3 and 1 ms for the smallest chunk there, 90 and 75 ms with 68,904 supervoxels."""

RAW_BYTES = (70e6, 2000.0)
"""Memory of that, and for each supervoxel: the indexes that a worker remembers, at most 64 MiB, and `raw`: 140 MB
more than for processed files with 68,904."""

AROUND_CPU = 0.011
"""Seconds of CPU for each chunk for messages, records and the worker's loop: `queue`."""

LAYER2_BYTES = (8e6, 850.0)
"""Memory of a layer-2 build, and for each supervoxel: `chunk`, 6, 7 and 40 to 57 MB for the chunks above."""

PARENT_BYTES = (40e6, 120.0)
"""Memory of a parent, and for each pair: `boundary`, 36 MB with 10^5 pairs, 136 MB with 10^6, 0.9 GB with
10^7, hand-offs included; a tenth more for their stored form."""

PROCESS_BYTES = 170e6
"""Memory of a worker without a chunk: 138 MB after 585 chunks without content through the emulators; the rest is
assumed for TLS and the clients of buckets, which emulators do without. Nobody has measured it on Cloud Run, so
a task has 1 GiB whatever this comes to (`shared.estimate.schedule.LEAST_GIB`)."""

# ---- assumed: usual times of small requests inside one region, in seconds; nothing here can measure them ----

GET_SECONDS = 0.05
PUT_SECONDS = 0.10
RECORD_SECONDS = 0.05
"""Reading a record and writing it back."""
WRITE_SECONDS = 0.05
"""A bulk write of a table that is not the bottleneck; `shared.estimate.schedule` has what a node takes."""
MESSAGE_SECONDS = 0.03
"""A publish or an ack."""

RAW_ROUNDS = 4
"""Rounds of reading more for raw output: indexes and payloads, of edges and of pairs, 6 in all for a worker that
remembers no index."""

GETS_A_CHUNK = 2
"""Rounds of reading: edges, then components; or up to 32 hand-offs, 16 at once."""


@dataclass(frozen=True)
class LayerNeeds:
    """What a layer needs in all, and its largest chunk."""

    layer: int
    chunks: int
    cpu_seconds: float
    wait_seconds: float
    """Sum of the times in which chunks wait for services."""
    memory_gib: float
    """Of a machine for one worker process, so that the largest chunk can be built."""
    rows: float
    """Rows written to the table."""
    row_bytes: float
    """Size of the requests that write them."""
    handoff_bytes: float
    stored_bytes: float = 0.0
    """Of a new volume and of processed files, beside the table."""

    @property
    def seconds(self) -> float:
        """Time that a task is paid for: a worker has one chunk at a time, and waits with it."""
        return self.cpu_seconds + self.wait_seconds


_PER_FACE = pow(VOXELS_A_SUPERVOXEL, -2 / 3)
ASSUMED = Density(
    supervoxels=1 / VOXELS_A_SUPERVOXEL,
    pairs=LAYER2_PAIRS * _PER_FACE,
    nodes=NODES * _PER_FACE,
    rows=LAYER2_ROWS,
    handoff_bytes=HANDOFF_BYTES,
    densest=DENSEST,
    densest_parents=(DENSEST,),
)
"""The density of a volume that nobody looked into."""


def needs(report: PlanReport, density: Density = ASSUMED) -> tuple[LayerNeeds, ...]:
    """An estimate for each layer of a plan."""
    published = [layer.chunks if layer.layer > 1 else 1 for layer in report.layers[1:]] + [0]
    of_layer = {0: _tables, 1: _cuts, 2: _layer2}
    return tuple(
        of_layer.get(layer.layer, _parent)(report, density, layer, queued)
        for layer, queued in zip(report.layers, published, strict=True)
    )


def needs_of_range(report: PlanReport, density: Density, high: Density) -> tuple[LayerNeeds, ...]:
    """The needs of one density, on machines that have the memory for a higher one."""
    pairs = zip(needs(report, density), needs(report, high), strict=True)
    return tuple(replace(one, memory_gib=larger.memory_gib) for one, larger in pairs)


def pairs_a_voxel(density: Density, layer: int) -> float:
    """Pairs for each voxel of a face of a chunk of `layer`, counted on one side."""
    return density.pairs if layer == 2 else density.pairs * density.above * PARENT_PAIRS / LAYER2_PAIRS


def faces(report: PlanReport, layer: int) -> float:
    """Voxels of all faces between chunks of `layer`, each counted on both sides."""
    volume = prod(report.voxels)
    grid = report.at(layer).grid
    return sum(2 * (chunks - 1) * volume / length for chunks, length in zip(grid, report.voxels, strict=True))


def most_faces(report: PlanReport, layer: int) -> float:
    """Voxels of the faces of the children of the parent of `layer` that has the most of them."""
    below = report.at(layer - 1)
    lengths = extent(report, layer)
    # Two children along an axis have four sides, but none where the volume ends.
    sides = [0 if chunks < 2 else 2 if chunks == 2 else 3 if chunks < 5 else 4 for chunks in below.grid]
    return sum(count * prod(lengths) / length for count, length in zip(sides, lengths, strict=True))


def _tables(report: PlanReport, density: Density, layer: LayerReport, queued: int) -> LayerNeeds:
    assert report.segmentation is not None
    scored = bool(report.segmentation.scores)
    rows = (layer.chunks - scored) * cuts.ROWS_A_PART
    joined = prod(report.voxels) * density.supervoxels if scored else 0.0
    largest = max(cuts.SORT_BYTES, scored * (cuts.JOIN_BYTES[0] + joined * cuts.JOIN_BYTES[1]))
    return LayerNeeds(
        layer=0,
        chunks=layer.chunks,
        cpu_seconds=layer.chunks * AROUND_CPU + rows * (cuts.SORT_CPU + scored * cuts.JOIN_CPU),
        wait_seconds=_waits(layer, queued, written=0),
        memory_gib=_gib((largest, 0.0), 0.0, 1, 1.0),
        rows=0,
        row_bytes=0,
        handoff_bytes=(rows + joined) * cuts.ROW_HANDOFF,
    )


def _cuts(report: PlanReport, density: Density, layer: LayerReport, queued: int) -> LayerNeeds:
    assert report.segmentation is not None
    cut, most = report.segmentation, prod(extent(report, 2))
    total = layer.chunks * most if report.test else prod(report.voxels)
    planes = layer.chunks * most_planes(report) if report.test else faces(report, 2)
    fixed, each = cuts.cut_cpu(cut)
    memory = cuts.LIBRARY_BYTES + most * cuts.cut_bytes(cut)
    reads, writes = cuts.rounds(cuts.blocks_read(report)), cuts.rounds(cuts.blocks_written(report))
    waits = layer.chunks * (reads * GET_SECONDS + writes * PUT_SECONDS)
    if cut.tables:
        waits += layer.chunks * cuts.LOOKUP_GETS * GET_SECONDS
    return LayerNeeds(
        layer=1,
        chunks=layer.chunks,
        cpu_seconds=layer.chunks * (fixed + AROUND_CPU) + total * each,
        wait_seconds=_waits(layer, queued, read=0, written=0) + waits,
        memory_gib=_gib((memory, cuts.PIECE_BYTES), most * density.supervoxels, layer.chunks, density.densest),
        rows=0,
        row_bytes=0,
        handoff_bytes=cuts.handoff_bytes(cut, total * density.supervoxels, planes),
        stored_bytes=total * cuts.VOXEL_STORED * report.watershed,
    )


def _layer2(report: PlanReport, density: Density, layer: LayerReport, queued: int) -> LayerNeeds:
    each = prod(extent(report, 2)) * density.supervoxels
    total = layer.chunks * each if report.test else prod(report.voxels) * density.supervoxels
    fixed, more = RAW_CPU if report.raw else (0.0, 0.0)
    memory = LAYER2_BYTES
    waits = layer.chunks * report.written * PUT_SECONDS
    if report.raw:
        memory = (memory[0] + RAW_BYTES[0], memory[1] + RAW_BYTES[1])
        waits += layer.chunks * RAW_ROUNDS * GET_SECONDS
    if report.segmentation is not None:
        more = cuts.SOURCE_CPU
        planes = cuts.SOURCE_BYTES[1] * most_planes(report)
        memory = (memory[0] + planes, memory[1] + cuts.SOURCE_BYTES[0])
    handed = layer.chunks * most_planes(report) * density.pairs if report.test else faces(report, 2) * density.pairs
    return LayerNeeds(
        layer=2,
        chunks=layer.chunks,
        cpu_seconds=layer.chunks * (LAYER2_CPU[0] + fixed + AROUND_CPU) + total * (LAYER2_CPU[1] + more),
        wait_seconds=_waits(layer, queued) + waits,
        memory_gib=_gib(memory, each, layer.chunks, density.densest),
        rows=total * density.rows,
        row_bytes=total * density.rows * LAYER2_ROW_BYTES,
        handoff_bytes=handed * density.handoff_bytes,
        stored_bytes=total * cuts.FILE_BYTES / 2 * report.written,
    )


def _parent(report: PlanReport, density: Density, layer: LayerReport, queued: int) -> LayerNeeds:
    each = pairs_a_voxel(density, layer.layer - 1)
    most = most_faces(report, layer.layer)
    planes = most if report.test else faces(report, layer.layer - 1)
    total = planes * each
    rows = planes * density.nodes * ROWS_A_NODE
    return LayerNeeds(
        layer=layer.layer,
        chunks=layer.chunks,
        cpu_seconds=layer.chunks * (PARENT_CPU[0] + AROUND_CPU) + total * PARENT_CPU[1],
        wait_seconds=_waits(layer, queued),
        memory_gib=_gib(PARENT_BYTES, most * each, layer.chunks, density.densest_parent(layer.layer)),
        rows=rows,
        row_bytes=rows * PARENT_ROW_BYTES,
        handoff_bytes=faces(report, layer.layer) * pairs_a_voxel(density, layer.layer) * density.handoff_bytes,
    )


def extent(report: PlanReport, layer: int) -> list[int]:
    """Voxels along each axis of the largest chunk of a layer."""
    return [min(size, chunk << layer - 2) for size, chunk in zip(report.voxels, report.chunk_size, strict=True)]


def most_planes(report: PlanReport) -> float:
    """Voxels of six faces of a layer-2 chunk."""
    lengths = extent(report, 2)
    return sum(2 * prod(lengths) / length for length in lengths)


def _waits(layer: LayerReport, queued: int, read: int = GETS_A_CHUNK, written: int = 1) -> float:
    """Seconds that all chunks of a layer wait; `queued` parents are published on the way. Each has `read` rounds of
    reading, and writes to the table `written` times."""
    each = read * GET_SECONDS + written * WRITE_SECONDS + PUT_SECONDS + MESSAGE_SECONDS
    return layer.chunks * each + layer.transactions * RECORD_SECONDS + queued * (MESSAGE_SECONDS + RECORD_SECONDS)


def _gib(memory: tuple[float, float], count: float, chunks: int, densest: float) -> float:
    """Memory of a machine whose one worker builds the densest of `chunks` of `count` supervoxels or pairs."""
    fixed, each = memory
    return (PROCESS_BYTES + fixed + min(densest, chunks) * count * each) / USABLE / (1 << 30)
