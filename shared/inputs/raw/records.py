"""What an edge record holds in each of the three data versions, and what records of one pair add up to.

    version 2   sv1 u8, sv2 u8, aff f4, area u8
    version 3   sv1 u8, sv2 u8, then for x, y and z: aff f8, area u8
    version 4   as 3, with aff f4

Records of one pair are summed, affinities in their own type. For 3 and 4, area and affinity are then the
sums over the axes, each times the resolution along it (nm); affinities become float32, and a fraction of
an area is cut off.

Invariants: a sum is taken in the order given, so the same order gives the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.errors import IngestError
from shared.plan.ids import Ids

AREA_LIMIT = 1 << 63
"""A sum of areas that comes to this is refused, before it can run over the 64 bits of its type."""

Records = npt.NDArray[Any]
Index = npt.NDArray[np.int64]

_AFFINITY = {2: "<f4", 3: "<f8", 4: "<f4"}


class TooLarge(Exception):
    """Areas of the group number `group` do not fit."""

    def __init__(self, group: int) -> None:
        super().__init__(group)
        self.group = group


@dataclass(frozen=True)
class RecordFormat:
    """What a record holds: the data version (2, 3 or 4), and the resolution (nm along x, y and z at mip 0)
    that the axes of versions 3 and 4 count with. IngestError for another version."""

    version: int
    resolution: tuple[float, float, float]

    def __post_init__(self) -> None:
        if self.version not in _AFFINITY:
            raise IngestError(
                f"data_source.DATA_VERSION = {self.version!r}: raw agglomeration output has version "
                f"{', '.join(map(str, _AFFINITY))}; set it to the one that it was written with"
            )

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The packed type of a record."""
        axes = ("",) if self.version == 2 else ("_x", "_y", "_z")
        columns = [(f"{name}{axis}", kind) for axis in axes for name, kind in self._columns]
        return np.dtype([("sv1", "<u8"), ("sv2", "<u8"), *columns])

    @property
    def _columns(self) -> tuple[tuple[str, str], tuple[str, str]]:
        return (("aff", _AFFINITY[self.version]), ("area", "<u8"))

    def affinities(self, records: Records, order: Index, starts: Index) -> npt.NDArray[np.float32]:
        """The affinity of each group of `records[order]` that begins at `starts`."""
        # Sums of a damaged writer's numbers may be infinite or none at all; they are kept as they are.
        with np.errstate(all="ignore"):
            if self.version == 2:
                return _sums(records["aff"], order, starts).astype(np.float32)
            parts = [_sums(records[f"aff_{axis}"], order, starts) for axis in "xyz"]
            x, y, z = (part * part.dtype.type(nm) for part, nm in zip(parts, self.resolution, strict=True))
            affinities: npt.NDArray[np.float32] = (x + y + z).astype(np.float32)
            return affinities

    def areas(self, records: Records, order: Index, starts: Index) -> npt.NDArray[np.uint64]:
        """The area of each such group; TooLarge for one that is too large."""
        if self.version == 2:
            _check_areas([records["area"]], [1.0], order, starts)
            return _sums(records["area"], order, starts)
        columns = [records[f"area_{axis}"] for axis in "xyz"]
        _check_areas(columns, self.resolution, order, starts)
        parts = [_sums(column, order, starts) for column in columns]
        whole = all(float(nm).is_integer() for nm in self.resolution)
        weights = [np.uint64(nm) if whole else np.float64(nm) for nm in self.resolution]
        x, y, z = (part * weight for part, weight in zip(parts, weights, strict=True))
        return np.asarray(x + y + z).astype(np.uint64)


def _sums(column: npt.NDArray[Any], order: Index, starts: Index) -> npt.NDArray[Any]:
    """The sum of each group in the type of the column."""
    values = column[order]
    return values if len(starts) == len(order) else np.add.reduceat(values, starts)


def _check_areas(columns: Sequence[Ids], weights: Sequence[float], order: Index, starts: Index) -> None:
    longest = int(np.diff(starts, append=len(order)).max())
    if longest == 1 and len(columns) == 1:
        return  # nothing is added
    most = longest * sum(int(column.max()) * nm for column, nm in zip(columns, weights, strict=True))
    if most < AREA_LIMIT:
        return
    sums = [
        _sums(column.astype(np.float64), order, starts) * nm for column, nm in zip(columns, weights, strict=True)
    ]
    large = np.flatnonzero(np.sum(sums, axis=0) >= AREA_LIMIT)
    if len(large):
        raise TooLarge(int(large[0]))
