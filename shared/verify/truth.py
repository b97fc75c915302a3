"""Whether a table puts the same supervoxels together as a truth that is known, in one partition of the whole.

It holds all links of the table in memory, 16 bytes for each, so it is for tables for which there is a truth.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from shared.plan.ids import Ids
from shared.plan.plan import Plan

Links = list[tuple[Ids, Ids]]
"""Children and, for each, its parent."""

Partition = tuple[Ids, Ids]
"""Supervoxels (n,), sorted, and for each the name of its part (n,), any uint64."""


def table_partition(plan: Plan, links: Links) -> Partition:
    """Supervoxels and their roots from all (children, parents) links of a table."""
    child = np.concatenate([np.zeros(0, np.uint64), *(part[0] for part in links)])
    parent = np.concatenate([np.zeros(0, np.uint64), *(part[1] for part in links)])
    order = np.argsort(child)
    child, parent = child[order], parent[order]
    supervoxels = child[plan.ids.layers(child) == 1]
    root = supervoxels
    for _ in plan.graph_layers:
        at = np.minimum(np.searchsorted(child, root), len(child) - 1)
        root = np.where(child[at] == root, parent[at], root) if len(child) else root
    return supervoxels, root


def compare(found: Partition, expected: Partition, complain: Callable[[str, str], None]) -> None:
    """Complains of each supervoxel that only one side has, and of each root that is not one part."""
    for key in np.setdiff1d(found[0], expected[0]).tolist():
        complain(f"{key:020d}", "is in the table, but in no edge of the input")
    for key in np.setdiff1d(expected[0], found[0]).tolist():
        complain(f"{key:020d}", "is in an edge of the input, but not in the table")
    _, at, there = np.intersect1d(found[0], expected[0], assume_unique=True, return_indices=True)
    pairs = np.unique(np.stack([found[1][at], expected[1][there]], axis=1), axis=0)
    reasons = ("joins supervoxels that belong apart", "is one of several roots of one object")
    for side, reason in enumerate(reasons):
        names, counts = np.unique(pairs[:, side], return_counts=True)
        for root in np.unique(pairs[np.isin(pairs[:, side], names[counts > 1]), 0]).tolist():
            complain(f"{root:020d}", reason)
