"""What is wrong in one chunk's part of a table: every violation is counted, the first ones are kept in words.

Why bounded: a table that is damaged everywhere has as many violations as rows. Invariants: `count` is exact, and
`chunks` has every chunk whose job has to be done again for the cells in question, however many rows are wrong.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shared.errors import DataError
from shared.plan.grid import Chunk, parent
from shared.plan.ids import Ids
from shared.plan.plan import Plan

KEPT = 100
"""Violations of a chunk that are kept in words."""


@dataclass
class Findings:
    """What was found in the verification of `chunk`."""

    plan: Plan
    chunk: Chunk
    count: int = 0
    violations: list[str] = field(default_factory=list)
    chunks: set[Chunk] = field(default_factory=set)

    def complain(self, key: str, reason: str) -> None:
        """Notes a violation of the row `key`."""
        self.count += 1
        if len(self.violations) < KEPT:
            self.violations.append(f"row {key}: {reason}")
        self.chunks.add(self.chunk)
        if key.isdigit() and len(key) == 20 and int(key) < 1 << 64:
            self.mend(np.array([int(key)], np.uint64))

    def each(self, nodes: Ids, reason: str) -> None:
        """Notes a violation of each distinct one of these nodes."""
        distinct = np.unique(nodes)
        if not len(distinct):
            return
        for node in distinct[: KEPT - len(self.violations)].tolist():
            self.violations.append(f"row {node:020d}: {reason}")
        self.count += len(distinct)
        self.chunks.add(self.chunk)
        self.mend(distinct)

    def pairs(self, nodes: Ids, others: Ids, reason: str) -> None:
        """Notes a violation of each of these nodes, with what stands in the place of {} in the reason."""
        if not len(nodes):
            return
        kept = KEPT - len(self.violations)
        for node, other in zip(nodes[:kept].tolist(), others[:kept].tolist(), strict=True):
            self.violations.append(f"row {node:020d}: {reason.format(other)}")
        self.count += len(nodes)
        self.chunks.add(self.chunk)
        self.mend(np.unique(nodes))

    def mend(self, nodes: Ids) -> None:
        """Notes the chunks from those of the nodes up to this one: their jobs write cells of these rows. Nodes that
        are not of this chunk, or of one below it, count for nothing."""
        grid, ids, top = self.plan.grid, self.plan.ids, self.chunk
        layers = ids.layers(nodes)
        for layer in np.unique(layers).tolist():
            if not 1 <= layer < grid.layer_count or layer > top.layer:
                continue
            coords = ids.coords(nodes[layers == layer], layer)
            here = (coords >> top.layer - max(layer, 2) == np.array(top.coords)).all(axis=1)
            for x, y, z in np.unique(coords[here], axis=0).tolist():
                at = Chunk(max(layer, 2), x, y, z)
                while at in grid and at.layer < top.layer:
                    self.chunks.add(at)
                    at = parent(at)

    def encode(self) -> bytes:
        """The findings as JSON."""
        chunks = sorted(map(list, self.chunks))
        found = {"chunk": self.chunk, "count": self.count, "chunks": chunks, "violations": self.violations}
        return json.dumps(found, sort_keys=True).encode()

    @classmethod
    def decode(cls, plan: Plan, data: bytes, file: str) -> Findings:
        """The findings in a file's bytes; DataError for anything else."""
        try:
            found: dict[str, Any] = json.loads(data)
            chunks = {Chunk(*map(int, chunk)) for chunk in found["chunks"]}
            texts = [str(text) for text in found["violations"]]
            return cls(plan, Chunk(*map(int, found["chunk"])), int(found["count"]), texts, chunks)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise DataError(file, "-", f"not what a verification found ({error})") from error
