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
from shared.estimate.pace import AS_ASSUMED, NO_PACES, JobCosts, Pace, Paces
from shared.estimate.planes import extent, faces, most_faces, most_planes
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
"""Of a large stored hand-off for each pair (7.1 to 10.4 on the example)."""
PLAIN_HANDOFF = 32 << 10, 28
"""Up to so many bytes a hand-off is stored as it is, with so many for each pair (26 to 30 on the example)."""

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

PARENT_BYTES = (40e6, 200.0)
"""Memory of a parent, and for each pair: `boundary`, hand-offs included: to build it 35 MB with 10^5 pairs, 112 MB
with 10^6, 0.9 GB with 10^7; to verify it 51 MB with 10^5, 181 MB with 10^6, its rows included."""

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
    read_rows: float = 0.0
    """Rows that are read of the table: to verify it, as a build reads none."""
    fleet: int = 0
    """Tasks that the layer's fleet has, where that does not follow from this; 0 where it does."""

    @property
    def seconds(self) -> float:
        """Time that a task is paid for: a worker has one chunk at a time, and waits with it."""
        return self.cpu_seconds + self.wait_seconds


def assumed(supervoxels: float) -> Density:
    """The density of a volume of which nothing is known but how many supervoxels a voxel has."""
    per_face = pow(supervoxels, 2 / 3)
    return Density(
        supervoxels=supervoxels,
        pairs=LAYER2_PAIRS * per_face,
        nodes=NODES * per_face,
        rows=LAYER2_ROWS,
        handoff_bytes=None,
        densest=DENSEST,
        densest_parents=(DENSEST,),
    )


ASSUMED = assumed(1 / VOXELS_A_SUPERVOXEL)
"""The density of a volume that nobody looked into."""


def needs(report: PlanReport, density: Density = ASSUMED, paces: Paces = NO_PACES) -> tuple[LayerNeeds, ...]:
    """An estimate for each layer of a plan; `paces` has what was measured of some."""
    of_layer = {0: _tables, 1: _cuts, 2: _layer2}
    return tuple(
        of_layer.get(layer.layer, _parent)(report, density, layer, queued, paces.get(layer.layer, AS_ASSUMED))
        for layer, queued in published(report)
    )


def published(report: PlanReport) -> list[tuple[LayerReport, int]]:
    """Each layer, and how many chunks of the one above are published on the way."""
    above = [layer.chunks if layer.layer > 1 else 1 for layer in report.layers[1:]] + [0]
    return list(zip(report.layers, above, strict=True))


def needs_of_range(
    report: PlanReport, density: Density, high: Density, paces: Paces = NO_PACES
) -> tuple[LayerNeeds, ...]:
    """The needs of one density, on machines that have the memory for a higher one."""
    pairs = zip(needs(report, density, paces), needs(report, high, paces), strict=True)
    return tuple(replace(one, memory_gib=larger.memory_gib) for one, larger in pairs)


def layer2_costs(report: PlanReport) -> JobCosts:
    """What a chunk of layer 2 is assumed to take, and each of its supervoxels."""
    cpu, memory, before = LAYER2_CPU, LAYER2_BYTES, 0.0
    if report.raw:
        cpu = (cpu[0] + RAW_CPU[0], cpu[1] + RAW_CPU[1])
        before, memory = RAW_BYTES[0], (memory[0], memory[1] + RAW_BYTES[1])
    if report.segmentation is not None:
        cpu = (cpu[0], cpu[1] + cuts.SOURCE_CPU)
        memory = (memory[0] + cuts.SOURCE_BYTES[1] * most_planes(report), memory[1] + cuts.SOURCE_BYTES[0])
    return JobCosts(cpu, memory, before)


def cut_costs(report: PlanReport, voxels: float) -> JobCosts:
    """What the cut of a chunk of so many voxels is assumed to take, and each of its supervoxels."""
    assert report.segmentation is not None
    fixed, each = cuts.cut_cpu(report.segmentation)
    memory = voxels * cuts.cut_bytes(report.segmentation)
    return JobCosts((fixed + each * voxels, 0.0), (memory, cuts.PIECE_BYTES), cuts.LIBRARY_BYTES)


def pairs_a_voxel(density: Density, layer: int) -> float:
    """Pairs for each voxel of a face of a chunk of `layer`, counted on one side."""
    return density.pairs if layer == 2 else density.pairs * density.above * PARENT_PAIRS / LAYER2_PAIRS


def _tables(report: PlanReport, density: Density, layer: LayerReport, queued: int, _pace: Pace) -> LayerNeeds:
    assert report.segmentation is not None
    scored = bool(report.segmentation.scores)
    rows = (layer.chunks - scored) * cuts.ROWS_A_PART
    joined = prod(report.voxels) * density.supervoxels if scored else 0.0
    largest = max(cuts.SORT_BYTES, scored * (cuts.JOIN_BYTES[0] + joined * cuts.JOIN_BYTES[1]))
    return LayerNeeds(
        layer=0,
        chunks=layer.chunks,
        cpu_seconds=layer.chunks * AROUND_CPU + rows * (cuts.SORT_CPU + scored * cuts.JOIN_CPU),
        wait_seconds=other_waits(layer, queued, written=0) + layer.chunks * GETS_A_CHUNK * GET_SECONDS,
        memory_gib=_gib(largest),
        rows=0,
        row_bytes=0,
        handoff_bytes=(rows + joined) * cuts.ROW_HANDOFF,
    )


