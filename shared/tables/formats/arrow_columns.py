"""Columns of Arrow as numpy's, and what is said of types."""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.tables.rows import Batch, Table, Wrong, check_type

SWAPPED = (
    {"object", "object_id", "root", "root_id", "segment", "segment_id"},
    {"supervoxel", "supervoxel_id", "sv"},
)
"""Names of a first and a second column that say that a mapping is the wrong way round."""


def check_names(table: Table, names: list[str]) -> None:
    """Wrong if there are not as many columns as a table has, or a mapping is plainly the wrong way round."""
    wanted = ", ".join(table.columns)
    if len(names) != len(table.columns):
        shown = ", ".join(names[:8])
        raise Wrong(f"it has {len(names)} columns ({shown:.200}); a table of {table.label} has: {wanted}")
    if table is Table.MAPPING and all(name.lower() in known for name, known in zip(names, SWAPPED, strict=True)):
        raise Wrong(f"its columns are {names[0]} and {names[1]}; columns go by position, and these are: {wanted}")


def check_schema(table: Table, schema: Any) -> None:
    """Wrong if a schema of Arrow is none of such a table."""
    check_names(table, [str(name) for name in schema.names])
    for name, wanted in zip(schema, table.columns, strict=True):
        check_type(_dtype(name.type, wanted), wanted)


def _dtype(of: Any, wanted: str) -> np.dtype[Any]:
    from pyarrow import types

    if types.is_integer(of):
        return np.dtype(str(of))
    if types.is_floating(of):
        return np.dtype(f"float{of.bit_width}")
    raise Wrong(f"a column of {wanted}s has type {of}, which are no numbers")


def batch(columns: list[Any], first: int, where: str) -> Batch:
    """Columns of a record batch; Wrong, with its place, for a row that lacks a value."""
    for column in columns:
        if column.null_count:
            at = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
            raise Wrong(f"{Batch((), first, where).row(at)}: a value is missing (null)")
    return Batch(tuple(column.to_numpy(zero_copy_only=False) for column in columns), first, where)
