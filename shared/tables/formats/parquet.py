"""Parquet: cut in row groups, which are read a few MB of each column at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shared.tables.formats.arrow_columns import batch, check_schema
from shared.tables.formats.units import BATCH_ROWS, Format, Units
from shared.tables.range_file import PIECE, RangeFile
from shared.tables.rows import Batch, Table


def _open(file: RangeFile) -> Any:
    import pyarrow.parquet

    # With a buffer a column is read piece by piece, however long it is in its row group.
    return pyarrow.parquet.ParquetFile(
        file, buffer_size=2 * PIECE, pre_buffer=False, page_checksum_verification=True
    )


def _units(file: RangeFile, table: Table) -> Units:
    found = _open(file)
    check_schema(table, found.schema_arrow)
    return Units.of([found.metadata.row_group(at).num_rows for at in range(found.num_row_groups)])


def _batches(file: RangeFile, table: Table, start: int, stop: int) -> Iterator[Batch]:
    found = _open(file)
    check_schema(table, found.schema_arrow)
    for group in range(start, stop):
        first = 0
        for part in found.iter_batches(BATCH_ROWS, row_groups=[group], use_threads=False):
            yield batch(part.columns, first, f"row group {group}")
            first += part.num_rows


PARQUET = Format("Parquet", _units, _batches)
