"""The edges between chunks, checked while the walk goes up: both sides have them, and family 4 is right.

Schema 3 stores with a node of layer k, for each active edge below it, the far end's highest ancestor
with a layer <= k. That ancestor is in another chunk, which the walk meets earlier or later. So every
subtree hands up the edges through its outer faces: the atomic ones, all family 4 rows below it, and
the ancestors of each layer-2 node concerned. An edge of cross layer m is settled in the chunk of
layer m + 1, the first that holds both ends. There its far ends are known in every layer from 2 to m,
by the parent links of the other side.

Invariants: every row of every family 4 cell is compared exactly, once, and so is every row that
should be there; no part of this needs the whole table. Memory is for the outer faces alone: 32 bytes
an atomic edge or a row of family 4, and 8 * (layer - 1) a layer-2 node with such edges.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.chunks.labels import Flags, Index, unique_rows
from shared.plan.ids import Ids
from shared.plan.plan import Plan
from tests.whole.rows import ChunkRows, Complain, EdgeRows


@dataclass(frozen=True)
class Crossing:
    """The edges that leave a subtree.

    `atomic` are those of its layer-2 nodes, `lifted` its rows of family 4. `chains` (n, layer - 1):
    the layer-2 nodes with such edges in column 0, sorted, and in column i the highest ancestor of
    each with a layer <= 2 + i; for schema 2 there is column 0 alone.
    """

    atomic: EdgeRows
    lifted: EdgeRows
    chains: Ids

    @classmethod
    def of_layer2(cls, own: ChunkRows) -> Crossing:
        """The edges that leave a layer-2 chunk."""
        return cls(own.atomic, own.lifted, np.unique(own.atomic.nodes)[:, None])

    @classmethod
    def joined(cls, parts: list[Crossing]) -> Crossing:
        """The edges of several chunks of one layer; those from one of them to another are still there."""
        chains = np.concatenate([part.chains for part in parts])
        return cls(
            EdgeRows.joined([part.atomic for part in parts]),
            EdgeRows.joined([part.lifted for part in parts]),
            chains[np.argsort(chains[:, 0])],
        )

    def climb(self, plan: Plan, layer: int, nodes: Ids, parents: Ids, lifted: EdgeRows) -> Crossing:
        """One layer up: `parents` are those of `nodes`; `lifted` the family 4 rows of that layer's nodes."""
        if plan.schema == 2:
            return self
        here = plan.ids.layers(parents) == layer
        order = np.argsort(nodes[here])
        nodes, parents = nodes[here][order], parents[here][order]
        last = self.chains[:, -1]
        at, known = _find(nodes, last)
        above = last.copy()
        above[known] = parents[at[known]]
        return Crossing(self.atomic, EdgeRows.joined([self.lifted, lifted]), np.column_stack([self.chains, above]))

    def settle(self, plan: Plan, cross_layer: int, complain: Complain) -> Crossing:
        """Checks the edges of a cross layer, both ends of which are here now; the edges that are left."""
        here, also = self.atomic.layers == cross_layer, self.lifted.layers == cross_layer
        settled = Crossing(self.atomic.take(here), self.lifted.take(also), self.chains)
        for node, near, far in settled._one_sided().tolist():
            complain(f"{node:020d}", f"has an active edge from {near} to {far}, which the node of {far} has not")
        if plan.schema == 3:
            settled._compare(plan, cross_layer, complain)
        left = self.atomic.take(~here)
        _, waits = _find(np.unique(left.nodes), self.chains[:, 0])
        return Crossing(left, self.lifted.take(~also), self.chains[waits])

    def _compare(self, plan: Plan, cross_layer: int, complain: Complain) -> None:
        """Compares family 4 with what the atomic edges give, both all of one cross layer."""
        lacking, added = _differences(self._expected(plan), self.lifted.pairs)
        for near, far in lacking.tolist():
            complain(f"{near:020d}", f"lacks the cross edge to {far} under cross layer {cross_layer}")
        for near, far in added.tolist():
            complain(
                f"{near:020d}",
                f"has a cross edge to {far} under cross layer {cross_layer} that no active edge below it gives",
            )

    def _one_sided(self) -> Ids:
        """The (node, near, far) of atomic edges that are missing in the far end's node."""
        alone, _ = _differences(self.atomic.pairs, self.atomic.pairs[:, ::-1])
        order = np.argsort(self.atomic.pairs[:, 0])
        at, _ = _find(self.atomic.pairs[order, 0], alone[:, 0])
        return np.column_stack([self.atomic.nodes[order[at]], alone])

    def _expected(self, plan: Plan) -> Ids:
        """The family 4 rows (n, 2) that the atomic edges give; edges of one side only are left out."""
        near_sv, far_sv = self.atomic.pairs[:, 0], self.atomic.pairs[:, 1]
        order = np.argsort(near_sv)
        at, known = _find(near_sv[order], far_sv)
        near_at, _ = _find(self.chains[:, 0], self.atomic.nodes[known])
        far_at, _ = _find(self.chains[:, 0], self.atomic.nodes[order[at[known]]])
        rows = [np.zeros((0, 2), np.uint64), *self._by_layer(plan, near_at, far_at)]
        return np.concatenate(rows)

    def _by_layer(self, plan: Plan, near_at: Index, far_at: Index) -> Iterator[Ids]:
        """For each layer the distinct edges of its own nodes, by positions in the chains."""
        near_at, far_at = (part.astype(np.int64) for part in unique_rows(near_at, far_at))
        for column in range(self.chains.shape[1]):
            near, far = self.chains[near_at, column], self.chains[far_at, column]
            own = plan.ids.layers(near) == column + 2
            yield np.column_stack(unique_rows(near[own], far[own]))


def _find(known: Ids, wanted: Ids) -> tuple[Index, Flags]:
    """Where each of `wanted` stands in `known`, which is sorted, and whether it does."""
    if not len(known):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return at, known[at] == wanted


def _differences(first: Ids, second: Ids) -> tuple[Ids, Ids]:
    """The distinct rows that only the one has, and those that only the other has."""
    parts = [np.column_stack(unique_rows(*rows.T)) for rows in (first, second)]
    rows = np.concatenate(parts)
    from_second: npt.NDArray[np.bool_] = np.arange(len(rows)) >= len(parts[0])
    order = np.lexsort((rows[:, 1], rows[:, 0]))
    rows, from_second = rows[order], from_second[order]
    alike = (rows[1:] == rows[:-1]).all(axis=1)
    lone = ~(np.append(alike, False) | np.append(False, alike))[: len(rows)]
    return rows[lone & ~from_second], rows[lone & from_second]
