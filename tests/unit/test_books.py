"""The books of a run, in memory: what the plan said, what it took, and what is kept when the graph is gone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shared.estimate.needs import needs
from shared.estimate.operations import operations
from shared.estimate.prices import load_prices
from shared.estimate.spent import Expected, Spent, as_needs, cost, layer_rows
from shared.memory.backend import MemoryBackend
from shared.operate.account import account
from shared.operate.all_runs import all_runs
from shared.operate.begin import begin
from shared.operate.kept import Kept, all_kept, folder_of, keep, read_kept
from shared.operate.looking_inside import look_inside
from shared.operate.run import Run
from shared.plan.grid import Chunk
from shared.plan.names import NAME
from shared.run.facts import Facts
from shared.run.ports import Failure
from shared.run.record import RECORD_NAME
from shared.run.registry import graph_folder
from tests.harness import MemoryRun, worker_of
from tests.unit.test_operate import VOLUME, backend_with, dataset
from tests.volumes import random_volume

PRICES = load_prices(Path(__file__).resolve().parents[2] / "configs" / "prices.yml")


@pytest.fixture
def run() -> Run:
    """A run that was begun, and nothing built yet."""
    return begin(backend_with(VOLUME), dataset(), "fly")[0]


def of(layer: int, chunks: int, **more: float) -> Spent:
    values = {"seconds": 9.0, "cpu": 4.0, "rows": 500.0, "handoff_bytes": 1e4, "attempts": chunks, "peak_mb": 512.0}
    values |= more
    return Spent(layer, chunks, known=chunks, **values)


def expected_of(run_of: Run) -> Expected:
    report = dataset().report
    return Expected(needs(report), operations(report))


def test_a_whole_run_is_accounted_for(run: Run) -> None:
    """Rows, chunks and attempts are those that were built, a layer each; the top chunk's end is the run's."""
    run.work()
    taken = account(run.record.plan, run.completion, run.record.timestamp_ms)
    assert [layer.chunks for layer in taken.layers] == [run.record.plan.total(at) for at in run.record.plan.layers]
    assert all(layer.known == layer.attempts == layer.chunks for layer in taken.layers)
    assert taken.known and not taken.sampled
    for layer in taken.layers:
        chunks = [run.record.plan.chunk_at(layer.layer, at) for at in range(layer.chunks)]
        assert layer.rows == sum(run.opened.table.write(run.build(chunk).cells, 1) for chunk in chunks)
    assert taken.ended_ms >= taken.begun_ms and taken.seconds is not None


def test_a_run_under_way_has_no_end(run: Run) -> None:
    """Before anything is built nothing is known, and no end is made up."""
    taken = account(run.record.plan, run.completion, run.record.timestamp_ms)
    assert (taken.known, taken.ended_ms, taken.seconds) == (False, 0, None)


def test_attempts_are_counted() -> None:
    """A chunk that was delivered three times counts as three attempts."""
    run = MemoryRun.of(random_volume(2, (2, 1, 1), size=4))
    worker = worker_of(run.broker.open([2]), run, "w")
    run.start()
    queue = run.broker.open([2])
    for _ in range(2):
        delivery = queue.receive(0.0)
        assert delivery is not None
        delivery.give_back()
    while (delivery := queue.receive(0.0)) is not None:
        worker.handle(delivery)
    taken = account(run.record.plan, run.completion, 0)
    assert taken.layers[0].chunks == 2 and taken.layers[0].attempts > 2


def test_a_share_stands_for_all(run: Run) -> None:
    """Where not all chunks are known, what is known is taken for the others, too; seconds are never guessed."""
    plan, completion = run.record.plan, run.completion
    for index in range(plan.total(2)):
        chunk = plan.chunk_at(2, index)
        parent = plan.dependents(chunk)[0]
        facts = Facts(1.0, 0.5, 100.0, rows=10) if index % 2 else None
        completion.complete(parent, plan.bits(parent)[chunk], len(plan.bits(parent)), True, 1.0, facts)
    layer = account(plan, completion, 0).layers[0]
    assert layer.known == plan.total(2) // 2
    assert (layer.seconds, layer.cpu, layer.rows) == (plan.total(2), plan.total(2) / 2, plan.total(2) * 10)


def test_what_is_kept_is_read_back(run: Run) -> None:
    """What the plan said and what the run took are kept apart from the graph's folder, and stay when it is gone."""
    begun = run.books.expect(dataset(), look_inside(dataset(), 4))
    assert begun.expected is not None and begun.result == "begun" and begun.usd is None
    folder = folder_of(run.backend)
    assert read_kept(folder, "fly", run.record.run) == begun
    run.work()
    settled = run.books.settle(PRICES)
    totals = run.totals()
    assert totals is not None
    assert settled.kept.result == "done"
    assert settled.kept.supervoxels == totals[2]["supervoxels"]
    assert settled.kept.roots == sum(counts["final"] for counts in totals.values())
    assert settled.kept.usd == settled.cost.taken.total and settled.cost.expected is not None
    assert settled.kept.expected == begun.expected
    run.reset()
    again, _ = begin(_without_table(run), dataset(), "fly")
    again.books.expect(dataset(), look_inside(dataset(), 0))
    found, unreadable = all_kept(folder)
    assert unreadable == []
    assert found[-1] == settled.kept and found[0].run == again.record.run


