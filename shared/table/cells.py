"""Cells of one column, side by side: what a build hands to the table.

Invariants: a cell has no time of its own. The writer gives all cells of a run the run's
timestamp, so a second build writes the same cells over the first ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.plan.ids import Ids
from shared.table.columns import Column
from shared.table.frames import compressor, stored_head

LEVEL = 5
"""zstd level of children and edge cells; readers take any. Above 5 lists hardly get shorter."""

STORED = 24
"""Bytes of three ids: so few are stored as they are, which takes a tenth of the time; a compressor would not make
them less."""
_HEADS = {length: stored_head(length) for length in range(0, STORED + 1, 8)}

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cells:
    """`values[i]` stands in `column` of row `keys[i]`; keys are unique within one Cells."""

    column: Column
    keys: list[bytes]
    values: list[bytes]


class NodeCells(Cells):
    """Cells of nodes, kept as arrays until keys or values are asked for: a large parent has millions, and as
    bytes each takes ten times the room.

    `nodes` (n,) is sorted. The value of node i is the zstd frame of rows `starts[i]` to `starts[i+1]` of
    `flat`, (m,) or (m, 2) uint64, with `own` of (node, row); without `starts` it is the id `flat[i]`, 8
    bytes little-endian.
    """

    nodes: Ids

    def __init__(
        self,
        column: Column,
        nodes: Ids,
        flat: npt.NDArray[np.uint64],
        starts: Index | None = None,
        own: bool = False,
    ) -> None:
        parts = {"column": column, "nodes": nodes, "_flat": flat, "_starts": starts, "_own": own}
        for name, value in parts.items():
            object.__setattr__(self, name, value)

    _flat: npt.NDArray[np.uint64]
    _starts: Index | None
    _own: bool

    @property
    def keys(self) -> list[bytes]:
        """The row keys, made anew each time."""
        return node_keys(self.nodes)

    @property
    def values(self) -> list[bytes]:
        """The values, encoded anew each time."""
        return self.encoded(np.arange(len(self.nodes)))

    @property
    def lengths(self) -> Index:
        """The length of each value in bytes, where no compressor decides it; 0 elsewhere."""
        if self._starts is None:
            return np.full(len(self.nodes), 8, dtype=np.int64)
        content = (self._starts[1:] - self._starts[:-1]) * self._width
        return np.where(content <= STORED, content + len(stored_head(0)), 0)

    @property
    def _width(self) -> int:
        """Bytes of a row."""
        return 16 if self._own or self._flat.ndim == 2 else 8

    def encoded(self, at: Index) -> list[bytes]:
        """The values of the nodes at these positions."""
        if not len(at):
            return []
        if self._starts is None:
            raw = np.ascontiguousarray(self._flat, "<u8").view(np.uint8).data
            return [bytes(raw[8 * one : 8 * one + 8]) for one in at.tolist()]
        first, last = self._starts[0], self._starts[-1]
        flat = self._flat[first:last]
        if self._own:
            pairs = np.empty((len(flat), 2), "<u8")
            pairs[:, 0], pairs[:, 1] = self.nodes.repeat(self._starts[1:] - self._starts[:-1]), flat
            flat = pairs
        raw = np.ascontiguousarray(flat, "<u8").ravel().view(np.uint8).data
        ends, compress = (self._starts - first) * self._width, compressor(LEVEL).compress
        return [
            compress(raw[low:high]) if high - low > STORED else _HEADS[high - low] + raw[low:high]
            for low, high in zip(ends[at].tolist(), ends[at + 1].tolist(), strict=True)
        ]

    def block(self, at: Index, length: int) -> npt.NDArray[np.uint8]:
        """The values of nodes at positions where `lengths` is `length`, as a table (n, length) of bytes."""
        if self._starts is None:
            return np.ascontiguousarray(self._flat[at], "<u8").view(np.uint8).reshape(-1, 8)
        head = stored_head(length - len(stored_head(0)))
        count = (length - len(head)) // self._width
        rows = self._flat[self._starts[at][:, np.newaxis] + np.arange(count)]
        if self._own:
            pairs = np.empty((len(at), count, 2), "<u8")
            pairs[:, :, 0], pairs[:, :, 1] = self.nodes[at][:, np.newaxis], rows
            rows = pairs
        table = np.empty((len(at), length), np.uint8)
        table[:, : len(head)] = np.frombuffer(head, np.uint8)
        table[:, len(head) :] = np.ascontiguousarray(rows, "<u8").reshape(len(at), -1).view(np.uint8)
        return table

    def between(self, low: int, high: int | None) -> NodeCells:
        """The cells of nodes from `low` on that are below `high`."""
        first = int(np.searchsorted(self.nodes, np.uint64(low)))
        last = len(self.nodes) if high is None else int(np.searchsorted(self.nodes, np.uint64(high)))
        nodes = self.nodes[first:last]
        if self._starts is None:
            return NodeCells(self.column, nodes, self._flat[first:last])
        return NodeCells(self.column, nodes, self._flat, self._starts[first : last + 1], self._own)


def id_cells(column: Column, nodes: Ids, ids: Ids) -> NodeCells:
    """One 8-byte little-endian id for each node; `nodes` is sorted."""
    return NodeCells(column, nodes, ids)


def list_cells(
    column: Column, nodes: Ids, starts: Index, flat: npt.NDArray[np.uint64], own: bool = False
) -> NodeCells:
    """One zstd frame for each node: rows `starts[i]` to `starts[i+1]` of `flat`, (n,) or (n, 2) uint64.

    `nodes` is sorted, and `starts` has one entry more. With `own` a row is the node and what `flat` (n,) has.
    """
    return NodeCells(column, nodes, flat, starts, own)


def node_keys(nodes: Ids) -> list[bytes]:
    """The row keys of nodes, each as `node_key` makes it."""
    keys: list[bytes] = key_digits(nodes).view("S20").ravel().tolist()
    return keys


def key_digits(nodes: Ids) -> npt.NDArray[np.uint8]:
    """The row keys of nodes as a table (n, 20) of bytes, made four digits at a time."""
    digits = np.empty((len(nodes), 5), dtype=np.uint32)
    left = nodes
    for at in reversed(range(5)):
        shorter = left // np.uint64(10_000)
        digits[:, at] = _FOUR_DIGITS[(left - shorter * np.uint64(10_000)).view(np.int64)]
        left = shorter
    return digits.view(np.uint8)


_FOUR_DIGITS = np.array([b"%04d" % number for number in range(10_000)]).view(np.uint32)
