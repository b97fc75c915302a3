"""The plan: everything about a run that decides ids and rows, and nothing that changes while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from shared.plan.edge_rules import STRICT, EdgeRules
from shared.plan.grid import Chunk, Grid
from shared.plan.ids import IdLayout
from shared.plan.roots import RootRanges


@dataclass(frozen=True)
class Plan:
    """Grid, id layout and schema of a graph, and what is done with edges that the format does not allow.

    `test` limits the run to the children of the middle layer-3 chunk and that chunk, which then
    waits for its children alone.
    """

    grid: Grid
    ids: IdLayout
    schema: int = 2
    test: bool = False
    rules: EdgeRules = STRICT

    @cached_property
    def roots(self) -> RootRanges:
        """The ranges of root segments."""
        return RootRanges(self.grid, self.ids)

    @property
    def layers(self) -> range:
        """The layers that this run builds."""
        return range(2, self.top.layer + 1)

    @property
    def top(self) -> Chunk:
        """The chunk whose completion ends the run."""
        if not self.test or self.grid.layer_count < 3:
            return self.grid.root
        x, y, z = (length // 2 for length in self.grid.layer_shape(3))
        return Chunk(3, x, y, z)

    def total(self, layer: int) -> int:
        """How many chunks of a layer the run builds."""
        if not self.test or self.top == self.grid.root:
            return self.grid.chunk_total(layer)
        return 1 if layer == self.top.layer else len(self.grid.children(self.top))

    def chunk_at(self, layer: int, index: int) -> Chunk:
        """The chunk number `index` of those that the run builds in `layer`."""
        if not self.test or self.top == self.grid.root:
            return self.grid.chunk_at(layer, index)
        return self.top if layer == self.top.layer else self.grid.children(self.top)[index]

    def __contains__(self, chunk: object) -> bool:
        if chunk not in self.grid or not isinstance(chunk, Chunk):
            return False
        return not self.test or chunk == self.top or chunk in self.grid.children(self.top)

    def dependencies(self, chunk: Chunk) -> list[Chunk]:
        """What must be complete before `chunk` is built, in the order of its record's bits."""
        return self.grid.children(chunk) if self.test else self.grid.dependencies(chunk)

    def dependents(self, chunk: Chunk) -> list[Chunk]:
        """Whose records the completion of `chunk` is noted in.

        The top chunk's own completion is noted in a record one layer above it, which nobody
        builds: full means that the run is done.
        """
        if chunk == self.top:
            return [self.end]
        return [self.top] if self.test else self.grid.dependents(chunk)

    @property
    def end(self) -> Chunk:
        """The record that is full when the run is done."""
        return Chunk(self.top.layer + 1, 0, 0, 0)

    def bits(self, waiting: Chunk) -> dict[Chunk, int]:
        """The number of each dependency in the record of `waiting`."""
        found = [self.top] if waiting == self.end else self.dependencies(waiting)
        return {chunk: bit for bit, chunk in enumerate(found)}
