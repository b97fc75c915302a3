"""Feather, that is Arrow's file format: cut in record batches, each of which is read as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shared.tables.formats.arrow_columns import batch, check_schema
from shared.tables.formats.units import Format, Units
from shared.tables.range_file import RangeFile
from shared.tables.rows import Batch, Table, Wrong

MAGIC, OLD_MAGIC = b"ARROW1", b"FEA1"
MOST_BYTES = 1 << 29
"""Of a record batch: as much memory takes to read it."""


def _open(file: RangeFile) -> Any:
    import pyarrow.ipc

    begin = file.part(0, min(len(MAGIC), file.length))
    if begin.startswith(OLD_MAGIC):
        raise Wrong("it is Feather of version 1; write version 2, which is what libraries write by themselves")
    if begin != MAGIC:
        raise Wrong("it is no file of Arrow (a stream of Arrow has no index of its record batches: write a file)")
    return pyarrow.ipc.open_file(file, options=pyarrow.ipc.IpcReadOptions(use_threads=False))


def _units(file: RangeFile, table: Table) -> Units:
    found = _open(file)
    check_schema(table, found.schema)
    count = found.num_record_batches
    if count and file.length // count > MOST_BYTES:
        raise Wrong(
            f"its {count:,} record batches have {file.length // count >> 20:,} MiB each; write it with batches of "
            "about a million rows (chunksize), or as Parquet"
        )
    # Writers make all of them equally long, but the last one.
    return Units.of([found.get_batch(0).num_rows] * count if count else [])


def _batches(file: RangeFile, table: Table, start: int, stop: int) -> Iterator[Batch]:
    found = _open(file)
    check_schema(table, found.schema)
    for at in range(start, stop):
        yield batch(found.get_batch(at).columns, 0, f"record batch {at}")


FEATHER = Format("Feather", _units, _batches)
