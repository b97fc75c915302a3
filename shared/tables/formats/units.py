"""What a file can be cut in: row groups, record batches, rows or bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.tables.range_file import RangeFile
from shared.tables.rows import Batch, Table

BATCH_ROWS = 1 << 20
"""Rows that are taken out of a file at once, where the file leaves that open."""


@dataclass(frozen=True)
class Units:
    """`count` units with `rows` rows in all. `ends` (count,) has how many rows are in each and those before it;
    without, all have equally many (a fraction of one, where units are bytes)."""

    count: int
    rows: int
    ends: npt.NDArray[np.int64] | None = None

    @classmethod
    def of(cls, rows: Sequence[int]) -> Units:
        """Units with so many rows each."""
        ends = np.cumsum(np.array(rows, np.int64))
        return cls(len(rows), int(ends[-1]) if len(rows) else 0, ends)

    def before(self, rows: int) -> int:
        """How many units have no more than about `rows` rows together."""
        if rows >= self.rows:
            return self.count
        if self.ends is None:
            return rows * self.count // self.rows
        return int(np.searchsorted(self.ends, rows, side="right"))

    def rows_before(self, units: int) -> int:
        """About how many rows so many units have."""
        if self.ends is None:
            return units * self.rows // self.count if self.count else 0
        return int(self.ends[units - 1]) if units else 0


@dataclass(frozen=True)
class Format:
    """A kind of file: `units` looks at a file, and raises Wrong if it is no such table; `batches` reads units."""

    name: str
    units: Callable[[RangeFile, Table], Units]
    batches: Callable[[RangeFile, Table, int, int], Iterator[Batch]]
