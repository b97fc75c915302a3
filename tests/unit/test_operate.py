"""What an operator does with a run, in memory: begin, find, resume, pause, replay, reset, upgrade, verify."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.errors import StateError
from shared.memory.backend import MEMORY, MemoryBackend
from shared.memory.table import MemoryTable
from shared.operate.begin import begin, find
from shared.operate.check import Checked
from shared.operate.run import Run
from shared.plan.grid import Chunk
from shared.run.ports import Failure, State, Table
from shared.run.record import RECORD_NAME, RunRecord
from shared.table.columns import META_KEY, VERSION_KEY
from tests.harness import checked_of
from tests.volumes import Volume, random_volume

NOW_MS = 1_700_000_000_000
CHUNK = Chunk(2, 0, 1, 0)
VOLUME = random_volume(3, (3, 2, 2), size=5, schema=3)


def backend_with(volume: Volume) -> MemoryBackend:
    """A backend in memory that has a volume's files."""
    backend = MemoryBackend()
    for name, data in (volume.edges | volume.components).items():
        backend.storage(f"{MEMORY}in").put(name, data)
    return backend


def dataset(volume: Volume = VOLUME) -> Checked:
    return checked_of(volume, f"{MEMORY}in", f"{MEMORY}in", f"{MEMORY}ws")


@pytest.fixture
def run() -> Run:
    """A run that was begun, and nothing built yet."""
    return begin(backend_with(VOLUME), dataset(), "fly", now_ms=NOW_MS)[0]


def rows(run: Run) -> dict[bytes, dict[str, bytes]]:
    return {row.key: row.cells for row in run.opened.table.read([(b"", b"\xff")])}


def memory_of(run: Run) -> MemoryBackend:
    assert isinstance(run.backend, MemoryBackend)
    return run.backend


def emptied(table: Table) -> None:
    """Takes all rows out of a table."""
    assert isinstance(table, MemoryTable)
    table._rows.clear()


def test_begun_worked_on_and_verified() -> None:
    """The way of a library's user: begin, work, and a table that agrees with its input."""
    run, queued = begin(backend_with(VOLUME), dataset(), "fly")
    assert queued == VOLUME.plan.total(2) and not run.finished
    assert run.work() == sum(map(VOLUME.plan.total, VOLUME.plan.layers))
    found = run.verify()
    assert run.finished and run.status().finished and found.violation_count == 0
    assert "the connected components of the input edges" in found.compared
    totals = run.totals()
    assert totals is not None and totals[2]["supervoxels"] == len(VOLUME.supervoxels)


def test_a_run_is_found_by_its_dataset(run: Run) -> None:
    """The run of a graph is found again; with another configuration, or as the table of nobody, it is refused."""
    found = find(run.backend, dataset(), "fly")
    assert found is not None and found.record == run.record
    with pytest.raises(StateError, match="shape was"):
        find(run.backend, dataset(random_volume(1, (2, 2, 2), size=2, schema=3)), "fly")
    with pytest.raises(StateError, match="not from a run that is recorded"):
        find(run.backend, dataset(), "other")
    memory_of(run).tables.clear()
    assert find(run.backend, dataset(), "fly") is None


def test_dead_letters_are_taken_in_before_a_run_goes_on(run: Run) -> None:
    """A dead letter that waited before a resume does not give up the chunk that the resume queued."""
    run.backend.queue([]).publish_dead(run.record.message(CHUNK), {"error": "DataError", "reason": "was bad"})
    run.resume()
    assert list(run.backend.dead_letters()) == [] and run.failures() == []
    run.work()
    assert run.finished and not run.status().failed


@pytest.mark.parametrize("key", [META_KEY, VERSION_KEY])
def test_rows_that_come_before_any_chunk_are_written_again(run: Run, key: bytes) -> None:
    """A crash between table and meta is made good by a resume, from the record alone."""
    before = rows(run)
    emptied(run.opened.table)
    run.resume()
    assert rows(run)[key] == before[key]


