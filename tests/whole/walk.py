"""The walk over a whole table, chunk by chunk up the octree, with memory for the boundary only.

Every subtree hands up its *frontier*: nodes whose parent lies above it. A chunk's own nodes are
matched with the frontier of its children, so that each parent link is compared with the children
cell that must answer it; what is left at the top is a violation. Edges between chunks are compared
where both ends are known (tests.whole.crossing). All row ranges together cover the whole key
space, so a row that no job of the plan can have written is found too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from shared.plan.grid import Chunk
from shared.plan.ids import Ids
from shared.plan.plan import Plan
from shared.run.ports import Row, Table
from shared.table.columns import META_KEY, ROOT_COUNTERS, VERSION_KEY, counter_key, node_key
from shared.table.decode import decode_counter
from tests.whole.crossing import Crossing
from tests.whole.rows import ChunkRows, read_nodes
from tests.whole.rules import parent_rule

MAX_REPORTED = 100


@dataclass
class Report:
    """What a walk found: counts a layer, and violations with their rows (the first 100 in words)."""

    nodes: dict[int, int] = field(default_factory=dict)
    single: dict[int, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    violation_count: int = 0

    def complain(self, key: str, reason: str) -> None:
        """Notes a violation."""
        self.violation_count += 1
        if len(self.violations) < MAX_REPORTED:
            self.violations.append(f"row {key}: {reason}")


@dataclass(frozen=True)
class Frontier:
    """Nodes (n,), their parents and the bits of the cross layers of the edges that leave them."""

    nodes: Ids
    parents: Ids
    masks: Ids


class Walk:
    """Walks one table; with `keep_links`, `links` has every (children, parents) link afterwards."""

    def __init__(self, plan: Plan, table: Table, report: Report, keep_links: bool) -> None:
        self.plan, self.table, self.report, self.keep_links = plan, table, report, keep_links
        self.links: list[tuple[Ids, Ids]] = []
        self.highest_root = 0

    def run(self) -> None:
        """Walks everything below the top chunk; the report has the result."""
        top = self.plan.top
        left, crossing = self._visit(top)
        # A test run has no neighbours, so edges that leave it have no far end to be written.
        for node in np.unique(crossing.lifted.nodes).tolist():
            self.report.complain(f"{node:020d}", "has a cross edge that leads out of the test run")
        if not self.plan.test:
            for node, parent in zip(left.nodes.tolist(), left.parents.tolist(), strict=True):
                self.report.complain(f"{node:020d}", f"names the parent {parent}, which does not list it")
            self._check_rest()

    def _visit(self, chunk: Chunk) -> tuple[Frontier, Crossing]:
        ids, layer = self.plan.ids, chunk.layer
        crossing: Crossing | None = None
        if layer == 2:
            rows = self._read_chunk(chunk._replace(layer=1))
            frontier = Frontier(rows.nodes, rows.parents, rows.masks())
        else:
            parts = [self._visit(child) for child in self.plan.grid.children(chunk)]
            frontier = _join([part for part, _ in parts])
            joined = Crossing.joined([part for _, part in parts])
            crossing = joined.settle(self.plan, layer - 1, self.report.complain)
        if layer != self.plan.grid.layer_count:
            own = self._read_chunk(chunk)
            if crossing is None:
                crossing = Crossing.of_layer2(own)
            else:
                crossing = crossing.climb(self.plan, layer, frontier.nodes, frontier.parents, own.lifted)
            frontier = self._match(layer, own, frontier)
            self._check_counter(counter_key(ids.chunk_id(chunk)), own.nodes, layer)
        roots = read_nodes(
            self.plan, self.plan.grid.root, self.table.read([self._root_range(chunk)]), self.report.complain
        )
        self._count(self.plan.grid.layer_count, roots)
        frontier = self._match(self.plan.grid.layer_count, roots, frontier)
        return frontier, crossing or Crossing.of_layer2(roots)

    def _read_chunk(self, chunk: Chunk) -> ChunkRows:
        """A chunk's rows and all up to the next chunk's, so that no key is left out."""
        after = self.plan.grid.index_of(chunk._replace(layer=max(chunk.layer, 2))) + 1
        low = self.plan.ids.chunk_id(chunk)
        if after < self.plan.grid.chunk_total(max(chunk.layer, 2)):
            following = self.plan.grid.chunk_at(max(chunk.layer, 2), after)
            high = self.plan.ids.chunk_id(following._replace(layer=chunk.layer))
        else:
            high = chunk.layer + 1 << 64 - self.plan.ids.layer_id_bits
        rows = self.table.read([(node_key(low), node_key(high))])
        found = read_nodes(self.plan, chunk, rows, self.report.complain)
        self._count(chunk.layer, found)
        return found

    def _root_range(self, chunk: Chunk) -> tuple[bytes, bytes]:
        """The keys of the roots that the job of `chunk` may make, gaps included."""
        roots, base = self.plan.roots, self.plan.ids.chunk_id(self.plan.grid.root)
        first = roots.first(chunk)
        low = base + (0 if first == 1 else first)
        if chunk == self.plan.grid.root:
            return node_key(low), node_key(chunk.layer + 1 << 64 - self.plan.ids.layer_id_bits)
        return node_key(low), node_key(base + first + roots.size(chunk.layer))

    def _match(self, layer: int, own: ChunkRows, frontier: Frontier) -> Frontier:
        """Compares the links between `own` nodes and the frontier; the frontier above them."""
        claimed = np.isin(frontier.parents, own.nodes)
        links = _sorted_pairs(frontier.nodes[claimed], frontier.parents[claimed])
        lists = _sorted_pairs(own.children, own.child_of)
        if not np.array_equal(links, lists):
            self._explain(links, lists)
        masks = own.masks()
        sizes = np.bincount(np.searchsorted(own.nodes, own.child_of), minlength=len(own.nodes))
        single = self.report.single.get(layer, 0)
        self.report.single[layer] = single + int((sizes == 1).sum())
        at = np.searchsorted(own.nodes, frontier.parents[claimed])
        below = frontier.masks[claimed]
        facts = (frontier.nodes[claimed], below, sizes[at])
        for node, mask, siblings in zip(*(fact.tolist() for fact in facts), strict=True):
            self._check_rule(node, layer, mask, siblings)
        np.bitwise_or.at(masks, at, below >> np.uint64(layer) << np.uint64(layer))
        if self.keep_links:
            self.links.append((frontier.nodes[claimed], frontier.parents[claimed]))
        if layer == self.plan.grid.layer_count:
            for node in own.nodes[own.parents != 0].tolist():
                self.report.complain(f"{node:020d}", "is a root, but has a parent")
            return Frontier(frontier.nodes[~claimed], frontier.parents[~claimed], frontier.masks[~claimed])
        for node in own.nodes[own.parents == 0].tolist():
            if not self.plan.test:
                self.report.complain(f"{node:020d}", "has no parent, and is no root")
        rest = Frontier(frontier.nodes[~claimed], frontier.parents[~claimed], frontier.masks[~claimed])
        return _join([rest, Frontier(own.nodes, own.parents, masks)])

    def _check_rule(self, node: int, layer: int, mask: int, siblings: int) -> None:
        """The parent of `node` stands in `layer` and has `siblings` children: by the rule?"""
        own_layer = node >> 64 - self.plan.ids.layer_id_bits
        if own_layer == 1:
            expected = layer == 2
        else:
            where, joined = parent_rule(own_layer, mask, self.plan.grid.layer_count)
            expected = layer == where and joined == (siblings > 1)
        if not expected:
            layers = [at for at in range(64) if mask >> at & 1]
            self.report.complain(
                f"{node:020d}",
                f"has edges of cross layers {layers}, but a parent in layer {layer} with {siblings} children",
            )

    def _explain(self, links: Ids, lists: Ids) -> None:
        have = set(map(tuple, links.tolist()))
        listed = set(map(tuple, lists.tolist()))
        for child, parent in sorted(have - listed):
            self.report.complain(f"{child:020d}", f"names the parent {parent}, which does not list it")
        for child, parent in sorted(listed - have):
            self.report.complain(f"{parent:020d}", f"lists the child {child}, which names another parent or none")

    def _check_counter(self, key: bytes, nodes: Ids, layer: int) -> None:
        rows = list(self.table.read_keys([key]))
        highest = int(self.plan.ids.segments(nodes, layer).max()) if len(nodes) else 0
        try:
            value = decode_counter(rows[0].cells["1:counter"]) if rows else 0
        except (KeyError, ValueError) as error:
            return self.report.complain(key.decode(), f"holds no counter ({error})")
        if value < highest:
            self.report.complain(key.decode(), f"counts {value}, but its chunk has segment {highest}")
        return None

    def _check_rest(self) -> None:
        """The root counters, and that no other rows are there."""
        root = self.plan.grid.root
        chunk_id = self.plan.ids.chunk_id(root)
        highest = np.array([self.highest_root], np.uint64)
        for part in [None, *range(ROOT_COUNTERS)]:
            self._check_counter(counter_key(chunk_id, part), highest, root.layer)
        known = {META_KEY, VERSION_KEY}
        top = node_key(root.layer + 1 << 64 - self.plan.ids.layer_id_bits)
        for row in self._rows_outside(top):
            if row.key not in known and not row.key.startswith(b"i"):
                self.report.complain(row.key.decode(errors="replace"), "is no row of a chunked graph")
        present = {row.key for row in self.table.read_keys(sorted(known))}
        for key in sorted(known - present):
            self.report.complain(key.decode(), "is missing; servers cannot open the table")

    def _rows_outside(self, top: bytes) -> Iterator[Row]:
        lowest = node_key(1 << 64 - self.plan.ids.layer_id_bits)
        yield from self.table.read([(b"", lowest), (top, b"i"), (b"j", b"\xff" * 8)])

    def _count(self, layer: int, rows: ChunkRows) -> None:
        self.report.nodes[layer] = self.report.nodes.get(layer, 0) + len(rows.nodes)
        if layer == self.plan.grid.layer_count and len(rows.nodes):
            highest = int(self.plan.ids.segments(rows.nodes, layer).max())
            self.highest_root = max(self.highest_root, highest)


def _join(parts: list[Frontier]) -> Frontier:
    return Frontier(
        np.concatenate([part.nodes for part in parts]),
        np.concatenate([part.parents for part in parts]),
        np.concatenate([part.masks for part in parts]),
    )


def _sorted_pairs(children: Ids, parents: Ids) -> Ids:
    order = np.lexsort((parents, children))
    pairs: Ids = np.stack([children[order], parents[order]], axis=1)
    return pairs
