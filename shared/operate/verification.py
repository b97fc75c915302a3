"""What `verify` compares a table with: the rules of the format, the input edges, and a truth where there is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from shared.errors import StateError
from shared.inputs.source import InputSource
from shared.run.record import RunRecord
from shared.verify.partition import Partition, compare, input_partition, table_partition
from shared.verify.walk import Report, Walk
from shared.work.steps import OpenRun

PARTITION_LIMIT = 20_000_000
"""Supervoxels; tables with more are not compared with their input edges, which takes 12 GB for so many."""


@dataclass(frozen=True)
class Verification:
    """What was found: `rows` by layer, what the table was `compared` with, and what is wrong with it, the
    first of the violations as texts."""

    rows: Mapping[int, int]
    compared: list[str]
    violation_count: int
    violations: list[str] = field(default_factory=list)


def verify(
    record: RunRecord,
    run: OpenRun,
    inputs: InputSource,
    totals: Mapping[int, Mapping[str, int]] | None,
    truth: str | None,
) -> Verification:
    """Checks the table of a finished run; `totals` as its top hand-off has them, None if that is lost; `inputs` is
    what it is compared with.

    StateError for a truth file that cannot be read.
    """
    small = totals is None or totals[2]["supervoxels"] <= PARTITION_LIMIT
    report = Report()
    walk = Walk(record.plan, run.table, report, keep_links=small)
    walk.run()
    compared = ["the rules of the format"]
    if small and not record.test:
        found = table_partition(record.plan, walk.links)
        compare(found, input_partition(record.plan, inputs), report.complain)
        compared.append("the connected components of the input edges")
        if truth is not None:
            compare(found, _read_truth(truth), report.complain)
            compared.append(f"the truth in {truth}")
    return Verification(dict(report.nodes), compared, report.violation_count, [*map(str, report.violations)])


def _read_truth(path: str) -> Partition:
    try:
        with np.load(path, allow_pickle=False) as known:
            return known["supervoxel"], known["object"]
    except (OSError, KeyError, ValueError) as error:
        raise StateError(
            f"{path}: no truth of this table ({error}): wanted is a .npz file with the arrays supervoxel and object"
        ) from error
