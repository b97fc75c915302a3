"""A graph in view: how long a viewer waits for its first picture, and what a block takes, step by step.

The volume has 512 x 512 x 512 voxels in chunks of 128 x 128 x 128 and supervoxels of 8 x 16 x 8 voxels; its table,
in an emulator, has the parents of all of them through every layer, and nothing else. A viewer that opens asks for
the blocks of three slices through the middle, as many at a time as a browser does.
"""

from __future__ import annotations

import itertools
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from jobs.look.loopback import LoopbackServer
from jobs.look.view import VIEW_POLICY, GraphView, view_routes
from shared.gcp.bigtable.table import BigtableTable
from shared.gcp.clients import Endpoints
from shared.look.relabelled import relabelled
from shared.memory.backend import MemoryBackend
from shared.operate.run import Run
from shared.plan.grid import Chunk, Grid, parent
from shared.plan.ids import IdLayout
from shared.run.record import RunRecord
from shared.table.cells import id_cells
from shared.table.columns import PARENT, families
from shared.voxels.volume import encoded_block
from tests.benchmarks.inputs import TIMESTAMP_MS
from tests.benchmarks.measure import Spent, resident_mb, show

SIDE, CHUNK, CELL = 512, (128, 128, 128), (8, 16, 8)
GRID = Grid((4, 4, 4))
IDS = IdLayout(GRID.layer_count)
AT_ONCE = 6
"""Requests that a browser has under way with one server."""


def measure(folder: Path, endpoints: Endpoints) -> dict[str, Any]:
    """Opening, cold and again; each step of a block; memory."""
    folder.mkdir(parents=True, exist_ok=True)
    run = _run(folder, BigtableTable(endpoints, "bench"))
    opening = Spent()
    with opening.more():
        view = GraphView(run)
        server = LoopbackServer(view_routes(view), policy=VIEW_POLICY)
    before = resident_mb()
    rows = [{"what": "opened", "blocks": 0, "seconds": opening.seconds, "cpu": opening.cpu, "MB": 0.0}]
    with server:
        for what, layer in (("roots", view.top), ("roots again", view.top), ("layer 2", 2), ("supervoxels", 1)):
            spent, names = Spent(), _slices(view)
            with spent.more(), ThreadPoolExecutor(AT_ONCE) as pool:
                sizes = list(pool.map(lambda name, at=layer: _get(server, f"/segments/{at}/s0/{name}"), names))
            took = {"blocks": len(names), "seconds": spent.seconds, "cpu": spent.cpu, "MB": sum(sizes) / 1e6}
            rows.append({"what": f"three slices, {what}", **took})
    steps = _steps(view)
    note = f"memory grew by {resident_mb() - before:.0f} MB; {AT_ONCE} requests at a time"
    show("A view of 512 x 512 x 512 voxels", rows, note)
    show("One block of it, cold", [steps])
    return {"opening": rows, "block": steps, "grown_mb": resident_mb() - before}


def _get(server: LoopbackServer, path: str) -> int:
    with urllib.request.urlopen(server.address + path, timeout=600) as answer:
        return len(answer.read())


def _slices(view: GraphView) -> list[str]:
    """The blocks that the three planes through the middle meet."""
    side = view.scales[0].block
    found = []
    for corner in itertools.product(*(range(0, SIDE, length) for length in side)):
        if any(at <= SIDE // 2 < at + length for at, length in zip(corner, side, strict=True)):
            found.append("_".join(f"{at}-{at + length}" for at, length in zip(corner, side, strict=True)))
    return found


def _steps(view: GraphView) -> dict[str, float]:
    """Seconds of CPU of each step of a block, with nothing remembered."""
    fresh = GraphView(view.run)
    (scale,) = fresh.scales
    read, whole, encode = Spent(), Spent(), Spent()
    box = ((128, 128, 128), tuple(128 + side for side in scale.block))
    with read.more():
        voxels = fresh.read(scale, box)  # type: ignore[arg-type]
    with whole.more():
        nodes = relabelled(voxels, lambda ids: fresh.lineage.lifted(ids, fresh.top))
    with encode.more():
        encoded_block(nodes)
    return {"read": read.cpu, "looked up and relabelled": whole.cpu, "encoded": encode.cpu}


def _run(folder: Path, table: BigtableTable) -> Run:
    """A run whose table has parents alone; its volume is written once."""
    from cloudvolume import CloudVolume

    info = CloudVolume.create_new_info(
        num_channels=1,
        layer_type="segmentation",
        data_type="uint64",
        encoding="compressed_segmentation",
        resolution=[8, 8, 40],
        voxel_offset=[0, 0, 0],
        volume_size=[SIDE] * 3,
        chunk_size=[128, 128, 64],
    )
    volume: Any = CloudVolume(f"file://{folder}/ws", info=info, progress=False)
    there = (folder / "ws" / "info").exists()
    backend = MemoryBackend()
    backend.tables["bench"] = table  # type: ignore[assignment]  # a table like another
    table.create(families(3))
    shape = [side // length for side, length in zip(CHUNK, CELL, strict=True)]
    local = np.arange(1, np.prod(shape) + 1, dtype=np.uint64).reshape(shape)
    for axis, length in enumerate(CELL):
        local = np.repeat(local, length, axis)
    for chunk in GRID.chunks(2):
        own = np.uint64(IDS.chunk_id(chunk._replace(layer=1)))
        if not there:
            low = [at * side for at, side in zip(chunk.coords, CHUNK, strict=True)]
            box = tuple(slice(at, at + side) for at, side in zip(low, CHUNK, strict=True))
            volume[box] = (local + own)[..., None]
        nodes = np.arange(1, np.prod(shape) + 1, dtype=np.uint64) + own
        _parents(table, nodes, chunk)
    volume.commit_info()
    record = RunRecord(
        "bench", "run", "bench", None, TIMESTAMP_MS, GRID.shape, "memory://e", "memory://c", schema=3,
        dataset={
            "data_source": {"WATERSHED": f"file://{folder}/ws"},
            "graph_config": {"CHUNK_SIZE": list(CHUNK)},
        },
    )  # fmt: skip
    return Run(backend, record)


def _parents(table: Any, nodes: Any, chunk: Chunk) -> None:
    """Writes links from supervoxels up to roots, each eighth as many as below."""
    at = chunk
    while len(nodes):
        above = np.uint64(IDS.chunk_id(at)) + np.arange(1, -(-len(nodes) // 8) + 1, dtype=np.uint64)
        if at.layer > 2:  # several chunks have one parent: numbers of their own
            above += np.uint64((GRID.index_of(chunk) + 1) << 12)
        table.write([id_cells(PARENT, nodes, np.repeat(above, 8)[: len(nodes)])], TIMESTAMP_MS)
        if at == GRID.root:
            return
        nodes, at = above, parent(at)
