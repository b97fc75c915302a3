"""Reads what the verification of one chunk needs, and calls it: the way from stored rows to a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from shared.inputs.source import InputSource
from shared.plan.grid import Chunk, opposite
from shared.plan.ids import Ids
from shared.plan.plan import Plan
from shared.run.ports import Table
from shared.table.cells import node_keys
from shared.table.columns import CHILDREN, COUNTER, CROSS_EDGES, PARENT, counter_key
from shared.table.scan import CellScan, Scan
from shared.verify.chunk import ChunkScans, check_alone, check_keys, check_rest, verify_layer2, verify_parent
from shared.verify.findings import Findings
from shared.verify.given import read_given
from shared.verify.ranges import BEGINNING, node_range, root_counters, root_range, strange_ranges
from shared.verify.truth import Links
from shared.verify.verdict import Verdict, add

FROM_ABOVE = (str(PARENT), f"{CROSS_EDGES.name}:")
"""What the jobs of higher layers write into the rows of nodes."""


@dataclass(frozen=True)
class Verifier:
    """Verifies the chunks of a table; without `inputs` it is not compared with them. `links`, if given, gets all
    (children, parents) that children cells say."""

    plan: Plan
    table: Table
    inputs: InputSource | None
    links: Links | None = None

    def verify(self, chunk: Chunk, verdicts: Mapping[Chunk, Verdict]) -> tuple[Verdict, Findings]:
        """The verdict of a chunk, by those of its dependencies, and what was found in it; DataError for a damaged
        input file."""
        plan, findings = self.plan, Findings(self.plan, chunk)
        if chunk.layer == 2:
            given = None if self.inputs is None else read_given(plan, chunk, self.inputs)
            verdict = verify_layer2(plan, chunk, self._scans(chunk), given, findings)
        else:
            children = {child: verdicts[child] for child in plan.grid.children(chunk)}
            outside = {
                (other, opposite(face)): verdicts[other].face_map(opposite(face))
                for child in children
                for face, other in plan.grid.neighbours(child).items()
                if other not in children and other in verdicts
            }
            scans = self._scans(chunk)
            verdict = verify_parent(plan, chunk, scans, children, None if plan.test else outside, findings)
        if chunk == plan.top:
            self._check_rest(chunk, verdict, findings)
        add(verdict.counts, chunk.layer, {"violations": findings.count})
        return verdict, findings

    def look(self, chunk: Chunk) -> Findings:
        """What can be found in a chunk by itself."""
        findings = Findings(self.plan, chunk)
        if chunk.layer == 2:
            return self.verify(chunk, {})[1]
        check_alone(self.plan, chunk, self._scans(chunk), findings)
        return findings

    def _scans(self, chunk: Chunk) -> ChunkScans:
        """What is read for a chunk, by one request, and above layer 2 by another for what its job wrote further
        down."""
        plan, key = self.plan, counter_key(self.plan.ids.chunk_id(chunk))
        of_roots, is_root = root_range(plan, chunk), chunk == plan.grid.root
        ranges = [of_roots if is_root else node_range(plan, chunk), of_roots, (key, key + b"\0")]
        if chunk.layer == 2:
            ranges.append(node_range(plan, chunk._replace(layer=1)))
        scan = self.table.scan(ranges)
        odd = {name: row for name, row in scan.odd.items() if name != key}
        nodes = replace(_between(scan, ranges[0]), odd=odd)
        cell = scan.cells.get(str(CHILDREN))
        if self.links is not None and cell is not None:
            self.links.append(_link(scan, cell))
        counter = scan.odd.get(key)
        found = ChunkScans(
            nodes,
            Scan() if is_root else _between(scan, ranges[1]),
            None if counter is None else counter.get(str(COUNTER), b""),
        )
        if chunk.layer == 2:
            return replace(found, supervoxels=_between(scan, ranges[3]))
        below = [node_range(plan, child) for child in plan.grid.children(chunk)]
        late = self._listed_below(chunk, nodes)
        return replace(found, above=self.table.scan(below + late, FROM_ABOVE))

    def _listed_below(self, chunk: Chunk, nodes: Scan) -> list[tuple[bytes, bytes]]:
        """The keys of the nodes that this chunk's nodes list, and that are none of its children's own."""
        cell = nodes.cells.get(str(CHILDREN))
        if cell is None:
            return []
        children = cell.lists()[0]
        layers = self.plan.ids.layers(children)
        keys = node_keys(np.unique(children[(layers >= 2) & (layers < chunk.layer - 1)]))
        return [(key, key + b"\0") for key in keys]

    def _check_rest(self, chunk: Chunk, verdict: Verdict, findings: Findings) -> None:
        """The rows that belong to no chunk alone, with the last one."""
        plan = self.plan
        if plan.test:
            if chunk != plan.grid.root and plan.schema == 3:
                lifted = self.table.scan([node_range(plan, chunk)], FROM_ABOVE[1:])
                findings.each(lifted.nodes, "has a cross edge that leads out of the test run")
            return
        counters = {row.key: row.cells.get(str(COUNTER), b"") for row in self.table.read_keys(root_counters(plan))}
        check_rest({key: counters.get(key) for key in root_counters(plan)}, verdict.max_root, findings)
        strange = [row.key for row in self.table.read(strange_ranges(plan))]
        present = {row.key for row in self.table.read_keys(BEGINNING)}
        strange = [key for key in strange if key not in BEGINNING and not key.startswith(b"i")]
        check_keys(strange, sorted(set(BEGINNING) - present), findings)


def _link(scan: Scan, cell: CellScan) -> tuple[Ids, Ids]:
    children, starts, _ = cell.lists()
    return children, np.repeat(scan.nodes[cell.rows], np.diff(starts))


def _between(scan: Scan, keys: tuple[bytes, bytes]) -> Scan:
    low, high = map(int, keys)
    return scan.between(low, min(high, (1 << 64) - 1))
