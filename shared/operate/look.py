"""A first look at a table: some chunks of each layer, each by itself, and what that says of the others.

Invariants: chunks are drawn alike from all of a layer, so of n chunks none is among the damaged ones, a share p of
the layer, with probability (1 - p)^n at most. What only shows where two chunks meet is left to a whole
verification: of layer 2 rows, supervoxels, nodes and edges are compared with the input; above, rows and the links
to their children.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from shared.inputs.source import InputSource
from shared.plan.plan import Plan
from shared.run.ports import Table
from shared.verify.findings import Findings
from shared.work.verifier import Verifier

CONFIDENCE = 0.95


@dataclass(frozen=True)
class LayerLook:
    """How many of the `total` chunks of a layer were looked at, and in how many something was wrong."""

    layer: int
    looked: int
    total: int
    damaged: int

    @property
    def unseen(self) -> float:
        """If a larger share of the layer's chunks were damaged, this look would have seen one with `CONFIDENCE`."""
        return 0.0 if self.looked == self.total else 1 - (1 - CONFIDENCE) ** (1 / self.looked)


@dataclass(frozen=True)
class Look:
    """What a look came to."""

    layers: list[LayerLook]
    violation_count: int
    violations: list[str]


def look(plan: Plan, table: Table, inputs: InputSource | None, count: int, seed: int = 0) -> Look:
    """Looks at up to `count` chunks of each layer; the same ones for the same `seed`."""
    verifier, rng, layers, found = Verifier(plan, table, inputs), Random(seed), [], list[Findings]()
    for layer in plan.graph_layers:
        total = plan.total(layer)
        numbers = sorted(rng.sample(range(total), min(count, total)))
        here = [verifier.look(plan.chunk_at(layer, number)) for number in numbers]
        layers.append(LayerLook(layer, len(here), total, sum(findings.count > 0 for findings in here)))
        found += here
    texts = [text for findings in found for text in findings.violations]
    return Look(layers, sum(findings.count for findings in found), texts)
