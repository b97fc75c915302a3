"""Rows as columns: what verification reads, a hundred thousand rows as a few arrays instead of as many objects.

Why: a row as a dictionary costs more than all that is then asked of it. Invariants: a scan has the rows in the
order of their keys, and of each column the newest cells, as `Table.read` has them; nothing is decoded that nobody
asks for, and a damaged value is told by its position and harms no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from shared.plan.ids import NO_IDS, Ids
from shared.table.cells import STORED
from shared.table.decode import decode_ids
from shared.table.frames import stored_head

Index = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

_HEAD = len(stored_head(0))
_HEADS = np.frombuffer(b"".join(stored_head(size) for size in range(0, STORED + 1, 8)), np.uint8).reshape(-1, _HEAD)
"""What stands before so many ids that are stored as they are."""


@dataclass(frozen=True)
class CellScan:
    """The cells of one column: cell i is in the row at position `rows[i]`, ascending, was written at `times[i]`
    (microseconds), and its value are the bytes `starts[i]` to `starts[i + 1]` of `data`."""

    rows: Index
    times: Index
    data: Bytes
    starts: Index

    def value(self, at: int) -> bytes:
        """One value."""
        return self.data[self.starts[at] : self.starts[at + 1]].tobytes()

    def parts(self, size: int) -> list[CellScan]:
        """The cells some at a time, with about `size` bytes each."""
        last = len(self.rows)
        ends = np.searchsorted(self.starts, np.arange(self.starts[0] + size, self.starts[-1], size)).tolist()
        cuts = [0, *sorted(set(ends) - {0, last}), last]
        return [
            CellScan(self.rows[low:high], self.times[low:high], self.data, self.starts[low : high + 1])
            for low, high in pairwise(cuts)
        ]

    def ids(self) -> tuple[Ids, dict[int, str]]:
        """An id for each cell, 0 for one that is damaged; and what is wrong with those, by position."""
        lengths = np.diff(self.starts)
        good = lengths == 8
        found = np.zeros(len(lengths), np.uint64)
        if good.all():
            found = self.data[self.starts[0] : self.starts[-1]].view("<u8").astype(np.uint64)
        else:
            found[good] = self._gathered(np.flatnonzero(good), 0, 8).view("<u8").ravel()
        wrong = np.flatnonzero(~good).tolist()
        return found, {at: f"{lengths[at]} bytes where one id of 8 bytes is expected" for at in wrong}

    def lists(self) -> tuple[Ids, Index, dict[int, str]]:
        """The lists of ids of all cells, one behind the other; where each begins, one entry more; and what is wrong
        with those that are damaged, which are empty, by position."""
        lengths = np.diff(self.starts)
        stored, counts = self._stored(lengths)
        others, wrong = {}, {}
        for at in np.flatnonzero(~stored).tolist():
            try:
                others[at] = decode_ids(self.value(at))
                counts[at] = len(others[at])
            except ValueError as error:
                wrong[at] = str(error)
        starts = np.zeros(len(counts) + 1, np.int64)
        np.cumsum(counts, out=starts[1:])
        flat = np.empty(int(starts[-1]), np.uint64)
        for count in np.unique(counts[stored]).tolist():
            at = np.flatnonzero(stored & (counts == count))
            content = self._gathered(at, _HEAD, 8 * count).view("<u8")
            flat[starts[at][:, None] + np.arange(count)] = content
        for one, ids in others.items():
            flat[starts[one] : starts[one + 1]] = ids
        return flat, starts, wrong

    def _stored(self, lengths: Index) -> tuple[npt.NDArray[np.bool_], Index]:
        """Which values are frames that hold their few bytes as they are, and how many ids these have."""
        stored = np.zeros(len(lengths), bool)
        counts = np.zeros(len(lengths), np.int64)
        short = np.flatnonzero((lengths >= _HEAD) & (lengths <= STORED + _HEAD) & ((lengths - _HEAD) % 8 == 0))
        if len(short):
            ids = (lengths[short] - _HEAD) // 8
            alike = (self._gathered(short, 0, _HEAD) == _HEADS[ids]).all(axis=1)
            stored[short[alike]], counts[short[alike]] = True, ids[alike]
        return stored, counts

    def _gathered(self, at: Index, skip: int, size: int) -> Bytes:
        """So many bytes of each of these values, behind its first `skip`: a table (n, size)."""
        if not size or not len(at):
            return np.zeros((len(at), size), np.uint8)
        data = np.ascontiguousarray(self.data)
        windows: Bytes = np.ndarray((len(data) - size + 1, size), np.uint8, data.data, strides=(1, 1))
        return np.ascontiguousarray(windows[self.starts[at] + skip])


@dataclass(frozen=True)
class Scan:
    """Rows of nodes: their ids, sorted, and the cells of each column; and the cells, by column, of all rows besides
    whose key is no id of a node, 20 digits."""

    nodes: Ids = field(default_factory=lambda: NO_IDS)
    cells: dict[str, CellScan] = field(default_factory=dict)
    odd: Mapping[bytes, Mapping[str, bytes]] = field(default_factory=dict)

    @classmethod
    def joined(cls, parts: Sequence[Scan]) -> Scan:
        """Several that follow each other."""
        if len(parts) == 1:
            return parts[0]
        offsets = np.cumsum([0, *(len(part.nodes) for part in parts)])
        cells = {}
        for column in dict.fromkeys(name for part in parts for name in part.cells):
            found = [
                (at, part.cells[column]) for at, part in zip(offsets, parts, strict=False) if column in part.cells
            ]
            lengths = np.concatenate([np.diff(part.starts) for _, part in found])
            starts = np.zeros(len(lengths) + 1, np.int64)
            np.cumsum(lengths, out=starts[1:])
            cells[column] = CellScan(
                np.concatenate([part.rows + at for at, part in found]),
                np.concatenate([part.times for _, part in found]),
                np.concatenate([part.data[part.starts[0] : part.starts[-1]] for _, part in found]),
                starts,
            )
        nodes = np.concatenate([NO_IDS, *(part.nodes for part in parts)])
        return cls(nodes, cells, {key: row for part in parts for key, row in part.odd.items()})

    def between(self, low: int, high: int) -> Scan:
        """The nodes from `low` on that are below `high`; no other rows."""
        first, last = np.searchsorted(self.nodes, np.array([low, high], np.uint64)).tolist()
        cells = {}
        for column, cell in self.cells.items():
            begin, end = np.searchsorted(cell.rows, [first, last]).tolist()
            if begin < end:
                starts = cell.starts[begin : end + 1]
                cells[column] = CellScan(cell.rows[begin:end] - first, cell.times[begin:end], cell.data, starts)
        return Scan(self.nodes[first:last], cells)


class ScanBuilder:
    """Makes scans of rows that come one by one."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._nodes: list[int] = []
        self._odd: dict[bytes, dict[str, bytes]] = {}
        self._cells: dict[str, tuple[list[int], list[int], list[bytes]]] = {}

    def add(self, key: bytes, cells: Iterable[tuple[str, bytes, int]]) -> None:
        """A row: its key, and column, value and time of each cell."""
        node = int(key) if len(key) == 20 and key.isdigit() else 1 << 64
        if node >> 64:
            self._odd[key] = {column: value for column, value, _ in cells}
            return
        at = len(self._nodes)
        self._nodes.append(node)
        for column, value, time in cells:
            part = self._cells.get(column)
            if part is None:
                part = self._cells[column] = ([], [], [])
            part[0].append(at)
            part[1].append(time)
            part[2].append(value)

    def taken(self) -> list[Scan]:
        """What was added since the last time: one scan, or none."""
        if not self._nodes and not self._odd:
            return []
        cells = {}
        for column, (rows, times, values) in self._cells.items():
            starts = np.zeros(len(values) + 1, np.int64)
            np.cumsum(np.fromiter(map(len, values), np.int64, len(values)), out=starts[1:])
            data = np.frombuffer(b"".join(values), np.uint8)
            cells[column] = CellScan(np.array(rows, np.int64), np.array(times, np.int64), data, starts)
        scan = Scan(np.array(self._nodes, np.uint64), cells, self._odd)
        self._begin()
        return [scan]
