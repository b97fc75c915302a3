"""Repair makes a damaged table what it was, to the byte and the time of each cell, and touches no edited one."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import StateError
from shared.operate.repair import first_cells
from shared.operate.run import Run
from shared.run.ports import Row
from shared.table.cells import Cells
from shared.table.columns import COUNTER, counter_key
from tests.examples import examples
from tests.harness import EDGES, MemoryRun, backend_of
from tests.volumes import random_volume
from tests.whole.damage import Damager
from tests.whole.share import volume_of

DATASET = {
    "data_source": {"EDGES": EDGES, "COMPONENTS": EDGES, "WATERSHED": "gs://b/ws"},
    "graph_config": {"CHUNK_SIZE": [64, 64, 32]},
}
ROUNDS = 3
"""So often a repair finds more to mend in what the one before has made visible, at the most."""


def finished(memory: MemoryRun) -> Run:
    """A finished run, with its first rows."""
    run = Run(backend_of(memory), memory.start().work().record)
    memory.table.write(first_cells(run.record), run.record.timestamp_ms)
    return run


def some_run(seed: int) -> tuple[MemoryRun, Run]:
    memory = MemoryRun.of(volume_of(Random(seed)), dataset=DATASET)
    return memory, finished(memory)


def mended(run: Run) -> int:
    """Repairs until nothing is wrong; how many rounds it took."""
    for number in range(1, ROUNDS + 1):
        if not run.repair(run.plan_repair()).violation_count:
            return number
    raise AssertionError(run.verify().violations[:5])


@examples(15)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_a_repaired_table_is_what_it_was(seed: int, damages: int) -> None:
    """Any damages together are mended, whether the table was verified in one process or by the queue."""
    memory, run = some_run(seed)
    before, rng = memory.raw_table(), Random(seed)
    table = Damager(run.record.plan, memory.table._rows)
    for _ in range(damages):
        table.damage(rng)
    if rng.random() < 0.5:
        run.verify()
    else:
        run.begin_verification()[0].work()
        run.verification()
    mended(run)
    assert memory.raw_table() == before
    assert not run.plan_repair().chunks


def test_only_what_is_damaged_is_built_again() -> None:
    """Of a table with one damaged row the chunks of that row are built again, and nothing is removed."""
    memory, run = some_run(5)
    volume = memory.volume
    node = next(key for key in sorted(memory.table._rows) if key.isdigit() and int(key) >> 56 == 2)
    memory.table._rows[node].cells["0:children"] = b"no list"
    run.verify()
    repair = run.plan_repair()
    chunk = volume.plan.ids.chunk_of(int(node))
    assert chunk in repair.chunks and repair.remove == () and not repair.beginning
    inside = [one for one in repair.chunks if one.layer == 2]
    assert inside == [chunk]


def test_cells_of_a_later_time_go_with_their_row() -> None:
    """A wrong cell that is newer than the run would hide what is written again: its row is removed and made
    anew."""
    memory, run = some_run(5)
    before = memory.raw_table()
    node = next(key for key in sorted(memory.table._rows) if key.isdigit() and int(key) >> 56 == 2)
    row = memory.table._rows[node]
    row.cells["0:children"], row.timestamps["0:children"] = b"no list", row.timestamps["0:children"] + 1000
    run.verify()
    assert run.plan_repair().remove == (node,)
    mended(run)
    assert memory.raw_table() == before


def edited(memory: MemoryRun) -> None:
    """A server makes a root: its counter moves, at a later time."""
    root = memory.record.plan.ids.chunk_id(memory.record.plan.grid.root)
    cells = Cells(COUNTER, [counter_key(root, 3)], [(1 << 40).to_bytes(8, "big")])
    memory.table.write([cells], memory.record.timestamp_ms + 5000)


def test_an_edited_table_is_left_alone() -> None:
    """Nothing is mended in a table that was edited, unless chunks are named; then rows that nobody touched are
    built again, and a chunk with a newer cell is refused."""
    memory = MemoryRun.of(random_volume(5, (4, 2, 1), size=8, density=0.3, schema=3), dataset=DATASET)
    run = finished(memory)
    table = memory.table._rows
    one = next(key for key in sorted(table) if key.isdigit() and int(key) >> 56 == 2)
    chunk = run.record.plan.ids.chunk_of(int(one))
    before = dict(table[one].cells)
    table[one].cells["0:children"] = b"no list"
    run.verify()
    edited(memory)
    with pytest.raises(StateError, match="edited after its ingest"):
        run.plan_repair()
    run.repair(run.plan_repair([chunk]))
    assert table[one].cells == before
    newer = dict(table[one].timestamps) | {"0:parents": run.record.timestamp_ms * 1000 + 7000}
    table[one] = Row(one, {**before, "0:parents": bytes(8)}, newer)
    with pytest.raises(StateError, match="it has newer cells"):
        run.plan_repair([chunk])


def test_nothing_to_go_by() -> None:
    """Without a report, or with hand-offs gone, it is said what to type."""
    memory, run = some_run(5)
    with pytest.raises(StateError, match="make verify GRAPH=graph"):
        run.plan_repair()
    memory.scratch.delete(list(memory.scratch.list("run/layer2/")))
    with pytest.raises(StateError, match="make reset GRAPH=graph and then: make resume GRAPH=graph"):
        run.plan_repair([run.record.plan.chunk_at(3, 0)])
