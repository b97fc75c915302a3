"""Where a graph's chunks are in its volume: boxes of voxels, and the chunk of a voxel; plain arithmetic.

Invariants: the grid starts at the volume's lower corner; a chunk of layer l has 2^(l-2) chunks of layer 2 along
each axis, and the last one of an axis ends where the volume does.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import StateError
from shared.plan.grid import Chunk, Grid
from shared.plan.segmentation import Triple
from shared.run.record import RunRecord

Box = tuple[Triple, Triple]
"""The lower corner in voxels, and the upper one, which is outside."""


@dataclass(frozen=True)
class Space:
    """A volume from `low` to `high` (voxels at mip 0, the upper corner outside) in chunks of `chunk_size`."""

    low: Triple
    high: Triple
    chunk_size: Triple
    resolution: tuple[float, float, float]
    grid: Grid

    def side(self, layer: int) -> Triple:
        """Voxels of a whole chunk of a layer (1 or more; layer 1 has the chunks of layer 2)."""
        x, y, z = (length << max(0, layer - 2) for length in self.chunk_size)
        return x, y, z

    def box(self, chunk: Chunk) -> Box:
        """The voxels of a chunk of the grid."""
        lows, highs = [], []
        for at, side, low, high in zip(chunk.coords, self.side(chunk.layer), self.low, self.high, strict=True):
            lows.append(low + at * side)
            highs.append(min(low + (at + 1) * side, high))
        return (lows[0], lows[1], lows[2]), (highs[0], highs[1], highs[2])

    def chunk_at(self, voxel: Triple, layer: int = 2) -> Chunk:
        """The chunk of a layer that a voxel of the volume is in."""
        x, y, z = ((at - low) // side for at, low, side in zip(voxel, self.low, self.side(layer), strict=True))
        return Chunk(layer, x, y, z)

    def __contains__(self, voxel: Triple) -> bool:
        return all(low <= at < high for at, low, high in zip(voxel, self.low, self.high, strict=True))


def volume_of(record: RunRecord) -> tuple[str, Triple]:
    """Where the supervoxels of a run are, and the voxels of a chunk of layer 2.

    StateError for a record that does not say so, as where whoever made it had no dataset file.
    """
    if record.segmentation is not None:
        return record.segmentation.watershed, record.segmentation.chunk_size
    try:
        location = record.dataset["data_source"]["WATERSHED"]
        x, y, z = map(int, record.dataset["graph_config"]["CHUNK_SIZE"])
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(
            f"the record of {record.graph} names no volume (data_source.WATERSHED and graph_config.CHUNK_SIZE of "
            "its dataset), so there is nothing to show; it was begun by another program"
        ) from error
    return str(location), (x, y, z)