def _without_table(run: Run) -> MemoryBackend:
    assert isinstance(run.backend, MemoryBackend)
    run.backend.tables.clear()
    return run.backend


def test_how_a_run_stands(run: Run) -> None:
    """A run that is not done says how far it is, what failed, and that it is paused."""
    run.completion.add_failure(Failure(Chunk(2, 0, 0, 0), "DataError", "no"))
    run.pause("somebody")
    kept = run.books.settle(PRICES).kept
    assert kept.result == "0% done, 1 failed, paused"
    assert (kept.usd, kept.usd_expected, kept.supervoxels) == (None, None, 0)


def test_kept_where_no_graph_can_be(run: Run) -> None:
    """No graph has the name of the folder of what is kept, so none can clear it."""
    name = folder_of(run.backend).folder.rpartition("/")[2]
    assert NAME.fullmatch(name) is None


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b'{"graph": 3}', b"[" * 10_000])
def test_what_cannot_be_read_is_named(run: Run, data: bytes) -> None:
    """An object that is nothing that was kept is named, and the others are there."""
    folder = folder_of(run.backend)
    keep(folder, Kept.begun(run.record))
    folder.put("broken.r1.json", data)
    assert all_kept(folder) == ([Kept.begun(run.record)], ["broken.r1.json"])


def test_a_later_release_may_keep_more() -> None:
    """Fields that this release does not know are left out, and those of a wrong kind are as if they were not
    there."""
    kept = Kept("fly", "r1", "fly", 3, 10, 5, "0.9.0")
    more = kept.encode()[:-1] + b', "later": 1}'
    assert Kept.decode(more) == kept
    assert Kept.decode(kept.encode().replace(b'"roots": 0', b'"roots": "x"')) == kept


def test_the_same_on_both_sides_costs_the_same(run: Run) -> None:
    """A run that took what its plan said has the same bill, line by line."""
    expected = expected_of(run)
    spent = [
        of(
            layer.layer,
            layer.chunks,
            seconds=layer.seconds,
            cpu=layer.cpu_seconds,
            rows=layer.rows,
            handoff_bytes=layer.handoff_bytes,
        )
        for layer in expected.needs
    ]
    found = cost(expected, spent, PRICES)
    assert found.expected is not None
    for plan, took in zip(found.expected.lines, found.taken.lines, strict=True):
        assert plan.what == took.what and plan.quantity == pytest.approx(took.quantity)
    assert as_needs(expected, spent) == expected.needs


def test_retries_and_the_service_own_records_count(run: Run) -> None:
    """Twice the attempts are twice the messages; the service's own records of tasks take the place of what chunks
    say; without a plan there is one side."""
    expected = expected_of(run)
    once = cost(expected, [of(2, 10), of(3, 2)], PRICES).taken
    twice = cost(expected, [of(2, 10, attempts=20), of(3, 2, attempts=4)], PRICES, paid=(7.0, 14.0)).taken
    quantity = [{(line.service, line.what): line.quantity for line in one.lines} for one in (once, twice)]
    assert quantity[1]["Pub/Sub", "messages"] > quantity[0]["Pub/Sub", "messages"]
    assert (quantity[1]["Cloud Run", "CPU"], quantity[1]["Cloud Run", "memory"]) == (7.0, 14.0)
    alone = cost(None, [of(2, 10)], PRICES)
    assert alone.expected is None
    assert {row[2] for row in alone.as_rows()[1:]} == {"?"}


def test_unknown_is_not_zero(run: Run) -> None:
    """A layer of which nothing was noted shows that, and not numbers."""
    unknown = replace(of(2, 10), known=0)
    assert layer_rows(None, [unknown])[1] == ("2", "10", "?", "?", "?", "?", "?", "?", "?", "?")
    known = layer_rows(expected_of(run), [of(2, 10)])[1]
    assert "?" not in known


@pytest.mark.parametrize("values", [None, {}, [], {"needs": [{}], "counts": {}}, {"needs": "x", "counts": {}}])
def test_what_is_no_plan(values: object) -> None:
    """Whatever else stands in its place is no plan, and no error."""
    assert Expected.read(values) is None


def test_runs_that_nobody_watched(run: Run) -> None:
    """All runs are told of as they stand, also those that ended while nobody was there; one whose graph has another
    run by now, or a record that cannot be read, is as it was kept."""
    run.books.expect(dataset(), look_inside(dataset(), 0))
    folder = folder_of(run.backend)
    gone = replace(Kept.begun(run.record), run="r0", begun_ms=1)
    keep(folder, gone)
    run.work()
    found, unreadable = all_runs(run.backend, PRICES)
    assert [(kept.run, kept.result) for kept in found] == [(run.record.run, "done"), ("r0", "begun")]
    assert unreadable == []
    keep(folder, Kept.begun(run.record))
    graph_folder(run.backend, "fly").put(RECORD_NAME, b"damaged")
    found, _ = all_runs(run.backend, PRICES)
    assert [kept.result for kept in found] == ["begun", "begun"]
