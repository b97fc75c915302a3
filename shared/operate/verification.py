"""What `verify` comes to, whoever did it: counts, objects by size, every violation that was kept, what to mend.

In one process here, layer by layer, which is for tables that one machine reads in minutes; as a run of its own
(shared.operate.verify_run) for all others. Both call the same verification of a chunk (shared.work.verifier).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from shared.errors import DataError, StateError
from shared.inputs.source import InputSource
from shared.plan.grid import Chunk
from shared.plan.plan import Plan
from shared.run.ports import Table
from shared.verify.findings import Findings
from shared.verify.truth import Links, Partition, compare, table_partition
from shared.verify.verdict import Verdict
from shared.work.verifier import Verifier

MAX_REPORTED = 1_000
"""Violations that a report has in words."""


@dataclass(frozen=True)
class Verification:
    """What was found: `rows` by layer, what the table was `compared` with, and what is wrong with it, the first of
    the violations as texts; `chunks` are those whose jobs write what is wrong. `objects[i]` has 2^i to 2^(i+1) - 1
    supervoxels. `when` it was made, a UTC text."""

    rows: Mapping[int, int]
    compared: list[str]
    violation_count: int
    violations: list[str] = field(default_factory=list)
    chunks: tuple[Chunk, ...] = ()
    objects: tuple[int, ...] = ()
    run: str = ""
    when: str = ""

    def encode(self) -> bytes:
        """The report as JSON."""
        return json.dumps(asdict(self), sort_keys=True, indent=1).encode()

    @classmethod
    def decode(cls, data: bytes, file: str) -> Verification:
        """The report in a file's bytes; DataError for anything else."""
        try:
            found: dict[str, Any] = json.loads(data)
            rows = {int(layer): int(count) for layer, count in found.pop("rows").items()}
            chunks = tuple(Chunk(*map(int, chunk)) for chunk in found.pop("chunks"))
            objects = tuple(map(int, found.pop("objects")))
            return cls(rows=rows, chunks=chunks, objects=objects, **found)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DataError(file, "-", f"no report of a verification ({error})") from error


def compared_with(inputs: bool) -> list[str]:
    """In words what a table is compared with."""
    rules = ["the rules of the format"]
    return [*rules, "the connected components of the input edges"] if inputs else rules


def report(plan: Plan, top: Verdict, findings: Mapping[Chunk, Findings], compared: list[str]) -> Verification:
    """The report of a whole table, by the verdict of its top chunk and what was found in the chunks."""
    rows = {layer: counts["rows"] for layer, counts in sorted(top.counts.items()) if "rows" in counts}
    found = [findings[chunk] for chunk in sorted(findings)]
    texts = [text for one in found for text in one.violations][:MAX_REPORTED]
    chunks = sorted(set[Chunk]().union(*(one.chunks for one in found)))
    objects = np.trim_zeros(np.array(top.objects), "b").tolist()
    return Verification(rows, compared, top.violations, texts, tuple(chunks), tuple(objects))


def verify_here(plan: Plan, table: Table, inputs: InputSource | None, truth: str | None = None) -> Verification:
    """Verifies a whole table in this process, layer by layer. StateError for a truth file that cannot be read."""
    links: Links | None = None if truth is None else []
    verifier = Verifier(plan, table, inputs, links)
    below: dict[Chunk, bytes] = {}
    found: dict[Chunk, Findings] = {}
    verdict = None
    for layer in plan.graph_layers:
        here: dict[Chunk, bytes] = {}
        for chunk in (plan.chunk_at(layer, index) for index in range(plan.total(layer))):
            wanted = [] if layer == 2 else plan.dependencies(chunk)
            verdicts = {on: Verdict.decode(below[on], str(on), on) for on in wanted}
            verdict, findings = verifier.verify(chunk, verdicts)
            if findings.count:
                found[chunk] = findings
            here[chunk] = verdict.encode()
        below = here
    assert verdict is not None
    result = report(plan, verdict, found, compared_with(inputs is not None))
    if links is None or truth is None:
        return result
    other = Findings(plan, plan.top)
    compare(table_partition(plan, links), read_truth(truth), other.complain)
    return Verification(
        result.rows,
        [*result.compared, f"the truth in {truth}"],
        result.violation_count + other.count,
        [*result.violations, *other.violations][:MAX_REPORTED],
        tuple(sorted({*result.chunks, *other.chunks})),
        result.objects,
    )


def read_truth(path: str) -> Partition:
    """Supervoxels and their objects in a file; StateError for one that cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as known:
            return known["supervoxel"], known["object"]
    except (OSError, KeyError, ValueError) as error:
        raise StateError(
            f"{path}: no truth of this table ({error}): wanted is a .npz file with the arrays supervoxel and object"
        ) from error
