"""Tables of a segmentation: sorting a part of them, joining scored edges, and what is looked up for a chunk.

Supervoxels have ids by chunks of 30,000, as volumes have them; `scattered` ones come in no order at all, which is
the worst that a table can be, as then every block of it is read for every chunk.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.csv
import pyarrow.parquet

from shared.plan.grid import Chunk
from shared.plan.ids import Ids
from shared.ranges import CloudFilesRanges
from shared.tables.components import join_parts
from shared.tables.finding import find_parts
from shared.tables.lookup import Lookup, SortedTables
from shared.tables.parts import Part
from shared.tables.rows import Column, Table
from shared.tables.sorting import sort_part
from tests.benchmarks.measure import MB, Spent, grown_mb, show

STEP = 1 << 20
CHUNK = 30_000
"""Supervoxels of a chunk of 512 x 512 x 128 voxels."""


def measure(folder: Path, rows: int) -> dict[str, object]:
    """Each kind of table with so many rows."""
    folder.mkdir(parents=True, exist_ok=True)
    found = [
        _one(folder, name, rows)
        for name in ("mapping.parquet", "mapping.csv", "scattered.parquet", "scores.parquet")
    ]
    show("Tables of a segmentation", found, f"{rows:,} rows each; CPU, and memory beyond what was there before")
    return {"tables": found}


def _one(folder: Path, name: str, rows: int) -> dict[str, object]:
    path, table = folder / f"{rows}-{name}", Table.SCORES if name.startswith("scores") else Table.MAPPING
    if not path.exists():
        _write(path, table, rows)
    parts = find_parts(table, [str(path)], CloudFilesRanges, 62, name, table.label)
    jobs = folder / f"{path.name}.runs"
    jobs.mkdir(exist_ok=True)
    sorted_in, joined_in, asked = Spent(), Spent(), Spent()
    with sorted_in.more():
        size = _sorted(table, parts, jobs)
    row: dict[str, object] = {
        "table": name,
        "file MB": round(path.stat().st_size / MB),
        "sorted MB": round(size / MB),
        "sort s": round(sorted_in.cpu, 1),
        "sort M rows/s": round(rows / MB / sorted_in.cpu, 1),
        "sort memory MB": round(grown_mb(lambda: _sorted(table, parts[:1], jobs))),
    }
    lookup = Lookup(table, CloudFilesRanges(str(jobs)), _name, {at: str(part) for at, part in enumerate(parts)})
    tables = SortedTables(lookup, lookup)
    ids = _ids(np.arange(rows // 2, rows // 2 + CHUNK, dtype=np.uint64), name)
    pairs = np.stack([ids[:-1], ids[1:]], axis=1)
    with asked.more():
        _ = tables.scores_of(pairs) if table is Table.SCORES else tables.objects_of(ids)
    row |= {"ask for a chunk ms": round(asked.cpu * 1000), "join s": "", "join memory MB": ""}
    if table is Table.SCORES:
        with joined_in.more():
            _joined(parts, jobs)
        row |= {"join s": round(joined_in.cpu, 1), "join memory MB": round(grown_mb(lambda: _joined(parts, jobs)))}
    return row


def _ids(numbers: Ids, name: str) -> Ids:
    """The ids of supervoxels by their numbers: by chunks, or scattered."""
    if "scattered" in name:
        return (numbers * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(2)
    return (numbers // np.uint64(CHUNK) << np.uint64(32)) + numbers % np.uint64(CHUNK) + np.uint64(1)


def _write(path: Path, table: Table, rows: int) -> None:
    """Writes a table, a million rows at once, each million in no order."""
    rng = np.random.default_rng(1)
    types = [pyarrow.uint64(), pyarrow.float32() if table is Table.SCORES else pyarrow.uint64()]
    schema = pyarrow.schema(list(zip(table.columns, [pyarrow.uint64(), *types[2 - table.keys :]], strict=True)))
    open_ = pyarrow.parquet.ParquetWriter if path.suffix == ".parquet" else pyarrow.csv.CSVWriter
    with open_(str(path), schema) as file:
        for start in range(0, rows, STEP):
            numbers = rng.permutation(np.arange(start, min(rows, start + STEP), dtype=np.uint64))
            ids = _ids(numbers, path.name)
            columns: list[Column]
            if table is Table.MAPPING:
                columns = [ids, (numbers >> np.uint64(6)) * np.uint64(0x9E3779B97F4A7C15)]
            else:
                near: Ids = numbers + rng.integers(1, 3 * CHUNK, len(numbers), dtype=np.uint64)
                columns = [ids, _ids(near, path.name), rng.random(len(ids), np.float32)]
            file.write_table(pyarrow.table(columns, schema=schema))


def _name(chunk: Chunk) -> str:
    return f"{chunk.x}_{chunk.y}"


def _sorted(table: Table, parts: list[Part], jobs: Path) -> int:
    size = 0
    for at, part in enumerate(parts):
        for number, data in sort_part(table, part, CloudFilesRanges, Chunk(0, at, 0, 0)):
            size += (jobs / _name(Chunk(0, at, number, 0))).write_bytes(data)
    return size


def _joined(parts: list[Part], jobs: Path) -> None:
    for number, data in join_parts(parts, 0.9, True, CloudFilesRanges, Chunk(0, len(parts), 0, 0)):
        (jobs / _name(Chunk(0, len(parts), number, 0))).write_bytes(data)
