"""Over-segmentation: objects cut into warped cells, and those cut by the chunk grid.

Invariants: a supervoxel is one piece of touching voxels (6 neighbours) of one object in one cell
and one chunk. Two supervoxels with the same `originals` number that touch through a chunk's face
were one before the grid cut them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from jobs.example.params import ExampleParams
from jobs.example.pieces import Labels, absorb_tiny, pieces
from shared.plan.grid import Chunk
from shared.plan.ids import Ids

ZERO_SEGMENT_SHARE = 0.05
"""Share of the chunks whose segment numbers start at 0, not 1: such supervoxels do occur."""

TINY = 8
"""Pieces below this part of a cell's volume join a neighbour."""


@dataclass(frozen=True)
class Segments:
    """The supervoxels of a chunk. Row 0 of the three tables stands for the background.

    `labels` is an array of voxels, int32: rows of the tables. `ids` (n + 1,) uint64, `originals`
    (n + 1,) int64 and `objects` (n + 1,) int32 tell of each supervoxel its id, what it was part of
    before the chunk grid cut it, and the painted object.
    """

    labels: Labels
    ids: Ids
    originals: npt.NDArray[np.int64]
    objects: npt.NDArray[np.int32]

    def plane(self, axis: int, upper: bool) -> Segments:
        """The same tables, with only the outermost voxels on one side of the chunk."""
        labels = np.take(self.labels, -1 if upper else 0, axis=axis)
        return Segments(labels, self.ids, self.originals, self.objects)


@dataclass(frozen=True)
class Cells:
    """The warped cells of a dataset, which lie differently in each object."""

    params: ExampleParams
    object_count: int

    @cached_property
    def _shifts(self) -> npt.NDArray[np.float32]:
        """How far the cells of each object are moved, (objects + 1, 3), in cells from 0 to 1."""
        return self.params.rng("shifts").random((self.object_count + 1, 3), dtype=np.float32)

    @cached_property
    def _warps(self) -> list[list[npt.NDArray[np.float32]]]:
        """For each axis, by each axis' coordinate: how far voxels are moved, in cells about 0."""
        rng, sigma = self.params.rng("warps"), self.params.supervoxel_size
        scale = 0.25 * np.sqrt(4 * sigma)

        def warp(length: int) -> npt.NDArray[np.float32]:
            noise = scale * gaussian_filter1d(rng.normal(size=length), sigma)
            moved: npt.NDArray[np.float32] = np.clip(noise, -0.5, 0.5).astype(np.float32)
            return moved

        return [[warp(length) for length in self.params.extent] for _ in range(3)]

    def of(self, objects: npt.NDArray[np.int32], chunk: Chunk) -> npt.NDArray[np.int64]:
        """A number for the object and cell of each voxel of a chunk, (x, y, z) int64; 0 is background."""
        low, high = self.params.box(chunk)
        size = np.float32(self.params.supervoxel_size)
        numbers = objects.astype(np.int64)
        for axis in range(3):
            count = self.params.extent[axis] // self.params.supervoxel_size + 6
            x, y, z = (warp[low[d] : high[d]] for d, warp in enumerate(self._warps[axis]))
            moved = x[:, None, None] + y[:, None] + z + self._shifts[objects, axis] + np.float32(2)
            line = np.arange(low[axis], high[axis], dtype=np.float32) / size
            moved += line.reshape([-1 if d == axis else 1 for d in range(3)])
            numbers = numbers * count + moved.astype(np.int64)
        return np.where(objects > 0, numbers, 0)

    def segment(self, objects: npt.NDArray[np.int32], chunk: Chunk, zero: bool) -> Segments:
        """The supervoxels of a chunk with the given objects (x, y, z); `zero`: segments start at 0."""
        cells = self.of(objects, chunk)
        labels, first = pieces(cells)
        owners = np.concatenate([np.zeros(1, np.int32), objects.ravel()[first]])
        target = absorb_tiny(labels, owners, self.params.supervoxel_size**3 // TINY)
        kept, table = np.unique(target, return_inverse=True)
        ids = self.params.layout.node_ids(Chunk(1, *chunk.coords), 0 if zero else 1, len(kept) - 1)
        return Segments(
            table.astype(np.int32)[labels],
            np.concatenate([np.zeros(1, np.uint64), ids]),
            np.concatenate([[0], cells.ravel()[first]])[kept],
            owners[kept],
        )
