"""How often a run asks Google's services for something, if no chunk is built twice.

Invariants: the counts are those of `shared.work.steps`, call by call; a test compares them with a run in
memory. Retries, redeliveries and failures come on top; so do looks at records that are there once a
run or once a worker (run.json, control.json), which are not worth a line.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from shared.estimate.cuts import LOOKUP_GETS, blocks_read, blocks_written
from shared.estimate.report import PlanReport

BATCH = 1000
"""Messages in a request that publishes many: the lowest layers are published so, what waited by a request of its
own."""

RAW_PARTS = 110
"""Parts of shards that a layer-2 chunk asks for: counted on the example as raw output, by a worker that remembers
none; one that builds all of it, and so meets each index again, asks for 46."""

ENTRIES_A_READ = 1000
"""Index entries that a sum or a count is charged one document read for (Firestore's pricing page)."""


@dataclass(frozen=True)
class Operations:
    """Numbers of calls, and of what they are about."""

    messages: int = 0
    """Messages published; each is pulled once and acked once."""
    publishes: int = 0
    """Requests that publish them."""
    bulk_messages: int = 0
    """Those of the messages that share their request with up to 999 others."""
    record_reads: int = 0
    """Firestore documents read to note what is done."""
    record_writes: int = 0
    """Firestore documents written: a bit for each read, and that a parent was published."""
    records: int = 0
    """Firestore documents there are in the end, and so deletes when the run is reset."""
    reads_a_look: int = 0
    """Firestore reads that one look at the progress of all layers is charged for."""
    input_gets: int = 0
    """Edge and component files asked for, parts of shards, or blocks of volumes and ranges of sorted tables."""
    handoff_gets: int = 0
    """Hand-offs read."""
    puts: int = 0
    """Objects written: hand-offs, the run's record, and processed files and blocks of a volume beside the table."""


def operations(report: PlanReport) -> Operations:
    """What the run of a plan comes to."""
    lowest, *above = report.layers
    # Of the cuts one alone waits, for the tables; the others are published many at a time after it.
    waiting = [layer.chunks if layer.layer > 1 else 1 for layer in above]
    bulk = [lowest.chunks, *(layer.chunks - 1 for layer in above if layer.layer == 1)]
    chunks = report.at(2).chunks
    return Operations(
        messages=report.chunks,
        publishes=sum(-(-messages // BATCH) for messages in bulk) + sum(waiting),
        bulk_messages=sum(bulk),
        record_reads=report.transactions,
        record_writes=report.transactions + sum(waiting),
        records=report.records,
        reads_a_look=_reads_a_look(waiting),
        input_gets=_input_gets(report, chunks),
        handoff_gets=report.handoff_reads,
        puts=report.chunks + 1 + chunks * (report.written + blocks_written(report)),
    )


def _input_gets(report: PlanReport, chunks: int) -> int:
    if report.segmentation is not None:
        return chunks * (blocks_read(report) + LOOKUP_GETS * bool(report.segmentation.tables))
    return RAW_PARTS * chunks if report.raw else 2 * chunks + report.lower_neighbours


def _reads_a_look(waiting: list[int]) -> int:
    """Of three sums and counts a layer, over the records of the layer or of the one above; at least a read each.

    `waiting` are the records of each layer above the lowest; one more record ends the run. What else dispatch
    asks is one document and one query.
    """
    a_query = [max(1, -(-records // ENTRIES_A_READ)) for records in (0, *waiting, 1)]
    return 2 + sum(own + 2 * above for own, above in itertools.pairwise(a_query))
