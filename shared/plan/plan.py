"""The plan: everything about a run that decides ids and rows, and nothing that changes while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from shared.plan.edge_rules import STRICT, EdgeRules
from shared.plan.grid import Chunk, Grid
from shared.plan.ids import IdLayout
from shared.plan.roots import RootRanges

MOST_TABLE_PARTS = 62
"""Parts of a segmentation's tables: so many bits has the record of who waits for them."""


@dataclass(frozen=True)
class Plan:
    """Grid, id layout and schema of a graph, and what is done with edges that the format does not allow.

    `test` limits the run to the children of the middle layer-3 chunk and that chunk, which then waits for its
    children alone. `tables` is the number of jobs that sort the tables of a segmentation, each a chunk (job, 0, 0)
    of layer 0: the record of the first chunk of layer 1 is full when they are done, and then layer 1 is queued. No
    other chunk of layer 1 waits for anything."""

    grid: Grid
    ids: IdLayout
    schema: int = 2
    test: bool = False
    rules: EdgeRules = STRICT
    tables: int = 0

    @cached_property
    def roots(self) -> RootRanges:
        """The ranges of root segments."""
        return RootRanges(self.grid, self.ids)

    @property
    def layers(self) -> range:
        """The layers that this run builds."""
        return range(0 if self.tables else self.grid.lowest, self.top.layer + 1)

    @property
    def graph_layers(self) -> range:
        """Those of them that have nodes."""
        return range(2, self.top.layer + 1)

    @property
    def fed(self) -> int:
        """The layer that is queued some at a time, as its chunks wait for no single others."""
        return self.grid.lowest

    @property
    def top(self) -> Chunk:
        """The chunk whose completion ends the run."""
        if not self.test or self.grid.layer_count < 3:
            return self.grid.root
        x, y, z = (length // 2 for length in self.grid.layer_shape(3))
        return Chunk(3, x, y, z)

    @property
    def _whole(self) -> bool:
        """Whether all chunks of the grid are built."""
        return not self.test or self.top == self.grid.root

    def total(self, layer: int) -> int:
        """How many chunks of a layer the run builds."""
        if layer == 0:
            return self.tables
        if self._whole:
            return self.grid.chunk_total(layer)
        return 1 if layer == self.top.layer else len(self.grid.children(self.top))

    def chunk_at(self, layer: int, index: int) -> Chunk:
        """The chunk number `index` of those that the run builds in `layer`."""
        if layer == 0:
            return Chunk(0, index, 0, 0)
        if self._whole:
            return self.grid.chunk_at(layer, index)
        return self.top if layer == self.top.layer else self.grid.children(self.top)[index]._replace(layer=layer)

    def __contains__(self, chunk: object) -> bool:
        if not isinstance(chunk, Chunk):
            return False
        if chunk.layer == 0:
            return 0 <= chunk.x < self.tables and chunk.y == chunk.z == 0
        if chunk not in self.grid:
            return False
        below = chunk.layer <= 2 and chunk._replace(layer=2) in self.grid.children(self.top)
        return self._whole or chunk == self.top or below

    def dependencies(self, chunk: Chunk) -> list[Chunk]:
        """What must be complete before `chunk` is built, in the order of its record's bits."""
        if chunk.layer <= 1:
            waits = self.tables > 0 and chunk == self.chunk_at(1, 0)
            return [self.chunk_at(0, index) for index in range(self.tables)] if waits else []
        if not self.test:
            return self.grid.dependencies(chunk)
        if chunk.layer == 2:
            return [cut for cut in self.grid.dependencies(chunk) if cut in self]
        return self.grid.children(chunk)

    def dependents(self, chunk: Chunk) -> list[Chunk]:
        """Whose records the completion of `chunk` is noted in.

        The top chunk's own completion is noted in a record one layer above it, which nobody
        builds: full means that the run is done.
        """
        if chunk == self.top:
            return [self.end]
        if chunk.layer == 0:
            return [self.chunk_at(1, 0)]
        if chunk.layer == 1:
            return [on for on in self.grid.dependents(chunk) if on in self]
        return [self.top] if self.test else self.grid.dependents(chunk)

    @property
    def end(self) -> Chunk:
        """The record that is full when the run is done."""
        return Chunk(self.top.layer + 1, 0, 0, 0)

    def bits(self, waiting: Chunk) -> dict[Chunk, int]:
        """The number of each dependency in the record of `waiting`."""
        found = [self.top] if waiting == self.end else self.dependencies(waiting)
        return {chunk: bit for bit, chunk in enumerate(found)}
