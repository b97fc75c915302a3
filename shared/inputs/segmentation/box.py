"""Reads the voxels that a chunk is cut from: of the segmentation, and of the volumes beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from shared.errors import DataError
from shared.inputs.segmentation.cutting import Box
from shared.plan.grid import Chunk
from shared.plan.segmentation import Segmentation, Triple
from shared.voxels.volume import VoxelVolume


class Volume(Protocol):
    """Voxels by boxes."""

    def read(self, low: Triple, high: Triple, chunk: Chunk) -> npt.NDArray[Any]:
        """The voxels of a box, (x, y, z) or (x, y, z, channels)."""


@dataclass(frozen=True)
class Volumes:
    """The volumes of a segmentation."""

    segmentation: Segmentation
    labels: Volume
    objects: Volume | None = None
    affinities: Volume | None = None

    @classmethod
    def of(cls, segmentation: Segmentation) -> Volumes:
        """Those that a segmentation names; they are opened when something is read."""

        def volume(location: str | None) -> VoxelVolume | None:
            return None if location is None else VoxelVolume(location, segmentation.mip, segmentation.fill_missing)

        labels = VoxelVolume(segmentation.supervoxels, segmentation.mip, segmentation.fill_missing)
        return cls(segmentation, labels, volume(segmentation.objects), volume(segmentation.affinities))

    def box(self, chunk: Chunk) -> Box:
        """The voxels of a chunk; DataError for what is damaged, or no labels."""
        low, high = self.segmentation.box(*chunk.coords)
        labels = _labels(self.labels.read(low, high, chunk), self.segmentation.supervoxels, chunk)
        objects = affinities = None
        if self.objects is not None:
            assert self.segmentation.objects is not None
            objects = _labels(self.objects.read(low, high, chunk), self.segmentation.objects, chunk)
        if self.affinities is not None:
            assert self.segmentation.affinities is not None
            affinities = _affinities(
                self.affinities.read(low, high, chunk), self.segmentation.affinities, chunk, low
            )
        return Box(labels, objects, affinities)


def _labels(voxels: npt.NDArray[Any], location: str, chunk: Chunk) -> npt.NDArray[Any]:
    if voxels.ndim != 3 or voxels.dtype.kind != "u":
        raise DataError(location, chunk, f"its voxels are {voxels.dtype} of shape {voxels.shape}, and no labels")
    return voxels


def _affinities(voxels: npt.NDArray[Any], location: str, chunk: Chunk, low: Triple) -> npt.NDArray[np.float32]:
    """From 0 to 1: bytes count in 255ths, as they are stored to save space. `low` is where the box begins."""
    if voxels.ndim != 4 or voxels.shape[3] != 3 or voxels.dtype not in (np.uint8, np.float32):
        raise DataError(
            location, chunk, f"its voxels are {voxels.dtype} of shape {voxels.shape}, and no affinities"
        )
    if voxels.dtype == np.uint8:
        return voxels.astype(np.float32) / np.float32(255)
    found = voxels.astype(np.float32, copy=False)
    wrong = ~np.isfinite(found)
    if wrong.any():
        x, y, z, axis = (int(at) for at in np.argwhere(wrong)[0])
        place = ", ".join(str(start + at) for start, at in zip(low, (x, y, z), strict=True))
        reason = f"the affinity of voxel ({place}) along {'xyz'[axis]} is {found[x, y, z, axis]}, and no number"
        raise DataError(location, chunk, f"{reason}; {int(wrong.sum()):,} of the chunk's are none")
    return found
