"""CPU and memory of one layer-2 chunk without any request, from 900 supervoxels to 100,000."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from jobs.example import ExampleParams, make_example
from jobs.example.files import COMPONENTS, EDGES
from shared.build.codec import encode_handoff
from shared.build.emit import Built
from shared.gcp.wire import encode_rows
from shared.plan.grid import Chunk
from shared.run.record import RunRecord
from shared.run.sources import Sources
from tests.benchmarks.inputs import TIMESTAMP_MS, record_of, sources_of
from tests.benchmarks.measure import Spent, grown_mb, show

SIZES = (
    ExampleParams((3, 3, 1), (56, 56, 60), 7),
    ExampleParams((3, 3, 1), (72, 72, 90), 4),
    ExampleParams((3, 3, 1), (152, 152, 200), 4),
)


def measure(folder: Path, repeats: int) -> dict[str, object]:
    """Builds the chunk with two lower neighbours of each example."""
    rows: list[dict[str, object]] = []
    for params in SIZES:
        place = folder / "-".join(map(str, (*params.chunk_size, params.supervoxel_size)))
        if not (place / "truth.npz").exists():
            make_example(place, params)
        record = replace(record_of(params.grid), edges=str(place / EDGES), components=str(place / COMPONENTS))
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
    return {"chunks": rows}


def _build(record: RunRecord, sources: Sources, chunk: Chunk) -> tuple[Built, list[bytes], bytes]:
    """All that a worker does for a chunk but the requests themselves."""
    built = sources.build(record, chunk)
    requests = [part.request("t") for part in encode_rows(built.cells, TIMESTAMP_MS * 1000)]
    return built, requests, encode_handoff(built.handoff)
