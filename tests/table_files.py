"""Tables in every format that is read, and where they and sorted runs are, in memory.

packed    columns as the bytes of a file
MemoryPlace    files below one folder; answers `shared.inputs.raw.ranges.Place`
sorted_tables    what the jobs of some parts write, and what is looked up in it
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet

from shared.plan.grid import Chunk
from shared.tables.components import join_parts
from shared.tables.finding import find_parts
from shared.tables.lookup import Lookup
from shared.tables.parts import Part
from shared.tables.rows import Table
from shared.tables.sorting import sort_part
from tests.raw_shards import MemoryRanges

Array = npt.NDArray[Any]
Columns = Sequence[Array]

NAMES = {2: ("supervoxel", "object"), 3: ("one", "other", "score")}


class MemoryPlace(MemoryRanges):
    """Files below one folder, as a bucket has them."""

    def __init__(self, files: Mapping[str, bytes], folder: str = "mem://tables") -> None:
        super().__init__(files, folder)

    def sizes(self, names: Sequence[str]) -> list[int | None]:
        return [None if name not in self.files else len(self.files[name]) for name in names]

    def names(self) -> Iterator[str]:
        return iter([name for name in self.files if "/" not in name])


def open_place(files: Mapping[str, bytes], asked: list[MemoryPlace] | None = None) -> Callable[[str], MemoryPlace]:
    """Opens any folder: files are named with it, from the root on."""

    def opened(folder: str) -> MemoryPlace:
        begin = folder.rstrip("/") + "/"
        place = MemoryPlace(
            {name.removeprefix(begin): data for name, data in files.items() if name.startswith(begin)},
            folder.rstrip("/"),
        )
        if asked is not None:
            asked.append(place)
        return place

    return opened


def arrow(columns: Columns) -> Any:
    """Columns as a table of Arrow."""
    return pyarrow.table(dict(zip(NAMES[len(columns)], map(pyarrow.array, columns), strict=True)))


def parquet(columns: Columns, rows: int = 1 << 20, **options: Any) -> bytes:
    """A Parquet file with so many rows in a row group."""
    file = io.BytesIO()
    pyarrow.parquet.write_table(arrow(columns), file, row_group_size=rows, **options)
    return file.getvalue()


def feather(columns: Columns, rows: int = 1 << 16, **options: Any) -> bytes:
    """A Feather file with so many rows in a record batch."""
    file = io.BytesIO()
    pyarrow.feather.write_feather(arrow(columns), file, chunksize=rows, **options)
    return file.getvalue()


def csv(columns: Columns, header: bool = True, end: str = "\n", last: bool = True) -> bytes:
    """A CSV file; `last`: its last line ends as all others do."""
    lines = [",".join(NAMES[len(columns)])] if header else []
    lines += [",".join(map(repr, row)) for row in zip(*(column.tolist() for column in columns), strict=True)]
    return (end.join(lines) + (end if last or not lines else "")).encode()


def npy(array: Array, version: tuple[int, int] = (1, 0)) -> bytes:
    """A file of numpy."""
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version, allow_pickle=False)
    return file.getvalue()


def structured(columns: Columns) -> Array:
    """Columns as fields of one array."""
    types = [(name, column.dtype) for name, column in zip(NAMES[len(columns)], columns, strict=True)]
    found = np.zeros(len(columns[0]), types)
    for name, column in zip(NAMES[len(columns)], columns, strict=True):
        found[name] = column
    return found


def square(columns: Columns, order: Literal["C", "F"] = "C") -> Array:
    """Columns of one type as an array (n, columns)."""
    found: Array = np.array(np.stack(columns, axis=1), order=order)
    return found


WRITERS: dict[str, Callable[[Columns, int], bytes]] = {
    "parquet": lambda columns, rows: parquet(columns, rows),
    "feather": lambda columns, rows: feather(columns, rows, compression="uncompressed"),
    "arrow": lambda columns, rows: feather(columns, rows, compression="zstd"),
    "csv": lambda columns, rows: csv(columns, header=rows % 2 == 0, last=rows % 3 > 0),
    "csv.gz": lambda columns, rows: gzip.compress(csv(columns, header=rows % 2 == 0), mtime=0),
    "npy": lambda columns, rows: npy(structured(columns)),
}
"""Writers of each kind of file, by its name's ending; of rows that they keep together if they have the choice."""


def handoff_name(chunk: Chunk) -> str:
    """What a run calls a job's object."""
    return f"run/layer{chunk.layer}/{chunk.x}_{chunk.y}_{chunk.z}.handoff"


def parts_of(table: Table, files: Mapping[str, bytes], most: int = 62, least: int = 10_000_000) -> list[Part]:
    """The parts of all files, which are named with their folders."""
    folders = list(dict.fromkeys(name.rpartition("/")[0] for name in files))
    return find_parts(table, folders, open_place(files), most, "set.yml", table.label, least)


def sorted_runs(table: Table, files: Mapping[str, bytes], parts: Sequence[Part]) -> dict[str, bytes]:
    """What the jobs of all parts write."""
    return {
        handoff_name(Chunk(0, at, number, 0)): data
        for at, part in enumerate(parts)
        for number, data in sort_part(table, part, open_place(files), Chunk(0, at, 0, 0))
    }


def joined_runs(
    files: Mapping[str, bytes], parts: Sequence[Part], threshold: float, above: bool
) -> dict[str, bytes]:
    """What the job that finds components writes."""
    chunk = Chunk(0, len(parts), 0, 0)
    return {
        handoff_name(Chunk(0, len(parts), number, 0)): data
        for number, data in join_parts(parts, threshold, above, open_place(files), chunk)
    }


def lookup(table: Table, runs: Mapping[str, bytes], parts: Iterable[int], cache: int = 1 << 26) -> Lookup:
    """Looks up in runs, which are called by their numbers."""
    named = {part: f"part {part}" for part in parts}
    return Lookup(table, MemoryRanges(runs, "mem://scratch"), handoff_name, named, cache)
