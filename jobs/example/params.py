"""What can be chosen about an example, and the boxes that follow from it.

Invariants: voxel coordinates in this package count from the volume's lower corner; only the
watershed volume itself knows of its voxel offset. The last chunk of an axis is cut, so that the
extent is no multiple of the chunk size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from shared.plan.grid import Chunk, Grid
from shared.plan.ids import IdLayout

Item = TypeVar("Item")
Triple = tuple[int, int, int]
VoxelBox = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Lower and upper corner of a box in voxels, each (3,) int64; the upper one is outside."""

SPATIAL_BITS = 10
RESOLUTION = (32, 32, 40)
"""Nanometres a voxel, along x, y and z."""
VOXEL_OFFSET = (104, 56, 24)
"""Where the volume starts, in voxels."""
SMALLEST_CHUNK = 8


@dataclass(frozen=True)
class ExampleParams:
    """The size of an example and the seed of all its random numbers."""

    grid: Triple = (9, 5, 3)
    """Layer-2 chunks along x, y and z."""
    chunk_size: Triple = (56, 56, 48)
    """Voxels of a chunk along x, y and z, at least 8 each."""
    supervoxel_size: int = 7
    """Voxels across the cells that objects are cut into."""
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.grid) < 1:
            raise ValueError(f"grid {self.grid}: an axis needs at least 1 chunk")
        if min(self.chunk_size) < SMALLEST_CHUNK:
            raise ValueError(f"chunk size {self.chunk_size}: an axis needs at least {SMALLEST_CHUNK} voxels")
        if self.supervoxel_size < 2:
            raise ValueError(f"supervoxel size {self.supervoxel_size}: needs at least 2 voxels")
        if self.seed < 0:
            raise ValueError(f"seed {self.seed}: must not be negative")

    @cached_property
    def chunks(self) -> Grid:
        """The grid of chunks of every layer."""
        return Grid(self.grid)

    @cached_property
    def layout(self) -> IdLayout:
        """The layout of the supervoxel ids."""
        return IdLayout(self.chunks.layer_count, SPATIAL_BITS)

    @property
    def extent(self) -> Triple:
        """Voxels of the whole volume along each axis."""
        x, y, z = (
            length * size - size // cut
            for length, size, cut in zip(self.grid, self.chunk_size, (3, 4, 5), strict=True)
        )
        return x, y, z

    def box(self, chunk: Chunk) -> VoxelBox:
        """The voxels of a layer-2 chunk."""
        low = np.array(chunk.coords) * self.chunk_size
        return low, np.minimum(low + self.chunk_size, self.extent)

    def empty_box(self) -> VoxelBox | None:
        """The corner that no object reaches; None where no axis has 4 chunks.

        It starts and, but for the volume's end, ends at even chunk coordinates, so it holds whole
        chunks of layer 3. Along an axis of fewer than 4 chunks it takes the lowest two.
        """
        if max(self.grid) < 4:
            return None
        low = [2 * (length // 3) if length > 3 else 0 for length in self.grid]
        high = [length if length > 3 else min(length, 2) for length in self.grid]
        size = np.array(self.chunk_size)
        return np.array(low) * size, np.minimum(np.array(high) * size, self.extent)

    def rng(self, purpose: str, *index: int) -> np.random.Generator:
        """The random numbers for one purpose (and chunk): they depend on nothing that was drawn before."""
        return np.random.default_rng([self.seed, *index, *purpose.encode()])

    def some(self, purpose: str, items: list[Item], share: float) -> list[Item]:
        """A random `share` of some items, at least one if there are any."""
        if not items:
            return []
        chosen = self.rng(purpose).choice(len(items), max(1, round(share * len(items))), replace=False)
        return [items[at] for at in sorted(chosen.tolist())]
