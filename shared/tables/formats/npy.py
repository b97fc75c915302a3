"""numpy's .npy: cut in rows. An array (n, 2) or, of whole numbers, (n, 3); or a structured one with as many fields.

Source of the format: numpy.lib.format. Nothing is unpickled.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from shared.tables.formats.arrow_columns import check_names
from shared.tables.formats.units import Format, Units
from shared.tables.range_file import PIECE, RangeFile
from shared.tables.rows import Batch, Column, Table, Wrong, check_type

HEAD = 1 << 14
"""Bytes in which a header ends."""


class _Array(NamedTuple):
    start: int
    rows: int
    dtype: np.dtype[Any]
    by_column: bool


def _units(file: RangeFile, table: Table) -> Units:
    rows = _header(file, table).rows
    return Units(rows, rows)


def _batches(file: RangeFile, table: Table, start: int, stop: int) -> Iterator[Batch]:
    array = _header(file, table)
    row_bytes = array.dtype.itemsize * (1 if array.dtype.names else len(table.columns))
    step = max(1, 4 * PIECE // row_bytes)
    for first in range(start, stop, step):
        yield Batch(_columns(file, table, array, first, min(stop, first + step)), first, "")


def _columns(file: RangeFile, table: Table, array: _Array, first: int, last: int) -> tuple[Column, ...]:
    width, count = array.dtype.itemsize, len(table.columns)
    if array.by_column:
        places = [array.start + width * (array.rows * column + first) for column in range(count)]
        return tuple(np.frombuffer(file.part(place, width * (last - first)), array.dtype) for place in places)
    if array.dtype.names:
        found = np.frombuffer(file.part(array.start + width * first, width * (last - first)), array.dtype)
        return tuple(found[name] for name in array.dtype.names)
    data = file.part(array.start + width * count * first, width * count * (last - first))
    return tuple(np.frombuffer(data, array.dtype).reshape(-1, count).T)


def _header(file: RangeFile, table: Table) -> _Array:
    """Where the rows are and what they are; Wrong for an array that is no table, or not all there."""
    head = io.BytesIO(file.part(0, min(HEAD, file.length)))
    try:
        form: Any = np.lib.format
        read = {(1, 0): form.read_array_header_1_0, (2, 0): form.read_array_header_2_0}[form.read_magic(head)]
        shape, by_column, dtype = read(head)
    except (ValueError, KeyError, TypeError, SyntaxError, RecursionError, OverflowError, MemoryError) as error:
        raise Wrong(f"it is no file of numpy's format .npy: {error!r:.200}") from error
    if dtype.names:
        check_names(table, list(dtype.names))
        types = [dtype[name] for name in dtype.names]
        good = len(shape) == 1
    else:
        types = [dtype] * len(table.columns)
        good = len(shape) == 2 and shape[1] == len(table.columns)
    if not good:
        wanted = f"(n, {len(table.columns)}), or (n,) with the fields {', '.join(table.columns)}"
        raise Wrong(f"its array has shape {shape} and type {dtype}; a table of {table.label} is {wanted}")
    for of, name in zip(types, table.columns, strict=True):
        if of.subdtype is not None or of.hasobject:
            raise Wrong(f"a column of {name}s has type {of}, which are no numbers")
        check_type(of, name)
    rows = int(shape[0])
    bytes_out = rows * dtype.itemsize * (1 if dtype.names else len(table.columns))
    if head.tell() + bytes_out > file.length:
        raise Wrong(f"it speaks of {rows:,} rows ({bytes_out:,} bytes) and has {file.length - head.tell():,} bytes")
    return _Array(head.tell(), rows, dtype, bool(by_column) and not dtype.names)


NPY = Format(".npy", _units, _batches)
