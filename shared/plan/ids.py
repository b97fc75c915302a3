"""The layout of node ids (uint64): | layer | x | y | z | segment |.

Invariants: ids are exact 64-bit integers all the way; no float ever touches one. The bits an axis
depend on the layer: b(l) = max(1, layer_count - l) above layer 2, b(2) = b(1) =
max(SPATIAL_BITS, layer_count - 2). Source of the layout: PyChunkedGraph's id scheme.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.errors import RangeOverflow
from shared.plan.grid import Chunk

Ids = npt.NDArray[np.uint64]
"""An array of node or supervoxel ids, dtype uint64."""

NO_IDS: Ids = np.zeros(0, dtype=np.uint64)


@dataclass(frozen=True)
class IdLayout:
    """How ids of one chunked graph are cut into fields."""

    layer_count: int
    spatial_bits: int = 10
    layer_id_bits: int = 8

    def axis_bits(self, layer: int) -> int:
        """Bits of each chunk coordinate in an id of `layer`."""
        if layer > 2:
            return max(1, self.layer_count - layer)
        return max(self.spatial_bits, 1, self.layer_count - 2)

    def segment_bits(self, layer: int) -> int:
        """Bits left for the segment number in an id of `layer`."""
        return 64 - self.layer_id_bits - 3 * self.axis_bits(layer)

    def chunk_id(self, chunk: Chunk) -> int:
        """The chunk's id: the id of segment 0 in it. Layer 1 names the supervoxels' chunk."""
        bits, at = self.axis_bits(chunk.layer), self.segment_bits(chunk.layer)
        x, y, z = (coord << at + bits * shift for coord, shift in zip(chunk.coords, (2, 1, 0), strict=True))
        return chunk.layer << 64 - self.layer_id_bits | x | y | z

    def node_ids(self, chunk: Chunk, first: int, count: int) -> Ids:
        """`count` ids of consecutive segments from `first`; RangeOverflow if they do not fit."""
        bits = self.segment_bits(chunk.layer)
        if first + count > 1 << bits:
            raise RangeOverflow(
                f"chunk {chunk} needs segment {first + count - 1}, but an id of layer {chunk.layer} "
                f"has {bits} bits for it; use smaller chunks or fewer SPATIAL_BITS"
            )
        return np.uint64(self.chunk_id(chunk)) + np.arange(first, first + count, dtype=np.uint64)

    def layers(self, ids: Ids) -> npt.NDArray[np.uint64]:
        """The layer of each id."""
        layers: npt.NDArray[np.uint64] = ids >> np.uint64(64 - self.layer_id_bits)
        return layers

    def segments(self, ids: Ids, layer: int) -> npt.NDArray[np.uint64]:
        """The segment number of each id, all of which are of `layer`."""
        segments: npt.NDArray[np.uint64] = ids & np.uint64((1 << self.segment_bits(layer)) - 1)
        return segments

    def coords(self, ids: Ids, layer: int) -> npt.NDArray[np.int64]:
        """Chunk coordinates (n, 3) of ids that are all of `layer`."""
        bits, at = self.axis_bits(layer), self.segment_bits(layer)
        mask = np.uint64((1 << bits) - 1)
        axes = [(ids >> np.uint64(at + bits * shift)) & mask for shift in (2, 1, 0)]
        coords: npt.NDArray[np.int64] = np.stack(axes, axis=-1).astype(np.int64)
        return coords

    def chunk_of(self, node: int) -> Chunk:
        """The chunk that one id belongs to."""
        layer = node >> 64 - self.layer_id_bits
        x, y, z = self.coords(np.array([node], dtype=np.uint64), layer)[0].tolist()
        return Chunk(layer, x, y, z)
