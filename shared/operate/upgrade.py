"""Schema 3 out of a table of schema 2 that a run of ours made, in place.

    family 4 -> run record of the upgrade -> messages -> every chunk is built again, for its cells of
    family 4 alone -> the table is verified -> version row -> rule of family 3 -> run record of schema 3

An upgrade is a run like another, with a run id and hand-offs of its own, so it goes through the same
queue and workers and is resumed in the same way. It keeps the timestamp: the same chunk built from
the same input gives the cells that are there (they are not written again) and those of family 4. So
the table is in the end the one that an ingest of schema 3 makes. Invariants: until the version row is
written, the table says schema 2, and each step may be done again after a crash.

It knows the input alone. A table whose graph was edited meanwhile has nodes that are in no input, so
it is refused: every edit makes a root, and takes its id from a root counter.
"""

from __future__ import annotations

from dataclasses import replace

from shared.errors import StateError
from shared.operate.clearing import delete_run
from shared.run.ports import Completion, Queue, Storage, Table
from shared.run.queued import queue_first
from shared.run.record import RECORD_NAME, WRITTEN, RunRecord
from shared.table.columns import COUNTER, CROSS_EDGES, ROOT_COUNTERS, counter_key, families
from shared.table.meta import version_cells


def begin_upgrade(
    record: RunRecord, run: str, scratch: Storage, table: Table, completion: Completion, queue: Queue
) -> tuple[RunRecord, int]:
    """Starts the upgrade of a finished run of schema 2 as `run`; its record, and the number of chunks of layer 2.

    `completion` has the progress of the finished run, which is dropped as its hand-offs are.
    """
    check_unedited(record, table)
    begun = replace(record, run=run, schema=3, upgrade=True, auto_queue_parents=True, written=())
    if record.segmentation is not None and set(WRITTEN) <= set(record.written):
        # Its files are all there, so nothing is cut again.
        begun = replace(begun, segmentation=None, table_parts=())
    table.set_families([CROSS_EDGES])
    scratch.put(RECORD_NAME, begun.encode())
    completion.clear()
    delete_run(scratch, record.run)
    return begun, queue_first(begun, scratch, queue, begun.timestamp_ms / 1000)


def finish_upgrade(record: RunRecord, scratch: Storage, table: Table) -> RunRecord:
    """Makes the table of a finished and verified upgrade one of schema 3, and its record an ordinary one.

    The rule of family 3 comes after the version row: what it lets Bigtable drop, readers of schema 2 need.
    """
    check_unedited(record, table)
    table.write([version_cells(3)], record.timestamp_ms)
    table.set_families(families(3))
    finished = replace(record, upgrade=False)
    scratch.put(RECORD_NAME, finished.encode())
    return finished


def check_unedited(record: RunRecord, table: Table) -> None:
    """StateError if a server has made roots since the ingest: a root counter is not as the run wrote it."""
    root = record.plan.ids.chunk_id(record.plan.grid.root)
    keys = [counter_key(root), *(counter_key(root, part) for part in range(ROOT_COUNTERS))]
    for row in table.read_keys(keys):
        if row.timestamps.get(str(COUNTER)) != record.timestamp_ms * 1000:
            raise StateError(
                f"table {record.table} was edited after its ingest (row {row.key.decode()}), and an upgrade knows "
                "the input files alone; it is left as it is. Ingest the input as schema 3 under another name"
            )
