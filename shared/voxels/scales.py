"""What is known of a volume without reading a voxel: its mip levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.bucket_credentials import used_for
from shared.errors import StateError
from shared.plan.segmentation import Triple


@dataclass(frozen=True)
class Scale:
    """A mip level: its box in voxels (`high` is outside), the voxels of a stored block, nm a voxel."""

    mip: int
    low: Triple
    high: Triple
    block: Triple
    resolution: tuple[float, float, float]


def read_scales(location: str) -> list[Scale]:
    """The mip levels of a volume of any format that cloud-volume knows; StateError if there is no such volume."""
    from cloudvolume import CloudVolume  # imported here since it takes seconds

    try:
        volume: Any = CloudVolume(location, progress=False, cache=False)
        mips = [int(mip) for mip in volume.available_mips]
        return [
            Scale(
                mip,
                _triple(volume.mip_bounds(mip).minpt),
                _triple(volume.mip_bounds(mip).maxpt),
                _triple(volume.mip_chunk_size(mip)),
                tuple(float(nm) for nm in volume.mip_resolution(mip)),  # type: ignore[arg-type]
            )
            for mip in mips
        ]
    except Exception as error:  # cloud-volume raises whatever its formats and protocols raise
        raise StateError(
            f"{location}: the volume of supervoxels cannot be read{used_for(location)} ({type(error).__name__}: "
            f"{error!s:.300}), so there is nothing to show; check that it is there, and that you may read it"
        ) from error


def _triple(values: Any) -> Triple:
    x, y, z = (int(value) for value in values)
    return x, y, z
