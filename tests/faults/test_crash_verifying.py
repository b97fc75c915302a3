"""A verification whose workers are killed at every write, before or after it, goes on and finds the same."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from shared.memory.backend import MEMORY
from shared.memory.storage import MemoryStorage
from shared.operate.run import Run
from shared.operate.verification import Verification
from shared.table.cells import Cells
from shared.table.columns import META, META_KEY, VERSION, VERSION_KEY
from tests.faults.crash import Crash
from tests.harness import MemoryRun, backend_of
from tests.volumes import random_volume
from tests.whole.both import built
from tests.whole.damage import Damager


class Deadly(MemoryStorage):
    """Kills whoever writes an object for the first time: before it is there, or after."""

    def __init__(self, folder: str, before: bool) -> None:
        super().__init__(folder)
        self.before, self.met = before, set[str]()

    def put(self, name: str, data: bytes) -> None:
        """Writes an object of a chunk, at the second try."""
        deadly = "/" in name and name not in self.met
        self.met.add(name)
        if deadly and self.before:
            raise Crash(name)
        super().put(name, data)
        if deadly:
            raise Crash(name)


def until_done(run: Run) -> int:
    """Workers come after those that were killed, until the run is done; how many were."""
    killed = 0
    while not run.finished:
        try:
            run.work()
        except Crash:
            killed += 1
            # What a killed worker had at hand comes again; a resume does not wait for that.
            run.resume()
    return killed


def found(memory: MemoryRun, folder: Callable[[str], MemoryStorage]) -> tuple[int, Verification]:
    """The report of a verification with a scratch folder of this kind, and how many workers were killed."""
    backend = backend_of(memory)
    name = f"{MEMORY}scratch/graph-verify"
    backend.folders[name] = folder(name)
    run = Run(backend, memory.record)
    killed = until_done(run.begin_verification()[0])
    return killed, run.verification()


@pytest.mark.parametrize("before", [True, False])
def test_killed_at_every_write(before: bool) -> None:
    """Of a damaged table the report is that of an undisturbed verification, whenever workers are killed."""
    memory = built(random_volume(4, (3, 2, 2), size=8, density=0.3, schema=3))
    table, rng = Damager(memory.record.plan, memory.table._rows), Random(8)
    for _ in range(4):
        table.damage(rng)
    calm, rough = (found(memory, kind) for kind in (MemoryStorage, lambda name: Deadly(name, before)))
    chunks = sum(map(memory.record.plan.total, memory.record.plan.graph_layers))
    assert calm[0] == 0 and rough[0] > chunks
    assert (calm[1].violations, calm[1].chunks) == (rough[1].violations, rough[1].chunks)
    assert calm[1].violation_count == rough[1].violation_count > 0


@pytest.mark.parametrize("before", [True, False])
def test_killed_while_it_builds_and_verifies(before: bool) -> None:
    """Jobs that verify what they build, killed at every write, make the same table and the same report."""
    volume = random_volume(4, (3, 2, 2), size=8, density=0.3, schema=3)
    calm = built(volume)
    memory = MemoryRun.of(volume, verified=True)
    memory.scratch = Deadly(f"{MEMORY}scratch/graph", before)
    backend = backend_of(memory)
    run = Run(backend, memory.start().record)
    memory.table.write([Cells(META, [META_KEY], [b""]), Cells(VERSION, [VERSION_KEY], [b""])], 1)
    assert until_done(run) == 2 * sum(map(volume.plan.total, volume.plan.graph_layers))
    assert memory.raw_table() == calm.raw_table()
    assert run.verification().violation_count == 0
