"""An upgraded table is, to the byte, the one that an ingest of schema 3 makes; until its end it says schema 2."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.errors import StateError
from shared.memory.completion import MemoryCompletion
from shared.memory.table import MemoryTable
from shared.operate.queueing import resume
from shared.operate.upgrade import begin_upgrade, finish_upgrade
from shared.run.done import is_finished
from shared.run.ports import Delivery, Queue
from shared.run.record import RECORD_NAME, RunRecord
from shared.table.cells import Cells
from shared.table.columns import COUNTER, META, META_KEY, VERSION_KEY, Family, counter_key, families
from shared.table.meta import version_cells
from tests.examples import examples
from tests.harness import MemoryRun, Shuffling, content
from tests.property.test_oracle import odd, volumes
from tests.property.test_schema3 import winding
from tests.volumes import Volume, random_volume, something_to_test
from tests.whole.walk import Report, Walk


def ingested(volume: Volume, schema: int, **changes: Any) -> MemoryRun:
    """A finished run with meta and version."""
    run = MemoryRun.of(volume, schema=schema, **changes).start().work()
    run.table.write([Cells(META, [META_KEY], [b"meta"]), version_cells(schema)], run.record.timestamp_ms)
    return run


def begun(run: MemoryRun, name: str = "upgrade") -> MemoryRun:
    """The upgrade of a finished run."""
    queue = run.broker.open([])
    record, count = begin_upgrade(run.record, name, run.scratch, run.table, run.completion, queue)
    assert count == record.plan.total(2)
    return replace(run, record=record, completion=MemoryCompletion())


def finished(run: MemoryRun) -> MemoryRun:
    """Ends an upgrade."""
    return replace(run, record=finish_upgrade(run.record, run.scratch, run.table))


def stored(run: MemoryRun) -> RunRecord:
    """The run record as it is stored."""
    return RunRecord.decode(content(run.scratch, RECORD_NAME), RECORD_NAME)


@examples(60)
@given(volumes | odd | winding(), st.integers(0, 2**32 - 1), st.booleans())
def test_upgraded_table_equals_an_ingested_one(volume: Volume, seed: int, test: bool) -> None:
    """Rows, times, families and the run record are those of an ingest of schema 3, in any order of messages."""
    assume(not test or something_to_test(volume))
    direct, run = ingested(volume, 3, test=test), ingested(volume, 2, test=test)
    before = run.raw_table()
    upgrade = begun(run).work(lambda queue: Shuffling(queue, random.Random(seed)))
    assert is_finished(upgrade.record, upgrade.completion)
    # All that readers of schema 2 ask for by name is as it was, the version too.
    for key, (cells, times) in upgrade.raw_table().items():
        old = {column: value for column, value in cells.items() if not column.startswith("4:")}
        assert (old, {column: times[column] for column in old}) == before[key]
    assert upgrade.table.families() == [*families(2), Family("4")]
    done = finished(upgrade)
    assert done.raw_table() == direct.raw_table()
    assert done.table.families() == direct.table.families()
    assert stored(done) == done.record == replace(direct.record, run="upgrade")
    assert not [name for name in run.scratch.list(f"{run.record.run}/")]
    if not test:
        report = Report()
        Walk(done.record.plan, done.table, report, keep_links=False).run()
        assert report.violations == []


@examples(30)
@given(volumes, st.integers(0, 2**32 - 1))
def test_broken_off_and_gone_on_with(volume: Volume, seed: int) -> None:
    """An upgrade that stops after any chunk, and loses all messages, is completed by a resume."""
    rng, run = random.Random(seed), begun(ingested(volume, 2))
    plan = run.record.plan
    total = sum(plan.total(layer) for layer in plan.layers)

    def cut(queue: Queue) -> Shuffling:
        shuffling, left = Shuffling(queue, rng), rng.randrange(total)
        receive = shuffling.receive

        def receive_some(timeout: float) -> Delivery | None:
            nonlocal left
            left -= 1
            return receive(timeout) if left >= 0 else None

        shuffling.receive = receive_some
        return shuffling

    run.work(cut)
    fresh = replace(run, broker=type(run.broker)(), record=stored(run))
    assert fresh.record.upgrade
    resume(fresh.record, fresh.scratch, fresh.completion, fresh.broker.open([]))
    assert finished(fresh.work()).raw_table() == ingested(volume, 3).raw_table()


def small(schema: int) -> MemoryRun:
    return ingested(random_volume(4, (5, 3, 1), size=10, density=0.25, schema=schema), schema)


def test_only_family_4_is_written() -> None:
    """The workers of an upgrade write no cell that is there."""
    columns: set[str] = set()
    run = begun(small(2))
    write = run.table.write

    def noted(cells: Sequence[Cells], timestamp_ms: int) -> int:
        columns.update(str(part.column) for part in cells)
        return write(cells, timestamp_ms)

    run.table.write = noted
    run.work()
    assert columns == {"4:cross_edges_2", "4:cross_edges_3", "4:cross_edges_4"}


def test_other_input_than_at_the_ingest_is_found() -> None:
    """Family 4 of an input that was changed since does not fit the table, which verify says before the end."""
    run = small(2)
    other = random_volume(4, (5, 3, 1), size=10, density=0.25, disagree=0.4)
    assert run.volume.active != other.active
    upgrade = replace(begun(run), volume=other).work()
    report = Report()
    Walk(upgrade.record.plan, upgrade.table, report, keep_links=False).run()
    assert report.violation_count > 0


@pytest.mark.parametrize("part", [None, 0, 255])
def test_edited_table_is_left_alone(part: int | None) -> None:
    """Where a server has made a root since the ingest, an upgrade neither begins nor ends."""

    def edit(run: MemoryRun) -> None:
        ids, root = run.record.plan.ids, run.record.plan.grid.root
        made = Cells(COUNTER, [counter_key(ids.chunk_id(root), part)], [(1 << 40).to_bytes(8, "big")])
        run.table.write([made], run.record.timestamp_ms + 1)

    run = small(2)
    edit(run)
    with pytest.raises(StateError, match="was edited"):
        begun(run)
    assert stored(run) == run.record
    assert run.table.families() == families(2)
    run = begun(small(2)).work()
    edit(run)
    with pytest.raises(StateError, match="was edited"):
        finished(run)
    assert stored(run).upgrade
    assert run.table.families()[3] == Family("3")


class Interrupted(Exception):
    """The command is gone."""


@pytest.mark.parametrize("steps", range(3))
def test_end_can_be_done_again(steps: int) -> None:
    """A command that ends after the version row, or after the rule of family 3, is made good by the next one."""
    run, expected = begun(small(2)).work(), small(3)
    left = steps

    def step(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            nonlocal left
            if left == 0:
                raise Interrupted
            left -= 1
            return call(*arguments)

        return counted

    cut = MemoryTable()
    cut.__dict__.update(run.table.__dict__)
    cut.write, cut.set_families = step(run.table.write), step(run.table.set_families)
    run.scratch.put, put = step(run.scratch.put), run.scratch.put
    with pytest.raises(Interrupted):
        finish_upgrade(run.record, run.scratch, cut)
    run.scratch.put = put
    assert stored(run) == run.record
    (version,) = run.table.read_keys([VERSION_KEY])
    assert version.cells["0:version"] == (b"3.1.7" if steps else b"2.21.1")
    assert (run.table.families()[3] == Family("3")) == (steps < 2)
    done = finished(run)
    assert done.raw_table() == expected.raw_table()
    assert (done.table.families(), stored(done).upgrade) == (families(3), False)
