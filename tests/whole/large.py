"""`python -m tests.whole.large 47 47 46 500`: a table of so many chunks (x, y, z) is built, damaged in so many
places, verified by the queue, repaired, and compared with what it was; all in the memory of this process. With
`sound` behind that it is verified before, too."""

from __future__ import annotations

import resource
import sys
import time
from random import Random

from shared.operate.repair import first_cells
from shared.operate.run import Run
from shared.operate.verification import Verification
from shared.plan.grid import Chunk
from shared.plan.plan import Plan
from tests.harness import COMPONENTS, EDGES, MemoryRun, backend_of
from tests.volumes import random_volume
from tests.whole.damage import Damager

DATASET = {
    "data_source": {"EDGES": EDGES, "COMPONENTS": COMPONENTS, "WATERSHED": "gs://b/ws"},
    "graph_config": {"CHUNK_SIZE": [64, 64, 32]},
}

ROUNDS = 3
"""So often a repair may find more to mend in what the one before has made visible."""


class Clock:
    """Says what took how long, in seconds of CPU."""

    def __init__(self) -> None:
        self.last = time.process_time()

    def tell(self, what: str) -> None:
        """A line about what was done since the last one."""
        now = time.process_time()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        print(f"{what}: {now - self.last:.0f} s of CPU; {peak:,} MiB in all", flush=True)
        self.last = now


def chunk_of(plan: Plan, key: bytes) -> Chunk | None:
    """The chunk of a row of a node below the root layer, None of any other row."""
    if not (key.isdigit() and len(key) == 20 and 1 <= int(key) >> 56 < plan.grid.layer_count):
        return None
    chunk = plan.ids.chunk_of(int(key))
    chunk = chunk._replace(layer=max(chunk.layer, 2))
    return chunk if chunk in plan.grid else None


def until_done(run: Run) -> None:
    """Works through the queue, which is filled some at a time."""
    run.backend.board().announce(run.graph)
    run.work(stopped=lambda: run.finished, idle_seconds=60.0)


def verified(run: Run) -> Verification:
    """The report of a verification by the queue."""
    until_done(run.begin_verification()[0])
    return run.verification()


def main() -> int:
    """The exit code is 1 if damage was missed, or the table is not what it was."""
    x, y, z, damages = map(int, sys.argv[1:5])
    clock, rng = Clock(), Random(1)
    memory = MemoryRun.of(random_volume(1, (x, y, z), size=4, density=0.3, schema=3), dataset=DATASET)
    plan = memory.record.plan
    clock.tell(f"a volume of {plan.total(2):,} chunks, {len(memory.volume.supervoxels):,} supervoxels")
    run = Run(backend_of(memory), memory.start().record)
    until_done(run)
    memory.table.write(first_cells(run.record), run.record.timestamp_ms)
    before = memory.raw_table()
    clock.tell(f"built by the queue: {sum(map(plan.total, plan.graph_layers)):,} chunks, {len(before):,} rows")
    alarms = 0
    if "sound" in sys.argv[5:]:
        alarms = verified(run).violation_count
        clock.tell(f"verified by the queue: {alarms} violations")
    table, kinds = Damager(plan, memory.table._rows), set[str]()
    for _ in range(damages):
        kinds.add(table.damage(rng))
    changed = table.changed()
    clock.tell(f"damaged: {len(changed):,} rows, in {len(kinds - {''})} ways")
    found = verified(run)
    clock.tell(
        f"verified by the queue: {found.violation_count:,} violations; {len(found.chunks):,} chunks to build"
    )
    missed = {chunk for key in changed if (chunk := chunk_of(plan, key))} - set(found.chunks)
    repair = run.plan_repair()
    clock.tell(f"repair planned: {len(repair.chunks):,} chunks, {len(repair.remove):,} rows to remove")
    after, rounds = run.repair(repair), 1
    while after.violation_count and rounds < ROUNDS:
        print(f"left: {after.violations[:5]}")
        after, rounds = run.repair(run.plan_repair()), rounds + 1
    same = memory.raw_table() == before
    clock.tell(
        f"repaired in {rounds} rounds, verified again: {after.violation_count} violations; as it was: {same}"
    )
    if missed:
        print(f"missed damage in {sorted(missed)[:5]}")
    return int(bool(missed or alarms or after.violation_count or not same))


if __name__ == "__main__":
    sys.exit(main())
