"""CPU and memory without any request: one layer-2 chunk from 900 supervoxels to 70,000, and what all layers
above take beside layer 2, by the size of its chunks."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from jobs.example import ExampleParams, make_example
from jobs.example.files import COMPONENTS, EDGES
from shared.chunks.codec import encode_handoff
from shared.chunks.emit import Built
from shared.gcp.bigtable.wire import encode_rows
from shared.memory.storage import MemoryStorage
from shared.plan.grid import Chunk
from shared.run.record import RunRecord
from shared.work.sources import Sources
from tests.benchmarks.inputs import TIMESTAMP_MS, record_of, sources_of
from tests.benchmarks.measure import Spent, grown_mb, show

SIZES = (
    ExampleParams((3, 3, 1), (56, 56, 60), 7),
    ExampleParams((3, 3, 1), (72, 72, 90), 4),
    ExampleParams((3, 3, 1), (152, 152, 200), 4),
)


def measure(folder: Path, repeats: int) -> dict[str, Any]:
    """Builds the chunk with two lower neighbours of each example."""
    rows: list[dict[str, Any]] = []
    for params in SIZES:
        record = replace(record_of(params.grid), **example(folder, params))
        build = partial(_build, record, sources_of(record), Chunk(2, 1, 1, 0))
        build()
        best = Spent(float("inf"), float("inf"))
        grown = grown_mb(build)
        for _ in range(repeats):
            with (spent := Spent()).more():
                built, requests, handoff = build()
            best = min(best, spent, key=lambda each: each.cpu)
        counts = built.handoff.totals[2]
        rows.append(
            {
                "supervoxels": counts["supervoxels"],
                "nodes": counts["nodes"],
                "requests MB": sum(map(len, requests)) / 1e6,
                "hand-off MB": len(handoff) / 1e6,
                "CPU ms": best.cpu * 1e3,
                "us/supervoxel": best.cpu * 1e6 / counts["supervoxels"],
                "peak MB": grown,
            }
        )
    show("One layer-2 chunk without requests to the table", rows, "reading, building, encoding; hand-off in memory")
    shares = [_share(folder, size, schema, repeats) for size in SIZES[:2] for schema in (2, 3)]
    show("All layers above 2 beside layer 2, 8 x 4 x 4 chunks", shares)
    return {"chunks": rows, "shares": shares}


def _share(folder: Path, size: ExampleParams, schema: int, repeats: int) -> dict[str, Any]:
    """CPU of each layer of a whole volume of such chunks."""
    params = replace(size, grid=(8, 4, 4))
    record, place = replace(record_of(params.grid, schema), **example(folder, params)), MemoryStorage()
    sources = sources_of(record, place)
    best: dict[int, float] = {}
    for _ in range(repeats):
        for layer in record.plan.layers:
            with (spent := Spent()).more():
                for chunk in record.plan.grid.chunks(layer):
                    built, _, handoff = _build(record, sources, chunk)
                    place.put(record.handoff_name(chunk), handoff)
            best[layer] = min(spent.cpu, best.get(layer, spent.cpu))
    above = sum(cpu for layer, cpu in best.items() if layer > 2)
    return {
        "supervoxels/chunk": built.handoff.totals[2]["supervoxels"] // record.plan.total(2),
        "schema": schema,
        "layer 2 ms/chunk": best[2] / record.plan.total(2) * 1e3,
        "layer 3 ms/chunk": best[3] / record.plan.total(3) * 1e3,
        "above / layer 2": above / best[2],
    }


def example(folder: Path, params: ExampleParams) -> dict[str, Any]:
    """Where the files of an example are, which is made unless it is there."""
    place = folder / "-".join(map(str, (*params.grid, *params.chunk_size, params.supervoxel_size)))
    if not (place / "truth.npz").exists():
        make_example(place, params)
    return {"edges": str(place / EDGES), "components": str(place / COMPONENTS)}


def _build(record: RunRecord, sources: Sources, chunk: Chunk) -> tuple[Built, list[bytes], bytes]:
    """All that a worker does for a chunk but the requests themselves."""
    built = sources.build(record, chunk)
    requests = [part.request("t") for part in encode_rows(built.cells, TIMESTAMP_MS * 1000)]
    return built, requests, encode_handoff(built.handoff)
