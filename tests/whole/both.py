"""A table in memory, verified by both: as a whole, row by row, and chunk by chunk."""

from __future__ import annotations

from shared.inputs.source import ProcessedSource
from shared.operate.verification import Verification, verify_here
from shared.table.cells import Cells
from shared.table.columns import META, META_KEY, VERSION, VERSION_KEY
from tests.harness import MemoryRun, storage_of
from tests.volumes import Volume
from tests.whole.partition import compare, input_partition, table_partition
from tests.whole.walk import Report, Walk


def built(volume: Volume, **changes: object) -> MemoryRun:
    """A finished run of a volume, with the rows that servers begin with."""
    run = MemoryRun.of(volume, **changes).start().work()
    run.table.write([Cells(META, [META_KEY], [b""]), Cells(VERSION, [VERSION_KEY], [b""])], 1)
    return run


def source_of(volume: Volume) -> ProcessedSource:
    """The input files of a volume."""
    return ProcessedSource(storage_of(volume.edges), storage_of(volume.components))


def as_whole(run: MemoryRun) -> Report:
    """What the oracle finds."""
    report, plan = Report(), run.record.plan
    walk = Walk(plan, run.table, report, keep_links=True)
    walk.run()
    if not plan.test:
        found = table_partition(plan, walk.links)
        compare(found, input_partition(plan, source_of(run.volume)), report.complain)
    return report


def by_chunks(run: MemoryRun) -> Verification:
    """What the verification finds."""
    plan = run.record.plan
    return verify_here(plan, run.table, None if plan.test else source_of(run.volume))
