"""Doing a repair, and verifying again what it may have changed: the chunks, and all above whose verdicts change."""

from __future__ import annotations

from collections.abc import Callable, Collection

from shared.errors import StateError
from shared.operate.clearing import delete_findings
from shared.operate.removing import remove
from shared.operate.repair import Build, Repair, first_cells
from shared.plan.grid import Chunk
from shared.run.ports import Table
from shared.run.record import RunRecord
from shared.table.cells import Cells
from shared.work.sources import MissingHandOff
from shared.work.steps import cells_to_write
from shared.work.verifying import Verifying

Tell = Callable[[int, int], object]
"""Is told how many chunks of how many are done."""


def mend(record: RunRecord, table: Table, build: Build, repair: Repair, tell: Tell) -> None:
    """Removes the rows and builds the chunks of a repair, lower layers first; again, the same comes of it."""
    # All that is written below is known to be possible before anything is removed.
    first = first_cells(record) if repair.beginning else []
    remove(table, repair.remove)
    if first:
        table.write(first, record.timestamp_ms)
    for number, chunk in enumerate(repair.chunks):
        table.write(cells_to_write(record, build(chunk)), record.timestamp_ms)
        tell(number + 1, len(repair.chunks))


def building(build: Build, where: str) -> Build:
    """The same; StateError where hand-offs of the run are gone, from which a chunk would be built again."""

    def built(chunk: Chunk) -> list[Cells]:
        try:
            return build(chunk)
        except MissingHandOff as error:
            raise StateError(
                f"{error}: it was deleted since, so chunk {chunk} cannot be built alone. All are built again, and "
                f"write the same rows over these, by: make reset {where} and then: make resume {where}"
            ) from error

    return built


def verify_again(verifying: Verifying, chunks: Collection[Chunk]) -> int:
    """Verifies chunks of a run once more, and all that wait for one whose verdict is another now; how many."""
    record, scratch = verifying.record, verifying.scratch
    plan, count = record.plan, 0
    wanted = {chunk for one in chunks for chunk in (one, *plan.dependents(one))} - {plan.end}
    for layer in plan.graph_layers:
        for chunk in sorted(one for one in wanted if one.layer == layer):
            name = record.verdict_name(chunk)
            before, (verdict, findings) = scratch.get([name])[name], verifying.verify(chunk)
            delete_findings(scratch, record, chunk)
            findings.put()
            scratch.put(name, verdict)
            count += 1
            if verdict != before and chunk != plan.top:
                wanted |= set(plan.dependents(chunk))
    return count
