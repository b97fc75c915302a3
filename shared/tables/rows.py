"""What the rows of a table are, and when a column's values can be it.

    mapping   (supervoxel, object)
    scores    (supervoxel, supervoxel, score)

Columns are by position; their names decide nothing. Invariants: ids are exact: whole numbers of any width from 0 to
2^64 - 1, never a float, which holds none above 2^53. A score is any number but NaN; it is compared with a threshold
in the precision that its table has, and kept as float32, as affinities are.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from shared.plan.ids import Ids

Column = npt.NDArray[Any]


class Table(Enum):
    """Which of the two; its name, how many ids are the key of a row, and the type of what is kept for it."""

    MAPPING = ("mapping", 1, "<u8")
    SCORES = ("scores", 2, "<f4")

    @property
    def label(self) -> str:
        """The name in files and messages."""
        return self.value[0]

    @property
    def keys(self) -> int:
        """How many ids are the key of a row."""
        return self.value[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of what is kept for a key."""
        return np.dtype(self.value[2])

    @property
    def columns(self) -> tuple[str, ...]:
        """What a table's columns are, in order."""
        return ("supervoxel", "object") if self is Table.MAPPING else ("supervoxel", "supervoxel", "score")


class Wrong(Exception):
    """A file is no such table, or a `row` of a batch (counted from 0) is none of such a table."""

    def __init__(self, reason: str, row: int | None = None) -> None:
        self.row = row
        super().__init__(reason)


class Batch(NamedTuple):
    """Columns of rows that follow each other: `first` is the number of the first one, from 0, in `where`, a part of
    the file ("" for all of it)."""

    columns: tuple[Column, ...]
    first: int
    where: str

    def row(self, at: int) -> str:
        """What a row is called."""
        return f"row {self.first + at:,}" + (f" of {self.where}" if self.where else "")


class Rows(NamedTuple):
    """Checked rows: one or two columns of ids, and objects (uint64) or scores (float32 or float64)."""

    keys: tuple[Ids, ...]
    values: Column


def check_type(dtype: np.dtype[Any], name: str) -> None:
    """Wrong if no value of this type can be in the column `name`."""
    if name == "score":
        if dtype.kind not in "iuf" or dtype.itemsize > 8:
            raise Wrong(f"its scores are {dtype}, which are no numbers of up to 64 bits")
    elif dtype.kind == "f":
        raise Wrong(f"a column of {name}s is {dtype}, which holds no id above 2^53 exactly; write them as uint64")
    elif dtype.kind not in "iu":
        raise Wrong(f"a column of {name}s is {dtype}; ids are whole numbers (uint64)")


def checked(table: Table, columns: tuple[Column, ...]) -> Rows:
    """The rows that columns (n,) come to; Wrong, with the row, for what can be none."""
    names = table.columns[: table.keys]
    keys = tuple(_ids(column, name) for name, column in zip(names, columns, strict=False))
    return Rows(keys, _ids(columns[-1], "object") if table is Table.MAPPING else _scores(columns[-1]))


def _ids(column: Column, name: str) -> Ids:
    check_type(column.dtype, name)
    if column.dtype.kind == "i" and len(column) and column.min() < 0:
        row = int((column < 0).argmax())
        raise Wrong(f"{name} {column[row]} is negative", row)
    return np.ascontiguousarray(column, np.uint64)


def _scores(column: Column) -> Column:
    check_type(column.dtype, "score")
    found: Column
    if column.dtype.kind == "f" and column.dtype.itemsize <= 4:
        found = np.ascontiguousarray(column, np.float32)
    else:
        found = np.ascontiguousarray(column, np.float64)
    if (bad := np.isnan(found)).any():
        raise Wrong("its score is not a number (NaN)", int(bad.argmax()))
    return found


def kept(table: Table, values: Column) -> Column:
    """Values as they are kept: objects as they are, scores as float32."""
    with np.errstate(over="ignore"):
        return values.astype(table.dtype, copy=False)
