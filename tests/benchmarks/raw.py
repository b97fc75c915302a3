"""Reading raw output beside processed files, for the same chunk: what a layer-2 job reads, its lower neighbours'
components included. Processed files are those that are written from the raw output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from jobs.example.shards import RawFiles
from shared.files import CloudFilesStorage
from shared.inputs.components import components_name, decode_components
from shared.inputs.edges import decode_edges, edges_name
from shared.inputs.raw.processed import component_file, edge_file
from shared.inputs.raw.records import RecordFormat
from shared.inputs.raw.source import RawAgglomeration
from shared.plan.grid import Chunk, Grid
from shared.plan.ids import IdLayout
from shared.ranges import CloudFilesRanges
from tests.benchmarks.chunks import SIZES, example
from tests.benchmarks.measure import Spent, grown_mb, show
from tests.raw_shards import raw_of_files

RATIO = 3.0
"""Raw may cost so many times as much."""


def measure(folder: Path, repeats: int, versions: tuple[int, ...] = (2, 4)) -> dict[str, Any]:
    """Reads the inputs of the chunk in the middle of each example, its indexes remembered and not."""
    rows: list[dict[str, Any]] = []
    for params in SIZES:
        params = replace(params, grid=(3, 3, 3))
        place = example(folder, params)
        for version in versions:
            rows.append(_one(folder, params.chunks, place, version, repeats))
    show("Inputs of one layer-2 chunk, raw beside processed", rows, f"CPU; ratio at most {RATIO:.0f}")
    return {"chunks": rows, "limit": RATIO}


def _one(folder: Path, grid: Grid, place: dict[str, str], version: int, repeats: int) -> dict[str, Any]:
    ids, chunk = IdLayout(grid.layer_count), Chunk(2, 1, 1, 1)
    near = [chunk, *(at for face, at in grid.neighbours(chunk).items() if face % 2 == 0)]
    files = RawFiles(grid, ids, version)
    kinds = {"edges_": place["edges"], "components_": place["components"]}
    found = {
        prefix: {path.name: path.read_bytes() for path in Path(at).iterdir() if path.name.startswith(prefix)}
        for prefix, at in kinds.items()
    }
    target = folder / f"raw{version}-{Path(place['edges']).parent.name}"
    raw_of_files(files, found["edges_"], found["components_"]).write(target)
    reader, form = CloudFilesRanges(str(target)), RecordFormat(version, files.resolution)

    def fresh() -> RawAgglomeration:
        return RawAgglomeration(reader, grid, ids, form)

    warm = fresh()
    out = CloudFilesStorage(str(target / "processed"))
    level = Spent(float("inf"), float("inf"))
    for at in near:
        parts = warm.components(chunk, [at])[at]
        out.put(components_name(at), component_file(parts) or b"")
    edges = warm.edges(chunk)
    for _ in range(repeats):
        with (spent := Spent()).more():
            data = edge_file(edges), component_file(parts)
        level = min(level, spent, key=lambda each: each.cpu)
    out.put(edges_name(chunk), data[0] or b"")

    def processed() -> object:
        got = out.get([edges_name(chunk)])[edges_name(chunk)]
        others = out.get([components_name(at) for at in near])
        return decode_edges(got, "-", chunk), [decode_components(each, "-", chunk) for each in others.values()]

    def raw(source: Callable[[], RawAgglomeration]) -> object:
        read = source()
        return read.edges(chunk), read.components(chunk, near)

    ways: dict[str, Callable[[], object]] = {
        "processed": processed,
        "remembered": partial(raw, lambda: warm),
        "new": partial(raw, fresh),
    }
    best = {
        name: min((_spent(way) for _ in range(repeats)), key=lambda each: each.cpu) for name, way in ways.items()
    }
    row: dict[str, Any] = {
        "version": version,
        "edges": sum(len(part.pairs) for part in (edges.inside, edges.between, edges.cross)),
        "listed": len(parts.ids),
        "processed ms": best["processed"].cpu * 1e3,
        "raw ms": best["remembered"].cpu * 1e3,
        "raw, nothing remembered": best["new"].cpu * 1e3,
        "ratio": best["remembered"].cpu / best["processed"].cpu,
        "ratio, nothing remembered": best["new"].cpu / best["processed"].cpu,
        "write ms": level.cpu * 1e3,
        "peak MB processed": grown_mb(processed),
        "peak MB raw": grown_mb(ways["new"]),
    }
    return row


def _spent(way: Callable[[], object]) -> Spent:
    with (spent := Spent()).more():
        way()
    return spent