def test_an_old_record_cannot_begin_its_table(run: Run) -> None:
    """Records of version 1 do not say where relative paths lead, so their meta row is not made up."""
    old = Run(run.backend, replace(run.record, made_by=""))
    emptied(old.opened.table)
    with pytest.raises(StateError, match="make ingest DATASET=NAME GRAPH=fly"):
        old.resume()


def test_reset_keeps_the_table_and_builds_the_same(run: Run) -> None:
    """After a reset everything is built again under another run id, into the same cells."""
    run.work()
    before, name = rows(run), run.record.run
    run.reset()
    assert run.record.run != name and not run.finished and rows(run) == before
    assert set(run.scratch.list("")) <= {RECORD_NAME, "control.json"}
    assert Run.open(run.backend, "fly").record == run.record
    run.resume()
    run.work()
    assert run.finished and rows(run) == before


def test_pause_and_what_ends_it(run: Run) -> None:
    """A paused run is not worked on; a finished one cannot be paused."""
    assert run.pause("by me") and run.paused == "by me"
    assert run.work() == 0
    run.resume()
    assert run.paused == "" and run.work() and run.finished
    assert not run.pause("by me")


def test_replay_and_discard(run: Run) -> None:
    """Dead chunks are chosen by layer or by name, replayed, or given up; a chunk that is not dead is refused."""
    run.completion.add_failure(Failure(CHUNK, "DataError", "bad", state=State.DEAD))
    assert [failure.chunk for failure in run.dead()] == [CHUNK] and run.dead(layer=3) == []
    with pytest.raises(StateError, match="make failed GRAPH=fly"):
        run.dead(chunks=[Chunk(2, 0, 0, 0)])
    run.discard(run.dead())
    assert run.discarded == 1 and run.dead() == []
    assert run.replay(run.dead(chunks=[CHUNK])) == 1 and run.discarded == 0


def test_layers_in_order(run: Run) -> None:
    """A layer is queued by hand only when the one below is done, and names what to type."""
    with pytest.raises(StateError, match="make layer N=2 GRAPH=fly"):
        run.queue_layer(3)
    with pytest.raises(StateError, match="has layers 2 to"):
        run.queue_layer(9)
    with pytest.raises(StateError, match="grids by layer"):
        run.queue_chunk(Chunk(2, 9, 0, 0))


def test_upgrade() -> None:
    """A finished table of schema 2 becomes the one that an ingest of schema 3 makes; twice is once."""
    volume = random_volume(3, (3, 2, 2), size=5, schema=2)
    run, _ = begin(backend_with(volume), dataset(volume), "fly", now_ms=NOW_MS)
    with pytest.raises(StateError, match="make resume GRAPH=fly"):
        run.upgrade()
    run.work()
    assert sum(run.upgrade().values()) == volume.plan.total(2)
    run.work()
    assert run.finished and run.verify().violation_count == 0
    run.finish_upgrade()
    assert run.upgrade() == {} and Run.open(run.backend, "fly").record.schema == 3
    other, _ = begin(backend_with(VOLUME), dataset(), "fly", now_ms=NOW_MS)
    other.work()
    assert rows(run) == rows(other)


def test_commands_name_the_project(run: Run) -> None:
    """What is to be typed finds the same run: with the project, where there is one."""
    assert run.how_to_go_on == "make resume GRAPH=fly"
    vars(run.backend)["project"] = "lab"
    assert run.how_to_go_on == "make resume GRAPH=fly PROJECT=lab"


def test_a_record_that_cannot_be_read_is_its_graphs_alone(run: Run) -> None:
    """Another graph goes on as if nothing were wrong; the broken one says which file."""
    begin(run.backend, replace(dataset(), table="other"), "other", now_ms=NOW_MS)
    run.scratch.put(RECORD_NAME, b"{}")
    with pytest.raises(Exception, match=rf"fly/{RECORD_NAME}"):
        Run.open(run.backend, "fly")
    other = Run.open(run.backend, "other")
    assert isinstance(other.record, RunRecord) and not other.status().finished
