"""Reads what a plan has to know about the watershed volume from its `info`.

Invariants: no voxel is read, nothing is cached or written.
"""

from __future__ import annotations

from typing import Any

from shared.bucket_credentials import used_for
from shared.errors import ConfigError, Problem
from shared.inputs.reasons import reason_of
from shared.plan.volume import VolumeFacts


def read_volume(path: str, mip: int = 0) -> VolumeFacts:
    """Bounds and resolution at a mip level of a volume of any format and protocol that cloud-volume knows.

    Raises ConfigError, which names `path`, if there is no such volume or it cannot be read.
    """
    from cloudvolume import CloudVolume  # imported here since it takes seconds

    try:
        volume: Any = CloudVolume(path, mip=mip, progress=False, cache=False)
        bounds = volume.mip_bounds(mip)
        low_x, low_y, low_z = (int(voxel) for voxel in bounds.minpt)
        high_x, high_y, high_z = (int(voxel) for voxel in bounds.maxpt)
        nm_x, nm_y, nm_z = (float(size) for size in volume.mip_resolution(mip))
        data_type, channels = str(volume.data_type), int(volume.num_channels)
    except Exception as error:  # cloud-volume raises whatever its formats and protocols raise
        consequence = (
            f"cannot be read as a volume{used_for(path)} ({reason_of(error)}), so the grid of chunks is "
            "unknown; check the path (it is the folder that holds `info`) and that you may read it"
        )
        raise ConfigError([Problem(path, "info", None, consequence)]) from error
    return VolumeFacts((low_x, low_y, low_z), (high_x, high_y, high_z), (nm_x, nm_y, nm_z), data_type, channels)
