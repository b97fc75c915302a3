"""What a plan has to know about the watershed volume."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class VolumeFacts:
    """The box of a volume in voxels at a mip level (`high` is outside it), its resolution there (nm a voxel), and
    what a voxel is: the type of its `channels` values."""

    low: tuple[int, int, int]
    high: tuple[int, int, int]
    resolution: tuple[float, float, float]
    data_type: str = "uint64"
    channels: int = 1

    @property
    def size(self) -> tuple[int, int, int]:
        """Voxels along each axis."""
        x, y, z = (end - start for start, end in zip(self.low, self.high, strict=True))
        return x, y, z

    def grid_shape(self, chunk_size: tuple[int, int, int]) -> tuple[int, int, int]:
        """Layer-2 chunks along each axis; the grid starts at the volume's lower corner, not at 0."""
        x, y, z = (-(-voxels // chunk) for voxels, chunk in zip(self.size, chunk_size, strict=True))
        return x, y, z
