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


def id_cells(column: Column, nodes: Ids, ids: Ids) -> Cells:
    """One 8-byte little-endian id for each node."""
    raw = ids.astype("<u8").tobytes()
    return Cells(column, node_keys(nodes), [raw[at : at + 8] for at in range(0, len(raw), 8)])


def list_cells(column: Column, nodes: Ids, starts: npt.NDArray[np.int64], flat: npt.NDArray[np.uint64]) -> Cells:
    """One zstd frame for each node: rows `starts[i]` to `starts[i+1]` of `flat`, (n,) or (n, 2) uint64.

    `starts` has one entry more than `nodes`.
    """
    raw = memoryview(np.ascontiguousarray(flat, "<u8").tobytes())
    width = 8 * (flat.shape[1] if flat.ndim == 2 else 1)
    ends = (starts * width).tolist()
    compress = compressor(LEVEL).compress
    frames = [compress(raw[low:high]) for low, high in itertools.pairwise(ends)]
    return Cells(column, node_keys(nodes), frames)


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
