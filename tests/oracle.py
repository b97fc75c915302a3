"""The whole graph at once, from all edges, by the rules of the format and nothing else.

Slow and plain on purpose: dicts, sets and Python integers, one supervoxel at a time. It shares the
id layout and the root ranges with the code under test, as ids have to be the same, and no step of
the build.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from shared.plan.grid import Chunk
from shared.plan.plan import Plan

Edge = tuple[int, int]
Table = dict[str, dict[str, Any]]
"""Row key -> column -> decoded value."""


class Oracle:
    """Builds from supervoxels (all that are in an edge) and the active edges between them."""

    def __init__(self, plan: Plan, supervoxels: Iterable[int], active: Iterable[Edge]) -> None:
        self.plan = plan
        self.top: dict[int, int] = {}
        self.parents: dict[int, int] = {}
        self.children: dict[int, list[int]] = {}
        self.below: dict[int, set[int]] = {}
        self.edges_of: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        self.ancestors: dict[int, list[int]] = {}
        self.edges = {(a, b) for a, b in active} | {(b, a) for a, b in active}
        for a, b in self.edges:
            self.edges_of[a].append((self.cross_layer(a, b), a, b))
        self._layer_2(set(supervoxels))
        for layer in range(3, plan.grid.layer_count + 1):
            self._layer(layer)

    def chunk(self, supervoxel: int, layer: int) -> Chunk:
        at = self.plan.ids.chunk_of(supervoxel)
        return Chunk(layer, *(c >> layer - max(at.layer, 2) for c in at.coords))

    def cross_layer(self, a: int, b: int) -> int:
        layer = 1
        while layer < self.plan.grid.layer_count and self.chunk(a, layer + 1) != self.chunk(b, layer + 1):
            layer += 1
        return layer

    def _layer_2(self, supervoxels: set[int]) -> None:
        self.top = {sv: sv for sv in supervoxels}
        self.below = {sv: {sv} for sv in supervoxels}
        by_chunk: dict[Chunk, list[list[int]]] = defaultdict(list)
        for part in self._components(supervoxels, 1):
            by_chunk[self.chunk(min(part), 2)].append(sorted(part))
        for chunk, parts in by_chunk.items():
            for number, members in enumerate(sorted(parts)):
                if self.plan.grid.layer_count == 2:
                    self._make(int(self.plan.roots.root_ids(chunk, number + 1)[-1]), members)
                else:
                    self._make(self.plan.ids.chunk_id(chunk) + number + 1, members)
        if self.plan.grid.layer_count > 2:
            self._finish(by_chunk, 2)

    def _layer(self, layer: int) -> None:
        waiting = {node for node in self.top.values() if node >> 56 < layer}
        root = layer == self.plan.grid.layer_count
        made = defaultdict(list)
        for part in self._components(waiting, layer - 1):
            crossing = {m for node in part for m in self._crossing(node, layer)}
            if len(part) > 1 or root or min(crossing) == layer:
                made[self.chunk(min(part), layer)].append(sorted(part))
        for chunk, parts in made.items():
            for number, members in enumerate(sorted(parts)):
                job = int(self.plan.roots.root_ids(chunk, number + 1)[-1]) if root else None
                self._make(job or self.plan.ids.chunk_id(chunk) + number + 1, members)
        if not root:
            self._finish(made, layer)

    def _components(self, nodes: set[int], cross: int) -> list[set[int]]:
        """Nodes joined by edges of one cross layer, found by walking."""
        left, parts = set(nodes), []
        while left:
            part, todo = set(), [left.pop()]
            while todo:
                node = todo.pop()
                part.add(node)
                for sv in self.below[node]:
                    for m, _, far in self.edges_of[sv]:
                        other = self.top[far]
                        if m == cross and other in left:
                            left.remove(other)
                            todo.append(other)
            parts.append(part)
        return parts

    def _crossing(self, node: int, layer: int) -> set[int]:
        return {m for sv in self.below[node] for m, _, _ in self.edges_of[sv] if m >= layer}

    def _make(self, node: int, part: list[int]) -> None:
        self.children[node] = part
        self.below[node] = set().union(*(self.below[child] for child in part))
        for child in part:
            self.parents[child] = node
        for sv in self.below[node]:
            self.top[sv] = node
            self.ancestors.setdefault(sv, []).append(node)

    def _finish(self, chunks: Iterable[Chunk], layer: int) -> None:
        """Roots over the nodes just made that no edge leaves, numbered in their chunk's range."""
        new = set(self.top.values())
        for chunk in chunks:
            here = sorted(n for n in new if n >> 56 == layer and self.plan.ids.chunk_of(n) == chunk)
            final = [node for node in here if not self._crossing(node, layer)]
            roots = self.plan.roots.root_ids(chunk, len(final)).tolist()
            for node, root in zip(final, roots, strict=True):
                self._make(root, [node])

    def table(self) -> Table:
        """Every row that an ingest must write, but meta and version."""
        rows: Table = defaultdict(dict)
        ids, root = self.plan.ids, self.plan.grid.root
        highest: dict[Chunk, int] = defaultdict(int, {root: 0})
        for child, parent in self.parents.items():
            rows[f"{child:020d}"]["0:parents"] = parent
        for node, children in self.children.items():
            rows[f"{node:020d}"]["0:children"] = children
            chunk = ids.chunk_of(node)
            highest[chunk] = max(highest[chunk], node & (1 << ids.segment_bits(chunk.layer)) - 1)
            if node >> 56 == 2 or self.plan.schema == 3:
                self._edge_cells(rows[f"{node:020d}"], node)
        for chunk, segment in highest.items():
            rows[f"i{ids.chunk_id(chunk):020d}"]["1:counter"] = segment
        for part in range(256):
            rows[f"i{ids.chunk_id(root):020d}_{part}"]["1:counter"] = highest[root]
        return dict(rows)

    def _edge_cells(self, row: dict[str, Any], node: int) -> None:
        layer = node >> 56
        cells: dict[str, set[Edge]] = defaultdict(set)
        for sv in self.below[node]:
            for m, near, far in self.edges_of[sv]:
                if m >= layer == 2:
                    cells[f"3:atomic_cross_edges_{m}"].add((near, far))
                if self.plan.schema == 3 and m >= layer < self.plan.grid.layer_count:
                    lifted = [above for above in self.ancestors[far] if above >> 56 <= layer][-1]
                    cells[f"4:cross_edges_{m}"].add((node, lifted))
        row.update({column: sorted(pairs) for column, pairs in cells.items()})
