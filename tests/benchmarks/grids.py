"""Parents: what they cost beside layer 2, that it follows their boundary, and what a large one needs.

The volumes are lattices of supervoxels, made with numpy: each touches its 6 neighbours, and so many
contacts are on that objects are small beside the volume and large beside a chunk.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from shared.chunks.codec import encode_handoff
from shared.chunks.handoff import Face, FaceMap, HandOff
from shared.chunks.lift import FaceMaps
from shared.chunks.parent import build_parent
from shared.gcp.bigtable.wire import encode_rows
from shared.inputs.components import components_name, encode_components
from shared.inputs.edges import ChunkEdges, EdgeList, edges_name, encode_edges
from shared.inputs.source import ProcessedSource
from shared.memory.storage import MemoryStorage
from shared.memory.table import MemoryTable
from shared.plan.grid import Chunk, cross_layer, neighbour, opposite
from shared.plan.ids import Ids
from shared.plan.plan import Plan
from shared.run.record import RunRecord
from shared.table.columns import COUNTER, counter_key, families
from shared.verify.chunk import ChunkScans, verify_parent
from shared.verify.findings import Findings
from shared.verify.ranges import node_range, root_range
from shared.verify.verdict import Frontier, Verdict
from shared.work.sources import Sources
from shared.work.verifier import FROM_ABOVE
from tests.benchmarks.inputs import TIMESTAMP_MS, record_of
from tests.benchmarks.measure import Spent, grown_mb, show

SIDE = 4
"""Supervoxels of a chunk along an axis."""
ON = 0.22
"""Share of contacts that are on, just below where one object would fill the volume."""


def lattice(record: RunRecord, seed: int = 0) -> tuple[MemoryStorage, MemoryStorage]:
    """The edge and component files of a grid of small chunks."""
    rng = np.random.default_rng(seed)
    plan = record.plan
    shape = np.array(plan.grid.shape) * SIDE
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    chunk_of = places // SIDE
    inside = places % SIDE
    bits, at = plan.ids.axis_bits(1), plan.ids.segment_bits(1)
    ids = (np.uint64(1) << np.uint64(56)) | (
        (inside[..., 0] * SIDE + inside[..., 1]) * SIDE + inside[..., 2] + 1
    ).astype(np.uint64)
    for axis in range(3):
        ids |= chunk_of[..., axis].astype(np.uint64) << np.uint64(at + bits * (2 - axis))
    flat = np.arange(ids.size).reshape(shape)
    pairs = np.concatenate(
        [np.stack([np.delete(flat, -1, axis).ravel(), np.delete(flat, 0, axis).ravel()], 1) for axis in range(3)]
    )
    on = rng.random(len(pairs)) < ON
    graph = coo_matrix((np.ones(on.sum()), pairs[on].T), shape=(ids.size, ids.size))
    objects = connected_components(graph, directed=False)[1]
    numbers = np.ravel_multi_index(tuple(np.moveaxis(chunk_of, -1, 0).reshape(3, -1)), plan.grid.shape)
    names, both = ids.ravel(), numbers[pairs]
    edges, components = MemoryStorage(), MemoryStorage()
    touching = [np.concatenate([both[:, 0], both[:, 1]]), np.concatenate([pairs, pairs[:, ::-1]])]
    order = np.argsort(touching[0], kind="stable")
    of_chunk, ends = touching[0][order], touching[1][order]
    starts = np.searchsorted(of_chunk, np.arange(plan.grid.chunk_total(2) + 1))
    for chunk, (low, high) in zip(plan.grid.chunks(2), itertools.pairwise(starts.tolist()), strict=True):
        part, number = ends[low:high], plan.grid.index_of(chunk)
        own = numbers[part[:, 1]] == number
        lists = [part[own & (part[:, 0] < part[:, 1])], part[~own]]
        parts = [
            EdgeList(names[pair], np.zeros(len(pair), np.float32), np.ones(len(pair), np.uint64)) for pair in lists
        ]
        edges.put(edges_name(chunk), encode_edges(ChunkEdges(parts[0], parts[1])))
        known = np.unique(part)
        by_object = known[np.argsort(objects[known], kind="stable")]
        cuts = np.flatnonzero(np.diff(objects[by_object])) + 1
        groups = [group for group in np.split(names[by_object], cuts) if len(group) > 1]
        components.put(components_name(chunk), encode_components(groups))
    return edges, components


def measure(sides: tuple[int, ...]) -> dict[str, Any]:
    """A line for each layer of each grid."""
    rows: list[dict[str, Any]] = []
    shares: list[dict[str, Any]] = []
    for side, schema in itertools.product(sides, (2, 3)):
        record = record_of((side, side, side), schema)
        scratch = MemoryStorage()
        sources = Sources(ProcessedSource(*lattice(record)), scratch)
        sources.build(record, record.plan.chunk_at(2, 0))
        cpu: dict[int, float] = {}
        for layer in record.plan.layers:
            total = record.plan.grid.chunk_total(layer)
            pairs = written = 0
            handoffs: list[tuple[Chunk, HandOff]] = []
            with (spent := Spent()).more():
                for chunk in record.plan.grid.chunks(layer):
                    built = sources.build(record, chunk)
                    written += sum(len(part.entries) for part in encode_rows(built.cells, TIMESTAMP_MS * 1000))
                    scratch.put(record.handoff_name(chunk), encode_handoff(built.handoff))
                    handoffs.append((chunk, built.handoff))
            cpu[layer] = spent.cpu
            pairs = sum(len(face.far) for _, handoff in handoffs for face in handoff.faces.values())
            rows.append(
                {
                    "grid": f"{side}^3",
                    "schema": schema,
                    "layer": layer,
                    "chunks": total,
                    "CPU ms/chunk": spent.cpu / total * 1e3,
                    "rows/chunk": written / total,
                    "pairs handed up/chunk": pairs / total,
                    "supervoxels below": SIDE**3 * side**3 / total,
                }
            )
        above = sum(value for layer, value in cpu.items() if layer > 2)
        shares.append(
            {
                "grid": f"{side}^3",
                "schema": schema,
                "layer 2 CPU s": cpu[2],
                "layer 2 ms/chunk": cpu[2] / side**3 * 1e3,
                "above CPU s": above,
                "above / layer 2": above / cpu[2],
            }
        )
    show("Layers over grids of small chunks (64 supervoxels each)", rows)
    show("All layers above 2 beside layer 2", shares)
    return {"layers": rows, "shares": shares}


def boundary(pairs: int, seed: int = 0) -> dict[str, Any]:
    """Builds one parent whose children hand up so many pairs; time and memory a pair."""
    rng = np.random.default_rng(seed)
    record = record_of((64, 64, 64), 3)
    plan, chunk = record.plan, Chunk(6, 1, 1, 1)
    children = plan.grid.children(chunk)
    count = max(8, pairs // 8 // 4)
    a_face = pairs // 48
    nodes = {child: plan.ids.node_ids(child, 1, count) for child in children}
    faces: dict[Chunk, dict[int, Face]] = {child: {} for child in children}
    outside: dict[tuple[Chunk, int], FaceMap] = {}

    def known(of: Chunk, positions: npt.NDArray[Any]) -> Ids:
        found: Ids = plan.ids.node_ids(of._replace(layer=of.layer), 1, count)[positions] ^ np.uint64(1 << 56)
        return found

    for child in children:
        for number in range(6):
            other = neighbour(child, number)
            if other in children and number % 2 == 0:
                continue
            joint = np.unique(rng.integers(0, count, (a_face, 2)), axis=0)
            for one, face, near, far, to in (
                (child, number, joint[:, 0], joint[:, 1], other),
                (other, opposite(number), joint[:, 1], joint[:, 0], child),
            ):
                order = np.lexsort((far, near))
                mine = np.unique(near)
                if one in faces:
                    faces[one][face] = Face(
                        near[order].astype(np.uint32),
                        known(to, far[order]),
                        known(one, mine),
                        mine.astype(np.uint32),
                    )
                else:
                    ids = plan.ids.node_ids(one, 1, count)
                    outside[one, face] = FaceMap(known(one, mine), ids[mine])
    handoffs = {child: HandOff(child, nodes[child], faces[child], 0, {}) for child in children}
    handed = sum(len(face.far) for parts in faces.values() for face in parts.values())
    held = sum(
        part.nbytes
        for parts in faces.values()
        for face in parts.values()
        for part in (face.near, face.far, face.old, face.new)
    )

    def build() -> tuple[int, bytes]:
        built = build_parent(plan, chunk, handoffs, outside)
        size = sum(len(rows.request("t")) for rows in encode_rows(built.cells, TIMESTAMP_MS * 1000))
        return size, encode_handoff(built.handoff)

    grown = grown_mb(build)
    with (spent := Spent()).more():
        size, handoff = build()
    checked, rows_held = _verified(plan, chunk, handoffs, outside)
    return {
        "pairs": handed,
        "nodes": 8 * count,
        "CPU s": spent.cpu,
        "us/pair": spent.cpu / handed * 1e6,
        "hand-offs MB": held / 1e6,
        "peak MB above them": grown,
        "bytes/pair": (grown * 1e6 + held) / handed,
        "verify MB": checked,
        "its bytes/pair": (checked * 1e6 + rows_held + held) / handed,
        "requests MB": size / 1e6,
        "hand-off MB": len(handoff) / 1e6,
    }


def _verified(
    plan: Plan, chunk: Chunk, handoffs: Mapping[Chunk, HandOff], outside: FaceMaps
) -> tuple[float, float]:
    """MB that it takes to verify such a parent above what is read for it, and how many bytes that is."""
    table = MemoryTable()
    table.create(families(plan.schema))
    table.write(build_parent(plan, chunk, handoffs, outside).cells, TIMESTAMP_MS)
    verdicts = {}
    for child, handoff in handoffs.items():
        masks = np.zeros(len(handoff.nodes), np.uint64)
        for number, face in handoff.faces.items():
            np.bitwise_or.at(masks, face.near, np.uint64(1 << cross_layer(child, number)))
        frontier = Frontier(handoff.nodes, masks, np.ones_like(masks), np.zeros_like(masks))
        verdicts[child] = Verdict(child, frontier, handoff.faces)
    below = [node_range(plan, child) for child in handoffs]
    counter = counter_key(plan.ids.chunk_id(chunk))
    (row,) = table.read_keys([counter])
    scans = ChunkScans(
        table.scan([node_range(plan, chunk)]),
        table.scan([root_range(plan, chunk)]),
        row.cells[str(COUNTER)],
        above=table.scan(below, FROM_ABOVE),
    )
    del table
    findings = Findings(plan, chunk)
    grown = grown_mb(lambda: verify_parent(plan, chunk, scans, verdicts, outside, findings))
    assert not findings.count
    cells = [cell for scan in (scans.nodes, scans.roots, scans.above) for cell in scan.cells.values()]
    held = sum(part.nbytes for cell in cells for part in (cell.rows, cell.times, cell.data, cell.starts))
    return grown, held


def measure_boundary(sizes: tuple[int, ...]) -> dict[str, Any]:
    """A line for each boundary."""
    rows = [boundary(pairs) for pairs in sizes]
    per_pair = float(rows[-1]["bytes/pair"])
    show(
        "One parent of schema 3 by the pairs on its boundary",
        rows,
        f"all in memory: at {per_pair:.0f} bytes a pair, 10^7 pairs would take {per_pair / 100:.1f} GB",
    )
    return {"boundary": rows}
