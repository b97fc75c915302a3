"""Layer 2 of a large run is queued some at a time, and two runs have about the same share of the workers."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from google.api_core.exceptions import ServiceUnavailable
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import DataError
from shared.operate.feeding import (
    AHEAD_SECONDS,
    LOOK_SECONDS,
    MOST,
    QUEUED_NAME,
    Feeder,
    Queued,
    feed,
    more_to_queue,
    queue_first,
    read_queued,
)
from shared.operate.queueing import resume, shuffled_chunks
from shared.plan.grid import Chunk
from shared.run import control
from shared.run.done import is_finished
from shared.run.messages import Message
from shared.run.record import RECORD_NAME
from shared.table.columns import families
from tests.harness import MemoryRun, backend_of, worker_of
from tests.volumes import random_volume

VOLUME = random_volume(1, (6, 5, 2), size=3)
TOTAL = VOLUME.plan.total(2)
LEAST = 8


def begun(**changes: Any) -> MemoryRun:
    """A run of which only the first chunks are queued."""
    run = MemoryRun.of(VOLUME, **changes)
    run.scratch.put(RECORD_NAME, run.record.encode())
    run.table.create(families(run.record.schema))
    assert queue_first(run.record, run.scratch, run.broker.open([]), 0.0, LEAST) == TOTAL
    return run


DAYS = itertools.count(1)


def fed(run: MemoryRun) -> int:
    """Feeds a run, each time a day later: so slow a one has the least that there is."""
    return feed(run.record, run.scratch, run.completion, run.broker.open([]), 86_400.0 * next(DAYS), LEAST)


def waiting(run: MemoryRun) -> list[Chunk]:
    return [Message.decode(each.data).chunk for each in run.broker.waiting[2]]


def some_work(run: MemoryRun, count: int) -> None:
    """Handles that many deliveries of layer 2."""
    queue = run.broker.open([2])
    for _ in range(count):
        delivery = queue.receive(0.0)
        assert delivery is not None
        worker_of(queue, run).handle(delivery)


def test_all_is_queued_in_the_end_once() -> None:
    """Fed again and again, each chunk is queued once, in the run's order, and never more than a few wait."""
    run, seen = begun(), list[Chunk]()
    for _ in range(TOTAL):
        assert len(waiting(run)) <= LEAST
        seen += [waiting(run)[0]] if waiting(run) else []
        some_work(run, 1)
        fed(run)
    assert seen == list(shuffled_chunks(run.record, 2))
    run.work()
    assert is_finished(run.record, run.completion)


