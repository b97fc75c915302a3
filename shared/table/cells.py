"""Cells of one column, side by side: what a build hands to the table.

What holds: a cell has no time of its own. The writer gives all cells of a run the run's
timestamp, so a second build writes the same cells over the first ones.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.plan.ids import Ids
from shared.table.columns import Column
from shared.table.frames import compressor

LEVEL = 3
"""zstd level of children and edge cells; readers take any."""


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
    `flat`, (m,) or (m, 2) uint64; without `starts` it is the id `flat[i]`, 8 bytes little-endian.
    """

    nodes: Ids

    def __init__(
        self, column: Column, nodes: Ids, flat: npt.NDArray[np.uint64], starts: npt.NDArray[np.int64] | None = None
    ) -> None:
        for name, value in (("column", column), ("nodes", nodes), ("_flat", flat), ("_starts", starts)):
            object.__setattr__(self, name, value)

    _flat: npt.NDArray[np.uint64]
    _starts: npt.NDArray[np.int64] | None

    @property
    def keys(self) -> list[bytes]:
        """The row keys, made anew each time."""
        return node_keys(self.nodes)

    @property
    def values(self) -> list[bytes]:
        """The values, encoded anew each time."""
        if self._starts is None:
            raw = self._flat.astype("<u8").tobytes()
            return [raw[at : at + 8] for at in range(0, len(raw), 8)]
        first, last = int(self._starts[0]), int(self._starts[-1])
        rows = memoryview(np.ascontiguousarray(self._flat[first:last], "<u8").tobytes())
        width = 8 * (self._flat.shape[1] if self._flat.ndim == 2 else 1)
        ends = ((self._starts - first) * width).tolist()
        compress = compressor(LEVEL).compress
        return [compress(rows[low:high]) for low, high in itertools.pairwise(ends)]

    def between(self, low: int, high: int | None) -> NodeCells:
        """The cells of nodes from `low` on that are below `high`."""
        first = int(np.searchsorted(self.nodes, np.uint64(low)))
        last = len(self.nodes) if high is None else int(np.searchsorted(self.nodes, np.uint64(high)))
        nodes = self.nodes[first:last]
        if self._starts is None:
            return NodeCells(self.column, nodes, self._flat[first:last])
        return NodeCells(self.column, nodes, self._flat, self._starts[first : last + 1])


def id_cells(column: Column, nodes: Ids, ids: Ids) -> NodeCells:
    """One 8-byte little-endian id for each node; `nodes` is sorted."""
    return NodeCells(column, nodes, ids)


def list_cells(
    column: Column, nodes: Ids, starts: npt.NDArray[np.int64], flat: npt.NDArray[np.uint64]
) -> NodeCells:
    """One zstd frame for each node: rows `starts[i]` to `starts[i+1]` of `flat`, (n,) or (n, 2) uint64.

    `nodes` is sorted, and `starts` has one entry more.
    """
    return NodeCells(column, nodes, flat, starts)


def node_keys(nodes: Ids) -> list[bytes]:
    """The row keys of nodes, each as `node_key` makes it, four digits at a time."""
    digits = np.empty((len(nodes), 5), dtype="S4")
    left = nodes
    for at in reversed(range(5)):
        shorter = left // np.uint64(10_000)
        digits[:, at] = _FOUR_DIGITS[(left - shorter * np.uint64(10_000)).astype(np.int64)]
        left = shorter
    keys: list[bytes] = digits.view("S20").ravel().tolist()
    return keys


_FOUR_DIGITS = np.array([b"%04d" % number for number in range(10_000)])
