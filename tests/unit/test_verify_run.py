"""The verification of a table as a run of its own, and by the jobs that build it: the same report as in one
process."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from shared.errors import StateError
from shared.memory.backend import MemoryBackend
from shared.operate.begin import begin
from shared.operate.clearing import is_ours
from shared.operate.run import Run
from shared.operate.verification import Verification
from shared.plan.grid import Chunk
from shared.run.registry import graph_folder
from tests.harness import MemoryRun, backend_of
from tests.unit.test_operate import NOW_MS, VOLUME, backend_with, dataset
from tests.volumes import random_volume
from tests.whole.both import built
from tests.whole.damage import Damager


def finished(schema: int = 3, **changes: object) -> tuple[MemoryBackend, Run, MemoryRun]:
    """A backend with a finished run."""
    volume = random_volume(4, (5, 3, 2), size=8, density=0.3, schema=schema)
    memory = built(volume, **changes)
    backend = backend_of(memory)
    return backend, Run(backend, memory.record), memory


def by_queue(run: Run) -> Verification:
    """The report of a verification through the queue."""
    verifying, count = run.begin_verification()
    assert count == run.record.plan.total(2)
    verifying.work()
    assert verifying.finished
    return run.verification()


@pytest.mark.parametrize("schema", [2, 3])
def test_the_queue_finds_what_one_process_finds(schema: int) -> None:
    """A whole table is whole to both, and of damaged ones both reports are the same, kept in the graph's folder."""
    backend, run, memory = finished(schema)
    table = Damager(run.record.plan, memory.table._rows)
    for seed in range(6):
        if seed:
            assert table.damage(Random(seed)) or True
        here, there = run.verify(), by_queue(run)
        assert (here.rows, here.violation_count) == (there.rows, there.violation_count)
        assert (here.violations, here.chunks, here.objects) == (there.violations, there.chunks, there.objects)
        assert (here.violation_count > 0) == bool(table.changed())
        table.undo()
    folder = graph_folder(backend, run.graph)
    kept = folder.get(["verify.json"])["verify.json"]
    assert kept is not None and Verification.decode(kept, "verify.json") == there
    assert all(
        is_ours(name) for graph in ("graph", "graph-verify") for name in graph_folder(backend, graph).list("")
    )


def test_it_is_a_run_like_another() -> None:
    """Its chunks are paused, resumed and counted; it has no table of its own to build, upgrade or verify."""
    backend, run, _ = finished()
    verifying, _ = run.begin_verification()
    assert (verifying.graph, verifying.record.verifies) == ("graph-verify", "graph")
    verifying.pause("test")
    assert verifying.work() == 0
    with pytest.raises(StateError, match="is not done"):
        run.verification()
    again, _ = run.begin_verification()
    assert again.record.run == verifying.record.run
    again.work()
    assert again.status().finished
    for refused in (verifying.verify, verifying.upgrade, lambda: verifying.build(Chunk(2, 0, 0, 0))):
        with pytest.raises(StateError, match="verifies the table of graph"):
            refused()
    assert Run.open(backend, "graph-verify").verification().violation_count == 0


def test_a_lost_verdict_is_waited_for_and_comes_again() -> None:
    """A verification that was cut off in the middle goes on from the verdicts that are stored."""
    backend, run, _ = finished()
    verifying, _ = run.begin_verification()
    stops = iter([False] * 9)
    verifying.work(stopped=lambda: next(stops, True))
    backend.completions["graph-verify", verifying.record.run].clear()
    assert not verifying.finished
    done = len(list(verifying.scratch.list(f"{verifying.record.run}/layer2/")))
    assert 0 < done < run.record.plan.total(2)
    assert verifying.resume()[2] == run.record.plan.total(2) - done
    verifying.work()
    assert run.verification().violation_count == 0


def test_a_graph_of_that_name_is_left_alone() -> None:
    """Where another graph has the name, nothing is begun; and before the end of the build neither."""
    _, run, memory = finished()
    other = MemoryRun.of(memory.volume, graph="graph-verify", table="other").start()
    backend = backend_of(memory, other)
    backend.storage("memory://scratch/graph-verify").put("run.json", other.record.encode())
    with pytest.raises(StateError, match="is a graph of its own"):
        Run(backend, run.record).begin_verification()
    begun = MemoryRun.of(memory.volume).start()
    with pytest.raises(StateError, match="is not done"):
        Run(backend_of(begun), begun.record).begin_verification()


@pytest.mark.parametrize("schema", [2, 3])
@pytest.mark.parametrize("test", [False, True])
def test_jobs_verify_what_they_build(schema: int, test: bool) -> None:
    """With `verified` each job verifies its chunk before the chunk is done, and the report is there with the
    last."""
    volume = random_volume(4, (5, 3, 2), size=8, density=0.3, schema=schema)
    memory = MemoryRun.of(volume, verified=True, test=test)
    backend = backend_of(memory)
    run = Run(backend, memory.record)
    memory.start()
    run.work()
    assert run.finished
    found = run.verification()
    # Without the two rows that servers begin with, which this run did not write.
    assert [text[:9] for text in found.violations] == ([] if test else ["row meta:", "row versi"])
    assert found.rows == run.verify().rows
    assert found.chunks == (() if test else (run.record.plan.top,))


def test_damage_after_a_build_that_verified_itself() -> None:
    """A table that was right when its jobs verified it is verified anew by the queue, and repaired by what that
    found: the verdicts of the build are of before the damage. An older verification counts for nothing."""
    backend = backend_with(VOLUME)
    run, _ = begin(backend, dataset(), "fly", now_ms=NOW_MS, verified=True)
    run.work()
    assert run.verification().violation_count == 0
    table = run.opened.table
    before = list(table.read([(b"", b"\xff")]))
    for _ in range(2):
        lost = next(row.key for row in before if "0:children" in row.cells)
        table.delete_rows([lost])
        found = by_queue(run)
        assert found.violation_count and found.chunks
        mended = run.repair(run.plan_repair())
        assert (mended.violation_count, mended.run) == (0, found.run)
        assert list(table.read([(b"", b"\xff")])) == before
    # A build that is younger than the last verification has its own verdicts.
    younger = replace(run.record, timestamp_ms=4_000_000_000_000)
    assert Run(backend, younger).verification().run == run.record.run


def test_sampling() -> None:
    """A look at some chunks of each layer sees damage where it looks, and says how much of it would have been
    seen."""
    _, run, memory = finished()
    plan = run.record.plan
    assert run.look(3).violation_count == 0
    whole = run.look(1000)
    assert [(one.layer, one.looked, one.unseen) for one in whole.layers] == [
        (layer, plan.total(layer), 0.0) for layer in plan.graph_layers
    ]
    assert run.look(2).layers[0].unseen == pytest.approx(1 - 0.05**0.5)
    table = Damager(plan, memory.table._rows)
    for seed in range(30):
        name = table.damage(Random(seed))
        if name in ("lose_a_row", "another_parent", "garbage"):
            assert run.look(1000).violation_count > 0, seed
        table.undo()