def test_nothing_is_fed_before_half_is_done() -> None:
    """As long as enough wait nothing is published; then it is filled up."""
    run = begun()
    assert fed(run) == 0
    some_work(run, LEAST // 2 - 1)
    assert fed(run) == 0
    some_work(run, 1)
    assert (fed(run), len(waiting(run))) == (LEAST // 2, LEAST)


def test_a_small_run_is_queued_at_once() -> None:
    """A run with few chunks has no such object, and a run of an older release neither: all of it is queued."""
    run = MemoryRun.of(VOLUME).start()
    assert len(waiting(run)) == TOTAL and read_queued(run.record, run.scratch) is None
    assert fed(run) == 0


def test_another_run_of_the_graph() -> None:
    """What was noted of a run that was reset says nothing of the next."""
    run = begun()
    assert read_queued(replace(run.record, run="next"), run.scratch) is None


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"run": "r", "count": "x", "done": 0, "when": 0}'])
def test_damaged(data: bytes) -> None:
    """An object that cannot be understood is an error that names it."""
    run = begun()
    run.scratch.put(QUEUED_NAME, data)
    with pytest.raises(DataError, match=QUEUED_NAME):
        read_queued(run.record, run.scratch)


def test_a_crash_before_it_is_noted() -> None:
    """Whoever feeds and dies before he notes it leaves messages twice, and none is lost."""
    run = begun()
    some_work(run, LEAST)
    before = run.scratch.get([QUEUED_NAME])[QUEUED_NAME]
    fed(run)
    run.scratch.put(QUEUED_NAME, before or b"")
    fed(run)
    assert set(Counter(waiting(run)).values()) == {2}
    while fed(run) or waiting(run):
        some_work(run, len(waiting(run)))
    assert run.completion.progress([2])[2].done == TOTAL


@pytest.mark.parametrize("known", [True, False])
def test_resume(known: bool) -> None:
    """After a resume no more wait than at first, and with what is fed later the run is built to its end; also
    where nobody knows how far it was queued."""
    run = begun()
    some_work(run, LEAST - 2)
    fed(run)
    run.broker.waiting[2].clear()
    if not known:
        run.scratch.delete([QUEUED_NAME])
    queued = resume(run.record, run.scratch, run.completion, run.broker.open([]), LEAST)
    assert 0 < queued[2] == len(waiting(run)) <= LEAST
    for _ in range(TOTAL):
        run.work()
        fed(run)
    assert is_finished(run.record, run.completion)
    assert run.raw_table() == MemoryRun.of(VOLUME).start().work().raw_table()


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 100), st.floats(0, 1e7))
def test_numbers(total: int, count: int, done: int, dead: int, seconds: float) -> None:
    """Never more than there are, and never more waiting than the most; a run whose queue is empty gets some."""
    count = min(count, total)
    done = min(done, count)
    more = more_to_queue(Queued("r", count, 0, 0.0), total, done, dead, seconds)
    assert 0 <= more <= total - count
    if more:
        assert max(0, count - done - dead) + more <= MOST
    if done == count < total:
        assert more > 0


def test_a_fast_run_has_more() -> None:
    """A run has as much waiting as it does in two minutes: its workers find something until the next look."""
    queued = Queued("r", 10_000, 0, 0.0)
    assert more_to_queue(queued, 10**7, 10_000, 0, now=20.0) == int(10_000 / 20 * AHEAD_SECONDS)


class Clock:
    """Seconds since 1970 that tests move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_feeder() -> None:
    """A worker looks now and then, one at a time; paused runs, and broken ones, keep nothing from the others."""
    run, other, broken = begun(), begun(graph="other", table="other"), begun(graph="broken", table="b")
    backend, clock = backend_of(run, other, broken), Clock()
    for graph in ("graph", "other", "broken"):
        backend.board().announce(graph)
    broken.scratch.put(QUEUED_NAME, b"?")
    control.pause(other.scratch, "me")
    run.broker.waiting[2].clear()
    for chunk in list(shuffled_chunks(run.record, 2))[:LEAST]:
        run.completion.complete(VOLUME.plan.dependents(chunk)[0], 0, 8, True, 0.0)
    feeders = [Feeder(backend, run.broker.open([]), clock, LEAST) for _ in range(2)]
    for feeder in feeders:
        feeder()
    first = len(run.broker.waiting[2])
    assert first > 0 and not {Message.decode(each.data).graph for each in run.broker.waiting[2]} - {"graph"}
    feeders[0]()
    assert len(run.broker.waiting[2]) == first
    clock.now += LOOK_SECONDS
    backend.board = lambda: (_ for _ in ()).throw(ServiceUnavailable("gone"))
    Feeder(backend, run.broker.open([]), clock, LEAST)()


def test_shares_of_a_large_and_a_small_graph() -> None:
    """A graph that is begun while another, far larger one is under way is built beside it: when it is done the
    large one has done little more, though the oldest messages come first."""
    large, small = (
        begun(graph="large", table="large"),
        MemoryRun.of(random_volume(2, (2, 2, 2), size=3), graph="small", table="small"),
    )
    small.broker = large.broker
    some_work(large, 3)
    small.start()
    runs = {"large": large, "small": small}
    queue = large.broker.open([2])
    built: Counter[str] = Counter()
    while built["small"] < 8:
        delivery = queue.receive(0.0)
        assert delivery is not None
        graph = Message.decode(delivery.data).graph
        worker_of(queue, runs[graph]).handle(delivery)
        built[graph] += 1
        fed(large)
    assert built["large"] <= LEAST + built["small"] < TOTAL
