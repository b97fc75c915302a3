"""A table in memory: gone with the process.

Invariants: of several cells in a column the newest counts, and a cell written again at the same time
replaces the one before, as in Bigtable.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import cast

from shared.errors import IngestError, StateError
from shared.run.ports import Row
from shared.table.cells import Cells
from shared.table.columns import Column, Family
from shared.table.scan import Scan, ScanBuilder


class _Rows(dict[bytes, Row]):
    """Rows by key, whose keys are sorted when they are asked for and have changed: each chunk of a large table asks
    for a few of them."""

    _sorted: list[bytes] | None = None

    def __setitem__(self, key: bytes, row: Row) -> None:
        self._sorted = None
        super().__setitem__(key, row)

    def __delitem__(self, key: bytes) -> None:
        self._sorted = None
        super().__delitem__(key)

    def ordered(self) -> list[bytes]:
        """All keys, sorted."""
        if self._sorted is None or len(self._sorted) != len(self):
            self._sorted = sorted(self)
        return self._sorted


class MemoryTable:
    """One table; answers `shared.run.ports.Table`."""

    def __init__(self, name: str = "table") -> None:
        self._name = name
        self._lock = threading.Lock()
        self._families: dict[str, Family] | None = None
        self._rows: dict[bytes, Row] = _Rows()

    def exists(self) -> bool:
        """Whether `create` was called."""
        return self._families is not None

    def create(self, families: Sequence[Family], splits: Sequence[bytes] = ()) -> None:
        """Makes the table; StateError if it is there. Splits make no difference to a dictionary."""
        with self._lock:
            if self._families is not None:
                raise StateError(f"table {self._name} already exists")
            self._families = {family.name: family for family in families}

    def families(self) -> list[Family]:
        """The column families that the table has; StateError without the table."""
        return sorted(self._there().values(), key=lambda family: family.name)

    def set_families(self, families: Sequence[Family]) -> None:
        """Adds families, or changes their rules; StateError without the table."""
        with self._lock:
            self._there().update({family.name: family for family in families})

    def write(self, cells: Sequence[Cells], timestamp_ms: int) -> int:
        """Writes all cells with this timestamp; returns the number of rows.

        Raises StateError without the table, IngestError for a family that the table does not have.
        """
        with self._lock:
            families, keys = self._there(), set()
            for part in cells:
                if part.column.family not in families:
                    raise IngestError(f"table {self._name}: column {part.column}: there is no such family")
            for part in cells:
                column = str(part.column)
                for key, value in zip(part.keys, part.values, strict=True):
                    row = self._rows.get(key)
                    if row is None:
                        row = self._rows[key] = Row(key, {})
                    if timestamp_ms * 1000 >= row.timestamps.get(column, 0):
                        row.cells[column], row.timestamps[column] = value, timestamp_ms * 1000
                keys.update(part.keys)
            return len(keys)

    def read(self, ranges: Sequence[tuple[bytes, bytes]]) -> Iterator[Row]:
        """Rows with start <= key < end of each range, by key; StateError without the table."""
        yield from self._copies(self._keys(ranges))

    def read_keys(self, keys: Sequence[bytes], column: Column | None = None) -> Iterator[Row]:
        """The rows of these keys that exist, or have a `column`, by key; StateError without the table."""
        with self._lock:
            self._there()
            found = sorted(key for key in set(keys) if key in self._rows)
        if column is None:
            yield from self._copies(found)
            return
        name = str(column)
        for row in self._copies(found):
            if name in row.cells:
                yield Row(row.key, {name: row.cells[name]}, {name: row.timestamps[name]})

    def scan(self, ranges: Sequence[tuple[bytes, bytes]], only: Sequence[str] = ()) -> Scan:
        """The same rows as arrays; `only` some of the columns. StateError without the table."""
        builder = ScanBuilder()
        families = {column for column in only if column.endswith(":")}
        for row in self._copies(self._keys(ranges)):
            cells = [
                (column, value, row.timestamps.get(column, 0))
                for column, value in row.cells.items()
                if not only or column in only or column.partition(":")[0] + ":" in families
            ]
            if cells:
                builder.add(row.key, cells)
        return Scan.joined(builder.taken())

    def delete_rows(self, keys: Sequence[bytes]) -> None:
        """Removes these rows; StateError without the table."""
        with self._lock:
            self._there()
            for key in self._rows.keys() & set(keys):
                del self._rows[key]

    def _keys(self, ranges: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """The keys in ranges, sorted."""
        with self._lock:
            self._there()
            ordered = cast(_Rows, self._rows).ordered()
        found = [ordered[bisect_left(ordered, low) : bisect_left(ordered, high)] for low, high in ranges]
        return found[0] if len(found) == 1 else sorted(set().union(*found))

    def _there(self) -> dict[str, Family]:
        if self._families is None:
            raise StateError(f"there is no table {self._name}; create it first")
        return self._families

    def _copies(self, keys: list[bytes]) -> Iterator[Row]:
        for key in keys:
            with self._lock:
                row = self._rows[key]
                copy = Row(key, dict(row.cells), dict(row.timestamps))
            yield copy
