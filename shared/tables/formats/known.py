"""Which kind of file a name says it is, and the rows of a file with the errors that a chunk's failure shows."""

from __future__ import annotations

import re
from collections.abc import Iterator

from shared.errors import DataError
from shared.tables.formats.csv_text import CSV
from shared.tables.formats.feather import FEATHER
from shared.tables.formats.npy import NPY
from shared.tables.formats.parquet import PARQUET
from shared.tables.formats.units import Format, Units
from shared.tables.range_file import RangeFile
from shared.tables.rows import Batch, Rows, Table, Wrong, checked

ENDINGS = {
    ".parquet": PARQUET,
    ".pq": PARQUET,
    ".feather": FEATHER,
    ".arrow": FEATHER,
    ".ipc": FEATHER,
    ".csv": CSV,
    ".csv.gz": CSV,
    ".npy": NPY,
}
"""How names of tables end."""

MOST_WANTED = 1 << 34
"""Bytes that no table asks for at once unless it is damaged."""

_ENDING = re.compile("|".join(re.escape(ending) + "$" for ending in ENDINGS), re.IGNORECASE)


def format_of(name: str) -> Format | None:
    """The kind of file that has this name; None if it can be no table."""
    found = _ENDING.search(name)
    return ENDINGS[found[0].lower()] if found else None


def units_of(file: RangeFile, table: Table) -> Units:
    """What a file can be cut in; Wrong if it is no such table."""
    known = _known(file)
    try:
        return known.units(file, table)
    except Wrong:
        raise
    except Exception as error:
        _raise_what_is_not_the_files(file, error)
        raise Wrong(_damaged(known, error)) from error


def rows_of(file: RangeFile, table: Table, start: int, stop: int, chunk: object) -> Iterator[tuple[Batch, Rows]]:
    """The rows of some units of a file, as they stand there and checked.

    DataError, with file and row, for what is no row of such a table.
    """
    known = _known(file)
    batches = known.batches(file, table, start, stop)
    rows = 0
    while True:
        try:
            batch = next(batches, None)
        except Wrong as error:
            raise DataError(file.file, chunk, str(error)) from error
        except Exception as error:
            _raise_what_is_not_the_files(file, error)
            raise DataError(file.file, chunk, f"{_damaged(known, error)}; {rows:,} rows of it were read") from error
        if batch is None:
            return
        try:
            found = checked(table, batch.columns)
        except Wrong as error:
            at = "" if error.row is None else f"{batch.row(error.row)}: "
            raise DataError(file.file, chunk, f"{at}{error}") from error
        rows += len(found.values)
        yield batch, found


def _known(file: RangeFile) -> Format:
    found = format_of(file.file)
    if found is None:
        raise Wrong(f"no table is called so; names end with {', '.join(ENDINGS)}")
    return found


def _raise_what_is_not_the_files(file: RangeFile, error: Exception) -> None:
    """Raises what says nothing of a file: its place failed, or memory is short for what a file may well want."""
    if file.failed is not None:
        raise file.failed from error
    if isinstance(error, MemoryError):
        wanted = re.search(r"size (\d+)", str(error))
        if wanted is None or int(wanted[1]) < MOST_WANTED:
            raise error


def _damaged(known: Format, error: Exception) -> str:
    return f"it cannot be read as {known.name} ({type(error).__name__}: {error!s:.300})"
