"""Which segment numbers of the root layer belong to which chunk's job.

A root is made by the job that sees its last cross edge vanish, in any layer, so each job has a
range of its own and no counter is shared. Invariants: ranges never overlap; all of them stay below
2^(segment bits - 9), so that the server's 256 root counters, set to the highest root segment,
continue with counter * 256 + part inside the segment bits and above every id of ours, and a range
read from segment 0 to the counter finds all of our roots.

Chunks of a higher layer see more objects end: a layer's range grows with (chunks below)^(2/3), as
surfaces do. For a cube of chunks that is 4 times a layer, and doubles the sum over layer 2 alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from shared.errors import RangeOverflow
from shared.plan.grid import Chunk, Grid
from shared.plan.ids import IdLayout, Ids

MIN_BITS = 16
"""A layer-2 chunk must be able to number this many bits of roots; plans with less are refused."""


@dataclass(frozen=True)
class RootRanges:
    """The root segments of every chunk's job."""

    grid: Grid
    ids: IdLayout

    @cached_property
    def limit(self) -> int:
        """All root segments are below this, and there are none from 1 on if ids have too few bits."""
        return 1 << max(0, self.ids.segment_bits(self.grid.layer_count) - 9)

    @cached_property
    def bits(self) -> int:
        """A layer-2 chunk has 2^bits root segments; negative if there is no room."""
        layers = range(2, self.grid.layer_count + 1)
        weight = sum(self.grid.chunk_total(layer) << self._growth(layer) for layer in layers)
        return ((self.limit - 1) // weight).bit_length() - 1

    def _growth(self, layer: int) -> int:
        below = self.grid.chunk_total(2) // self.grid.chunk_total(layer)
        return 2 * (below.bit_length() - 1) // 3

    def size(self, layer: int) -> int:
        """How many roots the job of one chunk of `layer` can number: all there are, if it is the only one."""
        if self.grid.layer_count == 2:
            return self.limit - 1
        return 1 << self.bits + self._growth(layer) if self.bits >= 0 else 0

    def first(self, chunk: Chunk) -> int:
        """The first root segment of a chunk's job."""
        below = sum(self.grid.chunk_total(layer) * self.size(layer) for layer in range(2, chunk.layer))
        return 1 + below + self.grid.index_of(chunk) * self.size(chunk.layer)

    def root_ids(self, chunk: Chunk, count: int) -> Ids:
        """The ids of the `count` roots that the job of `chunk` makes; RangeOverflow if too many."""
        if count > self.size(chunk.layer):
            alone = self.grid.layer_count == 2
            raise RangeOverflow(
                f"chunk {chunk} makes {count} roots, but its range of root segments has "
                f"{self.size(chunk.layer)}; use smaller chunks{' or fewer SPATIAL_BITS' if alone else ''}"
            )
        return self.ids.node_ids(self.grid.root, self.first(chunk), count)
