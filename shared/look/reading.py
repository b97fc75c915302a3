"""What a look at a run costs in reads of Firestore, and how often each thing is looked at: numbers and plain
formulas.

Source: an aggregation is charged a read for each 1,000 entries of an index that it meets, and one at least
("Aggregation queries", Firestore's pricing); a query without an answer costs one.
"""

from __future__ import annotations

from shared.plan.plan import Plan

ENTRIES = 1_000
"""Entries of an index that are summed for a read."""

PARTS = 16 * 8 + 16 + 100
"""Queries of a layer that is asked for by parts, and the records of which its build time is estimated."""

LARGE = 1_000_000
"""Chunks from which a layer may be asked for by parts, as shared/gcp/firestore/sums.py has it."""

MOST_FAILURES = 1_000
"""Failures that a page lists."""

CHECKED = 100
"""Failures of which it is looked up at one look whether their chunks are done by now."""

MOST_WORKERS = 200
"""Workers that are asked what they are at."""

COST_RECORDS = 100
"""Records of a layer from which a page reckons what the run has cost so far."""

PROGRESS = (2.0, 4.0)
FAILURES = (5.0, 2.0)
WORKERS = (10.0, 0.5)
COST = (30.0, 0.5)
HISTORY = (20.0, 0.1)
VIEW = (3.0, 4.0)
CHUNK = (3.0, 1.0)
"""For each thing the least seconds between two looks, and the reads a second that it may come to in the long run:
together less than what `shared.look.budget` lets be read in an hour, without the first looks at a view."""


def progress_reads(plan: Plan) -> int:
    """The most that `Completion.progress` of all layers is charged."""
    reads = 0
    for layer in plan.layers:
        above = 1 if layer == plan.top.layer else plan.total(layer + 1)
        own = plan.total(layer) if layer > plan.fed else 1
        reads += 2 * (1 + above // ENTRIES) + 1 + own // ENTRIES
        if plan.total(layer) >= LARGE:
            reads += PARTS + (above + own) // ENTRIES
    return reads


def cost_reads(plan: Plan) -> int:
    """The most that an account from `COST_RECORDS` records a layer reads."""
    return sum(min(COST_RECORDS, 1 if layer == plan.top.layer else plan.total(layer + 1)) for layer in plan.layers)
