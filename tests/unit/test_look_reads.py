"""What watching a run costs: reads are counted by a clock that the test moves, as the service charges for them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.look import answers
from shared.look.budget import AN_HOUR, BURST, Budget, Pace
from shared.look.reading import PROGRESS, cost_reads, progress_reads
from shared.look.slices import MOST_RECORDS, first_layer, sliced
from shared.look.watch import View, Watch
from tests.prices import prices
from tests.synthetic import Clock, synthetic_run

HOUR = 3600


@given(st.lists(st.tuples(st.floats(0, 600), st.integers(0, 3000)), min_size=1, max_size=200))
def test_no_hour_has_more_than_its_budget(wanted: list[tuple[float, int]]) -> None:
    """Whenever things are read, as long as there is room for them, the reads of any hour stay within the budget."""
    clock, spent = Clock(), list[tuple[float, int]]()
    budget = Budget(clock)
    for seconds, reads in wanted:
        clock.now += seconds
        if budget.has(reads):
            budget.spend(reads)
            spent.append((clock.now, reads))
    for begun, _ in spent:
        assert sum(reads for at, reads in spent if begun <= at < begun + HOUR) <= AN_HOUR


def test_nothing_is_too_dear_for_ever() -> None:
    """What costs more than the bucket holds waits until it is full, and then is read."""
    clock = Clock()
    budget = Budget(clock)
    budget.spend(1)
    assert not budget.has(2 * BURST)
    clock.now = HOUR
    assert budget.has(2 * BURST)


def test_pace() -> None:
    """What reads more is looked at less often, and nothing faster than its least; `soon` is at once."""
    clock = Clock()
    pace = Pace(Budget(clock), clock, 2.0, 4.0)
    assert pace.due(10)
    pace.looked(4)
    clock.now = 1.9
    assert not pace.due(4)
    clock.now = 2.0
    pace.looked(400)
    clock.now = 101.0
    assert not pace.due(400)
    pace.soon()
    assert pace.due(400)


@pytest.mark.parametrize(
    ("shape", "failed"), [((9, 5, 3), 5), ((216, 216, 216), 5000)], ids=["135 chunks", "10^7 chunks"]
)
def test_an_hour_of_watching(shape: tuple[int, int, int], failed: int) -> None:
    """A page that is open for longer, whose reader looks at other views and chunks all the time and presses the
    button, reads 50,000 records in any hour at the most, of a run of up to 10^7 chunks; and it does follow the run.
    What is counted is what the service charges for, whatever the page itself believes."""
    run, reads = synthetic_run(shape, failed=failed)
    clock, rng = Clock(), random.Random(1)
    reads.clock = clock
    watch = Watch(run, prices(), clock, lambda: run.record.timestamp_ms / 1000 + clock.now)
    plan, looks, views = run.record.plan, 0, 0
    view = sliced(plan, first_layer(plan), 2)
    next_map, status = 0.0, None
    while clock.now < 1.2 * HOUR:
        watch.refresh(View(), at_once=clock.now % 600 == 0)
        looks += watch.known.status is not status
        status = watch.known.status
        if clock.now % 90 == 0:
            layer, axis = rng.choice(list(plan.layers)), rng.randrange(3)
            view = sliced(plan, layer, axis, rng.randrange(200), rng.randrange(200), rng.randrange(200))
            next_map = clock.now
        if clock.now >= next_map:
            before = reads.count
            watch.refresh(View(slice=view))
            views += 1
            assert reads.count - before <= 2 * MOST_RECORDS + BURST
            next_map = clock.now + max(2.0, watch.next_look(view) or 30.0)
        if clock.now % 75 == 0:
            watch.refresh(View(chunk=plan.chunk_at(2, rng.randrange(plan.total(2)))))
        clock.now += 15.0
    assert reads.in_any(HOUR) <= AN_HOUR
    assert watch.budget.spent == reads.count
    assert looks >= 3 and views >= 48


def test_looks_of_a_large_run_are_paid_for_once() -> None:
    """A look at the progress of 10^7 chunks fits into the bucket, with an account; of a million it may be taken
    each minute or two."""
    large, _ = synthetic_run((216, 216, 216))
    assert progress_reads(large.record.plan) + cost_reads(large.record.plan) < BURST
    million, _ = synthetic_run((100, 100, 100))
    assert progress_reads(million.record.plan) / PROGRESS[1] < 300


def test_done_records_are_read_once() -> None:
    """A view of a finished layer is read once, and then shown for nothing, however long it is looked at."""
    run, reads = synthetic_run((64, 64, 4), percent=100)
    clock = Clock()
    watch = Watch(run, None, clock, lambda: 0.0)
    view = sliced(run.record.plan, 2, 2)
    watch.refresh(View(slice=view))
    assert watch.next_look(view) is None
    assert answers.of_view(watch, view, "seconds")["counts"] == {"done": 4096}
    before = reads.count
    for _ in range(5):
        watch.records.read(watch.records.wanted([], 0.0))
        clock.now += 1.0
        watch._look_at_view(View(slice=view))
    assert reads.count == before


def test_a_view_of_a_million_chunks_reads_what_is_seen() -> None:
    """One view reads the records of the chunks that it shows, and no more, whatever the layer."""
    run, reads = synthetic_run((100, 100, 100))
    watch = Watch(run, None, Clock(), lambda: 0.0)
    watch.refresh(View())
    for layer in run.record.plan.layers:
        before = reads.count
        view = sliced(run.record.plan, layer, 2)
        watch.refresh(View(slice=view))
        assert 0 < reads.count - before <= 2 * MOST_RECORDS
        told = answers.of_view(watch, view, None)
        assert len(told["states"]) == view.width * view.height and "not looked at" not in told["counts"]