def _cuts(report: PlanReport, density: Density, layer: LayerReport, queued: int, pace: Pace) -> LayerNeeds:
    assert report.segmentation is not None
    cut, most = report.segmentation, prod(extent(report, 2))
    total = layer.chunks * most if report.test else prod(report.voxels)
    planes = layer.chunks * most_planes(report) if report.test else faces(report, 2)
    fixed, each = cuts.cut_cpu(cut)
    gets = cuts.rounds(cuts.blocks_read(report)) + cuts.LOOKUP_GETS * bool(cut.tables)
    writes = cuts.rounds(cuts.blocks_written(report))
    waits = layer.chunks * (pace.waits(gets * GET_SECONDS) + writes * PUT_SECONDS)
    pieces = most * density.supervoxels * min(density.densest, layer.chunks)
    return LayerNeeds(
        layer=1,
        chunks=layer.chunks,
        cpu_seconds=layer.chunks * AROUND_CPU + pace.cpu * (layer.chunks * fixed + total * each),
        wait_seconds=other_waits(layer, queued, written=0) + waits,
        memory_gib=_gib(_most(cut_costs(report, most), pace, pieces)),
        rows=0,
        row_bytes=0,
        handoff_bytes=cuts.handoff_bytes(cut, total * density.supervoxels, planes),
        stored_bytes=total * cuts.VOXEL_STORED * report.watershed,
    )


def _layer2(report: PlanReport, density: Density, layer: LayerReport, queued: int, pace: Pace) -> LayerNeeds:
    each = prod(extent(report, 2)) * density.supervoxels
    total = layer.chunks * each if report.test else prod(report.voxels) * density.supervoxels
    costs = layer2_costs(report)
    reading = (GETS_A_CHUNK + RAW_ROUNDS * report.raw) * GET_SECONDS
    waits = layer.chunks * (pace.waits(reading) + report.written * PUT_SECONDS)
    handed = layer.chunks * most_planes(report) * density.pairs if report.test else faces(report, 2) * density.pairs
    return LayerNeeds(
        layer=2,
        chunks=layer.chunks,
        cpu_seconds=layer.chunks * AROUND_CPU + pace.seconds_of(layer.chunks, costs, total),
        wait_seconds=other_waits(layer, queued) + waits,
        memory_gib=_gib(_most(costs, pace, each * min(density.densest, layer.chunks))),
        rows=total * density.rows,
        row_bytes=total * density.rows * LAYER2_ROW_BYTES,
        handoff_bytes=_handoffs(handed, layer.chunks, density),
        stored_bytes=total * cuts.FILE_BYTES / 2 * report.written,
    )


def _parent(report: PlanReport, density: Density, layer: LayerReport, queued: int, _pace: Pace) -> LayerNeeds:
    each = pairs_a_voxel(density, layer.layer - 1)
    most = most_faces(report, layer.layer)
    planes = most if report.test else faces(report, layer.layer - 1)
    total = planes * each
    rows = planes * density.nodes * ROWS_A_NODE
    largest = most * each * min(density.densest_parent(layer.layer), layer.chunks)
    return LayerNeeds(
        layer=layer.layer,
        chunks=layer.chunks,
        cpu_seconds=layer.chunks * (PARENT_CPU[0] + AROUND_CPU) + total * PARENT_CPU[1],
        wait_seconds=other_waits(layer, queued) + layer.chunks * GETS_A_CHUNK * GET_SECONDS,
        memory_gib=_gib(PARENT_BYTES[0] + largest * PARENT_BYTES[1]),
        rows=rows,
        row_bytes=rows * PARENT_ROW_BYTES,
        handoff_bytes=_handoffs(
            faces(report, layer.layer) * pairs_a_voxel(density, layer.layer), layer.chunks, density
        ),
    )


def _handoffs(pairs: float, chunks: int, density: Density) -> float:
    """Bytes of the hand-offs of a layer that have so many pairs together."""
    most, each = PLAIN_HANDOFF
    assumed = each if pairs * each <= chunks * most else HANDOFF_BYTES
    return pairs * (assumed if density.handoff_bytes is None else density.handoff_bytes)


def other_waits(layer: LayerReport, queued: int, written: int = 1) -> float:
    """Seconds that all chunks of a layer wait, but for what they read; `queued` parents are published on the way.
    Each writes to the table `written` times."""
    each = written * WRITE_SECONDS + PUT_SECONDS + MESSAGE_SECONDS
    return layer.chunks * each + layer.transactions * RECORD_SECONDS + queued * (MESSAGE_SECONDS + RECORD_SECONDS)


def _most(costs: JobCosts, pace: Pace, supervoxels: float) -> float:
    """Bytes that a job with so many supervoxels takes."""
    return costs.before + pace.bytes_of(costs.bytes_of(supervoxels))


def _gib(most: float) -> float:
    """Memory of a machine whose one worker builds a chunk that takes so many bytes at most."""
    return (PROCESS_BYTES + most) / USABLE / (1 << 30)
