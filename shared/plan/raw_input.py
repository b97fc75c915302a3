"""Which raw agglomeration output a run reads, and how its records are to be understood."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

DATA_VERSIONS = (2, 3, 4)


@dataclass(frozen=True)
class RawInput:
    """The folder AGGLOMERATION, the version of its records, and the volume's resolution at mip 0 (nm along x, y
    and z), which areas and affinities of versions 3 and 4 are weighted with."""

    agglomeration: str
    data_version: int
    resolution: tuple[float, float, float]

    @property
    def place(self) -> str:
        """What people are told that it is."""
        return self.agglomeration

    @classmethod
    def read(cls, fields: Any) -> RawInput:
        """The raw input in the JSON of a record; ValueError for what is none."""
        if not isinstance(fields, dict) or set(fields) != {"agglomeration", "data_version", "resolution"}:
            raise ValueError("it needs agglomeration, data_version and resolution")
        folder, version, resolution = fields["agglomeration"], fields["data_version"], fields["resolution"]
        if not isinstance(folder, str) or not folder:
            raise ValueError(f"agglomeration = {folder!r:.60} is no folder")
        if type(version) is not int or version not in DATA_VERSIONS:
            raise ValueError(f"data_version = {version!r:.60} is none of {DATA_VERSIONS}")
        if not isinstance(resolution, list | tuple) or len(resolution) != 3 or not all(map(_is_nm, resolution)):
            raise ValueError(f"resolution = {resolution!r:.60} is not three numbers above 0")
        x, y, z = map(float, resolution)
        return cls(folder, version, (x, y, z))


def _is_nm(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and 0 < value < 1e12
